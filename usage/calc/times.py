"""RFC 3339 times, strictly: Python's `fromisoformat` also takes week dates, missing offsets, commas and more."""

import re
from datetime import UTC, datetime

_RFC3339 = re.compile(
    r"(\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))[Tt]"
    r"((?:[01]\d|2[0-3]):[0-5]\d:)([0-5]\d|60)(?:\.(\d{1,6})\d{0,26})?"
    r"(?:([Zz])|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)


def read_time(text: object) -> datetime:
    """The instant in UTC, truncated to microseconds. A leap second is the last microsecond of its minute.

    Raises ValueError for anything that RFC 3339 does not have, days that do not exist, and instants outside the
    years 1 to 9999.
    """
    match = _RFC3339.fullmatch(text) if type(text) is str else None
    if match is None:
        raise ValueError("a time is an RFC 3339 text with an offset, such as 2026-03-01T09:30:00Z")
    day, minute, second, fraction, zulu = match.groups()
    leap = second == "60"
    if leap:
        second, fraction = "59", "999999"
    offset = "+00:00" if zulu else match[0][-6:]
    try:
        instant = datetime.fromisoformat(f"{day}T{minute}{second}.{(fraction or '0'):0<6}{offset}").astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the instant lies outside the years 1 to 9999") from error
    if leap and not _ends_a_day(instant):
        raise ValueError("a leap second can only be the last second of a day in UTC")
    return instant


def _ends_a_day(instant: datetime) -> bool:
    return (instant.hour, instant.minute) == (23, 59)
