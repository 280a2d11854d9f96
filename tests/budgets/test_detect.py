"""Unusual usage from stored hours to an alert: once, with its money, muted by plans, tempered by judgements."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pytest

from accounts.models import Account
from budgets.actions.detect import detect
from budgets.calc.unusual import caution, is_worth_telling, stretch
from budgets.models import Alert, AlertTerms, Anomaly, PlannedActivity
from consumption_cs.lib.periods import day_of
from consumption_cs.lib.tenancy import enter
from tests.factories import make_account, make_meter, make_workflow, staff_of
from usage.models import AccountDay, Meter, UsageDay, UsageHour, Workflow

NOW = datetime(2026, 6, 17, 15, 5, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
LAST = NOW.replace(minute=0)  # the end of the last closed hour


@pytest.fixture
def account(db: None) -> Account:
    account = make_account(timezone="UTC")
    AlertTerms.objects.create(
        organization_id=account.organization_id, account=account, least_impact=20, least_percent_of_week=1
    )
    return account


@pytest.fixture
def meter(account: Account) -> Meter:
    meter = make_meter(account.organization)
    enter(staff_of(account))
    return meter


def use(
    account: Account,
    meter: Meter,
    workflow: Workflow | None = None,
    days: int = 58,
    extra: dict[int, int] | None = None,
) -> None:
    """Spend 10 an hour with a little noise at one a unit; `extra` times more in hours ago, 0 for silence."""
    noise = np.random.default_rng(7)
    own = {"organization_id": account.organization_id, "account": account, "meter": meter, "workflow": workflow}
    hours: list[UsageHour] = []
    sums: dict[date, Decimal] = {}
    for ago in range(days * 24, 0, -1):
        at = LAST - ago * HOUR
        quantity = Decimal(round((10 + noise.normal() * 0.4) * (extra or {}).get(ago, 1), 3)).quantize(
            Decimal("0.001")
        )
        if quantity <= 0:
            continue
        hours.append(UsageHour(**own, starts_at=at, quantity=quantity, events=1, last_event_at=at))
        sums[at.date()] = sums.get(at.date(), Decimal(0)) + quantity
    UsageHour.objects.bulk_create(hours)
    UsageDay.objects.bulk_create(
        UsageDay(**own, day=day, quantity=total, spend=total, events=1, last_event_at=NOW)
        for day, total in sums.items()
    )
    for day, total in sums.items():
        row, _ = AccountDay.objects.get_or_create(
            organization_id=account.organization_id, account=account, day=day,
            defaults={"currency": "USD", "spend": 0, "events": 0, "last_event_at": NOW},
        )  # fmt: skip
        AccountDay.objects.filter(pk=row.pk).update(spend=row.spend + total)


def look(account: Account, now: datetime = NOW) -> list[Alert]:
    detect(account.organization_id, now)
    enter(staff_of(account))
    return list(Alert.objects.filter(account=account).order_by("number"))


def test_a_spike_of_a_workflow_is_told_once_with_its_money(account: Account, meter: Meter) -> None:
    calm, wild = make_workflow(account, "calm"), make_workflow(account, "wild")
    use(account, meter, calm)
    use(account, meter, wild, extra={1: 8, 2: 8, 3: 8})
    (alert,) = look(account)
    assert alert.workflow == wild
    assert alert.kind == "spike"
    assert "times the usual since 12:00 on Jun 17" in alert.headline
    assert 200 < Decimal(alert.numbers["impact"]) < 220
    assert Decimal(alert.numbers["actual"]) - Decimal(alert.numbers["expected"]) == Decimal(alert.numbers["impact"])
    assert alert.cause is not None
    parts = [Decimal(part["amount"]) for part in alert.cause["parts"]]
    assert Decimal(alert.cause["opening"]) + sum(parts) == Decimal(alert.cause["closing"])
    assert alert.cause["rows"][0]["workflow"] == "wild"
    look(account)
    assert len(look(account, NOW + timedelta(minutes=30))) == 1
    assert Anomaly.objects.filter(account=account, workflow=wild).count() == 1


def test_an_ordinary_day_tells_nothing(account: Account, meter: Meter) -> None:
    use(account, meter)
    assert look(account) == []
    assert not Anomaly.objects.filter(account=account).exists()


def test_usage_that_stops_is_told_as_silence(account: Account, meter: Meter) -> None:
    use(account, meter, extra=dict.fromkeys(range(1, 13), 0))
    (alert,) = look(account)
    assert alert.kind == "silence"
    assert "has been silent since 03:00 on Jun 17" in alert.headline
    assert Decimal(alert.numbers["impact"]) < -100


def test_what_is_planned_for_the_account_is_recorded_and_not_told(account: Account, meter: Meter) -> None:
    use(account, meter, extra={1: 8, 2: 8, 3: 8})
    plan = make_plan(account)
    assert look(account) == []
    assert Anomaly.objects.get(account=account).muted_by == plan


def test_a_plan_for_a_meter_mutes_that_meter_alone(account: Account, meter: Meter) -> None:
    other = make_meter(account.organization, "other")
    enter(staff_of(account))
    use(account, meter, extra={1: 8, 2: 8, 3: 8})
    use(account, other)
    make_plan(account, meter)
    assert look(account) == []
    UsageHour.objects.filter(meter=other, starts_at__gte=LAST - 3 * HOUR).update(quantity=Decimal(300))
    UsageDay.objects.filter(meter=other, day=LAST.date()).update(quantity=Decimal(1000), spend=Decimal(1000))
    assert len(look(account)) == 1


def test_a_plan_that_does_not_mute_leaves_the_alarm(account: Account, meter: Meter) -> None:
    use(account, meter, extra={1: 8, 2: 8, 3: 8})
    make_plan(account, mutes=False)
    assert len(look(account)) == 1


def test_below_the_least_impact_it_is_recorded_and_not_told(account: Account, meter: Meter) -> None:
    AlertTerms.objects.filter(account=account).update(least_impact=100_000)
    use(account, meter, extra={1: 8, 2: 8, 3: 8})
    assert look(account) == []
    assert Anomaly.objects.filter(account=account).count() == 1


def test_it_ends_after_a_day_without(account: Account, meter: Meter) -> None:
    use(account, meter, extra={30: 8, 29: 8, 28: 8})
    look(account, NOW - 27 * HOUR)
    anomaly = Anomaly.objects.get(account=account)
    assert anomaly.ended_at is None
    look(account)
    anomaly.refresh_from_db()
    assert anomaly.ended_at == anomaly.seen_until == LAST - 27 * HOUR


def test_an_account_that_wants_none_gets_none(account: Account, meter: Meter) -> None:
    AlertTerms.objects.filter(account=account).update(detects=False)
    use(account, meter, extra={1: 8, 2: 8, 3: 8})
    assert look(account) == []


def make_plan(account: Account, meter: Meter | None = None, mutes: bool = True) -> PlannedActivity:
    today = day_of(NOW, timezone.utc)  # type: ignore[arg-type]
    plan: PlannedActivity = PlannedActivity.objects.create(
        organization_id=account.organization_id, account=account, kind="backfill", name="Backfill", meter=meter,
        starts_on=today, ends_on=today + timedelta(days=1), mutes=mutes,
    )  # fmt: skip
    return plan


class TestStretch:
    def test_the_usual_is_the_median_of_the_same_hours_of_four_weeks(self) -> None:
        hours = np.full(6 * 168, 10.0)
        hours[-168] = 30.0  # the same hour a week before was odd
        hours[-1] = 70.0
        found = stretch(hours, len(hours) - 1, len(hours))
        assert (found.actual, found.expected, found.impact) == (70, 10, 60)
        assert found.week == pytest.approx(Decimal(1680), rel=Decimal("0.02"))

    def test_hours_before_the_series_began_do_not_count(self) -> None:
        hours = np.concatenate([np.full(168, np.nan), np.full(10, 4.0), [40.0]])
        assert stretch(hours, len(hours) - 1, len(hours)).expected == 4

    def test_worth_telling_is_an_amount_and_a_share_of_the_week(self) -> None:
        hours = np.concatenate([np.full(5 * 168, 1.0), [101.0]])
        found = stretch(hours, len(hours) - 1, len(hours))
        assert is_worth_telling(found, Decimal(100), Decimal(10))
        assert not is_worth_telling(found, Decimal(101), Decimal(10))
        assert not is_worth_telling(found, Decimal(100), Decimal(90))

    def test_each_wrong_alarm_makes_the_next_rarer_up_to_twice(self) -> None:
        assert [caution(judged) for judged in (0, 1, 2, 9)] == [1.0, 1.25, 1.5, 2.0]
