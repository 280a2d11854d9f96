"""Credits for spikes: asked for, approved or declined, and booked as a promotional commit."""

from datetime import datetime
from decimal import Decimal

from django.db import transaction

from accounts.actions.audit import audit
from accounts.models import Account, User
from accounts.permissions import require
from budgets.actions.commits import CommitError, NewCommit, create_commit
from budgets.models import Alert, AlertEvent, Commit, Contract, Forgiveness
from budgets.reports.forgiveness import working
from consumption_cs.lib.display import money_text
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.reports.overview_words import short_date


class ForgivenessError(ValueError):
    """A credit that cannot be asked for or decided; the message says what to do."""


def request_forgiveness(viewer: Viewer, account: Account, alert: Alert, reason: str, now: datetime) -> Forgiveness:
    """Ask for a credit of what the spike cost, with its working frozen. Raises ForgivenessError."""
    require(viewer, "forgiveness.request")
    with transaction.atomic():
        Alert.objects.select_for_update().get(organization_id=viewer.organization_id, pk=alert.pk)
        found = working(viewer, account, alert, now)
        if found.problem:
            raise ForgivenessError(found.problem)
        if not reason.strip():
            raise ForgivenessError("Say what happened: whoever decides reads it.")
        asked: Forgiveness = Forgiveness.objects.create(
            organization_id=viewer.organization_id,
            account=account,
            alert=alert,
            amount=found.amount,
            currency=account.currency,
            working={"lines": found.lines},
            reason=reason.strip(),
            requested_by_id=viewer.user_id,
            requested_at=now,
        )
        amount = money_text(asked.amount, asked.currency)
        _log(viewer, asked, f"A credit of {amount} was asked for: {asked.reason}", now)
        audit(viewer, "forgiveness.requested", asked, alert.headline, {"amount": f"{asked.amount:f}"})
    return asked


def approve(viewer: Viewer, asked: Forgiveness, answer: str, now: datetime, *, excused: bool = True) -> Forgiveness:
    """Book the credit from today on; `excused`: retention leaves the spike out. Raises ForgivenessError."""
    require(viewer, "forgiveness.decide")
    with transaction.atomic():
        held = _waiting(viewer, asked)
        held.commit = _booked(viewer, held, now)
        held.is_excused = excused
        return _decided(viewer, held, Forgiveness.State.APPROVED, answer, now)


def decline(viewer: Viewer, asked: Forgiveness, answer: str, now: datetime) -> Forgiveness:
    """Refuse the credit, with the reason for the customer. Raises ForgivenessError."""
    require(viewer, "forgiveness.decide")
    if not answer.strip():
        raise ForgivenessError("Say why it is declined: the customer reads it.")
    with transaction.atomic():
        held = _waiting(viewer, asked)
        held.is_excused = False
        return _decided(viewer, held, Forgiveness.State.DECLINED, answer, now)


def _waiting(viewer: Viewer, asked: Forgiveness) -> Forgiveness:
    rows = Forgiveness.objects.select_for_update(of=("self",)).select_related("alert__anomaly", "account")
    held: Forgiveness = rows.get(organization_id=viewer.organization_id, pk=asked.pk)
    if held.state != Forgiveness.State.REQUESTED:
        raise ForgivenessError("It was decided already.")
    return held


def _booked(viewer: Viewer, held: Forgiveness, now: datetime) -> Commit:
    zone = zone_of(held.account.timezone)
    today = day_of(now, zone)
    contract = (
        Contract.objects.filter(organization_id=viewer.organization_id, account=held.account, starts_on__lte=today)
        .exclude(ends_on__lte=today)
        .first()
    )
    if contract is None:
        raise ForgivenessError("The account has no contract in force to book the credit under: add one first.")
    began = held.alert.anomaly.started_at if held.alert.anomaly else held.alert.raised_at
    new = NewCommit(
        contract=contract,
        name=f"Credit for the spike of {short_date(day_of(began, zone))}",
        kind=Commit.Kind.PROMOTIONAL,
        unit=held.currency,
        amount=Decimal(held.amount),
        effective_on=today,
        priority=0,
    )
    try:
        return create_commit(viewer, held.account, new, now)
    except CommitError as error:
        raise ForgivenessError(str(error)) from error


def _decided(viewer: Viewer, held: Forgiveness, state: str, answer: str, now: datetime) -> Forgiveness:
    held.state, held.answer, held.decided_at = state, answer.strip(), now
    held.decided_by = User.objects.filter(pk=viewer.user_id).first() if viewer.user_id else None
    held.save(update_fields=["state", "answer", "decided_at", "decided_by", "commit", "is_excused"])
    amount = money_text(held.amount, held.currency)
    words = "was approved and booked" if held.commit_id else "was declined"
    _log(viewer, held, f"The credit of {amount} {words}.{f' {held.answer}' if held.answer else ''}", now)
    audit(
        viewer,
        f"forgiveness.{state}",
        held,
        held.alert.headline,
        {"amount": f"{held.amount:f}", "answer": held.answer, "excused": held.is_excused},
    )
    return held


def _log(viewer: Viewer, asked: Forgiveness, text: str, now: datetime) -> None:
    AlertEvent.objects.create(
        organization_id=viewer.organization_id,
        account_id=asked.account_id,
        alert_id=asked.alert_id,
        kind=AlertEvent.Kind.COMMENTED,
        at=now,
        by_id=viewer.user_id,
        text=text,
    )
