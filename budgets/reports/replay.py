"""A proposed budget or limit, replayed on the last 90 closed days before it is saved.

A page that shows it puts `budgets.charts.replay.shown_replay(replay)` into its context as `replay` and includes
budgets/_replay.html, or loads the fragment from budgets:replay_new or budgets:replay with the form's fields.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from accounts.models import Account
from budgets.calc.limits import LimitTerms, terms_of
from budgets.calc.replay import Held, Span, held_by, neighbours, score
from budgets.models import Limit
from budgets.reports.decided_budgets import decided_budgets
from budgets.reports.replay_days import Days, read_days
from budgets.reports.replay_fires import fires
from budgets.reports.replay_judged import about
from budgets.reports.replayed import (
    ENOUGH_DAYS,
    Acted,
    Fire,
    Proposal,
    ProposedLimit,
    Replay,
    ReplayedDay,
    SweepRow,
)
from consumption_cs.lib.money import exactly, exponent, round_to
from consumption_cs.lib.periods import DAY, day_of
from consumption_cs.lib.tenancy import Viewer

__all__ = ["Acted", "Fire", "Proposal", "ProposedLimit", "Replay", "ReplayedDay", "SweepRow", "replay"]

ZERO = Decimal(0)


def replay(viewer: Viewer, account: Account, proposal: Proposal, now: datetime) -> Replay:
    """Return what the proposal would have done on the last 90 closed local days. About a dozen queries.

    Rules are looked at as if no limit had acted, and a limit as if nobody lifted it. A dry run is replayed as what it
    would do. Nothing is stored.
    """
    current = _in_force(viewer, account, proposal.budget_id)
    exempt = _exempt(proposal), _exempt(current)
    days = read_days(viewer, account, proposal, [*exempt[0], *exempt[1]], now)
    hours, counts, loop_cost = days.hours(exempt[0])
    used = {hour.day for hour in hours if hour.spent}
    made = Replay(account, proposal, days.first, days.today, used_days=len(used), hours_from=days.known_from)
    if len(used) < ENOUGH_DAYS:
        return replace(made, days=tuple(_replayed(days, [])))
    spans = days.spans(hours)
    told, unseen = fires(days, spans, hours, counts, proposal)
    held = _held(spans, proposal, account.currency)
    other = spans if exempt[0] == exempt[1] or current is None else days.spans(days.hours(exempt[1])[0])
    return replace(
        made,
        is_ready=True,
        days=tuple(_replayed(days, held)),
        fires=tuple(told),
        acted=tuple(_acted(days, one) for one in held),
        sweep=tuple(_sweep(spans, proposal, current, account.currency)),
        loop_cost=round_to(loop_cost, exponent(account.currency)),
        fullest=max(((one.first, one.spent) for one in spans), key=lambda one: one[1], default=None),
        not_replayed=tuple(unseen),
        in_force=None if current is None else _replay_of(replace(made, is_ready=True), days, other, current),
    )


def _in_force(viewer: Viewer, account: Account, budget_id: UUID | None) -> Proposal | None:
    """What the budget that would change has decided now, if it has a limit."""
    if budget_id is None:
        return None
    found = decided_budgets(viewer.organization_id, [account.pk], [budget_id])
    if not found or found[0].limit is None:
        return None
    one, limit = found[0], found[0].limit
    return Proposal(
        amount=Decimal(one.version.amount),
        period=one.budget.period,
        limit=ProposedLimit(
            action=limit.action,
            percent=limit.percent,
            warn_percent=limit.warn_percent,
            grace_minutes=limit.grace_minutes,
            grace_percent=limit.grace_percent,
            throttle_percent=limit.throttle_percent,
            exempt_workflows=tuple(limit.exempt_workflows),
            is_dry_run=limit.is_dry_run,
        ),
        budget_id=budget_id,
    )


def _exempt(proposal: Proposal | None) -> tuple[UUID, ...]:
    return proposal.limit.exempt_workflows if proposal is not None and proposal.limit is not None else ()


def _terms(limit: ProposedLimit, amount: Decimal) -> LimitTerms:
    return terms_of(
        amount,
        limit.percent,
        limit.warn_percent,
        acts=limit.action != Limit.Action.NOTIFY,
        is_dry_run=limit.is_dry_run,
        grace_minutes=limit.grace_minutes,
        grace_percent=limit.grace_percent,
    )


@exactly
def _held(spans: Sequence[Span], proposal: Proposal, currency: str, limit_amount: Decimal | None = None) -> list[Held]:
    """What the limit did; `limit_amount`: as if it were this one."""
    limit = proposal.limit
    if limit is None:
        return []
    terms = _terms(limit, proposal.amount)
    if limit_amount is not None:
        terms = _terms(replace(limit, percent=Decimal(100)), limit_amount)
    pace = limit.throttle_percent / 100 if limit.action == Limit.Action.THROTTLE else None
    return held_by(spans, terms, pace, exponent(currency))


def _replay_of(made: Replay, days: Days, spans: Sequence[Span], proposal: Proposal) -> Replay:
    held = _held(spans, proposal, days.account.currency)
    acted = tuple(_acted(days, one) for one in held)
    return replace(made, proposal=proposal, days=tuple(_replayed(days, held)), acted=acted)


def _replayed(days: Days, held: Sequence[Held]) -> list[ReplayedDay]:
    places = exponent(days.account.currency)
    blocked = {day: amount for one in held for day, amount in one.blocked.items()}
    spent: dict[date, Decimal] = dict.fromkeys(days.clock.days, ZERO)
    for part in days.used.values():
        for day, used in part.items():
            if day in spent:
                spent[day] += used.spent
    return [ReplayedDay(day, round_to(amount, places), blocked.get(day, ZERO)) for day, amount in spent.items()]


def _acted(days: Days, held: Held) -> Acted:
    span = held.span
    day, last = day_of(held.reached_at, days.zone), min(span.after, days.today) - DAY
    return Acted(
        day=day,
        last_day=last,
        spent=round_to(span.spent, exponent(days.account.currency)),
        reached_at=held.reached_at,
        acts_at=held.acts_at,
        loop=round_to(span.loop, exponent(days.account.currency)),
        loop_stopped=held.loop_stopped,
        held_back=held.held_back,
        waiting=int(round_to(held.outcomes)),
        verdict=held.verdict,
        about=_about(days, held, day, last),
    )


def _about(days: Days, held: Held, day: date, last: date) -> str:
    """What happened from the day on which it was reached: the costliest loop, or what was planned."""
    if held.loop_stopped > 0:
        touching = [
            one
            for one in days.known.unusual
            if day_of(one.started_at, days.zone) <= last and day_of(one.seen_until, days.zone) >= day
        ]
        return about(max(touching, key=lambda one: one.impact)) if touching else ""
    plan = next((one for one in days.known.plans if one.starts_on <= last and day < one.ends_on), None)
    return f"{plan.name}, planned" if plan else ""


def _sweep(spans: Sequence[Span], proposal: Proposal, current: Proposal | None, currency: str) -> list[SweepRow]:
    """The same with limits around it. The best one has the highest score; of equals, the one tried or the lowest."""
    tried = proposal.limit_amount
    if tried is None or not proposal.blocks:
        return []
    in_force = current.limit_amount if current is not None else None
    rows = []
    for amount in neighbours(tried, in_force):
        held = _held(spans, proposal, currency, amount)
        rows.append(
            SweepRow(
                amount=amount,
                acts=sum(one.acts_at is not None for one in held),
                loop_stopped=sum((one.loop_stopped for one in held), ZERO),
                held_back=sum((one.held_back for one in held), ZERO),
                is_tried=amount == tried,
                is_in_force=amount == in_force,
            )
        )
    best = max(rows, key=lambda row: (score(row.loop_stopped, row.held_back), row.is_tried, -row.amount))
    return [replace(row, is_best=row is best) for row in rows]
