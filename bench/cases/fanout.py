"""One image to three targets by one rule; the other tools copy three times, one after another."""

from bench.arena import Arena
from bench.content import make_image, publish
from bench.contest import Scores, compete
from bench.results import OURS, Outcome, Row, compare, count_requests

CASE = "fanout-3"
TARGETS = 3
LAYERS = 4
LAYER_BYTES = 64 << 20


def three_targets(arena: Arena) -> Outcome:
    """An image of 256 MiB in 4 layers. The source's bytes are what its registry says it sent."""
    image = make_image([arena.scale.bytes(LAYER_BYTES)] * LAYERS, CASE)
    published = publish(arena.source.host, "bench/fanout-3", [("v1", image)])
    lanes = arena.fresh_lanes(published, tag="v1", targets=TARGETS)
    scores = compete(lanes, arena.contestants, runs=arena.runs)
    rows = [
        _source_bytes(scores, OURS, published.size_bytes, limit=1.0),
        *(_source_bytes(scores, rival.name, published.size_bytes) for rival in arena.rivals),
        *compare(CASE, scores, {"crane": 0.6}),
        *count_requests(CASE, scores),
    ]
    return Outcome(rows, {"new": scores})


def _source_bytes(scores: Scores, name: str, size_bytes: int, limit: float | None = None) -> Row:
    sent_bytes = scores.median(name, lambda measurement: measurement.source.sent_bytes)
    found = sent_bytes / size_bytes if sent_bytes is not None else None
    return Row(CASE, f"bytes read from the source by {name}, of the image's", found, limit)
