"""The ladder of one account: each workflow on its rung with the gates to the next, what waits, and the history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from accounts.models import Account
from consumption_cs.lib.display import money_text, percent_text
from consumption_cs.lib.periods import as_utc, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.ladder import next_rung
from reviews.calc.ladder_gates import day_words
from reviews.calc.production import LADDER, LIVE, WINDOW, success
from reviews.models import LadderCard, RungMove
from reviews.reports import ladder_words as words
from reviews.reports.workflow_days import WorkflowDays, workflow_days
from usage.models import Workflow

State, Kind = RungMove.State, RungMove.Kind
LATE_AFTER = timedelta(hours=2)  # without a look, ticks are shown as old
MOST_MOVES = 30
_FIRST = {"bad": 0, "up": 1, "warn": 2, "": 3}


@dataclass(frozen=True, slots=True)
class Shown:
    """One workflow on the board. `rows` are the gates of the next rung; on the last, those it must keep."""

    workflow: Workflow
    card: LadderCard | None
    rows: list[Mapping[str, Any]]
    tone: str
    why: str
    spend: float
    rate: float | None
    is_short: bool
    is_used: bool
    move: RungMove | None = None
    override: RungMove | None = None

    @property
    def met(self) -> int:
        return sum(row["is_met"] for row in self.rows)

    @property
    def next_name(self) -> str:
        """Return the name of the rung above, or nothing on the last."""
        rung = next_rung(self.workflow.stage)
        return words.rung_name(rung) if rung else ""

    @property
    def success_words(self) -> str:
        return "" if self.rate is None else percent_text(self.rate / 100)

    @property
    def owners(self) -> str:
        """Return the first names of who moves it: the customer's, then ours, who is the account's CSM unless named."""
        return " · ".join(owner_names(self.card, self.workflow.account))

    @property
    def gate_date(self) -> str:
        if not self.next_name:
            return "No further rung"
        on = self.card.next_gate_on if self.card else None
        return f"Next gate {day_words(on)}" if on else "No date for the next gate"


@dataclass(frozen=True, slots=True)
class Rung:
    """One column of the board."""

    stage: str
    name: str
    about: str
    cards: list[Shown]


@dataclass(frozen=True, slots=True)
class Board:
    """All that the account's page says of its ladder."""

    rungs: list[Rung]
    spend: float
    checked_at: datetime | None
    is_late: bool
    could_not_check: bool
    today: date
    proposals: list[RungMove] = field(default_factory=list)

    @property
    def cards(self) -> list[Shown]:
        return [card for rung in self.rungs for card in rung.cards]

    @property
    def live(self) -> int:
        return sum(card.workflow.stage in LIVE for card in self.cards)


def ladder_board(viewer: Viewer, account: Account, now: datetime) -> Board:
    """Return the account's board as last checked, with spend and success of the last 28 closed days. Five queries."""
    today = day_of(as_utc(now), zone_of(account.timezone))
    days = workflow_days(account.organization_id, {str(account.pk): today}).get(str(account.pk), [])
    flows = {flow.workflow_id: flow for flow in days}
    cards = {
        card.workflow_id: card
        for card in LadderCard.objects.visible_to(viewer).filter(account=account).select_related("our_owner")
    }
    proposals, overrides = open_moves(viewer, [account.pk], today)
    if viewer.is_portal:
        proposals = {}  # what is proposed is for the vendor's staff until somebody decides it
    shown = []
    for workflow in Workflow.objects.visible_to(viewer).filter(account=account).order_by("name"):
        workflow.account = account
        own = (cards.get(workflow.pk), proposals.get(workflow.pk), overrides.get(workflow.pk))
        shown.append(_shown(workflow, flows.get(workflow.pk), *own, today))
    checked = [card.checked_at for card in cards.values() if card.checked_at]
    return Board(
        [_rung(stage, shown, account) for stage in LADDER],
        sum(float(flow.spend[-WINDOW:].sum()) for flow in flows.values()),
        min(checked, default=None),
        bool(checked) and now - min(checked) > LATE_AFTER,
        any(card.could_not_check for card in cards.values()),
        today,
        [move for move in proposals.values()],
    )


def open_moves(
    viewer: Viewer, account_ids: Sequence[UUID] | None, today: date
) -> tuple[dict[UUID, RungMove], dict[UUID, RungMove]]:
    """Return the open proposals and the rungs set by hand that still hold, by workflow; None: of all accounts."""
    rows = RungMove.objects.visible_to(viewer).select_related("workflow", "account")
    if account_ids is not None:
        rows = rows.filter(account__in=account_ids)
    proposals = {move.workflow_id: move for move in rows.filter(state=State.PROPOSED)}
    held = rows.filter(kind=Kind.OVERRIDE, state=State.CONFIRMED, expires_on__gt=today).order_by("decided_at")
    overrides = {move.workflow_id: move for move in held if move.workflow.stage == move.to_stage}
    return proposals, overrides


def moves_of(
    viewer: Viewer, account: Account, workflow: Workflow | None = None
) -> list[tuple[RungMove, str, str, str]]:
    """Return the history, newest first: each move with its words, detail and tone.

    The customer sees what changed a rung and every step back; what was proposed, declined or given as a reason is
    for the vendor's staff.
    """
    rows = RungMove.objects.visible_to(viewer).filter(account=account).select_related("decided_by", "workflow")
    if workflow is not None:
        rows = rows.filter(workflow=workflow)
    if viewer.is_portal:
        rows = rows.filter(state=State.CONFIRMED) | rows.filter(kind=Kind.DEMOTION)
    return [
        (move, words.move_words(move), words.move_detail(move, inside=not viewer.is_portal), words.move_tone(move))
        for move in rows.order_by("-proposed_at")[:MOST_MOVES]
    ]


def owner_names(card: LadderCard | None, account: Account) -> list[str]:
    """Return the first names of who moves a workflow on both sides."""
    ours = (card.our_owner if card else None) or account.csm
    named = [card.their_owner if card else "", str(ours or "")]
    return [name.split()[0] for name in named if name.strip()]


def _shown(
    workflow: Workflow, flow: WorkflowDays | None, card: LadderCard | None, move: RungMove | None,
    override: RungMove | None, today: date,
) -> Shown:  # fmt: skip
    tone, why = words.status(card, move, override, today)
    rate = success(flow.finished, flow.successes) if flow else None
    wanted = 95.0 if workflow.success_target is None else float(workflow.success_target) * 100
    rows: list[Mapping[str, Any]] = (card.gates or card.standing) if card else []
    return Shown(
        workflow,
        card,
        rows,
        tone,
        why,
        float(flow.spend[-WINDOW:].sum()) if flow else 0.0,
        rate,
        rate is not None and rate < wanted,
        bool(flow and flow.events.sum()),
        move,
        override,
    )


def _rung(stage: str, shown: Sequence[Shown], account: Account) -> Rung:
    cards = [one for one in shown if one.workflow.stage == stage]
    cards.sort(key=lambda one: (_FIRST[one.tone], -one.spend, one.workflow.name))
    spend = sum(one.spend for one in cards)
    about = words.ABOUT[stage]
    if spend > 0:
        about += f" · {money_text(Decimal(str(round(spend, 2))), account.currency, places=0)}"
    return Rung(stage, words.rung_name(stage), about, cards)
