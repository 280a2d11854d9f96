"""A unit price as people type it: exact, never rounded, or an error that says what to change."""

import re
from decimal import Decimal

PLACES = 12
WHOLE_DIGITS = 12

_PLAIN = re.compile(r"([0-9]+)(?:\.([0-9]+))?", re.ASCII)


class BadPrice(ValueError):
    """A text that is no price; the message is for the person who typed it."""


def read_unit_price(text: str) -> Decimal:
    """Return the price that `text` says: digits with at most 12 decimals, without signs, exponents or thousands."""
    match = _PLAIN.fullmatch(text.strip()[:200])
    if match is None:
        if text.strip().startswith("-"):
            raise BadPrice("A price cannot be negative.")
        hint = " Use a point for the decimals." if "," in text else ""
        raise BadPrice(f"“{text.strip()[:40]}” is not a price: write digits, such as 0.0125.{hint}")
    whole, decimals = match[1].lstrip("0"), (match[2] or "").rstrip("0")
    if len(decimals) > PLACES:
        raise BadPrice(
            f"This price has {len(decimals)} decimals; {PLACES} is the most, and a price is never rounded silently."
        )
    if len(whole) > WHOLE_DIGITS:
        raise BadPrice(f"A price may have {WHOLE_DIGITS} digits before the point.")
    return Decimal(f"{whole or 0}.{decimals or 0}")
