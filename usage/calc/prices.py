"""The ways to price a quantity: from the cumulative usage of a billing period to an exact amount. Pure Decimal."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from itertools import pairwise
from typing import Protocol

from usage.calc.conversion import Conversion

ZERO, HUNDRED = Decimal(0), Decimal(100)


class PriceError(ValueError):
    """A price that cannot be used, or usage that it cannot rate; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used so far in one billing period, of one meter.

    `quantity` in metered units. Only percentage prices need the rest: `events` counts them; `first_totals` holds the
    running total of the quantity after the first event, the second and so on, as far as free events reach;
    `event_values` the quantity of each event in order, for prices with a minimum or maximum per event.
    `supplied` is the amount that the sender named, in minor units (cents), for the supplied-amount price.
    """

    quantity: Decimal
    events: int = 0
    first_totals: tuple[Decimal, ...] = ()
    event_values: tuple[Decimal, ...] = ()
    supplied: Decimal = ZERO

    def plus(self, later: "Usage") -> "Usage":
        """Return this usage followed by `later` usage of the same meter and period."""
        totals = self.first_totals
        if len(totals) == self.events:  # otherwise the totals already stop at what free events can reach
            totals += tuple(self.quantity + total for total in later.first_totals)
        return Usage(
            self.quantity + later.quantity,
            self.events + later.events,
            totals,
            self.event_values + later.event_values,
            self.supplied + later.supplied,
        )


@dataclass(frozen=True, slots=True)
class Charge:
    """One part of an amount: `quantity` at `unit` each, plus `flat`. `what` names it: tier 1, packages, percent."""

    what: str
    quantity: Decimal
    unit: Decimal
    flat: Decimal = ZERO

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.unit + self.flat


class Model(Protocol):
    """How a quantity becomes an amount: the parts of it, for cumulative, converted usage of zero or more."""

    def charges(self, usage: Usage) -> list[Charge]: ...


@dataclass(frozen=True, slots=True)
class Unit:
    """The same price for each unit; also the multiplier price, where `unit` is the factor on a supplied value."""

    unit: Decimal

    def __post_init__(self) -> None:
        _at_least_zero(unit_price=self.unit)

    def charges(self, usage: Usage) -> list[Charge]:
        return [Charge("units", usage.quantity, self.unit)]


@dataclass(frozen=True, slots=True)
class Tier:
    """`unit` for each unit up to and including `up_to` (None: no end), and `flat` once. For percentages a unit is
    one unit of currency and `unit` the hundredth part of the percent."""

    up_to: Decimal | None
    unit: Decimal
    flat: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Graduated:
    """Each tier prices its own part of the quantity; its flat fee is due once when it is entered, the first's always.

    Raises PriceError unless the tiers ascend and the last one, only, is open.
    """

    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        _check_tiers(self.tiers)

    def charges(self, usage: Usage) -> list[Charge]:
        charges, lower = [], ZERO
        for number, tier in enumerate(self.tiers, start=1):
            upper = usage.quantity if tier.up_to is None else min(usage.quantity, tier.up_to)
            if number > 1 and upper <= lower:
                break
            charges.append(Charge(f"tier {number}", max(upper - lower, ZERO), tier.unit, tier.flat))
            lower = upper
        return charges


@dataclass(frozen=True, slots=True)
class Volume:
    """The one tier that the whole quantity reaches prices all of it. Raises PriceError like Graduated."""

    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        _check_tiers(self.tiers)

    def charges(self, usage: Usage) -> list[Charge]:
        number, tier = next(
            (number, tier)
            for number, tier in enumerate(self.tiers, start=1)
            if tier.up_to is None or usage.quantity <= tier.up_to
        )
        return [Charge(f"tier {number}", usage.quantity, tier.unit, tier.flat)]


@dataclass(frozen=True, slots=True)
class Package:
    """`price` for each started package of `size` units beyond the `free_units`."""

    size: Decimal
    price: Decimal
    free_units: Decimal = ZERO

    def __post_init__(self) -> None:
        _at_least_zero(package_price=self.price, free_units=self.free_units)
        if self.size <= 0:
            raise PriceError(f"A package of {self.size} units cannot be sold: its size must be above zero.")

    def charges(self, usage: Usage) -> list[Charge]:
        beyond = max(usage.quantity - self.free_units, ZERO)
        return [Charge("packages", (beyond / self.size).to_integral_value(ROUND_CEILING), self.price)]


@dataclass(frozen=True, slots=True)
class Percentage:
    """`percent` of the quantity (an amount of money) and a fixed fee for each event, both beyond what is free.

    With both `free_events` and `free_units` set, an event is free only as far as both allow. With a minimum or
    maximum per event each event is priced by itself (percentage and fee together), else the total is.
    """

    percent: Decimal
    fixed_per_event: Decimal = ZERO
    free_events: int | None = None
    free_units: Decimal | None = None
    min_per_event: Decimal | None = None
    max_per_event: Decimal | None = None

    def __post_init__(self) -> None:
        _at_least_zero(
            percent=self.percent,
            fixed_per_event=self.fixed_per_event,
            free_events=Decimal(self.free_events or 0),
            free_units=self.free_units or ZERO,
            min_per_event=self.min_per_event or ZERO,
        )
        if self.max_per_event is not None and self.max_per_event < (self.min_per_event or ZERO):
            raise PriceError("The maximum per event is below the minimum: raise it or lower the minimum.")

    @property
    def is_per_event(self) -> bool:
        return self.min_per_event is not None or self.max_per_event is not None

    def charges(self, usage: Usage) -> list[Charge]:
        if self.is_per_event:
            amount = sum(self._event_amounts(usage), ZERO)
            return [Charge("events", Decimal(len(usage.event_values)), ZERO, amount)]
        paying = max(usage.events - self._free_event_count(usage), 0)
        value = max(usage.quantity - self._free_value(usage), ZERO)
        return [
            Charge("percent", value, self.percent / HUNDRED),
            Charge("events", Decimal(paying), self.fixed_per_event),
        ]

    def _free_event_count(self, usage: Usage) -> int:
        """Return how many of the first events are wholly free."""
        counts = []
        if self.free_events:
            counts.append(self.free_events)
        if self.free_units:
            free_units = self.free_units
            counts.append(sum(1 for total in usage.first_totals if total <= free_units))
        return min(counts, default=0)

    def _free_value(self, usage: Usage) -> Decimal:
        """Return how much of the quantity no percentage is due on."""
        values = []
        if self.free_events:
            values.append(self._value_of_first(self.free_events, usage))
        if self.free_units:
            values.append(self.free_units)
        return min(values, default=ZERO)

    @staticmethod
    def _value_of_first(count: int, usage: Usage) -> Decimal:
        if count >= usage.events:
            return usage.quantity
        if len(usage.first_totals) < count:
            raise PriceError(f"The totals of the first {count} events are needed to give them free.")
        return usage.first_totals[count - 1]

    def _event_amounts(self, usage: Usage) -> Iterator[Decimal]:
        """Yield the amount of each event that is not wholly free, within the minimum and maximum."""
        pool = self.free_units or ZERO
        for index, value in enumerate(usage.event_values):
            free = self._free_part(index, value, pool)
            pool -= free or ZERO
            if free is None or free < value:
                yield self._within((value - (free or ZERO)) * self.percent / HUNDRED + self.fixed_per_event)

    def _free_part(self, index: int, value: Decimal, pool: Decimal) -> Decimal | None:
        """Return how much of an event is free while `pool` units still are, or None if nothing is free any more."""
        if self.free_events and index >= self.free_events:
            return None
        if self.free_units:
            return min(value, pool) if pool > 0 else None
        return value if self.free_events else None

    def _within(self, amount: Decimal) -> Decimal:
        if self.min_per_event is not None:
            amount = max(amount, self.min_per_event)
        return amount if self.max_per_event is None else min(amount, self.max_per_event)


@dataclass(frozen=True, slots=True)
class SuppliedAmount:
    """The sender names the amount, in minor units of a currency with `exponent` decimals; no units, no amount."""

    exponent: int = 2

    def charges(self, usage: Usage) -> list[Charge]:
        amount = usage.supplied.scaleb(-self.exponent) if usage.quantity else ZERO
        return [Charge("supplied", usage.quantity, ZERO, amount)]


@dataclass(frozen=True, slots=True)
class Price:
    """A model and what goes around it: convert → round → free units → model → discount → maximum → minimum.

    `free_units` (a usage discount) in priced units, `percent_discount` from 0 to 100, the spends in currency per
    billing period. Raises PriceError for terms that contradict each other.
    """

    model: Model
    conversion: Conversion | None = None
    free_units: Decimal = ZERO
    percent_discount: Decimal = ZERO
    max_spend: Decimal | None = None
    min_spend: Decimal | None = None

    def __post_init__(self) -> None:
        _at_least_zero(free_units=self.free_units, percent_discount=self.percent_discount)
        _at_least_zero(maximum_spend=self.max_spend or ZERO, minimum_spend=self.min_spend or ZERO)
        if self.percent_discount > HUNDRED:
            raise PriceError(f"A discount of {self.percent_discount} % is more than all: use 0 to 100.")
        if self.max_spend is not None and self.min_spend is not None and self.max_spend < self.min_spend:
            raise PriceError("The maximum spend is below the minimum spend: raise it or lower the minimum.")


def _check_tiers(tiers: tuple[Tier, ...]) -> None:
    if not tiers or tiers[-1].up_to is not None:
        raise PriceError("The last tier must be open (up_to null), so that every quantity has a price.")
    borders = [tier.up_to for tier in tiers[:-1]]
    if any(border is None or border <= 0 for border in borders):
        raise PriceError("Only the last tier may be open, and each border must be above zero.")
    if any(lower >= upper for lower, upper in pairwise(border for border in borders if border is not None)):
        raise PriceError("Tiers overlap: each up_to must be above the one before.")
    for tier in tiers:
        _at_least_zero(unit_price=tier.unit, flat_fee=tier.flat)


def _at_least_zero(**amounts: Decimal) -> None:
    for name, amount in amounts.items():
        if not amount.is_finite() or amount < 0:
            raise PriceError(f"The {name.replace('_', ' ')} is {amount}: it must be zero or more.")
