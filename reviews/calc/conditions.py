"""When a play begins and ends, and why: conditions over metrics, written as data and told in words. Pure.

A condition is {"metric": name, "op": ">", "value": 1.25, "for_days": 14}, or {"all": […]}, or {"any": […]}. What is
not known never satisfies a comparison; {"metric": name, "op": "known"} and "unknown" ask just that, of measured days.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OPERATORS = {">": "above", ">=": "at least", "<": "below", "<=": "at most", "=": "exactly"}
STATES = {"known": "is known", "unknown": "is not known"}
MOST_DEPTH = 4

# Metric → its values, one a day, the newest last; None: not known on that day.
History = Mapping[str, Sequence[float | None]]


class ConditionError(ValueError):
    """The condition cannot be read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether it holds, and why or why not: one line for each comparison."""

    holds: bool
    because: tuple[str, ...]


def check(condition: Any, metrics: Sequence[str], depth: int = 0) -> None:
    """Raise ConditionError unless the condition can be read and names metrics that there are."""
    if not isinstance(condition, dict) or depth > MOST_DEPTH:
        raise ConditionError("A condition is a comparison, or “all” or “any” of a few.")
    groups = [name for name in ("all", "any") if name in condition]
    if groups:
        inner = condition[groups[0]]
        if len(condition) != 1 or not isinstance(inner, list) or not inner:
            raise ConditionError(f"“{groups[0]}” stands alone and holds at least one condition.")
        for one in inner:
            check(one, metrics, depth + 1)
    else:
        _check_comparison(condition, metrics)


def _check_comparison(condition: Mapping[str, Any], metrics: Sequence[str]) -> None:
    if condition.get("metric") not in metrics:
        raise ConditionError(f"“{condition.get('metric')}” is no metric.")
    if condition.get("op") in STATES:
        return
    if condition.get("op") not in OPERATORS:
        raise ConditionError(f"Compare with one of {', '.join(OPERATORS)}.")
    if not _is_number(condition.get("value")):
        raise ConditionError("Compare with a number.")
    days = condition.get("for_days", 1)
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= 365:
        raise ConditionError("A condition holds for 1 to 365 days.")


def evaluate(condition: Mapping[str, Any], history: History) -> Outcome:
    """Return whether a checked condition holds at the end of the history."""
    for group, decides in (("all", all), ("any", any)):
        if group in condition:
            inner = [evaluate(one, history) for one in condition[group]]
            return Outcome(decides(one.holds for one in inner), tuple(line for one in inner for line in one.because))
    return _compare(condition, history)


def _compare(condition: Mapping[str, Any], history: History) -> Outcome:
    name, operator = condition["metric"], condition["op"]
    if operator in STATES:
        seen = list(history.get(name, ()))[-1:]
        is_known = bool(seen) and seen[0] is not None
        holds = is_known if operator == "known" else bool(seen) and not is_known
        return Outcome(holds, (f"{name} {STATES['known' if is_known else 'unknown']}",))
    wanted = float(condition["value"])
    days = int(condition.get("for_days", 1))
    values = list(history.get(name, ()))[-days:]
    rule = f"{OPERATORS[operator]} {_number(wanted)}" + (f" for {days} days" if days > 1 else "")
    latest = values[-1] if values else None
    if latest is None:
        return Outcome(False, (f"{name} is not known; needed {rule}",))
    known = [value for value in values if value is not None]
    holds = len(known) == days and all(_is_true(value, operator, wanted) for value in known)
    return Outcome(holds, (f"{name} is {_number(latest)}, {'' if holds else 'not '}{rule}",))


def _is_true(value: float, operator: str, wanted: float) -> bool:
    if operator == ">":
        return value > wanted
    if operator == ">=":
        return value >= wanted
    if operator == "<":
        return value < wanted
    return value <= wanted if operator == "<=" else value == wanted


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value and abs(value) < 1e15


def _number(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")
