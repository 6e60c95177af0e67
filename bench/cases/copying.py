"""New content: one large image, many tags, and many tags over a slow link."""

from bench.arena import Arena
from bench.content import make_image, make_tags, publish
from bench.contest import compete
from bench.results import Outcome, compare, count_requests

MEBIBYTE = 1 << 20
LAYERS = 4
LAYER_BYTES = 256 * MEBIBYTE
BASE_BYTES = 20 * MEBIBYTE
OWN_LAYER_BYTES = 16 << 10
SMALL_BASE_BYTES = 64 << 10
ROUND_TRIP_SECONDS = 0.030


def one_large_image(arena: Arena) -> Outcome:
    """One image of 1 GiB in 4 layers."""
    image = make_image([arena.scale.bytes(LAYER_BYTES)] * LAYERS, "image-1g")
    published = publish(arena.source.host, "bench/image-1g", [("v1", image)])
    scores = compete(arena.fresh_lanes(published, tag="v1"), arena.contestants, runs=arena.runs)
    rows = compare("image-1g", scores, {"crane": 0.9, "skopeo": 0.6})
    return Outcome([*rows, *count_requests("image-1g", scores)], {"new": scores})


def many_tags(arena: Arena) -> Outcome:
    """200 images, each with a small layer of its own, that share a base of 20 MiB."""
    images = make_tags(
        arena.scale.tags(200),
        "tags-200-new",
        base_bytes=arena.scale.bytes(BASE_BYTES),
        layer_bytes=OWN_LAYER_BYTES,
    )
    published = publish(arena.source.host, "bench/tags-200-new", images)
    scores = compete(arena.fresh_lanes(published), arena.contestants, runs=arena.runs)
    rows = compare("tags-200-new", scores, {"crane": 1.0, "skopeo": 0.25})
    return Outcome([*rows, *count_requests("tags-200-new", scores)], {"new": scores})


def slow_link(arena: Arena) -> Outcome:
    """300 small images to a target that is 30 ms away; they share a base as images do, of little size."""
    images = make_tags(arena.scale.tags(300), "latency-30ms", base_bytes=SMALL_BASE_BYTES, layer_bytes=OWN_LAYER_BYTES)
    published = publish(arena.source.host, "bench/latency-30ms", images)
    lanes = arena.fresh_lanes(published, round_trip_seconds=ROUND_TRIP_SECONDS)
    scores = compete(lanes, arena.contestants, runs=arena.runs)
    rows = compare("latency-30ms", scores, {"crane": 1.0, "skopeo": 0.3})
    return Outcome([*rows, *count_requests("latency-30ms", scores)], {"new": scores})
