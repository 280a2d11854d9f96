"""Onboarding: where each account stands, what it waits for in words, and the cohort's curve on the page."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account, ApiKey, Organization, Role
from consumption_cs.lib.tenancy import enter
from reviews.calc.onboarding import FirstValue
from reviews.charts.onboarding import cohort_figure
from reviews.models import BookTerms
from reviews.reports.onboarding import Start, starts, waiting_for
from tests.factories import (
    make_account,
    make_batch,
    make_key,
    make_member,
    make_meter,
    make_organization,
    make_partition,
    make_usage_day,
    make_workflow,
    signed_in,
    staff_of,
)
from usage.models import Event, IngestBatch, Meter, QuarantinedEvent, RejectedEvent

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BEGAN = date(2026, 11, 1)


def _key(organization: Organization, **fields: Any) -> ApiKey:
    made, _ = make_key(organization)
    enter(staff_of(organization))
    ApiKey.objects.filter(pk=made.pk).update(**{"created_at": NOW - timedelta(days=15)} | fields)
    return ApiKey.objects.get(pk=made.pk)


def _account(organization: Organization, name: str = "Orchid", **fields: Any) -> Account:
    return make_account(organization, name, **{"contract_starts_on": BEGAN} | fields)


def _event(account: Account, meter: Meter, batch: IngestBatch | None = None, **fields: Any) -> Event:
    at = NOW - timedelta(days=4)
    make_partition(at)
    enter(staff_of(account))
    defaults: dict[str, Any] = {"occurred_at": at, "received_at": at, "batch_id": batch.pk if batch else 1}
    defaults |= {"succeeded": True, "properties": {}, "quantity": Decimal(1)}
    return Event.objects.create(
        organization_id=account.organization_id, key=uuid4(), account=account, meter=meter, source="/prod",
        event_id=uuid4().hex, **defaults | fields,
    )  # fmt: skip


def _start(account: Account) -> Start:
    viewer = staff_of(account)
    enter(viewer)
    return next(one for one in starts(viewer, NOW) if one.account == account)


def test_an_account_that_never_called_waits_for_its_first_call() -> None:
    organization = make_organization()
    _key(organization)
    start = _start(_account(organization, key="orchid"))
    assert (start.step, start.waiting, start.state) == (1, 19, "stalled")
    assert start.why == "No call yet: no event has named “orchid”."


def test_what_was_rejected_is_told_to_whoever_never_came_through() -> None:
    organization = make_organization()
    key = _key(organization)
    account = _account(organization, key="orchid")
    enter(staff_of(organization))
    for days_ago in (1, 2, 30):
        row = RejectedEvent.objects.create(organization=organization, code="invalid_quantity", api_key=key)
        RejectedEvent.objects.filter(pk=row.pk).update(received_at=NOW - timedelta(days=days_ago))
    assert _start(account).why == (
        "No call yet: no event has named “orchid”. "
        "2 items were rejected in 7 days, whose is not kept: the quantity is missing or no number."
    )


def test_without_a_key_that_may_send_that_is_what_it_waits_for() -> None:
    organization = make_organization()
    account = _account(organization)
    assert _start(account).why == "No key may send events yet."
    key = _key(organization, expires_at=NOW - timedelta(days=3))
    assert _start(account).why == f"No key may send events: the last one, “{key.name}”, expired on Nov 17."


def test_the_key_it_last_sent_with_has_expired() -> None:
    organization = make_organization()
    account, meter = _account(organization), make_meter(organization)
    key = _key(organization, expires_at=NOW - timedelta(days=2))
    _key(organization)  # another one works, but is not theirs
    _event(account, meter, make_batch(organization, api_key=key), environment="sandbox", counted=False)
    assert _start(account).why == f"Its key “{key.name}” expired on Nov 18; nothing came since."


def test_only_test_environments_so_far() -> None:
    organization = make_organization()
    _key(organization)
    account, meter = _account(organization), make_meter(organization)
    for _ in range(3):
        _event(account, meter, environment="sandbox", counted=False)
    start = _start(account)
    assert start.why == "Only test use so far: 3 events from “sandbox”, none from production."
    assert (start.step, start.called_on) == (2, date(2026, 11, 16))
    _event(_account(organization, "Filtered"), meter, counted=False)
    found = waiting_for(organization.pk, list(Account.objects.values_list("pk", flat=True)), NOW)
    assert "A meter’s filters leave out all of its 1 event." in found.values()


def test_all_that_came_is_set_aside() -> None:
    organization = make_organization()
    _key(organization)
    account = _account(organization, key="orchid")
    enter(staff_of(organization))

    def aside(subject: str, reason: str) -> None:
        QuarantinedEvent.objects.create(
            organization=organization, key=uuid4(), digest=1, reason=reason, occurred_at=NOW - timedelta(days=3),
            payload={"subject": subject, "type": "doc.page"},
        )  # fmt: skip

    aside("orchid-legal", "unknown_subject")
    aside("somebody-else", "unknown_subject")
    start = _start(account)
    assert start.why == "Its only event is set aside: it names “orchid-legal”, the account’s key is “orchid”."
    assert start.step == 2
    QuarantinedEvent.objects.all().delete()
    aside("orchid", "unknown_type")
    aside("orchid", "unknown_type")
    assert _start(account).why == "All 2 events are set aside: no meter reads “doc.page”."


def test_all_attempts_failed_with_their_error() -> None:
    organization = make_organization()
    _key(organization)
    account, meter = _account(organization), make_meter(organization)
    _event(account, meter, succeeded=False, properties={"error": {"code": "bad_token"}})
    _event(account, meter, succeeded=False, properties={"error": {"code": "bad_token"}})
    _event(account, meter, succeeded=False)
    make_usage_day(account, meter, date(2026, 11, 16), finished=3, successes=0, events=3, spend=Decimal(0))
    start = _start(account)
    assert start.why == "All 3 attempts failed: “bad_token”."
    assert (start.step, start.success_on) == (2, None)


def test_it_works_but_has_no_price() -> None:
    organization = make_organization()
    _key(organization)
    account, meter = _account(organization), make_meter(organization)
    _event(account, meter)
    make_usage_day(account, meter, date(2026, 11, 16), finished=1, successes=1, events=1, spend=None)
    start = _start(account)
    assert start.step == 3
    assert start.why == "It works, but 1 event has no price: nothing is billable until one is in force."


def test_an_account_that_has_begun_waits_for_nothing() -> None:
    organization = make_organization()
    account, meter = _account(organization), make_meter(organization)
    make_usage_day(account, meter, date(2026, 11, 7), make_workflow(account))
    start = _start(account)
    assert (start.state, start.billable_on, start.why) == ("done", date(2026, 11, 7), "")
    assert start.first is not None
    assert start.first.days == 6
    assert waiting_for(organization.pk, [account.pk], NOW) == {}


def test_states_follow_the_organizations_target_and_a_contract_to_come_waits_for_nothing_yet() -> None:
    organization = make_organization()
    _key(organization)
    BookTerms.objects.create(organization=organization, onboarding_days=30)
    assert _start(_account(organization, "Half")).state == "soon"
    assert _start(_account(organization, "Fresh", contract_starts_on=date(2026, 11, 18))).state == "waiting"
    assert _start(_account(organization, "Later", contract_starts_on=date(2026, 12, 1))).state == "later"
    assert _start(_account(organization, "No contract", contract_starts_on=None)).state == "unknown"


def _page(organization: Organization, query: str = "") -> Any:
    return signed_in(make_member(organization, Role.FIELD_CTO)).get(f"/onboarding/{query}")


def _said(page: Any) -> str:
    return "".join(text for text, _ in page.context["headline"])


def _cohort() -> tuple[Organization, Client]:
    """Three that began after 1, 3 and 60 days, one that waits for 40; by the calendar of today."""
    organization = make_organization()
    meter = make_meter(organization)
    today = timezone.now().date()
    for name, days, ago in (("Fast", 1, 70), ("Slow", 3, 70), ("Late", 60, 70), ("Waits", None, 40)):
        account = _account(organization, name, contract_starts_on=today - timedelta(days=ago))
        if days is not None:
            make_usage_day(account, meter, today - timedelta(days=ago - days), make_workflow(account))
    return organization, signed_in(make_member(organization, Role.FIELD_CTO))


def test_the_page_shows_who_waits_first_the_curve_the_median_and_the_funnel() -> None:
    _, client = _cohort()
    page = client.get("/onboarding/")
    assert _said(page) == "1 account has stalled: no billable event within 14 days."
    assert '<b class="nw">14</b>' in page.content.decode()
    assert [one.account.name for one in page.context["lines"]] == ["Waits"]
    assert page.context["facts"][0]["value"] == "3 days"
    assert page.context["facts"][1]["value"] == "50%"
    assert [step["count"] for step in page.context["funnel"]][1:] == [3, 3, 3]
    assert [row[0] for row in page.context["chart"].numbers.rows] == ["Day 1", "Day 3", "Day 60"]
    assert len(client.get("/onboarding/?show=all").context["lines"]) == 4
    assert _said(client.get("/onboarding/?q=fast")) == "Nobody waits for a first billable event."


def test_the_curve_is_that_of_kaplan_and_meier_as_a_file() -> None:
    _, client = _cohort()
    rows = list(csv.DictReader(io.StringIO(client.get("/onboarding/curve.csv").content.decode("utf-8-sig"))))
    assert [(row["day"], row["share_begun"]) for row in rows] == [
        ("1", "0.250000"),
        ("3", "0.500000"),
        ("60", "1.000000"),
    ]
    table = list(
        csv.DictReader(io.StringIO(client.get("/onboarding/onboarding.csv?show=all").content.decode("utf-8-sig")))
    )
    assert table[0]["account_name"] == "Waits"
    assert table[0]["days_waiting"] == "40"
    assert "No key may send events yet." in table[0]["waits_for"]


def test_a_cohort_is_chosen_by_the_month_of_its_contract() -> None:
    _, client = _cohort()
    month = (timezone.now().date() - timedelta(days=40)).strftime("%Y-%m")
    assert {one.account.name for one in client.get(f"/onboarding/?show=all&month={month}").context["lines"]} >= {
        "Waits"
    }
    assert _said(client.get("/onboarding/?month=1999-01")) == "No account fits."
    assert client.get("/onboarding/?month=nonsense&owner=x&show=y").status_code == 200
    assert _said(client.get("/onboarding/?owner=me")) == "No account fits."


def test_the_page_costs_as_many_queries_for_many_accounts_as_for_one() -> None:
    organization, client = _cohort()
    client.get("/onboarding/?show=all")
    with CaptureQueriesContext(connection) as few:
        client.get("/onboarding/?show=all")
    for number in range(6):
        _account(organization, f"Other {number}")
    with CaptureQueriesContext(connection) as many:
        client.get("/onboarding/?show=all")
    assert len(many) == len(few)


def test_an_organization_without_accounts_is_told_so_and_customers_get_no_page() -> None:
    organization = make_organization()
    assert "No account fits." in _page(organization).content.decode()
    account = _account(organization)
    assert signed_in(make_member(account)).get("/onboarding/").status_code == 403


def test_a_cohort_of_which_nobody_or_everybody_has_begun_has_no_range() -> None:
    organization = make_organization()
    account = _account(organization, contract_starts_on=timezone.now().date() - timedelta(days=30))
    facts = _page(organization).context["facts"]
    assert facts[0]["value"] == "more than half still wait"
    assert facts[1] | {"label": ""} == {"label": "", "value": "0%", "note": "nobody has begun yet"}
    make_usage_day(
        account, make_meter(organization), timezone.now().date() - timedelta(days=20), make_workflow(account)
    )
    page = _page(organization, "?show=all")
    assert page.context["facts"][1]["note"] == "nobody else waits"
    assert page.context["chart"].numbers.rows == [["Day 10", "100%", "all have begun"]]


def test_a_target_beyond_what_is_drawn_still_stands_on_the_axis() -> None:
    assert (chart := cohort_figure([FirstValue(3, None)], 200, "")) is not None
    assert chart.rules[0].x in chart.series[-1].x
    assert cohort_figure([], 14, "") is None
