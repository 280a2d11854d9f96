"""Whether the terms of a price can be published: every fault by the term it is in, in words. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from usage.calc.price_terms import Terms, price_from, unknown_terms
from usage.calc.prices import PriceError

MOST_CELLS = 200
MOST_TIERS = 50


class Fault(NamedTuple):
    """What is wrong with which term; `where` is a path such as matrix.cells.2.terms."""

    where: str
    words: str


def faults(terms: Terms, dimensions: Sequence[str]) -> list[Fault]:
    """Return all that keeps `terms` from being a price of a meter with those dimensions; none if it is one."""
    if not isinstance(terms, Mapping):
        return [Fault("terms", "A price is an object with a model and its params, or with a matrix.")]
    if "matrix" in terms:
        others = sorted(set(terms) - {"matrix"})
        words = f"A matrix price has nothing beside its matrix: move {', '.join(others)} into its cells."
        return [*([Fault("", words)] if others else []), *_matrix_faults(terms["matrix"], dimensions)]
    return list(_plain_faults(terms, ""))


def _plain_faults(terms: Terms, where: str) -> Iterator[Fault]:
    try:
        unknown = unknown_terms(terms)
        price_from(terms)
    except PriceError as error:
        yield Fault(where, str(error))
        return
    if unknown:
        yield Fault(where, f"{', '.join(unknown)} means nothing to this price model: remove it or correct its name.")
    params = terms.get("params", {})
    tiers = params.get("tiers") if isinstance(params, Mapping) else None
    if isinstance(tiers, Sequence) and len(tiers) > MOST_TIERS:
        yield Fault(where, f"{len(tiers)} tiers are too many: {MOST_TIERS} is the most.")


def _matrix_faults(matrix: object, dimensions: Sequence[str]) -> list[Fault]:
    if not isinstance(matrix, Mapping):
        return [Fault("matrix", "A matrix has dimensions, cells and a price for all others.")]
    names, cells = matrix.get("dimensions"), matrix.get("cells")
    found = list(_name_faults(names, dimensions))
    if not isinstance(cells, Sequence) or isinstance(cells, str) or not cells:
        return [*found, Fault("matrix.cells", "Add at least one cell: the values and what they cost.")]
    if len(cells) > MOST_CELLS:
        return [*found, Fault("matrix.cells", f"{len(cells)} cells are too many: {MOST_CELLS} is the most.")]
    count = len(names) if isinstance(names, Sequence) else 0
    seen: dict[tuple[str, ...], int] = {}
    for index, cell in enumerate(cells):
        found += _cell_faults(cell, index, count, seen)
    rest = matrix.get("otherwise")
    if rest is not None:
        found += _inner_faults(rest, "matrix.otherwise")
    return found


def _name_faults(names: object, dimensions: Sequence[str]) -> Iterator[Fault]:
    if not isinstance(names, Sequence) or isinstance(names, str) or not names:
        yield Fault("matrix.dimensions", "Name at least one dimension to price by.")
        return
    for name in names:
        if name not in dimensions:
            has = f"it is broken down by {', '.join(dimensions)}" if dimensions else "it has no dimensions"
            yield Fault("matrix.dimensions", f"The meter has no dimension “{name}”: {has}.")
    if len(set(map(str, names))) < len(names):
        yield Fault("matrix.dimensions", "Name each dimension once.")


def _cell_faults(cell: object, index: int, count: int, seen: dict[tuple[str, ...], int]) -> list[Fault]:
    where = f"matrix.cells.{index}"
    values = cell.get("values") if isinstance(cell, Mapping) else None
    if not isinstance(cell, Mapping) or not isinstance(values, Sequence) or isinstance(values, str):
        return [Fault(where, "A cell has a list of values and terms.")]
    found = []
    texts = tuple(str(value) for value in values)
    if len(texts) != count or not all(texts):
        found.append(Fault(f"{where}.values", "Give a value for each dimension."))
    elif texts in seen:
        found.append(Fault(f"{where}.values", f"{' / '.join(texts)} has a price in row {seen[texts] + 1} already."))
    seen.setdefault(texts, index)
    return found + _inner_faults(cell.get("terms"), f"{where}.terms")


def _inner_faults(terms: object, where: str) -> list[Fault]:
    if not isinstance(terms, Mapping) or "matrix" in terms:
        return [Fault(where, "A cell’s price has a model and its params.")]
    return list(_plain_faults(terms, where))
