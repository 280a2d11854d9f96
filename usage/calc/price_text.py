"""Prices in words, and a unit price as people type it: exact, never rounded, or an error that says what to change."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from consumption_cs.lib.display import listed, money_text, plural_of, quantity_text
from consumption_cs.lib.money import exactly, exponent
from usage.calc.conversion import Conversion
from usage.calc.price_terms import Terms, price_from
from usage.calc.prices import HUNDRED, Graduated, Package, Percentage, Price, PriceError, Tier, Unit, Volume

PLACES = 12
WHOLE_DIGITS = 12

_PLAIN = re.compile(r"([0-9]+)(?:\.([0-9]+))?", re.ASCII)
_SCALES = ((Decimal(10) ** 9, "billion"), (Decimal(10) ** 6, "million"))
_ROUNDED = {"ceil": ", rounded up", "floor": ", rounded down", "half_up": ", rounded"}
SHOWN_CELLS = 3


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


def exact_price(amount: Decimal, currency: str) -> str:
    """Return a price with all of its decimals, and at least those of the currency."""
    decimals = -int(amount.normalize().as_tuple().exponent)
    return money_text(amount, currency, places=max(decimals, exponent(currency)))


def amount_words(quantity: Decimal) -> str:
    """Return a quantity as people say it: "1 million", "2.5 million", "250,000"."""
    for scale, name in _SCALES:
        if quantity >= scale and quantity % (scale / 100) == 0:
            return f"{quantity_text(quantity / scale)} {name}"
    return quantity_text(quantity, places=max(0, -int(quantity.normalize().as_tuple().exponent)))


@exactly
def price_words(terms: Terms, currency: str, unit: str) -> str:
    """Return what a price says: "$0.50 per 1,000 tokens up to 1 million, then $0.30".

    `unit` is the meter's, in the singular. Terms that are no price say so instead of raising.
    """
    try:
        if "matrix" in terms:
            return _matrix_words(terms, currency, unit)
        price = price_from(terms)
    except PriceError as error:
        return f"Not a price yet: {error}"
    is_share = terms["model"] == "graduated_percentage"
    return "; ".join([_model_words(price, currency, unit, is_share=is_share), *_around(price, currency, unit)])


def matrix_lines(terms: Terms, currency: str, unit: str) -> list[tuple[str, str]]:
    """Return the cells of a matrix price, (values, words) each, and “all others” last; no lines for other prices."""
    matrix = terms.get("matrix")
    if not isinstance(matrix, Mapping):
        return []
    rest = matrix.get("otherwise")
    lines = []
    for cell in _cells(matrix):
        values, inner = cell["values"], cell["terms"]
        if isinstance(values, Sequence) and isinstance(inner, Mapping):
            lines.append((" · ".join(map(str, values)), price_words(inner, currency, unit)))
    return [*lines, ("all others", price_words(rest, currency, unit) if rest else "no price")]


def _cells(matrix: Mapping[str, object]) -> list[Mapping[str, object]]:
    cells = matrix.get("cells")
    if not isinstance(cells, Sequence):
        raise PriceError("cells is missing: give the values and the terms of each.")
    return list(cells)


def _matrix_words(terms: Terms, currency: str, unit: str) -> str:
    matrix = terms["matrix"]
    if not isinstance(matrix, Mapping):
        raise PriceError("matrix is missing its dimensions and cells.")
    lines = matrix_lines(terms, currency, unit)
    by = listed([str(name) for name in matrix.get("dimensions", [])])
    if len(lines) > SHOWN_CELLS + 1:
        return f"By {by}: {len(lines) - 1} prices, and {lines[-1][1]} for all others"
    return f"By {by}: " + "; ".join(f"{words} for {cell}" for cell, words in lines)


def _model_words(price: Price, currency: str, unit: str, *, is_share: bool) -> str:
    model, per = price.model, _per(price.conversion, unit)
    if isinstance(model, Unit):
        return f"{exact_price(model.unit, currency)} per {per}"
    if isinstance(model, Package):
        return _package_words(model, price, currency, unit)
    if isinstance(model, Percentage):
        return _percentage_words(model, currency)
    if isinstance(model, Graduated | Volume):
        tail = ", for the whole quantity" if isinstance(model, Volume) else ""
        return _tier_words(model.tiers, price, currency, "of the value" if is_share else f"per {per}") + tail
    return "the amount that each event names"


def _tier_words(tiers: tuple[Tier, ...], price: Price, currency: str, per: str) -> str:
    is_share = per == "of the value"
    parts = [
        _each(tier, currency, is_share=is_share) + (f" up to {_border(tier, price)}" if tier.up_to is not None else "")
        for tier in tiers
    ]
    first = _each(tiers[0], currency, is_share=is_share)
    parts[0] = parts[0].replace(first, f"{first} {per}", 1)
    return ", then ".join(parts)


def _each(tier: Tier, currency: str, *, is_share: bool) -> str:
    each = f"{_plain(tier.unit * HUNDRED)}%" if is_share else exact_price(tier.unit, currency)
    if not tier.flat:
        return each
    flat = f"{exact_price(tier.flat, currency)} once"
    return f"{flat} and {each}" if tier.unit else flat


def _border(tier: Tier, price: Price) -> str:
    return amount_words(_metered(tier.up_to or Decimal(0), price.conversion))


def _metered(quantity: Decimal, conversion: Conversion | None) -> Decimal:
    """Return a quantity of priced units in those that the meter counts."""
    if conversion is None:
        return quantity
    return quantity * conversion.factor if conversion.op == "divide" else quantity / conversion.factor


def _per(conversion: Conversion | None, unit: str) -> str:
    if conversion is None:
        return unit
    rounded = _ROUNDED.get(conversion.rounding or "", "")
    if conversion.op == "divide":
        return f"{amount_words(conversion.factor)} {plural_of(unit)}{rounded}"
    return f"unit, {quantity_text(conversion.factor, places=None)} to a {unit}{rounded}"


def _package_words(model: Package, price: Price, currency: str, unit: str) -> str:
    size = _metered(model.size, price.conversion)
    words = f"{exact_price(model.price, currency)} per started {amount_words(size)} {plural_of(unit)}"
    free = f"; the first {amount_words(model.free_units)} free" if model.free_units else ""
    return words + free


def _percentage_words(model: Percentage, currency: str) -> str:
    words = f"{_plain(model.percent)}% of the value"
    if model.fixed_per_event:
        words += f" and {exact_price(model.fixed_per_event, currency)} per event"
    if model.free_units:
        words += f"; the first {amount_words(model.free_units)} free"
    if model.free_events:
        words += f"; the first {model.free_events} events free"
    return words


def _around(price: Price, currency: str, unit: str) -> list[str]:
    words = []
    if price.free_units:
        free = _metered(price.free_units, price.conversion)
        words.append(f"the first {amount_words(free)} {plural_of(unit)} free")
    if price.percent_discount:
        words.append(f"less {_plain(price.percent_discount)}%")
    if price.min_spend:
        words.append(f"at least {exact_price(price.min_spend, currency)} a billing period")
    if price.max_spend is not None:
        words.append(f"at most {exact_price(price.max_spend, currency)} a billing period")
    return words


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
