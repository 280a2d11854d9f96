"""What a batch of work would cost, through the tiers that the account's billing period has used already."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from budgets.calc.headroom import cost_of
from consumption_cs.lib.money import exponent
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.prepared import Prepared
from consumption_cs.lib.tenancy import Viewer
from usage.calc.billing_periods import billing_span
from usage.calc.metering import group_of
from usage.calc.price_book import Dated, InForce, PriceBook
from usage.calc.prices import Price, Usage
from usage.calc.rate_card import Matrix
from usage.calc.rated_days import Running
from usage.models import Meter

ZERO = Decimal(0)

# The prices of one meter, and where each of its lines stands: the newest rated day of the open billing period.
_PRICED = Prepared(
    "headroom_priced",
    """
SELECT (SELECT json_agg(json_build_array(id, meter_id, account_id, currency, effective_on, terms::text))
        FROM usage_price WHERE organization_id = %(organization)s::uuid AND in_force AND meter_id = %(meter)s::uuid
            AND (account_id IS NULL OR account_id = %(account)s::uuid)),
    (SELECT json_agg(json_build_array(cell, total_quantity::text, total_events, total_due::text, total_amount::text))
        FROM (SELECT DISTINCT ON (cell) * FROM usage_rated_day
            WHERE organization_id = %(organization)s::uuid AND account_id = %(account)s::uuid
                AND meter_id = %(meter)s::uuid AND day >= %(first)s::date AND day <= %(today)s::date
            ORDER BY cell, day DESC) AS newest)
""",
)
# What a batch adds to the day's quantity cannot be told for the others.
_ADDED_UP = (Meter.Aggregation.SUM, Meter.Aggregation.COUNT, Meter.Aggregation.UNIQUE)


class HeadroomError(ValueError):
    """What is asked cannot be answered; `name` is the parameter that is to blame. The message says what to do."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(words)
        self.name = name


@dataclass(frozen=True, slots=True)
class Work:
    """What is about to run: keys of its workflow and meter, values of the meter's dimensions (key, team, release).

    It costs `cost` in the account's currency, or what `quantity` of the meter, in so many events, comes to.
    """

    workflow: str = ""
    meter: str = ""
    dimensions: Mapping[str, str] = field(default_factory=dict)
    cost: Decimal = ZERO
    currency: str = ""
    quantity: Decimal | None = None
    events: int = 1


class Asked(NamedTuple):
    """The account and what the work names, as they are read first."""

    account: UUID
    currency: str
    timezone: str
    billing_day: int
    closed_until: Any
    workflow: UUID | None
    meter: UUID | None
    aggregation: str | None
    dimensions: list[str] | None
    known_dimensions: list[str] | None


def batch_cost(viewer: Viewer, asked: Asked, work: Work, quantity: Decimal, now: datetime) -> Decimal:
    """Return what the quantity adds to the open billing period. Raises HeadroomError. One round trip."""
    if asked.meter is None:
        raise HeadroomError("meter", "Say of which meter the quantity is.")
    if asked.aggregation not in _ADDED_UP:
        raise HeadroomError("quantity", "This meter does not add up what is used: send the cost instead.")
    today = max(day_of(now, zone_of(asked.timezone)), asked.closed_until or date.min)
    first = billing_span(today, asked.billing_day, asked.closed_until).start
    named = {"organization": viewer.organization_id, "account": asked.account, "meter": asked.meter}
    ((prices, rated),) = _PRICED.rows(viewer, named | {"first": first, "today": today})
    book = PriceBook(
        Dated(pk, meter, account, currency, date.fromisoformat(effective_on), terms)
        for pk, meter, account, currency, effective_on, terms in prices or ()
    )
    in_force = book.on(today, str(asked.meter), str(asked.account), asked.currency)
    cell = group_of(tuple(asked.dimensions or ()), work.dimensions)
    price, line = _price(in_force, cell, asked)
    before = next((_running(row) for row in rated or () if _same_cell(row[0], line)), Running())
    usage = Usage(quantity, work.events, supplied=quantity)
    cost = cost_of(price, before, usage, places=exponent(asked.currency))
    if cost is None:
        raise HeadroomError("quantity", "So much would cost more than anybody could pay: use a smaller quantity.")
    return cost


def _price(in_force: InForce | None, group: str, asked: Asked) -> tuple[Price, str]:
    """Return the price and the cell of it in which this group counts."""
    if in_force is None:
        raise HeadroomError("meter", f"This meter has no price in {asked.currency} today: send the cost instead.")
    cell = in_force.cell_of(group)
    price = in_force.price_of(cell)
    if price is None:
        names = ", ".join(in_force.price.dimensions) if isinstance(in_force.price, Matrix) else ""
        hint = f"give its {names} as a parameter" if names else "send the cost instead"
        raise HeadroomError("meter", f"This meter has no price for what is named: {hint}.")
    if in_force.needs_events:
        raise HeadroomError("quantity", "The price of this meter looks at single events: send the cost instead.")
    return price, cell


def _running(row: list[Any]) -> Running:
    _, quantity, events, gross, amount = row
    total = Decimal(quantity)
    return Running(Usage(total, events, supplied=total), Decimal(gross), Decimal(amount))


def _same_cell(stored: str, asked: str) -> bool:
    """Whether it is the same cell of a matrix, whose values a query can give as texts only."""
    return bool(stored) == bool(asked) and _as_texts(stored) == _as_texts(asked)


def _as_texts(cell: str) -> dict[str, str]:
    values = json.loads(cell, parse_float=str, parse_int=str) if cell else {}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
