"""A replay of stored days: the same alerts as were raised at the time, and what a limit would have blocked."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Account
from budgets.actions.evaluate import evaluate_now
from budgets.actions.limits import NewLimit, set_limit
from budgets.models import Alert, Anomaly, Budget, ForecastRun, LimitEvent, PlannedActivity
from budgets.reports.replay import Proposal, ProposedLimit, Replay, replay
from budgets.reports.replay_words import facts, headline, lead, plain
from consumption_cs.lib.periods import DAY, HOUR, day_start, zone_of
from consumption_cs.lib.tenancy import enter
from tests.budgets.budget_factories import make_budget, make_paying_account, use
from tests.factories import make_account, make_usage_day, make_workflow, portal_of, staff_of
from usage.models import Meter

pytestmark = pytest.mark.django_db
TODAY = date(2026, 6, 20)
NOW = datetime(2026, 6, 20, 9, 30, tzinfo=UTC)
STOP = ProposedLimit("stop", grace_percent=D(0))
RULES = (
    ("actual_percent", D(50)),
    ("actual_percent", D(80)),
    ("actual_amount", D(700)),
    ("forecast_over", D(90)),
    ("velocity_fast", D(3)),
    ("velocity_slow", D("1.5")),
    ("success_below", D(60)),
    ("unit_cost", D(40)),
    ("new_source", D(100)),
)
# Units an hour, from the hour named: a quiet week, a runaway of nine hours, a burst, and quiet again.
WEEK = {0: [(9, 20), (15, 10)], 1: [(9, 30)], 2: [(10, 20)], 3: [(8, 25), (20, 5)], 4: [(9, 20)], 5: [], 6: [(12, 10)]}
WILD = {7: [(hour, 40) for hour in range(9, 18)], 8: [(3, 150), (4, 5)], 9: [(11, 20)], 10: [(11, 30)]}


def live(account: Account, meter: Meter, days: dict[int, Any], first: date, **more: Any) -> None:
    """Let the days pass hour by hour as they do at work: what is used is settled, and rules are looked at."""
    zone = zone_of(account.timezone)
    for number, used in sorted(days.items()):
        start, by_hour = day_start(first + number * DAY, zone), dict(used)
        for hour in range(24):
            now = start + (hour + 1) * HOUR - timedelta(microseconds=1)
            if hour in by_hour:
                fields = {"d": (first + number * DAY).isoformat(), "s": 0 if number == 7 else 1, "o": "1"} | more
                use(account, meter, start + hour * HOUR, str(by_hour[hour]), now=now, **fields)
            else:
                evaluate_now(account.organization_id, now, [str(account.pk)])
    enter(staff_of(account))


def replayed(account: Account, proposal: Proposal, now: datetime = NOW) -> Replay:
    enter(staff_of(account))
    return replay(staff_of(account), account, proposal, now)


def told(found: Replay) -> list[tuple[str, D, datetime, bool]]:
    """Alerts by the hour, the end of one belonging to it; a new workflow by its day."""
    just, zone = timedelta(microseconds=1), zone_of(found.account.timezone)
    return sorted((one.kind, one.value, _hour(one.kind, one.at - just, zone), one.is_told) for one in found.fires)


def raised(account: Account) -> list[tuple[str, D, datetime, bool]]:
    enter(staff_of(account))
    zone = zone_of(account.timezone)
    rows = Alert.objects.filter(account=account).exclude(kind__startswith="limit")
    return sorted(
        (one.kind, D(one.threshold), _hour(one.kind, one.raised_at, zone), not one.is_silent)
        for one in rows
        if one.threshold
    )


def _hour(kind: str, at: datetime, zone: ZoneInfo) -> datetime:
    local = at.astimezone(zone)
    return local.replace(hour=0 if kind == "new_source" else local.hour, minute=0, second=0, microsecond=0)


@pytest.mark.parametrize(("period", "zone"), [("month", "UTC"), ("day", "America/New_York")])
def test_it_tells_what_was_told_when_the_days_passed(period: str, zone: str) -> None:
    account, meter = make_paying_account(timezone=zone)
    work = make_workflow(account, "New one")
    amount = D(1200) if period == "month" else D(200)
    make_budget(account, str(amount), *((kind, str(value)) for kind, value in RULES), period=period)
    first = date(2026, 6, 9)
    for day, low in ((9, 10), (12, 20), (16, 60)):
        make_run(account, date(2026, 6, day), low)
    live(account, meter, WEEK | WILD, first)
    live(account, meter, {9: [(13, 60), (14, 60)]}, first + 2 * DAY, w=str(work.pk))
    found = replayed(account, Proposal(amount, period, RULES), NOW + 3 * DAY)
    assert found.is_ready
    assert told(found) == raised(account)
    assert {one[0] for one in told(found)} >= {"actual_percent", "velocity_fast", "new_source"}


def test_its_limit_is_reached_in_the_hour_in_which_it_was() -> None:
    account, meter = make_paying_account()
    budget = make_budget(account, "200", period="day")
    set_limit(staff_of(account), budget, NewLimit("stop", grace_percent=D(0)), NOW - 60 * DAY)
    live(account, meter, WEEK | WILD, date(2026, 6, 9))
    reached = LimitEvent.objects.filter(budget=budget, kind="reached").order_by("at")
    found = replayed(account, Proposal(D(200), "day", limit=STOP, budget_id=budget.pk))
    just_before = [one.reached_at - timedelta(microseconds=1) for one in found.acted]
    assert [at.replace(minute=0, second=0, microsecond=0) for at in just_before] == [
        event.at.replace(minute=0, second=0, microsecond=0) for event in reached
    ]
    assert found.in_force is not None
    assert (found.in_force.acted, found.in_force.days) == (found.acted, found.days)


def make_run(account: Account, on: date, low: float) -> ForecastRun:
    enter(staff_of(account))
    return ForecastRun.objects.create(
        organization_id=account.organization_id,
        account=account,
        as_of=on,
        made_at=datetime(on.year, on.month, on.day, 1, tzinfo=UTC),
        basis="model",
        inputs_hash=f"{on}",
        currency=account.currency,
        spend_p10=[low * day for day in range(1, 61)],
        spend_p50=[low * 1.5 * day for day in range(1, 61)],
        spend_p90=[low * 2 * day for day in range(1, 61)],
    )


def spend(account: Account, meter: Meter, day: date, by_hour: dict[int, str], **more: Any) -> None:
    """Days that have passed long ago, settled at once."""
    start = day_start(day, zone_of(account.timezone))
    for hour, quantity in by_hour.items():
        use(account, meter, start + hour * HOUR, quantity, now=NOW, d=day.isoformat(), **more)


@pytest.fixture
def story() -> tuple[Account, Meter]:
    """Ten quiet days of 80, a runaway on the sixth that adds 200, and a planned import on the eighth that adds 60."""
    account, meter = make_paying_account()
    work = make_workflow(account, "Claims triage")
    for number in range(10):
        spend(account, meter, TODAY - (10 - number) * DAY, dict.fromkeys(range(8, 18), "8"))
    bad, planned = TODAY - 5 * DAY, TODAY - 3 * DAY
    spend(account, meter, bad, dict.fromkeys(range(12, 22), "20"), w=str(work.pk), s=0)
    spend(account, meter, planned, dict.fromkeys(range(18, 24), "10"))
    own: dict[str, Any] = {"organization": account.organization, "account": account}
    at = datetime.combine(bad, datetime.min.time(), UTC) + 12 * HOUR
    Anomaly.objects.create(
        **own, kind="spike", workflow=work, started_at=at, detected_at=at + HOUR, seen_until=at + 10 * HOUR,
        window_hours=1, score=9, expected=0, actual=200, impact=200,
    )  # fmt: skip
    PlannedActivity.objects.create(**own, kind="backfill", name="Import", starts_on=planned, ends_on=planned + DAY)
    return account, meter


def test_the_judgement_of_a_limit_that_stops_a_runaway_and_hits_a_good_day(story: tuple[Account, Meter]) -> None:
    account, _ = story
    found = replayed(account, Proposal(D(120), "day", (("velocity_fast", D(2)),), STOP))
    bad, good = found.acted
    # 116 are spent at 15:00; at 28 an hour it reaches 120 at 15:08.
    assert (bad.day, bad.verdict, bad.about) == (date(2026, 6, 15), "right", "Spike in Claims triage")
    assert bad.reached_at is not None
    assert bad.acts_at == bad.reached_at + timedelta(minutes=30)
    assert (bad.spent, bad.loop) == (280, 200)
    assert (good.verdict, good.about) == ("false", "Import, planned")
    assert good.loop_stopped == 0
    assert good.held_back == 15  # 22:00 to 22:30 is grace
    assert found.loop_cost == 200
    spent = {one.day: one for one in found.days}
    assert spent[bad.day].through + spent[bad.day].blocked == 280
    assert plain(headline(found)).startswith("A $120 daily limit would have stopped one runaway and held back $")
    assert plain(headline(found)).endswith("of real work on one good day.")
    assert "The pace alert would have told you" in lead(found)
    assert [one.value for one in facts(found)][:2] == ["2", "1"]
    assert facts(found)[1].note == "all planned work"
    best = found.best
    assert best is not None
    assert best.held_back == min(row.held_back for row in found.sweep if row.loop_stopped == best.loop_stopped)
    assert [row.is_tried for row in found.sweep].count(True) == 1


def test_what_somebody_judged_expected_is_no_loop_and_a_false_alarm(story: tuple[Account, Meter]) -> None:
    account, _ = story
    enter(staff_of(account))
    anomaly = Anomaly.objects.get(account=account)
    at = anomaly.started_at
    alert = Alert.objects.create(
        organization=account.organization, account=account, number=1, kind="spike", crossing="x", anomaly=anomaly,
        headline="Spike", raised_at=at, feedback="expected",
    )  # fmt: skip
    found = replayed(account, Proposal(D(120), "day", (("velocity_fast", D(2)),), STOP))
    assert found.loop_cost == 0
    assert {one.verdict for one in found.acted} == {"false"}
    assert [one.verdict for one in found.fires] == ["false", "false"]
    assert "expected" in found.fires[0].why
    Alert.objects.filter(pk=alert.pk).update(feedback="useful")
    assert replayed(account, found.proposal).fires[0].verdict == "useful"


def test_exempt_workflows_go_through(story: tuple[Account, Meter]) -> None:
    account, _ = story
    work = Anomaly.objects.get(account=account).workflow_id
    assert work is not None
    exempt = replace(STOP, exempt_workflows=(work,))
    bad = replayed(account, Proposal(D(120), "day", limit=exempt)).acted[0]
    assert (bad.loop_stopped, bad.loop, bad.verdict) == (0, 0, "false")
    assert bad.held_back == D("18.86")  # 8 an hour of the others from 15:38:35 to 18:00


def test_a_workflow_has_its_own_replay(story: tuple[Account, Meter]) -> None:
    account, meter = story
    work = Anomaly.objects.get(account=account).workflow_id
    part: dict[str, Any] = {"scope": "workflow", "workflow_id": work}
    found = replayed(account, Proposal(D(60), "day", limit=STOP, **part))
    assert not found.is_ready  # it was used on one day
    assert plain(headline(found)) == "The replay needs 7 days of usage; there are 1 so far."
    for number in range(6, 15):
        spend(account, meter, TODAY - number * DAY, {9: "10"}, w=str(work))
    found = replayed(account, Proposal(D(60), "day", (("forecast_over", D(90)),), STOP, **part))
    (bad,) = found.acted
    assert (bad.spent, bad.held_back) == (200, 0)
    assert bad.loop_stopped == 130  # reached at 15:00, acts at 15:30
    assert found.not_replayed == ("Forecast rules are not replayed: forecasts of a part of the account are not kept.",)


def test_a_limit_above_everything_never_acts_and_the_day_that_came_closest_is_named(
    story: tuple[Account, Meter],
) -> None:
    account, _ = story
    found = replayed(account, Proposal(D(700), "day", limit=STOP))
    assert found.acted == ()
    assert plain(headline(found)) == "A $700 daily limit would never have acted in the last 90 days."
    assert lead(found) == "The most that was spent in one day was $280, on Jun 15: 40% of it."


def test_days_older_than_the_hours_are_estimated_and_paces_wait(story: tuple[Account, Meter]) -> None:
    account, meter = story
    old = TODAY - 80 * DAY
    make_usage_day(account, meter, old, spend=D(150))
    found = replayed(account, Proposal(D(120), "day", (("velocity_fast", D(2)),), STOP))
    assert found.hours_from == date(2026, 4, 22)
    assert "before Apr 22" in found.not_replayed[0]
    assert found.acted[0].day == old


def test_the_period_in_force_before_the_days_counts_what_was_spent_in_it() -> None:
    account, meter = make_paying_account()
    first = TODAY - 90 * DAY
    for number in range(1, 12):
        make_usage_day(account, meter, first - number * DAY, spend=D(10))
        make_usage_day(account, meter, first + number * DAY, spend=D(10))
    found = replayed(account, Proposal(D(150), "year", (("actual_percent", D(50)), ("actual_percent", D(90)))))
    assert [(one.value, one.day) for one in found.fires] == [(90, first + 3 * DAY)]


def test_a_customer_replays_the_same_and_sees_nothing_of_others(story: tuple[Account, Meter]) -> None:
    account, meter = story
    other = make_account(account.organization, "Other", key="other")
    spend(other, meter, TODAY - DAY, {9: "5000"})
    proposal = Proposal(D(120), "day", (("velocity_fast", D(2)),), STOP)
    staff = replayed(account, proposal)
    enter(portal_of(account))
    assert replay(portal_of(account), account, proposal, NOW) == staff


def test_it_takes_a_dozen_queries(story: tuple[Account, Meter]) -> None:
    account, _ = story
    budget: Budget = make_budget(account, "120", period="day")
    proposal = Proposal(D(120), "day", RULES, STOP, budget_id=budget.pk)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        replayed(account, proposal)
    assert len([one for one in queries if "SET LOCAL" not in one["sql"]]) <= 13


@pytest.mark.parametrize(("currency", "said"), [("JPY", "A ¥120 "), ("KWD", "A KWD 120 "), ("EUR", "A €120 ")])
def test_every_currency_is_said_its_own_way(currency: str, said: str, story: tuple[Account, Meter]) -> None:
    account, _ = story
    enter(staff_of(account))
    Account.objects.filter(pk=account.pk).update(currency=currency)
    account.refresh_from_db()
    found = replayed(account, Proposal(D(120), "day", limit=STOP))
    assert plain(headline(found)).replace("\u00a0", " ").startswith(said)
    places = {"JPY": 0, "KWD": 3, "EUR": 2}[currency]
    assert all(-int(one.blocked.as_tuple().exponent) in (0, places) for one in found.days)
