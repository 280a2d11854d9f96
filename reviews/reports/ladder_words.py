"""The ladder in words: the state of a card, its missing gates, and what happened to a rung."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from consumption_cs.lib.display import counted, listed
from reviews.calc.ladder_gates import GATES, day_words
from reviews.calc.production import LADDER
from reviews.models import LadderCard, RungMove
from usage.models import Workflow

State, Kind = RungMove.State, RungMove.Kind
ABOUT = {
    "idea": "Value and owner",
    "building": "First calls",
    "pilot": "Limited use",
    "production": "Billable, weekly",
    "hardened": "Target and budget",
    "scaled": "Several teams",
}
_SHORT = re.compile(r"^([\d.,]+) of ([\d.,]+)%$")
Row = Mapping[str, Any]


def rung_name(stage: str) -> str:
    return str(Workflow.Stage(stage).label)


def points_short(rows: Sequence[Row]) -> str:
    """Return by how many points an unmet success gate falls short, as "3.8", or nothing."""
    for row in rows:
        found = _SHORT.match(row["value"]) if row["key"] == "success" and not row["is_met"] else None
        if found:
            return f"{float(found[2]) - float(found[1]):.1f}"
    return ""


def missing(rows: Sequence[Row]) -> list[str]:
    """Return what is missing, as in "Only the budget is missing"."""
    return [GATES[row["key"]].short for row in rows if not row["is_met"] and row["key"] in GATES]


def failing_words(card: LadderCard) -> str:
    """Return what fails of the rung a workflow stands on and since when: "Below target since Nov 17"."""
    keys = {row["key"] for row in card.standing if not row["is_met"]}
    since = f" since {day_words(card.fails_since)}" if card.fails_since else ""
    if keys & {"success", "in_target"}:
        return f"Below target{since}"
    if keys & {"runs", "days"}:
        return f"Too little use{since}"
    names = [str(row["label"]) for row in card.standing if not row["is_met"]]
    return f"{listed(names)} not met{since}"


def status(card: LadderCard | None, move: RungMove | None, override: RungMove | None, today: date) -> tuple[str, str]:
    """Return the tone ("bad", "warn", "up" or "") and the words of a card's state."""
    if card is None or card.checked_at is None:
        return "", "Gates are checked within the hour"
    if card.fails_since is not None or (move and move.kind == Kind.DEMOTION):
        return "bad", failing_words(card)
    if move is not None:
        return "up", f"Ready for {rung_name(move.to_stage)} since {day_words(move.happened_on)}"
    if override is not None and override.expires_on:
        return "warn", f"Set by hand until {day_words(override.expires_on)}"
    return _waiting(card, today)


def _waiting(card: LadderCard, today: date) -> tuple[str, str]:
    """What a card waits for that no proposal is about."""
    if card.next_gate_on is not None and card.next_gate_on < today:
        return "warn", ", ".join(filter(None, [f"{late_words(card.next_gate_on, today)} late", card.remark]))
    if short := points_short(card.gates):
        return "warn", f"Success {short} pt short"
    open_gates = missing(card.gates)
    if card.remark:
        return "", card.remark
    if not card.gates:
        return "", "Holds every gate"
    if card.holds_since is not None:
        return "", f"All gates hold since {day_words(card.holds_since)}"
    return "", f"Only {open_gates[0]} is missing" if len(open_gates) == 1 else f"{len(open_gates)} gates are open"


def late_words(due: date, today: date) -> str:
    """Return how late something is: "3 days", "4 weeks"."""
    days = (today - due).days
    return counted(days, "day") if days < 14 else counted(days // 7, "week")


def move_words(move: RungMove) -> str:
    """Return one line of the history: what happened to the rung."""
    to, came_from = rung_name(move.to_stage), rung_name(move.from_stage)
    if move.kind == Kind.OVERRIDE:
        return f"Set from {came_from} to {to} by hand"
    if move.kind == Kind.PROMOTION:
        return {
            State.PROPOSED: f"Step up to {to} proposed",
            State.CONFIRMED: f"Moved up to {to}",
            State.DECLINED: f"Step up to {to} declined",
            State.WITHDRAWN: f"Step up to {to} no longer holds",
        }[State(move.state)]
    return {
        State.PROPOSED: f"Fell below {came_from}; step back to {to} proposed",
        State.CONFIRMED: f"Moved back to {to}",
        State.DECLINED: f"Fell below {came_from}, and stays there",
        State.WITHDRAWN: f"Fell below {came_from}, and recovered",
    }[State(move.state)]


def move_tone(move: RungMove) -> str:
    if move.kind == Kind.DEMOTION:
        return "warn"
    is_up = LADDER.index(move.to_stage) > LADDER.index(move.from_stage)
    return "good" if move.kind == Kind.PROMOTION and move.state == State.CONFIRMED and is_up else ""


def move_detail(move: RungMove, *, inside: bool) -> str:
    """Return who decided when, and since when the data said so; reasons are for the vendor's staff alone."""
    parts = [] if move.kind == Kind.OVERRIDE else [f"The data say so since {day_words(move.happened_on)}"]
    by = str(move.decided_by) if move.decided_by else ""
    if move.kind == Kind.OVERRIDE and move.expires_on:
        parts.append(f"By {by}, until {day_words(move.expires_on)}" if by else f"Until {day_words(move.expires_on)}")
    elif by and move.state in (State.CONFIRMED, State.DECLINED):
        parts.append(f"{'confirmed' if move.state == State.CONFIRMED else 'declined'} by {by}")
    words = "; ".join(parts)
    return f"{words}. {move.reason}" if inside and move.reason else f"{words}."
