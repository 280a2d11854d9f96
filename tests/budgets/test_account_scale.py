"""Scales of accounts: few scores lean on the organization, many speak for themselves, and 8 in 10 hold."""

from datetime import date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from accounts.models import Account
from budgets.actions.forecast import make_runs
from budgets.actions.forecast_calibration import recalibrate
from budgets.calc.account_scale import account_factors, digamma, errors, independent, trigamma, trigamma_inverse
from budgets.calc.accuracy import widening
from budgets.models import ForecastCalibration, ForecastRun, ForecastScore
from budgets.reports.forecast_scale import scale_of
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import enter
from tests.budgets.test_holidays import spend
from tests.factories import make_account, make_organization, staff_of

NOW = datetime(2026, 12, 20, 12, tzinfo=timezone.utc)
TODAY = date(2026, 12, 20)
WIDTH = 0.2  # of an interval that is right, in logs, per standard deviation
Z90 = 1.2815515655446004


class TestFunctions:
    def test_digamma_and_trigamma_have_their_known_values(self) -> None:
        x = np.array([0.5, 1.0, 10.0])
        assert digamma(x) == pytest.approx([-1.9635100260, -0.5772156649, 2.2517525890], abs=1e-7)
        assert trigamma(x) == pytest.approx([4.9348022005, 1.6449340668, 0.1051663357], abs=1e-7)
        assert trigamma_inverse(1.6449340668) == pytest.approx(1.0, abs=1e-6)

    def test_scores_of_overlapping_months_count_for_less(self) -> None:
        account = np.array([0, 0, 0, 1, 1, 2], dtype=np.intp)
        day = np.array([60, 0, 30, 0, 3, 100], dtype=np.intp)
        assert independent(account, day).tolist() == [3.0, 1.1, 1.0]

    def test_no_scores_give_no_factors(self) -> None:
        none = np.empty(0, dtype=np.intp)
        assert not len(account_factors(np.empty(0), none, none))


def scores(random: Any, scale: Any, count: Any) -> tuple[Any, Any, Any]:
    """Errors in standard deviations of accounts whose real scale is `scale`, `count` scores each, a month apart."""
    account = np.repeat(np.arange(len(scale)), count)
    day = np.concatenate([30 * np.arange(n) for n in count])
    return random.standard_normal(len(account)) * scale[account], account, day


class TestFactors:
    def test_with_few_scores_it_is_the_organizations_and_with_many_its_own(self) -> None:
        random = np.random.default_rng(3)
        scale = np.exp(random.normal(0, 0.3, 100))
        scale[1] = 2.0
        count = np.full(100, 20)
        count[0], count[1] = 1, 300
        error, account, day = scores(random, scale, count)
        error[account == 0] = 2.0  # one miss, as bad as those of the wild account usually are
        few, many = account_factors(error, account, day)[:2]
        assert 1.0 <= few < 1.3
        assert many == pytest.approx(2.0, rel=0.2)

    def test_accounts_that_differ_by_chance_alone_all_have_the_organizations(self) -> None:
        random = np.random.default_rng(4)
        error, account, day = scores(random, np.ones(80), np.full(80, 5))
        assert account_factors(error, account, day) == pytest.approx(np.ones(80), abs=0.25)

    def test_a_single_account_is_its_organization(self) -> None:
        random = np.random.default_rng(5)
        assert account_factors(*scores(random, np.array([2.0]), np.array([50]))).tolist() == [1.0]

    @pytest.mark.parametrize("spread", [0.0, 0.3, 0.6, 0.9])
    @pytest.mark.parametrize("base", [0.7, 1.0, 1.4])
    def test_eight_in_ten_hold_whether_accounts_are_calm_or_wild(self, spread: float, base: float) -> None:
        random = np.random.default_rng(6)
        scale = base * np.exp(random.normal(0, spread, 80))
        count = np.where(random.random(80) < 0.3, 2, 12)
        error, account, day = scores(random, scale, count)
        p50 = np.full(len(error), 100.0)
        actual = p50 * np.exp(WIDTH * error)
        p10, p90 = p50 * np.exp(-Z90 * WIDTH), p50 * np.exp(Z90 * WIDTH)
        factor = account_factors(errors(p10, p50, p90, actual), account, day)
        own = factor[account]
        low, high = widening(p50 * (p10 / p50) ** own, p50, p50 * (p90 / p50) ** own, actual)
        later = random.standard_normal((80, 500)) * scale[:, None]
        held = (later > -Z90 * low * factor[:, None]) & (later < Z90 * high * factor[:, None])
        assert 0.75 <= held.mean() <= 0.85
        common_low, common_high = widening(p10, p50, p90, actual)
        common = (later > -Z90 * common_low) & (later < Z90 * common_high)
        assert np.std(held.mean(axis=1)) <= np.std(common.mean(axis=1)) + 0.01


def scored(account: Account, actuals: list[float]) -> None:
    """Runs of the account, one a week, that said 90 to 110 after 30 days, and what happened."""
    run = ForecastRun.objects.filter(account=account).latest("made_at")
    made = []
    for number, actual in enumerate(actuals):
        run.pk, run.made_at, run._state.adding = uuid7(), NOW - timedelta(days=40 + 7 * number), True
        run.save(force_insert=True)
        made.append(
            ForecastScore(
                organization_id=account.organization_id,
                account=account,
                run_id=run.pk,
                days=30,
                as_of=TODAY - timedelta(days=40 + 7 * number),
                p10=90,
                p50=100,
                p90=110,
                actual=actual,
            )
        )
    ForecastScore.objects.bulk_create(made)


@pytest.mark.django_db
class TestRuns:
    def test_a_wild_account_gets_a_wider_interval_than_a_calm_one_and_runs_use_it(self) -> None:
        organization = make_organization()
        random = np.random.default_rng(7)
        wild, calm = make_account(organization, "Wild"), make_account(organization, "Calm")
        others = [make_account(organization, f"Account {number}") for number in range(6)]
        for account in (wild, calm, *others):
            spend(account, "100")
        make_runs(organization.pk, NOW - timedelta(days=1))
        enter(staff_of(organization))
        scored(wild, (100 * np.exp(0.3 * random.standard_normal(18))).tolist())
        scored(calm, (100 * np.exp(0.02 * random.standard_normal(18))).tolist())
        for account in others:
            scored(account, (100 * np.exp(0.08 * random.standard_normal(18))).tolist())
        made = recalibrate(organization.pk, NOW)
        enter(staff_of(organization))
        assert made is not None
        assert made.accounts[str(wild.pk)] > 1.5
        assert made.accounts[str(calm.pk)] < 0.8
        scale = scale_of(organization.pk, NOW)
        assert scale.of(wild.pk)[0] > 2 * scale.of(calm.pk)[0]
        make_runs(organization.pk, NOW)
        enter(staff_of(organization))
        runs = {run.account_id: run for run in ForecastRun.objects.filter(made_at=NOW)}
        assert runs[wild.pk].details["widened"] == list(scale.of(wild.pk))
        width = {pk: run.spend_p90[29] / run.spend_p50[29] for pk, run in runs.items()}
        assert width[wild.pk] > width[others[0].pk] > width[calm.pk]

    def test_a_calibration_made_later_does_not_reach_back(self) -> None:
        organization = make_organization()
        enter(staff_of(organization))
        ForecastCalibration.objects.create(organization=organization, made_at=NOW, widen_low=2, widen_high=2)
        assert scale_of(organization.pk, NOW).of("anyone") == (2, 2)
        assert scale_of(organization.pk, NOW - timedelta(days=1)).of("anyone") == (1, 1)

    def test_holidays_of_all_accounts_are_measured_for_those_that_saw_few(self) -> None:
        organization = make_organization(country="US")
        for number in range(5):
            spend(make_account(organization, f"Account {number}"))
        made = recalibrate(organization.pk, NOW)
        enter(staff_of(organization))
        assert made is not None
        assert made.holiday_effect < 0.4
        assert made.widen_low == 1
        new = make_account(organization, "New")
        make_runs(organization.pk, NOW, [str(new.pk)])
        enter(staff_of(organization))
        told = ForecastRun.objects.get(account=new).details["holidays"]
        assert told == {"country": "US", "effect": round(made.holiday_effect, 4), "seen": 0}
