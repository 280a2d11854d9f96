"""Limits are set by new versions, advance with what is spent, and are lifted by people with a reason.

The product decides and tells; the vendor's gateway enforces. Steps are LimitEvent rows, once each.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from accounts.actions.audit import audit
from accounts.permissions import require
from budgets.actions import outbox
from budgets.actions.raising import NewAlert, hold_accounts, look_soon, raise_alerts
from budgets.calc.limits import LimitTerms, Standing, lifted, step, terms_of
from budgets.models import Alert, Budget, Limit, LimitEvent, LimitState
from budgets.reports.budget_use import BudgetUse, budget_uses
from consumption_cs.lib.display import money_text
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import Viewer

_ALERTS = {
    LimitEvent.Kind.REACHED: (Alert.Severity.CRITICAL, "the limit of {amount} is reached; the grace begins"),
    LimitEvent.Kind.ACTING: (Alert.Severity.CRITICAL, "the limit of {amount} is in force"),
    LimitEvent.Kind.WOULD_ACT: (Alert.Severity.WARNING, "the limit of {amount} would be in force (dry run)"),
}
_FIELDS = ["limit", "period_start", "period_end", "state", "since", "used", "reached_at", "acts_at", "lifted_until"]


@dataclass(frozen=True, slots=True)
class NewLimit:
    """What shall happen at `percent` of a budget; see Limit for the fields."""

    action: str = Limit.Action.NOTIFY
    percent: Decimal = Decimal(100)
    warn_percent: Decimal = Decimal(85)
    grace_minutes: int = 30
    grace_percent: Decimal = Decimal(10)
    throttle_percent: Decimal = Decimal(25)
    exempt_workflows: list[UUID] = field(default_factory=list)
    lift_roles: list[str] = field(default_factory=list)
    lift_hours: int = 4
    is_dry_run: bool = False


def set_limit(viewer: Viewer, budget: Budget, new: NewLimit, now: datetime) -> Limit:
    """Store a new version of a budget's limit; the same again changes nothing. Raises ValidationError with words."""
    require(viewer, "limit.edit")
    with transaction.atomic():
        look_soon(viewer.organization_id, budget.account_id, now)  # what was used before counts at once
        hold_accounts(viewer.organization_id, [budget.account_id])
        before = Limit.objects.visible_to(viewer).filter(budget=budget).order_by("-number").first()
        if before is not None and all(getattr(before, name) == value for name, value in asdict(new).items()):
            return before
        limit = Limit(
            organization_id=viewer.organization_id,
            account_id=budget.account_id,
            budget=budget,
            number=before.number + 1 if before else 1,
            created_by_id=viewer.user_id,
            by_customer=viewer.is_portal,
            created_at=now,
            **asdict(new),
        )
        limit.full_clean(exclude=["organization", "account", "budget", "created_by"])
        limit.save()
        audit(viewer, "limit.changed", budget, budget.name, {"action": new.action, "percent": str(new.percent)})
    return limit


def limit_terms(use: BudgetUse) -> LimitTerms | None:
    """Return the terms of a budget's limit in amounts, or None without one."""
    limit = use.limit
    if limit is None:
        return None
    return terms_of(
        use.amount,
        limit.percent,
        limit.warn_percent,
        acts=limit.action != Limit.Action.NOTIFY,
        is_dry_run=limit.is_dry_run,
        grace_minutes=limit.grace_minutes,
        grace_percent=limit.grace_percent,
    )


def advance(organization_id: UUID, now: datetime, uses: Sequence[BudgetUse]) -> list[LimitEvent]:
    """Take the limits of these budgets to where they stand now; return what happened, told and recorded.

    In the caller's transaction, with the accounts held. One query when nothing changed; twice changes nothing.
    """
    limited = {use.budget.pk: use for use in uses if use.limit is not None}
    if not limited:
        return []
    rows = LimitState.objects.filter(organization_id=organization_id, budget_id__in=list(limited))
    states = {row.budget_id: row for row in rows}
    events: list[tuple[BudgetUse, LimitEvent]] = []
    for pk, use in limited.items():
        state = states.get(pk)
        before = _standing(state) if state else Standing("clear", now, use.start)
        terms = limit_terms(use)
        if terms is None:
            continue
        after, happened = step(before, terms, use.used, now, use.start)
        if after != before or state is None:
            _keep(state, use, after)
        events += [(use, _event(use, terms, kind, now)) for kind in happened]
    return _tell(organization_id, now, events)


def _standing(state: LimitState) -> Standing:
    return Standing(state.state, state.since, state.period_start, state.reached_at, state.acts_at, state.lifted_until)


def _keep(state: LimitState | None, use: BudgetUse, standing: Standing) -> None:
    if use.limit is None:
        return
    row = state or LimitState(
        organization_id=use.budget.organization_id, account_id=use.budget.account_id, budget=use.budget
    )
    row.limit, row.period_start, row.period_end, row.used = use.limit, use.start, use.end, use.used
    row.state, row.since, row.reached_at = standing.state, standing.since, standing.reached_at
    row.acts_at, row.lifted_until = standing.acts_at, standing.lifted_until
    if state is None:
        row.save(force_insert=True)
    else:
        row.save(update_fields=_FIELDS)


def _event(use: BudgetUse, terms: LimitTerms, kind: str, now: datetime) -> LimitEvent:
    return LimitEvent(
        organization_id=use.budget.organization_id,
        account_id=use.budget.account_id,
        budget=use.budget,
        limit=use.limit,
        kind=kind,
        period_start=use.start,
        at=now,
        used=use.used,
        amount=terms.amount,
    )


def _tell(organization_id: UUID, now: datetime, events: Sequence[tuple[BudgetUse, LimitEvent]]) -> list[LimitEvent]:
    rows = [event for _, event in events]
    if rows:
        for row, pk in zip(rows, sorted(uuid7() for _ in rows), strict=True):
            row.pk = pk  # what happens at one moment stays in its order
        LimitEvent.objects.bulk_create(rows)
        raise_alerts(
            organization_id, now, [_alert(use, event) for use, event in events if event.kind in _ALERTS], tells=False
        )
        outbox.tell_limit(organization_id, now, rows)
    return rows


def _alert(use: BudgetUse, event: LimitEvent) -> NewAlert:
    severity, words = _ALERTS[LimitEvent.Kind(event.kind)]
    amount = money_text(event.amount, use.account.currency)
    return NewAlert(
        account_id=event.account_id,
        kind=f"limit_{event.kind}",
        crossing=f"{event.budget_id}/limit/{event.limit.number}/{use.first_day}/{event.kind}/{event.at.isoformat()}",
        headline=f"{use.budget.name}: {words.format(amount=amount)}"[:300],
        severity=severity,
        budget_id=event.budget_id,
        version_id=use.version.pk,
        workflow_id=use.budget.workflow_id,
        threshold=event.limit.percent,
        period_start=use.start,
        period_end=use.end,
        numbers={"used": f"{event.used:f}", "amount": f"{event.amount:f}"},
        data_through=use.data_through,
    )


def lift(viewer: Viewer, budget: Budget, reason: str, now: datetime) -> LimitState:
    """Lift a limit that was reached, for its hours or until the period ends. Raises ValidationError with words.

    For roles that the limit names; without names, for all that may lift limits.
    """
    require(viewer, "limit.lift")
    if not reason.strip():
        raise ValidationError("Say why the limit is lifted: it is kept in the log.")
    with transaction.atomic():
        hold_accounts(viewer.organization_id, [budget.account_id])
        state = LimitState.objects.visible_to(viewer).filter(budget=budget).select_related("limit").first()
        uses = budget_uses(viewer.organization_id, now, budget_ids=[budget.pk])
        if state is None or state.state not in (LimitState.State.GRACE, LimitState.State.ACTING) or not uses:
            raise ValidationError("This limit is not in force: there is nothing to lift.")
        use = uses[0]
        if use.limit is None or (use.limit.lift_roles and viewer.role not in use.limit.lift_roles):
            raise ValidationError("Your role may not lift this limit: ask one of the people it names.")
        terms = limit_terms(use)
        _keep(state, use, lifted(_standing(state), use.limit.lift_hours, now, use.end))
        event = _event(use, terms, LimitEvent.Kind.LIFTED, now) if terms else None
        if event is not None:
            event.by_id, event.reason = viewer.user_id, reason.strip()
            _tell(viewer.organization_id, now, [(use, event)])
        audit(viewer, "limit.lifted", budget, budget.name, {"reason": reason.strip()})
    return state


def rehearse(viewer: Viewer, budget: Budget, now: datetime) -> LimitEvent:
    """Send what would be sent when the limit acts, marked as a rehearsal; nothing is slowed. Raises ValidationError.

    Webhooks get the topic limit.tested, people a mail that says so. It is kept in the log.
    """
    require(viewer, "limit.edit")
    with transaction.atomic():
        hold_accounts(viewer.organization_id, [budget.account_id])
        uses = budget_uses(viewer.organization_id, now, budget_ids=[budget.pk])
        terms = limit_terms(uses[0]) if uses else None
        if terms is None:
            raise ValidationError("There is no limit to rehearse: save one first.")
        event = _event(uses[0], terms, LimitEvent.Kind.TESTED, now)
        event.by_id = viewer.user_id
        _tell(viewer.organization_id, now, [(uses[0], event)])
        audit(viewer, "limit.rehearsed", budget, budget.name, {})
    return event


def due_accounts(organization_id: UUID, now: datetime) -> list[str]:
    """Return the accounts whose limits time takes further: a grace, a lift or a period is over. Within `act_as`."""
    rows = LimitState.objects.filter(organization_id=organization_id).exclude(state=LimitState.State.CLEAR)
    due = Q(state=LimitState.State.GRACE, acts_at__lte=now) | Q(state=LimitState.State.LIFTED, lifted_until__lte=now)
    rows = rows.filter(due | Q(period_end__lte=now), budget__archived_at=None)
    return sorted({str(account) for account in rows.values_list("account_id", flat=True)})
