"""Hostile requests from a folder of JSON files, made ready to send. `HOSTILE_DIR` names another folder."""

import base64
import json
import os
import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts.models import Scope
from tests.factories import make_account, make_key, make_member, make_meter, make_organization, signed_in

FOLDER = Path(os.environ.get("HOSTILE_DIR") or Path(__file__).parent.parent / "hostile")
PATH = "/api/v1/events"

_TOKEN = re.compile(r"@@NOW(?:([+-]\d+)s)?@@")
_NEEDS = re.compile(r"(\w+) has \((.+), (.+)\)")


@dataclass
class Request:
    """What goes over the wire."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What came back. `problem` and `results` are those of the body, if it has them."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> dict[str, Any]:
        return json.loads(self.body) if self.body else {}

    @property
    def codes(self) -> set[str]:
        """The codes of the items or, if none was read, that of the request."""
        items = {result["code"] for result in self.content.get("results", []) if "code" in result}
        return items or ({self.content["code"]} if "code" in self.content else set())

    @property
    def counts(self) -> dict[str, int]:
        names = ("accepted", "duplicate", "quarantined", "rejected")
        return {name: self.content.get(name, 0) for name in names}


def load_cases() -> list[dict[str, Any]]:
    files = sorted(FOLDER.glob("*.json"))
    assert files, f"no hostile cases in {FOLDER}"
    return [case for file in files for case in json.loads(file.read_text())["cases"]]


class World:
    """The organizations, accounts, meters and keys that the cases speak of."""

    def __init__(self) -> None:
        with transaction.atomic():
            self.acme = make_organization("Acme", timezone="America/New_York")
            self.globex = make_organization("Globex")
            for organization, subjects in ((self.acme, ("cust-1", "cust-2")), (self.globex, ("globex-cust-1",))):
                for subject in subjects:
                    make_account(organization, key=subject, timezone=organization.timezone)
            for event_type in ("api.call", "llm.tokens"):
                make_meter(self.acme, event_type)
            make_meter(self.globex, "api.call")
            past = datetime(2020, 1, 1, tzinfo=UTC)
            write, backfill = Scope.EVENTS_WRITE, Scope.EVENTS_BACKFILL
            self.keys = {
                "valid": make_key(self.acme, (write,))[1],
                "backfill": make_key(self.acme, (write, backfill))[1],
                "read_only": make_key(self.acme, (Scope.READ,))[1],
                "revoked": make_key(self.acme, (write,), revoked_at=past)[1],
                "expired": make_key(self.acme, (write,), expires_at=past)[1],
                "bad": "ccs_live_" + "x" * 54,
                "globex": make_key(self.globex, (write,))[1],
            }
            self.session = signed_in(make_member(self.acme)).cookies[settings.SESSION_COOKIE_NAME].value

    def authorize(self, request: Request, how: str) -> None:
        """Add the credential that a case names."""
        if how == "query":
            key = self.keys["valid"]
            request.path += f"?api_key={key}&access_token={key}&key={key}"
        elif how == "session":
            request.headers["Cookie"] = f"{settings.SESSION_COOKIE_NAME}={self.session}"
        elif how != "none":
            request.headers["Authorization"] = f"Bearer {self.keys.get(how, how)}"


def now_of(case: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(case["now"]) if "now" in case else datetime.now(UTC)


def request_of(case: dict[str, Any], world: World, now: datetime) -> Request:
    headers = {name: _with_times(value, now) for name, value in case.get("headers", {}).items()}
    if case["content_type"]:
        headers["Content-Type"] = case["content_type"]
    request = Request(case.get("method", "POST"), PATH, headers, _body_of(case, now))
    world.authorize(request, case.get("auth", "valid"))
    return request


def before(case: dict[str, Any], world: World, now: datetime) -> list[Request]:
    """What must be sent first."""
    requests = []
    for event in case.get("before", []):
        body = _with_times(json.dumps(event), now).encode()
        requests.append(Request("POST", PATH, {"Content-Type": "application/cloudevents+json"}, body))
        world.authorize(requests[-1], "valid")
    needs = _NEEDS.fullmatch(case.get("needs", ""))
    if needs:
        organization, source, event_id = needs.groups()
        event = {"specversion": "1.0", "id": event_id, "source": source, "type": "api.call"}
        event |= {"subject": "globex-cust-1", "data": {"quantity": 1}}
        requests.append(Request("POST", PATH, {"Content-Type": "application/json"}, json.dumps(event).encode()))
        world.authorize(requests[-1], organization)
    return requests


def accepted_quantity(request: Request, answer: Answer) -> Decimal:
    """What a sender may believe to be stored after this answer."""
    accepted = [result["index"] for result in answer.content.get("results", []) if result["status"] == "accepted"]
    if not accepted:
        return Decimal(0)
    body = zlib.decompress(request.body, 31) if "Content-Encoding" in request.headers else request.body
    sent = json.loads(body, parse_float=Decimal)
    if "ce-id" in {name.lower() for name in request.headers}:
        sent = {"data": sent}
    items = sent if isinstance(sent, list) else [sent]
    return sum((Decimal(items[index]["data"]["quantity"]) for index in accepted), Decimal(0))


def complaints(case: dict[str, Any], answer: Answer) -> list[str]:
    """How an answer differs from what the case expects."""
    found = []
    if answer.status != case["expected_status"]:
        found.append(f"status {answer.status}, not {case['expected_status']}")
    if answer.codes != set(case["expected_codes"]):
        found.append(f"codes {sorted(answer.codes)}, not {case['expected_codes']}")
    if answer.counts != case["expected_counts"]:
        found.append(f"counts {answer.counts}, not {case['expected_counts']}")
    return [f"{case['name']}: {complaint}" for complaint in found]


def _body_of(case: dict[str, Any], now: datetime) -> bytes:
    if "body_b64" in case:
        raw = base64.b64decode(case["body_b64"])
    elif "body_zlib_b64" in case:
        raw = zlib.decompress(base64.b64decode(case["body_zlib_b64"]))
    else:
        raw = case.get("body", "").encode("utf-8", "surrogatepass")
    # Latin-1 keeps every byte as it is, whatever the body's own encoding.
    return _with_times(raw.decode("latin-1"), now).encode("latin-1")


def _with_times(text: str, now: datetime) -> str:
    def time_of(match: re.Match[str]) -> str:
        moment = now + timedelta(seconds=int(match[1] or 0))
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    return _TOKEN.sub(time_of, text)
