"""HarborSync itself, started the way `make run` starts it, with everything of its own in a fresh directory."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harborsync.demo.harborsync_api import HarborSyncApi

START_SECONDS = 90.0
STOP_SECONDS = 12.0
# What may stand in the environment of whoever calls, and is not meant for the demonstration.
NOT_OURS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "EXTERNAL_URL", "ALLOWED_HOSTS", "DEBUG")


class ProductFailedError(RuntimeError):
    """HarborSync did not start; the text is the end of its log."""


@dataclass(frozen=True)
class Product:
    """Where the demonstration's HarborSync runs, and how to log in."""

    directory: Path
    port: int
    local_registry_url: str
    username: str = "admin"
    password: str = field(default_factory=lambda: f"Demo-{secrets.token_urlsafe(6)}")
    notification_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def url(self) -> str:
        """Give its address."""
        return f"http://localhost:{self.port}"

    @property
    def notify_url(self) -> str:
        """Give the address to which the local registry sends its notifications."""
        return f"http://127.0.0.1:{self.port}/service/notifications/{self.notification_token}/"

    @property
    def api(self) -> HarborSyncApi:
        """Give a client of its API."""
        return HarborSyncApi(f"http://127.0.0.1:{self.port}", self.username, self.password)

    @property
    def log_path(self) -> Path:
        """Give the file that everything it prints goes to."""
        return self.directory / "demo.log"

    def environment(self) -> dict[str, str]:
        """Give the environment it runs in."""
        left_out = {*NOT_OURS, *(f"{name}_FILE" for name in NOT_OURS)}
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in left_out and not name.startswith("HARBORSYNC_")
        }
        return kept | {
            "PORT": str(self.port),
            "HARBORSYNC_DATA_DIR": str(self.directory),
            "HARBORSYNC_ADMIN_USERNAME": self.username,
            "HARBORSYNC_ADMIN_PASSWORD": self.password,
            "HARBORSYNC_LOCAL_REGISTRY_URL": self.local_registry_url,
            "HARBORSYNC_LOCAL_REGISTRY_NOTIFICATION_TOKEN": self.notification_token,
            "HARBORSYNC_WORKER_PROCESSES": "2",
        }


@contextmanager
def run_product(product: Product, *, manage: Path) -> Iterator[None]:
    """Run HarborSync until the block ends. Raises ProductFailedError."""
    command = [sys.executable, "-m", "harborsync.supervise.tether", str(os.getpid())]
    command += [sys.executable, str(manage), "up", "--bind", "127.0.0.1"]
    product.directory.mkdir(parents=True, exist_ok=True)
    with product.log_path.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 (the product's own command)
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=product.environment(),
            cwd=manage.parent,
            start_new_session=True,
        )
    try:
        _wait_until_up(product, process)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_up(product: Product, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not product.api.is_up():
        if process.poll() is not None or time.monotonic() > deadline:
            end = product.log_path.read_text(errors="replace")[-3000:]
            raise ProductFailedError(f"HarborSync did not start. The end of its log:\n{end}")
        time.sleep(0.2)
