"""Billing periods as local days: where they begin and end, and how closed ones move the next one's start. Pure."""

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from consumption_cs.lib.periods import add_months


class Span(NamedTuple):
    """Local days [start, end) of an account."""

    start: date
    end: date

    def holds(self, day: date) -> bool:
        return self.start <= day < self.end

    def has_ended(self, today: date) -> bool:
        return self.end <= today

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}"


def billing_span(day: date, billing_day: int, closed_until: date | None = None) -> Span:
    """Return the billing period around the local `day`: from one `billing_day` (29 to 31 clamp) to the next.

    The first period after the closed ones starts where these end, whatever the billing day was then; it is shorter
    for it. A day before `closed_until` gets the period that the calendar alone would give.
    """
    start = add_months(day, 0, billing_day)
    if start > day:
        start = add_months(day, -1, billing_day)
    end = add_months(start, 1, billing_day)
    if closed_until is not None and start < closed_until <= day:
        start = closed_until
    return Span(start, end)


def billing_spans(first: date, until: date, billing_day: int, closed_until: date | None = None) -> Iterator[Span]:
    """Yield the billing periods that touch the local days [first, until), in order."""
    while first < until:
        span = billing_span(first, billing_day, closed_until)
        yield span
        first = span.end
