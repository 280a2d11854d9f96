"""Which price is in force: dated versions, an account's own prices, prices by dimension, credits. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from consumption_cs.lib.money import EXACT, Money
from consumption_cs.lib.periods import Period, as_utc
from usage.calc.prices import Price, PriceError


@dataclass(frozen=True, slots=True)
class Version:
    """A price of a meter from `effective_at` to just before `ends_at` (None: until the next version).

    `account` None is the card's price for everyone; otherwise the account's own, which comes first.
    """

    meter: str
    price: Price
    effective_at: datetime
    ends_at: datetime | None = None
    account: str | None = None

    def is_in_force(self, moment: datetime) -> bool:
        return as_utc(self.effective_at) <= moment and (self.ends_at is None or moment < as_utc(self.ends_at))


def check_versions(versions: Iterable[Version]) -> None:
    """Raise PriceError if two versions of one meter (and account) are in force together, or one ends too early."""
    ordered = sorted(versions, key=lambda one: (one.meter, one.account or "", as_utc(one.effective_at)))
    for version in ordered:
        if version.ends_at is not None and as_utc(version.ends_at) <= as_utc(version.effective_at):
            raise PriceError(f"A price of {version.meter} ends before it begins: move its end or its beginning.")
    for first, second in pairwise(ordered):
        if (first.meter, first.account) != (second.meter, second.account):
            continue
        same_start = as_utc(first.effective_at) == as_utc(second.effective_at)
        if same_start or (first.ends_at is not None and as_utc(first.ends_at) > as_utc(second.effective_at)):
            start = second.effective_at.isoformat()
            raise PriceError(f"Two prices of {second.meter} overlap from {start}: end the first or move the second.")


def price_at(versions: Iterable[Version], meter: str, moment: datetime, account: str | None = None) -> Price:
    """Return the price of `meter` at `moment`: the account's own if one is in force, else the card's latest.

    Raises PriceError when there is none, so that usage is never priced at zero by accident.
    """
    moment = as_utc(moment)
    found = [
        version
        for version in versions
        if version.meter == meter and version.account in (None, account) and version.is_in_force(moment)
    ]
    if not found:
        raise PriceError(f"{meter} has no price at {moment.isoformat()}: add one to the rate card.")
    return max(found, key=lambda version: (version.account is not None, as_utc(version.effective_at))).price


def price_changes(
    versions: Sequence[Version], meter: str, period: Period, account: str | None = None
) -> list[tuple[Period, Price]]:
    """Return the stretches of `period` with the price of each, in order. Raises PriceError where there is none."""
    moments = {period.start, period.end}
    for version in versions:
        if version.meter == meter and version.account in (None, account):
            borders = (version.effective_at, version.ends_at)
            moments |= {as_utc(border) for border in borders if border and period.contains(as_utc(border))}
    stretches: list[tuple[Period, Price]] = []
    for start, end in pairwise(sorted(moments)):
        price = price_at(versions, meter, start, account)
        if stretches and stretches[-1][1] == price:
            stretches[-1] = (Period(stretches[-1][0].start, end), price)
        else:
            stretches.append((Period(start, end), price))
    return stretches


@dataclass(frozen=True, slots=True)
class Matrix:
    """Prices by dimension, such as region and model: each cell counts its own tiers. `otherwise` prices the rest."""

    dimensions: tuple[str, ...]
    cells: Mapping[tuple[str, ...], Price]
    otherwise: Price | None = None

    def __post_init__(self) -> None:
        if any(len(cell) != len(self.dimensions) for cell in self.cells):
            raise PriceError(f"Each cell needs a value for {', '.join(self.dimensions)}.")

    def price_for(self, values: Mapping[str, str]) -> Price:
        """Return the price of the cell that `values` (dimension → value) name, or what prices the rest.

        Raises PriceError when neither exists.
        """
        cell = tuple(values.get(dimension, "") for dimension in self.dimensions)
        price = self.cells.get(cell, self.otherwise)
        if price is None:
            raise PriceError(f"{' / '.join(cell)} has no price: add the cell, or a price for all others.")
        return price


def credits_worth(credits: Decimal, per_credit: Decimal, currency: str) -> Money:
    """Return what `credits` are worth at `per_credit` (units of `currency` for one credit), not rounded.

    Raises PriceError if a credit is worth nothing or less.
    """
    if not per_credit.is_finite() or per_credit <= 0:
        raise PriceError(f"A credit cannot be worth {per_credit} {currency}: set a rate above zero.")
    return Money(EXACT.multiply(credits, per_credit), currency)
