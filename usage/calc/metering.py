"""What a meter reads from an event's data: quantity, outcome, success, attempt, workflow, environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any

import msgspec

from usage.calc import limits
from usage.calc.cloudevents import canonical_json
from usage.calc.quantities import BadQuantity, Quantity, plain_text, read_quantity

PRODUCTION = "production"
WORKFLOW_CHARS = 200
ENVIRONMENT_CHARS = 64
VALUE_CHARS = 512

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_EXACT = Context(prec=limits.NUMBER_CHARS)
_YES_NO = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class MeterRule:
    """A meter as this module needs it. `filters` maps a property to the values that count, as JSON texts."""

    id: str
    aggregation: str
    value_property: str = "quantity"
    workflow_property: str = "workflow"
    success_property: str = "success"
    outcome_property: str = "outcome"
    attempt_property: str = "attempt"
    environment_property: str = "environment"
    filters: Mapping[str, frozenset[str]] = field(default_factory=dict)
    dimensions: tuple[str, ...] = ()


class Reading(msgspec.Struct):
    """One event as its meter sees it. `counted` is False for sandboxes and for what the filters keep out."""

    quantity: Quantity
    outcomes: Quantity | None
    succeeded: bool | None
    attempt: int | None
    workflow: str | None
    environment: str
    counted: bool
    value: str | None
    group: str


def read_usage(rule: MeterRule, data: Mapping[str, Any]) -> Reading:
    """Apply a meter to an event's data. Raises BadQuantity when the meter's value is missing or is none.

    Only the value is strict, for it is billed. An outcome, success or attempt that cannot be read counts as not
    given; the data is kept as sent.
    """
    value = None
    if rule.aggregation == "count":
        quantity: Quantity = 1
    elif rule.aggregation == "unique":
        quantity, value = 1, _text_of_value(data.get(rule.value_property))
    else:
        quantity = read_quantity(data.get(rule.value_property))
    environment = data.get(rule.environment_property)
    environment = PRODUCTION if environment is None else _environment(environment)
    succeeded = data.get(rule.success_property)
    workflow = data.get(rule.workflow_property)
    return Reading(
        quantity,
        read_outcome(data.get(rule.outcome_property)),
        succeeded if succeeded is None or type(succeeded) is bool else _success(succeeded),
        read_attempt(data.get(rule.attempt_property)),
        None if workflow is None else workflow_key(workflow),
        environment,
        environment == PRODUCTION and (not rule.filters or _passes(rule.filters, data)),
        value,
        group_of(rule.dimensions, data) if rule.dimensions else "",
    )


def json_text(value: object) -> str:
    """A JSON value as canonical text, so that values can be compared across types."""
    return canonical_json(value).decode()


def group_of(dimensions: tuple[str, ...], data: Mapping[str, Any]) -> str:
    """The group that an event falls into: canonical JSON of the dimensions that it names."""
    return json_text({name: _whole(data[name]) for name in dimensions if name in data})


def _whole(value: Any) -> Any:
    """1E+2 as 100: that is how the event's stored data, from which a correction reads the group again, has it."""
    if type(value) is Decimal and 0 < value.as_tuple().exponent <= limits.NUMBER_CHARS:  # type: ignore[operator]
        return int(value)
    return value


def workflow_key(value: object) -> str | None:
    """A workflow's key: at most 200 characters on one line. None when the event names none."""
    if type(value) is str:
        text = value if value.isprintable() else _CONTROL.sub(" ", value)
        return text[:WORKFLOW_CHARS].strip() or None
    return json_text(value) if type(value) in (int, Decimal) else None


def read_outcome(value: object) -> Quantity | None:
    """How many outcomes an event says it produced; true is one."""
    if value is None:
        return None
    if type(value) is bool:
        return int(value)
    try:
        return read_quantity(value)
    except BadQuantity:
        return None


def read_attempt(value: object) -> int | None:
    """The number of the attempt, if it is one that makes sense."""
    return value if type(value) is int and 0 <= value < 2**31 else None


def _success(value: object) -> bool | None:
    if type(value) is int and value in (0, 1):
        return value == 1
    return _YES_NO.get(value.lower()) if type(value) is str else None


def _environment(value: object) -> str:
    """In lower case on one line. Whatever is not plainly production is not billed."""
    text = value if type(value) is str else json_text(value)
    return _CONTROL.sub(" ", text).strip().lower()[:ENVIRONMENT_CHARS]


def _passes(filters: Mapping[str, frozenset[str]], data: Mapping[str, Any]) -> bool:
    return all(name in data and json_text(data[name]) in allowed for name, allowed in filters.items())


def _text_of_value(value: object) -> str:
    """The value whose different ones are counted: a text or a number that is not too long."""
    if type(value) is str and 0 < len(value) <= VALUE_CHARS:
        return value
    if type(value) is int:
        return str(value)
    if type(value) is Decimal:
        return plain_text(value.normalize(_EXACT)) if abs(value.adjusted()) < VALUE_CHARS else json_text(value)
    raise BadQuantity("invalid_quantity")
