"""The image and the compose file name only what exists: commands, settings, files, and what registries take."""

import json
import re
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

from registry.testkit.process import ServerProcess, accepts_connections, find_program, free_port
from tests.servers import wait_until
from tests.servers.listener import Listener

ROOT = Path(__file__).parents[2]
PARTS = ("prepare", "web", "worker", "scheduler")
TOKEN = "${NOTIFICATION_TOKEN:?see docs/running.md}"


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]


@pytest.fixture(scope="module")
def dockerfile():
    return (ROOT / "Dockerfile").read_text()


def known_settings():
    """Collect every name that the code reads from the environment."""
    sources = [ROOT / "harborsync/settings.py", *(ROOT / "harborsync/management/commands").glob("*.py")]
    reads = re.compile(r'\benv\b[^"]{0,40}"([A-Z_]+)"')
    names = {name for source in sources for name in reads.findall(source.read_text())}
    return names | {f"{name}_FILE" for name in names}


@pytest.mark.parametrize("part", PARTS)
def test_every_part_runs_a_command_that_exists(services, part):
    assert services[part]["command"] == part
    assert part in get_commands()


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_given_settings_that_are_read(services, part):
    assert set(services[part]["environment"]) <= known_settings()


@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_the_same_database_broker_and_keys(services, part):
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEYS"):
        assert services[part]["environment"][name] == services["web"]["environment"][name]


def test_migrations_run_once_before_the_parts_that_need_them(services):
    for part in ("web", "worker", "scheduler"):
        assert services[part]["depends_on"]["prepare"] == {"condition": "service_completed_successfully"}
    assert services["prepare"]["restart"] == "no"


def test_whatever_serves_has_a_health_check(services):
    for name in ("postgres", "redis", "local", "remote"):
        assert services[name]["healthcheck"]["test"]
    assert services["web"].get("healthcheck") is None, "the image's own is used"


def test_the_registry_may_call_the_web_server_by_its_name(services):
    url = yaml.safe_load(services["local"]["environment"]["REGISTRY_NOTIFICATIONS_ENDPOINTS"])[0]["url"]
    assert url == f"http://web:8080/service/notifications/{TOKEN}/"
    assert "web" in services["web"]["environment"]["ALLOWED_HOSTS"].split(",")
    assert services["prepare"]["environment"]["HARBORSYNC_LOCAL_REGISTRY_NOTIFICATION_TOKEN"] == TOKEN
    assert services["prepare"]["environment"]["HARBORSYNC_LOCAL_REGISTRY_URL"] == "http://local:5000"


def test_a_registry_takes_its_settings_from_the_compose_file(services, tmp_path, skopeo):
    """The image's config.yml has no notifications; the environment adds them (distribution, "Override")."""
    port = free_port()
    base = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "storage")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (tmp_path / "config.yml").write_text(json.dumps(base))
    with Listener() as listener:
        environment = dict(services["local"]["environment"])
        endpoints = environment["REGISTRY_NOTIFICATIONS_ENDPOINTS"]
        environment["REGISTRY_NOTIFICATIONS_ENDPOINTS"] = endpoints.replace("http://web:8080/", listener.url).replace(
            TOKEN, "token"
        )
        server = ServerProcess(
            [find_program("docker-registry", package="docker-registry"), "serve", str(tmp_path / "config.yml")],
            log_path=tmp_path / "log",
            is_ready=lambda: accepts_connections(port),
            environment=environment,
        )
        server.start()
        try:
            skopeo.push_image(f"127.0.0.1:{port}", "a/b:v1")
            assert wait_until(lambda: any(event["target"].get("tag") == "v1" for event in listener.events), seconds=15)
            skopeo.delete(f"127.0.0.1:{port}", "a/b:v1")
        finally:
            server.stop()


def test_the_image_runs_as_a_plain_user_with_verified_packages(dockerfile):
    assert re.search(r"^USER \d+$", dockerfile, re.MULTILINE)
    assert "--require-hashes -r requirements.lock" in dockerfile
    assert 'ENTRYPOINT ["python", "manage.py"]' in dockerfile
    assert 'CMD ["web"]' in dockerfile


def test_the_image_copies_what_exists_and_what_the_build_may_see(dockerfile):
    copied = [line.split()[1].rstrip("/") for line in dockerfile.splitlines() if line.startswith("COPY")]
    visible = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {name for name in copied if not (ROOT / name).exists()} == set()
    assert set(copied) == visible
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert packages <= set(copied)
