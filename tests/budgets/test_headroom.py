"""What a gateway is told: only a limit in force slows or stops, and never an exempt workflow."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Scope
from budgets.actions.limits import NewLimit, set_limit
from budgets.calc.headroom import LimitNow, cost_of, decide
from budgets.models import Budget
from consumption_cs.lib.tenancy import enter
from tests.budgets.budget_factories import make_budget, make_paying_account
from tests.budgets.test_commits_api import Machine
from tests.factories import staff_of
from usage.calc.price_terms import price_from
from usage.calc.prices import Usage
from usage.calc.rated_days import Running, go_on
from usage.calc.rating import Slice, rate_slices

ACTING = LimitNow("Everything", "stop", "acting", Decimal(100), Decimal(120))


def test_a_limit_in_force_stops() -> None:
    answer = decide([ACTING], Decimal(0))
    assert (answer.decision, answer.reason) == ("stop", "Limit reached: the limit of “Everything” is in force.")


def test_an_exempt_workflow_goes_on() -> None:
    assert decide([replace(ACTING, is_exempt=True)], Decimal(0)).decision == "allow"


def test_a_dry_run_and_a_grace_only_warn() -> None:
    assert decide([replace(ACTING, is_dry_run=True)], Decimal(0)).decision == "warn"
    assert decide([replace(ACTING, state="grace")], Decimal(0)).decision == "warn"


def test_a_lifted_limit_allows() -> None:
    assert decide([replace(ACTING, state="lifted")], Decimal(0)).decision == "allow"


def test_a_batch_that_would_reach_the_limit_is_warned_of() -> None:
    clear = replace(ACTING, state="clear", used=Decimal(60))
    assert decide([clear], Decimal(39)).decision == "allow"
    assert decide([clear], Decimal(40)).decision == "warn"


def test_what_is_over_its_limit_is_warned_of_before_the_next_look_at_it() -> None:
    over = replace(ACTING, state="clear")
    assert decide([over], Decimal(0)).decision == "warn"
    assert decide([replace(over, action="")], Decimal(0)).reason == "“Everything” is used up; it has no limit."


def test_the_strictest_of_several_limits_decides_and_none_allows() -> None:
    assert decide([replace(ACTING, action="throttle"), ACTING], Decimal(0)).decision == "stop"
    assert decide([], Decimal(0)).decision == "allow"


def test_a_rehearsal_answers_as_if_the_limit_were_in_force() -> None:
    clear = replace(ACTING, state="clear", used=Decimal(0))
    assert decide([clear], Decimal(0), rehearsal=True).decision == "stop"
    assert decide([replace(clear, action="notify")], Decimal(0), rehearsal=True).decision == "allow"


@pytest.fixture
def budget() -> Budget:
    account, _ = make_paying_account()
    made = make_budget(account, "100", period=Budget.Period.MONTH)
    enter(staff_of(account))
    return made


def asked(budget: Budget, query: str = "", **headers: str) -> Any:
    enter(staff_of(budget.account))
    machine = Machine(budget.organization, Scope.READ)
    machine.headers |= headers
    return machine.get(f"accounts/{budget.account.key}/headroom{query}")


@pytest.mark.django_db
def test_the_api_tells_what_is_left_and_how_long_that_holds(budget: Budget) -> None:
    answer = asked(budget, "?cost=30")
    assert answer.status_code == 200
    assert (answer["Cache-Control"], answer.json()["decision"]) == ("private, max-age=2", "allow")
    assert [Decimal(row["after"]) for row in answer.json()["budgets"]] == [Decimal(70)]
    assert asked(budget, "?cost=30", **{"If-None-Match": answer["ETag"]}).status_code == 304


@pytest.mark.django_db
def test_the_api_answers_a_rehearsal_as_if_the_limit_were_in_force(budget: Budget) -> None:
    set_limit(staff_of(budget.account), budget, NewLimit(action="stop"), timezone.now())
    assert asked(budget).json()["decision"] == "allow"
    answer = asked(budget, **{"X-Limit-Rehearsal": "1"})
    assert (answer.json()["decision"], answer["X-Limit-Rehearsal"]) == ("stop", "1")


@pytest.mark.django_db
def test_an_unknown_workflow_is_refused_in_words(budget: Budget) -> None:
    assert asked(budget, "?workflow=nobody").status_code == 400


QUANTITIES = st.integers(0, 5_000_000).map(lambda number: Decimal(number) / 1000)
GRADUATED = price_from(
    {
        "model": "graduated",
        "params": {
            "tiers": [
                {"up_to": "100", "unit": "0.137", "flat": "3"},
                {"up_to": "2000", "unit": "0.0455"},
                {"up_to": None, "unit": "0.009", "flat": "1.5"},
            ]
        },
        "free_units": "20",
        "percent_discount": "7.5",
        "max_spend": "90",
    }
)


@given(st.lists(QUANTITIES, max_size=4), QUANTITIES, st.sampled_from([0, 2, 3]))
def test_a_batch_costs_what_rating_the_period_with_it_adds(days: list[Decimal], batch: Decimal, places: int) -> None:
    slices = [Slice(GRADUATED, Usage(day, 1)) for day in [*days, batch]]
    running = Running()
    for day in days:
        running = go_on(GRADUATED, running, Usage(day, 1), places=places) or running
    assert cost_of(GRADUATED, running, Usage(batch, 1), places=places) == rate_slices(slices, places=places)[-1].amount
