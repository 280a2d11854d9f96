"""The metrics of a day: the product's examples, what is said where something is not known, and how they are kept."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Account
from budgets.models import Commit, Contract, LedgerEntry
from consumption_cs.lib.tenancy import enter
from reviews.actions.measure import measure_accounts, measure_days, measure_due, thin_metrics
from reviews.calc.metrics import DEFINITIONS
from reviews.calc.production import breadth, failing_days, gap, is_in_production, ladder, success
from reviews.calc.recipes import facts_of
from reviews.calc.spend_metrics import chance_above, change, silent_days, unusual_day, variance
from reviews.models import AccountMetrics, Contact, HealthDay, TimelineEntry
from reviews.reports.measured import NOT_MEASURED, latest_metrics, metric_history, metrics_on
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_usage_day,
    make_workflow,
    portal_of,
    staff_of,
)
from usage.models import AccountDay, Workflow

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
TODAY = date(2026, 6, 15)


def test_the_examples_unusual_day_is_19_6_deviations_and_79_50_above_what_was_expected() -> None:
    found = unusual_day(np.array([100, 110, 95, 105, 102, 98, 101, 99.0]), 180)
    assert found is not None
    assert (round(found.score, 1), found.expected, found.impact) == (19.6, 100.5, 79.5)
    assert unusual_day(np.array([100.0, 100.0]), 180) is None


def test_change_needs_both_spans_and_a_base() -> None:
    days = np.array([10.0] * 28 + [12.0] * 28)
    assert change(days, 28) == pytest.approx(20)
    assert change(days[1:], 28) is None
    assert change(np.array([0.0] * 7 + [1.0] * 7), 7) is None


def test_variance_of_a_zero_median_is_told_as_days_without_spend() -> None:
    assert variance(np.ones(27)) is None
    flat = variance(np.full(84, 5.0))
    assert flat is not None
    assert (flat.percent, flat.zero_percent) == (0, 0)
    rare = variance(np.array(([0.0] * 6 + [7.0]) * 12))
    assert rare is not None
    assert rare.zero_percent == pytest.approx(100 * 24 / 28)


def test_silence_counts_only_where_daily_use_is_normal() -> None:
    assert silent_days(np.array([1.0] * 40 + [0.0] * 8)) == 8
    assert silent_days(np.array([1.0] * 40)) == 0
    assert silent_days(np.array(([1.0] + [0.0] * 6) * 10)) is None
    assert silent_days(np.array([1.0] * 5 + [0.0] * 3)) is None


@given(st.floats(0, 1), st.floats(0, 1e5), st.floats(0, 1e5))
def test_the_chance_of_more_falls_with_the_level_and_stays_a_share(zero: float, low: float, wide: float) -> None:
    chances = [
        chance_above(level, zero, low, low + wide) for level in (0.0, low / 2, low, low + wide, 2 * (low + wide))
    ]
    assert all(0 <= one <= 1 for one in chances)
    assert chances == sorted(chances, reverse=True)


def test_twenty_runs_on_eight_days_are_production_and_a_quiet_week_does_not_end_it() -> None:
    days = np.zeros(56)
    days[20:28] = 3
    assert is_in_production(days[:28])
    assert is_in_production(days[:41])  # fourteen days of grace after it last held
    assert not is_in_production(np.concatenate([days, np.zeros(14)]))
    few = np.zeros(56)
    few[-7:] = 3
    assert not is_in_production(few)  # seven days only


def test_two_cycles_of_a_monthly_run_are_production() -> None:
    monthly = np.zeros(56)
    monthly[[20, 50]] = 5
    assert is_in_production(monthly)
    assert not is_in_production(np.array([0.0] * 50 + [40.0] + [0.0] * 5))


def test_reliability_is_measured_against_the_target_and_without_one_at_five_percent_of_failures() -> None:
    assert gap(94.8, 0.96) == pytest.approx(1.2)
    assert gap(99.0, 0.96) == 0
    assert gap(95.0, None) == 0
    assert gap(87.0, None) == pytest.approx(2)
    assert success(np.full(28, 1.0), np.full(28, 1.0)) is None  # 28 are too few
    bad, none = np.full(5, 20.0), np.zeros(2)
    finished = np.concatenate([np.full(20, 20.0), bad, none])
    good = np.concatenate([np.full(20, 20.0), bad - 5, none])
    assert failing_days(finished, good, 0.9) == 5


def test_breadth_and_ladder() -> None:
    assert [breadth(3, 0.5), breadth(3, 0.7), breadth(2, 0.5), breadth(1, 1), breadth(0, 1)] == [100, 70, 70, 40, 0]
    found = ladder(["production", "idea", "scaled"])
    assert found is not None
    assert (round(found.percent, 1), found.workflows) == (53.3, 3)
    assert ladder([]) is None


@pytest.fixture
def account(db: None) -> Account:
    return make_account(make_organization())


def use(account: Account, days: int, spend: str = "10", **fields: Any) -> None:
    meter, workflow = make_meter(account.organization), make_workflow(account, success_target=D("0.95"))
    for ago in range(1, days + 1):
        make_usage_day(account, meter, TODAY - timedelta(days=ago), workflow, spend=D(spend), **fields)


def commit(account: Account, granted: str, drawn: str, starts_on: date, ends_on: date) -> None:
    own = {"organization_id": account.organization_id, "account": account}
    contract = Contract.objects.create(**own, name="2026", starts_on=starts_on, ends_on=ends_on)
    made = Commit.objects.create(
        **own, contract=contract, name="Prepaid", unit="USD", amount=D(granted), value=D(granted),
        effective_on=starts_on, expires_on=ends_on,
    )  # fmt: skip
    for kind, day, amount in (("granted", starts_on, D(granted)), ("drawn", TODAY - timedelta(days=1), -D(drawn))):
        LedgerEntry.objects.create(**own, commit=made, kind=kind, day=day, amount=amount)


def measured(account: Account, **more: Any) -> Any:
    assert measure_accounts(account.organization_id, NOW, **more) >= 1
    enter(staff_of(account))
    return latest_metrics(account.organization_id, [account.pk])[account.pk]


def test_overburn_of_the_example_paces_at_1_25(account: Account) -> None:
    starts = TODAY - timedelta(days=146)
    commit(account, "120000", "60000", starts, starts + timedelta(days=365))
    found = measured(account)
    assert found.number("commit_used_percent") == 50
    assert found.number("term_elapsed_percent") == 40
    assert found.number("pacing") == D("1.25")
    assert found.number("commit_left") == 60000
    assert found.number("term_days_left") == 219


def test_underburn_of_the_example_paces_at_0_375(account: Account) -> None:
    starts = TODAY - timedelta(days=146)
    commit(account, "120000", "18000", starts, starts + timedelta(days=365))
    assert measured(account).number("pacing") == D("0.375")


def test_a_young_term_is_too_early_to_pace(account: Account) -> None:
    commit(account, "1000", "10", TODAY - timedelta(days=20), TODAY + timedelta(days=345))
    found = measured(account)
    assert found.number("pacing") is None
    assert found.reason("pacing") == "Too early to say: 20 days of the term are gone."


def test_an_account_without_anything_has_reasons_and_no_zeros(account: Account) -> None:
    found = measured(account)
    for name in ("burn_rate", "change_28", "pacing", "run_out_p50", "unit_cost", "waste", "success_percent",
                 "silent_days", "sentiment", "touch_days", "top_share_percent"):  # fmt: skip
        assert found.number(name) is None, name
        assert found.reason(name).endswith("."), name
    assert found.number("production_workflows") == 0
    assert set(found.numbers) | set(found.reasons) <= set(DEFINITIONS)


def test_use_gives_rates_shares_success_and_cost(account: Account) -> None:
    use(account, 60, finished=20, successes=19, outcomes=D(5), events=20)
    found = measured(account)
    assert found.number("burn_rate_7") == 10
    assert found.number("spend_28") == 280
    assert found.number("change_28") == 0
    assert found.number("success_percent") == 95
    assert found.number("reliability_gap") == 0
    assert found.number("production_workflows") == 1
    assert found.number("top_share_percent") == 100
    assert found.number("unit_cost") == 2
    assert found.number("outcomes_per_1000") == 500
    assert found.day == TODAY - timedelta(days=1)


def test_today_is_never_part_of_a_rate(account: Account) -> None:
    use(account, 60)
    before = measured(account).number("spend_28")
    AccountDay.objects.create(
        organization_id=account.organization_id, account=account, day=TODAY, currency="USD", spend=D(999),
        events=1, last_event_at=NOW,
    )  # fmt: skip
    assert measured(account).number("spend_28") == before


def test_people_and_mood(account: Account) -> None:
    own = {"organization_id": account.organization_id, "account": account}
    TimelineEntry.objects.create(**own, kind="call", at=NOW - timedelta(days=12), text="Hm.", sentiment="neutral")
    Contact.objects.create(
        **own, name="Dana", role="champion", left_on=TODAY - timedelta(days=3), created_at=NOW - timedelta(days=90)
    )
    member = make_member(account)
    member.last_seen_at = NOW - timedelta(days=20)
    member.save()
    found = measured(account)
    assert (found.number("touch_days"), found.number("sentiment")) == (12, 50)
    assert found.number("champion_gone") == 1
    assert found.number("owner_seen_days") == 20
    assert found.number("engagement") == 50


def test_measuring_twice_keeps_one_row_a_day_and_another_day_another(account: Account) -> None:
    use(account, 5)
    measured(account)
    measured(account)
    assert AccountMetrics.objects.filter(account=account).count() == 1
    measure_days(account.organization_id, [TODAY - timedelta(days=3), TODAY - timedelta(days=2)])
    enter(staff_of(account))
    assert AccountMetrics.objects.filter(account=account).count() == 3
    history = metric_history(account.organization_id, [account.pk], TODAY - timedelta(days=9), ["spend_28", "pacing"])
    assert [(day.day, values["spend_28"]) for day, values in history[account.pk]] == [(12, 30), (13, 40), (14, 50)]
    then = metrics_on(account.organization_id, [account.pk], TODAY - timedelta(days=2))[account.pk]
    assert then.number("spend_28") == 40


def test_a_day_is_due_once_and_again_after_six_hours(account: Account) -> None:
    assert measure_due(account.organization_id, NOW) == 1
    assert measure_due(account.organization_id, NOW + timedelta(hours=1)) == 0
    assert measure_due(account.organization_id, NOW + timedelta(hours=7)) == 1


def test_the_local_day_counts_and_an_hour_is_left_for_what_comes_late(db: None) -> None:
    account = make_account(make_organization(), timezone="Asia/Tokyo")
    morning = datetime(2026, 6, 14, 15, 30, tzinfo=UTC)  # 00:30 on the 15th in Tokyo
    assert measure_due(account.organization_id, morning - timedelta(hours=2)) == 1
    assert measure_due(account.organization_id, morning) == 0
    assert measure_due(account.organization_id, morning + timedelta(hours=1)) == 1
    enter(staff_of(account))
    assert latest_metrics(account.organization_id, [account.pk])[account.pk].day == date(2026, 6, 14)


def test_a_day_that_has_passed_is_the_local_one_everywhere(db: None) -> None:
    organization = make_organization()
    zones = ("Pacific/Auckland", "Pacific/Honolulu", "UTC")
    accounts = [make_account(organization, zone, timezone=zone) for zone in zones]
    measure_days(organization.pk, [date(2026, 6, 10)])
    enter(staff_of(organization))
    assert {row.day for row in AccountMetrics.objects.filter(account__in=accounts)} == {date(2026, 6, 10)}
    assert AccountMetrics.objects.count() == 3


def test_of_metrics_older_than_400_days_the_last_day_of_each_month_stays(account: Account) -> None:
    days = [date(2025, 4, 29), date(2025, 4, 30), date(2025, 5, 10), date(2025, 5, 11), date(2026, 6, 14)]
    enter(staff_of(account))
    fields = {"organization_id": account.organization_id, "account": account, "computed_at": NOW, "numbers": {}}
    AccountMetrics.objects.bulk_create(AccountMetrics(day=day, **fields) for day in days)
    assert thin_metrics(account.organization_id, NOW) == 2
    enter(staff_of(account))
    kept = AccountMetrics.objects.order_by("day").values_list("day", flat=True)
    assert list(kept) == [date(2025, 4, 30), date(2025, 5, 11), date(2026, 6, 14)]
    assert thin_metrics(account.organization_id, NOW) == 0


def test_nothing_is_measured_of_another_organization_and_customers_see_none(account: Account) -> None:
    measured(account)
    stranger = make_account(make_organization("Globex"))
    enter(staff_of(stranger))
    assert not AccountMetrics.objects.exists()
    assert latest_metrics(stranger.organization_id, [account.pk])[account.pk].reason("pacing") == NOT_MEASURED
    enter(portal_of(account))
    assert not AccountMetrics.objects.exists()


def test_a_payment_that_failed_makes_health_red_until_one_arrived(account: Account) -> None:
    def looked_at(now: datetime) -> tuple[D | None, list[str]]:
        measure_accounts(account.organization_id, now, [account.pk])
        enter(staff_of(account))
        found = latest_metrics(account.organization_id, [account.pk])[account.pk]
        return found.number("payment_failed"), HealthDay.objects.latest("day").forced

    number, forced = looked_at(NOW)
    assert (number, "payment_failed" in forced) == (None, False)
    own = {"organization_id": account.organization_id, "account": account}
    TimelineEntry.objects.create(**own, kind="unpaid", at=NOW, text="Invoice 1182 bounced.")
    number, forced = looked_at(NOW + timedelta(days=1))
    assert number == 1
    inputs = latest_metrics(account.organization_id, [account.pk])[account.pk].inputs("payment_failed")
    assert inputs == {"since": "2026-06-15"}
    assert facts_of({"payment_failed": number}) == ["payment_failed"]
    TimelineEntry.objects.create(**own, kind="paid", at=NOW + timedelta(days=2), text="It came.")
    number, forced = looked_at(NOW + timedelta(days=3))
    assert (number, "payment_failed" in forced) == (0, False)


def test_queries_do_not_grow_with_accounts(account: Account) -> None:
    accounts = [make_account(account.organization, f"Customer {number}") for number in range(8)]
    for one in accounts:
        Workflow.objects.create(
            organization_id=account.organization_id, account=one, key="w", name="W", stage="production"
        )
    needed = []
    for some in (accounts[:1], accounts[1:2], accounts[2:]):  # the first of all makes the standard plays
        with CaptureQueriesContext(connection) as queries:
            measure_accounts(account.organization_id, NOW, [one.pk for one in some])
        needed.append(len(queries))
    assert needed[2] <= needed[1] < 70
