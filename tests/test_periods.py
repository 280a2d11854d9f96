"""Periods follow the wall clock of the account: days of 23 and 25 hours, half-hour zones, months of any length."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumption_cs.lib.periods import (
    DAY,
    HOUR,
    Period,
    PeriodError,
    add_months,
    billing_month,
    billing_months,
    billing_period,
    day_of,
    day_start,
    hour_of,
    local_day,
    parse_interval,
    zone_of,
)

VIENNA, KOLKATA, LORD_HOWE = ZoneInfo("Europe/Vienna"), ZoneInfo("Asia/Kolkata"), ZoneInfo("Australia/Lord_Howe")
SAO_PAULO, APIA, TORONTO = ZoneInfo("America/Sao_Paulo"), ZoneInfo("Pacific/Apia"), ZoneInfo("America/Toronto")
ZONES = [
    ZoneInfo(name)
    for name in [
        "UTC", "Europe/Vienna", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe",
        "America/Sao_Paulo", "America/Havana", "Asia/Beirut", "Africa/Cairo", "Pacific/Apia", "Pacific/Kiritimati",
        "America/St_Johns", "America/Nuuk",
    ]
]  # fmt: skip
zones = st.sampled_from(ZONES)
# From 2012 on: no zone in the list skips a whole date any more.
seconds = st.integers(
    int(datetime(2012, 1, 2, tzinfo=UTC).timestamp()), int(datetime(2037, 12, 30, tzinfo=UTC).timestamp())
)
moments = st.builds(datetime.fromtimestamp, seconds, st.just(UTC))
moderate = settings(max_examples=100, deadline=None)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def test_a_period_contains_its_start_and_not_its_end() -> None:
    period = Period(utc(2026, 1, 1), utc(2026, 1, 2))
    assert period.contains(utc(2026, 1, 1))
    assert not period.contains(utc(2026, 1, 2))


def test_a_period_is_kept_in_utc() -> None:
    period = Period(datetime(2026, 1, 1, tzinfo=VIENNA), datetime(2026, 1, 2, tzinfo=VIENNA))
    assert period == Period(utc(2025, 12, 31, 23), utc(2026, 1, 1, 23))
    assert period.start.tzinfo is UTC


def test_a_naive_or_empty_or_backward_period_is_refused() -> None:
    with pytest.raises(PeriodError, match="no time zone"):
        Period(datetime(2026, 1, 1), utc(2026, 1, 2))  # noqa: DTZ001
    for end in (utc(2026, 1, 1), utc(2025, 1, 1)):
        with pytest.raises(PeriodError, match="must end after"):
            Period(utc(2026, 1, 1), end)


def test_periods_that_touch_do_not_overlap() -> None:
    first, second = Period(utc(2026, 1, 1), utc(2026, 1, 3)), Period(utc(2026, 1, 3), utc(2026, 1, 5))
    assert first.overlap(second) is None
    assert first.overlap(Period(utc(2026, 1, 2), utc(2026, 1, 9))) == Period(utc(2026, 1, 2), utc(2026, 1, 3))


def test_the_elapsed_share_goes_from_zero_to_one() -> None:
    period = Period(utc(2026, 1, 1), utc(2026, 1, 5))
    shares = [period.elapsed_share(now) for now in (utc(2025, 1, 1), utc(2026, 1, 2), utc(2027, 1, 1))]
    assert shares == [0, Decimal("0.25"), 1]


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)])
def test_the_day_the_clocks_change_is_an_hour_shorter_or_longer(day: date, hours: int) -> None:
    period = local_day(day, VIENNA)
    assert period.duration == hours * HOUR
    assert len(list(period.hours(VIENNA))) == hours


def test_a_day_whose_midnight_was_skipped_starts_with_the_jump() -> None:
    assert day_start(date(2018, 11, 4), SAO_PAULO) == utc(2018, 11, 4, 3)
    assert local_day(date(2018, 11, 4), SAO_PAULO).duration == 23 * HOUR


def test_a_jump_from_before_midnight_to_after_it_starts_the_day() -> None:
    # Toronto, 1919: 23:30 became 00:30.
    assert day_start(date(1919, 3, 31), TORONTO) == utc(1919, 3, 31, 4, 30)
    assert local_day(date(1919, 3, 30), TORONTO).duration == timedelta(hours=23, minutes=30)


def test_a_date_that_a_zone_skipped_is_no_day() -> None:
    with pytest.raises(PeriodError, match="did not happen"):
        local_day(date(2011, 12, 30), APIA)
    days = Period(utc(2011, 12, 29, 12), utc(2011, 12, 31, 12)).days(APIA)
    assert days == [date(2011, 12, 29), date(2011, 12, 31), date(2012, 1, 1)]


def test_an_hour_starts_at_a_full_hour_of_a_half_hour_zone() -> None:
    hour = hour_of(utc(2026, 1, 1, 10, 45), KOLKATA)
    assert hour == Period(utc(2026, 1, 1, 10, 30), utc(2026, 1, 1, 11, 30))


def test_a_repeated_hour_is_two_hours() -> None:
    first, second = hour_of(utc(2026, 10, 25, 0, 10), VIENNA), hour_of(utc(2026, 10, 25, 1, 10), VIENNA)
    assert first.end == second.start == utc(2026, 10, 25, 1)


def test_a_change_by_half_an_hour_cuts_an_hour_short() -> None:
    # 5 April 2026, 02:00 becomes 01:30: the repeated half hour stands alone.
    change = utc(2026, 4, 4, 15)
    assert hour_of(change - timedelta(minutes=10), LORD_HOWE) == Period(change - HOUR, change)
    half = Period(change, change + HOUR / 2)
    assert hour_of(change, LORD_HOWE) == half
    assert hour_of(change + timedelta(minutes=29), LORD_HOWE) == half


def test_an_unknown_time_zone_is_refused() -> None:
    for name in ("Mars/Olympus", "", "../etc/passwd", "Europe"):
        with pytest.raises(PeriodError, match="IANA"):
            zone_of(name)


@moderate
@given(moment=moments, zone=zones)
def test_every_moment_lies_in_its_day_and_in_an_hour_of_that_day(moment: datetime, zone: ZoneInfo) -> None:
    day, hour = local_day(day_of(moment, zone), zone), hour_of(moment, zone)
    assert day.contains(moment)
    assert hour.contains(moment)
    assert day.start <= hour.start
    assert hour.end <= day.end


@moderate
@given(start=moments, length=st.integers(1, 200), zone=zones)
def test_hours_and_days_follow_each_other_without_gap(start: datetime, length: int, zone: ZoneInfo) -> None:
    period = Period(start, start + length * HOUR)
    hours = list(period.hours(zone))
    assert all(first.end == second.start for first, second in pairwise(hours))
    assert all(timedelta(0) < hour.duration <= HOUR for hour in hours)
    days = [local_day(day, zone) for day in period.days(zone)]
    assert all(first.end == second.start for first, second in pairwise(days))
    assert days[0].contains(period.start)
    assert days[-1].start < period.end <= days[-1].end


def test_an_anchor_of_31_clamps_and_comes_back() -> None:
    starts = [
        day_of(month.start, VIENNA) for month in billing_months(local_day(date(2026, 1, 31), VIENNA), VIENNA, 31)
    ]
    assert starts == [date(2026, 1, 31)]
    year = Period(day_start(date(2027, 12, 31), VIENNA), day_start(date(2028, 6, 1), VIENNA))
    assert [day_of(month.start, VIENNA) for month in billing_months(year, VIENNA, 31)] == [
        date(2027, 12, 31), date(2028, 1, 31), date(2028, 2, 29), date(2028, 3, 31), date(2028, 4, 30),
        date(2028, 5, 31),
    ]  # fmt: skip


@pytest.mark.parametrize("anchor_day", [29, 30, 31])
def test_the_last_moment_before_a_clamped_anchor_belongs_to_the_month_before(anchor_day: int) -> None:
    border = day_start(date(2026, 2, 28), VIENNA)
    assert billing_month(border, VIENNA, anchor_day).start == border
    assert billing_month(border - timedelta(microseconds=1), VIENNA, anchor_day).end == border


def test_a_quarter_counts_from_its_anchor() -> None:
    quarter = billing_period(utc(2026, 5, 1), VIENNA, date(2025, 11, 15), months=3)
    assert (day_of(quarter.start, VIENNA), day_of(quarter.end, VIENNA)) == (date(2026, 2, 15), date(2026, 5, 15))


@pytest.mark.parametrize("bad", [0, 32, -1])
def test_an_impossible_anchor_is_refused(bad: int) -> None:
    with pytest.raises(PeriodError, match="1 to 31"):
        billing_month(utc(2026, 1, 1), VIENNA, bad)


def test_a_billing_period_of_no_months_is_refused() -> None:
    with pytest.raises(PeriodError, match="one month or more"):
        billing_period(utc(2026, 1, 1), VIENNA, date(2026, 1, 1), months=0)


@moderate
@given(moment=moments, zone=zones, anchor_day=st.integers(1, 31), months=st.sampled_from([1, 3, 12]))
def test_every_moment_lies_in_one_billing_period_and_periods_follow_each_other(
    moment: datetime, zone: ZoneInfo, anchor_day: int, months: int
) -> None:
    anchor = date(2020, 1, anchor_day)
    period = billing_period(moment, zone, anchor, months)
    assert period.contains(moment)
    assert billing_period(period.end, zone, anchor, months).start == period.end
    assert billing_period(period.start - timedelta(microseconds=1), zone, anchor, months).end == period.start


def test_months_beyond_the_calendar_are_refused() -> None:
    with pytest.raises(PeriodError, match="calendar"):
        add_months(date(9999, 12, 1), 1)


@pytest.mark.parametrize("text", ["", "P", "P0D", "PT", "1M", "P-1D", "P1.5D", "P1DT", "p1d", "P\uff11D"])
def test_only_a_whole_positive_iso_duration_is_an_interval(text: str) -> None:
    with pytest.raises(PeriodError, match="ISO 8601"):
        parse_interval(text)


def test_a_weekly_interval_recurs_before_and_after_its_anchor() -> None:
    weekly = parse_interval("P1W")
    found = weekly.occurrences(utc(2026, 1, 15), utc(2026, 1, 1), utc(2026, 1, 22))
    assert found == [utc(2026, 1, 8), utc(2026, 1, 15), utc(2026, 1, 22)]


def test_a_monthly_interval_keeps_the_day_of_its_anchor() -> None:
    found = parse_interval("P1M").occurrences(utc(2026, 1, 31), utc(2026, 1, 31), utc(2026, 4, 30))
    assert found == [utc(2026, 2, 28), utc(2026, 3, 31), utc(2026, 4, 30)]


def test_a_daily_interval_stays_at_local_midnight_when_the_clocks_change() -> None:
    anchor = day_start(date(2026, 3, 28), VIENNA)
    found = parse_interval("P1D").occurrences(anchor, anchor, anchor + 3 * DAY, VIENNA)
    assert [day_start(date(2026, 3, day), VIENNA) for day in (29, 30, 31)] == found


@moderate
@given(anchor=moments, after=moments, text=st.sampled_from(["P1D", "P1W", "P1M", "P1Y", "P1M15D", "PT36H"]))
def test_occurrences_of_two_halves_are_those_of_the_whole(anchor: datetime, after: datetime, text: str) -> None:
    interval, middle, until = parse_interval(text), after + 50 * DAY, after + 100 * DAY
    whole = interval.occurrences(anchor, after, until)
    assert whole == interval.occurrences(anchor, after, middle) + interval.occurrences(anchor, middle, until)
    assert whole == sorted(set(whole))
