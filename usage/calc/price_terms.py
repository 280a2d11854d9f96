"""Price terms as they are stored and sent (JSON with decimals as strings) read into prices. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from consumption_cs.lib.money import RoundingMode
from usage.calc.conversion import Conversion, ConversionError
from usage.calc.prices import (
    HUNDRED,
    ZERO,
    Graduated,
    Model,
    Package,
    Percentage,
    Price,
    PriceError,
    SuppliedAmount,
    Tier,
    Unit,
    Volume,
)

MAX_DIGITS, MAX_DECIMALS = 20, 12
Terms = Mapping[str, object]

_NUMBER = re.compile(r"-?(\d+)(?:\.(\d+))?", re.ASCII)
_ROUNDINGS: dict[object, RoundingMode | None] = {
    None: None, "none": None, "ceil": "ceil", "floor": "floor", "half_up": "half_up",
}  # fmt: skip


def number(value: object, name: str) -> Decimal:
    """Return a decimal string, an int or a Decimal as a Decimal; `name` is how the message calls it.

    Raises PriceError for a float (it has lost digits already), for anything that is not plain digits, and for more
    than 20 digits before or 12 after the point.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise PriceError(f"{name} is {value!r}: write a number as a decimal string such as '0.25'.")
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    match = _NUMBER.fullmatch(text)
    if not match:
        raise PriceError(f"{name} is {text[:40]!r}: write a number with plain digits such as 0.25.")
    if len(match[1]) > MAX_DIGITS:
        raise PriceError(f"{name} has {len(match[1])} digits before the point: {MAX_DIGITS} is the most.")
    if len(match[2] or "") > MAX_DECIMALS:
        raise PriceError(f"{name} has {len(match[2])} decimals: {MAX_DECIMALS} is the most; price a thousand units.")
    return Decimal(text)


def price_from(terms: Terms) -> Price:
    """Return the price that `terms` describe.

    Keys: `model` (see MODELS), `params` of the model with an optional `convert`, and around it `usage_discount` or
    `free_units`, `percent_discount`, `max_spend`, `min_spend`. Keys that it does not know are left alone; see
    `unknown_terms`. Raises PriceError with the name of the term that is missing or wrong.
    """
    params = _mapping(terms.get("params", {}), "params")
    name = terms.get("model")
    if not isinstance(name, str) or name not in MODELS:
        raise PriceError(f"The price model is {name!r}: use one of {', '.join(sorted(MODELS))}.")
    return Price(
        MODELS[name](params),
        conversion=_conversion(params),
        free_units=_free_units(terms),
        percent_discount=_optional(terms, "percent_discount") or ZERO,
        max_spend=_optional(terms, "max_spend"),
        min_spend=_optional(terms, "min_spend"),
    )


def unknown_terms(terms: Terms) -> list[str]:
    """Return the names in `terms` that mean nothing to its model, sorted: slips that must not be priced."""
    params = _mapping(terms.get("params", {}), "params")
    known = _KNOWN_PARAMS.get(str(terms.get("model")), frozenset()) | {"convert"}
    return sorted([*(set(terms) - _KNOWN), *(f"params.{name}" for name in set(params) - known)])


def _unit(params: Terms) -> Model:
    return Unit(_required(params, "unit"))


def _multiplier(params: Terms) -> Model:
    return Unit(_required(params, "factor"))


def _graduated(params: Terms) -> Model:
    return Graduated(_tiers(params, "unit"))


def _volume(params: Terms) -> Model:
    return Volume(_tiers(params, "unit"))


def _graduated_percentage(params: Terms) -> Model:
    tiers = _tiers(params, "percent")
    return Graduated(tuple(Tier(tier.up_to, tier.unit / HUNDRED, tier.flat) for tier in tiers))


def _package(params: Terms) -> Model:
    free_units = _optional(params, "free_units") or ZERO
    return Package(_required(params, "size"), _required(params, "price"), free_units)


def _percentage(params: Terms) -> Model:
    return Percentage(
        _required(params, "percent"),
        _optional(params, "fixed_per_event") or ZERO,
        free_events=_whole(params, "free_events"),
        free_units=_optional(params, "free_units"),
    )


def _percentage_per_event(params: Terms) -> Model:
    return Percentage(
        _required(params, "percent"),
        _optional(params, "fixed_per_event") or ZERO,
        free_events=_whole(params, "free_events"),
        free_units=_optional(params, "free_units"),
        # A minimum of zero changes nothing but makes each event be priced by itself.
        min_per_event=_optional(params, "min_per_event") or ZERO,
        max_per_event=_optional(params, "max_per_event"),
    )


def _supplied_amount(params: Terms) -> Model:
    exponent = _whole(params, "exponent")
    return SuppliedAmount(2 if exponent is None else exponent)


MODELS: dict[str, Callable[[Terms], Model]] = {
    "unit": _unit,
    "multiplier": _multiplier,
    "graduated": _graduated,
    "volume": _volume,
    "graduated_percentage": _graduated_percentage,
    "package": _package,
    "percentage": _percentage,
    "percentage_per_event": _percentage_per_event,
    "supplied_amount": _supplied_amount,
}
_KNOWN = {"model", "params", "usage_discount", "free_units", "percent_discount", "max_spend", "min_spend"}
_PERCENTAGE = {"percent", "fixed_per_event", "free_events", "free_units"}
_KNOWN_PARAMS: dict[str, frozenset[str]] = {
    "unit": frozenset({"unit"}),
    "multiplier": frozenset({"factor"}),
    "graduated": frozenset({"tiers"}),
    "volume": frozenset({"tiers"}),
    "graduated_percentage": frozenset({"tiers"}),
    "package": frozenset({"size", "price", "free_units"}),
    "percentage": frozenset(_PERCENTAGE),
    "percentage_per_event": frozenset(_PERCENTAGE | {"min_per_event", "max_per_event"}),
    "supplied_amount": frozenset({"exponent"}),
}


def _free_units(terms: Terms) -> Decimal:
    return (_optional(terms, "usage_discount") or ZERO) + (_optional(terms, "free_units") or ZERO)


def _conversion(params: Terms) -> Conversion | None:
    if params.get("convert") is None:
        return None
    convert = _mapping(params["convert"], "convert")
    op, rounding = convert.get("op"), convert.get("round")
    if op not in ("multiply", "divide"):
        raise PriceError(f"convert.op is {op!r}: use multiply or divide.")
    if rounding is not None and (not isinstance(rounding, str) or rounding not in _ROUNDINGS):
        raise PriceError(f"convert.round is {rounding!r}: use ceil, floor, half_up or none.")
    try:
        return Conversion(
            "multiply" if op == "multiply" else "divide",
            _required(convert, "factor"),
            _ROUNDINGS[rounding],
            _whole(convert, "precision") or 0,
        )
    except ConversionError as error:
        raise PriceError(f"convert: {error}") from error


def _tiers(params: Terms, unit: str) -> tuple[Tier, ...]:
    rows = params.get("tiers")
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise PriceError("tiers is missing: give a list of up_to, a price and a flat fee.")
    tiers = [_mapping(row, f"tiers[{index}]") for index, row in enumerate(rows)]
    return tuple(
        Tier(_optional(tier, "up_to"), _optional(tier, unit) or ZERO, _optional(tier, "flat") or ZERO)
        for tier in tiers
    )


def _mapping(value: object, name: str) -> Terms:
    if not isinstance(value, Mapping):
        raise PriceError(f"{name} is {value!r}: give an object with named terms.")
    return value


def _required(terms: Terms, name: str) -> Decimal:
    if terms.get(name) is None:
        raise PriceError(f"{name} is missing.")
    return number(terms[name], name)


def _optional(terms: Terms, name: str) -> Decimal | None:
    return None if terms.get(name) is None else number(terms[name], name)


def _whole(terms: Terms, name: str) -> int | None:
    value = _optional(terms, name)
    if value is None:
        return None
    if value != value.to_integral_value() or value < 0:
        raise PriceError(f"{name} is {value}: give a whole number of zero or more.")
    return int(value)
