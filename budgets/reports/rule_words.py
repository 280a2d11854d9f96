"""The rules of a budget as sentences with a number in them: for forms, pages and the list of versions."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

from budgets.models import BudgetRule
from consumption_cs.lib.display import listed, money_text, quantity_text

Kind = BudgetRule.Kind


@dataclass(frozen=True, slots=True)
class Sentence:
    """“When `lead` [number] `tail`”. `unit`: percent, money, times or days; `is_many`: several numbers may be given.

    `hint` says what the figure is. Numbers lie within `least` and `most`, `start` is what a new budget begins with.
    """

    kind: str
    lead: str
    tail: str
    unit: str
    hint: str
    least: Decimal = Decimal("0.01")
    most: Decimal = Decimal("1e12")
    start: str = ""
    is_many: bool = False


SENTENCES = (
    Sentence(
        Kind.ACTUAL_PERCENT, "spend so far reaches", "% of the budget", "percent",
        "Several with commas between them, each told once.", most=Decimal(1000), start="50, 80, 100", is_many=True,
    ),
    Sentence(
        Kind.FORECAST_OVER, "going over the budget is", "% likely", "percent",
        "From the forecast of each night, and again when usage moves it.",
        least=Decimal(1), most=Decimal(99), start="90",
    ),
    Sentence(
        Kind.VELOCITY_FAST, "spend runs at", "times the budget’s pace", "times",
        "Over the last hour and the last six, so that one odd minute tells nothing.",
        least=Decimal("1"), most=Decimal(1000), start="6",
    ),
    Sentence(
        Kind.ACTUAL_AMOUNT, "spend so far reaches", "", "money", "Several with commas between them.", is_many=True,
    ),
    Sentence(
        Kind.FORECAST_P50, "the most likely total reaches", "% of the budget", "percent",
        "As likely to end above it as below.", least=Decimal(1), most=Decimal(1000),
    ),
    Sentence(
        Kind.FORECAST_P90, "the high total reaches", "% of the budget", "percent",
        "One time in ten the period ends above it.", least=Decimal(1), most=Decimal(1000),
    ),
    Sentence(
        Kind.VELOCITY_SLOW, "spend runs at", "times the budget’s pace for days", "times",
        "Over the last six hours and the last three days: a slow leak.", least=Decimal("1"), most=Decimal(1000),
    ),
    Sentence(
        Kind.NEW_SOURCE, "a new workflow spends", "on its first day", "money",
        "Something began that nobody may have announced.",
    ),
    Sentence(
        Kind.BALANCE_BELOW, "the commits have", "or less left", "money", "0 tells when they are used up.",
        least=Decimal(0),
    ),
    Sentence(
        Kind.DAYS_BELOW, "the commits are used up within", "days", "days", "At the present burn rate.",
        least=Decimal(1), most=Decimal(730),
    ),
    Sentence(
        Kind.UNDER_USE, "spend is below", "% of a straight line", "percent",
        "From a quarter of the period on: what was bought is not used.", least=Decimal(1), most=Decimal(100),
    ),
    Sentence(
        Kind.UNIT_COST, "one outcome costs", "or more", "money", "From 30 outcomes on.",
    ),
    Sentence(
        Kind.SUCCESS_BELOW, "fewer than", "% of attempts succeed", "percent", "From 30 attempts on.",
        least=Decimal(1), most=Decimal(100),
    ),
)  # fmt: skip
SENTENCE_OF = {one.kind: one for one in SENTENCES}


def number_text(kind: str, value: Decimal, currency: str) -> str:
    """Return a rule's number with its unit: “80%”, “$1,200.00”, “6 times”, “30 days”."""
    unit = SENTENCE_OF[kind].unit
    if unit == "money":
        return money_text(value, currency)
    plain = quantity_text(value, places=None if value == value.to_integral_value() else 1)
    return f"{plain}%" if unit == "percent" else f"{plain} {unit}"


def rules_text(rules: Iterable[BudgetRule], currency: str) -> str:
    """Return the rules in a few words: “spend so far reaches 50%, 80% and 100% of the budget; …”."""
    kinds = groupby(ordered(rules), key=lambda rule: str(rule.kind))
    said = [_said(kind, listed([number_text(kind, one.value, currency) for one in some])) for kind, some in kinds]
    return "; ".join(said) or "nothing is told"


def rule_text(kind: str, value: Decimal, currency: str) -> str:
    """Return one rule as a sentence without its “when”."""
    return _said(kind, number_text(kind, value, currency))


def _said(kind: str, numbers: str) -> str:
    one = SENTENCE_OF[kind]
    tail = one.tail.removeprefix("%").removeprefix(one.unit).strip()
    return " ".join(part for part in (one.lead, numbers, tail) if part)


def ordered(rules: Iterable[BudgetRule]) -> list[BudgetRule]:
    """Return the rules in the order of the sentences, each kind by its value."""
    places = {one.kind: place for place, one in enumerate(SENTENCES)}
    return sorted(rules, key=lambda rule: (places[rule.kind], rule.value))
