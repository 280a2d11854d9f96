"""The clients that vendors already use, with nothing but their base URL changed, against a live server."""

import http.client
import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest
from cloudevents.conversion import to_binary, to_dict, to_structured
from cloudevents.http import CloudEvent
from django.db import transaction
from lago_python_client.client import Client as LagoClient
from lago_python_client.models import BatchEvent
from lago_python_client.models import Event as LagoEvent
from openmeter import Client as OpenMeterClient
from segment.analytics.client import Client as SegmentClient  # type: ignore[import-untyped]

from consumption_cs.lib.tenancy import Viewer, act_as
from tests.factories import make_account, make_key, make_meter, make_organization
from usage.models import Event

pytestmark = pytest.mark.django_db(transaction=True)


class Vendor:
    def __init__(self) -> None:
        with transaction.atomic():
            self.organization = make_organization()
            make_account(self.organization, key="cust-1")
            make_meter(self.organization, "api.call")
            self.secret = make_key(self.organization)[1]

    def quantities(self) -> list[Decimal]:
        with act_as(Viewer(self.organization.pk)):
            return sorted(Event.objects.values_list("quantity", flat=True))


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


def cloud_event(quantity: int) -> CloudEvent:
    return CloudEvent({"type": "api.call", "source": "sdk", "subject": "cust-1"}, {"quantity": quantity})


def test_openmeter(server: str, vendor: Vendor) -> None:
    client = OpenMeterClient(
        endpoint=f"{server}/compat/openmeter", headers={"Authorization": f"Bearer {vendor.secret}"}
    )
    with client:
        once: Any = to_dict(cloud_event(7))
        client.events.ingest_event(once)
        client.events.ingest_event(once)  # a retry
        client.events.ingest_events([to_dict(cloud_event(1)), to_dict(cloud_event(2))])  # type: ignore[list-item]
    assert vendor.quantities() == [1, 2, 7]


def test_lago(server: str, vendor: Vendor) -> None:
    client = LagoClient(api_key=vendor.secret, api_url=f"{server}/compat/lago/")

    def event(transaction_id: str, timestamp: int | str, quantity: str | float) -> LagoEvent:
        return LagoEvent(
            transaction_id=transaction_id,
            external_subscription_id="cust-1",
            code="api.call",
            timestamp=timestamp,
            properties={"quantity": quantity},
            precise_total_amount_cents=None,
        )

    first = event("t-1", int(time.time()), "5")
    told = client.events.create(first)
    assert told is not None
    assert told.transaction_id == "t-1"
    client.events.batch_create(BatchEvent(events=[first, event("t-2", str(time.time()), 2.5)]))
    assert vendor.quantities() == [Decimal("2.5"), 5]


@pytest.mark.parametrize("compressed", [False, True])
def test_segment(server: str, vendor: Vendor, compressed: bool) -> None:
    errors: list[Exception] = []
    client = SegmentClient(
        vendor.secret,
        host=f"{server}/compat/segment",
        sync_mode=True,
        gzip=compressed,
        on_error=lambda error, _: errors.append(error),
    )
    client.track("cust-1", "api.call", {"quantity": 3}, timestamp=datetime.now(UTC))
    assert errors == []
    assert vendor.quantities() == [3]


def test_the_cloudevents_sdk_in_each_of_its_modes(server: str, vendor: Vendor) -> None:
    address = urlsplit(server)

    def post(headers: Any, body: bytes) -> int:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
        connection.request(
            "POST", "/api/v1/events", body, dict(headers) | {"Authorization": f"Bearer {vendor.secret}"}
        )
        status = connection.getresponse().status
        connection.close()
        return status

    assert post(*to_structured(cloud_event(1))) == 202
    assert post(*to_binary(cloud_event(2))) == 202
    batch = json.dumps([to_dict(cloud_event(3)), to_dict(cloud_event(4))]).encode()
    assert post({"Content-Type": "application/cloudevents-batch+json"}, batch) == 202
    assert vendor.quantities() == [1, 2, 3, 4]
