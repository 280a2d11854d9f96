"""Reconciliation: the chain of each period, the invoice against what is due, and the check on demand."""

import csv
import io
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import Account, AuditEvent, Organization, Role
from budgets.actions.closing import close_by_hand
from budgets.actions.settle import settle
from budgets.models import LedgerCheck, LedgerEntry
from budgets.reports.reconciled_days import days_of, meters_of
from budgets.reports.reconciliation import Line, checks, lines_of_month
from consumption_cs.lib.tenancy import enter
from tests.budgets.ledger_factories import make_commit
from tests.factories import (
    make_account,
    make_batch,
    make_member,
    make_meter,
    make_organization,
    make_partition,
    make_price,
    signed_in,
    staff_of,
    usage_sum,
)
from usage.actions.roll_up import roll_up
from usage.models import BillingPeriod, Event, Meter, RatedDay

pytestmark = pytest.mark.django_db
D = Decimal
MAY = date(2026, 5, 1)
NOW = datetime(2026, 6, 15, 12, tzinfo=timezone.utc)


@pytest.fixture
def organization() -> Organization:
    return make_organization(close_after_days=60)


@pytest.fixture
def account(organization: Organization) -> Account:
    return make_account(organization, "Northwind", key="northwind")


@pytest.fixture
def calls(organization: Organization) -> Meter:
    meter = make_meter(organization, name="Calls")
    make_price(meter, "0.5")
    return meter


@pytest.fixture
def finance(organization: Organization) -> Client:
    return signed_in(make_member(organization, Role.FINANCE))


def use(account: Account, meter: Meter, day: date, quantity: str, now: datetime = NOW) -> None:
    """One event arrives, is rolled up and settled."""
    hour = datetime.combine(day, datetime.min.time(), timezone.utc) + timedelta(hours=10)
    batch = make_batch(account.organization, usage_sum(account, meter, hour, quantity))
    make_partition(hour)
    Event.objects.create(
        organization_id=account.organization_id, key=uuid4(), occurred_at=hour, received_at=now, batch_id=batch.pk,
        account=account, meter=meter, quantity=D(quantity), source="/", event_id=str(uuid4()), properties={},
    )  # fmt: skip
    roll_up(account.organization_id, now)
    settle(account.organization_id, now)
    enter(staff_of(account))


def may(account: Account) -> Line:
    enter(staff_of(account))
    (line,) = lines_of_month(staff_of(account), MAY, NOW)
    return line


def closed(account: Account) -> BillingPeriod:
    enter(staff_of(account))
    return close_by_hand(staff_of(account), account, MAY, NOW)


def test_a_period_adds_up_from_events_to_what_is_due(account: Account, calls: Meter) -> None:
    make_commit(account, "10", effective_on=MAY)
    for day in (3, 4):
        use(account, calls, date(2026, 5, day), "12")
    line = may(account)
    assert (line.rolled_events, line.rated_events) == (2, 2)
    assert (line.rated, line.drawn, line.overage, line.due) == (12, 10, 2, 2)
    assert line.is_exact
    assert [check.is_exact for check in checks(line)] == [True, True, True]


def test_today_is_rated_and_not_booked_yet(account: Account, calls: Meter) -> None:
    use(account, calls, NOW.date(), "12")
    (line,) = lines_of_month(staff_of(account), date(2026, 6, 1), NOW)
    assert (line.rated, line.overage, line.ongoing, line.unexplained) == (6, 0, 6, 0)


def test_late_use_of_a_closed_period_is_told_apart_and_booked_in_the_next(account: Account, calls: Meter) -> None:
    use(account, calls, date(2026, 5, 3), "12")
    closed(account)
    use(account, calls, date(2026, 5, 4), "2")
    line = may(account)
    assert (line.rolled_events, line.rated_events, line.late_events, line.rated) == (2, 1, 1, 6)
    assert line.is_exact
    (june,) = lines_of_month(staff_of(account), date(2026, 6, 1), NOW)
    assert (june.adjusted, june.ongoing, june.unexplained) == (1, 1, 0)


def test_a_missing_booking_is_found(account: Account, calls: Meter) -> None:
    use(account, calls, date(2026, 5, 3), "12")
    RatedDay.objects.filter(account=account).update(amount=D(7))
    line = may(account)
    assert line.is_exact is False
    assert line.unexplained == 1
    assert [check.name for check in checks(line) if check.is_exact is False] == [
        "Days = rated",
        "Rated + adjustments = drawn + overage",
    ]


def test_the_parts_of_a_period_add_up_to_it(account: Account, calls: Meter) -> None:
    for day in (3, 4):
        use(account, calls, date(2026, 5, day), "12")
    line = may(account)
    for parts in (meters_of(staff_of(account), account, line.span), days_of(staff_of(account), account, line.span)):
        assert sum(part.rated for part in parts) == line.rated
        assert sum(part.overage for part in parts) == line.overage
        assert sum(part.events for part in parts) == line.rolled_events
        assert all(part.agrees for part in parts)


def test_the_invoice_is_compared_with_what_is_due(account: Account, calls: Meter, finance: Client) -> None:
    use(account, calls, date(2026, 5, 3), "200")
    address = f"/finance/reconciliation/{account.pk}/2026-05-01/"
    early = finance.post(address, {"amount": "100", "number": "INV-1"}, follow=True)
    assert "Close the period first" in early.content.decode()
    closed(account)
    done = finance.post(address, {"amount": "101.00", "number": "INV-1"}, follow=True).content.decode()
    assert "The invoice INV-1 says $101.00: +$1.00 against what is due" in done
    enter(staff_of(account))
    line = may(account)
    assert (line.invoice_difference, line.invoice_ratio) == (1, D("0.01"))
    assert line.is_off(D("0.005"))
    assert not line.is_off(D("0.01"))
    assert AuditEvent.objects.get(action="period.invoiced").details["amount"] == {"from": "", "to": "101.00"}
    listed = finance.get("/finance/reconciliation/?month=2026-05&show=differs").content.decode()
    assert "1</b> invoice differs from what is due" in listed
    assert "Northwind" in listed
    within = finance.get("/finance/reconciliation/?month=2026-05&show=differs&tolerance=0.05").content.decode()
    assert "0 of 1" in within


@pytest.mark.parametrize(
    ("amount", "words"), [("1,5", "Use a point for the decimals"), ("1.005", "has at most 2 decimals")]
)
def test_an_invoice_that_cannot_be_read_is_refused_in_words(
    account: Account, calls: Meter, finance: Client, amount: str, words: str
) -> None:
    use(account, calls, date(2026, 5, 3), "2")
    closed(account)
    answer = finance.post(f"/finance/reconciliation/{account.pk}/2026-05-01/", {"amount": amount})
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert may(account).invoiced is None


def test_invoices_come_from_a_file_all_or_nothing(account: Account, calls: Meter, finance: Client) -> None:
    use(account, calls, date(2026, 5, 3), "2")
    closed(account)
    head = "account,period_start,amount,number\n"
    good = f"{head}northwind,2026-05-01,1.00,INV-7\n"
    wrong = f"{good}northwind,2026-04-01,1.00,\nnobody,2026-05-01,1,\nnorthwind,2026-05-01,2,\n"
    page = finance.post("/finance/reconciliation/invoices/", {"content": wrong}).content.decode()
    for words in ("has no closed billing period that starts on 2026-04-01", "No account has the key", "Line 2 has"):
        assert words in page
    enter(staff_of(account))
    assert may(account).invoiced is None
    assert "1 invoice entered" in finance.post(
        "/finance/reconciliation/invoices/", {"content": good}, follow=True
    ).content.decode()  # fmt: skip
    enter(staff_of(account))
    assert may(account).invoiced == 1


def test_a_period_leads_down_to_its_days_and_their_events(account: Account, calls: Meter, finance: Client) -> None:
    use(account, calls, date(2026, 5, 3), "12")
    page = finance.get(f"/finance/reconciliation/{account.pk}/2026-05-01/").content.decode()
    assert f"/accounts/{account.pk}/rated/?day=2026-05-03" in page
    assert f"/accounts/{account.pk}/events/?day=2026-05-03" in page
    assert f"meter={calls.pk}" in page
    assert finance.get(f"/finance/reconciliation/{account.pk}/2026-05-02/").status_code == 404
    assert finance.get(f"/finance/reconciliation/{account.pk}/nonsense/").status_code == 404


def test_the_file_has_every_figure(account: Account, calls: Meter, finance: Client) -> None:
    use(account, calls, date(2026, 5, 3), "12")
    answer = finance.get("/finance/reconciliation/list.csv?month=2026-05").content.decode()
    (row,) = csv.DictReader(io.StringIO(answer))
    assert (row["account"], row["rated"], row["overage"], row["due"], row["invoiced"]) == (
        "northwind", "6", "6", "6", "",
    )  # fmt: skip


def test_the_check_runs_on_demand_and_the_page_follows(
    account: Account,
    calls: Meter,
    finance: Client,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: object,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        "budgets.tasks.verify_ledger.apply_async", lambda arguments, **_: asked.append(arguments[0])
    )  # fmt: skip
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        started = finance.post("/finance/reconciliation/check/").content.decode()
    assert asked == [str(account.organization_id)]
    assert "hx-get" in started
    since = "2026-06-15T12:00:00%2B00:00"
    assert finance.get(f"/finance/reconciliation/check/state/?since={since}").status_code == 200
    enter(staff_of(account))
    LedgerCheck.objects.create(
        organization_id=account.organization_id, checked_at=NOW, is_exact=False, accounts=1, difference="Northwind: 5"
    )
    done = finance.get(f"/finance/reconciliation/check/state/?since={since}")
    assert done.status_code == 286
    assert "Northwind: 5" in done.content.decode()
    assert finance.get("/finance/reconciliation/check/state/?since=x").status_code == 200


def test_the_badge_speaks_carefully_to_customers(account: Account, calls: Meter, finance: Client) -> None:
    customer = signed_in(make_member(account))
    url = f"/accounts/{account.pk}/rated/"
    assert "Not checked yet" in customer.get(url).content.decode()
    enter(staff_of(account))
    LedgerCheck.objects.create(
        organization_id=account.organization_id, checked_at=NOW, is_exact=False, accounts=1, difference="Other: 5"
    )
    theirs, ours = customer.get(url).content.decode(), finance.get(url).content.decode()
    assert "The last check is being looked into" in theirs
    assert "/finance/" not in theirs
    assert "Other: 5" not in theirs
    assert "A difference was found" in ours


def test_nothing_of_the_ledger_is_changed_by_looking(account: Account, calls: Meter, finance: Client) -> None:
    use(account, calls, date(2026, 5, 3), "12")
    before = list(LedgerEntry.objects.values_list("pk", "amount"))
    finance.get("/finance/reconciliation/?month=2026-05")
    enter(staff_of(account))
    assert list(LedgerEntry.objects.values_list("pk", "amount")) == before
