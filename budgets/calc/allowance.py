"""An allowance that is given anew each month, quarter or year: where today lies in it. Pure."""

from dataclasses import dataclass
from datetime import date

from consumption_cs.lib.periods import add_months


@dataclass(frozen=True, slots=True)
class Window:
    """The local days [starts_on, ends_on) for which an allowance was given."""

    starts_on: date
    ends_on: date


def windows_of(effective_on: date, months: int, today: date, most: int = 7) -> list[Window]:
    """Return the windows of an allowance of every `months` from `effective_on` up to `today`'s, newest first.

    At most `most`; none before it begins. Windows begin on the same day of the month, or on the last of a short one.
    """
    found: list[Window] = []
    number = 0
    while (start := add_months(effective_on, number * months, effective_on.day)) <= today:
        found.append(Window(start, add_months(effective_on, (number + 1) * months, effective_on.day)))
        number += 1
    return found[::-1][:most]
