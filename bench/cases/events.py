"""From a registry's notification to the digest at the target, beside a bare copy of the same kind of image.

The benchmark sends the notification itself, in the registry's place: a registry sends it when it likes, and that is not
ours to measure. The bare copy is our own engine called directly, on warm connections: the strictest measure there is.
"""

import http.client
import time
import uuid
from collections.abc import Callable
from statistics import median

from bench.arena import Arena
from bench.content import Artifact, Published, make_image, publish
from bench.contest import Effort, Measurement, Scores, Work
from bench.processes import children_cpu_seconds
from bench.product import HarborSync, ProductFailedError
from bench.registries import ACCEPT, Wire, fresh_registry, verify
from bench.results import OURS, Outcome, Row
from registry import Connection, CopySource, CopyTarget, RegistryClient, RegistrySettings, copy_artifact
from registry.testkit.docker_registry import DockerRegistry
from registry.testkit.images import OCI_MANIFEST
from registry.testkit.process import wait_until

CASE = "event-latency"
PREFIX = "bench-events"
LAYER_BYTES = 16 << 10
LIMIT_MILLISECONDS = 150
# One sample is quick and scatters: many cost nothing.
SAMPLES_PER_RUN = 6
LOOK_EVERY_SECONDS = 0.002
LIMIT_SECONDS = 60.0
BARE = "bare copy"


def notification_to_digest(arena: Arena) -> Outcome:
    """One small image per sample, each in a repository of its own; the product is idle before each."""
    scores = Scores()
    with fresh_registry(arena.workshop) as target:
        work = Work(arena.source.host, (target.host,), f"{PREFIX}/**")
        rule_id = arena.product.create_rule(work, trigger="event_based")
        source = RegistryClient(Connection(RegistrySettings(arena.source.url)))
        there = RegistryClient(Connection(RegistrySettings(target.url)))
        for number in range(arena.runs * SAMPLES_PER_RUN):
            event = _publish(arena, f"{PREFIX}/app{number}")
            scores.add(OURS, _measured(lambda event=event: _replicate(arena.product, target, event)))
            verify(target, event)
            wait_until(lambda: _is_idle(arena.product, rule_id), seconds=LIMIT_SECONDS)
            bare = _publish(arena, f"bare/app{number}")
            scores.add(BARE, _measured(lambda bare=bare: _copy(source, there, bare)))
            verify(target, bare)
    ours, theirs = _milliseconds(scores, OURS), _milliseconds(scores, BARE)
    rows = [
        Row(CASE, "from notification to digest, over the bare copy", ours - theirs, LIMIT_MILLISECONDS, unit="ms"),
        Row(CASE, "from notification to digest, against the bare copy", ours / theirs),
    ]
    return Outcome(rows, {"events": scores})


def _publish(arena: Arena, repository: str) -> Published:
    image: Artifact = make_image([LAYER_BYTES], repository)
    return publish(arena.source.host, repository, [("v1", image)])


def _measured(run: Callable[[], None]) -> Measurement:
    """Measure one sample's time; CPU and requests of such small work drown in what else goes on."""
    cpu_before = children_cpu_seconds()
    begun_at = time.perf_counter()
    run()
    return Measurement(Effort(time.perf_counter() - begun_at, children_cpu_seconds() - cpu_before), Wire(), Wire())


def _replicate(product: HarborSync, target: DockerRegistry, published: Published) -> None:
    """Send the notification and look at the target until the digest is there."""
    product.notify(_envelope(published))
    looking = http.client.HTTPConnection("127.0.0.1", target.port, timeout=10)
    deadline = time.monotonic() + LIMIT_SECONDS
    while _digest(looking, published.repository) != published.digests["v1"]:
        if time.monotonic() > deadline:
            raise ProductFailedError(f"{published.repository} did not arrive within {LIMIT_SECONDS:.0f} s")
        time.sleep(LOOK_EVERY_SECONDS)
    looking.close()


def _digest(looking: http.client.HTTPConnection, repository: str) -> str | None:
    looking.request("HEAD", f"/v2/{repository}/manifests/v1", headers={"Accept": ACCEPT})
    answer = looking.getresponse()
    answer.read()
    return answer.headers.get("Docker-Content-Digest") if answer.status == http.HTTPStatus.OK else None


def _envelope(published: Published) -> dict[str, object]:
    """Write what a registry writes (distribution documentation, "Work with notifications")."""
    target = {
        "mediaType": OCI_MANIFEST,
        "digest": published.digests["v1"],
        "repository": published.repository,
        "tag": "v1",
    }
    event = {"id": str(uuid.uuid4()), "action": "push", "target": target, "request": {"useragent": "skopeo/1"}}
    return {"events": [event]}


def _copy(source: RegistryClient, target: RegistryClient, published: Published) -> None:
    repository, digest = published.repository, published.digests["v1"]
    copy_artifact(CopySource(source, repository, digest), [CopyTarget(target, repository, ("v1",))])


def _is_idle(product: HarborSync, rule_id: int) -> bool:
    found = product.call("GET", f"/replication/executions?policy_id={rule_id}&status=InProgress").json()
    return not found


def _milliseconds(scores: Scores, name: str) -> float:
    return 1000 * median(run.effort.seconds for run in scores.runs[name])
