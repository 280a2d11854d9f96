"""Serializer fields and refusals of routes that reckon: numbers to the last digit, errors in the engine's words."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from rest_framework import serializers, status
from rest_framework.exceptions import APIException

from consumption_cs.lib.money import exponent
from consumption_cs.lib.periods import as_utc
from usage.calc.price_terms import MAX_DECIMALS, MAX_DIGITS

FIRST_YEAR, LAST_YEAR = 1970, 2200
_MOST_WORDS = 500


class Unprocessable(APIException):
    """Understood, but it cannot be done: `code` names the rule for programs, the detail says what to do."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail[:_MOST_WORDS])
        self.default_code = code


class Exact(serializers.DecimalField):
    """A decimal string (or a JSON number), exact, with at most 20 digits before and 12 after the point."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=MAX_DIGITS + MAX_DECIMALS, decimal_places=MAX_DECIMALS, **options)


class ShownExact(serializers.CharField):
    """All digits that matter, as text: for descriptions of answers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(help_text=options.pop("help_text", "A decimal, as text."), **options)


class Moment(serializers.DateTimeField):
    """A time with an offset or Z."""

    def enforce_timezone(self, value: datetime) -> datetime:
        """Return it in UTC. Refuses a time without an offset, and years in which nothing was used."""
        if value.utcoffset() is None:
            raise serializers.ValidationError("Give the offset, or Z for UTC: 2026-03-01T00:00:00Z.")
        if not FIRST_YEAR <= value.year <= LAST_YEAR:
            raise serializers.ValidationError(f"Use a year from {FIRST_YEAR} to {LAST_YEAR}.")
        return as_utc(value)


class Rows(serializers.ListField):
    """A list of at most `max_length` rows; longer ones are refused before each row is looked at."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list) and self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        found: list[Any] = super().to_internal_value(data)
        return found


class Currency(serializers.RegexField):
    """The three capital letters of ISO 4217."""

    def __init__(self, **options: Any) -> None:
        words = "Use the three capital letters of ISO 4217, such as EUR."
        super().__init__(r"\A[A-Z]{3}\Z", error_messages={"invalid": words}, **options)


def places_of(currency: str) -> int:
    """Return the decimals of a currency."""
    return exponent(currency)


def shown(amount: Decimal) -> str:
    """Return an amount as text with all digits that matter and no exponent; a zero has no sign."""
    text = f"{amount + 0 if amount else Decimal(0):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
