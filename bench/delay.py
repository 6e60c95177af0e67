"""A link with a round-trip time: a TCP proxy that holds every byte back for half of it, whatever the throughput."""

import asyncio
import socket
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

BLOCK_BYTES = 1 << 18
# What may be under way in one direction: 64 MiB every 15 ms is more than loopback carries.
BLOCKS_UNDER_WAY = 256


@dataclass(kw_only=True)
class DelayingProxy:
    """Listens on a free loopback port and passes on to another.

    A connection is accepted at once; its handshake costs no round trip here, as it would on a real link.
    """

    target_port: int
    round_trip_seconds: float
    port: int = field(default=0, init=False)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="delaying-proxy", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def host(self) -> str:
        """Give host and port as they stand in references."""
        return f"127.0.0.1:{self.port}"

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._connect, "127.0.0.1", 0, limit=BLOCK_BYTES, backlog=256)

    async def _close(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target_port, limit=BLOCK_BYTES)
        for end in (writer, there_writer):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.gather(self._carry(reader, there_writer), self._carry(there_reader, writer))
        except asyncio.CancelledError:
            # The proxy closes; asyncio would log the cancellation of each open connection as an error.
            return
        finally:
            for end in (writer, there_writer):
                end.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on one direction, and its end."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(BLOCKS_UNDER_WAY)
        delivery = asyncio.create_task(self._deliver(under_way, writer))
        try:
            while True:
                block = await reader.read(BLOCK_BYTES)
                await under_way.put((self._loop.time() + self.round_trip_seconds / 2, block))
                if not block:
                    break
            await delivery
        except ConnectionError:
            writer.close()
        finally:
            delivery.cancel()

    async def _deliver(self, under_way: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                due, block = await under_way.get()
                await asyncio.sleep(max(due - self._loop.time(), 0))
                if not block:
                    writer.write_eof()
                    return
                writer.write(block)
                await writer.drain()
        except (ConnectionError, RuntimeError):
            writer.close()
