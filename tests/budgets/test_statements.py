"""A statement adds up: opening + given − drawn − expired = closing, and closing is the next one's opening."""

from datetime import date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Account
from budgets.actions.commits import amend_commit, cancel_commit
from budgets.actions.settle import settle
from budgets.models import Commit
from budgets.reports.statements import Statement, period_around, periods_of, statement
from consumption_cs.lib.tenancy import Viewer, enter
from tests.budgets.ledger_factories import D, draw, make_commit, make_contract, rate
from tests.factories import NOW, make_account, make_batch, make_meter, make_price, portal_of, staff_of, usage_sum
from usage.actions.roll_up import roll_up
from usage.models import Meter

pytestmark = pytest.mark.django_db

APRIL, MAY, JUNE = date(2026, 4, 1), date(2026, 5, 1), date(2026, 6, 1)


@pytest.fixture
def account() -> Account:
    return make_account()


@pytest.fixture
def viewer(account: Account) -> Viewer:
    return staff_of(account)


@pytest.fixture
def calls(account: Account) -> Meter:
    return make_meter(account.organization, name="Calls")


def of(account: Account, day: date) -> Statement:
    viewer = staff_of(account)
    return statement(viewer, account, period_around(viewer, account, day, NOW))


def test_each_commit_and_the_total_go_from_opening_to_closing(account: Account, viewer: Viewer, calls: Meter) -> None:
    prepaid = make_commit(account, "100", effective_on=APRIL, expires_on=date(2026, 6, 10))
    make_commit(account, "20", name="Welcome", kind=Commit.Kind.PROMOTIONAL, effective_on=date(2026, 5, 10))
    gone = make_commit(account, "7", name="Gone", effective_on=date(2026, 5, 5), priority=9)
    cancel_commit(viewer, gone, date(2026, 5, 6), "Mistake", NOW)
    amend_commit(viewer, prepaid, D(10), date(2026, 5, 20), "More", NOW)
    rate(account, calls, date(2026, 4, 3), "30")
    rate(account, calls, date(2026, 5, 3), "25")
    draw(account, APRIL)
    may = of(account, MAY)
    found = {line.name: line for line in may.commits}
    line = found["Prepaid"]
    assert (line.opening, line.granted, line.amended, line.drawn, line.closing) == (D(70), D(0), D(10), D(-25), D(55))
    assert (found["Welcome"].granted, found["Welcome"].closing) == (D(20), D(20))
    assert (found["Gone"].granted, found["Gone"].cancelled, found["Gone"].closing) == (D(7), D(-7), D(0))
    assert (may.total.opening, may.total.closing) == (D(70), D(75))
    june = of(account, JUNE)
    assert june.total.opening == may.total.closing
    assert {line.name: line.expired for line in june.commits} == {"Prepaid": D(-55), "Welcome": D(0)}


def test_overage_is_due_with_its_surcharge_on_a_line_of_its_own(account: Account, calls: Meter) -> None:
    contract = make_contract(account, overage_factor=D("1.25"))
    make_commit(account, "100", contract=contract, effective_on=MAY)
    rate(account, calls, date(2026, 5, 3), "110.01")
    draw(account, MAY)
    may = of(account, MAY)
    assert (may.rated, may.drawn, may.overage) == (D("110.01"), D(100), D("10.01"))
    assert (may.surcharge, may.due) == (D("2.50"), D("12.51"))
    assert [(line.name, line.rated, line.drawn, line.overage) for line in may.meters] == [
        ("Calls", D("110.01"), D(100), D("10.01"))
    ]


def test_todays_use_is_rated_and_not_booked_yet(account: Account, calls: Meter) -> None:
    make_commit(account, "100")
    rate(account, calls, date(2026, 6, 3), "30")
    rate(account, calls, NOW.date(), "12")
    draw(account, JUNE)
    june = of(account, JUNE)
    assert (june.rated, june.drawn, june.overage, june.ongoing) == (D(42), D(30), D(0), D(12))
    assert june.rated + june.adjusted == june.drawn + june.overage + june.ongoing


def test_late_use_of_a_closed_period_is_an_adjustment_of_the_open_one(account: Account, viewer: Viewer) -> None:
    calls = make_meter(account.organization, name="Calls")
    make_price(calls, "0.5")
    for hour in ("2026-05-03T10:00:00+00:00", "2026-05-04T10:00:00+00:00"):
        make_batch(account.organization, usage_sum(account, calls, datetime.fromisoformat(hour), "10"))
        roll_up(account.organization_id, NOW)
        settle(account.organization_id, NOW)  # May is closed five days after its end
        enter(viewer)
    settle(account.organization_id, NOW + timedelta(days=1))
    enter(viewer)
    may, june = of(account, MAY), of(account, JUNE)
    assert (may.period.is_closed, may.rated, may.due) == (True, D(5), D(5))
    (line,) = june.adjustments
    assert (line.period_starts_on, line.amount, line.quantity, line.day) == (MAY, D(5), D(10), NOW.date())
    assert line.reason == "Late use of 4 May 2026"
    assert (june.rated, june.adjusted, june.overage, june.due) == (D(0), D(5), D(5), D(5))


def test_periods_go_back_to_the_first_booking(account: Account, viewer: Viewer, calls: Meter) -> None:
    assert [row.starts_on for row in periods_of(viewer, account, NOW)] == [JUNE]
    make_commit(account, "100", effective_on=date(2026, 4, 20))
    draw(account, APRIL)
    found = periods_of(viewer, account, NOW)
    assert [(row.starts_on, row.has_ended, row.is_closed) for row in found] == [
        (JUNE, False, False),
        (MAY, True, False),
        (APRIL, True, False),
    ]


def test_a_statement_as_of_then_is_what_was_booked_then(account: Account, viewer: Viewer, calls: Meter) -> None:
    make_commit(account, "100")
    draw(account, JUNE)
    period = period_around(viewer, account, JUNE, NOW)
    then = statement(viewer, account, period, as_of=datetime.fromisoformat("2020-01-01T00:00:00+00:00"))
    assert (then.total.closing, statement(viewer, account, period).total.closing) == (D(0), D(100))


def test_a_customer_reads_its_own_statement_in_few_queries(account: Account, calls: Meter) -> None:
    make_commit(account, "100")
    rate(account, calls, date(2026, 6, 3), "30")
    draw(account, JUNE)
    viewer = portal_of(account)
    enter(viewer)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = statement(viewer, account, period_around(viewer, account, JUNE, NOW))
    assert found.total.closing == D(70)
    assert len(queries) <= 16
