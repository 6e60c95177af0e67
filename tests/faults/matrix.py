"""The fault matrix: each known misbehaviour of a registry, on the source or the target, and how a run has to end."""

from functools import partial

from registry.testkit import Fault, known_faults
from registry.testkit.known_faults import BLOB, LISTING, MANIFEST, UPLOAD, UPLOADS
from registry.testkit.messages import error_response
from replication.filters import FilterSpec
from tests.faults.cases import ARRIVES, BEARER, FINDS_NOTHING, Case, Misbehaviour, fails, skips

EVERYWHERE = {"listing": LISTING, "manifest": MANIFEST, "blob": BLOB}
EVERY_REQUEST = {**EVERYWHERE, "upload": UPLOADS}


def answers(status: int, code: str, message: str = "", *, method: str, pattern: str, times: int | None = None) -> Fault:
    """Answer with an error of the distribution specification."""
    response = error_response(status, code, message)
    body = b"".join(response.content.read())
    return Fault(method=method, path_pattern=pattern, times=times, status=status, headers=response.headers, body=body)


def alters(method: str, pattern: str, *, times: int | None = None, **headers: str | None) -> Fault:
    """Change headers of an answer."""
    return Fault(
        method=method,
        path_pattern=pattern,
        times=times,
        action="alter",
        rewrite=lambda response, request: response.with_headers(**headers),
    )


def challenge_each(**skips: int) -> tuple[Fault, ...]:
    """Answer 401 once to each kind of request, `{kind: how many pass before}`.

    Two 401 to one request are a denial: the first requests, which a registry challenges anyway, have to pass.
    """
    return tuple(Fault(action="challenge", path_pattern=EVERY_REQUEST[kind], skip=n) for kind, n in skips.items())


def credentials_and_tokens() -> list[Case]:
    """401 in the middle of an upload, and everything else that has to do with who we are."""
    mid_put = Misbehaviour("401_in_mid_put", known_faults.unauthorized_in_mid_upload)
    mid_patch = Misbehaviour("401_in_mid_patch", partial(known_faults.unauthorized_in_mid_upload, method="PATCH"))
    at_source = Misbehaviour("401_now_and_then", partial(challenge_each, listing=2, manifest=4, blob=2))
    at_target = Misbehaviour("401_now_and_then", partial(challenge_each, manifest=8, blob=2, upload=2))
    endless = Misbehaviour("401_without_end", lambda: Fault(action="challenge", path_pattern="/v2/", times=None))
    bare = Misbehaviour("bare_401", partial(known_faults.unauthorized_without_challenge, 1))
    bare_endless = Misbehaviour("bare_401_without_end", partial(known_faults.unauthorized_without_challenge, None))
    token_server = Misbehaviour("token_server_5xx", partial(known_faults.server_errors, 2, pattern="/token"))
    return [
        mid_put.on("target", ARRIVES, options=BEARER),
        mid_patch.on("target", ARRIVES, options=BEARER, rule={"copy_by_chunk": True}),
        at_source.on("source", ARRIVES, options=BEARER),
        at_target.on("target", ARRIVES, options=BEARER),
        *endless.on_both(fails("denied"), options=BEARER),
        *bare.on_both(ARRIVES, options=BEARER),
        *bare_endless.on_both(fails("unauthorized")),
        *token_server.on_both(ARRIVES, options=BEARER),
    ]


def broken_connections() -> list[Case]:
    """Connections that end without an answer."""
    cases = []
    for name, pattern in EVERY_REQUEST.items():
        closed = Misbehaviour(
            f"closed_at_{name}", lambda pattern=pattern: Fault(action="close", path_pattern=pattern, times=3)
        )
        cases += [closed.on("target", ARRIVES)] if name == "upload" else closed.on_both(ARRIVES)
    endless = Misbehaviour("closed_without_end", lambda: Fault(action="close", times=None))
    return [*cases, *endless.on_both(fails("network"), gives_up=True)]


def damaged_bodies() -> list[Case]:
    """Bodies that end early, are changed on the way, drip or stall."""
    truncated = Misbehaviour("truncated_blob", partial(known_faults.truncated_body, 50_000, 2))
    truncated_manifest = Misbehaviour("truncated_manifest", partial(known_faults.truncated_body, 20, pattern=MANIFEST))
    truncated_listing = Misbehaviour("truncated_listing", partial(known_faults.truncated_body, 9, pattern=LISTING))
    never_whole = Misbehaviour("blob_never_whole", partial(known_faults.truncated_body, 0, None))
    corrupted = Misbehaviour("corrupted_blob", partial(known_faults.corrupted_body, 50_000))
    corrupted_forever = Misbehaviour("blob_always_corrupted", partial(known_faults.corrupted_body, 0, None))
    corrupted_manifest = Misbehaviour("corrupted_manifest", partial(known_faults.corrupted_body, 40, pattern=MANIFEST))
    manifest_forever = Misbehaviour(
        "manifest_always_corrupted", partial(known_faults.corrupted_body, 40, None, pattern=MANIFEST)
    )
    corrupted_listing = Misbehaviour("corrupted_listing", partial(known_faults.corrupted_body, 3, pattern=LISTING))
    drip = Misbehaviour("slow_drip", partial(known_faults.slow_drip, 0.002))
    stall = Misbehaviour("stall_in_blob", partial(known_faults.stalled, 0.5, after_bytes=30_000))
    stall_anywhere = Misbehaviour("stall_before_answer", partial(known_faults.stalled, 0.5, pattern=MANIFEST))
    ignored = Misbehaviour(
        "range_ignored_after_a_break",
        lambda: (known_faults.truncated_body(50_000), known_faults.range_ignored()),
    )
    return [
        truncated.on("source", ARRIVES),
        truncated_manifest.on("source", ARRIVES),
        truncated_listing.on("source", ARRIVES),
        never_whole.on("source", fails("network"), gives_up=True),
        corrupted.on("source", ARRIVES),
        corrupted_forever.on("source", fails("digest_mismatch"), gives_up=True),
        corrupted_manifest.on("source", ARRIVES),
        manifest_forever.on("source", fails("digest_mismatch"), gives_up=True),
        corrupted_listing.on("source", fails("protocol")),
        drip.on("source", ARRIVES),
        stall.on("source", ARRIVES),
        *stall_anywhere.on_both(ARRIVES),
        ignored.on("source", ARRIVES),
    ]


def server_trouble() -> list[Case]:
    """Bursts of 5xx on every kind of request, 5xx without end, and web pages in place of a registry."""
    cases = []
    for name, pattern in EVERY_REQUEST.items():
        burst = Misbehaviour(f"503_burst_at_{name}", partial(known_faults.server_errors, 4, pattern=pattern))
        cases += [burst.on("target", ARRIVES)] if name == "upload" else burst.on_both(ARRIVES)
    for status in (500, 502, 504):
        burst = Misbehaviour(f"{status}_burst", partial(known_faults.server_errors, 6, status=status))
        cases += burst.on_both(ARRIVES)
    endless = Misbehaviour("503_without_end", partial(known_faults.server_errors, None))
    upload_endless = Misbehaviour(
        "503_at_every_upload", partial(known_faults.server_errors, None, method="PUT|PATCH", pattern=UPLOAD)
    )
    page = Misbehaviour("web_page", partial(known_faults.html_instead_of_json, None))
    page_once = Misbehaviour("web_page_for_a_manifest", partial(known_faults.html_instead_of_json, 1, pattern=MANIFEST))
    page_as_blob = Misbehaviour("web_page_for_a_blob", partial(known_faults.html_instead_of_json, 1, pattern=BLOB))
    return [
        *cases,
        *endless.on_both(fails("server_error"), gives_up=True),
        upload_endless.on("target", fails("server_error"), gives_up=True),
        *page.on_both(fails("protocol")),
        *page_once.on_both(ARRIVES),
        page_as_blob.on("source", ARRIVES),
    ]


def digests_and_codings() -> list[Case]:
    """Digest headers that are missing or wrong, HEAD refused, and proxies that compress what passes."""
    missing = Misbehaviour("missing_digest_header", known_faults.missing_digest_header)
    wrong = Misbehaviour("wrong_digest_header", known_faults.wrong_digest_header)
    wrong_blob = Misbehaviour(
        "wrong_digest_header_of_blob",
        lambda: alters("PUT", UPLOAD, docker_content_digest="sha256:" + "0" * 64),
    )
    cases = [
        *missing.on_both(ARRIVES),
        wrong.on("source", ARRIVES),
        wrong.on("source", fails("protocol"), older_at_target=True),
        wrong.on("target", fails("digest_mismatch"), gives_up=True),
        # It lies about what it stored, yet has it: the next attempt finds the blob there.
        wrong_blob.on("target", ARRIVES),
    ]
    for status in (403, 405, 501):
        refused = Misbehaviour(f"head_{status}", partial(known_faults.head_refused, status=status))
        cases += [refused.on("source", ARRIVES, older_at_target=True), refused.on("target", ARRIVES)]
    head_blob = Misbehaviour("head_405_of_blobs", partial(known_faults.head_refused, pattern=BLOB))
    cases.append(head_blob.on("target", ARRIVES))
    for name, pattern in EVERYWHERE.items():
        packed = Misbehaviour(f"gzip_of_{name}", partial(known_faults.gzip_encoded, pattern=pattern))
        cases.append(packed.on("source", ARRIVES))
    return cases


def redirects() -> list[Case]:
    """307 to a link that expires: at its second use, in the middle of its body, or before it is used at all."""
    once = Misbehaviour("307_to_an_expiring_link", partial(known_faults.redirect_to_expiring_link, times=None))
    broken = Misbehaviour(
        "307_to_a_link_that_breaks",
        lambda: (
            known_faults.reset_download(30_000, 2, pattern="/storage/"),
            known_faults.redirect_to_expiring_link(times=None),
        ),
    )
    expired = Misbehaviour("307_to_an_expired_link", partial(known_faults.redirect_to_expiring_link, 0, times=2))
    return [
        once.on("source", ARRIVES),
        once.on("source", ARRIVES, options=BEARER),
        broken.on("source", ARRIVES),
        expired.on("source", ARRIVES),
    ]


def upload_sessions() -> list[Case]:
    """Relative Location with state, stuck Range, lost sessions, and limits on the size of a request."""
    whole, chunked = {}, {"copy_by_chunk": True}
    relative = Misbehaviour("relative_location", known_faults.relative_location)
    cases = [relative.on("target", ARRIVES, rule=rule) for rule in (whole, chunked)]
    for value in ("0-0", "0-9", "bytes=0-99999999", "nonsense"):
        stuck = Misbehaviour(f"range_stuck_at_{value}", partial(known_faults.stuck_range, value))
        after_a_break = Misbehaviour(
            f"reset_and_range_stuck_at_{value}",
            lambda value=value: (known_faults.reset_upload(30_000), known_faults.stuck_range(value)),
        )
        cases += [stuck.on("target", ARRIVES, rule=rule) for rule in (whole, chunked)]
        cases += [after_a_break.on("target", ARRIVES, rule=rule) for rule in (whole, chunked)]
    lost = Misbehaviour("session_lost", known_faults.session_lost)
    lost_always = Misbehaviour("session_always_lost", partial(known_faults.session_lost, None))
    cannot_say = Misbehaviour("offset_cannot_be_asked", lambda: known_faults.reset_upload(30_000))
    cases += [lost.on("target", ARRIVES, rule=rule) for rule in (whole, chunked)]
    cases.append(lost_always.on("target", fails("server_error"), gives_up=True))
    # distribution refuses every address of a session but the newest, which was in the answer that got lost.
    cases.append(cannot_say.on("target", ARRIVES, options={"strict_upload_state": True}, leaves_session=True))
    for status in (413, 416):
        too_large = partial(known_faults.chunk_refused_above, status=status)
        cases += [
            Misbehaviour(f"{status}_above_100_kB", partial(too_large, 100_000)).on("target", ARRIVES, rule=rule)
            for rule in (whole, chunked)
        ]
        cases.append(Misbehaviour(f"{status}_at_any_size", partial(too_large, 100)).on("target", fails("too_large")))
    minimum = Misbehaviour("least_chunk_of_100_kB", partial(known_faults.chunk_minimum, 100_000))
    cases += [minimum.on("target", ARRIVES, rule=rule) for rule in (whole, chunked)]
    return cases


def lists() -> list[Case]:
    """`tags: null`, null between the tags, and pages that are linked in odd ways."""
    by_name = {"filters": [FilterSpec("name", "test/app")]}
    null = Misbehaviour("tags_null", known_faults.null_listing)
    entries = Misbehaviour("null_between_tags", known_faults.null_entries)
    in_pages = {"page_size": 1}
    cases = [
        null.on("source", FINDS_NOTHING, rule=by_name),
        null.on("target", ARRIVES),
        *entries.on_both(ARRIVES),
    ]
    for name, form in (
        ("absolute", '<http://127.0.0.1:5000{path}>; rel="next"'),
        ("unquoted", "<{path}>; rel=next"),
        ("last", '<{path}>; title="x"; rel="last next"'),
    ):
        odd = Misbehaviour(f"{name}_link", partial(known_faults.odd_link, form))
        cases.append(odd.on("source", ARRIVES, options=in_pages))
    elsewhere = Misbehaviour(
        "link_to_another_host", partial(known_faults.odd_link, '<http://10.0.0.1{path}>; rel="next"')
    )
    cases.append(elsewhere.on("source", fails("protocol"), options=in_pages))
    return cases


def refusals() -> list[Case]:
    """What a target may refuse: unknown blobs, immutable tags, quotas, types, sizes, rights."""
    refused = partial(answers, method="PUT", pattern=MANIFEST)
    no_space = partial(answers, 500, "UNKNOWN", "write /blobs: no space left on device", method="PUT", pattern=UPLOAD)
    denied = partial(answers, 403, "DENIED", "requested access is denied", method="POST", pattern=UPLOADS)
    unknown_name = partial(answers, 404, "NAME_UNKNOWN", "repository name not known", method="POST", pattern=UPLOADS)
    damaged = partial(answers, 400, "DIGEST_INVALID", "did not match", method="PUT", pattern=UPLOAD)
    expected = {
        "blob_unknown_once": (known_faults.blob_unknown, ARRIVES),
        "412_immutable": (known_faults.immutable_tag, skips("immutable")),
        "409_immutable": (partial(refused, 409, "CONFLICT"), skips("immutable")),
        "400_immutable": (partial(refused, 400, "TAG_INVALID", "the tag is immutable"), skips("immutable")),
        "403_quota": (known_faults.quota_exceeded, fails("quota_exceeded")),
        "500_no_space": (no_space, fails("quota_exceeded")),
        "403_denied": (denied, fails("denied")),
        "404_no_project": (unknown_name, fails("not_found")),
        "413_manifest": (partial(refused, 413, "SIZE_INVALID"), fails("too_large")),
        "415_type": (partial(refused, 415, "UNSUPPORTED"), fails("unsupported")),
        "400_manifest_invalid": (partial(refused, 400, "MANIFEST_INVALID"), fails("unsupported")),
        "damaged_on_the_way_once": (partial(damaged, times=1), ARRIVES),
        "405_push": (partial(answers, 405, "UNSUPPORTED", method="POST", pattern=UPLOADS), fails("unsupported")),
    }
    endless = {
        "blob_unknown_without_end": (partial(known_faults.blob_unknown, None), fails("blob_unknown")),
        "damaged_on_the_way_always": (damaged, fails("digest_mismatch")),
    }
    return [
        *(Misbehaviour(name, make).on("target", outcome) for name, (make, outcome) in expected.items()),
        *(Misbehaviour(name, make).on("target", outcome, gives_up=True) for name, (make, outcome) in endless.items()),
    ]


CASES = [
    *credentials_and_tokens(),
    *broken_connections(),
    *damaged_bodies(),
    *server_trouble(),
    *digests_and_codings(),
    *redirects(),
    *upload_sessions(),
    *lists(),
    *refusals(),
]
