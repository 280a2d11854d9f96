"""A finance person who trusts nothing: after each thing that can happen to money every step must agree, exactly."""

import json
import os
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from html import unescape
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, Role, Scope
from budgets.actions.catch_up import catch_up
from budgets.actions.commits import amend_commit, cancel_commit
from budgets.models import Commit, LedgerEntry
from budgets.reports.statements import Statement, period_around, statement
from consumption_cs.lib.tenancy import act_as
from consumption_cs.provision import administering
from tests.budgets.ledger_factories import make_commit
from tests.factories import make_account, make_key, make_member, make_meter, make_organization, signed_in, staff_of
from usage.actions.directory import forget_directories
from usage.actions.publishing import NewPrice, add_prices
from usage.api import events as events_view
from usage.models import Adjustment, BillingPeriod, Event, RatedDay

pytestmark = pytest.mark.django_db(transaction=True)

D = Decimal
BERLIN = ZoneInfo("Europe/Berlin")
MAY, JUNE = date(2026, 5, 20), date(2026, 6, 20)


class World:
    """One customer, one meter at 0.50 a page, a prepaid commit of 100, and a clock that the tests move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = datetime(2026, 5, 10, 12, tzinfo=BERLIN)
        forget_directories()
        with transaction.atomic():
            self.organization = make_organization(key="acme")
            self.account = make_account(self.organization, key="north", timezone="Europe/Berlin")
            self.meter = make_meter(self.organization, "page", name="Pages", unit="page")
            self.secret = make_key(self.organization, (Scope.EVENTS_WRITE, Scope.EVENTS_BACKFILL))[1]
            self.finance = make_member(self.organization, Role.FINANCE)
            self.customer = make_member(self.account, Role.PORTAL_OWNER)
            self.commit = make_commit(self.account, "100", effective_on=date(2026, 5, 1), name="Prepaid 2026")
        self.publish("0.5", date(2026, 1, 1))
        monkeypatch.setattr(events_view, "clock", lambda _key: self.now)
        monkeypatch.setattr(timezone, "now", lambda: self.now)

    @property
    def viewer(self) -> Any:
        return staff_of(self.organization)

    def publish(self, price: str, from_day: date) -> None:
        with act_as(self.viewer) as viewer:
            add_prices(viewer, [NewPrice(self.meter, None, "USD", D(price), from_day)])

    def send(self, *events: dict[str, Any]) -> dict[str, Any]:
        """Over HTTP, as the vendor's platform does; then wait until it is settled."""
        response = Client().post(
            "/api/v1/events",
            json.dumps(list(events)),
            content_type="application/cloudevents-batch+json",
            headers={"Authorization": f"Bearer {self.secret}"},
        )
        assert response.status_code == 202, response.content
        with act_as(self.viewer):  # the database's clock is the one that the tests cannot move
            Event.objects.filter(event_id__in=[event["id"] for event in events]).update(received_at=self.now)
        self.settle()
        return dict(response.json())

    def settle(self) -> None:
        catch_up(self.organization.pk, self.now)

    def statement(self, day: date) -> Statement:
        with act_as(self.viewer) as viewer:
            account = Account.objects.get(pk=self.account.pk)
            return statement(viewer, account, period_around(viewer, account, day, self.now))

    def adjustments(self) -> list[tuple[Decimal, str]]:
        with act_as(self.viewer):
            return list(Adjustment.objects.order_by("created_at", "pk").values_list("amount", "reason"))

    def frozen(self) -> list[Any]:
        """What must never change again once May is closed."""
        with act_as(self.viewer):
            periods = list(BillingPeriod.objects.values_list("starts_on", "ends_on", "amount"))
            rated = list(RatedDay.objects.filter(day__lt=date(2026, 6, 1)).order_by("pk").values())
            ledger = list(LedgerEntry.objects.filter(day__lt=date(2026, 6, 1)).order_by("pk").values())
        return [periods, rated, ledger]

    def check(self) -> None:
        """The nightly check by hand: exact, or it says which row is not."""
        out = StringIO()
        call_command("verify_ledger", "--json", stdout=out)
        told = json.loads(out.getvalue())
        assert (told["exact"], told["difference"], told["waiting"]) == (True, "", "0")


def use(name: str, day: date, pages: int) -> dict[str, Any]:
    happened = datetime(day.year, day.month, day.day, 10, tzinfo=BERLIN).isoformat()
    start = {"specversion": "1.0", "id": name, "source": "/scanner", "type": "page", "subject": "north"}
    return start | {"time": happened, "data": {"quantity": pages, "workflow": "invoices"}}


def void(name: str, reason: str) -> dict[str, Any]:
    start = {"specversion": "1.0", "id": f"{name}-void", "source": "/scanner", "subject": "north"}
    return start | {"type": "consumption.void", "data": {"id": name, "reason": reason}}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    yield World(monkeypatch)
    forget_directories()


@pytest.fixture
def closed(world: World) -> World:
    """May had 100 pages for 50.00 and is closed; it is the tenth of June, with 20 pages on the second."""
    world.send(use("a", date(2026, 5, 3), 40), use("b", date(2026, 5, 5), 60))
    world.now = datetime(2026, 6, 10, 12, tzinfo=BERLIN)
    world.send(use("c", date(2026, 6, 2), 20))
    world.check()
    return world


def test_the_statement_is_what_the_events_come_to(world: World) -> None:
    world.send(use("a", date(2026, 5, 3), 40), use("b", date(2026, 5, 5), 60))
    may = world.statement(MAY)
    assert (may.rated, may.drawn, may.overage, may.due) == (D(50), D(50), 0, 0)
    (line,) = may.commits
    assert (line.opening, line.granted, line.drawn, line.closing) == (0, D(100), D(-50), D(50))
    world.check()
    world.send(use("d", date(2026, 5, 9), 160))
    may = world.statement(MAY)
    assert (may.rated, may.drawn, may.overage, may.due) == (D(130), D(100), D(30), D(30))
    world.check()


def test_a_closed_month_is_closed(closed: World) -> None:
    frozen = closed.frozen()
    assert frozen[0] == [(date(2026, 5, 1), date(2026, 6, 1), D(50))]
    assert closed.statement(JUNE).total.opening == D(50)
    closed.send(use("late", date(2026, 5, 4), 10))
    assert closed.adjustments() == [(D(5), "Late use of 4 May 2026")]
    june = closed.statement(JUNE)
    assert (june.rated, june.adjusted) == (D(10), D(5))
    assert closed.frozen() == frozen
    closed.check()


def test_taking_back_an_event_of_a_closed_month_is_a_credit_with_its_reason(closed: World) -> None:
    frozen = closed.frozen()
    closed.send(void("b", "scanned twice"))
    assert closed.adjustments() == [(D(-30), "Event b was voided: scanned twice")]
    assert closed.statement(JUNE).adjusted == D(-30)
    assert closed.frozen() == frozen
    closed.check()
    closed.now += timedelta(days=1)
    closed.settle()
    closed.check()
    june = closed.statement(JUNE)
    assert (june.drawn + june.overage, june.ongoing) == (D(-20), 0)


def test_taking_back_an_event_of_the_open_month_leaves_nothing_of_it(closed: World) -> None:
    before = closed.statement(JUNE)
    closed.send(use("d", date(2026, 6, 3), 77))
    closed.check()
    closed.send(void("d", "a test run"))
    assert closed.statement(JUNE).rated == before.rated
    assert closed.statement(JUNE).total == before.total
    with act_as(closed.viewer):
        reasons = set(LedgerEntry.objects.filter(reverses__isnull=False).values_list("reason", flat=True))
    assert reasons == {"Event d was voided: a test run"}
    closed.check()


def test_a_replaced_event_costs_what_it_should_have_cost(closed: World) -> None:
    frozen = closed.frozen()
    new = {"id": "b", "reason": "pages miscounted", "data": {"quantity": 50, "workflow": "invoices"}}
    closed.send(use("b-new", date(2026, 6, 9), 0) | {"type": "consumption.replace", "data": new})
    assert closed.adjustments() == [(D(-5), "Event b was replaced: pages miscounted")]
    assert closed.frozen() == frozen
    closed.check()


def test_a_price_that_is_changed_for_the_past_becomes_adjustments_in_the_open_month(closed: World) -> None:
    frozen = closed.frozen()
    closed.publish("0.6", date(2026, 5, 4))
    closed.settle()
    ((amount, reason),) = closed.adjustments()
    assert amount == D(6)  # 60 pages of 5 May at 0.10 more
    assert "was published" in reason
    june = closed.statement(JUNE)
    assert (june.rated, june.adjusted) == (D(12), D(6))
    assert closed.frozen() == frozen
    closed.check()


def test_everything_together_in_one_life_of_a_commit(closed: World) -> None:
    frozen = closed.frozen()
    closed.send(use("late", date(2026, 5, 4), 10))
    closed.send(void("b", "scanned twice"))
    closed.publish("0.6", date(2026, 5, 4))
    closed.settle()
    closed.check()
    assert sum(amount for amount, _ in closed.adjustments()) == D("5") - D("30") + D("1")
    commit: Commit
    with act_as(closed.viewer) as viewer:
        commit = Commit.objects.select_related("account").get(pk=closed.commit.pk)
        amend_commit(viewer, commit, D(20), date(2026, 6, 5), "Addendum 1", closed.now)
    closed.settle()
    closed.check()
    assert closed.statement(JUNE).total.amended == D(20)
    closed.now += timedelta(days=3)
    closed.send(use("e", date(2026, 6, 12), 30))
    closed.check()
    with act_as(closed.viewer) as viewer:
        cancel_commit(viewer, commit, date(2026, 6, 13), "The customer left", closed.now)
    closed.settle()
    closed.check()
    closed.now += timedelta(days=1)
    closed.send(use("f", date(2026, 6, 14), 5), use("g", date(2026, 6, 13), 5))
    closed.now += timedelta(days=1)
    closed.settle()
    closed.check()
    june = closed.statement(JUNE)
    assert june.total.closing == 0
    # 20 + 30 + 5 + 5 pages at 0.60, and the adjustments
    assert (june.rated, june.adjusted) == (D(36), D(-24))
    assert june.rated + june.adjusted == june.drawn + june.overage + june.ongoing
    assert june.overage == D(6)
    assert closed.frozen() == frozen


TAMPERED = {
    "the rated day": "UPDATE usage_rated_day SET amount = amount + 0.01 WHERE day = '2026-06-02'",
    "a day's quantity": "UPDATE usage_day SET quantity = quantity + 1 WHERE day = '2026-06-02'",
    "a day's share": "UPDATE usage_day SET spend = spend + 0.01 WHERE day = '2026-06-02'",
    "a day's total": "UPDATE account_day SET spend = spend + 0.01 WHERE day = '2026-06-02'",
    "a ledger entry": "UPDATE budgets_ledgerentry SET amount = amount - 0.01 WHERE day = '2026-06-02'",
    "a grant": "UPDATE budgets_ledgerentry SET amount = amount + 0.01 WHERE kind = 'granted'",
    "a balance": "UPDATE budgets_commitbalance SET settled = settled + 0.01",
    "a closed day": "UPDATE usage_rated_day SET amount = amount + 0.01 WHERE day = '2026-05-03'",
    "a closed period": "UPDATE usage_billingperiod SET amount = amount + 0.01",
    "an adjustment": "UPDATE usage_adjustment SET amount = amount - 0.01",
    "an adjustment that is gone": "DELETE FROM usage_adjustment",
    "a closed day's quantity": "UPDATE usage_day SET quantity = quantity + 1 WHERE day = '2026-05-03'",
    "a closed day's share": "UPDATE usage_day SET spend = spend + 0.01 WHERE day = '2026-05-03'",
    "a closed day's total": "UPDATE account_day SET spend = spend + 0.01 WHERE day = '2026-05-03'",
    "a closed ledger entry": "UPDATE budgets_ledgerentry SET amount = amount - 0.01 WHERE day = '2026-05-03'",
    "a ledger entry that is gone": "DELETE FROM budgets_ledgerentry WHERE day = '2026-06-02'",
    "a draw called overage": "UPDATE budgets_ledgerentry SET kind = 'overage', commit_id = NULL, amount = -amount"
    " WHERE day = '2026-06-02'",
    "a day's number of events": "UPDATE usage_day SET events = events + 1 WHERE day = '2026-06-02'",
    "a price": """UPDATE usage_price SET terms = '{"model": "unit", "params": {"unit": "0.4"}}'""",
    "the commit's value": "UPDATE budgets_commit SET value = value + 1",
    "today's draw": "UPDATE budgets_ledgerstate SET ongoing = '[]'",
    "a reversal": "UPDATE usage_event SET quantity = quantity + 1 WHERE event_id = 'b-void'",
    "an event": "UPDATE usage_event SET quantity = quantity + 1 WHERE event_id = 'c'",
    "an event that is gone": "DELETE FROM usage_event WHERE event_id = 'c'",
    "a correction that is gone": "DELETE FROM usage_correction",
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_a_figure_that_the_databases_owner_changed_is_found_and_named(closed: World, what: str) -> None:
    closed.send(void("b", "scanned twice"))
    closed.check()
    with administering(os.environ["DATABASE_OWNER_URL"]) as cursor:
        cursor.execute("SELECT set_config('app.organization', %s, false)", [str(closed.organization.pk)])
        cursor.execute("SELECT set_config('app.account', 'all', false)")
        cursor.execute(TAMPERED[what])
        assert cursor.rowcount, "nothing was tampered with"
    out = StringIO()
    with pytest.raises(CommandError, match="The ledger differs in acme"):
        call_command("verify_ledger", stdout=out)
    said = out.getvalue()
    assert "Northwind" in said
    assert re.search(r"\d", said.partition("Northwind")[2]), said


def links(page: str) -> set[str]:
    return {unescape(link) for link in re.findall(r'href="(/[^"#]*)', page)}


@pytest.mark.parametrize("who", ["finance", "customer"])
def test_every_figure_of_a_statement_leads_to_its_events_in_three_links(closed: World, who: str) -> None:
    closed.send(use("late", date(2026, 5, 4), 10))
    account = closed.account
    client = signed_in(closed.finance if who == "finance" else closed.customer)
    months = ("2026-05-01", "2026-06-01")
    pages = [reverse("budgets:statement", args=[account.pk, month]) for month in months]
    seen = set(pages)
    found: dict[str, int] = {}
    for step in range(4):
        following: set[str] = set()
        for address in pages:
            response = client.get(address, follow=True)
            if response.status_code != 200 or not response["Content-Type"].startswith("text/html"):
                continue
            page = response.content.decode()
            for name in ("a", "b", "c", "late"):
                if (
                    f"{account.pk}/events/" in address
                    and ("day=" in address or "late=" in address)
                    and f">{name}<small>" in page
                ):
                    found.setdefault(name, step)
            own = f"/accounts/{account.pk}/"
            wanted = ("ledger", "rated", "events/?", "commits")
            following |= {link for link in links(page) if link.startswith(own) and link[len(own) :].startswith(wanted)}
        pages = sorted(following - seen)
        seen |= following
    assert set(found) == {"a", "b", "c", "late"}, found
    assert max(found.values()) <= 3
