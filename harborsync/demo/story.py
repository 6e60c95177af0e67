"""The story that the demonstration tells: Harbor's classic walk through a replication."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harborsync.demo.harborsync_api import HarborSyncApi
from harborsync.demo.image import make_image
from harborsync.demo.product import Product
from harborsync.demo.progress import MEBIBYTE, ProgressBar
from harborsync.demo.registries import RegistryPair, push_image, read_digest

PROJECT = "test"
REFERENCE = "test/docker-test:latest"
# Slow enough to be watched.
MEGABITS_PER_SECOND = 200
NOTICE_SECONDS = 30.0
ARRIVE_SECONDS = 180.0
POLL_SECONDS = 0.2


class StoryFailedError(RuntimeError):
    """The image did not arrive; the text says why."""


@dataclass(frozen=True)
class Ending:
    """How the story ended."""

    execution_id: int
    source_digest: str
    target_digest: str

    @property
    def is_good(self) -> bool:
        """Say whether both registries hold the same image."""
        return self.source_digest == self.target_digest


def tell_story(product: Product, registries: RegistryPair, say: Callable[[str], None]) -> Ending:
    """Set up project, target and rule, push, watch, compare. Raises StoryFailedError and what the API raises."""
    api = product.api
    target_id = api.create_registry(name="target", url=registries.target.url)
    say(f"Target created       target -> {registries.target.url}")
    api.create_project(PROJECT)
    say(f"Project created      {PROJECT}")
    rule_id = api.create_rule(
        name="test-to-target", project=PROJECT, target_id=target_id, megabits_per_second=MEGABITS_PER_SECOND
    )
    say(f"Rule created         {PROJECT}/** -> target, on every push (at most {MEGABITS_PER_SECOND} Mbit/s)")
    image = make_image()
    size_bytes = sum(content.size_bytes for content in image.blobs.values())
    pushed_by = push_image(registries.source, REFERENCE, image)
    say(
        f"Image pushed         {REFERENCE}, {size_bytes / MEBIBYTE:.1f} MiB in {len(image.blobs)} blobs, by {pushed_by}"
    )
    execution = _wait_for_execution(api, rule_id)
    say(f"Replication started  execution {execution['id']}, by the registry's notification")
    execution = _watch(api, int(execution["id"]))
    if execution["status"] != "Succeed":
        log = api.logs(execution["id"])
        raise StoryFailedError(f"the execution ended as {execution['status']}: {execution['status_text']}\n{log}")
    return Ending(
        execution_id=execution["id"],
        source_digest=read_digest(registries.source, REFERENCE),
        target_digest=read_digest(registries.target, REFERENCE),
    )


def _wait_for_execution(api: HarborSyncApi, rule_id: int) -> dict[str, Any]:
    deadline = time.monotonic() + NOTICE_SECONDS
    while time.monotonic() < deadline:
        if executions := api.executions(rule_id):
            return executions[0]
        time.sleep(POLL_SECONDS)
    raise StoryFailedError(f"no replication started within {NOTICE_SECONDS:.0f} seconds of the push")


def _watch(api: HarborSyncApi, execution_id: int) -> dict[str, Any]:
    """Show an execution until it has ended, and give its last state."""
    bar = ProgressBar(sys.stdout)
    deadline = time.monotonic() + ARRIVE_SECONDS
    while True:
        execution = api.execution(execution_id)
        bar.show(execution)
        if execution["status"] != "InProgress":
            bar.end()
            return execution
        if time.monotonic() > deadline:
            bar.end()
            raise StoryFailedError(f"the replication took longer than {ARRIVE_SECONDS:.0f} seconds")
        time.sleep(POLL_SECONDS)
