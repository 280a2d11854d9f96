"""Conditions of plays in words: as a sentence, and compared with what an account's figures are. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from consumption_cs.lib.display import counted, listed, money_text, percent_text, quantity_text
from reviews.calc.conditions import OPERATORS, STATES, History, evaluate
from reviews.calc.metrics import DEFINITIONS

Condition = Mapping[str, Any]
Comparisons = list[list[dict[str, Any]]]  # any of these, of each all

MOST_ALTERNATIVES = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison against an account's figures: “Pacing is 1.31, needs below 1.15”."""

    text: str
    holds: bool
    metric: str


def number_text(metric: str, value: float | Decimal, currency: str = "") -> str:
    """Return a metric's value in its unit, for reading: “1.31”, “54%”, “12 days”, “$4,200”."""
    unit, exact = DEFINITIONS[metric].unit, Decimal(str(value))
    if unit == "money":
        return money_text(exact, currency) if currency else quantity_text(exact)
    if unit == "percent":
        return percent_text(exact / 100, places=0 if exact == exact.to_integral_value() else 1)
    if unit in ("days", "hours"):
        noun = "day" if unit == "days" else "hour"
        is_whole = exact == exact.to_integral_value()
        return counted(int(exact), noun) if is_whole else f"{_short(exact)} {noun}s"
    if unit == "flag":
        return "yes" if exact else "no"
    return _short(exact)


def sentence(condition: Condition | None, currency: str = "") -> str:
    """Return a checked condition as the end of a sentence: “pacing is above 1.25 and …”. None: by hand only."""
    if condition is None:
        return "somebody starts it"
    return _inner(condition, currency, is_top=True)


def _inner(condition: Condition, currency: str, is_top: bool = False) -> str:
    for group, word in (("all", "and"), ("any", "or")):
        if group in condition:
            parts = [_inner(one, currency) for one in condition[group]]
            joined = f" {word} ".join(parts)
            return joined if is_top or len(parts) == 1 else f"({joined})"
    label = _label(condition["metric"])
    if condition["op"] in STATES:
        return f"{label} {STATES[condition['op']]}"
    return f"{label} is {_rule(condition, currency)}{_for_days(condition)}"


def compared(condition: Condition, history: History, currency: str = "") -> list[Line]:
    """Return each comparison of a checked condition with the figure it is compared to, in words."""
    return [_line(one, history, currency) for one in leaves(condition)]


def _line(leaf: Condition, history: History, currency: str) -> Line:
    metric, holds = leaf["metric"], evaluate(leaf, history).holds
    label = DEFINITIONS[metric].label
    values = list(history.get(metric, ()))
    if leaf["op"] in STATES:
        now = "is known" if values and values[-1] is not None else "is not known yet"
        need = "" if holds else f", needs {'a figure' if leaf['op'] == 'known' else 'none'}"
        return Line(f"{label} {now}{need}", holds, metric)
    rule = f"{_rule(leaf, currency)}{_for_days(leaf)}"
    if not values or values[-1] is None:
        return Line(f"{label} is not known, needs {rule}", False, metric)
    now = number_text(metric, values[-1], currency)
    if holds:
        return Line(f"{label} is {now}, {rule}", True, metric)
    so_far = _so_far(leaf, values)
    held = f" ({counted(so_far, 'day')} so far)" if so_far else ""
    return Line(f"{label} is {now}, needs {rule}{held}", False, metric)


def _so_far(leaf: Condition, values: Sequence[float | None]) -> int:
    """Days in a row, up to the last, on which the comparison held; 0 where it is about one day only."""
    if leaf.get("for_days", 1) == 1:
        return 0
    one, count = dict(leaf) | {"for_days": 1}, 0
    for value in reversed(values):
        if not evaluate(one, {leaf["metric"]: [value]}).holds:
            break
        count += 1
    return count


def leaves(condition: Condition) -> Iterator[Condition]:
    """Yield the comparisons of a condition, in order."""
    for group in ("all", "any"):
        if group in condition:
            for one in condition[group]:
                yield from leaves(one)
            return
    yield condition


def days_needed(condition: Condition | None) -> int:
    """Return how many days of history the condition looks at; 0 for none."""
    return max((int(leaf.get("for_days", 1)) for leaf in leaves(condition)), default=1) if condition else 0


def metrics_of(*conditions: Condition | None) -> list[str]:
    """Return the metrics the conditions name, each once."""
    return list(dict.fromkeys(leaf["metric"] for one in conditions if one for leaf in leaves(one)))


def as_alternatives(condition: Condition | None) -> Comparisons:
    """Return a condition as “any of these, of each all”: how people edit it. Raises ValueError when it is too long."""
    found = [] if condition is None else _alternatives(condition)
    if len(found) > MOST_ALTERNATIVES:
        raise ValueError("This condition has too many alternatives to be edited here.")
    return found


def _alternatives(condition: Condition) -> Comparisons:
    if "any" in condition:
        return [one for inner in condition["any"] for one in _alternatives(inner)]
    if "all" in condition:
        found: Comparisons = [[]]
        for inner in condition["all"]:
            found = [before + more for before in found for more in _alternatives(inner)]
        return found
    return [[dict(condition)]]


def from_alternatives(alternatives: Comparisons) -> dict[str, Any] | None:
    """Return the condition that holds when all comparisons of any alternative do; None without any."""
    parts = [{"all": group} if len(group) > 1 else group[0] for group in alternatives if group]
    return None if not parts else parts[0] if len(parts) == 1 else {"any": parts}


def _label(metric: str) -> str:
    label = DEFINITIONS[metric].label
    return label if label.isupper() else label[0].lower() + label[1:]


def _rule(leaf: Condition, currency: str) -> str:
    metric, value, operator = leaf["metric"], leaf["value"], leaf["op"]
    if DEFINITIONS[metric].unit == "flag":
        return "yes" if evaluate(dict(leaf) | {"for_days": 1}, {metric: [1.0]}).holds else "no"
    if operator == "<=" and value == 0 and DEFINITIONS[metric].unit in ("count", "days"):
        return number_text(metric, 0)
    return f"{OPERATORS[operator]} {number_text(metric, value, currency)}"


def _for_days(leaf: Condition) -> str:
    days = int(leaf.get("for_days", 1))
    return f" for {days} days" if days > 1 else ""


def _short(value: Decimal) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:,.0f}"


def told(lines: Sequence[Line]) -> str:
    """Return compared lines as one sentence."""
    return listed([line.text for line in lines]) + "."
