"""The workflow ladder: the entry criteria of each rung, and when the data propose a step up or back.

A step up is proposed once all gates of the next rung held on three days in a row; a step back once the present
rung's own failed for 14 days, or two cycles of a workflow that runs seldom. Nothing moves without a person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from budgets.calc.usage_windows import Floats
from reviews.calc.ladder_gates import (
    GATES,
    Checked,
    Facts,
    below_since,
    gate_check,
    standing_check,
    standing_title,
)
from reviews.calc.production import GRACE, LADDER, LIVE

HELD_DAYS = 3  # on which all gates of the next rung must have held
RESTS_DAYS = 28  # after a person declined, before the same step is proposed again
OVERRIDE_DAYS = 90  # the longest that a rung set by hand is left alone
LOOKS_BACK = 28

Rules = Mapping[str, Sequence[Mapping[str, Any]]]

DEFAULT_RULES: dict[str, list[dict[str, Any]]] = {
    "building": [{"key": "owner", "need": None}, {"key": "value", "need": None}, {"key": "access", "need": None}],
    "pilot": [
        {"key": "test_call", "need": None},
        {"key": "first_runs", "need": "50"},
        {"key": "first_billable", "need": None},
        {"key": "legal", "need": None},
    ],
    "production": [
        {"key": "runs", "need": "20"},
        {"key": "days", "need": "8"},
        {"key": "success", "need": "0"},
        {"key": "runbook", "need": None},
    ],
    "hardened": [
        {"key": "target_set", "need": None},
        {"key": "in_target", "need": "28"},
        {"key": "budget_set", "need": None},
        {"key": "alerts", "need": "4"},
    ],
    "scaled": [
        {"key": "in_target", "need": "28"},
        {"key": "unit_cost", "need": "5"},
        {"key": "teams", "need": "3"},
        {"key": "share", "need": "60"},
    ],
}
# Those that past days tell: of these the day since when they fail is known, even before the first look.
_BY_DAY = frozenset({"runs", "days", "success", "in_target"})


class RulesError(ValueError):
    """Entry criteria that cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Line:
    """One gate as checked: what a card, a proposal and the history keep."""

    key: str
    label: str
    by: str
    is_met: bool
    value: str
    need: str | None

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def next_rung(stage: str) -> str | None:
    """Return the rung above, or None on the last."""
    place = LADDER.index(stage) + 1
    return LADDER[place] if place < len(LADDER) else None


def entry_gates(rules: Rules, rung: str, facts: Facts) -> list[Line]:
    """Check what the rung asks of a workflow that is to enter it."""
    return [_line(row, GATES[row["key"]].title(_need(row)), gate_check(row["key"], _need(row), facts))
            for row in rules.get(rung, ())]  # fmt: skip


def standing_gates(rules: Rules, stage: str, facts: Facts) -> list[Line]:
    """Check what the workflow must keep meeting on `stage`: its own lasting gates and those of live rungs below.

    The same gate on two rungs counts once, as the higher asks for it. Rungs before production ask for nothing.
    """
    rows = standing_keys(rules, stage)
    return [_line(row, standing_title(key, _need(row)), standing_check(key, _need(row), facts))
            for key, row in rows.items()]  # fmt: skip


def standing_keys(rules: Rules, stage: str) -> dict[str, Mapping[str, Any]]:
    """Return the rules that a workflow on `stage` must keep meeting, by their gate."""
    rows: dict[str, Mapping[str, Any]] = {}
    for rung in LIVE[: LIVE.index(stage) + 1] if stage in LIVE else ():
        rows |= {row["key"]: row for row in rules.get(rung, ()) if GATES[row["key"]].stands}
    return rows


def holds(lines: Sequence[Line]) -> bool:
    """Return whether all are met; a rung that asks for nothing is not entered by itself."""
    return bool(lines) and all(line.is_met for line in lines)


def fails_since(rules: Rules, stage: str, facts: Facts, kept: date | None) -> date | None:
    """Return since when the rung's standing gates fail, or None if they hold.

    `kept` is what an earlier look found, and stays while they fail. For gates that closed days tell, the days
    themselves say since when.
    """
    failing = {line.key for line in standing_gates(rules, stage, facts) if not line.is_met}
    if not failing:
        return None
    if kept is not None:
        return kept
    by_day = {key: row for key, row in standing_keys(rules, stage).items() if key in failing & _BY_DAY}
    ago = 1 if by_day else 0
    while 0 < ago < LOOKS_BACK and _failed(by_day, as_of(facts, ago)):
        ago += 1
    since = facts.today - timedelta(days=ago)
    target = below_since(facts) if "in_target" in failing else None
    return min(since, target) if target else since


def _failed(rows: Mapping[str, Mapping[str, Any]], facts: Facts) -> bool:
    return any(not standing_check(key, _need(row), facts).is_met for key, row in rows.items())


def as_of(facts: Facts, ago: int) -> Facts:
    """Return the facts as the days alone told them `ago` days earlier."""

    def cut(days: Floats) -> Floats:
        return days[: len(days) - ago] if ago else days

    return replace(
        facts,
        today=facts.today - timedelta(days=ago),
        runs=cut(facts.runs),
        spend=cut(facts.spend),
        finished=cut(facts.finished),
        successes=cut(facts.successes),
        outcomes=cut(facts.outcomes),
    )


def may_step_up(since: date | None, today: date) -> bool:
    """Return whether gates that hold since that day held on three days in a row, today being one of them."""
    return since is not None and (today - since).days >= HELD_DAYS - 1


def must_step_back(since: date | None, today: date, cadence: float) -> bool:
    """Return whether gates that fail since that day did so for 14 days, or two cycles if that is longer."""
    return since is not None and (today - since).days >= max(GRACE, int(2 * cadence))


def rests(declined_on: date | None, today: date) -> bool:
    """Return whether a step that a person declined is left alone for now."""
    return declined_on is not None and (today - declined_on).days < RESTS_DAYS


def step_back_to(rules: Rules, stage: str, facts: Facts) -> str:
    """Return the highest rung below on which it would stand; from production it goes back to pilot."""
    for rung in reversed(LADDER[LADDER.index("pilot") : LADDER.index(stage)]):
        if all(line.is_met for line in standing_gates(rules, rung, facts)):
            return rung
    return "pilot"


def read_rules(gates: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Return entry criteria as they are kept. Raises RulesError for an unknown gate or a threshold out of range."""
    found: dict[str, list[dict[str, Any]]] = {}
    for rung in LADDER[1:]:
        rows = [_read(rung, row) for row in gates.get(rung, ())]
        if not rows:
            raise RulesError(f"{rung.capitalize()} needs at least one gate, or nothing would stand before it.")
        if len({row["key"] for row in rows}) < len(rows):
            raise RulesError(f"{rung.capitalize()} names a gate twice.")
        found[rung] = rows
    return found


def _read(rung: str, row: Mapping[str, Any]) -> dict[str, Any]:
    gate = GATES.get(str(row.get("key")))
    if gate is None:
        raise RulesError(f"{row.get('key')!r} is not a gate.")
    if gate.need is None:
        return {"key": gate.key, "need": None}
    try:
        need = Decimal(str(row.get("need") if row.get("need") is not None else gate.need))
    except InvalidOperation as error:
        raise RulesError(f"{gate.title(gate.need)} of {rung} needs a number.") from error
    if not (need.is_finite() and gate.lowest <= need <= gate.highest):
        raise RulesError(f"{gate.title(gate.need)} of {rung} takes {gate.lowest} to {gate.highest}.")
    return {"key": gate.key, "need": f"{need.normalize():f}"}


def rule_words(row: Mapping[str, Any]) -> str:
    """Return one rule in words: "Runs ≥ 20"."""
    return GATES[row["key"]].whole_title(_need(row))


def _need(row: Mapping[str, Any]) -> Decimal | None:
    return None if row["need"] is None else Decimal(row["need"])


def _line(row: Mapping[str, Any], label: str, found: Checked) -> Line:
    return Line(row["key"], label, GATES[row["key"]].by, found.is_met, found.value, row["need"])
