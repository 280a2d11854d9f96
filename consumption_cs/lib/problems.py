"""Errors of the API as problem+json (RFC 9457): one shape for plain views and for Django REST framework."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from django.http import HttpResponse
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_handler

CONTENT_TYPE = "application/problem+json"
UNAVAILABLE_SECONDS = 5

Errors = Sequence[Mapping[str, Any]]


def problem_body(status: int, code: str, detail: str = "", errors: Errors = (), **more: Any) -> dict[str, Any]:
    """The members of a problem. `code` is stable and for programs; `errors` hold code, detail and JSON pointer."""
    body: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "code": code}
    if detail:
        body["detail"] = detail
    if errors:
        body["errors"] = list(errors)
    return body | more


def problem_response(
    status: int,
    code: str,
    detail: str = "",
    errors: Errors = (),
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> HttpResponse:
    """The problem as an answer that no cache keeps."""
    body = orjson.dumps(problem_body(status, code, detail, errors, **more))
    return HttpResponse(
        body, status=status, content_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"} | dict(headers or {})
    )


def unavailable() -> HttpResponse:
    """The database cannot be reached or cannot write. Trying again is safe, whatever became of this attempt."""
    detail = "The database is not available. Send the same again: nothing counts twice."
    return problem_response(503, "unavailable", detail, headers={"Retry-After": str(UNAVAILABLE_SECONDS)})


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """For Django REST framework's setting EXCEPTION_HANDLER."""
    response = drf_handler(error, context)
    if response is None:
        return None
    code = getattr(error, "default_code", "error")
    detail = response.data.get("detail", "") if isinstance(response.data, dict) else ""
    response.data = problem_body(response.status_code, str(code), str(detail), _field_errors(response.data))
    response.content_type = CONTENT_TYPE
    return response


def _field_errors(data: Any, pointer: str = "") -> list[dict[str, str]]:
    """DRF's nested errors, flattened to a list with pointers."""
    if isinstance(data, dict):
        parts = [(name, part) for name, part in data.items() if pointer or name != "detail"]
        return [error for name, part in parts for error in _field_errors(part, f"{pointer}/{name}")]
    if isinstance(data, list):
        return [error for part in data for error in _field_errors(part, pointer)]
    return [{"pointer": pointer, "code": str(getattr(data, "code", "invalid")), "detail": str(data)}]
