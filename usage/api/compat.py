"""Other products' ingest endpoints, each with the answers that its clients need. Behind them is the same function."""

import base64
import binascii
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from consumption_cs.lib.lanes import for_machines
from consumption_cs.lib.problems import problem_response
from usage.actions.accept import Accepted
from usage.api.events import bearer, event_headers, method_not_allowed, take_events
from usage.calc.cloudevents import Window, canonical_json
from usage.calc.dialects import parse_lago, parse_segment
from usage.calc.parsing import Item, parse_request


@for_machines
@csrf_exempt
@transaction.non_atomic_requests
def openmeter(request: HttpRequest) -> HttpResponse:
    """CloudEvents as OpenMeter takes them: exactly 204 when nothing was rejected, duplicates included."""
    if request.method != "POST":
        return method_not_allowed()
    headers = event_headers(request)

    def respond(accepted: Accepted) -> HttpResponse:
        return _rejections(accepted, 400) if accepted.rejected else HttpResponse(status=204)

    return take_events(request, bearer(request), lambda body, window: parse_request(body, headers, window), respond)


@for_machines
@csrf_exempt
@transaction.non_atomic_requests
def lago_event(request: HttpRequest) -> HttpResponse:
    """Lago's single event: 200 with the event as it was sent."""
    return _lago(request, "event")


@for_machines
@csrf_exempt
@transaction.non_atomic_requests
def lago_batch(request: HttpRequest) -> HttpResponse:
    """Lago's batch: 200 with the events as they were sent."""
    return _lago(request, "events")


def _lago(request: HttpRequest, member: str) -> HttpResponse:
    if request.method != "POST":
        return method_not_allowed()
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "")
    sent: list[Any] = []

    def parse(body: bytes, window: Window) -> list[Item]:
        items, events = parse_lago(body, encoding, window, member=member)
        sent.extend(events)
        return items

    def respond(accepted: Accepted) -> HttpResponse:
        if accepted.rejected:
            return _lago_rejections(accepted)
        told = [_lago_told(event) for event in sent]
        return _json(200, {member: told if member == "events" else told[0]})

    return take_events(request, bearer(request), parse, respond)


def _lago_told(event: dict[str, Any]) -> dict[str, Any]:
    """An event as Lago's client reads it back. Nothing here has an id of Lago's."""
    told = {name: value for name, value in event.items() if name != "properties"}
    return {"lago_id": event["transaction_id"], **told, "properties": event.get("properties") or {}}


def _lago_rejections(accepted: Accepted) -> HttpResponse:
    """Lago's shape of an error: details by the index of the event."""
    details = {
        str(index): {(result["pointer"].strip("/") or "event"): [result["code"]]}
        for index, result in accepted.remarkable.items()
        if result["status"] == "rejected"
    }
    body = {"status": 422, "error": "Unprocessable Entity", "code": "validation_errors", "error_details": details}
    return _json(422, body)


@for_machines
@csrf_exempt
@transaction.non_atomic_requests
def segment_batch(request: HttpRequest) -> HttpResponse:
    """Segment's batch with the key as the user of Basic authentication: 200 whenever it could be read.

    Its client gives up a whole batch on any other answer, so what was rejected is told in the body and the event log.
    """
    if request.method != "POST":
        return method_not_allowed()
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "")

    def respond(accepted: Accepted) -> HttpResponse:
        return _json(200, {"success": not accepted.rejected, "accepted": accepted.accepted,
                           "duplicate": accepted.duplicate, "quarantined": accepted.quarantined,
                           "rejected": accepted.rejected, "results": list(accepted.remarkable.values())})  # fmt: skip

    return take_events(
        request, basic_user(request), lambda body, window: parse_segment(body, encoding, window), respond
    )


def basic_user(request: HttpRequest) -> str:
    """The user name of Basic authentication, "" when there is none."""
    scheme, _, encoded = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""
    return pair.partition(":")[0]


def _rejections(accepted: Accepted, status: int) -> HttpResponse:
    results = [result for result in accepted.remarkable.values() if result["status"] == "rejected"]
    errors = [
        {"pointer": f"/{result['index']}{result['pointer']}", "code": result["code"], "detail": result["detail"]}
        for result in results
    ]
    detail = f"{accepted.rejected} of {accepted.items} events were rejected; the others are stored."
    return problem_response(status, "rejected", detail, errors)


def _json(status: int, body: dict[str, Any]) -> HttpResponse:
    content = canonical_json(body)  # numbers of events keep all their digits
    return HttpResponse(content, status=status, content_type="application/json", headers={"Cache-Control": "no-store"})
