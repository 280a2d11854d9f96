"""JSON bodies of the API read as strictly as events are: every number exact, nothing absurd, nothing twice."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

from usage.calc.json_strict import load
from usage.calc.problems import Unreadable

MOST_BYTES = 2 * 1024 * 1024


class TooLarge(APIException):
    """The body is longer than any request here has a use for."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = f"The body has more than {MOST_BYTES} bytes: send it in parts."
    default_code = "too_large"


class StrictJSONParser(BaseParser):
    """Numbers come as int or Decimal. Duplicate keys, NaN, deep nesting and unstorable texts are refused."""

    media_type = "application/json"
    renderer_class = JSONRenderer

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the value. Raises ParseError, answered as 400, with what is wrong, and TooLarge."""
        body = stream.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise TooLarge
        try:
            value, is_storable = load(body)
        except Unreadable as error:
            raise ParseError(error.detail, error.code) from error
        if not is_storable and not _is_storable(value):
            raise ParseError("A text holds a NUL or half a surrogate pair, which nothing can store.", "invalid_text")
        return value


def _is_storable(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, dict):
        return all(_is_storable(name) and _is_storable(part) for name, part in value.items())
    return all(map(_is_storable, value)) if isinstance(value, list) else True
