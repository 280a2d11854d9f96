"""The price of a meter as a form: text in boxes, read into terms, with an error in words at the box that has it.

Boxes are named by what they hold, with a prefix for the cells of a price by dimension: `unit`, `t-0-up_to`,
`c-2-percent`. So a form that is sent back half-filled shows exactly what was typed.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from usage.calc.price_check import faults
from usage.calc.price_terms import Terms, number
from usage.calc.prices import PriceError
from usage.forms.price_boxes import (
    AROUND,
    BOXES,
    CHOICES,
    MATRIX,
    ROUNDINGS,
    TIERED,
    Box,
    CellRow,
    Named,
    Part,
    TierRow,
    boxes_of,
    each_of,
    index_in,
    rows_in,
)
from usage.models import Meter


@dataclass
class PriceEditor:
    """What was typed for a meter's price; `read` turns it into terms, or fills `errors` by the name of the box."""

    meter: Meter
    data: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, meter: Meter, terms: Terms | None) -> "PriceEditor":
        """Return the form filled with a price, or empty."""
        return cls(meter, boxes_of(terms, meter.dimensions) if terms else {"model": "unit"})

    @property
    def model(self) -> str:
        chosen = self.data.get("model", "unit")
        return chosen if chosen in CHOICES or (chosen == MATRIX and self.meter.dimensions) else "unit"

    @property
    def choices(self) -> list[tuple[str, str]]:
        by = " and ".join(self.meter.dimensions)
        return [*CHOICES.items(), *([(MATRIX, f"By dimension: {by}")] if by else [])]

    @property
    def cell_choices(self) -> list[tuple[str, str]]:
        return list(CHOICES.items())

    @property
    def has_rest(self) -> bool:
        return self.data.get("rest_on") == "on"

    def read(self) -> Terms | None:
        """Return the terms, or None with `errors` filled."""
        self.errors = {}
        terms = self._matrix() if self.model == MATRIX else self._plain("")
        if self.errors:
            return None
        for fault in faults(terms, self.meter.dimensions):
            self.errors.setdefault("", fault.words)
        return None if self.errors else terms

    def act(self, act: str) -> None:
        """Do what a button of the form asks: add a tier or a cell, or take one away. Unknown acts do nothing."""
        verb, _, where = act.partition(":")
        if verb == "add-tier":
            self.data[f"{where}t-{max(self._count(where + 't'), 1)}-up_to"] = ""
        elif verb == "add-cell":
            self.data[f"c-{max(self._count('c'), 1)}-model"] = "unit"
        elif verb == "drop":
            rows, _, index = where.rpartition("-")
            if index.isdecimal() and rows in self._lists():
                self._drop(rows, int(index))

    @property
    def part(self) -> Part:
        return self._part("", self.model)

    @property
    def cells(self) -> list[CellRow]:
        rows = []
        for index in range(max(self._count("c"), 1)):
            prefix = f"c-{index}-"
            values = [self._box(prefix, Named(f"v-{j}", "", name.capitalize())) for j, name in self._dimensions()]
            rows.append(CellRow(index, values, self._part(prefix, self._inner(prefix))))
        return rows

    @property
    def rest(self) -> Part:
        return self._part("rest-", self._inner("rest-"))

    @property
    def dimensions(self) -> list[tuple[int, str, bool]]:
        """The meter's dimensions with their number, and whether the price is by them: by all, until one is chosen."""
        chosen = {name for name in self.data if name.startswith("by-")}
        return [(j, name, not chosen or f"by-{j}" in chosen) for j, name in enumerate(self.meter.dimensions)]

    def _dimensions(self) -> list[tuple[int, str]]:
        return [(j, name) for j, name, is_on in self.dimensions if is_on]

    def _inner(self, prefix: str) -> str:
        chosen = self.data.get(f"{prefix}model", "unit")
        return chosen if chosen in CHOICES else "unit"

    def _count(self, rows: str) -> int:
        return rows_in(self.data, rows)

    def _lists(self) -> set[str]:
        return {"c", "t", "rest-t", *(f"c-{index}-t" for index in range(self._count("c")))}

    def _drop(self, rows: str, index: int) -> None:
        """Take a row out; those after it move up."""
        moved: dict[str, str] = {}
        for name, value in self.data.items():
            at, tail = index_in(name, rows)
            if at is None or at < index:
                moved[name] = value
            elif at > index:
                moved[f"{rows}-{at - 1}{tail}"] = value
        self.data = moved

    def _text(self, name: str) -> str:
        return self.data.get(name, "").strip()

    def _number(self, name: str, label: str, *, required: bool = False) -> str | None:
        """The number in a box as it is stored, or None if it is empty or wrong."""
        text = self._text(name)
        if not text:
            if required:
                self.errors[name] = f"Fill in: {label.lower()}."
            return None
        try:
            value = number(text, label)
        except PriceError as error:
            hint = " Use a point for decimals and no separators." if "," in text else ""
            self.errors[name] = f"{error}{hint}"
            return None
        if value < 0:
            self.errors[name] = f"{label} is below zero: it must be zero or more."
            return None
        return f"{value:f}"

    def _plain(self, prefix: str) -> dict[str, Any]:
        model = self._inner(prefix)
        params: dict[str, Any] = {}
        if model in TIERED:
            params["tiers"] = self._tiers(prefix, TIERED[model])
        for box in BOXES.get(model, []):
            value = self._number(prefix + box.name, box.label, required=box.required)
            if value is not None:
                params[box.term] = value
        if model == "percentage" and {"min_per_event", "max_per_event"} & set(params):
            model = "percentage_per_event"
        convert = self._conversion(prefix)
        if convert:
            params["convert"] = convert
        terms: dict[str, Any] = {"model": model, "params": params}
        for box in AROUND:
            value = self._number(prefix + box.name, box.label)
            if value is not None:
                terms[box.term] = value
        return terms

    def _conversion(self, prefix: str) -> dict[str, str] | None:
        op = self._text(f"{prefix}op")
        if op not in ("divide", "multiply"):
            return None
        factor = self._number(f"{prefix}factor", "The factor", required=True)
        if factor is not None and Decimal(factor) == 0:
            self.errors[f"{prefix}factor"] = "The factor must be above zero."
        rounding = self._text(f"{prefix}round")
        return {"op": op, "factor": factor or ""} | ({"round": rounding} if rounding in ROUNDINGS and rounding else {})

    def _tiers(self, prefix: str, unit: str) -> list[dict[str, str | None]]:
        count, before = max(self._count(f"{prefix}t"), 1), Decimal(0)
        tiers: list[dict[str, str | None]] = []
        for index in range(count):
            name, is_last = f"{prefix}t-{index}", index == count - 1
            up_to = self._number(f"{name}-up_to", "Up to")
            each = self._number(f"{name}-each", "The price" if unit == "unit" else "The percentage")
            flat = self._number(f"{name}-flat", "The fee")
            if (
                each is None
                and flat is None
                and f"{name}-each" not in self.errors
                and f"{name}-flat" not in self.errors
            ):
                self.errors[f"{name}-each"] = "Say what this tier costs; 0 if it is free."
            before = self._check_border(f"{name}-up_to", up_to, before, is_last=is_last)
            tiers.append({"up_to": up_to, unit: each or "0"} | ({"flat": flat} if flat else {}))
        return tiers

    def _check_border(self, name: str, up_to: str | None, before: Decimal, *, is_last: bool) -> Decimal:
        if name in self.errors:
            return before
        if up_to is None:
            if not is_last:
                self.errors[name] = "Say where this tier ends: only the last one is open."
            return before
        if is_last:
            self.errors[name] = "The last tier has no end: leave this empty, or add a tier after it."
        elif Decimal(up_to) <= before:
            words = "Tiers overlap: this must be above the tier before." if before else "This must be above zero."
            self.errors[name] = words
        return max(before, Decimal(up_to))

    def _matrix(self) -> dict[str, Any]:
        cells = []
        for index in range(max(self._count("c"), 1)):
            prefix = f"c-{index}-"
            values = []
            for j, dimension in self._dimensions():
                values.append(self._text(f"{prefix}v-{j}"))
                if not values[-1]:
                    self.errors[f"{prefix}v-{j}"] = f"Say which {dimension} this price is for."
            cells.append({"values": values, "terms": self._plain(prefix)})
        rest = self._plain("rest-") if self.has_rest else None
        for index, cell in enumerate(cells):
            if cell["values"] in [other["values"] for other in cells[:index]]:
                self.errors.setdefault(f"c-{index}-v-0", "These values have a price above already.")
        return {"matrix": {"dimensions": [name for _, name in self._dimensions()], "cells": cells, "otherwise": rest}}

    def _box(self, prefix: str, named: Named) -> Box:
        name = prefix + named.name
        return Box(
            name, named.label, self.data.get(name, ""), self.errors.get(name, ""), named.hint, required=named.required
        )

    def _part(self, prefix: str, model: str) -> Part:
        tiers = []
        for index in range(max(self._count(f"{prefix}t"), 1) if model in TIERED else 0):
            row = f"{prefix}t-{index}-"
            end, each = f"Tier {index + 1}: up to", f"Tier {index + 1}: " + each_of(model).lower()
            boxes = (
                Named("up_to", "", end),
                Named("each", "", each),
                Named("flat", "", f"Tier {index + 1}: fee once"),
            )
            tiers.append(TierRow(index, *(self._box(row, box) for box in boxes)))
        around = [self._box(prefix, named) for named in AROUND]
        return Part(
            prefix=prefix,
            model=model,
            boxes=[self._box(prefix, named) for named in BOXES.get(model, [])],
            tiers=tiers,
            around=around,
            operation=self._text(f"{prefix}op"),
            factor=self._box(prefix, Named("factor", "", "Factor")),
            rounding=self._text(f"{prefix}round"),
            error=self.errors.get(prefix, ""),
            each=each_of(model),
            has_more=any(box.value or box.error for box in around) or bool(self._text(f"{prefix}op")),
        )
