"""The read API: what it answers, to whom, and how it refuses."""

import json
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Organization, Role, Scope
from tests.factories import (
    make_account,
    make_key,
    make_member,
    make_meter,
    make_organization,
    make_usage_day,
    make_workflow,
    signed_in,
)
from usage.actions.directory import forget_directories
from usage.models import Meter

pytestmark = pytest.mark.django_db


class Reader:
    """A client that presents one key."""

    def __init__(self, organization: Organization, **fields: Any) -> None:
        _, self.secret = make_key(organization, (Scope.READ,), **fields)

    def get(self, path: str) -> HttpResponse:
        headers = {"Authorization": f"Bearer {self.secret}"}
        return Client().get(f"/api/v1/{path}", headers=headers)  # type: ignore[return-value]

    def read(self, path: str) -> Any:
        response = self.get(path)
        assert response.status_code == 200, response.content
        return json.loads(response.content)


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def account(organization: Organization) -> Account:
    return make_account(organization, "Northwind", key="eu/north", currency="EUR", timezone="Europe/Berlin")


@pytest.fixture
def meter(organization: Organization) -> Meter:
    return make_meter(organization, "api.call", key="calls")


@pytest.fixture
def reader(organization: Organization) -> Reader:
    return Reader(organization)


def send(organization: Organization, *events: dict[str, Any]) -> None:
    _, secret = make_key(organization)
    forget_directories()
    response = Client().post(
        "/api/v1/events",
        json.dumps(list(events)),
        content_type="application/cloudevents-batch+json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert response.status_code == 202, response.content


def event(number: int, subject: str = "eu/north", **fields: Any) -> dict[str, Any]:
    moment = (timezone.now() - timedelta(minutes=number)).isoformat()
    start = {"specversion": "1.0", "id": f"e-{number}", "source": "app", "type": "api.call", "subject": subject}
    return start | {"time": moment, "data": {"quantity": 0.1}} | fields


def assert_problem(response: HttpResponse, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(response.content)
    assert body["status"] == status
    return body


def test_accounts_are_listed_and_read_by_key_slashes_included(account: Account, reader: Reader) -> None:
    make_account(account.organization, "South", key="south")
    listed = reader.read("accounts")["results"]
    assert [row["key"] for row in listed] == ["south", "eu/north"]
    assert reader.read("accounts/eu/north") == {
        "id": str(account.pk),
        "key": "eu/north",
        "name": "Northwind",
        "segment": "mid_market",
        "tier": "standard",
        "currency": "EUR",
        "time_zone": "Europe/Berlin",
        "contract_starts_on": None,
        "contract_ends_on": None,
    }


def test_pages_follow_cursors_and_hold_two_hundred_rows_at_most(organization: Organization, reader: Reader) -> None:
    for _ in range(5):
        make_account(organization)
    first = reader.read("accounts?page_size=3")
    assert len(first["results"]) == 3
    second = reader.read(first["next"].split("/api/v1/")[1])
    assert len(second["results"]) == 2
    assert second["next"] is None
    assert len(reader.read("accounts?page_size=1000000000")["results"]) == 5
    assert_problem(reader.get("accounts?cursor=%00garbage"), 404)


def test_usage_is_summed_by_day_workflow_and_meter_to_the_last_digit(
    account: Account, meter: Meter, reader: Reader
) -> None:
    ocr = make_workflow(account, "OCR")
    price = Decimal("0.123457")
    make_usage_day(account, meter, date(2026, 3, 1), ocr, quantity=Decimal("0.1"), spend=price)
    make_usage_day(account, meter, date(2026, 3, 1), None, quantity=Decimal("0.2"), spend=None)
    make_usage_day(account, meter, date(2026, 3, 2), ocr, quantity=Decimal("1.123456789012"), spend=price)
    make_usage_day(account, meter, date(2026, 4, 1), ocr)
    days = reader.read("accounts/eu/north/usage?from=2026-03-01&to=2026-04-01&group_by=day")
    assert (days["currency"], days["from"], days["to"]) == ("EUR", "2026-03-01", "2026-04-01")
    assert days["data_through"]
    assert days["results"] == [
        {
            "day": "2026-03-01",
            "spend": "0.123457",
            "unpriced_events": 10,
            "events": 20,
            "finished": 20,
            "successes": 18,
            "outcomes": "18",
        },
        {
            "day": "2026-03-02",
            "spend": "0.123457",
            "unpriced_events": 0,
            "events": 10,
            "finished": 10,
            "successes": 9,
            "outcomes": "9",
        },
    ]
    assert days["total"]["spend"] == "0.246914"
    workflows = reader.read("accounts/eu/north/usage?from=2026-03-01&to=2026-04-01&group_by=workflow")["results"]
    assert [(row["workflow"], row["spend"]) for row in workflows] == [("ocr", "0.246914"), (None, None)]
    (by_meter,) = reader.read("accounts/eu/north/usage?from=2026-03-01&to=2026-04-01&group_by=meter")["results"]
    assert (by_meter["meter"], by_meter["unit"], by_meter["quantity"]) == ("calls", "call", "1.423456789012")


@pytest.mark.parametrize(("aggregation", "quantity"), [("sum", "12"), ("max", "7"), ("latest", "5")])
def test_a_meter_s_quantity_over_days_is_what_its_aggregation_says(
    account: Account, reader: Reader, aggregation: str, quantity: str
) -> None:
    meter = make_meter(account.organization, "seats", aggregation=aggregation)
    make_usage_day(account, meter, date(2026, 3, 1), quantity=Decimal(7))
    make_usage_day(account, meter, date(2026, 3, 2), quantity=Decimal(5))
    (row,) = reader.read("accounts/eu/north/usage?from=2026-03-01&to=2026-04-01&group_by=meter")["results"]
    assert row["quantity"] == quantity


def test_usage_without_days_is_this_month_s_until_today(account: Account, meter: Meter, reader: Reader) -> None:
    today = timezone.now().astimezone(timezone.get_default_timezone()).date()
    make_usage_day(account, meter, today)
    body = reader.read("accounts/eu/north/usage")
    assert body["from"].endswith("-01")
    assert body["total"]["events"] == 10
    empty = reader.read("accounts/eu/north/usage?from=2020-01-01&to=2020-02-01")
    assert (empty["results"], empty["total"]["spend"], empty["total"]["events"]) == ([], None, 0)


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-01-01&to=2027-03-01",
        "from=2026-01-02&to=2026-01-02",
        "from=1976-01-01&to=2026-01-01",
        "from=yesterday",
        "to=0001-01-01",
        "to=9999-12-31",
        "from=2026-02-30",
        "group_by=customer",
        "from=%00",
    ],
)
def test_days_that_cannot_be_answered_are_refused_in_words(account: Account, reader: Reader, query: str) -> None:
    body = assert_problem(reader.get(f"accounts/eu/north/usage?{query}"), 400)
    assert body["errors"][0]["pointer"].startswith("/")
    assert body["errors"][0]["detail"]


def test_workflows_and_meters_are_listed(account: Account, meter: Meter, reader: Reader) -> None:
    make_workflow(account, "OCR", success_target=Decimal("0.95"))
    (workflow,) = reader.read("accounts/eu/north/workflows")["results"]
    assert (workflow["key"], workflow["stage"], workflow["success_target"]) == ("ocr", "production", "0.9500")
    (row,) = reader.read("meters")["results"]
    assert (row["key"], row["event_type"], row["aggregation"]) == ("calls", "api.call", "sum")


def test_the_event_log_pages_through_accepted_events(account: Account, meter: Meter, reader: Reader) -> None:
    make_account(account.organization, key="south")
    send(account.organization, *(event(number) for number in range(1, 6)), event(9, "south"))
    first = reader.read("event-log?page_size=4")
    assert [row["id"] for row in first["results"]] == ["e-1", "e-2", "e-3", "e-4"]
    assert first["results"][0]["quantity"] == "0.1"
    second = reader.read(first["next"].split("/api/v1/")[1])
    assert [row["id"] for row in second["results"]] == ["e-5", "e-9"]
    assert second["next"] is None
    assert [row["id"] for row in reader.read("event-log?account=south")["results"]] == ["e-9"]
    assert len(reader.read("event-log?meter=calls")["results"]) == 6
    assert_problem(reader.get("event-log?meter=unknown"), 404)


def test_quarantined_events_are_listed_and_replayed_by_staff(account: Account, meter: Meter, reader: Reader) -> None:
    send(account.organization, event(1, "late"), event(2, "later"))
    rows = reader.read("quarantined-events")["results"]
    assert {(row["subject"], row["reason"]) for row in rows} == {
        ("late", "unknown_subject"),
        ("later", "unknown_subject"),
    }
    make_account(account.organization, key="late")
    admin = signed_in(make_member(account.organization))
    path = "/api/v1/quarantined-events/replay"
    answer = admin.post(path, "{}", content_type="application/json")
    assert json.loads(answer.content) == {"replayed": 1, "waiting": 1}
    assert_problem(admin.post(path, '{"ids": ["x"]}', content_type="application/json"), 400)  # type: ignore[arg-type]
    foreign = json.dumps({"ids": [str(uuid4())]})
    answer = admin.post(path, foreign, content_type="application/json")
    assert json.loads(answer.content) == {"replayed": 0, "waiting": 0}
    analyst = signed_in(make_member(account.organization, Role.ANALYST))
    assert_problem(analyst.post(path, "{}", content_type="application/json"), 403)  # type: ignore[arg-type]


def test_a_replay_by_session_needs_the_csrf_token(organization: Organization) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_member(organization).user)
    response = client.post("/api/v1/quarantined-events/replay", "{}", content_type="application/json")
    assert response.status_code == 403


@pytest.mark.parametrize("path", ["accounts/{}", "accounts/{}/usage", "accounts/{}/workflows", "event-log?account={}"])
def test_a_foreign_account_answers_exactly_like_an_unknown_one(
    organization: Organization, account: Account, path: str
) -> None:
    stranger = Reader(make_organization("Globex"))
    foreign = stranger.get(path.format("eu/north"))
    unknown = stranger.get(path.format("nobody"))
    assert_problem(foreign, 404)
    assert foreign.content == unknown.content
    assert_problem(stranger.get(path.format("%00")), 404)


def test_a_key_of_one_account_reads_that_account_alone(
    account: Account, meter: Meter, organization: Organization
) -> None:
    other = make_account(organization, key="other")
    make_usage_day(other, meter, date(2026, 3, 1))
    send(organization, event(1), event(2, "other"), event(3, "nobody"))
    bound = Reader(organization, account=account)
    assert [row["key"] for row in bound.read("accounts")["results"]] == ["eu/north"]
    assert [row["id"] for row in bound.read("event-log")["results"]] == ["e-1"]
    assert_problem(bound.get("accounts/other"), 404)
    assert_problem(bound.get("accounts/other/usage"), 404)
    assert_problem(bound.get("quarantined-events"), 403)


def test_keys_that_do_not_count_are_refused_alike(organization: Organization, account: Account) -> None:
    _, writer = make_key(organization, (Scope.EVENTS_WRITE,))
    _, expired = make_key(organization, (Scope.READ,), expires_at=timezone.now() - timedelta(days=1))
    _, revoked = make_key(organization, (Scope.READ,), revoked_at=timezone.now())
    bodies = set()
    for secret in (expired, revoked, "ccs_live_nonsense", "é"):
        headers = {"Authorization": f"Bearer {secret}".encode().decode("latin-1")}
        response = Client().get("/api/v1/accounts", headers=headers)
        assert_problem(response, 401)  # type: ignore[arg-type]
        bodies.add(response.content)
    assert len(bodies) == 1
    answer = Client().get("/api/v1/accounts", headers={"Authorization": f"Bearer {writer}"})
    assert_problem(answer, 403)  # type: ignore[arg-type]
    assert Client().get("/api/v1/accounts").status_code == 401


def test_members_read_by_session_what_their_role_may(account: Account, meter: Meter) -> None:
    finance = signed_in(make_member(account, Role.PORTAL_FINANCE))
    assert finance.get("/api/v1/accounts/eu/north/usage").status_code == 200
    assert finance.get("/api/v1/accounts").status_code == 403
    assert finance.get("/api/v1/event-log").status_code == 403
    csm = signed_in(make_member(account.organization, Role.CSM))
    assert csm.get("/api/v1/accounts").status_code == 200


def test_only_reading_is_offered(account: Account, reader: Reader) -> None:
    headers = {"Authorization": f"Bearer {reader.secret}"}
    for path in ("accounts", "accounts/eu/north", "meters", "event-log", "quarantined-events"):
        for method in ("post", "put", "patch", "delete"):
            response = getattr(Client(), method)(f"/api/v1/{path}", headers=headers)
            assert_problem(response, 405)


def test_the_schema_is_valid_and_complete_without_a_warning() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


def test_every_route_is_in_the_schema(reader: Reader) -> None:
    schema = Client().get("/api/v1/schema/?format=json").content.decode()
    for path in ("/accounts", "/accounts/{key}", "/accounts/{key}/usage", "/accounts/{key}/workflows", "/meters",
                 "/event-log", "/quarantined-events", "/quarantined-events/replay"):  # fmt: skip
        assert f'"/api/v1{path}"' in schema
