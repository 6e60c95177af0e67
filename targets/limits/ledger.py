"""What all workers know together about one registry and account: kept in Redis, changed by scripts as a whole.

Spans of time are told by Redis's own clock, so that the machines' clocks need not agree.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from redis import Redis

from registry.gate import Lane
from registry.ratelimits import Pause
from targets.limits.broker import Broker

# How old the knowledge of a pause may be: so long a registry may be asked after another process was told off.
FRESH_SECONDS = 1.0
# A connection that moved nothing for so long counts no more: its worker is dead, or waits for something else.
LEASE_SECONDS = 60
# Together up to this much more than the rate at once, so that short waits do not cost throughput.
TOLERANCE_SECONDS = 0.2
# Work that was sent away comes back at half the rate of requests, one after another, and never later than this.
REQUESTS_PER_RETURN = 2
LONGEST_RETURN_SECONDS = 60

_REMEMBER_PAUSE = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
end
"""

# The token bucket as a clock (generic cell rate algorithm, ITU-T I.371): KEYS[1] is the time up to which the rate is
# spoken for. Returns the milliseconds to wait for the turn that is now reserved; when they are more than ARGV[4],
# nothing is reserved and the answer is minus the milliseconds to stay away, by the queue of those sent away (KEYS[2]).
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local cost, tolerance, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local spoken_for = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local wait = math.max(0, spoken_for - tolerance - now)
if longest >= 0 and wait > longest then
  local latest = now + tonumber(ARGV[5])
  local back = math.max(tonumber(redis.call('GET', KEYS[2]) or '0'), now + wait) + tonumber(ARGV[4])
  back = math.min(back, latest)
  redis.call('SET', KEYS[2], string.format('%.3f', back), 'PX', math.ceil(back - now) + 1000)
  return -math.ceil(back - now)
end
local till = spoken_for + cost
redis.call('SET', KEYS[1], string.format('%.3f', till), 'PX', math.ceil(till - now) + 1000)
return math.ceil(wait)
"""

# KEYS: the connections in use by lane; ARGV: the lane's place in KEYS, id, life in ms, most in all, blobs, uploads.
_LEASE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local used = {}
for place = 1, 3 do
  redis.call('ZREMRANGEBYSCORE', KEYS[place], '-inf', now)
  used[place] = redis.call('ZCARD', KEYS[place])
end
local lane = tonumber(ARGV[1])
local is_free = used[1] + used[2] + used[3] < tonumber(ARGV[4])
if lane >= 2 then is_free = is_free and used[2] + used[3] < tonumber(ARGV[5]) end
if lane == 3 then is_free = is_free and used[3] < tonumber(ARGV[6]) end
if not is_free then return 0 end
redis.call('ZADD', KEYS[lane], now + tonumber(ARGV[3]), ARGV[2])
redis.call('PEXPIRE', KEYS[lane], ARGV[3])
return 1
"""

_RENEW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

_LANES = (Lane.SMALL, Lane.DOWNLOAD, Lane.UPLOAD)


class Ledger:
    """The shared state under one name. Where Redis is away, every answer is "go on", but for bytes."""

    def __init__(
        self,
        name: str,
        broker: Broker,
        *,
        lease_seconds: float = LEASE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._lease_milliseconds = int(lease_seconds * 1000)
        self._broker = broker
        self._clock = clock
        self._looked_at = -FRESH_SECONDS
        self._paused_until = 0.0
        self._why = ""
        self._alone: dict[str, float] = {}
        self._lock = threading.Lock()

    def beside(self, what: str) -> "Ledger":
        """Return the state of something that is counted by itself, under a name of its own."""
        return Ledger(f"{self._name}:{what}", self._broker, clock=self._clock)

    def pause(self) -> Pause | None:
        """Return what is left of the registry's pause. Costs a round trip once a second at most."""
        now = self._clock()
        if now - self._looked_at >= FRESH_SECONDS:
            self._looked_at = now  # first: the other threads go on with what is known
            self._look(now)
        left_seconds = self._paused_until - now
        return Pause(left_seconds, self._why) if left_seconds > 0 else None

    def remember(self, pause: Pause) -> None:
        """Have all workers keep away for a while; a longer pause is not cut short."""
        self._learn(self._clock() + pause.seconds, pause.why)
        milliseconds = max(int(pause.seconds * 1000), 1)
        self._broker.run(
            _REMEMBER_PAUSE, keys=[self._key("pause")], arguments=[milliseconds, pause.why], otherwise=None
        )

    def take_turn(self, *, requests_per_second: int, longest_wait_seconds: float | None) -> float:
        """Return the seconds to wait for the turn that is now ours; below zero: how long to stay away instead."""
        cost_ms = 1000 / requests_per_second
        longest_ms = -1 if longest_wait_seconds is None else longest_wait_seconds * 1000
        return float(self._take("requests", cost_ms, longest_ms, otherwise=0)) / 1000

    def take_bytes(self, size_bytes: int, *, bytes_per_second: float) -> float:
        """Return the seconds to wait until these bytes may pass.

        Each rate has a count of its own: what was reserved at another one says nothing about this one. Without Redis
        this process keeps the rate by itself.
        """
        seconds, what = size_bytes / bytes_per_second, f"bytes:{bytes_per_second:.0f}"
        answer_ms = self._take(what, seconds * 1000, -1, otherwise=None)
        return self._take_alone(what, seconds) if answer_ms is None else float(answer_ms) / 1000

    def _take_alone(self, what: str, seconds: float) -> float:
        with self._lock:
            now = self._clock()
            spoken_for = max(self._alone.get(what, now), now)
            self._alone[what] = spoken_for + seconds
        return max(0.0, spoken_for - TOLERANCE_SECONDS - now)

    def lease(self, lane: Lane, lease_id: str, *, connections: int) -> bool:
        """Take one of the connections, if one is free for this lane. It is ours until released or not renewed."""
        blobs = connections if connections <= 2 else connections - 1
        uploads = max(blobs - 1, 1)
        taken = self._broker.run(
            _LEASE,
            keys=[self._key(each.value) for each in _LANES],
            arguments=[_LANES.index(lane) + 1, lease_id, self._lease_milliseconds, connections, blobs, uploads],
            otherwise=1,
        )
        return bool(taken)

    def renew(self, lane: Lane, lease_id: str) -> None:
        """Say that something still moves on a connection."""
        self._broker.run(
            _RENEW, keys=[self._key(lane.value)], arguments=[lease_id, self._lease_milliseconds], otherwise=None
        )

    def release(self, lane: Lane, lease_id: str) -> None:
        """Give a connection back."""
        self._broker.ask(lambda redis: redis.zrem(self._key(lane.value), lease_id), None)

    def _key(self, what: str) -> str:
        return f"{self._name}:{what}"

    def _take(self, what: str, cost_ms: float, longest_ms: float, *, otherwise: int | None) -> Any:
        return_ms = cost_ms * REQUESTS_PER_RETURN
        return self._broker.run(
            _TAKE,
            keys=[self._key(what), self._key(f"{what}:returns")],
            arguments=[cost_ms, TOLERANCE_SECONDS * 1000, longest_ms, return_ms, LONGEST_RETURN_SECONDS * 1000],
            otherwise=otherwise,
        )

    def _look(self, now: float) -> None:
        milliseconds, why = self._broker.ask(self._read_pause, (0, ""))
        if milliseconds > 0:
            self._learn(now + milliseconds / 1000, why)

    def _read_pause(self, redis: Redis) -> tuple[int, str]:
        key = self._key("pause")
        both = redis.pipeline(transaction=False)
        both.pttl(key)
        both.get(key)
        milliseconds, why = both.execute()
        return (int(milliseconds), str(why)) if why else (0, "")

    def _learn(self, until: float, why: str) -> None:
        if until > self._paused_until:
            self._paused_until, self._why = until, why
