"""Finding out whether a registry verifies what is uploaded to it (OCI distribution-spec, "Pushing blobs").

The specification has an error for content of another digest (code-4, DIGEST_INVALID) and obliges nobody to look. So the
registry is put to the test: a few random bytes are sent under the digest of others. One that refuses them verifies, and
large blobs need not be hashed on their way there; one that takes them gets nothing that was not hashed by us.

Only a refusal that speaks of the content is a proof. A bare 400 may come from a proxy that disliked something else, and
where it is unclear we go on hashing.
"""

import logging
import secrets
import time
from dataclasses import replace

from registry.client.exchange import Exchange
from registry.client.sessions import CHUNK_ACCEPTED, Session, body_headers, open_session
from registry.connection import Denial, Learned
from registry.digests import algorithm_of, digest_of
from registry.errors import DigestMismatchError, NetworkTimeoutError, RegistryError, Stopped
from registry.locks import PROCESS_LOCKS
from registry.media import Descriptor
from registry.scopes import delete, push
from registry.transport import Request

logger = logging.getLogger(__name__)

UNHASHED_BYTES = 8 << 20
"""Smaller blobs are always hashed: that costs little, and they are not worth sending twice."""
UNCLEAR_SECONDS = 600.0
"""How long a registry that could not be put to the test is left alone."""
_PROBE_BYTES = 64
_PROVEN_ALGORITHM = "sha256"


def may_go_unhashed(blob: Descriptor) -> bool:
    """Answer whether a blob is large enough, and of the algorithm that registries are put to the test with."""
    return blob.size_bytes >= UNHASHED_BYTES and algorithm_of(blob.digest) == _PROVEN_ALGORITHM


def refuses_content(error: RegistryError) -> bool:
    """Answer whether a refusal of a completed upload says that its bytes are not those of its digest.

    Quay answers 400 BLOB_UPLOAD_INVALID (its endpoints/v2/blob.py); with 404 distribution means a lost session by it.
    """
    is_as_quay_has_it = error.status == 400 and error.registry_code.upper() == "BLOB_UPLOAD_INVALID"
    return isinstance(error, DigestMismatchError) or is_as_quay_has_it


def verifies_uploads(exchange: Exchange, repository: str) -> bool:
    """Answer whether the registry is known to verify; where that is unknown, find out. Raise Stopped only.

    One thread asks, the others of the connection wait for it.
    """
    learned = exchange.connection.learned
    if learned.verifies_uploads is None:
        name = f"whether {id(exchange.connection)} verifies"
        with PROCESS_LOCKS.holding(name, check_stop=exchange.check_stop):
            if learned.verifies_uploads is None and not _was_unclear_lately(learned):
                _find_out(exchange, repository, learned)
    return learned.verifies_uploads is True


def _was_unclear_lately(learned: Learned) -> bool:
    denial = learned.verification_denial
    return denial is not None and time.monotonic() - denial.at < UNCLEAR_SECONDS


def _find_out(exchange: Exchange, repository: str, learned: Learned) -> None:
    try:
        learned.verifies_uploads = _refuses_wrong_content(exchange, repository)
        learned.verification_denial = None
    except RegistryError as error:
        learned.verification_denial = Denial(error.message, time.monotonic())
        logger.info("registry.verification_unclear repository=%s code=%s", repository, error.code)


def _refuses_wrong_content(exchange: Exchange, repository: str) -> bool:
    """Send random bytes under the digest of others. Raise a RegistryError where the answer says neither."""
    session = open_session(exchange, repository)
    try:
        is_refused = _complete_wrongly(exchange, repository, session)
    except (RegistryError, Stopped) as error:
        if not isinstance(error, NetworkTimeoutError):  # a silent registry would keep us waiting once more
            session.cancel()
        raise
    # distribution 2.8.2 knows the session no more; it does not manage to remove the few bytes before its own purge.
    session.cancel()
    return is_refused


def _complete_wrongly(exchange: Exchange, repository: str, session: Session) -> bool:
    content, digest = secrets.token_bytes(_PROBE_BYTES), digest_of(secrets.token_bytes(_PROBE_BYTES))
    attempt = f"Finding out whether uploads to {repository} are verified"
    request = Request("PUT", session.commit_url(digest), attempt, body_headers(len(content)), content)
    answer = exchange.try_send(request, push(repository))
    if answer.status in CHUNK_ACCEPTED:
        answer.discard()
        _take_away(exchange, repository, digest)
        return False
    error = answer.refusal().error()
    # About the size there is nothing to complain of: whoever does so dislikes something else.
    if not refuses_content(error) or error.registry_code.upper() == "SIZE_INVALID":
        raise error
    return True


def _take_away(exchange: Exchange, repository: str, digest: str) -> None:
    """Delete the bytes that were taken, as well as can be: few registries let blobs be deleted by just anybody."""
    url, attempt = exchange.url_of(repository, f"blobs/{digest}"), f"Deleting the blob {digest} of {repository}"
    try:
        replace(exchange, stop=None).try_send(Request("DELETE", url, attempt), delete(repository)).discard()
    except RegistryError as error:
        logger.info("registry.cleanup_failed repository=%s code=%s", repository, error.code)
