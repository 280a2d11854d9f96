"""Milestones of an adoption plan: what data can tick, what waits for what, and whether they were on time. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from reviews.calc.production import LADDER

KINDS = {
    "rung": "The workflow reaches a rung",
    "first_event": "The workflow's first billable event",
    "budget": "A budget of the workflow is set",
    "value": "The value of an outcome is confirmed",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a workflow that milestones ask for."""

    rung: str
    billable_runs: Decimal
    has_budget: bool
    has_value: bool


def holds(condition: Mapping[str, Any], facts: Facts | None) -> bool:
    """Say whether data ticks the condition {kind, need}; an unknown workflow ticks nothing."""
    if facts is None:
        return False
    kind, need = condition.get("kind"), condition.get("need")
    if kind == "rung":
        return need in LADDER and facts.rung in LADDER and LADDER.index(facts.rung) >= LADDER.index(need)
    return {
        "first_event": facts.billable_runs > 0,
        "budget": facts.has_budget,
        "value": facts.has_value,
    }.get(str(kind), False)


def condition_words(condition: Mapping[str, Any] | None) -> str:
    """Return what the data wait for, in words; empty for one that a person ticks."""
    if not condition:
        return ""
    if condition.get("kind") == "rung":
        return f"ticked by data at {condition.get('need')}"
    words = {
        "first_event": "ticked by the first billable event",
        "budget": "ticked when a budget is set",
        "value": "ticked when a value is confirmed",
    }
    return words.get(str(condition.get("kind")), "")


def makes_a_circle(needs: Iterable[tuple[UUID, UUID]], milestone: UUID, wanted: Iterable[UUID]) -> bool:
    """Say whether `milestone` waiting for `wanted` would wait for itself. `needs`: pairs of one and what it needs."""
    after: dict[UUID, set[UUID]] = {}
    for one, other in needs:
        if one != milestone:
            after.setdefault(one, set()).add(other)
    open_ones, seen = list(wanted), set()
    while open_ones:
        one = open_ones.pop()
        if one == milestone:
            return True
        if one not in seen:
            seen.add(one)
            open_ones += after.get(one, ())
    return False


def timeliness(done_on: date, first_due_on: date) -> str:
    """Return how it compares with the date first agreed: "on time", "2 days late", "10 days early"."""
    days = (done_on - first_due_on).days
    if not days:
        return "on time"
    count = f"{abs(days)} day{'' if abs(days) == 1 else 's'}"
    return f"{count} late" if days > 0 else f"{count} early"
