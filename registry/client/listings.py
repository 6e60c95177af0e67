"""The catalogue and the tags of a repository, with every trap of paging.

OCI distribution-spec, "Listing Tags"; distribution's catalogue (``docs/spec/api.md``). A list that may be cut
short is never returned as if it were whole: others delete what is missing from it.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote, urlsplit, urlunsplit

from registry.client.exchange import Exchange
from registry.errors import AuthError, NotFoundError, ProtocolError, UnsupportedError
from registry.guards import is_same_host
from registry.reference import is_repository_name, is_tag, validate_repository_name
from registry.refusals import is_web_page
from registry.scopes import CATALOGUE, Scope, pull
from registry.transport import Answer, Request

logger = logging.getLogger(__name__)

PAGE_SIZE = 1000
"""distribution clamps at 1000, ECR refuses more."""
_PAGE_LIMIT_BYTES = 32 << 20
_LINK = re.compile(r"<\s*([^>]*)\s*>([^<]*)")
_NEXT = re.compile(r";\s*rel\s*=\s*(?:\"[^\"]*\bnext\b[^\"]*\"|'?next\b)", re.IGNORECASE)


def iterate_repositories(exchange: Exchange, *, page_size: int = PAGE_SIZE) -> Iterator[str]:
    """Yield the catalogue's repositories in the registry's order, page by page."""
    url = exchange.connection.url_of("_catalog")
    pages = _Pages(exchange, url, CATALOGUE, "Reading the catalogue", "repositories", page_size)
    try:
        yield from pages.entries(is_repository_name)
    except NotFoundError as error:
        raise UnsupportedError(f"{error.message}: it has no catalogue", status=error.status) from error


def list_tags(exchange: Exchange, repository: str) -> list[str]:
    """Return the sorted tags; NotFoundError when the registry does not know the repository."""
    validate_repository_name(repository)
    url = exchange.url_of(repository, "tags/list")
    pages = _Pages(exchange, url, pull(repository), f"Reading the tags of {repository}", "tags", PAGE_SIZE)
    return sorted(pages.entries(is_tag))


class _Pages:
    """One paged list."""

    def __init__(self, exchange: Exchange, url: str, scope: Scope, attempt: str, key: str, page_size: int) -> None:
        self._exchange = exchange
        self._url = url
        self._scope = scope
        self._attempt = attempt
        self._key = key
        self._page_size = page_size
        self._sends_size = True

    def entries(self, is_valid: Callable[[str], bool]) -> Iterator[str]:
        """Yield each valid entry once."""
        seen: set[str] = set()
        visited: set[str] = set()
        url: str | None = f"{self._url}?n={self._page_size}"
        while url is not None:
            if url in visited:
                raise ProtocolError(f"{self._attempt}: the registry's pages go round in a circle")
            visited.add(url)
            answer = self._get(url)
            page = self._page(answer)
            fresh = [entry for entry in page if isinstance(entry, str) and is_valid(entry) and entry not in seen]
            self._report_bad(page, is_valid)
            seen.update(fresh)
            yield from fresh
            url = self._next_url(answer, page, has_news=bool(fresh))

    def _get(self, url: str) -> Answer:
        """Read a page; a registry that refuses our page size (PAGINATION_NUMBER_INVALID) is asked without one."""
        request = Request("GET", url, self._attempt, {"Accept": "application/json"})
        answer = self._exchange.try_send(request, self._scope)
        if answer.status == 400 and self._sends_size:
            answer.discard()
            self._sends_size = False
            request = Request("GET", self._url, self._attempt, {"Accept": "application/json"})
            answer = self._exchange.try_send(request, self._scope)
        if answer.status != 200:
            raise self._refused(answer)
        return answer

    def _refused(self, answer: Answer) -> Exception:
        """A 404 whose body speaks of rights is about rights: it must not look like an empty repository."""
        error = answer.refusal().error()
        if isinstance(error, NotFoundError) and error.registry_code.upper() in ("UNAUTHORIZED", "DENIED"):
            return AuthError(error.message, status=error.status, registry_code=error.registry_code)
        return error

    def _page(self, answer: Answer) -> list[object]:
        body = answer.read(_PAGE_LIMIT_BYTES)
        if is_web_page(answer.headers, body):
            raise ProtocolError(f"{self._attempt}: a web page answered, not a registry")
        try:
            document = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"{self._attempt}: the answer is not JSON") from error
        if not isinstance(document, dict) or self._key not in document:
            raise ProtocolError(f"{self._attempt}: the answer has no list of {self._key}")
        page = document[self._key] or []  # an empty repository may answer "tags": null
        if not isinstance(page, list):
            raise ProtocolError(f"{self._attempt}: the answer's {self._key} are not a list")
        return page

    def _report_bad(self, page: list[object], is_valid: Callable[[str], bool]) -> None:
        """Nexus 3.58 lists null, Artifactory lists digests among the tags."""
        bad = [entry for entry in page if not (isinstance(entry, str) and is_valid(entry))]
        if bad:
            logger.warning("registry.bad_entries attempt=%r count=%d", self._attempt, len(bad))

    def _next_url(self, answer: Answer, page: list[object], *, has_news: bool) -> str | None:
        """Return the next page's address: from ``Link``, else by ``last=`` when this page looks full."""
        target = next_link(answer.headers.getlist("Link"))
        learned = self._exchange.connection.learned
        if target is not None:
            learned.sends_links = True
            return page_url(target, answer.url, attempt=self._attempt)
        looks_full = len(page) >= self._page_size or (len(page) > 0 and len(page) % 100 == 0)
        last = page[-1] if page else None
        if learned.sends_links or not (looks_full and has_news and isinstance(last, str)):
            return None
        size = f"n={self._page_size}&" if self._sends_size else ""
        return f"{self._url}?{size}last={quote(last, safe='')}"


def page_url(target: str, origin: str, *, attempt: str) -> str:
    """Return a link's address at the registry itself.

    Keep path and query only: behind proxies the link's scheme and port are often wrong (RFC 3986 §5).
    """
    here = urlsplit(origin)
    if target.startswith("?"):
        return urlunsplit((here.scheme, here.netloc, here.path, target[1:], ""))
    try:
        there = urlsplit(target)
    except ValueError as error:
        raise ProtocolError(f"{attempt}: the next page's address is none") from error
    if there.hostname and not is_same_host(target, origin):
        raise ProtocolError(f"{attempt}: the next page is said to be on another host, {there.hostname}")
    path = there.path if there.path.startswith("/") else f"{here.path.rpartition('/')[0]}/{there.path}"
    return urlunsplit((here.scheme, here.netloc, path, there.query, ""))


def next_link(headers: list[str]) -> str | None:
    """Return the target of ``rel="next"`` (RFC 8288, quoted or not), None without one.

    >>> next_link(['</v2/a/tags/list?last=x&n=2>; rel="next"'])
    '/v2/a/tags/list?last=x&n=2'
    """
    for line in headers:
        for target, parameters in _LINK.findall(line):
            if _NEXT.search(parameters):
                return str(target).strip()
        if "<" not in line and _NEXT.search(line):
            return line.partition(";")[0].strip()
    return None
