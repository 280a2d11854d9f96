"""Meters: the list, making one, changing one, and what is locked once events were counted."""

from datetime import date
from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEvent, Organization, Role
from consumption_cs.lib.tenancy import enter
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_usage_day,
    signed_in,
    staff_of,
)
from usage.forms import read_values, write_values
from usage.models import Meter

pytestmark = pytest.mark.django_db


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def admin(organization: Organization) -> Client:
    return signed_in(make_member(organization))


def filled(**fields: Any) -> dict[str, Any]:
    start = {
        "name": "API calls",
        "key": "api-calls",
        "unit": "call",
        "event_type": "api.call",
        "aggregation": "sum",
        "value_property": "quantity",
        "workflow_property": "workflow",
        "success_property": "success",
        "outcome_property": "outcome",
        "attempt_property": "attempt",
        "environment_property": "environment",
        "dimensions": "region, model",
        "is_active": "on",
        "filters-TOTAL_FORMS": "2",
        "filters-INITIAL_FORMS": "0",
        "filters-0-name": "plan",
        "filters-0-values": "pro, true, 7",
        "filters-1-name": "",
        "filters-1-values": "",
    }
    return start | fields


def test_a_meter_is_made_with_its_mapping_filters_and_dimensions(organization: Organization, admin: Client) -> None:
    assert admin.post("/meters/new/", filled()).status_code == 302
    enter(staff_of(organization))
    meter = Meter.objects.get()
    assert meter.filters == {"plan": ["pro", True, 7]}
    assert meter.dimensions == ["region", "model"]
    assert AuditEvent.objects.get().action == "meter.created"
    body = admin.get("/meters/").content.decode()
    assert "API calls" in body
    assert "&quot;plan&quot;: &quot;pro&quot;" in body


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"key": "no spaces"}, "Use letters, digits"),
        ({"event_type": "taken"}, "Another meter reads this event type."),
        ({"event_type": "consumption.void"}, "Types that start with “consumption.” correct other events"),
        ({"key": "taken"}, "Another meter has this key."),
        ({"dimensions": "a,b,c,d,e,f"}, "Name each property once, and 5 at most."),
        ({"dimensions": "a,a"}, "Name each property once"),
        ({"filters-1-name": "plan", "filters-1-values": "x"}, "A property stands there twice"),
        ({"filters-1-name": "plan2"}, "A filter needs both"),
        ({"name": ""}, "This field is required."),
    ],
)
def test_what_is_wrong_is_said_beside_the_field(
    organization: Organization, admin: Client, fields: dict[str, str], words: str
) -> None:
    make_meter(organization, "taken")
    response = admin.post("/meters/new/", filled(**fields))
    assert response.status_code == 422
    assert words in response.content.decode()
    enter(staff_of(organization))
    assert Meter.objects.count() == 1


def test_what_is_counted_is_locked_once_events_were_counted(organization: Organization, admin: Client) -> None:
    meter = make_meter(organization)
    make_usage_day(make_account(organization), meter, date(2026, 6, 1))
    page = admin.get(f"/meters/{meter.pk}/").content.decode()
    assert "stay as they are, because bills rest on them" in page
    changed = filled(name="Renamed", aggregation="max", value_property="size", key=meter.key)
    assert admin.post(f"/meters/{meter.pk}/", changed).status_code == 302
    enter(staff_of(organization))
    meter.refresh_from_db()
    assert (meter.name, meter.aggregation, meter.value_property) == ("Renamed", "sum", "quantity")
    assert AuditEvent.objects.get().details["name"] == {"from": "api.call", "to": "Renamed"}


def test_a_meter_without_events_may_change_what_it_counts(organization: Organization, admin: Client) -> None:
    meter = make_meter(organization)
    admin.post(f"/meters/{meter.pk}/", filled(aggregation="unique", value_property="user", key=meter.key))
    enter(staff_of(organization))
    meter.refresh_from_db()
    assert (meter.aggregation, meter.value_property) == ("unique", "user")


def test_saving_without_a_change_leaves_no_trace(organization: Organization, admin: Client) -> None:
    admin.post("/meters/new/", filled())
    enter(staff_of(organization))
    meter = Meter.objects.get()
    admin.post(f"/meters/{meter.pk}/", filled(**{"filters-INITIAL_FORMS": "1"}))
    enter(staff_of(organization))
    assert [row.details for row in AuditEvent.objects.order_by("pk")][1:] == []


def test_reading_is_for_staff_and_changing_for_those_with_the_right(organization: Organization) -> None:
    meter = make_meter(organization)
    csm = signed_in(make_member(organization, Role.CSM))
    assert csm.get("/meters/").status_code == 200
    assert csm.get(f"/meters/{meter.pk}/").status_code == 403
    customer = signed_in(make_member(make_account(organization)))
    assert customer.get("/meters/").status_code == 403


def test_another_organization_s_meter_is_unknown(organization: Organization) -> None:
    meter = make_meter(organization)
    stranger = signed_in(make_member(make_organization("Globex")))
    assert stranger.get(f"/meters/{meter.pk}/").status_code == 404
    assert stranger.post(f"/meters/{meter.pk}/", filled()).status_code == 404
    assert "No meters yet" in stranger.get("/meters/").content.decode()


@pytest.mark.parametrize("values", [["a", "b"], [True, False], [1, -2], ["1", "true"], ["2.5"], ["007"]])
def test_the_values_of_a_filter_survive_being_written_and_read(values: list[Any]) -> None:
    again = read_values(write_values(values))
    assert again == values
    assert [type(value) for value in again] == [type(value) for value in values]
