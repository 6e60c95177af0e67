"""A random life of two registries and one event-based rule with deletion, which in the end must agree.

The source is pushed to, retagged and deleted from; its notifications come late, twice and out of order; requests
fail, workers die; somebody else pushes to the target. Once the faults are over, every notification was delivered and
all work is done, the target holds what the source holds, and what somebody else put there is still theirs.
"""

import itertools
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from registry.testkit import BuiltManifest, Fault, MemoryRegistry, build_image, build_index, known_faults
from registry.testkit.known_faults import BLOB, MANIFEST, UPLOADS
from replication.filters import FilterSpec
from replication.models import OPEN, Execution, Operation, RuleEvent, Status, Task, Transfer, Trigger
from replication.queue import claims
from replication.runner import Drain
from replication.services import accept_notification, process_events, start_waiting
from targets.limits import forget_gates
from tests.factories import make_endpoint, make_local_endpoint, make_rule
from tests.faults.soundness import assert_counters_agree, assert_nothing_is_stuck, assert_whole

REPOSITORIES = ("test/app", "test/base", "other/app")
TAGS = ("v1", "v2", "latest", "dev-1")
VARIANTS = range(3)
A_REPOSITORY = st.sampled_from(REPOSITORIES[:1] * 4 + REPOSITORIES[1:])  # few places, so that much happens at each
CONVERGE_AFTER_STEPS = 10
DEATHS_AT_MOST = 3  # claims.LOSSES_AT_MOST deaths over one row end it

SOURCE_FAULTS: dict[str, Callable[[], Fault]] = {
    "server errors": partial(known_faults.server_errors, 2),
    "rate limit": partial(known_faults.rate_limited, 1, retry_after=None),
    "truncated blob": partial(known_faults.truncated_body, 4),
    "corrupted blob": partial(known_faults.corrupted_body, 4),
    "reset download": partial(known_faults.reset_download, 4),
    "corrupted manifest": partial(known_faults.corrupted_body, 4, pattern=MANIFEST),
    "closed connections": partial(Fault, action="close", times=2),
    "closed blobs": partial(Fault, action="close", path_pattern=BLOB, times=3),
}
# Where cancelling an upload fails as well, nothing can be done about the session that stays open.
NOT_DELETE = "GET|HEAD|POST|PUT|PATCH"
TARGET_FAULTS: dict[str, Callable[[], Fault]] = {
    "server errors": partial(known_faults.server_errors, 2, method=NOT_DELETE),
    "rate limit": partial(known_faults.rate_limited, 1, retry_after=None, pattern=MANIFEST),
    "reset upload": partial(known_faults.reset_upload, 4),
    "lost session": known_faults.session_lost,
    "unknown blob": known_faults.blob_unknown,
    "server errors at manifests": partial(known_faults.server_errors, 3, method="PUT", pattern=MANIFEST),
    "server errors at deletions": partial(known_faults.server_errors, 3, method="DELETE", pattern=MANIFEST),
    "closed connections": partial(Fault, action="close", method=NOT_DELETE, times=2),
    "closed uploads": partial(Fault, action="close", method=NOT_DELETE, path_pattern=UPLOADS, times=3),
}


def build(variant: int) -> list[BuiltManifest]:
    """Build an image, or for the last variant an index after its children; equal variants are equal content."""
    if variant != VARIANTS[-1]:
        return [build_image([f"layer of variant {variant}\n".encode(), b"a layer that all have\n"])]
    children = [build_image([f"for {platform}\n".encode()], platform=platform) for platform in ("linux/a", "linux/b")]
    return [*children, build_index(children)]


def let_the_time_come() -> None:
    """Have no retry wait, and no registry be left in peace."""
    forget_gates()
    for model in (Execution, Task, Transfer):
        model.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=timezone.now())


class Convergence(RuleBasedStateMachine):
    """The steps, and what must hold after each and in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.running = ExitStack()
        self.running.enter_context(transaction.atomic())
        self.numbers = itertools.count()
        self.undelivered: list[dict[str, Any]] = []
        self.theirs: dict[tuple[str, str], str] = {}
        self.deaths = 0
        self.steps = 0

    @initialize(tag_delete=st.booleans())
    def begin(self, tag_delete: bool) -> None:
        """Start both registries and make the rule."""
        self.source = self.running.enter_context(MemoryRegistry())
        self.target = self.running.enter_context(MemoryRegistry(tag_delete=tag_delete))
        self.endpoint = make_local_endpoint(url=self.source.url)
        self.target_endpoint = make_endpoint(url=self.target.url)
        self.rule = make_rule(
            source=self.endpoint,
            targets=[self.target_endpoint],
            trigger=Trigger.EVENT_BASED,
            deletion=True,
            filters=[FilterSpec("name", "test/**"), FilterSpec("tag", "dev-*", "excludes")],
        )

    def notify(self, action: str, repository: str, *, told: bool, **target: str) -> None:
        """Deliver a notification at once, or have it wait."""
        event = {
            "id": f"event-{next(self.numbers)}",
            "action": action,
            "target": {"repository": repository, **target},
            "request": {"useragent": "docker/27"},
        }
        if told:
            accept_notification(self.endpoint, {"events": [event]})
        else:
            self.undelivered.append(event)

    @rule(
        repository=A_REPOSITORY,
        tags=st.lists(st.sampled_from(TAGS), min_size=1, max_size=3, unique=True),
        variant=st.sampled_from(VARIANTS),
        told=st.booleans(),
    )
    def push(self, repository: str, tags: list[str], variant: int, told: bool) -> None:
        """Push an image under some tags, or move tags to one that is there."""
        *children, root = build(variant)
        for child in children:
            self.source.add_manifest(repository, None, child)
        for tag in tags:
            digest = self.source.add_manifest(repository, tag, root)
            self.notify("push", repository, tag=tag, digest=digest, mediaType=root.media_type, told=told)

    @precondition(lambda self: self.all_tags())
    @rule(place=st.integers(0, 20), by_tag=st.booleans(), told=st.booleans())
    def delete(self, place: int, by_tag: bool, told: bool) -> None:
        """Untag (distribution 3, Harbor), or delete the manifest with all its tags (distribution 2)."""
        repository, tag, digest = self.all_tags()[place % len(self.all_tags())]
        if by_tag:
            self.source.remove_tag(repository, tag)
            self.notify("delete", repository, tag=tag, told=told)
        else:
            self.source.store.delete_manifest(repository, digest)
            self.notify("delete", repository, digest=digest, told=told)

    def all_tags(self) -> list[tuple[str, str, str]]:
        """Give repository, tag and digest of everything the source has."""
        return [
            (repository, tag, digest)
            for repository in REPOSITORIES
            for tag, digest in sorted(self.source.tags(repository).items())
        ]

    @precondition(lambda self: self.undelivered)
    @rule(place=st.integers(0, 20), copies=st.integers(1, 2), again=st.booleans())
    def deliver(self, place: int, copies: int, again: bool) -> None:
        """Deliver one of the notifications that wait, perhaps twice, perhaps once more later."""
        event = self.undelivered[place % len(self.undelivered)]
        if not again:
            self.undelivered.remove(event)
        accept_notification(self.endpoint, {"events": [event] * copies})

    @rule(name=st.sampled_from(sorted(SOURCE_FAULTS)), skip=st.integers(0, 6))
    def spoil_source_and_work(self, name: str, skip: int) -> None:
        """Let the source fail for a while, not at once, and a worker meet it."""
        self.source.faults.add(replace(SOURCE_FAULTS[name](), skip=skip))
        self.work()

    @rule(name=st.sampled_from(sorted(TARGET_FAULTS)), skip=st.integers(0, 6))
    def spoil_target_and_work(self, name: str, skip: int) -> None:
        """Let the target fail for a while, not at once, and a worker meet it."""
        self.target.faults.add(replace(TARGET_FAULTS[name](), skip=skip))
        self.work()

    @rule(repository=st.sampled_from(REPOSITORIES[:2]), tag=st.sampled_from(("v1", "theirs")))
    def somebody_pushes_to_target(self, repository: str, tag: str) -> None:
        """Put something at the target that the source never had."""
        built = build_image([f"theirs, number {next(self.numbers)}\n".encode()])
        self.theirs[repository, tag] = self.target.add_manifest(repository, tag, built)

    @rule()
    def work(self) -> None:
        """Let a worker have its turn at everything that is open."""
        process_events()
        start_waiting(self.rule.pk)
        let_the_time_come()
        for execution in self.open_executions():
            Drain(execution.pk).run()
            self.check_target()
        start_waiting(self.rule.pk)

    @precondition(lambda self: self.deaths < DEATHS_AT_MOST)
    @rule(progress=st.sampled_from(("nothing", "blobs", "manifest")))
    def worker_takes_something_and_falls_silent(self, progress: str) -> None:
        """Claim what is next, bring it to some point, and never tell."""
        self.deaths += 1
        now = timezone.now()
        for execution in self.open_executions():
            held = {"worker": f"dead-{next(self.numbers)}", "now": now}
            if claims.claim_listing(execution.pk, **held) or claims.claim_repository(execution.pk, **held):
                return
            for transfers in claims.claim_artifacts(execution.pk, at_most=1, **held):
                for transfer in transfers:
                    self.copy_partly(transfer, progress)

    def copy_partly(self, transfer: Transfer, progress: str) -> None:
        """Leave at the target what a worker leaves there that dies before it set the tags."""
        repository = transfer.task.source_repository
        stored = self.source.manifests(repository).get(transfer.digest)
        if stored is None or transfer.operation != Operation.COPY or progress == "nothing":
            return
        for built in next(parts for variant in VARIANTS if (parts := build(variant))[-1].digest == transfer.digest):
            for content in built.blobs.values():
                self.target.add_blob(repository, content)
            if progress == "manifest":
                self.target.add_manifest(repository, None, built)

    @rule()
    def leases_run_out(self) -> None:
        """Put the clock forward and sweep."""
        past = timezone.now() - timedelta(seconds=1)
        for model in (Execution, Task, Transfer):
            model.objects.filter(status=Status.RUNNING).exclude(lease_owner="").update(lease_until=past)
        claims.revive_expired(timezone.now())

    def open_executions(self) -> list[Execution]:
        """Give the executions that are not finished."""
        return list(Execution.objects.filter(status__in=OPEN))

    @invariant()
    def nothing_wrong_stands_at_the_target(self) -> None:
        """Look after each step."""
        self.steps += 1
        if hasattr(self, "target"):
            self.check_target()

    def check_target(self) -> None:
        """No hole, no wrong byte; what is theirs only ever gives way to a push of ours.

        One run may move such a tag and the next one delete it, so that this is looked at after each run.
        """
        assert_whole(self.target)
        for (repository, tag), digest in list(self.theirs.items()):
            found = self.target.tags(repository).get(tag)
            if found != digest:
                assert found in {build(variant)[-1].digest for variant in VARIANTS}, "what is theirs was deleted"
                del self.theirs[repository, tag]

    @precondition(lambda self: self.steps >= CONVERGE_AFTER_STEPS)
    @rule()
    def converge(self) -> None:
        """End all trouble, deliver everything, work until nothing is open, and compare."""
        self.steps = 0
        self.source.faults.clear()
        self.target.faults.clear()
        for event in self.undelivered:
            accept_notification(self.endpoint, {"events": [event]})
        self.undelivered.clear()
        for _ in range(50):
            self.leases_run_out()
            self.work()
            if not self.open_executions() and not RuleEvent.objects.filter(taken_at=None).exists():
                break
        self.compare()

    def compare(self) -> None:
        """The target has what the source has, within the rule's scope, except for what is theirs."""
        for execution in Execution.objects.all():
            assert_nothing_is_stuck(execution)
            assert_counters_agree(execution)
            assert execution.status == Status.SUCCEEDED, execution.status_text
        self.check_target()
        assert self.target.open_uploads == 0
        for repository in REPOSITORIES:
            theirs = {tag: digest for (name, tag), digest in self.theirs.items() if name == repository}
            wanted = {**self.wanted(repository), **theirs}
            assert {**self.target.tags(repository), **theirs} == {**self.bound(repository, wanted), **wanted}

    def bound(self, repository: str, wanted: dict[str, str]) -> dict[str, str]:
        """Give the tags that have to stay where deleting is by digest only: another tag of their digest stays."""
        if self.target.tag_delete:
            return {}
        return {tag: digest for tag, digest in self.target.tags(repository).items() if digest in wanted.values()}

    def wanted(self, repository: str) -> dict[str, str]:
        """Give what the rule takes of a source repository."""
        if not repository.startswith("test/"):
            return {}
        return {tag: digest for tag, digest in self.source.tags(repository).items() if not tag.startswith("dev-")}

    def teardown(self) -> None:
        """Converge once more, unless something failed already; then forget the rows and stop the registries."""
        try:
            if sys.exc_info()[0] is None:
                self.converge()
        finally:
            transaction.set_rollback(True)
            self.running.close()
