"""Limits: close, reached, in grace, in force, lifted, and anew in the next period."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from fnmatch import fnmatch
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Account
from budgets.actions.evaluate import advance_due, watch
from budgets.actions.limits import NewLimit, lift, set_limit
from budgets.actions.settle import settle
from budgets.calc.limits import Standing, lifted, step, terms_of
from budgets.models import Alert, Budget, Limit, LimitEvent, LimitState
from consumption_cs.lib.tenancy import enter
from consumption_cs.schedule import BEAT, ROUTES
from tests.budgets.budget_factories import make_budget, make_paying_account, use
from tests.factories import portal_of, staff_of
from usage.models import Meter

NOW = datetime(2026, 6, 15, 12, 30, tzinfo=UTC)
START = datetime(2026, 6, 15, tzinfo=UTC)
TERMS = terms_of(D(100), D(100), D(85), acts=True, is_dry_run=False, grace_minutes=30, grace_percent=D(10))
CLEAR = Standing("clear", START, START)


def states(*amounts: str, terms: Any = TERMS) -> list[tuple[str, list[str]]]:
    """Each (state, what happened) when so much is used, ten minutes apart."""
    standing, found = CLEAR, []
    for number, used in enumerate(amounts):
        standing, happened = step(standing, terms, D(used), NOW + timedelta(minutes=10 * number), START)
        found.append((standing.state, happened))
    return found


def test_it_warns_begins_its_grace_and_acts_when_the_minutes_are_over() -> None:
    assert states("84", "85", "99", "100", "100", "100", "100", "109") == [
        ("clear", []),
        ("warned", ["warned"]),
        ("warned", []),
        ("grace", ["reached"]),
        ("grace", []),
        ("grace", []),
        ("acting", ["acting"]),
        ("acting", []),
    ]


def test_it_acts_at_once_when_the_percentage_of_grace_is_spent() -> None:
    assert states("100", "110") == [("grace", ["reached"]), ("acting", ["acting"])]
    assert states("130") == [("acting", ["reached", "acting"])]


def test_one_that_only_notifies_never_acts_and_a_dry_run_says_what_it_would_do() -> None:
    assert states("500", "500", "500", "500", "500", terms=replace(TERMS, acts=False))[-1] == ("grace", [])
    assert states("130", terms=replace(TERMS, is_dry_run=True)) == [("acting", ["reached", "would_act"])]


def test_minutes_or_percent_of_zero_do_not_count() -> None:
    only_percent = replace(TERMS, grace_minutes=0)
    assert states("100", "109", "109", "109", "109", "110", terms=only_percent)[-2:] == [
        ("grace", []),
        ("acting", ["acting"]),
    ]
    only_minutes = replace(TERMS, grace_percent=D(0))
    assert states("100", "900", "900", "900", terms=only_minutes)[-1] == ("acting", ["acting"])
    assert states("100", "900", "900", terms=only_minutes)[-1] == ("grace", [])


def test_a_correction_and_a_new_period_clear_it() -> None:
    assert states("130", "90")[-1] == ("warned", ["cleared"])
    standing, _ = step(CLEAR, TERMS, D(130), NOW, START)
    anew, happened = step(standing, TERMS, D(3), NOW + timedelta(days=1), START + timedelta(days=1))
    assert (anew.state, happened) == ("clear", ["cleared"])


def test_a_lift_ends_after_its_hours_and_no_later_than_the_period() -> None:
    standing, _ = step(CLEAR, TERMS, D(130), NOW, START)
    up = lifted(standing, 4, NOW, START + timedelta(days=1))
    assert step(up, TERMS, D(200), NOW + timedelta(hours=3), START)[1] == []
    assert step(up, TERMS, D(200), NOW + timedelta(hours=4), START)[1] == ["acting"]
    assert lifted(standing, 48, NOW, START + timedelta(days=1)).lifted_until == START + timedelta(days=1)


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 60)), max_size=30))
def test_the_same_moment_twice_changes_nothing(seen: list[tuple[int, int]]) -> None:
    standing, now = CLEAR, NOW
    for used, minutes in seen:
        now += timedelta(minutes=minutes)
        standing, _ = step(standing, TERMS, D(used), now, START)
        assert step(standing, TERMS, D(used), now, START) == (standing, [])
        assert (standing.state in ("clear", "warned")) == (used < 100)


def make_limited(**fields: Any) -> tuple[Account, Meter, Budget]:
    account, meter = make_paying_account()
    budget = make_budget(account, "100", period=Budget.Period.DAY)
    set_limit(staff_of(account), budget, NewLimit(**{"action": Limit.Action.STOP} | fields), NOW)
    return account, meter, budget


def kinds(budget: Budget) -> list[str]:
    enter(staff_of(budget.account))
    return list(LimitEvent.objects.filter(budget=budget).order_by("pk").values_list("kind", flat=True))


@pytest.mark.django_db
def test_settlement_takes_a_limit_to_its_grace_and_time_takes_it_into_force() -> None:
    account, meter, budget = make_limited()
    use(account, meter, NOW, "90")
    use(account, meter, NOW, "12")
    use(account, meter, NOW, "1")
    assert kinds(budget) == ["warned", "reached"]
    watch(account.organization_id, NOW + timedelta(minutes=29))
    assert kinds(budget) == ["warned", "reached"]
    watch(account.organization_id, NOW + timedelta(minutes=30))
    watch(account.organization_id, NOW + timedelta(minutes=31))
    assert kinds(budget) == ["warned", "reached", "acting"]
    assert LimitState.objects.get().state == "acting"
    alerts = Alert.objects.filter(kind__startswith="limit_").order_by("number")
    assert [(alert.kind, alert.severity) for alert in alerts] == [
        ("limit_reached", "critical"),
        ("limit_acting", "critical"),
    ]


@pytest.mark.django_db
def test_a_limit_set_on_what_is_spent_already_begins_without_any_new_use() -> None:
    account, meter = make_paying_account()
    budget = make_budget(account, "100", now=NOW)
    use(account, meter, NOW, "120")
    set_limit(portal_of(account, "portal_owner"), budget, NewLimit(action="stop", grace_percent=D(50)), NOW)
    settle(account.organization_id, NOW + timedelta(seconds=5))
    enter(staff_of(account))
    assert LimitState.objects.get(budget=budget).state == "grace"


@pytest.mark.django_db
def test_a_look_every_few_seconds_finds_the_end_of_a_grace_and_tells_it_once(
    django_assert_num_queries: Any,
) -> None:
    account, meter, budget = make_limited()
    use(account, meter, NOW, "102")
    with django_assert_num_queries(5):  # savepoints, who is looking, the limits, and nobody any more
        assert advance_due(account.organization_id, NOW + timedelta(minutes=29, seconds=59)) == 0
    assert advance_due(account.organization_id, NOW + timedelta(minutes=30)) == 1
    assert advance_due(account.organization_id, NOW + timedelta(minutes=30, seconds=2)) == 0
    assert kinds(budget) == ["reached", "acting"]
    assert Alert.objects.filter(kind="limit_acting").count() == 1


@pytest.mark.parametrize("entry", ["limits", "deliver"])
def test_what_acts_in_seconds_is_looked_at_in_seconds_and_not_behind_reports(entry: str) -> None:
    assert float(BEAT[entry]["schedule"]) <= 2
    task = BEAT[entry]["task"]
    assert next(queue["queue"] for pattern, queue in ROUTES.items() if fnmatch(task, pattern)) == "delivery"


@pytest.mark.django_db
def test_it_is_lifted_with_a_reason_by_those_it_names() -> None:
    account, meter, budget = make_limited(lift_roles=["portal_owner", "admin"])
    owner = portal_of(account)
    with pytest.raises(ValidationError, match="nothing to lift"):
        lift(owner, budget, "Month end", NOW)
    use(account, meter, NOW, "130")
    assert kinds(budget) == ["reached", "acting"]
    with pytest.raises(ValidationError, match="Say why"):
        lift(owner, budget, " ", NOW)
    with pytest.raises(ValidationError, match="may not lift"):
        lift(staff_of(account, "csm"), budget, "Month end", NOW)
    with pytest.raises(PermissionDenied):
        lift(portal_of(account, "portal_viewer"), budget, "Month end", NOW)
    enter(owner)
    lift(owner, budget, "Month end", NOW)
    assert kinds(budget) == ["reached", "acting", "lifted"]
    event = LimitEvent.objects.get(kind="lifted")
    assert event.reason == "Month end"
    watch(account.organization_id, NOW + timedelta(hours=4))
    assert kinds(budget)[-1] == "acting"
    watch(account.organization_id, NOW + timedelta(days=1))
    assert kinds(budget)[-1] == "cleared"


@pytest.mark.django_db
def test_a_limit_is_changed_by_versions_and_needs_a_grace() -> None:
    account, _, budget = make_limited()
    viewer = staff_of(account)
    again = set_limit(viewer, budget, NewLimit(action=Limit.Action.STOP), NOW)
    assert again.number == 1
    with pytest.raises(ValidationError, match="needs a grace"):
        set_limit(viewer, budget, NewLimit(action="stop", grace_minutes=0, grace_percent=D(0)), NOW)
    assert set_limit(viewer, budget, NewLimit(percent=D(110)), NOW).number == 2
    with pytest.raises(PermissionDenied):
        set_limit(staff_of(account, "csm"), budget, NewLimit(), NOW)
