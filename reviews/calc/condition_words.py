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
# Labels that do not stand well before “is”.
_SPOKEN = {
    "waiting_days": "Wait for a first billable event",
    "run_out_p10": "Early run-out",
    "run_out_p50": "Likely run-out",
    "run_out_p90": "Late run-out",
    "month_end_p10": "Low month end",
    "month_end_p90": "High month end",
    "top_share_percent": "Share of the largest workflow",
    "open_spikes": "Number of open spikes",
    "open_alerts": "Number of open alerts",
}


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
        places = 0 if exact == exact.to_integral_value() else None
        return money_text(exact, currency, places=places) if currency else quantity_text(exact)
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
    label = _spoken(condition["metric"])
    label = label if label.isupper() else label[0].lower() + label[1:]
    if condition["op"] in STATES:
        return f"{label} {STATES[condition['op']]}"
    return f"{label} is {_rule(condition, currency)}{_for_days(condition)}"


def compared(condition: Condition, history: History, currency: str = "") -> list[Line]:
    """Return each comparison of a checked condition with the figure it is compared to, in words."""
    return [_line(one, history, currency) for one in leaves(condition)]


def _line(leaf: Condition, history: History, currency: str) -> Line:
    metric, holds = leaf["metric"], evaluate(leaf, history).holds
    label = _spoken(metric)
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
        return Line(f"{label} is {now}" if rule == now else f"{label} is {now}, {rule}", True, metric)
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
    groups = [group for group in alternatives if group]
    if not groups:
        return None
    shared = [one for one in groups[0] if all(one in group for group in groups[1:])]
    rests = [[one for one in group if one not in shared] for group in groups]
    if not all(rests):  # one of them asks for no more than what they share
        return _all_of(shared)
    return _all_of([*shared, {"any": [_all_of(rest) for rest in rests]} if len(rests) > 1 else _all_of(rests[0])])


def _all_of(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"all": parts} if len(parts) > 1 else parts[0]


def _spoken(metric: str) -> str:
    return _SPOKEN.get(metric, DEFINITIONS[metric].label)


def _rule(leaf: Condition, currency: str) -> str:
    metric, value, operator = leaf["metric"], leaf["value"], leaf["op"]
    if DEFINITIONS[metric].unit == "flag":
        return "yes" if evaluate(dict(leaf) | {"for_days": 1}, {metric: [1.0]}).holds else "no"
    if operator == "<=" and value == 0 and DEFINITIONS[metric].unit in ("count", "days", "money"):
        return number_text(metric, 0, currency)
    return f"{OPERATORS[operator]} {number_text(metric, value, currency)}"


def _for_days(leaf: Condition) -> str:
    days = int(leaf.get("for_days", 1))
    return f" for {days} days" if days > 1 else ""


def _short(value: Decimal) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:,.0f}"


def told(lines: Sequence[Line]) -> str:
    """Return compared lines as one sentence."""
    return listed([line.text for line in lines]) + "."
