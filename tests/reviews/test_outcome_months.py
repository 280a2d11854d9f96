"""What an outcome costs month by month, and what part of spend was wasted, on the outcomes page of both sides."""

import csv
import io
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal as D

import pytest
import time_machine
from django.urls import reverse

from accounts.models import Account, Role
from consumption_cs.lib.tenancy import enter
from reviews.charts.outcomes import compared, cost_figures
from reviews.models import OutcomeTerms
from reviews.reports.outcome_months import FlowMonths, outcome_months
from reviews.reports.outcomes import outcomes_of
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_usage_day,
    make_workflow,
    signed_in,
    staff_of,
)
from tests.reviews.test_reliability import make_event
from usage.models import Meter, Workflow

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 16, 12, tzinfo=timezone.utc)
TODAY = NOW.date()
MONTHS = [date(2026, month, 1) for month in (11, 10, 9, 8)]


@pytest.fixture
def account() -> Account:
    return make_account(make_organization())


@pytest.fixture
def meter(account: Account) -> Meter:
    return make_meter(account.organization)


@pytest.fixture
def workflow(account: Account) -> Workflow:
    return make_workflow(account)


def _use(account: Account, meter: Meter, workflow: Workflow, first: date, last: date, each: D, outcomes: D) -> None:
    for ahead in range((last - first).days + 1):
        make_usage_day(account, meter, first + timedelta(days=ahead), workflow, spend=each, outcomes=outcomes)


def _lag(workflow: Workflow, days: int) -> None:
    enter(staff_of(workflow.account))
    OutcomeTerms.objects.create(
        organization_id=workflow.organization_id, account=workflow.account, workflow=workflow, definition="A page",
        lag_days=days, value_each=None, currency=workflow.account.currency, proposed_at=NOW - timedelta(days=300),
    )  # fmt: skip


def _months(account: Account) -> list[FlowMonths]:
    viewer = staff_of(account)
    enter(viewer)
    lines = outcomes_of(viewer, account, date(2026, 10, 1), date(2026, 11, 1), NOW).lines
    return outcome_months(viewer, account, lines, MONTHS, TODAY)


def test_a_months_spend_is_held_against_the_outcomes_of_its_work(
    account: Account, meter: Meter, workflow: Workflow
) -> None:
    _lag(workflow, 7)
    _use(account, meter, workflow, date(2026, 9, 1), date(2026, 9, 30), D(2), D(0))
    _use(account, meter, workflow, date(2026, 10, 1), date(2026, 10, 7), D(4), D(60))  # of September's work
    _use(account, meter, workflow, date(2026, 10, 8), date(2026, 10, 31), D(4), D(20))
    (flow,) = _months(account)
    september = flow.months[0]
    assert (september.month, september.spend, september.outcomes) == (date(2026, 9, 1), 60, 420)
    assert round(september.per_thousand or 0, 6) == D("142.857143")
    viewer = staff_of(account)
    enter(viewer)
    (line,) = outcomes_of(viewer, account, date(2026, 9, 1), date(2026, 10, 1), NOW).lines
    assert line.per_thousand == september.per_thousand  # the page's table and its chart are one


def test_a_month_whose_outcomes_are_not_all_known_counts_only_the_days_that_are(
    account: Account, meter: Meter, workflow: Workflow
) -> None:
    _lag(workflow, 7)
    _use(account, meter, workflow, date(2026, 10, 1), date(2026, 11, 15), D(3), D(10))
    october, november = _months(account)[0].months
    assert not october.is_open
    assert november.is_open
    assert november.known_to == date(2026, 11, 9)
    assert november.spend == 8 * 3  # Nov 1 to 8: later work still waits for its outcomes
    assert november.outcomes == 80  # Nov 8 to 15
    (figure,) = cost_figures(_months(account), "USD", "/x.csv")
    assert [series.tone for series in figure.series] == ["main", "weak"]
    assert "known after 7 days" in figure.sub
    assert figure.numbers.rows[0][0] == "Nov 2026, known to Nov 8"


def test_a_lag_longer_than_the_month_says_that_nothing_is_known(
    account: Account, meter: Meter, workflow: Workflow
) -> None:
    _lag(workflow, 30)
    _use(account, meter, workflow, date(2026, 9, 1), date(2026, 11, 15), D(3), D(10))
    november = _months(account)[0].months[-1]
    assert (november.known_to, november.per_thousand) == (november.month, None)
    (figure,) = cost_figures(_months(account), "USD", "/x.csv")
    assert figure.numbers.rows[0][3] == "Not known yet"


def test_a_month_without_outcomes_is_a_gap_and_words_not_a_cost_of_nothing(
    account: Account, meter: Meter, workflow: Workflow
) -> None:
    _use(account, meter, workflow, date(2026, 8, 1), date(2026, 8, 31), D(2), D(10))
    _use(account, meter, workflow, date(2026, 9, 1), date(2026, 9, 30), D(2), D(0))
    _use(account, meter, workflow, date(2026, 10, 1), date(2026, 10, 31), D(1), D(10))
    (figure,) = cost_figures(_months(account), "USD", "/x.csv")
    assert list(figure.series[0].y[-4:]) == [200, None, 100, None]
    assert len(figure.series[0].x) == 13
    assert "No outcomes in Sep 2026." in figure.sub
    assert figure.numbers.rows[2][2:] == ["None", "No outcomes"]
    assert figure.headline.endswith("cost $100.00, 50% less than in August 2026")


def test_an_account_that_spent_nothing_in_the_month_reads_so(
    account: Account, meter: Meter, workflow: Workflow
) -> None:
    make_usage_day(account, meter, date(2026, 11, 3), workflow)
    with time_machine.travel(NOW, tick=False):
        client = signed_in(make_member(account.organization, Role.CSM))
        page = client.get(reverse("reviews:outcomes", args=[account.pk]), {"month": "2026-10"}).content.decode()
    assert page.count("Nothing spent") == 2
    assert "no full month with an outcome yet" in page


def test_the_finding_over_all_workflows_counts_those_that_can_be_compared(account: Account, meter: Meter) -> None:
    for name, later in (("A", D(1)), ("B", D(3)), ("C", D(2))):
        flow = make_workflow(account, name=name, key=name.lower())
        _use(account, meter, flow, date(2026, 9, 1), date(2026, 9, 30), D(2), D(10))
        _use(account, meter, flow, date(2026, 10, 1), date(2026, 10, 31), later, D(10))
    flows = _months(account)
    assert compared(flows) == (
        "Since the first full month shown, outcomes got cheaper in 1 of 3 workflows and dearer in 1."
    )
    assert compared(flows[:1]) == ""
    assert [flow.workflow.name for flow in flows] == ["B", "C", "A"]  # the dearest first


def test_waste_of_a_month_stands_on_the_page_of_both_sides_and_in_the_file(
    account: Account, meter: Meter, workflow: Workflow
) -> None:
    for day, spend in ((date(2026, 10, 31), D(10)), (date(2026, 11, 2), D(40))):
        make_usage_day(account, meter, day, workflow, spend=spend, quantity=D(10), events=4, finished=4, successes=3)
        for number in range(4):
            make_event(
                account, meter, workflow, "2.5", succeeded=number != 0,
                occurred_at=datetime(day.year, day.month, day.day, 9 + number, tzinfo=timezone.utc),
            )  # fmt: skip
    with time_machine.travel(NOW, tick=False):
        for member in (make_member(account.organization, Role.CSM), make_member(account, Role.PORTAL_VIEWER)):
            client, url = signed_in(member), reverse("reviews:outcomes", args=[account.pk])
            page = client.get(url, {"month": "2026-10"}).content.decode()
            assert "25.0%" in page  # only the day of October
            assert "$3, failed" in page
        content = client.get(reverse("reviews:outcomes_csv", args=[account.pk]), {"month": "2026-10"}).content
    (row,) = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
    assert (D(row["waste"]), D(row["waste_percent"]), D(row["failed"])) == (D("2.5"), 25, D("2.5"))


def test_work_that_tells_no_end_has_no_waste_of_nothing(account: Account, meter: Meter, workflow: Workflow) -> None:
    make_usage_day(account, meter, date(2026, 10, 5), workflow, spend=D(10), finished=0, successes=0)
    viewer = staff_of(account)
    enter(viewer)
    seen = outcomes_of(viewer, account, date(2026, 10, 1), date(2026, 11, 1), NOW)
    assert seen.lines[0].waste is None
    assert seen.waste is None


def test_the_months_are_a_file(account: Account, meter: Meter, workflow: Workflow) -> None:
    _use(account, meter, workflow, date(2026, 9, 1), date(2026, 9, 30), D(2), D(0))
    _use(account, meter, workflow, date(2026, 10, 1), date(2026, 10, 31), D(1), D(10))
    with time_machine.travel(NOW, tick=False):
        client = signed_in(make_member(account, Role.PORTAL_VIEWER))
        url = reverse("reviews:outcomes_csv", args=[account.pk])
        content = client.get(url, {"by": "month"}).content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(content)))
    assert [(row["month"], row["cost_of_one"], row["all_known"]) for row in rows] == [
        ("2026-09", "", "yes"), ("2026-10", "0.100000000", "yes"), ("2026-11", "", "no"),
    ]  # fmt: skip
