"""What all workers know together about a registry's content, kept in Redis (``registry.copying.memory``).

It is a memory, not a truth: it forgets after an hour without use, and everything goes on, with more requests, where
Redis is away or was emptied.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence

from redis import Redis

from registry.copying import Found, Standing
from targets.flights import flight_milliseconds, flights
from targets.limits.broker import Broker

# A repository's content is believed so long after it was last heard of: time enough for a run, and for the next push.
KEEP_SECONDS = 3600
# Where else a blob may be is only a hint, which the mount proves or refutes.
HINT_SECONDS = 24 * 3600
# The member that says: nothing is in the repository but what is in this set.
WHOLE = "*"

_STANDINGS = {
    "P": Standing.PRESENT,
    "E": Standing.ELSEWHERE,
    "A": Standing.ABSENT,
    "U": Standing.UNKNOWN,
}

# KEYS: the repository's set; for each digest its hint; for each digest its flight. ARGV: token, ms, digests.
# Answers for each digest one letter, followed by the repository that may have it.
_CLAIM = """
local is_whole = redis.call('SISMEMBER', KEYS[1], '*') == 1
local count = #ARGV - 2
local answers = {}
for i = 1, count do
  if redis.call('SISMEMBER', KEYS[1], ARGV[2 + i]) == 1 then
    answers[i] = 'P'
  elseif not redis.call('SET', KEYS[1 + count + i], ARGV[1], 'NX', 'PX', ARGV[2]) then
    answers[i] = 'E'
  else
    answers[i] = (is_whole and 'A' or 'U') .. (redis.call('GET', KEYS[1 + i]) or '')
  end
end
return answers
"""

# KEYS as above. ARGV: token, seconds to keep, seconds for hints, repository, number of blobs, blobs, manifests.
_LANDED = """
local count = tonumber(ARGV[5])
for i = 1, count do
  redis.call('SET', KEYS[1 + i], ARGV[4], 'EX', ARGV[3])
  if redis.call('GET', KEYS[1 + count + i]) == ARGV[1] then redis.call('DEL', KEYS[1 + count + i]) end
end
redis.call('SADD', KEYS[1], unpack(ARGV, 6))
redis.call('EXPIRE', KEYS[1], ARGV[2])
"""

_RELEASE = """
for i = 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[1] then redis.call('DEL', KEYS[i]) end
end
"""


class SharedMemory:
    """The memory of one registry's blobs and manifests. Make one often: it holds on to a little of what it was told."""

    def __init__(self, name: str, broker: Broker) -> None:
        self._name = name
        self._broker = broker
        self._token = secrets.token_hex(8)
        self._whole: set[str] = set()
        self._manifests: set[tuple[str, str]] = set()

    def claim(self, repository: str, digests: Sequence[str]) -> Mapping[str, Found]:
        """Return how each blob stands, and take those that nobody else is putting. One round trip."""
        if not digests:
            return {}
        keys = [self._set_of(repository), *map(self._hint_of, digests), *map(self._flight_of, digests)]
        answers = self._broker.run(
            _CLAIM, keys=keys, arguments=[self._token, flight_milliseconds(), *digests], otherwise=["U"] * len(digests)
        )
        found = {digest: _found(answer, repository) for digest, answer in zip(digests, answers, strict=True)}
        taken = [self._flight_of(digest) for digest, each in found.items() if each.is_ours_to_put]
        flights.follow(self._broker, taken, self._token)
        return found

    def landed(self, repository: str, blobs: Collection[str], manifests: Collection[str] = ()) -> None:
        """Remember that the repository has these. One round trip."""
        keys = [self._set_of(repository), *map(self._hint_of, blobs), *map(self._flight_of, blobs)]
        arguments = [self._token, KEEP_SECONDS, HINT_SECONDS, repository, len(blobs), *blobs, *manifests]
        self._broker.run(_LANDED, keys=keys, arguments=arguments, otherwise=None)
        flights.leave(map(self._flight_of, blobs))
        self._manifests.update((repository, digest) for digest in manifests)

    def release(self, digests: Collection[str]) -> None:
        """Give claims up. One round trip."""
        keys = [self._flight_of(digest) for digest in digests]
        if keys:
            self._broker.run(_RELEASE, keys=keys, arguments=[self._token], otherwise=None)
            flights.leave(keys)

    def await_end(self, digest: str, seconds: float) -> None:
        """Wait for the end of a claim: of this process to the moment, of another just so long. No round trip."""
        flights.await_end(self._flight_of(digest), seconds)

    def has_manifest(self, repository: str, digest: str) -> bool | None:
        """Answer whether the repository has the manifest, None when that is not known. One round trip at most."""
        if (repository, digest) in self._manifests:
            return True
        if repository in self._whole:
            return False  # perhaps another worker has brought it since: then its blobs turn out to be there
        members = [digest, WHOLE]
        unknown: Sequence[int] = (0, 0)
        key = self._set_of(repository)
        is_there, is_whole = self._broker.ask(lambda redis: redis.smismember(key, members), unknown)
        if is_whole:
            self._whole.add(repository)
        if is_there:
            return True
        return False if is_whole else None

    def begin(self, repository: str) -> None:
        """Remember that the repository is new: whatever will be in it is told here."""
        self._add(repository, WHOLE)

    def forget(self, repository: str) -> None:
        """Believe nothing of it any more."""
        self._whole.discard(repository)
        self._manifests = {(name, digest) for name, digest in self._manifests if name != repository}
        self._broker.ask(lambda redis: redis.delete(self._set_of(repository)), None)

    def _add(self, repository: str, member: str) -> None:
        key = self._set_of(repository)

        def add(redis: Redis) -> None:
            both = redis.pipeline(transaction=False)
            both.sadd(key, member)
            both.expire(key, KEEP_SECONDS)
            both.execute()

        self._broker.ask(add, None)

    def _set_of(self, repository: str) -> str:
        return f"{self._name}:has:{repository}"

    def _hint_of(self, digest: str) -> str:
        return f"{self._name}:where:{digest}"

    def _flight_of(self, digest: str) -> str:
        return f"{self._name}:flight:{digest}"


def _found(answer: str, repository: str) -> Found:
    """Return what an answer of the claiming script says; a hint at the repository itself is out of date."""
    mount_from = answer[1:]
    return Found(_STANDINGS[answer[0]], "" if mount_from == repository else mount_from)
