"""`POST /api/v1/events`: CloudEvents in, one result per event out. Accepted means committed."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from math import ceil
from typing import Any

import orjson
from django.db import InterfaceError, InternalError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from consumption_cs.lib.lanes import for_machines
from consumption_cs.lib.problems import problem_response, unavailable
from usage.actions.accept import Accepted, Sender, accept_events, record_unreadable
from usage.api.keys import Key, find_key, note_use, rate_limit
from usage.calc import limits
from usage.calc.cloudevents import Window
from usage.calc.media import OFFERED, check_length
from usage.calc.parsing import Item, parse_request
from usage.calc.problems import Unreadable, excerpt_of
from usage.wakeup import wake_roll_up

OLDEST = datetime(2000, 1, 1, tzinfo=UTC)  # the first partition there can be

Parse = Callable[[bytes, Window], list[Item]]


@for_machines
@csrf_exempt
@transaction.non_atomic_requests
def events(request: HttpRequest) -> HttpResponse:
    """Take one event or a batch from a key with the scope events:write."""
    if request.method != "POST":
        return method_not_allowed()
    headers = event_headers(request)
    return take_events(request, bearer(request), lambda body, window: parse_request(body, headers, window), answer)


def take_events(
    request: HttpRequest, presented: str, parse: Parse, respond: Callable[[Accepted], HttpResponse]
) -> HttpResponse:
    """The way of every dialect: key, body, events, answer. The key is checked before the body is read."""
    try:
        key = find_key(presented)
        if key is None:
            return unauthorized()
        if not key.may_write:
            return problem_response(403, "forbidden", "This key lacks the scope events:write.")
        return _take(request, key, parse, respond)
    except (OperationalError, InterfaceError, InternalError):
        return unavailable()


def _take(request: HttpRequest, key: Key, parse: Parse, respond: Callable[[Accepted], HttpResponse]) -> HttpResponse:
    sender = Sender(key.organization_id, key.id)
    now = clock(key)
    body = b""
    try:
        body = read_body(request)
        items = parse(body, Window.around(now, OLDEST if key.may_backfill else None))
    except Unreadable as refused:
        wait, headers = rate_limit.take(key.id, 1)
        if wait:
            return _too_many(wait, headers)
        record_unreadable(sender, refused.code, refused.detail, excerpt_of(body))
        return _refused(refused, headers)
    wait, headers = rate_limit.take(key.id, len(items))
    if wait:
        return _too_many(wait, headers)
    accepted = accept_events(sender, items, now)
    note_use(key)
    if accepted.accepted:
        wake_roll_up(key.organization_id)
    response = respond(accepted)
    for name, value in headers.items():
        response[name] = value
    return response


def method_not_allowed() -> HttpResponse:
    """Events are only ever sent, never read, under this address."""
    return problem_response(405, "method_not_allowed", "Send events with POST.", headers={"Allow": "POST"})


def clock(key: Key) -> datetime:
    """The time that decides what is too old or in the future: the database's, the same for every web process."""
    return key.now


def bearer(request: HttpRequest) -> str:
    """The key in the Authorization header; never one in the URL."""
    scheme, _, presented = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return presented.strip() if scheme.lower() == "bearer" else ""


def read_body(request: HttpRequest) -> bytes:
    """The body, if it is not too large; also of clients that send it in chunks. Raises Unreadable (413)."""
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isdecimal():
        check_length(int(length))
    elif request.META.get("HTTP_TRANSFER_ENCODING"):
        body: bytes = request.META["wsgi.input"].read(limits.BODY_BYTES + 1)
        return body
    try:
        return request.body
    except UnreadablePostError as error:
        raise Unreadable(400, "malformed_json", "The body ended before its time.") from error


def answer(accepted: Accepted) -> HttpResponse:
    """202 when nothing was rejected, 200 when some was, 422 when all was; results in the order of the items."""
    if not accepted.remarkable:
        return _json(202, _all_accepted(accepted.items))
    body: dict[str, Any] = {
        "accepted": accepted.accepted,
        "duplicate": accepted.duplicate,
        "quarantined": accepted.quarantined,
        "rejected": accepted.rejected,
        "results": _results(accepted),
    }
    if accepted.rejected < accepted.items:
        return _json(200 if accepted.rejected else 202, orjson.dumps(body))
    errors = [
        {"pointer": f"/{index}{result['pointer']}", "code": result["code"], "detail": result["detail"]}
        for index, result in sorted(accepted.remarkable.items())
    ]
    detail = "No event was accepted; see results."
    code = errors[0]["code"] if accepted.items == 1 else "all_rejected"
    return problem_response(422, code, detail, errors, **body)


def _results(accepted: Accepted) -> list[dict[str, Any]]:
    told = accepted.remarkable
    return [told.get(index) or {"index": index, "status": "accepted"} for index in range(accepted.items)]


@lru_cache(maxsize=limits.BATCH_EVENTS)
def _all_accepted(items: int) -> bytes:
    """The usual answer is the same for every batch of a size."""
    results = [{"index": index, "status": "accepted"} for index in range(items)]
    return orjson.dumps({"accepted": items, "duplicate": 0, "quarantined": 0, "rejected": 0, "results": results})


def _json(status: int, body: bytes) -> HttpResponse:
    return HttpResponse(body, status=status, content_type="application/json", headers={"Cache-Control": "no-store"})


def unauthorized() -> HttpResponse:
    """One body for every reason: it must not tell whether a key exists, has expired or was revoked."""
    detail = "Send a valid API key: Authorization: Bearer ccs_live_…"
    return problem_response(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})


def _refused(refused: Unreadable, headers: Any) -> HttpResponse:
    more = dict(headers)
    if refused.status == 415:
        more["Accept"] = ", ".join(OFFERED)
        more["Accept-Encoding"] = "gzip"
    errors = [{"pointer": "", "code": refused.code, "detail": refused.detail}]
    return problem_response(refused.status, refused.code, refused.detail, errors, headers=more)


def _too_many(wait: float, headers: Any) -> HttpResponse:
    detail = "This key sends more events than its rate allows. Nothing was stored; send the same again later."
    return problem_response(429, "rate_limited", detail, headers=dict(headers) | {"Retry-After": str(ceil(wait))})


def event_headers(request: HttpRequest) -> dict[str, str]:
    """The headers that say what the body is and, in binary mode, the event's attributes; names in lower case."""
    meta = request.META
    found = {"content-type": meta.get("CONTENT_TYPE", ""), "content-encoding": meta.get("HTTP_CONTENT_ENCODING", "")}
    found.update((f"ce-{name[8:].lower()}", value) for name, value in meta.items() if name.startswith("HTTP_CE_"))
    return found
