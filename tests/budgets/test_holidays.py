"""Public holidays: what they do to use is measured, shrunk where little is known, and laid on the days ahead."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from accounts.models import Account
from budgets.actions.forecast import make_runs
from budgets.calc.holidays import Usual, bent, effects, shrunk_effect, usual_of, without_holidays
from budgets.models import ForecastRun
from consumption_cs.lib.public_holidays import countries, holidays_of
from consumption_cs.lib.tenancy import enter
from tests.factories import make_account, make_organization, staff_of
from usage.models import AccountDay

NOW = datetime(2026, 12, 20, 12, tzinfo=timezone.utc)
TODAY = date(2026, 12, 20)
DAYS = 360


def history() -> Any:
    """A year of 100 a day, 20 on weekends, and a quarter of that on three holidays."""
    days = np.where(np.arange(DAYS) % 7 < 5, 100.0, 20.0)
    holidays = np.zeros(DAYS, dtype=bool)
    holidays[[70, 142, 283]] = True  # on weekdays
    days[holidays] = 25.0
    return days, holidays


class TestWhatAHolidayDoes:
    def test_it_is_measured_against_the_same_weekday_around_it(self) -> None:
        days, holidays = history()
        assert effects(days, holidays).tolist() == [0.25] * 3

    def test_holidays_on_the_same_weekday_of_following_weeks_do_not_judge_each_other(self) -> None:
        days = np.full(60, 100.0)
        holidays = np.zeros(60, dtype=bool)
        holidays[[30, 37]] = True
        days[holidays] = 10.0
        assert effects(days, holidays).tolist() == [0.1, 0.1]

    def test_a_holiday_with_too_little_around_it_or_of_an_account_without_use_says_nothing(self) -> None:
        holidays = np.zeros(20, dtype=bool)
        holidays[10] = True
        assert not len(effects(np.full(20, 5.0), holidays))
        assert not len(effects(np.zeros(20), holidays))
        assert not len(effects(np.empty(0), np.empty(0, dtype=bool)))

    def test_one_wild_holiday_counts_for_no_more_than_three_usual_days(self) -> None:
        days = np.full(60, 1.0)
        holidays = np.zeros(60, dtype=bool)
        holidays[30] = True
        days[30] = 1000.0
        assert effects(days, holidays).tolist() == [3.0]

    def test_the_history_given_to_the_forecast_has_usual_days_instead_and_the_given_one_stays(self) -> None:
        days, holidays = history()
        before = days.copy()
        ordinary = without_holidays(days, holidays)
        assert set(ordinary.tolist()) == {100.0, 20.0}
        assert (days == before).all()

    def test_the_days_ahead_are_multiplied_and_quantiles_stay_in_order(self) -> None:
        cumulative = np.cumsum(np.stack([np.full((1, 10), level) for level in (1.0, 2.0, 3.0)]), axis=2)
        factors = np.ones((1, 10))
        factors[0, 3] = 0.5
        found = bent(cumulative, factors)
        assert found[1, 0].tolist() == [2, 4, 6, 7, 9, 11, 13, 15, 17, 19]
        assert (np.diff(found, axis=0) >= 0).all()
        assert (np.diff(found, axis=2) >= 0).all()


class TestShrinking:
    def test_an_account_that_saw_none_has_the_effect_of_its_organization(self) -> None:
        assert shrunk_effect(np.empty(0), Usual(0.4, 8.0)) == 0.4

    def test_many_holidays_speak_for_themselves_and_few_hardly_do(self) -> None:
        usual = Usual(1.0, 8.0)
        assert shrunk_effect(np.full(2, 0.5), usual) == pytest.approx(0.9)
        assert shrunk_effect(np.full(72, 0.5), usual) == pytest.approx(0.55)

    def test_an_organization_that_has_seen_few_stays_near_no_effect(self) -> None:
        assert usual_of([]) == Usual(1.0, 8.0)
        assert usual_of([np.array([0.0])]).effect == pytest.approx(12 / 13)
        assert usual_of([np.full(10, 0.2) for _ in range(100)]).effect == pytest.approx(0.2, abs=0.02)

    def test_accounts_that_are_alike_lean_on_each_other_and_those_that_differ_do_not(self) -> None:
        random = np.random.default_rng(1)
        alike = [random.normal(0.5, 0.2, 10) for _ in range(200)]
        differing = [random.normal(own, 0.05, 10) for own in random.uniform(0.1, 1.0, 200)]
        assert usual_of(alike).worth > 50
        assert usual_of(differing).worth == 1.0

    def test_shrunk_effects_are_nearer_to_the_truth_than_either_extreme(self) -> None:
        random = np.random.default_rng(2)
        truth = random.normal(0.6, 0.1, 300)
        seen = [random.normal(own, 0.3, random.integers(1, 12)) for own in truth]
        usual = usual_of(seen)
        shrunk = np.array([shrunk_effect(one, usual) for one in seen])
        own = np.array([np.median(one) for one in seen])
        error = np.sqrt(np.mean((shrunk - truth) ** 2))
        assert error < np.sqrt(np.mean((own - truth) ** 2))
        assert error < np.sqrt(np.mean((usual.effect - truth) ** 2))


class TestCalendar:
    def test_holidays_on_a_weekend_are_left_out_and_observed_ones_count(self) -> None:
        assert date(2026, 12, 25) in holidays_of("US", 2026)
        assert date(2026, 7, 3) in holidays_of("US", 2026)  # July 4 is a Saturday
        assert date(2026, 7, 4) not in holidays_of("US", 2026)

    def test_a_country_that_is_not_known_has_none(self) -> None:
        assert holidays_of("ZZ", 2026) == frozenset()

    def test_countries_have_names(self) -> None:
        assert dict(countries())["AT"] == "Austria"
        assert dict(countries())["IM"] == "Isle of Man"


def spend(account: Account, on_holidays: str = "20") -> None:
    holidays = holidays_of("US", 2025) | holidays_of("US", 2026)
    days = [TODAY - timedelta(days=ago) for ago in range(1, DAYS + 1)]
    AccountDay.objects.bulk_create(
        AccountDay(
            organization_id=account.organization_id,
            account=account,
            day=day,
            currency=account.currency,
            spend=Decimal(on_holidays if day in holidays else "100"),
            events=1,
            last_event_at=NOW,
        )
        for day in days
    )


def run_of(account: Account) -> ForecastRun:
    make_runs(account.organization_id, NOW, [str(account.pk)])
    enter(staff_of(account))
    return ForecastRun.objects.get(account=account)


def added(run: ForecastRun, day: date) -> float:
    at = (day - TODAY).days
    return float(run.spend_p50[at] - run.spend_p50[at - 1])


@pytest.mark.django_db
class TestForecasts:
    def test_an_account_with_a_country_expects_quiet_holidays_and_usual_days_around_them(self) -> None:
        account = make_account(country="US")
        spend(account)
        run = run_of(account)
        told = run.details["holidays"]
        assert told["country"] == "US"
        assert told["seen"] >= 9
        assert 0.3 < told["effect"] < 0.7
        assert added(run, date(2026, 12, 25)) == pytest.approx(100 * told["effect"], rel=0.01)
        assert added(run, date(2026, 12, 28)) == pytest.approx(100, rel=0.01)

    def test_the_country_is_that_of_the_organization_unless_the_account_has_its_own(self) -> None:
        organization = make_organization(country="US")
        american = make_account(organization)
        austrian = make_account(organization, country="AT")
        for account in (american, austrian):
            spend(account)
        assert run_of(american).details["holidays"]["country"] == "US"
        assert run_of(austrian).details["holidays"]["country"] == "AT"

    def test_without_a_country_nothing_is_different(self) -> None:
        account = make_account()
        spend(account, "100")
        run = run_of(account)
        assert "holidays" not in run.details
        assert added(run, date(2026, 12, 25)) == pytest.approx(100, rel=0.01)

    def test_a_country_told_later_is_another_input(self) -> None:
        account = make_account()
        spend(account)
        before = run_of(account).inputs_hash
        Account.objects.filter(pk=account.pk).update(country="US")
        make_runs(account.organization_id, NOW + timedelta(hours=1), [str(account.pk)])
        enter(staff_of(account))
        after = ForecastRun.objects.filter(account=account).latest("made_at")
        assert after.inputs_hash != before
