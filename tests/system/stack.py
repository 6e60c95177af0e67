"""The product as a user runs it (`manage.py up`), with two real registries beside it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import requests
from cryptography.fernet import Fernet

from registry.testkit.docker_registry import DockerRegistry
from registry.testkit.process import free_port
from registry.testkit.skopeo import Skopeo

ROOT = Path(__file__).resolve().parents[2]
USERNAME = "admin"
PASSWORD = "Correct-Horse-9"
TOKEN = "notification-token-of-the-tests"

Answer = TypeVar("Answer")


def wait_for(what: str, look: Callable[[], Answer], *, seconds: float = 60.0, every_seconds: float = 0.1) -> Answer:
    """Look until there is something to see, and give it; fail with what was waited for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(every_seconds)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


@dataclass
class Stack:
    """A running product and its registries."""

    directory: Path
    port: int
    source: DockerRegistry
    target: DockerRegistry
    skopeo: Skopeo = field(default_factory=Skopeo)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Give the address of the web application."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_path(self) -> Path:
        """Say where the product's output goes."""
        return self.directory / "up.log"

    def start(self, environment: dict[str, str]) -> None:
        """Start everything and wait until it answers."""
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--bind", "127.0.0.1"],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        wait_for("the product to be ready", self._is_ready, seconds=90)

    def _is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the product ended:\n{self.log_path.read_text()}")
        return "HarborSync is ready" in self.log_path.read_text()

    def stop(self) -> int:
        """Stop as Ctrl-C does and give the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=30)

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Call the API as the administrator; an answer that is no success fails the test."""
        answer = requests.request(
            method, f"{self.url}/api/v2.0{path}", auth=(USERNAME, PASSWORD), timeout=30, **options
        )
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def create(self, path: str, document: dict[str, Any]) -> int:
        """Create something and give its id."""
        return int(self.call("POST", path, json=document).headers["Location"].rsplit("/", 1)[1])

    def make_rule(self, name: str, **overrides: Any) -> int:
        """Create a target and a rule to it by the API; give the rule's id."""
        target_id = self.create(
            "/registries", {"name": f"{name}-target", "type": "docker-registry", "url": self.target.url}
        )
        policy = {
            "name": name,
            "src_registry": None,
            "dest_registry": {"id": target_id},
            "trigger": {"type": "manual"},
            "filters": [{"type": "name", "value": f"{name}/**"}],
            "enabled": True,
            "override": True,
            "dest_namespace_replace_count": 0,
            **overrides,
        }
        return self.create("/replication/policies", policy)

    def execute(self, rule_id: int) -> int:
        """Start a run; give its id."""
        return self.create("/replication/executions", {"policy_id": rule_id})

    def execution(self, execution_id: int) -> dict[str, Any]:
        """Read an execution."""
        return self.call("GET", f"/replication/executions/{execution_id}").json()

    def wait_for_end(self, execution_id: int, *, seconds: float = 120.0) -> dict[str, Any]:
        """Wait for an execution's final status; give it."""

        def ended() -> dict[str, Any] | None:
            found = self.execution(execution_id)
            return found if found["status"] != "InProgress" else None

        return wait_for(f"execution {execution_id} to end", ended, seconds=seconds)

    def executions_of(self, rule_id: int) -> list[dict[str, Any]]:
        """List a rule's executions, newest first."""
        return self.call("GET", f"/replication/executions?policy_id={rule_id}&page_size=100").json()

    def part_pids(self, name: str) -> list[int]:
        """Give the processes below the supervisor that run `manage.py NAME`, parents first."""
        assert self.process is not None
        return [pid for pid in descendants(self.process.pid) if f"manage.py\0{name}" in command_line(pid)]


def descendants(pid: int) -> Iterator[int]:
    """Give all processes below one, parents first (proc(5))."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield int(child)
            yield from descendants(int(child))


def command_line(pid: int) -> str:
    """Give a process's arguments, separated by NUL; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@contextmanager
def running_stack(directory: Path, **environment: str) -> Iterator[Stack]:
    """Run a product of its own: on SQLite, or in a database of its own where DATABASE_URL names a server."""
    port = free_port()
    notify = {"notify_url": f"http://127.0.0.1:{port}/service/notifications/{TOKEN}/"}
    with (
        database_url() as database,
        DockerRegistry(directory=directory / "source", **notify) as source,
        DockerRegistry(directory=directory / "target") as target,
    ):
        stack = Stack(directory, port, source, target)
        stack.start(
            {
                "PORT": str(port),
                "HARBORSYNC_DATA_DIR": str(directory / "data"),
                "HARBORSYNC_ADMIN_USERNAME": USERNAME,
                "HARBORSYNC_ADMIN_PASSWORD": PASSWORD,
                "HARBORSYNC_LOCAL_REGISTRY_URL": source.url,
                "HARBORSYNC_LOCAL_REGISTRY_NOTIFICATION_TOKEN": TOKEN,
                "HARBORSYNC_RETRY_CAP_SECONDS": "3",
                "SECRET_KEY": "only-for-tests-" * 4,
                "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
                "DATABASE_URL": database,
                **environment,
            }
        )
        try:
            yield stack
        finally:
            stack.stop()


@contextmanager
def database_url() -> Iterator[str]:
    """Make a database for one product and drop it afterwards; empty (SQLite in the data directory) without a server."""
    server = os.environ.get("DATABASE_URL", "")
    if not server.startswith("postgres"):
        yield ""
        return
    base, _, _ = server.rpartition("/")
    name = f"stack_{os.getpid()}_{free_port()}"
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"{base}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
