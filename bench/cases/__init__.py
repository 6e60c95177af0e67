"""The cases, by name, in the order of the table."""

from collections.abc import Callable, Mapping

from bench.arena import Arena
from bench.cases import copying, events, fanout, index, memory, unchanged
from bench.results import Outcome

CASES: Mapping[str, Callable[[Arena], Outcome]] = {
    "image-1g": copying.one_large_image,
    "tags-200-new": copying.many_tags,
    "tags-2000-unchanged": unchanged.two_thousand_tags,
    "tags-200-unchanged": unchanged.two_hundred_tags,
    "index-8": index.eight_platforms,
    "fanout-3": fanout.three_targets,
    "latency-30ms": copying.slow_link,
    "memory": memory.large_blob,
    "event-latency": events.notification_to_digest,
}
