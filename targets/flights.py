"""Claims on blobs that this process holds, renewed while it lives: whoever dies loses them as it loses its rows."""

import os
import threading
from collections.abc import Iterable

from django.conf import settings

from targets.limits.broker import Broker

_RENEW = """
for i = 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[i + 1] then redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
end
"""


def flight_milliseconds() -> int:
    """Return how long a claim holds that nobody renews: as long as the lease of a row."""
    return int(settings.LEASE_SECONDS * 1000)


class Flights:
    """Follows claims and renews them in a thread of its own, which is there only while there are any."""

    def __init__(self) -> None:
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        self._ended = threading.Condition(lock)
        self._held: dict[str, tuple[Broker, str]] = {}
        self._thread: threading.Thread | None = None

    def follow(self, broker: Broker, keys: Iterable[str], token: str) -> None:
        """Renew these claims from now on."""
        with self._changed:
            self._held.update((key, (broker, token)) for key in keys)
            if self._held and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="flights", daemon=True)
                self._thread.start()

    def leave(self, keys: Iterable[str]) -> None:
        """Renew these no more."""
        with self._changed:
            for key in keys:
                self._held.pop(key, None)
            self._ended.notify_all()

    def await_end(self, key: str, seconds: float) -> None:
        """Wait until this process holds a claim no more; all of the time for one that it does not hold."""
        with self._ended:
            is_held_here = key in self._held
            self._ended.wait_for(lambda: is_held_here and key not in self._held, seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait(flight_milliseconds() / 3000)
                if not self._held:
                    self._thread = None
                    return
                held = dict(self._held)
            for broker in {broker for broker, _ in held.values()}:
                broker.run(
                    _RENEW,
                    keys=[key for key, (owner, _) in held.items() if owner is broker],
                    arguments=[flight_milliseconds(), *(token for owner, token in held.values() if owner is broker)],
                    otherwise=None,
                )


flights = Flights()


def _forget_in_child() -> None:
    """In a forked child: the claims are the parent's, and its thread is not here."""
    flights.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_forget_in_child)
