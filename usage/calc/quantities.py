"""Exact quantities from JSON values: what fits NUMERIC(38,12), or the name of what is wrong with it."""

import re
from decimal import Decimal

from usage.calc import limits

WHOLE_DIGITS = 26
PLACES = 12
_BEYOND = 10**WHOLE_DIGITS
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?")

Quantity = int | Decimal

DETAILS = {
    "invalid_quantity": "must be a JSON number, or a text that is one",
    "negative_quantity": "must not be negative",
    "quantity_scale": f"may have at most {PLACES} decimal places; it is never rounded silently",
    "quantity_too_large": f"may have at most {WHOLE_DIGITS} digits before the point",
}


class BadQuantity(ValueError):
    """A value that is not a quantity; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(DETAILS[code])
        self.code = code


def read_quantity(value: object) -> Quantity:
    """The exact quantity in a decoded JSON value. Raises BadQuantity, also for booleans, padding and underscores."""
    kind = type(value)
    if kind is int:
        if 0 <= value < _BEYOND:  # type: ignore[operator]
            return value  # type: ignore[return-value]
        raise BadQuantity("negative_quantity" if value < 0 else "quantity_too_large")  # type: ignore[operator]
    if kind is str:
        return _checked(_from_text(value))  # type: ignore[arg-type]
    if kind is Decimal:
        return _checked(value)  # type: ignore[arg-type]
    raise BadQuantity("invalid_quantity")


def _from_text(text: str) -> Decimal:
    if len(text) > limits.NUMBER_CHARS or not _JSON_NUMBER.fullmatch(text):
        raise BadQuantity("invalid_quantity")
    return Decimal(text)


def _checked(number: Decimal) -> Decimal:
    if not number:
        return Decimal(0)
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        raise BadQuantity("invalid_quantity")
    if sign:
        raise BadQuantity("negative_quantity")
    if number.adjusted() >= WHOLE_DIGITS:
        raise BadQuantity("quantity_too_large")
    trailing = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    if exponent + trailing < -PLACES:
        raise BadQuantity("quantity_scale")
    return number


def plain_text(quantity: Quantity) -> str:
    """Digits without an exponent, as PostgreSQL and people read them."""
    return str(quantity) if type(quantity) is int else f"{quantity:f}"
