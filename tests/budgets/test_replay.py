"""What a limit does to hours that have passed, to the minute and to the cent."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgets.calc.limits import LimitTerms, terms_of
from budgets.calc.replay import Held, Hour, Span, held_by, neighbours, score, span_of
from budgets.calc.replay_hours import Part, Unwanted, Used, clock_of, hours_of, spread
from consumption_cs.lib.periods import DAY, HOUR

START = datetime(2026, 6, 1, tzinfo=UTC)
Row = tuple[str, str, str]  # spent, exempt, loop


def spans(*days: list[Row], usual: str = "0") -> list[Span]:
    """A period for each day; hours that are not given had no use."""
    found = []
    for number, rows in enumerate(days):
        start = START + number * DAY
        filled = [*rows, *[("0", "0", "0")] * (24 - len(rows))]
        hours = [
            Hour(
                start + at * HOUR, start + (at + 1) * HOUR, start.date(), D(spent), D(exempt), D(loop), D(usual), D(1)
            )
            for at, (spent, exempt, loop) in enumerate(filled)
        ]
        found.append(span_of(start.date(), start.date() + DAY, start, start + DAY, D(0), hours))
    return found


def terms(amount: D | int, **more: Any) -> LimitTerms:
    """A limit of a daily budget, acting after half an hour."""
    given: dict[str, Any] = {"acts": True, "is_dry_run": False, "grace_minutes": 30, "grace_percent": D(0)} | more
    return terms_of(D(amount), D(100), D(85), **given)


def steady(hourly: str, exempt: str = "0", loop: str = "0") -> list[Row]:
    return [(hourly, exempt, loop)] * 24


def test_it_is_reached_and_acts_at_a_minute_and_stops_what_is_not_exempt() -> None:
    (held,) = held_by(spans(steady("10", exempt="4")), terms(100), None, 2)
    assert held.reached_at == START + 10 * HOUR
    assert held.acts_at == START + 10 * HOUR + timedelta(minutes=30)
    assert held.held_back == D("81.00")  # half an hour and 13 hours of 6
    assert held.outcomes == D("13.5")


def test_the_grace_ends_by_percent_if_that_comes_first() -> None:
    (held,) = held_by(spans(steady("60")), terms(100, grace_minutes=60, grace_percent=D(10)), None, 2)
    assert held.reached_at == START + timedelta(minutes=100)
    assert held.acts_at == START + timedelta(minutes=110)


def test_only_the_percentage_counts_without_minutes() -> None:
    (held,) = held_by(
        spans([("100", "0", "0"), ("40", "0", "0")]), terms(100, grace_minutes=0, grace_percent=D(20)), None, 2
    )
    assert held.acts_at == START + timedelta(minutes=90)
    assert held.held_back == 20


def test_it_begins_anew_each_period() -> None:
    found = held_by(spans(steady("10"), steady("3"), steady("10")), terms(100), None, 2)
    assert [one.span.first for one in found] == [date(2026, 6, 1), date(2026, 6, 3)]


def test_it_never_acts_when_the_period_ends_within_the_grace_or_when_it_only_tells() -> None:
    late = spans([*[("0", "0", "0")] * 23, ("100", "0", "0")])
    (held,) = held_by(late, terms(90), None, 2)
    assert (held.acts_at, held.blocked, held.verdict) == (None, {}, "")
    (told,) = held_by(spans(steady("10")), terms(90, acts=False), None, 2)
    assert told.acts_at is None


def test_a_throttle_lets_a_share_of_the_usual_pace_through() -> None:
    (held,) = held_by(spans(steady("10"), usual="8"), terms(100), D("0.25"), 2)
    assert held.held_back == D("108.00")  # 13.5 hours of 10 less 2
    (slow,) = held_by(spans([*[("10", "0", "0")] * 10, *[("2", "0", "0")] * 14], usual="8"), terms(100), D("0.25"), 2)
    assert slow.held_back == 0


@pytest.mark.parametrize(("loop", "verdict"), [("10", "right"), ("5", "mixed"), ("1", "false"), ("0", "false")])
def test_the_verdict_is_how_much_of_what_was_blocked_was_a_loop(loop: str, verdict: str) -> None:
    (held,) = held_by(spans(steady("10", loop=loop)), terms(100), None, 2)
    assert held.verdict == verdict
    assert held.loop_stopped == D("13.5") * D(loop)
    assert held.loop_stopped + held.held_back == 135


def test_what_was_spent_before_the_days_that_are_known_counts() -> None:
    (day,) = spans(steady("10"))
    earlier = span_of(day.first, day.after, day.start - 9 * DAY, day.end, D(200), day.hours)
    (held,) = held_by([earlier], terms(100), None, 2)
    assert held.reached_at == day.start
    assert held.held_back == 235


def test_five_round_neighbours_and_what_is_in_force() -> None:
    assert neighbours(D(600)) == [400, 500, 600, 700, 800]
    assert neighbours(D(600), D(950)) == [400, 500, 600, 700, 950]
    assert neighbours(D(600), D(100)) == [100, 500, 600, 700, 800]
    assert all(one > 0 for one in neighbours(D("0.01")))
    assert score(D(236), D(33)) < score(D(164), D(0))


money = st.decimals(min_value=0, max_value=1000, places=2)
rows = st.lists(
    st.tuples(money, st.integers(0, 4), st.integers(0, 4)).map(
        lambda one: (str(one[0]), str(one[0] * one[1] / 4), str((one[0] - one[0] * one[1] / 4) * one[2] / 4))
    ),
    min_size=1,
    max_size=24,
)
days = st.lists(rows, min_size=1, max_size=4)
graces = st.sampled_from([(30, D(10)), (0, D(5)), (90, D(0)), (600, D(50))])


def everything(found: list[Held]) -> D:
    return sum((amount for one in found for amount in one.blocked.values()), D(0))


def limit(amount: D, grace: tuple[int, D]) -> LimitTerms:
    return terms(amount, grace_minutes=grace[0], grace_percent=grace[1])


@given(days, st.decimals("0.01", 5000, places=2), graces, st.sampled_from([None, D("0.25")]))
def test_what_goes_through_and_what_is_blocked_are_what_was_spent(
    given_days: Any, amount: D, grace: Any, pace: Any
) -> None:
    some = spans(*given_days, usual="3")
    for held in held_by(some, limit(amount, grace), pace, 2):
        blocked, spent = everything([held]), held.span.spent
        stoppable = sum((hour.stoppable for hour in held.span.hours), D(0))
        assert 0 <= blocked <= stoppable + D("0.005")
        assert held.loop_stopped + held.held_back == blocked
        assert 0 <= held.loop_stopped <= blocked
        assert held.reached_at <= (held.acts_at or held.reached_at) < held.span.end
        if pace is None and held.acts_at is not None:  # what went through is what was spent until then, and the exempt
            after = sum((_share(hour, held.acts_at) * hour.stoppable for hour in held.span.hours), D(0))
            assert abs(spent - blocked - (spent - after)) <= D("0.005")


def _share(hour: Hour, since: datetime) -> D:
    left = max(hour.end - max(since, hour.start), timedelta(0))
    return D(left // timedelta(microseconds=1)) / D(HOUR // timedelta(microseconds=1))


@given(days, graces)
def test_a_limit_above_every_period_is_never_reached(given_days: Any, grace: Any) -> None:
    some = spans(*given_days)
    assert held_by(some, limit(max(one.spent for one in some) + D("0.01"), grace), None, 2) == []


@given(days, money, money, graces)
def test_a_lower_limit_never_stops_less(given_days: Any, one: D, other: D, grace: Any) -> None:
    some = spans(*given_days)
    low, high = (held_by(some, limit(amount + D("0.01"), grace), None, 2) for amount in sorted((one, other)))
    assert everything(low) >= everything(high)


@given(days, money, graces)
def test_with_everything_exempt_nothing_is_blocked(given_days: Any, amount: D, grace: Any) -> None:
    free = [[(spent, spent, "0") for spent, _, _ in day] for day in given_days]
    assert everything(held_by(spans(*free), limit(amount + D("0.01"), grace), None, 2)) == 0


class TestHours:
    ZONE = ZoneInfo("America/New_York")
    DAYS = [date(2026, 10, 31) + number * DAY for number in range(3)]  # the clocks go back on Nov 1

    def hours(self, *parts: Part, known_from: date | None = None, unwanted: Any = None) -> tuple[list[Hour], D]:
        clock = clock_of(self.DAYS, self.ZONE)
        none: list[list[Unwanted]] = [[] for _ in parts]
        found, _, cost = hours_of(clock, parts, unwanted or none, known_from or self.DAYS[0])
        return found, cost

    def test_hours_add_up_to_their_days_exactly_whatever_is_known_of_them(self) -> None:
        noon = datetime(2026, 10, 31, 16, tzinfo=UTC)
        known = {noon: Used(D("33.333333333333")), noon + HOUR: Used(D("66.6"))}
        part = Part({day: Used(D(100)) for day in self.DAYS}, known)
        found, _ = self.hours(part)
        assert [len(list(some)) for _, some in groupby(found, key=lambda hour: hour.day)] == [24, 25, 24]
        for day in self.DAYS:
            assert sum(hour.spent for hour in found if hour.day == day) == 100
        assert {hour.start for hour in found if hour.spent and hour.day == self.DAYS[0]} == set(known)
        # The days without hours take the shape of those with.
        assert {
            hour.start.astimezone(self.ZONE).hour for hour in found if hour.spent and hour.day != self.DAYS[0]
        } >= {
            12,
            13,
        }

    def test_without_any_hour_a_day_is_spread_evenly(self) -> None:
        found, _ = self.hours(Part({self.DAYS[0]: Used(D(48), finished=24, successes=12)}, {}))
        assert {hour.spent for hour in found if hour.day == self.DAYS[0]} == {D(2)}
        assert sum(hour.outcomes for hour in found) == 12

    def test_the_share_that_nobody_wanted_is_a_loop_unless_it_is_exempt(self) -> None:
        at = datetime(2026, 10, 31, 16, tzinfo=UTC)
        loop = [Unwanted(at, at + 2 * HOUR, D("0.8"))]
        hours = {at + number * HOUR: Used(D(10)) for number in range(4)}
        part: dict[str, Any] = {"days": {self.DAYS[0]: Used(D(40))}, "hours": hours}
        found, cost = self.hours(Part(**part), Part(**part, is_exempt=True), unwanted=[loop, loop])
        assert cost == 32
        assert sum(hour.loop for hour in found) == 16
        assert sum(hour.exempt for hour in found) == 40

    def test_a_runaway_before_the_known_hours_is_in_its_hours(self) -> None:
        at = datetime(2026, 10, 31, 16, tzinfo=UTC)
        loop = [[Unwanted(at, at + 2 * HOUR, D("0.5"), per_hour=D(40))]]
        part = Part({self.DAYS[0]: Used(D(102))}, {})
        found, cost = self.hours(part, known_from=self.DAYS[2], unwanted=loop)
        day = [hour for hour in found if hour.day == self.DAYS[0]]
        assert [hour.spent for hour in day if hour.loop] == [40, 40]
        assert {hour.spent for hour in day if not hour.loop} == {1}
        assert cost == 40

    def test_what_is_usual_is_the_median_of_the_same_hour(self) -> None:
        at = datetime(2026, 11, 1, 17, tzinfo=UTC)
        hours = {at - DAY - HOUR: Used(D(10)), at: Used(D(30)), at + DAY: Used(D(20))}
        found, _ = self.hours(Part({day: Used(hours[at].spent) for day in self.DAYS}, hours))
        noon = [hour for hour in found if hour.start.astimezone(self.ZONE).hour == 12]
        assert [hour.usual for hour in noon] == [30, 30, 30]


@given(
    st.decimals(-1000, 1000, places=2),
    st.lists(st.decimals(0, 100, places=3), min_size=1, max_size=30),
)
def test_what_is_spread_adds_up(total: D, weights: list[D]) -> None:
    parts = spread(total, weights)
    assert sum(parts) == total
    assert len(parts) == len(weights)
    whole = spread(D(int(total)), weights, whole=True)
    assert sum(whole) == int(total)
    assert all(part == int(part) for part in whole)
