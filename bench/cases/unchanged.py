"""Runs that find nothing to do, which is what most runs of a schedule are."""

from bench.arena import Arena
from bench.content import make_tags, publish
from bench.contest import compete_in_kept_lanes
from bench.results import Outcome, compare, count_requests

# The list of tags on both sides, and one page more on each where a registry does not say that there is none.
LISTING_REQUESTS = 4


def two_thousand_tags(arena: Arena) -> Outcome:
    """2,000 tags, each another image, all at the target already."""
    return _unchanged(arena, "tags-2000-unchanged", 2000, {"crane": 1.0, "skopeo": 0.1})


def two_hundred_tags(arena: Arena) -> Outcome:
    """200 tags, all at the target already."""
    return _unchanged(arena, "tags-200-unchanged", 200, {"crane": 1.5, "skopeo": 0.1})


def _unchanged(arena: Arena, case: str, tags: int, limits: dict[str, float]) -> Outcome:
    count = arena.scale.tags(tags)
    published = publish(arena.source.host, f"bench/{case}", make_tags(count, case))
    with arena.kept_lanes(published) as lanes:
        scores = compete_in_kept_lanes(lanes, runs=arena.runs)
    requests = count_requests(case, scores, limit=count + LISTING_REQUESTS)
    return Outcome([*compare(case, scores, limits), *requests], {"unchanged": scores})
