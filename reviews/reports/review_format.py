"""How figures of a value review are written, and where they stand on a scale: shared by all its pages and files."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from consumption_cs.lib.display import moment_text, money_text, percent_text, quantity_text
from usage.reports.overview_words import short_date

ZERO, HUNDRED = Decimal(0), Decimal(100)


def thousand_of(figures: Mapping[str, Any]) -> str:
    return money_text(Decimal(1000), figures["account"]["currency"], places=0)


def money(amount: str | None, currency: str, *, cents: bool = False) -> str:
    """Money without cents, its minus kept off where a word says which way it goes."""
    return "" if amount is None else money_text(abs(Decimal(amount)), currency, places=None if cents else 0)


def count(amount: str) -> str:
    return quantity_text(Decimal(amount), places=0)


def arrow(change: Decimal) -> str:
    return f"{'▲' if change >= 0 else '▼'} {percent_text(abs(change), places=0)}"


def tone_of(change: Decimal, *, good_up: bool) -> str:
    if not change:
        return ""
    return "good" if (change > 0) == good_up else "warn"


def place_of(value: Decimal, low: Decimal, high: Decimal) -> str:
    return width_of((value - low) / (high - low) if high > low else ZERO)


def width_of(ratio: Decimal) -> str:
    return f"{ratio * HUNDRED:.2f}%"


def percent_number(ratio: str) -> str:
    return percent_text(Decimal(ratio)).removesuffix("%")


def to_day(text: str) -> date:
    return date.fromisoformat(text[:10])


def long_date(day: date) -> str:
    return f"{short_date(day)}, {day.year}"


def weekday(day: date) -> str:
    return f"{day:%a}, {long_date(day)}"


def moment_of(text: str, zone: ZoneInfo) -> str:
    return moment_text(datetime.fromisoformat(text).astimezone(UTC), zone)


def number_word(number: int) -> str:
    words: Sequence[str] = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
    return words[number] if number < len(words) else str(number)
