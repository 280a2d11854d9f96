"""Early warnings: what the metrics of an account say before anybody complains, with a sentence and its figures. Pure.

Each kind opens at one level and closes at another, so that it does not come and go with every day. What is not known
neither opens nor closes anything.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

Numbers = Mapping[str, Decimal | None]
WATCH, WARNING, CRITICAL = "watch", "warning", "critical"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of warning. `opens`, `closes` and `grave` compare its metric: ("<", -20) or (">=", 3).

    `grave`: from there on it is critical; None: never. `words` is a sentence with {value} and {name} for the metric's
    value and what it is about; `needs` are other comparisons that must hold for it to open.
    """

    label: str
    metric: str
    opens: tuple[str, float]
    closes: tuple[str, float]
    grave: tuple[str, float] | None
    words: str
    severity: str = WARNING
    needs: tuple[tuple[str, str, float], ...] = ()
    unit: str = "number"


KINDS: dict[str, Kind] = {
    "falling": Kind(
        "Use is falling", "change_28", ("<=", -20), (">", -10), ("<=", -40), "Use fell by {value} in 28 days",
        unit="drop",
    ),
    "falling_week": Kind(
        "A weak week", "change_7", ("<=", -30), (">", -15), None, "Use fell by {value} in a week", WATCH, unit="drop"
    ),
    "failures": Kind(
        "Failures", "success_percent", ("<", 87), (">=", 95), ("<", 75), "{value} of attempts succeed", unit="percent"
    ),
    "reliability": Kind(
        "Below its target", "failing_days", (">=", 3), ("<", 1), (">=", 7),
        "{name} is below its target for {value} days",
    ),
    "pacing_fast": Kind(
        "Ahead of the plan", "pacing", (">", 1.25), ("<", 1.15), (">", 1.6), "Draws at {value} of the plan",
        unit="ratio",
    ),
    "pacing_slow": Kind(
        "Behind the plan", "pacing", ("<", 0.75), (">", 0.85), ("<", 0.5), "Draws at {value} of the plan", unit="ratio"
    ),
    "spend_low": Kind(
        "Spends below plan", "spend_to_plan_percent", ("<", 60), (">", 80), None,
        "Spent {value} of what the plan asks for in 28 days", WATCH, unit="percent",
    ),
    "concentration": Kind(
        "Rests on one workflow", "top_share_percent", (">", 70), ("<", 60), None, "{name} is {value} of spend", WATCH,
        needs=(("spend_28", ">", 0),), unit="percent",
    ),
    "silence": Kind(
        "No use", "silent_days", (">=", 2), ("<", 1), (">=", 7), "No use for {value} days, where daily use is normal"
    ),
    "champion": Kind(
        "Champion gone", "champion_gone", (">=", 1), ("<", 1), None, "The champion has left"
    ),
    "no_login": Kind(
        "Nobody signs in", "seen_days", (">=", 30), ("<", 14), None, "Nobody has signed in for {value} days", WATCH
    ),
    "suppressed": Kind(
        "Demand is held back", "suppressed_percent", (">=", 50), ("<", 10), None,
        "Use runs flat under a cap for {value} of the last 28 days: this is not on track", unit="percent",
    ),
    "sentiment": Kind(
        "They were negative", "sentiment", ("<=", 0), (">", 0), None, "They were negative when last asked"
    ),
    "waste": Kind(
        "Waste", "waste_percent", (">", 15), ("<", 10), (">", 30), "{value} of spend bought nothing", unit="percent"
    ),
}  # fmt: skip

KIND_CHOICES = [(key, kind.label) for key, kind in KINDS.items()]

_COMPARE: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<": lambda value, level: value < level,
    "<=": lambda value, level: value <= level,
    ">": lambda value, level: value > level,
    ">=": lambda value, level: value >= level,
}


@dataclass(frozen=True, slots=True)
class Found:
    """A kind that holds: how grave, the sentence, and the metric's value."""

    kind: str
    severity: str
    headline: str
    value: Decimal


def open_kinds(numbers: Numbers, names: Mapping[str, str], already: frozenset[str] = frozenset()) -> list[Found]:
    """Return the kinds that hold for an account; `already` open ones stay until they close.

    `names`: metric → what it is about, such as the workflow's name.
    """
    found = []
    for key, kind in KINDS.items():
        value = numbers.get(kind.metric)
        if value is None:
            if key in already:
                found.append(Found(key, kind.severity, kind.label, Decimal(0)))
            continue
        holds = not _is(value, kind.closes) if key in already else _is(value, kind.opens) and _needs(kind, numbers)
        if holds:
            severity = CRITICAL if kind.grave is not None and _is(value, kind.grave) else kind.severity
            name = names.get(kind.metric) or "One workflow"
            found.append(Found(key, severity, kind.words.format(value=_shown(value, kind.unit), name=name), value))
    return found


def _is(value: Decimal, rule: tuple[str, float]) -> bool:
    return _COMPARE[rule[0]](value, Decimal(str(rule[1])))


def _needs(kind: Kind, numbers: Numbers) -> bool:
    values = [(numbers.get(name), operator, level) for name, operator, level in kind.needs]
    return all(value is not None and _is(value, (operator, level)) for value, operator, level in values)


def _shown(value: Decimal, unit: str) -> str:
    if unit == "drop":
        return f"{abs(value):.0f}%"
    if unit == "percent":
        return f"{value:.1f}".rstrip("0").rstrip(".") + "%"
    return f"{value * 100:.0f}%" if unit == "ratio" else f"{value:.0f}"
