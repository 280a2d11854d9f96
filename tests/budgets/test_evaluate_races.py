"""Exactly once, whatever happens: two at a time, a crash between any two statements, any order of what comes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Account
from budgets.actions.alerts import NewAlert, raise_alerts, tick
from budgets.actions.budgets import archive_budget, change_budget
from budgets.actions.evaluate import evaluate
from budgets.actions.settle import settle
from budgets.models import Alert, AlertEvent, Budget, BudgetVersion
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import Viewer, act_as, enter
from tests.budgets.budget_factories import make_budget, make_paying_account, recorded, use
from tests.factories import make_account, make_batch, make_price, staff_of, usage_sum
from tests.threads import in_threads
from usage.actions.rate import touch_days
from usage.actions.roll_up import roll_up
from usage.models import Meter

NOW = datetime(2026, 6, 15, 12, 30, tzinfo=UTC)
THREE = [("actual_percent", "50"), ("actual_percent", "80"), ("actual_percent", "100")]


@pytest.mark.django_db(transaction=True)
def test_two_settlements_and_evaluations_at_once_record_each_crossing_once() -> None:
    with transaction.atomic():
        account, meter = make_paying_account()
        make_budget(account, "100", *THREE)
        others = [make_account(account.organization, name=f"Other {number}") for number in range(3)]
        for other in others:
            make_budget(other, "100", *THREE)
        for one in (account, *others):
            hour = NOW.replace(minute=0)
            make_batch(account.organization, usage_sum(one, meter, hour, "120"))
    roll_up(account.organization_id, NOW)
    names = [str(one.pk) for one in (account, *others)]

    def work() -> None:
        settle(account.organization_id, NOW)
        with act_as(Viewer(account.organization_id)):
            evaluate(account.organization_id, NOW, names, {})

    in_threads(4, work)
    with act_as(staff_of(account)):
        for name in names:
            rows = Alert.objects.filter(account_id=name).order_by("number")
            assert [(row.number, row.threshold, row.is_silent) for row in rows] == [
                (1, D(50), True),
                (2, D(80), True),
                (3, D(100), False),
            ]
        assert AlertEvent.objects.filter(kind="raised").count() == 12


@pytest.mark.django_db(transaction=True)
def test_an_edit_beside_settlement_neither_loses_nor_repeats() -> None:
    with transaction.atomic():
        account, meter = make_paying_account()
        budget = make_budget(account, "100", *THREE)
        make_batch(account.organization, usage_sum(account, meter, NOW.replace(minute=0), "85"))
    roll_up(account.organization_id, NOW)
    turns: list[Callable[[], Any]] = [lambda: settle(account.organization_id, NOW), lambda: _edit(budget)] * 2
    numbers = iter(range(4))
    in_threads(4, lambda: turns[next(numbers)]())
    settle(account.organization_id, NOW)
    with act_as(staff_of(account)):
        latest = BudgetVersion.objects.latest("number")
        crossed = Alert.objects.filter(version=latest).values_list("threshold", flat=True)
        assert sorted(crossed) == [D(50), D(80), D(100)]
        told = Alert.objects.filter(is_silent=False).values_list("threshold", flat=True)
        assert D(100) in told


def _edit(budget: Budget) -> None:
    with act_as(staff_of(budget.account)):
        change_budget(staff_of(budget.account), budget, D(85), [(kind, D(value)) for kind, value in THREE], NOW)


@pytest.mark.django_db(transaction=True)
def test_two_ticks_at_once_escalate_once() -> None:
    with transaction.atomic():
        account, meter = make_paying_account()
        make_budget(account)
        make_batch(account.organization, usage_sum(account, meter, NOW.replace(minute=0), "85"))
    roll_up(account.organization_id, NOW)
    settle(account.organization_id, NOW)
    in_threads(4, lambda: tick(account.organization_id, NOW + timedelta(hours=5)))
    with act_as(staff_of(account)):
        assert AlertEvent.objects.filter(kind="escalated").count() == 1


@pytest.mark.django_db
def test_the_database_refuses_a_crossing_twice() -> None:
    account, _ = make_paying_account()
    new = NewAlert(account_id=account.pk, kind="spike", crossing="one", headline="x")
    enter(staff_of(account))
    (alert,) = raise_alerts(account.organization_id, NOW, [new, new])
    assert raise_alerts(account.organization_id, NOW, [new]) == []
    alert.pk, alert.number = uuid7(), 2
    with pytest.raises(IntegrityError, match="alert_once"), transaction.atomic():
        alert.save(force_insert=True)


class Crash(Exception):
    """The process ends here."""


@contextmanager
def crashing_at(statement: int) -> Iterator[list[int]]:
    """Raise at the n-th statement from here on."""
    count = [0]

    def run(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "SAVEPOINT" in sql:  # of the test: in production these are the transaction's own beginning and end
            return execute(sql, params, many, context)
        count[0] += 1
        if count[0] == statement:
            raise Crash
        return execute(sql, params, many, context)

    with connection.execute_wrapper(run):
        yield count


@pytest.mark.django_db
def test_a_crash_at_any_statement_of_a_settlement_leaves_nothing_and_the_next_one_does_it_all() -> None:
    account, meter = make_paying_account()
    budget = make_budget(account, "100", *THREE, ("velocity_fast", "6"))
    make_batch(account.organization, usage_sum(account, meter, NOW.replace(minute=0), "120"))
    roll_up(account.organization_id, NOW)
    statement = 0
    while True:
        statement += 1
        try:
            with crashing_at(statement), transaction.atomic():
                _settle_once(account)
        except Crash:
            enter(staff_of(account))
            assert Alert.objects.count() == 0
            assert AlertEvent.objects.count() == 0
        else:
            break
    assert statement > 30
    expected = recorded(account)
    assert len(expected) == 4
    settle(account.organization_id, NOW)
    assert recorded(account) == expected
    archive_budget(staff_of(account), budget, NOW)


def _settle_once(account: Account) -> None:
    from budgets.actions.settle import _settle
    from usage.actions.rate import claim_accounts

    enter(staff_of(account))
    claim = claim_accounts(account.organization_id, NOW, set(), 100)
    _settle(account.organization_id, NOW, claim)


@dataclass(frozen=True)
class Step:
    """One thing that happens: usage (or a correction) of a day, an edit, a new price, a clock step, an evaluation."""

    kind: str
    number: int
    day: int = 0


steps = st.lists(
    st.one_of(
        st.builds(Step, st.just("use"), st.integers(-30, 60), st.integers(0, 3)),
        st.builds(Step, st.just("use"), st.integers(1, 90), st.just(0)),
        st.builds(Step, st.just("amount"), st.sampled_from([40, 80, 100, 150])),
        st.builds(Step, st.just("price"), st.sampled_from([1, 2, 3])),
        st.builds(Step, st.just("clock"), st.integers(1, 60)),
        st.builds(Step, st.just("clock"), st.just(12)),
        st.builds(Step, st.just("again"), st.just(0)),
    ),
    max_size=25,
)
PERCENTS = (50, 80, 100)
FIRST = datetime(2026, 6, 10, 12, tzinfo=UTC)


class Oracle:
    """The crossings that must be recorded, from the raw list of what happened."""

    def __init__(self) -> None:
        self.events: list[tuple[date, D]] = []
        self.version, self.amount, self.price = 1, D(100), D(1)
        self.prices = [(date(2020, 1, 1), D(1))]
        self.made_at = FIRST - timedelta(days=30)
        self.crossed: set[tuple[int, date, int]] = set()

    def price_on(self, day: date) -> D:
        return [price for since, price in self.prices if since <= day][-1]

    def look(self, now: datetime, *, used: bool) -> None:
        """What is crossed in the day at hand; just after midnight, late use of the day before counts too."""
        self._look_at(now.date())
        midnight = now.replace(hour=0)
        if used and now.hour == 0 and self.made_at < midnight:
            self._look_at(now.date() - timedelta(days=1))

    def _look_at(self, day: date) -> None:
        spent = sum((quantity * self.price_on(when) for when, quantity in self.events if when == day), D(0))
        self.crossed |= {(self.version, day, one) for one in PERCENTS if spent >= self.amount * one / 100}


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_in_whatever_order_things_happen_exactly_what_was_crossed_is_recorded(taken: list[Step]) -> None:
    account, meter = make_paying_account()
    budget = make_budget(account, "100", *[("actual_percent", str(one)) for one in PERCENTS], period=Budget.Period.DAY)
    now, oracle = FIRST, Oracle()
    for step in taken:
        now = _take(step, account, meter, budget, now, oracle)
        settle(account.organization_id, now)
        oracle.look(now, used=step.kind == "use")
    enter(staff_of(account))
    rows = list(Alert.objects.filter(account=account).select_related("version"))
    found = {(row.version.number, row.period_start.date(), int(row.threshold)) for row in rows}
    assert len(found) == len(rows)
    assert found == oracle.crossed
    assert sorted(row.number for row in rows) == list(range(1, len(rows) + 1))


def _take(step: Step, account: Account, meter: Meter, budget: Budget, now: datetime, oracle: Oracle) -> datetime:
    viewer = staff_of(account)
    enter(viewer)
    if step.kind == "use":
        at = now - timedelta(days=step.day)
        # A correction takes back what was used at most: below zero, tiers have no price.
        quantity = max(D(step.number), -sum((amount for day, amount in oracle.events if day == at.date()), D(0)))
        oracle.events.append((at.date(), quantity))
        use(account, meter, at, str(quantity), now=now)
    elif step.kind == "amount" and D(step.number) != oracle.amount:
        rules = [("actual_percent", D(one)) for one in PERCENTS]
        change_budget(viewer, budget, D(step.number), rules, now)
        oracle.version, oracle.amount, oracle.made_at = oracle.version + 1, D(step.number), now
    elif step.kind == "price" and all(since != now.date() for since, _ in oracle.prices):
        make_price(meter, str(step.number), effective_on=now.date())
        touch_days(viewer, None, None, now.date(), "New prices")
        oracle.prices.append((now.date(), D(step.number)))
    elif step.kind == "clock":
        return now + timedelta(hours=step.number)
    return now
