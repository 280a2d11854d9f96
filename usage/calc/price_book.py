"""Which price is in force for an account's meter on a day, and in which cell of a matrix some usage counts. Pure."""

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from usage.calc.cloudevents import canonical_json
from usage.calc.price_terms import Terms, price_from
from usage.calc.prices import Percentage, Price, PriceError
from usage.calc.rate_card import Matrix


def read_terms(terms: Terms) -> Price | Matrix:
    """Return the price that stored terms describe; a matrix has a price for each of its cells.

    A matrix: `{"matrix": {"dimensions": ["region"], "cells": [{"values": ["eu"], "terms": {…}}], "otherwise": {…}}}`,
    `otherwise` null or left out when nothing else has a price. Any other terms are what `price_from` reads. Raises
    PriceError with the name of the term that is missing or wrong.
    """
    if "matrix" not in terms:
        return price_from(terms)
    matrix = terms["matrix"]
    if not isinstance(matrix, Mapping):
        raise PriceError("matrix: give its dimensions and its cells.")
    dimensions = tuple(str(name) for name in _list_of(matrix, "dimensions"))
    if not dimensions:
        raise PriceError("matrix.dimensions is empty: name at least one dimension of the meter.")
    cells: dict[tuple[str, ...], Price] = {}
    for index, cell in enumerate(_list_of(matrix, "cells")):
        values, price = _cell(cell, f"matrix.cells[{index}]")
        if values in cells:
            raise PriceError(f"matrix.cells[{index}]: {' / '.join(values)} has a price already.")
        cells[values] = price
    otherwise = matrix.get("otherwise")
    return Matrix(dimensions, cells, None if otherwise is None else _price(otherwise, "matrix.otherwise"))


def _cell(cell: object, name: str) -> tuple[tuple[str, ...], Price]:
    if not isinstance(cell, Mapping):
        raise PriceError(f"{name}: give the values of the dimensions, and terms.")
    return tuple(str(value) for value in _list_of(cell, "values")), _price(cell.get("terms"), f"{name}.terms")


def _price(terms: object, name: str) -> Price:
    if not isinstance(terms, Mapping):
        raise PriceError(f"{name} is missing.")
    try:
        return price_from(terms)
    except PriceError as error:
        raise PriceError(f"{name}: {error}") from error


def _list_of(terms: Mapping[str, object], name: str) -> Sequence[object]:
    value = terms.get(name)
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise PriceError(f"{name} is missing: give a list.")
    return value


class Dated(NamedTuple):
    """A price of a meter from a local day on; `account` None is the organization's own. `terms` is JSON text."""

    id: str
    meter: str
    account: str | None
    currency: str
    effective_on: date
    terms: str


class InForce(NamedTuple):
    """The price that is in force; `price` None when its terms cannot be read: what it should price is unpriced."""

    id: str
    price: Price | Matrix | None

    def cell_of(self, group: str) -> str:
        """Return the cell in which usage of this group counts: empty unless the price is a matrix."""
        return cell_of(self.price.dimensions, group) if isinstance(self.price, Matrix) else ""

    def price_of(self, cell: str) -> Price | None:
        """Return the price of a cell, or None when it has none."""
        return _price_of_cell(self.price, cell) if isinstance(self.price, Matrix) else self.price

    @property
    def prices(self) -> list[Price]:
        """Every price in it."""
        if isinstance(self.price, Matrix):
            rest = [self.price.otherwise] if self.price.otherwise else []
            return [*self.price.cells.values(), *rest]
        return [self.price] if self.price else []

    @property
    def events_needed(self) -> int:
        """How many of a period's first events the amount depends on, beside their sums; EVERY for all of them."""
        needed = max((events_needed(price) for price in self.prices), default=0)
        return EVERY if needed and isinstance(self.price, Matrix) else needed

    @property
    def needs_events(self) -> bool:
        """Whether the amount depends on single events, not only on their sums."""
        return self.events_needed > 0


EVERY = 2**62


def events_needed(price: Price) -> int:
    """Return how many first events a price must see singly: those that are free, or all that it prices by itself."""
    model = price.model
    if not isinstance(model, Percentage):
        return 0
    if model.is_per_event or (model.free_units and model.fixed_per_event and not model.free_events):
        return EVERY
    return model.free_events or 0


def needs_events(price: Price) -> bool:
    """Whether an amount at this price depends on single events, not only on their sums."""
    return events_needed(price) > 0


def is_per_event(price: Price) -> bool:
    """Whether each event is priced by itself, within a least or most."""
    return isinstance(price.model, Percentage) and price.model.is_per_event


@lru_cache(maxsize=65_536)
def cell_of(dimensions: tuple[str, ...], group: str) -> str:
    """Return the canonical text of a group's values of these dimensions; one that it does not name is left out."""
    values = _values(group)
    return canonical_json({name: values[name] for name in dimensions if name in values}).decode()


def _price_of_cell(matrix: Matrix, cell: str) -> Price | None:
    values = {name: value if isinstance(value, str) else _text(value) for name, value in _values(cell).items()}
    try:
        return matrix.price_for(values)
    except PriceError:
        return None


def _values(text: str) -> dict[str, object]:
    values = json.loads(text, parse_float=Decimal) if text else {}
    return values if isinstance(values, dict) else {}


def _text(value: object) -> str:
    return canonical_json(value).decode()


@lru_cache(maxsize=4096)
def _read(terms: str) -> Price | Matrix | None:
    loaded = json.loads(terms, parse_float=Decimal)
    try:
        return read_terms(loaded) if isinstance(loaded, Mapping) else None
    except PriceError:
        return None


class PriceBook:
    """Finds the price in force. An account's own price beats the organization's from its first day on."""

    def __init__(self, prices: Iterable[Dated]) -> None:
        self._steps: dict[tuple[str, str | None, str], list[tuple[date, InForce]]] = defaultdict(list)
        self._own: dict[tuple[str, str], set[str]] = defaultdict(set)
        for dated in sorted(prices, key=lambda dated: dated.effective_on):
            in_force = InForce(dated.id, _read(dated.terms))
            self._steps[dated.meter, dated.account, dated.currency].append((dated.effective_on, in_force))
            if dated.account is not None:
                self._own[dated.account, dated.currency].add(dated.meter)
        needed = {key: max(one.events_needed for _, one in steps) for key, steps in self._steps.items()}
        self._by_events = {key: number for key, number in needed.items() if number}

    def on(self, day: date, meter: str, account: str, currency: str) -> InForce | None:
        """Return the price in force on the local `day`, or None when there is none in that currency."""
        for owner in (account, None):
            steps = self._steps.get((meter, owner, currency))
            if steps:
                in_force = bisect_right(steps, day, key=lambda step: step[0])
                if in_force:
                    return steps[in_force - 1][1]
        return None

    def own_meters(self, account: str, currency: str) -> set[str]:
        """Return the meters for which the account has prices of its own."""
        return self._own.get((account, currency), set())

    def events_needed(self, account: str, currency: str) -> dict[str, int]:
        """Return the meters of which some price, past or present, needs single events, and how many of the first."""
        meters: dict[str, int] = {}
        for (meter, owner, kept), number in self._by_events.items():
            if kept == currency and owner in (None, account):
                meters[meter] = max(number, meters.get(meter, 0))
        return meters
