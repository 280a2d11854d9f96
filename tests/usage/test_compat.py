"""Clients of other products, pointed at our base URL: their requests as they send them, the answers they need."""

import base64
import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from accounts.models import Organization, Scope
from consumption_cs.lib.tenancy import Viewer, act_as
from tests.factories import make_account, make_key, make_meter, make_organization
from usage.actions.directory import forget_directories
from usage.models import Event, RejectedEvent

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime.now(UTC)


class Vendor:
    def __init__(self) -> None:
        forget_directories()
        with transaction.atomic():
            self.organization: Organization = make_organization()
            make_account(self.organization, key="cust-1")
            make_meter(self.organization, "api.call")
            make_meter(self.organization, "clicks", aggregation="count")
            self.secret = make_key(self.organization)[1]
            self.reader = make_key(self.organization, (Scope.READ,))[1]

    def post(self, path: str, body: Any, content_type: str = "application/json", **headers: str) -> Any:
        headers = {"authorization": f"Bearer {self.secret}"} | headers
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Client().post(f"/compat/{path}", raw, content_type=content_type, headers=headers)

    def stored(self) -> list[tuple[str, str, Decimal]]:
        with act_as(Viewer(self.organization.pk)):
            return list(Event.objects.order_by("event_id").values_list("source", "event_id", "quantity"))


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


def cloud_event(number: int, **changes: Any) -> dict[str, Any]:
    event = {"specversion": "1.0", "id": f"e-{number}", "source": "my-app", "type": "api.call", "subject": "cust-1"}
    return event | {"time": NOW.isoformat(), "data": {"quantity": number}} | changes


def test_openmeter_gets_exactly_204_also_for_a_retry(vendor: Vendor) -> None:
    path = "openmeter/api/v1/events"
    for _ in range(2):
        response = vendor.post(path, cloud_event(1), "application/cloudevents+json")
        assert (response.status_code, response.content) == (204, b"")
    batch = [cloud_event(2), cloud_event(3)]
    assert vendor.post(path, batch, "application/cloudevents-batch+json").status_code == 204
    assert [event_id for _, event_id, _ in vendor.stored()] == ["e-1", "e-2", "e-3"]


def test_openmeter_is_told_what_was_rejected(vendor: Vendor) -> None:
    batch = [cloud_event(1), cloud_event(2, data={"quantity": -1})]
    response = vendor.post("openmeter/api/v1/events", batch, "application/cloudevents-batch+json")
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/1/data/quantity"
    assert len(vendor.stored()) == 1


def test_lago_gets_its_event_back(vendor: Vendor) -> None:
    event = {
        "transaction_id": "t-1",
        "external_subscription_id": "cust-1",
        "code": "api.call",
        "timestamp": f"{NOW.timestamp():.3f}",
        "properties": {"quantity": "12.50"},
    }
    for _ in range(2):
        response = vendor.post("lago/api/v1/events", {"event": event})
        assert response.status_code == 200
        assert response.json()["event"].items() >= event.items()
    assert vendor.stored() == [("lago", "t-1", Decimal("12.5"))]
    with act_as(Viewer(vendor.organization.pk)):
        stored = Event.objects.get()
    assert abs((stored.occurred_at - NOW).total_seconds()) < 0.001


@pytest.mark.parametrize("timestamp", [int(NOW.timestamp()), NOW.isoformat(), None], ids=["seconds", "text", "none"])
def test_lago_batches_take_any_of_its_timestamps(vendor: Vendor, timestamp: Any) -> None:
    events = [
        {"transaction_id": f"t-{n}", "external_customer_id": "cust-1", "code": "clicks", "timestamp": timestamp}
        for n in range(3)
    ]
    response = vendor.post("lago/api/v1/events/batch", {"events": events})
    assert response.status_code == 200
    assert [event["transaction_id"] for event in response.json()["events"]] == ["t-0", "t-1", "t-2"]
    assert [quantity for *_, quantity in vendor.stored()] == [1, 1, 1]


def test_lago_is_told_what_was_rejected_in_its_own_shape(vendor: Vendor) -> None:
    events = [{"transaction_id": "t-1", "external_subscription_id": "cust-1", "code": "api.call"}, 5]
    response = vendor.post("lago/api/v1/events/batch", {"events": events})
    assert response.status_code == 422
    assert response.json() == {
        "status": 422,
        "error": "Unprocessable Entity",
        "code": "validation_errors",
        "error_details": {"0": {"data/quantity": ["invalid_quantity"]}, "1": {"event": ["not_an_object"]}},
    }


@pytest.mark.parametrize("timestamp", ["9" * 400, "1e999", "soon", True, 10**12, -1])
def test_lago_timestamps_that_are_none_are_rejected_not_guessed(vendor: Vendor, timestamp: Any) -> None:
    event = {"transaction_id": "t", "external_subscription_id": "cust-1", "code": "clicks", "timestamp": timestamp}
    response = vendor.post("lago/api/v1/events", {"event": event})
    assert response.status_code == 422
    assert vendor.stored() == []


def test_segment_sends_track_calls_with_basic_authentication(vendor: Vendor) -> None:
    basic = base64.b64encode(f"{vendor.secret}:".encode()).decode()
    track = {
        "type": "track",
        "userId": "cust-1",
        "event": "api.call",
        "properties": {"quantity": 3, "workflow": "Search"},
        "timestamp": NOW.isoformat(),
        "messageId": "m-1",
        "context": {"library": {"name": "analytics-python"}},
    }
    body = gzip.compress(json.dumps({"batch": [track, track | {"type": "identify", "messageId": "m-2"}]}).encode())
    headers = {"authorization": f"Basic {basic}", "content-encoding": "gzip"}
    response = vendor.post("segment/v1/batch", body, **headers)
    assert response.status_code == 200
    assert [response.json()[name] for name in ("success", "accepted", "rejected")] == [False, 1, 1]
    assert vendor.stored() == [("segment", "m-1", Decimal(3))]
    with act_as(Viewer(vendor.organization.pk)):
        assert RejectedEvent.objects.get().code == "unsupported_call"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("openmeter/api/v1/events", {}),
        ("lago/api/v1/events", {"event": {}}),
        ("lago/api/v1/events/batch", {"events": []}),
        ("segment/v1/batch", {"batch": []}),
    ],
)
def test_every_dialect_keeps_the_rules_of_the_endpoint(vendor: Vendor, path: str, body: Any) -> None:
    nobody = {"authorization": "Basic ???" if "segment" in path else "Bearer nobody"}
    assert vendor.post(path, body, **nobody).status_code == 401
    reader = base64.b64encode(f"{vendor.reader}:".encode()).decode() if "segment" in path else vendor.reader
    scheme = "Basic" if "segment" in path else "Bearer"
    assert vendor.post(path, body, authorization=f"{scheme} {reader}").status_code == 403
    writer = base64.b64encode(f"{vendor.secret}:".encode()).decode() if "segment" in path else vendor.secret
    for wrong in (b"{", b"[1]", b'{"event": 1, "event": 2}', b'{"events": 5}', b'{"batch": {}}'):
        assert 400 <= vendor.post(path, wrong, authorization=f"{scheme} {writer}").status_code < 500
    response = Client().get(f"/compat/{path}")
    assert (response.status_code, response["Allow"]) == (405, "POST")
