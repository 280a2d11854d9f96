"""The look at the ladder: gates are checked, and steps up and back are proposed with their evidence or withdrawn."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from accounts.models import Account
from consumption_cs.lib.periods import as_utc, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.actions.ladder_told import tell_moves
from reviews.calc import ladder
from reviews.calc.ladder import Line, Rules
from reviews.models import LadderCard, RungMove
from reviews.reports.ladder_facts import Climbing, climbing, kept_calls_of, rules_in_force

logger = logging.getLogger(__name__)

BLOCK = 250  # accounts at once
State, Kind = RungMove.State, RungMove.Kind
_CHECKED = [
    "gates", "standing", "holds_since", "fails_since", "checked_at", "data_through", "could_not_check",
]  # fmt: skip


@dataclass(slots=True)
class _Moves:
    """What was decided about one workflow: the open proposal, the last override, when each step was declined.

    `is_busy`: somebody decides the proposal at this moment; the next look sees what came of it.
    """

    proposed: RungMove | None = None
    is_busy: bool = False
    last_confirmed: RungMove | None = None
    declined: dict[tuple[str, str], datetime] | None = None


def check_ladders(organization_id: UUID, now: datetime, account_ids: Iterable[UUID] | None = None) -> int:
    """Look at all workflows of the organization, or of the accounts named, as of `now`; return how many.

    In transactions of 250 accounts. An account that cannot be checked keeps what was known, marked as such.
    """
    with act_as(Viewer(organization_id)):
        rows = Account.objects.filter(organization_id=organization_id).order_by("pk")
        wanted = list((rows if account_ids is None else rows.filter(pk__in=account_ids)).values_list("pk", flat=True))
    count = 0
    for first in range(0, len(wanted), BLOCK):
        count += _check_block(organization_id, now, wanted[first : first + BLOCK])
    return count


def _check_block(organization_id: UUID, now: datetime, account_ids: Sequence[UUID]) -> int:
    """Check the accounts together; if one of them cannot be, each by itself."""
    try:
        with act_as(Viewer(organization_id)):
            return look(organization_id, now, account_ids)
    except Exception:
        logger.exception(
            "The ladder of %s could not be checked", account_ids[0] if len(account_ids) == 1 else "a block"
        )
    if len(account_ids) > 1:
        return sum(_check_block(organization_id, now, [account_id]) for account_id in account_ids)
    with act_as(Viewer(organization_id)):
        LadderCard.objects.filter(account__in=account_ids).update(could_not_check=True)
    return 0


def look(organization_id: UUID, now: datetime, account_ids: Sequence[UUID]) -> int:
    """Look at the workflows of the accounts within the caller's transaction; return how many."""
    _, rules = rules_in_force(organization_id)
    moves = _moves(account_ids)  # before the rungs are read: what is locked now cannot be confirmed meanwhile
    found = climbing(organization_id, rules, now, account_ids)
    cards, changed, made = [], [], []
    for one in found:
        card = checked_card(rules, one, now)
        cards.append(card)
        own = moves.get(one.workflow_id, _Moves())
        if own.is_busy:
            continue
        if own.proposed is not None and (gone := _no_longer(own.proposed, one, card)):
            changed.append(withdrawn(own.proposed, gone, now))
            own.proposed = None
        step = None if own.proposed is not None else _step(rules, one, card, own, now)
        made.extend([step] if step else [])
    _keep(cards)
    RungMove.objects.bulk_update(changed, ["state", "decided_at", "reason"])
    RungMove.objects.bulk_create(made, ignore_conflicts=True)  # somebody else may look at the same moment
    tell_moves(organization_id, now, "rung.proposed", [move.pk for move in made])
    return len(found)


def checked_card(rules: Rules, one: Climbing, now: datetime) -> LadderCard:
    """Return the workflow's card with its gates as they are at `now`, not yet stored."""
    upper = ladder.next_rung(one.stage)
    gates = ladder.entry_gates(rules, upper, one.facts) if upper else []
    standing = ladder.standing_gates(rules, one.stage, one.facts)
    card = one.card or LadderCard(
        organization_id=one.account.organization_id, account_id=one.account.pk, workflow_id=one.workflow_id
    )
    today = one.facts.today
    card.holds_since = (card.holds_since or today) if ladder.holds(gates) else None
    card.fails_since = ladder.fails_since(rules, one.stage, one.facts, card.fails_since)
    card.gates = [line.as_json() | kept_calls_of(one, line.key) for line in gates]
    card.standing = [line.as_json() for line in standing]
    card.checked_at, card.data_through, card.could_not_check = now, one.data_through, False
    return card


def withdrawn(move: RungMove, why: str, now: datetime) -> RungMove:
    move.state, move.decided_at, move.reason = State.WITHDRAWN, now, why
    return move


def _keep(cards: Sequence[LadderCard]) -> None:
    """Store what was found; what people wrote on a card meanwhile stays."""
    LadderCard.objects.bulk_create(
        cards, update_conflicts=True, unique_fields=["workflow"], update_fields=_CHECKED, batch_size=500
    )


def _moves(account_ids: Sequence[UUID]) -> dict[UUID, _Moves]:
    """What was decided, oldest first; the open proposals are locked so that nobody decides them meanwhile."""
    found: dict[UUID, _Moves] = {}
    rows = RungMove.objects.filter(account__in=account_ids)
    proposed = rows.filter(state=State.PROPOSED)
    free = set(proposed.select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True))
    for move in proposed:
        found[move.workflow_id] = _Moves(move, is_busy=move.pk not in free)
    decided = rows.filter(state__in=(State.CONFIRMED, State.DECLINED)).defer("evidence").order_by("decided_at")
    for move in decided:
        own = found.setdefault(move.workflow_id, _Moves())
        if move.state == State.CONFIRMED:
            own.last_confirmed = move
        elif move.decided_at:
            own.declined = (own.declined or {}) | {(move.kind, move.to_stage): move.decided_at}
    return found


def _no_longer(move: RungMove, one: Climbing, card: LadderCard) -> str:
    """Return why an open proposal no longer holds, or nothing."""
    if move.from_stage != one.stage:
        return "The rung was changed meanwhile."
    if move.kind == Kind.PROMOTION and card.holds_since is None:
        missing = [row["label"] for row in card.gates if not row["is_met"]]
        return f"No longer met: {', '.join(missing)}."[:300]
    if move.kind == Kind.DEMOTION and card.fails_since is None:
        return "The rung is held again."
    return ""


def _step(rules: Rules, one: Climbing, card: LadderCard, own: _Moves, now: datetime) -> RungMove | None:
    """Return the step that the data propose now, if any."""
    today = one.facts.today
    if _is_set_by_hand(own.last_confirmed, one.stage, today):
        return None
    if ladder.must_step_back(card.fails_since, today, one.facts.cadence):
        to = ladder.step_back_to(rules, one.stage, one.facts)
        return _proposal(one, Kind.DEMOTION, to, card.fails_since or today, card.standing, own, now)
    if card.fails_since is None and ladder.may_step_up(card.holds_since, today):
        return _proposal(
            one, Kind.PROMOTION, ladder.next_rung(one.stage), card.holds_since or today, card.gates, own, now
        )
    return None


def _is_set_by_hand(last: RungMove | None, stage: str, today: date) -> bool:
    return (
        last is not None
        and last.kind == Kind.OVERRIDE
        and last.to_stage == stage
        and last.expires_on is not None
        and last.expires_on > today
    )


def _proposal(
    one: Climbing, kind: str, to: str | None, since: date, evidence: list[dict[str, object]],
    own: _Moves, now: datetime,
) -> RungMove | None:  # fmt: skip
    declined_at = (own.declined or {}).get((kind, to or ""))
    zone = zone_of(one.account.timezone)
    if to is None or ladder.rests(day_of(as_utc(declined_at), zone) if declined_at else None, one.facts.today):
        return None
    return RungMove(
        organization_id=one.account.organization_id,
        account_id=one.account.pk,
        workflow_id=one.workflow_id,
        kind=kind,
        from_stage=one.stage,
        to_stage=to,
        evidence=[{name: row[name] for name in Line.__slots__} for row in evidence],
        happened_on=since,
        proposed_at=now,
    )
