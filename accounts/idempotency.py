"""Idempotency-Key: a creating request that is sent again has one effect, and gets the first answer again."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import OperationalError, connection, transaction
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.http import viewer_of
from accounts.models import ApiKey, IdempotencyKey
from consumption_cs.lib.problems import problem_response

HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
KEPT = timedelta(hours=24)
_MOST_CHARS = 255
_WAIT_MS = 1000  # for the same request that is being worked on
_LOCK_NOT_AVAILABLE = "55P03"
_KEPT_HEADERS = ("Location",)
# Refusals that another attempt may not meet: those are worked on anew.
_NOT_KEPT = frozenset({401, 409, 429})
_DESCRIPTION = (
    "1 to 255 printable ASCII characters of your choice, a UUID say. The same key with the same path and body within "
    "24 hours has no second effect: the first answer comes again, with the header `Idempotency-Replayed: true`. "
    "The same key with anything else is refused with 422; while the first is being worked on the answer is 409 with "
    "Retry-After. Answers of 500 and above, 409 and 429 are not kept."
)

View = Callable[..., HttpResponseBase]


def idempotent(handler: View) -> View:
    """Decorate the method of an API view that creates something: it honours the header Idempotency-Key.

    The key is written in the transaction of the effect, under a unique constraint, so that of two requests at once
    one acts and the other waits a moment for its answer. Without the header nothing changes. Put it outermost:
    above `extend_schema`. Not for uploads larger than DATA_UPLOAD_MAX_MEMORY_SIZE: the body is read whole.
    """

    @wraps(handler)
    def once(view: APIView, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        key = request.headers.get(HEADER)
        if key is None:
            return handler(view, request, *args, **kwargs)
        if not (1 <= len(key) <= _MOST_CHARS and key.isascii() and key.isprintable()):
            detail = f"{HEADER} takes 1 to {_MOST_CHARS} printable ASCII characters, such as a UUID."
            return problem_response(400, "invalid_idempotency_key", detail)
        return _once(key, view, request, lambda: handler(view, request, *args, **kwargs))

    parameter = OpenApiParameter(HEADER, OpenApiTypes.STR, OpenApiParameter.HEADER, description=_DESCRIPTION)
    described: View = extend_schema(parameters=[parameter])(once)
    described.is_idempotent = True  # type: ignore[attr-defined]  # the schema adds how it refuses
    return described


def describe_replays(operation: dict[str, Any]) -> None:
    """Add to a described operation what the header can lead to. For schema classes, on methods `is_idempotent`."""
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            words = "“true” when this is the answer of an earlier request with the same key."
            header = {"schema": {"type": "string", "enum": ["true"]}, "description": words}
            answer.setdefault("headers", {})[REPLAYED] = header


REFUSALS = {
    "409": "A request with this Idempotency-Key is being worked on (see Retry-After), or the state does not allow it.",
    "422": "This Idempotency-Key was used for another request, or what is asked for cannot be done.",
}


def _once(key: str, view: APIView, request: Request, act: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    now, viewer, digest = timezone.now(), viewer_of(request), _digest(request)
    mine = {"organization_id": viewer.organization_id, "actor": _actor(request), "key": key}
    claimed = _claim(mine, {"account_id": viewer.account_id, "request_hash": digest}, now)
    if claimed is None:
        return _in_use()
    row, is_new = claimed
    if not is_new:
        return _replay(row, digest)
    response = _answer(view, act)
    rows = IdempotencyKey.objects.visible_to(viewer).filter(pk=row.pk)
    if response.status_code < 500 and response.status_code not in _NOT_KEPT:
        rows.update(status=response.status_code, response=_kept(response))
    else:
        rows.delete()
    return response


def _claim(mine: dict[str, Any], fields: dict[str, Any], now: datetime) -> tuple[IdempotencyKey, bool] | None:
    """Return the row and whether it is new; None while another transaction holds it, after a short wait."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = %s", [f"{_WAIT_MS}ms"])
            row, is_new = IdempotencyKey.objects.get_or_create(**mine, defaults=fields)
            if not is_new and row.created_at <= now - KEPT:
                IdempotencyKey.objects.filter(pk=row.pk, **mine).delete()
                row, is_new = IdempotencyKey.objects.get_or_create(**mine, defaults=fields)
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) == _LOCK_NOT_AVAILABLE:
            return None
        raise
    return row, is_new


def _replay(row: IdempotencyKey, digest: str) -> HttpResponse:
    if row.request_hash != digest:
        detail = f"This {HEADER} was used for another request within 24 hours. Take a new key for a new request."
        return problem_response(422, "idempotency_key_reused", detail)
    kept = row.response
    if row.status is None or kept is None:
        return _in_use()
    response = HttpResponse(kept["body"], status=row.status, content_type=kept["type"], headers=kept["headers"])
    response[REPLAYED] = "true"
    return response


def _in_use() -> HttpResponse:
    detail = "The same request is being worked on. Send it again in a moment."
    return problem_response(409, "idempotency_key_in_use", detail, headers={"Retry-After": "1"})


def _answer(view: APIView, act: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """Return what the handler answers, a refusal included: what it did is undone then, the key's row is not."""
    try:
        with transaction.atomic():
            return act()
    except (APIException, Http404, PermissionDenied) as error:
        with transaction.atomic():  # the handler of errors marks the innermost block to be rolled back
            return view.handle_exception(error)


def _kept(response: HttpResponseBase) -> dict[str, Any]:
    """The answer as JSON; its body as text, so that it comes again byte for byte."""
    if isinstance(response, Response):
        body = "" if response.data is None else JSONRenderer().render(response.data).decode()
        content_type = response.content_type or "application/json"
    else:
        body, content_type = response.content.decode(), response.headers["Content-Type"]  # type: ignore[attr-defined]
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return {"body": body, "type": content_type, "headers": headers}


def _actor(request: Request) -> str:
    """Whose key it is: an API key, or a person in one of their seats."""
    if isinstance(request.auth, ApiKey):
        return f"key:{request.auth.pk}"
    return f"member:{request._request.membership.pk}"  # type: ignore[attr-defined]  # ViewerMiddleware put it there


def _digest(request: Request) -> str:
    asked = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    asked.update(request._request.body)
    return asked.hexdigest()
