"""Forecast runs: made once for the same inputs, kept for ever, and right where the answer is known."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from accounts.models import Account
from budgets.actions.forecast import make_runs, refresh
from budgets.actions.forecast_calibration import recalibrate
from budgets.actions.forecast_scores import score_runs
from budgets.models import (
    Commit,
    CommitBalance,
    Contract,
    ForecastRun,
    ForecastScore,
    LedgerEntry,
    PlannedActivity,
)
from budgets.reports import burndown_words
from budgets.reports.burndown import burndown
from budgets.reports.forecast_accuracy import accuracy_report
from budgets.reports.forecasts import accuracy_line, days_with_runs, latest_run, situation
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import enter
from tests.factories import make_account, make_meter, make_usage_day, staff_of
from usage.models import AccountDay, Settlement

NOW = datetime(2026, 6, 15, 12, tzinfo=timezone.utc)
TODAY = date(2026, 6, 15)
pytestmark = pytest.mark.django_db


def spend(account: Account, days: int, amount: str = "10") -> None:
    AccountDay.objects.bulk_create(
        AccountDay(
            organization_id=account.organization_id,
            account=account,
            day=TODAY - timedelta(days=ago),
            currency=account.currency,
            spend=Decimal(amount),
            events=1,
            last_event_at=NOW,
        )
        for ago in range(1, days + 1)
    )


def commit(account: Account, left: str, ends_on: date | None = date(2026, 12, 31), **fields: Any) -> Commit:
    contract, _ = Contract.objects.get_or_create(
        organization_id=account.organization_id,
        account=account,
        defaults={"name": "Contract", "starts_on": date(2026, 1, 1), "ends_on": date(2026, 12, 31)},
    )
    made = Commit.objects.create(
        organization_id=account.organization_id,
        account=account,
        contract=contract,
        name=fields.pop("name", "Prepaid"),
        unit="USD",
        amount=Decimal(left),
        value=Decimal(left),
        effective_on=fields.pop("effective_on", date(2026, 1, 1)),
        expires_on=ends_on,
        **fields,
    )
    CommitBalance.objects.create(
        organization_id=account.organization_id,
        account=account,
        commit=made,
        settled=Decimal(left),
        ongoing=Decimal(left),
        settled_at=NOW,
    )
    return made


def forecast(account: Account, now: datetime = NOW) -> int:
    """Make the runs, which end with nobody seeing anything, and look as staff again."""
    made = make_runs(account.organization_id, now)
    enter(staff_of(account))
    return made


def run_of(account: Account, now: datetime = NOW) -> Any:
    assert forecast(account, now)
    found = latest_run(staff_of(account), account)
    assert found
    return found


def test_steady_use_runs_out_when_the_money_divided_by_the_rate_says() -> None:
    account = make_account()
    spend(account, 120)
    commit(account, "1000")
    run = run_of(account)
    assert run.basis == "model"
    assert run.remaining == 1000
    assert run.burn_rate == 10
    assert run.straight_on == TODAY + timedelta(days=100)
    assert run.exhaust_p10 <= run.exhaust_p50 <= run.exhaust_p90
    assert abs((run.exhaust_p50 - (TODAY + timedelta(days=99))).days) <= 3
    assert run.p_exhausted > 0.9
    assert run.commits[0]["name"] == "Prepaid"


def test_accounts_with_and_without_commits_or_use_each_get_their_own_in_one_batch() -> None:
    first = make_account(name="Without")
    second = make_account(first.organization, name="With")
    third = make_account(first.organization, name="Unused")
    spend(first, 90, "7")
    spend(second, 90, "10")
    commit(second, "500")
    commit(third, "500")
    assert forecast(first) == 3
    runs = {run.account_id: run for run in ForecastRun.objects.all()}
    assert runs[first.pk].remaining is None
    assert runs[first.pk].exhaust_p50 is None
    assert runs[first.pk].spend_p50[29] == pytest.approx(210, rel=0.02)
    assert runs[second.pk].spend_p50[29] == pytest.approx(300, rel=0.02)
    assert abs((runs[second.pk].exhaust_p50 - TODAY).days - 49) <= 3
    assert runs[third.pk].spend_p50 == []
    assert runs[third.pk].remaining == 500


def test_a_term_over_a_leap_day_counts_it() -> None:
    account = make_account()
    spend(account, 120)
    now = datetime(2028, 2, 20, 12, tzinfo=timezone.utc)
    days = AccountDay.objects.filter(organization_id=account.organization_id)
    for row in days:
        AccountDay.objects.filter(pk=row.pk).update(day=row.day + (date(2028, 2, 20) - TODAY))
    contract = {"name": "Leap", "starts_on": date(2027, 3, 1), "ends_on": date(2028, 3, 1)}
    Contract.objects.create(organization_id=account.organization_id, account=account, **contract)
    commit(account, "1000", date(2028, 3, 1), effective_on=date(2027, 3, 1))
    run = run_of(account, now)
    assert run.term_ends_on == date(2028, 3, 1)
    assert run.unused_mean == pytest.approx(Decimal(900), rel=Decimal("0.02"))


def test_a_commit_that_outlasts_the_term_is_told_with_what_expires_unused() -> None:
    account = make_account()
    spend(account, 120)
    commit(account, "10000")
    run = run_of(account)
    assert run.p_exhausted < 0.1
    assert run.exhaust_p50 is None
    assert 7500 < run.unused_mean < 8500


def test_the_same_inputs_make_no_second_run_and_a_changed_commit_does() -> None:
    account = make_account()
    spend(account, 60)
    made = commit(account, "1000")
    assert forecast(account, NOW) == 1
    assert forecast(account, NOW + timedelta(minutes=5)) == 0
    CommitBalance.objects.filter(organization_id=account.organization_id, commit=made).update(settled=500)
    assert forecast(account, NOW + timedelta(minutes=6)) == 1


def test_fewer_than_14_days_are_said_to_be_a_plain_average() -> None:
    account = make_account()
    spend(account, 5)
    commit(account, "100")
    run = run_of(account)
    assert run.basis == "naive"


def test_an_account_without_use_or_without_commits_is_told_apart_from_zero() -> None:
    account = make_account()
    commit(account, "100")
    run = run_of(account)
    assert run.basis == "none"
    assert run.spend_p50 == []
    assert run.p_exhausted is None
    assert situation(run) is None
    other = make_account(account.organization, "Pays as it goes")
    spend(other, 60)
    assert forecast(account, NOW) == 1
    found: Any = latest_run(staff_of(other), other)
    assert found.remaining is None
    assert found.p_exhausted is None


def test_a_planned_load_test_brings_the_date_nearer() -> None:
    account = make_account()
    spend(account, 120)
    commit(account, "1000")
    before = run_of(account)
    PlannedActivity.objects.create(
        organization_id=account.organization_id,
        account=account,
        kind="load_test",
        name="Load test",
        starts_on=TODAY + timedelta(days=5),
        ends_on=TODAY + timedelta(days=10),
        extra_spend=Decimal(300),
    )
    after = run_of(account, NOW + timedelta(hours=1))
    assert after.exhaust_p50 == before.exhaust_p50 - timedelta(days=30)


def test_use_that_runs_flat_against_a_cap_is_said_to_be_held_back() -> None:
    account = make_account()
    spend(account, 90)
    days = AccountDay.objects.filter(account=account, day__lt=TODAY - timedelta(days=20))
    for row in days:
        AccountDay.objects.filter(organization_id=account.organization_id, account=account, day=row.day).update(
            spend=Decimal(6 + row.day.toordinal() % 5)
        )
    commit(account, "100000")
    run = run_of(account)
    assert run.details["held_back"] == {"days": 20, "level": 10.0}
    assert burndown_words.status(burndown(staff_of(account), account, NOW)) == ("Looks held back", "warn")


def test_a_run_cannot_be_rewritten() -> None:
    account = make_account()
    spend(account, 30)
    run = run_of(account)
    with pytest.raises(DatabaseError), transaction.atomic():
        ForecastRun.objects.filter(pk=run.pk).update(remaining=5)


def test_what_was_known_on_a_past_day_can_be_asked_for() -> None:
    account = make_account()
    spend(account, 60)
    first = run_of(account, NOW)
    second = run_of(account, NOW + timedelta(days=3))
    viewer = staff_of(account)
    assert days_with_runs(viewer, account) == [TODAY, TODAY + timedelta(days=3)]
    assert latest_run(viewer, account, TODAY + timedelta(days=2)) == first
    assert latest_run(viewer, account) == second
    assert "Not judged yet" in accuracy_line(viewer, account).words


def test_the_month_end_goes_on_from_what_was_spent() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    make_usage_day(account, meter, TODAY - timedelta(days=1), spend=Decimal(14))
    run = run_of(account)
    assert run.period_ends_on == date(2026, 7, 1)
    assert run.period_straight == 30


class TestWhenItIsDue:
    def refreshed(self, account: Account, now: datetime) -> int:
        made = refresh(account.organization_id, now)
        enter(staff_of(account))
        return made

    def test_each_local_day_gets_one_run(self) -> None:
        account = make_account(timezone="Pacific/Auckland")
        spend(account, 30)
        assert self.refreshed(account, NOW) == 1
        assert self.refreshed(account, NOW + timedelta(minutes=1)) == 0
        assert self.refreshed(account, NOW + timedelta(hours=23)) == 0
        assert self.refreshed(account, NOW + timedelta(hours=24)) == 1

    def test_a_settlement_that_moves_it_by_more_than_two_percent_does_and_a_smaller_one_does_not(self) -> None:
        account = make_account()
        spend(account, 30)
        assert self.refreshed(account, NOW) == 1
        settled = {"due_at": NOW + timedelta(days=1), "settled_at": NOW + timedelta(minutes=5)}
        Settlement.objects.create(organization_id=account.organization_id, account=account, **settled)
        day = AccountDay.objects.filter(organization_id=account.organization_id, day=TODAY - timedelta(days=2))
        day.update(spend=Decimal(15))
        assert self.refreshed(account, NOW + timedelta(minutes=6)) == 0
        day.update(spend=Decimal(16))
        assert self.refreshed(account, NOW + timedelta(minutes=6)) == 1
        run = latest_run(staff_of(account), account)
        assert run is not None
        assert run.cause == "moved"

    def test_a_new_plan_does(self) -> None:
        account = make_account()
        spend(account, 30)
        assert self.refreshed(account, NOW) == 1
        PlannedActivity.objects.create(
            organization_id=account.organization_id,
            account=account,
            kind="launch",
            name="Launch",
            starts_on=TODAY + timedelta(days=5),
            ends_on=TODAY + timedelta(days=10),
            change_percent=Decimal(50),
            created_at=NOW + timedelta(minutes=1),
        )
        assert self.refreshed(account, NOW + timedelta(minutes=2)) == 1


class TestScores:
    def test_a_run_is_scored_once_when_its_days_have_passed(self) -> None:
        account = make_account()
        spend(account, 120)
        then = NOW - timedelta(days=31)
        assert forecast(account, then)
        assert score_runs(account.organization_id, NOW) == 2
        assert score_runs(account.organization_id, NOW) == 0
        enter(staff_of(account))
        scores = dict(ForecastScore.objects.values_list("days", "actual"))
        assert scores == {7: 70.0, 30: 300.0}
        report = accuracy_report(staff_of(account), NOW)
        at_30 = report.all_accounts[1].found
        assert at_30.scores == 1
        assert at_30.wape is not None
        assert at_30.wape < 0.05
        assert report.all_accounts[2].found.wape is None

    def test_the_date_is_scored_when_the_commits_have_run_out(self) -> None:
        account = make_account()
        spend(account, 120)
        commit(account, "500")
        assert forecast(account, NOW - timedelta(days=60))
        LedgerEntry.objects.create(
            organization_id=account.organization_id,
            account=account,
            kind="overage",
            day=TODAY - timedelta(days=10),
            amount=Decimal(10),
        )
        assert score_runs(account.organization_id, NOW) == 3
        enter(staff_of(account))
        report = accuracy_report(staff_of(account), NOW)
        assert report.dates.scores == 1
        assert report.dates.median_days is not None
        assert report.dates.median_days <= 2

    def test_few_scores_do_not_recalibrate(self) -> None:
        account = make_account()
        assert recalibrate(account.organization_id, NOW) is None

    def test_intervals_that_hold_too_little_are_widened_once_and_not_again_from_the_same_scores(self) -> None:
        account = make_account()
        spend(account, 100)
        forecast(account, NOW - timedelta(days=31))
        run = latest_run(staff_of(account), account)
        ForecastScore.objects.bulk_create(
            ForecastScore(
                organization_id=account.organization_id,
                account=account,
                run=another_run(run, number),
                days=30,
                as_of=TODAY - timedelta(days=40),
                p10=90,
                p50=100,
                p90=110,
                actual=100 + 2 * (number - 30),
            )
            for number in range(60)
        )
        first = recalibrate(account.organization_id, NOW)
        assert first is not None
        assert first.coverage is not None
        assert first.coverage < 0.3
        assert first.widen_low > 1.4
        assert first.widen_high > 1.4
        second = recalibrate(account.organization_id, NOW + timedelta(days=7))
        assert second is not None
        assert second.widen_high == first.widen_high


def another_run(run: Any, number: int) -> ForecastRun:
    run.pk = uuid7()
    run.made_at = NOW - timedelta(days=40, minutes=number)
    run._state.adding = True
    run.save(force_insert=True)
    return ForecastRun.objects.get(pk=run.pk)
