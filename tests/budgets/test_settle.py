"""Whatever the order, the split and the moment in which usage comes, the money is the same, and none is lost."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Account, Organization
from budgets.actions.settle import settle
from budgets.models import CommitBalance, LedgerEntry
from consumption_cs.lib.periods import day_of
from consumption_cs.lib.tenancy import act_as, enter
from tests.budgets.ledger_factories import make_commit
from tests.factories import (
    make_account,
    make_batch,
    make_meter,
    make_organization,
    make_price,
    make_workflow,
    staff_of,
    usage_sum,
)
from tests.threads import in_threads
from usage.actions.periods import close_period
from usage.actions.rate import touch_days
from usage.actions.roll_up import roll_up
from usage.models import AccountDay, Adjustment, BillingPeriod, RatedDay, TouchedDay, UsageDay
from usage.reports.periods import next_to_close

pytestmark = pytest.mark.django_db
NEW_YORK = ZoneInfo("America/New_York")
FIRST_HOUR = datetime(2026, 2, 20, tzinfo=UTC)  # the clocks change on 8 March
HOURS = 40 * 24
NOW = datetime(2026, 4, 15, 12, tzinfo=UTC)
FROM = date(2026, 3, 10)  # of the second price
GRADUATED: dict[str, Any] = {
    "model": "graduated",
    "params": {"tiers": [{"up_to": "10", "unit": "0.333"}, {"up_to": None, "unit": "0.017", "flat": "1"}]},
}
MATRIX: dict[str, Any] = {
    "matrix": {
        "dimensions": ["region"],
        "cells": [{"values": ["eu"], "terms": GRADUATED | {"max_spend": "9"}}],
        "otherwise": {"model": "package", "params": {"size": "7", "price": "0.5"}},
    }
}
TERMS: list[dict[str, Any]] = [
    GRADUATED,
    {"model": "unit", "params": {"unit": "0.0049"}, "min_spend": "3", "percent_discount": "10"},
    MATRIX,
]
NEW_TERMS: list[dict[str, Any]] = [
    {"model": "volume", "params": {"tiers": [{"up_to": "20", "unit": "0.2"}, {"up_to": None, "unit": "0.1"}]}},
    {"model": "unit", "params": {"unit": "0.0123"}, "free_units": "5", "max_spend": "2"},
    GRADUATED,
]


class Used(NamedTuple):
    """One event: the hour after FIRST_HOUR, which meter, workflow and region, and how much."""

    hour: int
    meter: int
    workflow: int
    region: str
    quantity: str


used = st.builds(
    Used,
    st.integers(0, HOURS),
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from(["eu", "us"]),
    st.decimals("-5", "40", places=3).map(str),
)


class World:
    """An organization with three meters that are priced anew from a day on, and accounts with the same two commits."""

    def __init__(self) -> None:
        self.organization: Organization = make_organization(close_after_days=60)
        self.meters = [make_meter(self.organization, f"meter-{n}", dimensions=["region"]) for n in range(3)]
        for meter, terms in zip(self.meters, TERMS, strict=True):
            make_price(meter, terms=terms)

    def publish(self) -> None:
        enter(staff_of(self.organization))
        for meter, terms in zip(self.meters, NEW_TERMS, strict=True):
            make_price(meter, terms=terms, effective_on=FROM)
            enter(staff_of(self.organization))
            touch_days(staff_of(self.organization), meter, None, FROM, "New prices")

    def account(self, order: list[int]) -> Account:
        """An account whose workflows were made in this order."""
        account = make_account(self.organization, timezone="America/New_York", billing_day=31)
        make_commit(account, "5", effective_on=date(2026, 2, 1), expires_on=date(2026, 3, 20), priority=1)
        make_commit(account, "4", effective_on=date(2026, 3, 5), priority=2, name="Second")
        for number in order:
            make_workflow(account, f"workflow-{number}")
        return account

    def send(self, account: Account, events: list[Used]) -> None:
        enter(staff_of(account))
        workflows = {int(w.key.removeprefix("workflow-")): str(w.pk) for w in account.workflow_set.all()}
        make_batch(self.organization, *(self.sum_of(account, workflows, event) for event in events))
        roll_up(self.organization.pk, NOW)

    def sum_of(self, account: Account, workflows: dict[int, str], event: Used) -> dict[str, Any]:
        hour = FIRST_HOUR + timedelta(hours=event.hour)
        day, group = day_of(hour, NEW_YORK).isoformat(), f'{{"region":"{event.region}"}}'
        meter, workflow = self.meters[event.meter], workflows[event.workflow]
        return usage_sum(account, meter, hour, event.quantity, d=day, g=group, w=workflow)

    def settle(self, now: datetime = NOW) -> None:
        settle(self.organization.pk, now)
        enter(staff_of(self.organization))


def money_of(account: Account) -> dict[str, list[Any]]:
    """All that settlement made of an account, without ids."""
    rated = RatedDay.objects.filter(account=account).order_by("day", "meter__key", "cell")
    used = UsageDay.objects.filter(account=account).order_by("day", "meter__key", "workflow__key", "group")
    totals = AccountDay.objects.filter(account=account).order_by("day")
    balances = CommitBalance.objects.filter(account=account).order_by("commit__name")
    return {
        "rated": list(
            rated.values_list(
                "day", "meter__key", "cell", "quantity", "amount", "total_quantity", "total_due", "total_amount"
            )
        ),
        "spends": list(used.values_list("day", "meter__key", "workflow__key", "group", "quantity", "spend")),
        "totals": list(totals.values_list("day", "spend", "adjustment", "events", "unpriced_events")),
        "ledger": sorted(ledger_of(account).items()),
        "balances": list(balances.values_list("commit__name", "settled", "ongoing")),
    }


def ledger_of(account: Account) -> dict[tuple[str, ...], Decimal]:
    """What the ledger says all in all: (commit, kind, day, meter) → amount."""
    net: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    rows = LedgerEntry.objects.filter(account=account).values_list(
        "commit__name", "kind", "day", "meter__key", "amount"
    )
    for commit, kind, day, meter, amount in rows:
        net[commit or "", kind, str(day), meter or ""] += amount
    return {key: amount for key, amount in net.items() if amount}


def drawn_and_overage(account: Account) -> Decimal:
    """What usage cost, by the ledger: draws are negative there."""
    total = Decimal(0)
    for (_, kind, _, _), amount in ledger_of(account).items():
        total += -amount if kind == LedgerEntry.Kind.DRAWN else amount if kind == LedgerEntry.Kind.OVERAGE else 0
    return total


def spent(account: Account) -> Decimal:
    days = AccountDay.objects.filter(account=account)
    total: Decimal = days.aggregate(total=Sum("spend", default=Decimal(0)))["total"]
    return total


def closed_and_open(account: Account) -> Decimal:
    """What closed periods came to, and the days after them."""
    total, until = Decimal(0), date.min
    for period in BillingPeriod.objects.filter(account=account):
        total, until = total + period.amount, max(until, period.ends_on)
    days = AccountDay.objects.filter(account=account, day__gte=until)
    return total + sum(days.values_list("spend", flat=True))


def adds_up(account: Account) -> None:
    """Every figure of money is the sum of those below it."""
    by_day: dict[date, Decimal] = defaultdict(Decimal)
    for model in (RatedDay, Adjustment):
        for day, amount in model.objects.filter(account=account).values_list("day", "amount"):
            by_day[day] += amount or 0
    kept = dict(AccountDay.objects.filter(account=account).values_list("day", "spend"))
    assert kept == {day: by_day.get(day, Decimal(0)) for day in kept}
    assert drawn_and_overage(account) == sum(by_day.values())
    assert not TouchedDay.objects.exists()


PROPERTY = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@PROPERTY
@given(st.lists(used, min_size=1, max_size=14), st.randoms(), st.integers(1, 4), st.integers(0, 4))
def test_order_split_and_the_moment_of_a_price_change_do_not_matter(
    events: list[Used], shuffle: Any, batches: int, published_after: int
) -> None:
    world = World()
    at_once, bit_by_bit = world.account([0, 1, 2]), world.account([2, 0, 1])
    mixed = shuffle.sample(events, len(events))
    for number in range(batches):
        if number == published_after:
            world.publish()
        world.send(bit_by_bit, mixed[number::batches])
        world.settle()
    if published_after >= batches:
        world.publish()
    world.send(at_once, events)
    world.settle()
    assert money_of(bit_by_bit) == money_of(at_once)
    adds_up(at_once)
    adds_up(bit_by_bit)


@PROPERTY
@given(
    st.lists(used, min_size=2, max_size=14),
    st.integers(1, 13),
    st.integers(0, 2),
    st.booleans(),
)
def test_what_was_frozen_and_its_adjustments_are_what_rating_all_of_it_gives(
    events: list[Used], early: int, closings: int, is_price_late: bool
) -> None:
    world = World()
    late, whole = world.account([0, 1, 2]), world.account([0, 1, 2])
    if not is_price_late:
        world.publish()
    world.send(late, events[:early])
    world.settle()
    close(late, closings)
    if is_price_late:
        world.publish()
    for event in events[early:]:
        world.send(late, [event])
        world.settle()
    world.send(whole, events)
    world.settle()
    close_all(late)
    close_all(whole)
    world.settle(NOW + timedelta(days=1))
    assert by_line(late) == by_line(whole)
    assert closed_and_open(late) == spent(late)
    assert closed_and_open(whole) == spent(whole)
    adds_up(late)
    adds_up(whole)


def close(account: Account, most: int) -> None:
    """Close the oldest periods, as many as have ended."""
    enter(staff_of(account))
    for _ in range(most):
        span = next_to_close(staff_of(account), account, NOW)
        if span is None or not span.has_ended(day_of(NOW, NEW_YORK)):
            return
        close_period(staff_of(account), account, span.start, NOW)


def close_all(account: Account) -> None:
    close(account, 100)


def by_line(account: Account) -> dict[tuple[Any, ...], Decimal]:
    """(billing period, meter, cell) → rated and adjusted, zeros left out."""
    periods = list(BillingPeriod.objects.filter(account=account))
    lines: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for row in RatedDay.objects.filter(account=account).select_related("meter"):
        period = next((p.starts_on for p in periods if p.starts_on <= row.day < p.ends_on), None)
        lines[period, row.meter.key, row.cell] += row.amount or 0
    for late in Adjustment.objects.filter(account=account).select_related("meter", "period"):
        lines[late.period.starts_on, late.meter.key, late.cell] += late.amount
    return {line: amount for line, amount in lines.items() if amount}


def test_settling_again_changes_no_row_and_books_nothing() -> None:
    world = World()
    account = world.account([0, 1, 2])
    world.send(account, [Used(n * 37, n % 3, n % 3, "eu", "7.5") for n in range(20)])
    world.settle()
    before, entries = money_of(account), LedgerEntry.objects.count()
    touch_days(staff_of(account), None, None, date(2026, 1, 1))
    world.settle(NOW + timedelta(minutes=1))
    assert money_of(account) == before
    assert LedgerEntry.objects.count() == entries
    world.settle(NOW + timedelta(minutes=2))
    assert LedgerEntry.objects.count() == entries


def test_a_day_that_ends_is_booked_without_new_use() -> None:
    world = World()
    account = world.account([0, 1, 2])
    world.send(account, [Used(1290, 0, 0, "eu", "7.5")])  # on the evening of 14 April, in New York
    world.settle(datetime(2026, 4, 15, 3, tzinfo=UTC))
    assert drawn_and_overage(account) == 0
    world.settle(datetime(2026, 4, 15, 4, tzinfo=UTC))
    assert drawn_and_overage(account) == spent(account) > 0


def test_periods_close_by_the_calendar() -> None:
    world = World()
    account = world.account([0, 1, 2])
    world.send(account, [Used(0, 0, 0, "eu", "7.5"), Used(900, 0, 0, "eu", "7.5")])
    world.settle()
    assert not BillingPeriod.objects.exists()
    Organization.objects.filter(pk=world.organization.pk).update(close_after_days=15)
    world.settle(NOW + timedelta(days=1))
    closed = list(BillingPeriod.objects.order_by("starts_on").values_list("starts_on", "ends_on", "closed_by"))
    assert closed == [(date(2026, 1, 31), date(2026, 2, 28), None), (date(2026, 2, 28), date(2026, 3, 31), None)]
    adds_up(account)


@pytest.mark.django_db(transaction=True)
def test_ticks_settlements_and_price_changes_racing_each_other_end_with_the_same_money() -> None:
    organization = make_organization(close_after_days=60)
    viewer = staff_of(organization)
    with act_as(viewer):
        accounts = [make_account(organization) for _ in range(4)]
        meters = [make_meter(organization, kind, aggregation=kind) for kind in ("sum", "max", "latest")]
        for meter in meters:
            make_price(meter, terms=GRADUATED)
        for account in accounts:
            make_commit(account, "5", effective_on=date(2026, 4, 1))
        for n in range(40):
            hour = NOW - timedelta(hours=20 * (n % 5))
            make_batch(organization, *(usage_sum(a, m, hour, str(n + 1)) for a in accounts for m in meters))

    def work() -> None:
        for _ in range(8):
            roll_up(organization.pk, NOW, 3)
            settle(organization.pk, NOW, 2)
            with act_as(viewer):
                touch_days(viewer, meters[0], None, date(2026, 4, 1))
                enter(viewer)

    in_threads(4, work)
    while roll_up(organization.pk, NOW).batches:
        pass
    settle(organization.pk, NOW)
    settle(organization.pk, NOW + timedelta(days=1))
    with act_as(viewer):
        for account in accounts:
            adds_up(account)
        first, *others = (money_of(account) for account in accounts)
        assert all(other["rated"] == first["rated"] and other["ledger"] == first["ledger"] for other in others)
        assert sum(row[3] for row in first["rated"] if row[1] == "sum") == sum(range(1, 41))
