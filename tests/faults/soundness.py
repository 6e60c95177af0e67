"""What must hold after every run, whatever went wrong in it: `assert_sound(pair, execution)`."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from registry.testkit import MemoryRegistry, StoredManifest, digest_of
from registry.testkit.images import INDEX_TYPES
from replication.models import FINISHED, OPEN, Execution, Operation, Rule, Status, SyncState, Transfer, Trigger
from replication.runner import Drain
from replication.services import start_execution
from tests.replication.conftest import Pair


def replicate(rule: Rule, **options: Any) -> Execution:
    """Start a rule and work on it until its final status is written."""
    return finish(start_execution(rule, **{"trigger": Trigger.MANUAL, **options}))


def finish(execution: Execution, *, seconds: float = 20.0) -> Execution:
    """Work again and again, as the sweep would have it, until the final status is written."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        Drain(execution.pk).run()
        execution.refresh_from_db()
        if execution.is_finished:
            return execution
        time.sleep(0.01)
    pytest.fail(f"not finished: {execution.status} {execution.reason_code} {execution.status_text}")


def assert_sound(pair: Pair, execution: Execution, *, open_uploads: int = 0) -> None:
    """Check that a finished run left nothing wrong, nothing half, nothing stuck and nothing open."""
    assert_nothing_is_stuck(execution)
    assert_counters_agree(execution)
    assert_whole(pair.target)
    assert_copies_are_there(pair, execution)
    assert_memory_is_true(pair)
    # At most: whether a session of a reset upload stays open depends on when the reset is noticed.
    assert pair.target.open_uploads <= open_uploads, "upload sessions that are left open"


def assert_nothing_is_stuck(execution: Execution) -> None:
    """A finished run has no open row, nobody holds a part of it, and nothing of it waits for a time."""
    assert execution.is_finished
    assert not execution.tasks.filter(status__in=OPEN).exists()
    assert not execution.transfers.filter(status__in=OPEN).exists()
    for rows in (Execution.objects.filter(pk=execution.pk), execution.tasks.all(), execution.transfers.all()):
        assert not rows.exclude(lease_owner="", lease_until=None, next_attempt_at=None).exists()
    failed = execution.transfers.filter(status=Status.FAILED, reason_code="").count()
    assert failed == execution.tasks.filter(status=Status.FAILED, reason_code="").count() == 0


def assert_counters_agree(execution: Execution) -> None:
    """What the execution and its tasks count is what their rows say, and what succeeded has all of its bytes."""
    for status in FINISHED:
        assert getattr(execution, f"tasks_{status}") == execution.tasks.filter(status=status).count()
        assert getattr(execution, f"transfers_{status}") == execution.transfers.filter(status=status).count()
    for transfer in execution.transfers.all():
        assert transfer.bytes_done <= transfer.bytes_total
        if transfer.status == Status.SUCCEEDED:
            assert transfer.bytes_done == transfer.bytes_total


def assert_whole(registry: MemoryRegistry) -> None:
    """No wrong byte is stored, and whatever a tag names is there with everything below it."""
    for repository in registry.repositories:
        blobs, manifests = registry.blobs(repository), registry.manifests(repository)
        for digest, content in blobs.items():
            assert digest_of(content) == digest, "a blob's bytes are not those of its digest"
        for digest, stored in manifests.items():
            assert digest_of(stored.content) == digest, "a manifest's bytes are not those of its digest"
        for tag, digest in registry.tags(repository).items():
            missing = set(named_below(manifests, digest)) - blobs.keys() - manifests.keys()
            assert not missing, f"{repository}:{tag} has holes: {missing}"


def named_below(manifests: dict[str, StoredManifest], digest: str) -> Iterator[str]:
    """Give the digest and all that it refers to, directly or through an index."""
    yield digest
    stored = manifests.get(digest)
    if stored is None:
        return
    document = stored.document
    if stored.media_type in INDEX_TYPES:
        for child in document["manifests"]:
            yield from named_below(manifests, child["digest"])
        return
    yield from (blob["digest"] for blob in (document["config"], *document["layers"]))


def assert_copies_are_there(pair: Pair, execution: Execution) -> None:
    """Each copy that is said to have succeeded stands at the target, under its tags, with the source's bytes."""
    succeeded = execution.transfers.filter(operation=Operation.COPY, status=Status.SUCCEEDED).select_related("task")
    for transfer in succeeded:
        tags = pair.target.tags(transfer.task.target_repository)
        assert {tag: tags.get(tag) for tag in transfer.tags} == dict.fromkeys(transfer.tags, transfer.digest)
        assert_same_bytes(pair, transfer)


def assert_same_bytes(pair: Pair, transfer: Transfer) -> None:
    """Compare an artifact on both sides, manifest by manifest and blob by blob."""
    source, target = transfer.task.source_repository, transfer.task.target_repository
    for digest in named_below(pair.source.manifests(source), transfer.digest):
        if digest in pair.source.manifests(source):
            assert pair.target.manifests(target)[digest] == pair.source.manifests(source)[digest]
        else:
            assert pair.target.blob_bytes(target, digest) == pair.source.blob_bytes(source, digest)


def assert_memory_is_true(pair: Pair) -> None:
    """What is remembered of the target is what it holds."""
    for row in SyncState.objects.filter(endpoint=pair.target_endpoint):
        assert pair.target.tags(row.repository).get(row.tag) == row.digest
