"""When a monthly report is due, and as of when it is made. Pure."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from consumption_cs.lib.periods import add_months, day_of

SENT_AT = time(6)  # on the wall clock
BOOKED_BY = time(3)  # on the first: the last day of the month before has been booked by then


def next_due(after: datetime, day: int, zone: ZoneInfo) -> datetime:
    """Return the first moment after `after` at which a report of every `day` of the month is due, in UTC.

    A day of 29 to 31 is the last day of a shorter month. Raises PeriodError for a day that is not 1 to 31.
    """
    month = day_of(after, zone).replace(day=1)
    due = _due(month, day, zone)
    return due if due > after else _due(add_months(month, 1), day, zone)


def last_due(until: datetime, day: int, zone: ZoneInfo) -> datetime:
    """Return the last moment up to `until` at which it was due, in UTC."""
    month = day_of(until, zone).replace(day=1)
    due = _due(month, day, zone)
    return due if due <= until else _due(add_months(month, -1), day, zone)


def month_end(due: datetime, zone: ZoneInfo) -> datetime:
    """Return the as-of of the report due then: the end of the month before, as soon as its last day is booked."""
    first = day_of(due, zone).replace(day=1)
    return datetime.combine(first, BOOKED_BY, zone).astimezone(UTC)


def month_told(as_of: datetime, zone: ZoneInfo) -> date:
    """Return the first day of the month that such a report is about."""
    return add_months(day_of(as_of, zone).replace(day=1), -1)


def _due(month: date, day: int, zone: ZoneInfo) -> datetime:
    return datetime.combine(add_months(month, 0, day), SENT_AT, zone).astimezone(UTC)
