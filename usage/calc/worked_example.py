"""What a quantity costs at a price, step by step, as the rating engine reckons it. Pure."""

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from consumption_cs.lib.display import money_text
from consumption_cs.lib.money import exactly, exponent, round_to
from usage.calc.price_book import needs_events, read_terms
from usage.calc.price_terms import Terms
from usage.calc.price_text import amount_words, exact_price
from usage.calc.prices import ZERO, Graduated, Price, Usage, Volume
from usage.calc.rate_card import Matrix
from usage.calc.rating import charges, due, spend

MOST_EVENTS = 1000


class Step(NamedTuple):
    """One part of an amount: what it is, how it is reckoned, and what it comes to."""

    what: str
    how: str
    amount: str


@dataclass(frozen=True, slots=True)
class Example:
    """What `quantity` costs; `steps` explain it. `cell` names the values, for prices by dimension."""

    quantity: Decimal
    total: str
    steps: list[Step]
    cell: str = ""


@exactly
def worked_examples(terms: Terms, currency: str, quantity: Decimal, events: int = 1) -> list[Example]:
    """Return what `quantity` (in `events` events of one size) costs: once, or for each cell of a price by dimension.

    Raises PriceError if the terms are no price.
    """
    price = read_terms(terms)
    if not isinstance(price, Matrix):
        return [_example(price, currency, quantity, events)]
    cells = [(" · ".join(values), one) for values, one in price.cells.items()]
    cells += [("all others", price.otherwise)] if price.otherwise else []
    return [_example(one, currency, quantity, events, cell) for cell, one in cells]


@exactly
def ladder(terms: Terms, currency: str) -> list[tuple[str, str]]:
    """Return quantities around each tier's border with what they cost: (quantity, amount). None without tiers."""
    price = read_terms(terms)
    if isinstance(price, Matrix) or not isinstance(price.model, Graduated | Volume) or needs_events(price):
        return []
    borders = [tier.up_to for tier in price.model.tiers if tier.up_to is not None][:6]
    marks = [mark for border in borders for mark in (border, border + 1)]
    # Free units come before the tiers: the border is reached that much later.
    found = [(_metered(price, mark + price.free_units), mark) for mark in marks]
    return [(amount_words(quantity), money_text(spend(price, Usage(quantity, 1)), currency)) for quantity, _ in found]


def _metered(price: Price, quantity: Decimal) -> Decimal:
    convert = price.conversion
    if convert is None:
        return quantity
    return quantity * convert.factor if convert.op == "divide" else quantity / convert.factor


def _example(price: Price, currency: str, quantity: Decimal, events: int, cell: str = "") -> Example:
    usage = _usage(price, quantity, events)
    parts = [
        Step(
            charge.what.capitalize(),
            _how(charge.quantity, charge.unit, charge.flat, currency),
            _money(charge.amount, currency),
        )
        for charge in charges(price, usage)
        if charge.amount or charge.quantity
    ]
    return Example(
        quantity, _money(spend(price, usage, final=True), currency), [*parts, *_after(price, usage, currency)], cell
    )


def _after(price: Price, usage: Usage, currency: str) -> list[Step]:
    """The discount and the limits, as far as they change the amount."""
    gross = sum((charge.amount for charge in charges(price, usage)), ZERO)
    net, steps = due(price, usage), []
    if net != gross:
        steps.append(Step("Discount", f"{price.percent_discount.normalize():f}%", _money(net - gross, currency)))
    limited = spend(price, usage, final=True)
    if limited < net:
        steps.append(Step("Maximum spend", "a billing period", _money(limited - net, currency)))
    if limited > net:
        steps.append(Step("Minimum spend", "a billing period", _money(limited - net, currency)))
    return steps


def _how(quantity: Decimal, unit: Decimal, flat: Decimal, currency: str) -> str:
    each = f"{amount_words(quantity)} × {exact_price(unit, currency)}" if unit else ""
    fee = exact_price(flat, currency) if flat else ""
    return " + ".join(filter(None, [each, fee])) or amount_words(quantity)


def _money(amount: Decimal, currency: str) -> str:
    return money_text(round_to(amount, exponent(currency)), currency)


def _usage(price: Price, quantity: Decimal, events: int) -> Usage:
    """The quantity in events of one size; the last one makes up for what does not divide."""
    events = max(1, min(events, MOST_EVENTS))
    if not needs_events(price):
        return Usage(quantity, events)
    each = round_to(quantity / events, 12)
    values = (*(each for _ in range(events - 1)), quantity - each * (events - 1))
    totals, total = [], ZERO
    for value in values:
        total += value
        totals.append(total)
    return Usage(quantity, events, tuple(totals), values)
