"""Request bodies, and the content types we take and give."""

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.renderers import JSONRenderer as FrameworkJSONRenderer
from rest_framework.request import Request

from harborsync.lib.api.errors import TooLarge

BODY_MAX_BYTES = 1024 * 1024


class JSONParser(BaseParser):
    """JSON in UTF-8 (RFC 8259, section 8.1) of a size that a request may have; everything else is a 400 or 413."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the document. Raises ParseError, TooLarge."""
        body = stream.read(BODY_MAX_BYTES + 1)
        if len(body) > BODY_MAX_BYTES:
            raise TooLarge(f"the body is larger than {BODY_MAX_BYTES} bytes")
        try:
            return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise ParseError(f"parsing the body failed: {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    """Python reads NaN and Infinity, JSON has no such words."""
    raise ValueError(f"{name} is not JSON")


class JSONRenderer(FrameworkJSONRenderer):
    """JSON that names its charset, as Harbor does."""

    charset = "utf-8"


class IgnoreAccept(BaseContentNegotiation):
    """Every call has one content type. Harbor's clients ask for different ones, so none is refused."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """Take the parser whose type the body carries; none leads to a 415."""
        content_type = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == content_type), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Take the view's only renderer."""
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)
