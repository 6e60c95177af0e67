"""One multi-platform image, new and unchanged: a matter of requests."""

from bench.arena import Arena
from bench.content import PLATFORMS, make_index, publish
from bench.contest import compete, compete_in_kept_lanes
from bench.results import Outcome, compare, count_requests

CASE = "index-8"
LAYER_BYTES = 64 << 10
LISTING_REQUESTS = 1


def eight_platforms(arena: Arena) -> Outcome:
    """An index over 8 platforms, B blobs: unchanged 1 request, new 2 + 3B, and 2 for each child's manifest.

    The list of the repository's tags is one request more in either. Fewer than that the protocol does not allow: a
    manifest is got and put, a blob is got, and its upload begun and ended.
    """
    published = publish(arena.source.host, "bench/index-8", [("v1", make_index(LAYER_BYTES, CASE))])
    new = compete(arena.fresh_lanes(published, tag="v1"), arena.contestants, runs=arena.runs)
    with arena.kept_lanes(published, tag="v1") as lanes:
        unchanged = compete_in_kept_lanes(lanes, runs=arena.runs)
    least = LISTING_REQUESTS + 2 + 2 * len(PLATFORMS) + 3 * published.blob_count
    rows = [
        *count_requests(CASE, new, limit=least, what="new"),
        *count_requests(CASE, unchanged, limit=LISTING_REQUESTS + 1, what="unchanged"),
        *compare(CASE, new, {}, what="new"),
        *compare(CASE, unchanged, {}, what="unchanged"),
    ]
    return Outcome(rows, {"new": new, "unchanged": unchanged})
