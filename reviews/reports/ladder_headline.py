"""What the page of a ladder says first: its headline, what holds workflows back, and four figures."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from accounts.models import Account
from consumption_cs.lib.display import counted, money_text, percent_text
from reviews.calc.ladder_gates import day_words
from reviews.calc.production import LADDER, ladder
from reviews.models import RungMove
from reviews.reports import ladder_words as words
from reviews.reports.ladder import Board, Shown

Kind = RungMove.Kind


def next_up(board: Board) -> Shown | None:
    """Return the workflow that moves next: one that is ready, else that with the fewest gates open, pilots first."""
    ready = [card for card in board.cards if card.move and card.move.kind == Kind.PROMOTION]
    if ready:
        return ready[0]
    order = {"pilot": 0, "building": 1, "production": 2, "idea": 3, "hardened": 4}
    climbing = [card for card in board.cards if card.next_name and card.rows and card.tone != "bad"]
    key = [((len(card.rows) - card.met) + order[card.workflow.stage] / 10, -card.spend) for card in climbing]
    return min(zip(key, climbing, strict=True), key=lambda pair: pair[0])[1] if climbing else None


def headline(board: Board) -> list[tuple[str, bool]]:
    """Return the page's first sentence in parts, with whether each is to be seen first."""
    total = len(board.cards)
    noun, verb = ("workflow", "is") if total == 1 else ("workflows", "are")
    parts = [(f"{board.live} of {total}", True), (f" {noun} {verb} in production", False)]
    following = next_up(board)
    if following is None:
        return [*parts, (".", False)]
    parts += [("; ", False), (following.workflow.name, True)]
    if following.move is not None:
        return [*parts, (f" is ready for {following.next_name}.", False)]
    if short := words.points_short(following.rows):
        return [*parts, (" is next and ", False), (f"{short} points", True), (" short.", False)]
    left = words.missing(following.rows)
    if not left:
        return [*parts, (f" is next: all gates to {following.next_name} hold.", False)]
    needs = f" is next and needs only {left[0]}." if len(left) == 1 else f" is next, with {len(left)} gates open."
    return [*parts, (needs, False)]


def lead(board: Board) -> str:
    """Return what holds workflows back, in a sentence or two."""
    said = []
    following = next_up(board)
    if following is not None and following.move is not None:
        since = day_words(following.move.happened_on)
        said.append(f"All {len(following.rows)} gates have held since {since}; somebody decides now.")
    elif following is not None and (row := _success_row(following)):
        rate, wanted = row["value"].split(" of ")
        said.append(f"Its success is {rate}% and the gate asks for {wanted}.")
    for card in [card for card in board.cards if card.tone == "bad"][:2]:
        why = card.why[0].lower() + card.why[1:]
        said.append(f"{card.workflow.name} is {why}." if why.startswith("below") else f"{card.workflow.name}: {why}.")
    return " ".join(said)


def board_title(board: Board) -> str:
    """Return the heading of the board: who is stuck, and who is one gate away."""
    stuck = next((card for card in board.cards if card.tone == "bad"), None)
    close = [card for card in board.cards if card.next_name and len(words.missing(card.rows)) == 1]
    near = max(close, key=lambda card: card.spend, default=None)
    said = [f"{stuck.workflow.name} is stuck: {stuck.why[0].lower()}{stuck.why[1:]}"] if stuck else []
    if near is not None and near is not stuck:
        said.append(f"{near.workflow.name} lacks only {words.missing(near.rows)[0]} for {near.next_name}")
    return "; ".join(said) or "Each workflow on its rung"


def board_facts(board: Board, account: Account, *, inside: bool) -> list[dict[str, Any]]:
    """Return the four figures under the headline."""
    rows = [row for card in board.cards if card.next_name for row in card.rows]
    met = [row for row in rows if row["is_met"]]
    by_data = sum(row["by"] == "data" for row in met)
    return [
        _decide_fact(board) if inside else _climbed_fact(board),
        {"label": "Gates met, next rung", "value": f"{len(met)} of {len(rows)}", "note": f"{by_data} by data"},
        _date_fact(board),
        _spend_fact(board, account),
    ]


def _decide_fact(board: Board) -> dict[str, Any]:
    if not board.proposals:
        return {"label": "Steps to decide", "value": "None", "none": True}
    up = sum(move.kind == Kind.PROMOTION for move in board.proposals)
    back = len(board.proposals) - up
    note = " and ".join(filter(None, [f"{up} up" if up else "", f"{back} back" if back else ""]))
    return {"label": "Steps to decide", "value": str(len(board.proposals)), "note": note, "tone": "warn"}


def _climbed_fact(board: Board) -> dict[str, Any]:
    found = ladder([card.workflow.stage for card in board.cards])
    if found is None:
        return {"label": "Rungs climbed", "value": "No workflow yet", "none": True}
    climbed = sum(LADDER.index(card.workflow.stage) for card in board.cards)
    whole = (len(LADDER) - 1) * found.workflows
    note = f"{percent_text(found.percent / 100, places=0)} of the ladder"
    return {"label": "Rungs climbed", "value": f"{climbed} of {whole}", "note": note}


def _date_fact(board: Board) -> dict[str, Any]:
    dated = [card for card in board.cards if card.card and card.card.next_gate_on and card.next_name]
    if not dated:
        return {"label": "Next gate", "value": "No date set", "none": True}
    first = min(dated, key=lambda card: (card.card and card.card.next_gate_on) or board.today)
    on = (first.card and first.card.next_gate_on) or board.today
    late = {"tone": "warn"} if on < board.today else {}
    return {"label": "Next gate", "value": day_words(on), "note": first.workflow.name} | late


def _spend_fact(board: Board, account: Account) -> dict[str, Any]:
    label = "Spend, last 28 days"
    if board.spend <= 0:
        return {"label": label, "value": "None yet", "none": True}
    top = max(board.cards, key=lambda card: card.spend)
    share = percent_text(top.spend / board.spend, places=0)
    amount = money_text(Decimal(str(round(board.spend, 2))), account.currency, places=0)
    return {"label": label, "value": amount, "note": f"{share} {top.workflow.name}"}


def _success_row(card: Shown) -> Mapping[str, Any] | None:
    if not words.points_short(card.rows):
        return None
    return next((row for row in card.rows if row["key"] == "success"), None)


def seen_words(board: Board, account: Account, items: tuple[int, int] | None) -> str:
    """Return what the customer sees of this page, for the vendor's staff; `items` of the plan: shared, all."""
    flows = f"all {counted(len(board.cards), 'workflow')}" if len(board.cards) > 1 else "the workflow"
    if items is None or not items[1]:
        return f"{account.name} sees {flows} with all gates. Proposals, reasons and candidates stay with you."
    return f"{account.name} sees {items[0]} of {items[1]} plan items and {flows}. Internal items carry a lock."
