"""Periods of time: half-open, aware, UTC; and the local days, hours and billing months of an account's time zone."""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
_SECOND = timedelta(seconds=1)


class PeriodError(ValueError):
    """A moment, period, zone or interval that cannot be used; the message says what to do."""


def zone_of(name: str) -> ZoneInfo:
    """Return the IANA time zone called `name`, such as Europe/Vienna. Raises PeriodError for an unknown name."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise PeriodError(f"{name!r} is not a time zone: use an IANA name such as Europe/Vienna.") from error


def as_utc(moment: datetime) -> datetime:
    """Return the aware `moment` in UTC. Raises PeriodError for a naive one, which could mean any zone."""
    if moment.tzinfo is UTC:
        return moment
    if moment.utcoffset() is None:
        raise PeriodError(f"{moment.isoformat()} has no time zone: give an offset or Z.")
    return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """From `start` to just before `end`, both kept in UTC. Raises PeriodError if naive, or not start < end."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", as_utc(self.start))
        object.__setattr__(self, "end", as_utc(self.end))
        if self.start >= self.end:
            raise PeriodError(
                f"A period must end after it starts: {self.start.isoformat()} to {self.end.isoformat()}."
            )

    @property
    def duration(self) -> timedelta:
        """The time that really passes, so 23 or 25 hours for the day that the clocks change."""
        return self.end - self.start

    def contains(self, moment: datetime) -> bool:
        """Tell whether `moment` lies inside; the start does, the end does not."""
        return self.start <= moment < self.end

    def overlap(self, other: "Period") -> "Period | None":
        """Return the time common to both, or None when they do not meet (touching is not meeting)."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Period(start, end) if start < end else None

    def elapsed_share(self, now: datetime) -> Decimal:
        """Return how much of the period has passed at `now`, from 0 to 1."""
        passed = min(max(as_utc(now) - self.start, timedelta(0)), self.duration)
        return Decimal(passed // timedelta(microseconds=1)) / Decimal(self.duration // timedelta(microseconds=1))

    def days(self, zone: ZoneInfo) -> list[date]:
        """Return the local dates that the period touches, in order; a date that the zone skipped is left out."""
        day, last = day_of(self.start, zone), day_of(self.end - timedelta(microseconds=1), zone)
        dates = []
        while day <= last:
            if day_start(day, zone) < day_start(day + DAY, zone):
                dates.append(day)
            day += DAY
        return dates

    def hours(self, zone: ZoneInfo) -> "Iterator[Period]":
        """Yield the local hours that the period touches, whole, in order (see `hour_of`)."""
        moment = self.start
        while moment < self.end:
            hour = hour_of(moment, zone)
            yield hour
            moment = hour.end


def day_of(moment: datetime, zone: ZoneInfo) -> date:
    """Return the date that a calendar on the wall of `zone` shows at `moment`."""
    return as_utc(moment).astimezone(zone).date()


@lru_cache(maxsize=8192)
def day_start(day: date, zone: ZoneInfo) -> datetime:
    """Return, in UTC, the first moment of the local `day`.

    Midnight that happens twice counts the first time; midnight that the clocks jumped over is the moment of the
    jump. A date that the zone skipped altogether starts when the next one does.
    """
    midnight = datetime.combine(day, time(), zone)
    later = midnight.astimezone(UTC)
    if later.astimezone(zone).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return later
    return _change_between(midnight.replace(fold=1).astimezone(UTC), later, zone)


def local_day(day: date, zone: ZoneInfo) -> Period:
    """Return the local `day` as a period of 24 hours, or 23 or 25 when the clocks change.

    Raises PeriodError for the rare date that a zone skipped (30 December 2011 in Apia).
    """
    start, end = day_start(day, zone), day_start(day + DAY, zone)
    if start >= end:
        raise PeriodError(f"{day.isoformat()} did not happen in {zone.key}: the clocks jumped over it.")
    return Period(start, end)


def hour_of(moment: datetime, zone: ZoneInfo) -> Period:
    """Return the local hour around `moment`: from a full hour on the wall clock of `zone` to the next.

    Hours nest in local days, also in zones like +05:30. An hour that the clocks repeat is two hours; one that they
    cut (Lord Howe moves by 30 minutes) is shorter and begins or ends at the change.
    """
    moment = as_utc(moment)
    local = moment.astimezone(zone)
    start = moment - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    end = start + HOUR
    if start.astimezone(zone).utcoffset() != local.utcoffset():
        start = _change_between(start, moment, zone)
    if (end - _SECOND).astimezone(zone).utcoffset() != local.utcoffset():
        end = _change_between(moment, end, zone)
    return Period(start, end)


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the second in (before, after] at which the offset of `zone` becomes what it is at `after`."""
    before, after = before.replace(microsecond=0), after.replace(microsecond=0)
    offset = after.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // _SECOND // 2 * _SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


def add_months(day: date, months: int, anchor_day: int | None = None) -> date:
    """Return the date `months` later (or earlier), on `anchor_day` (default: the day of `day`).

    An anchor of 29, 30 or 31 falls on the last day of a shorter month, and on its own day again in the next long
    one. Raises PeriodError outside of the years 1 to 9999 or for an anchor that is not 1 to 31.
    """
    anchor_day = day.day if anchor_day is None else anchor_day
    if not 1 <= anchor_day <= 31:
        raise PeriodError(f"{anchor_day} is not a day of a month: use 1 to 31.")
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise PeriodError(f"{months} months from {day.isoformat()} is beyond the calendar.")
    return date(year, month + 1, min(anchor_day, monthrange(year, month + 1)[1]))


def billing_period(moment: datetime, zone: ZoneInfo, anchor: date, months: int = 1) -> Period:
    """Return the billing period around `moment`: `months` long, starting at local midnight, counted from `anchor`.

    The anchor's day of the month is kept (see `add_months`); the anchor may lie after `moment`. Raises PeriodError
    if `months` is below 1.
    """
    if months < 1:
        raise PeriodError(f"A billing period lasts one month or more, not {months}.")
    day = day_of(moment, zone)
    count = (day.year * 12 + day.month - anchor.year * 12 - anchor.month) // months * months
    # Inside the month of the anchor's day, or in a fold around midnight, the estimate is one period off.
    if as_utc(moment) < day_start(add_months(anchor, count), zone):
        count -= months
    elif as_utc(moment) >= day_start(add_months(anchor, count + months), zone):
        count += months
    return Period(day_start(add_months(anchor, count), zone), day_start(add_months(anchor, count + months), zone))


def billing_month(moment: datetime, zone: ZoneInfo, anchor_day: int = 1) -> Period:
    """Return the billing month around `moment`, from local midnight of the `anchor_day` (29-31 clamp) to the next."""
    if not 1 <= anchor_day <= 31:
        raise PeriodError(f"{anchor_day} is not a day of a month: use 1 to 31.")
    return billing_period(moment, zone, date(2000, 1, anchor_day))


def billing_months(period: Period, zone: ZoneInfo, anchor_day: int = 1) -> list[Period]:
    """Return the billing months that `period` touches, whole, in order."""
    months = [billing_month(period.start, zone, anchor_day)]
    while months[-1].end < period.end:
        months.append(billing_month(months[-1].end, zone, anchor_day))
    return months


@dataclass(frozen=True, slots=True)
class Interval:
    """A repeating distance: calendar months plus an exact duration. Made by `parse_interval`."""

    months: int
    duration: timedelta

    def nth(self, anchor: datetime, index: int, zone: ZoneInfo | None = None) -> datetime:
        """Return `anchor` plus `index` intervals, in UTC; months keep the anchor's day (see `add_months`).

        Months and whole days are counted on the wall clock of `zone` if one is given, else in UTC.
        """
        local = as_utc(anchor).astimezone(zone or UTC)
        days, rest = divmod(self.duration * index, DAY)
        moved = datetime.combine(add_months(local.date(), self.months * index) + DAY * days, local.timetz())
        return moved.astimezone(UTC) + rest

    def occurrences(
        self, anchor: datetime, after: datetime, until: datetime, zone: ZoneInfo | None = None
    ) -> list[datetime]:
        """Return the moments anchor ± n intervals with after < moment <= until, in order."""
        after, until = as_utc(after), as_utc(until)
        index = self._index_near(as_utc(anchor), after)
        while self.nth(anchor, index, zone) > after:
            index -= 1
        moments = []
        while (moment := self.nth(anchor, index, zone)) <= until:
            if moment > after:
                moments.append(moment)
            index += 1
        return moments

    def _index_near(self, anchor: datetime, moment: datetime) -> int:
        """Return an index whose occurrence is close to `moment`, so that no long way is walked."""
        return int((moment - anchor) / (self.duration + timedelta(days=30.436875) * self.months))


_INTERVAL = re.compile(
    r"P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?"
    r"(?:T(?=\d)(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?",
    re.ASCII,
)


def parse_interval(text: str) -> Interval:
    """Return the interval that an ISO 8601 duration such as P1M, P1W, P1DT12H or PT1H says.

    Whole, positive numbers only. Raises PeriodError for anything else, and for a duration of zero.
    """
    match = _INTERVAL.fullmatch(text)
    if not match or not any(int(part or 0) for part in match.groups()):
        raise PeriodError(f"{text!r} is not an interval: use an ISO 8601 duration such as P1M, P1W or PT1H.")
    years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    duration = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    return Interval(years * 12 + months, duration)
