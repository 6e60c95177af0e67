"""Deletions that meet trouble: gone in the end, or a reason; never anything else gone."""

from functools import partial

import pytest

from registry.testkit import BuiltManifest, Fault, known_faults
from registry.testkit.known_faults import MANIFEST
from replication.models import Status, SyncState, Trigger
from replication.plan import Scope
from tests.faults.cases import ARRIVES, BEARER, Case, Misbehaviour, fails, skips
from tests.faults.soundness import assert_sound, replicate

pytestmark = pytest.mark.django_db

GONE = ARRIVES  # what the source no longer has, the target no longer has either


def cases() -> list[Case]:
    """List what may happen to a DELETE, and to what is asked before it."""
    denied = partial(Fault, method="DELETE", times=None, status=403)
    expected = {
        "405_delete": (known_faults.deletion_disabled, fails("unsupported")),
        "403_delete": (denied, fails("denied")),
        "412_delete": (known_faults.immutable_tag, skips("immutable")),
        "503_burst_at_delete": (partial(known_faults.server_errors, 3, method="DELETE"), GONE),
        "503_burst_everywhere": (partial(known_faults.server_errors, 5), GONE),
        "closed_at_delete": (partial(Fault, method="DELETE", action="close", times=3), GONE),
        "401_at_delete": (partial(Fault, method="DELETE", action="challenge"), GONE),
        "missing_digest_header": (known_faults.missing_digest_header, GONE),
        "head_405": (known_faults.head_refused, GONE),
        "429_at_delete": (partial(known_faults.rate_limited, 2, retry_after="0", pattern=MANIFEST), GONE),
    }
    return [Misbehaviour(name, make).on("target", outcome) for name, (make, outcome) in expected.items()]


@pytest.mark.parametrize("tag_delete", [False, True], ids=["by_digest", "by_tag"])
@pytest.mark.parametrize("case", cases(), ids=[case.identifier for case in cases()])
def test_a_deletion_that_meets_a_fault(make_pair, case, tag_delete):
    pair = make_pair(target={**BEARER, "tag_delete": tag_delete})
    digest = pair.source.add_image("test/app", "v1")
    kept = pair.source.add_image("test/app", "v2")
    rule = pair.make_rule(deletion=True, trigger=Trigger.EVENT_BASED)
    replicate(rule)
    pair.source.remove_tag("test/app", "v1")
    faults = [pair.target.faults.add(fault) for fault in case.faults()]

    scope = [Scope("test/app", deleted_digests=(digest,))]
    execution = replicate(rule, trigger=Trigger.EVENT_BASED, scope=scope)

    for fault in faults:
        assert pair.target.faults.times_taken(fault), "the fault met no request"
    case.outcome.check(pair, execution)
    assert pair.target.tags("test/app")["v2"] == kept
    assert_sound(pair, execution)


def alias(registry, digest, tag):
    """Give a stored manifest another tag."""
    stored = registry.manifests("test/app")[digest]
    registry.add_manifest("test/app", tag, BuiltManifest(stored.media_type, stored.content))


@pytest.fixture
def two_tags_of_one_digest(pair):
    """Give a rule that has replicated v1 and v2, both the same image, to a target that deletes by digest only."""
    digest = pair.source.add_image("test/app", "v1")
    alias(pair.source, digest, "v2")
    rule = pair.make_rule(deletion=True, trigger=Trigger.EVENT_BASED)
    replicate(rule)

    def tell(**scope):
        execution = replicate(rule, trigger=Trigger.EVENT_BASED, scope=[Scope("test/app", **scope)])
        assert_sound(pair, execution)

    return digest, tell


def test_tags_of_one_digest_that_go_one_after_the_other_are_all_gone_in_the_end(pair, two_tags_of_one_digest):
    digest, tell = two_tags_of_one_digest
    pair.source.remove_tag("test/app", "v1")
    tell(tags=("v1",))
    assert pair.target.tags("test/app") == {"v1": digest, "v2": digest}
    pair.source.remove_tag("test/app", "v2")
    tell(tags=("v2",))
    assert pair.target.tags("test/app") == {}


def test_a_tag_that_had_to_stay_goes_when_its_sibling_moves_on(pair, two_tags_of_one_digest):
    _, tell = two_tags_of_one_digest
    pair.source.remove_tag("test/app", "v1")
    tell(tags=("v1",))
    newer = pair.source.add_image("test/app", "v2", layer_sizes=[500_000])
    tell(tags=("v2",))
    assert pair.target.tags("test/app") == {"v2": newer}


def test_a_tag_moves_on_before_what_it_pointed_at_is_deleted(pair, two_tags_of_one_digest):
    digest, tell = two_tags_of_one_digest
    newer = pair.source.add_image("test/app", "v1", layer_sizes=[500_000])
    pair.source.store.delete_manifest("test/app", digest)
    tell(tags=("v1",), deleted_digests=(digest,))
    assert pair.target.tags("test/app") == {"v1": newer}


@pytest.mark.parametrize(
    ("make", "status", "reason"),
    [
        (known_faults.null_listing, Status.SUCCEEDED, ""),
        (partial(Fault, method="GET|HEAD", times=None, status=403), Status.FAILED, "denied"),
        (partial(Fault, method="GET|HEAD", times=None, status=401), Status.FAILED, "unauthorized"),
        (partial(known_faults.html_instead_of_json, None, status=404), Status.FAILED, "protocol"),
    ],
    ids=["tags_null", "403", "401", "404_web_page"],
)
def test_a_source_that_cannot_be_read_never_looks_like_one_where_all_is_deleted(pair, make, status, reason):
    digest = pair.source.add_image("test/app", "v1")
    rule = pair.make_rule(deletion=True, trigger=Trigger.EVENT_BASED)
    replicate(rule)
    pair.source.faults.add(make())

    scope = [Scope("test/app", tags=("v1",), deleted_digests=(digest,))]
    execution = replicate(rule, trigger=Trigger.EVENT_BASED, scope=scope)

    assert (execution.status, execution.reason_code) == (status, reason)
    assert pair.target.tags("test/app") == {"v1": digest}
    assert SyncState.objects.filter(tag="v1").exists()
    assert_sound(pair, execution)
