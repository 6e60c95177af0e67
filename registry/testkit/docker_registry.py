"""A real registry: Docker's distribution as Debian packages it (`docker-registry`, 2.8), on a loopback port.

Configuration: distribution documentation, "Configuring a registry". It is written as JSON, which is YAML.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from registry.testkit.process import ServerProcess, accepts_connections, find_program, free_port

USERNAME = "robot"
PASSWORD = "Registry-Pass-1"  # noqa: S105 (only ever guards registries made here)
# The line `htpasswd -B` makes of the two above; distribution takes bcrypt only.
HTPASSWD = "robot:$2y$05$abcdefghijklmnopqrstuusBN5JVvK/IurSkiuUpK4caGNcjlTXuq\n"


@dataclass(kw_only=True)
class DockerRegistry:
    """`docker-registry serve` with its storage below `directory`; a stopped one starts again where it was.

    `with_password=True` asks for `USERNAME` and `PASSWORD` of this module by HTTP Basic. Notifications go to
    `notify_url` with `notify_headers`, each retried until it is taken.
    """

    directory: Path
    port: int = 0
    delete_enabled: bool = True
    with_password: bool = False
    notify_url: str = ""
    notify_headers: Mapping[str, str] = field(default_factory=dict)
    _process: ServerProcess | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Give its process id; 0 while it does not run."""
        return self._process.pid if self._process else 0

    @property
    def host(self) -> str:
        """Give host and port as they stand in references."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Give the registry's address."""
        return f"http://{self.host}"

    @property
    def username(self) -> str:
        """Give the user's name, or nothing where nobody is asked."""
        return USERNAME if self.with_password else ""

    @property
    def password(self) -> str:
        """Give the password, or nothing where nobody is asked."""
        return PASSWORD if self.with_password else ""

    @property
    def log(self) -> str:
        """Read the server's log."""
        return self._process.log if self._process else ""

    def configuration(self) -> dict[str, Any]:
        """Write down what the server is told."""
        configuration: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.directory / "storage")},
                "delete": {"enabled": self.delete_enabled},
            },
            "http": {"addr": self.host, "secret": "only-for-one-machine"},
        }
        if self.with_password:
            path = str(self.directory / "htpasswd")
            configuration["auth"] = {"htpasswd": {"realm": "HarborSync test", "path": path}}
        if self.notify_url:
            configuration["notifications"] = {"endpoints": [self._notification_endpoint()]}
        return configuration

    def _notification_endpoint(self) -> dict[str, Any]:
        return {
            "name": "harborsync",
            "url": self.notify_url,
            "headers": {name: [value] for name, value in self.notify_headers.items()},
            "timeout": "5s",
            "threshold": 3,
            "backoff": "1s",
        }

    def start(self) -> None:
        """Start on the port given, or on a free one that is kept from then on."""
        program = find_program("docker-registry", package="docker-registry")
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        path = self.directory / "config.yml"
        path.write_text(json.dumps(self.configuration(), indent=1))
        (self.directory / "htpasswd").write_text(HTPASSWD)
        self._process = ServerProcess(
            command=[program, "serve", str(path)],
            log_path=self.directory / "registry.log",
            is_ready=lambda: accepts_connections(self.port),
        )
        self._process.start()

    def stop(self) -> None:
        """Stop; the storage stays."""
        if self._process is not None:
            self._process.stop()

    @property
    def is_running(self) -> bool:
        """Say whether the server is alive."""
        return self._process is not None and self._process.is_running
