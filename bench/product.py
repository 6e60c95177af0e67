"""HarborSync as a contestant: the whole product, started as `manage.py up` does, on a PostgreSQL of its own."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from cryptography.fernet import Fernet

from bench.contest import Effort, Work
from bench.processes import command_line, cpu_seconds, descendants
from harborsync.lib.installation import VERSION
from registry.testkit.process import free_port, wait_until
from tests.servers.postgres import PostgresCluster

MANAGE = Path(__file__).resolve().parents[1] / "manage.py"
START_SECONDS = 90.0
STOP_SECONDS = 15.0
CHECK_SECONDS = 30.0
RUN_SECONDS = 3600.0
# The execution's own end time is what counts, so looking seldom costs no precision; each look costs CPU that the run
# then lacks, as other tools are not asked how far they are.
LOOK_EVERY_SECONDS = (0.25, 1.0)
USERNAME = "admin"
NOTIFICATION_TOKEN = "notification-token-of-the-benchmark"  # noqa: S105 (opens nothing but this run's product)
NOT_OURS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "EXTERNAL_URL", "ALLOWED_HOSTS", "DEBUG")


class ProductFailedError(RuntimeError):
    """HarborSync did not start, refused something, or did not finish."""


@dataclass
class HarborSync:
    """A running product. `source_url` is its local registry."""

    port: int
    source_url: str
    log_path: Path
    process: "subprocess.Popen[bytes]"
    password: str = field(repr=False)
    name: str = "HarborSync"
    version: str = VERSION

    def __post_init__(self) -> None:
        """Keep one connection to the API, as a script would."""
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = (USERNAME, self.password)

    def prepare(self, work: Work, *, source_id: int | None = None) -> Callable[[], Effort]:
        """Make the targets and a rule; each call of what is given starts an execution and waits for its end."""
        rule_id = self.create_rule(work, source_id=source_id)
        return lambda: self._execute(rule_id)

    def notify(self, envelope: dict[str, object]) -> None:
        """Send a notification, as the local registry would. Raises ProductFailedError."""
        url = f"http://127.0.0.1:{self.port}/service/notifications/{NOTIFICATION_TOKEN}/"
        answer = self._session.post(url, json=envelope, timeout=30)
        if not answer.ok:
            raise ProductFailedError(f"the notification was refused: {answer.status_code} {answer.text[:500]}")

    def create_rule(self, work: Work, *, trigger: str = "manual", source_id: int | None = None) -> int:
        """Make a rule from the local registry (or another) to each target, and the targets; give its id."""
        places = [
            {"registry": {"id": self.create_registry(f"http://{host}")}, "dest_namespace_replace_count": 0}
            for host in work.targets
        ]
        filters = [{"type": "name", "value": work.repository}]
        if work.tag:
            filters.append({"type": "tag", "value": work.tag})
        return self.create(
            "/replication/policies",
            {
                "name": f"rule-{secrets.token_hex(4)}",
                "src_registry": {"id": source_id} if source_id else None,
                "dest_registries": places,
                "trigger": {"type": trigger},
                "filters": filters,
                "enabled": True,
                "override": True,
            },
        )

    def create_registry(self, url: str) -> int:
        """Make a registry and wait until it was checked, so that the check is in nobody's count; give its id."""
        name = f"registry-{secrets.token_hex(4)}"
        number = self.create("/registries", {"name": name, "type": "docker-registry", "url": url})
        path = f"/registries/{number}"
        if not wait_until(lambda: self.call("GET", path).json()["status"] == "healthy", seconds=CHECK_SECONDS):
            raise ProductFailedError(f"{url} was not found healthy")
        return number

    def _execute(self, rule_id: int) -> Effort:
        cpu_before = self.cpu_seconds()
        begun_at = time.time()
        execution_id = self.create("/replication/executions", {"policy_id": rule_id})
        ended = self.wait_for_end(execution_id)
        seconds = datetime.fromisoformat(ended["end_time"]).timestamp() - begun_at
        return Effort(seconds, self.cpu_seconds() - cpu_before, ended.get("requests"))

    def wait_for_end(self, execution_id: int) -> dict[str, Any]:
        """Look until an execution has its final status; give it. Raises ProductFailedError unless it succeeded."""
        begun_at = time.monotonic()
        shortest, longest = LOOK_EVERY_SECONDS
        found: dict[str, Any] = {}
        while (elapsed := time.monotonic() - begun_at) < RUN_SECONDS:
            time.sleep(min(max(elapsed / 4, shortest), longest))
            found = self.call("GET", f"/replication/executions/{execution_id}").json()
            if found["status"] != "InProgress":
                break
        if found["status"] != "Succeed":
            raise ProductFailedError(f"execution {execution_id}: {found['status']} {found['status_text']}")
        return found

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Call the API as the administrator. Raises ProductFailedError."""
        url = f"http://127.0.0.1:{self.port}/api/v2.0{path}"
        answer = self._session.request(method, url, timeout=30, **options)
        if not answer.ok:
            log = self.log_path.read_text()[-3000:] if answer.status_code >= 500 else ""
            raise ProductFailedError(f"{method} {path}: {answer.status_code} {answer.text[:500]}\n{log}")
        return answer

    def create(self, path: str, document: dict[str, Any]) -> int:
        """Create something; give its id."""
        return int(self.call("POST", path, json=document).headers["Location"].rpartition("/")[2])

    def cpu_seconds(self) -> float:
        """Give what all parts have used so far: web, workers, scheduler, Valkey, and PostgreSQL beside them."""
        return cpu_seconds([self.process.pid, *descendants(self.process.pid), *_postgres_pids()])

    def worker_pids(self) -> list[int]:
        """Give the worker's processes, the parent first."""
        return [pid for pid in descendants(self.process.pid) if "worker" in command_line(pid)[1:3]]


def _postgres_pids() -> list[int]:
    return [
        pid
        for pid in descendants(os.getpid())
        if (line := command_line(pid)) and Path(line[0].partition(":")[0]).name == "postgres"
    ]


@contextmanager
def running_product(source_url: str) -> Iterator[HarborSync]:
    """Run a product of its own with PostgreSQL and Valkey, and stop it."""
    with PostgresCluster() as cluster, TemporaryDirectory(prefix="harborsync-bench-") as name:
        directory = Path(name)
        port, password = free_port(), secrets.token_urlsafe(12)
        log_path = directory / "up.log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 (the product's own command)
                [
                    sys.executable,
                    "-m",
                    "harborsync.supervise.tether",
                    str(os.getpid()),
                    sys.executable,
                    str(MANAGE),
                    "up",
                    "--bind",
                    "127.0.0.1",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(directory, cluster.url, source_url, port=port, password=password),
                cwd=MANAGE.parent,
                start_new_session=True,
            )
        try:
            _wait_until_ready(process, log_path)
            yield HarborSync(port, source_url, log_path, process, password)
        finally:
            _stop(process)


def _environment(directory: Path, database_url: str, source_url: str, *, port: int, password: str) -> dict[str, str]:
    left_out = {*NOT_OURS, *(f"{name}_FILE" for name in NOT_OURS)}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {name: value for name, value in kept.items() if not name.startswith("HARBORSYNC_")} | {
        "PORT": str(port),
        "DATABASE_URL": database_url,
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "HARBORSYNC_DATA_DIR": str(directory / "data"),
        "HARBORSYNC_ADMIN_USERNAME": USERNAME,
        "HARBORSYNC_ADMIN_PASSWORD": password,
        "HARBORSYNC_LOCAL_REGISTRY_URL": source_url,
        "HARBORSYNC_LOCAL_REGISTRY_NOTIFICATION_TOKEN": NOTIFICATION_TOKEN,
        # A check in the middle of a run would be counted as the run's.
        "HARBORSYNC_HEALTH_CHECK_SECONDS": "86400",
    }


def _wait_until_ready(process: "subprocess.Popen[bytes]", log_path: Path) -> None:
    def is_ready() -> bool:
        return process.poll() is not None or b"HarborSync is ready" in log_path.read_bytes()

    if not wait_until(is_ready, seconds=START_SECONDS) or process.poll() is not None:
        raise ProductFailedError(f"HarborSync did not start:\n{log_path.read_text()[-3000:]}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
