"""Commits are made, amended, extended, reordered, cancelled and rolled over; each change is kept with its reason."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction

from accounts.actions.audit import audit
from accounts.models import Account, User
from budgets.actions.authors import told
from budgets.actions.commit_checks import (
    CommitError,
    DrawOrder,
    NewCommit,
    Rollover,
    check_day,
    check_not_below_drawn,
    check_order,
    check_terms,
    refuse,
)
from budgets.actions.redraw import first_open_day, hold_account, redraw
from budgets.calc.commit_terms import amount_problem, day_problems, frozen, spelled, value_of
from budgets.models import Commit, CommitChange
from budgets.reports.drawn import expired_of
from consumption_cs.lib.tenancy import Viewer

__all__ = [
    "CommitError",
    "DrawOrder",
    "NewCommit",
    "Rollover",
    "amend_commit",
    "cancel_commit",
    "create_commit",
    "extend_commit",
    "reorder_commit",
    "roll_over_commit",
]


def create_commit(
    viewer: Viewer, account: Account, new: NewCommit, now: datetime, actor: User | None = None
) -> Commit:
    """Store a commit and have the account drawn again from its first day. Raises CommitError; then nothing is."""
    with transaction.atomic():
        frozen_until = hold_account(viewer, account, now)
        check_terms(new, account.currency)
        refuse(day_problems(new.effective_on, new.expires_on, frozen_until))
        return _store(viewer, account, new, now, actor)


def amend_commit(
    viewer: Viewer, commit: Commit, value_change: Decimal, effective_on: date, reason: str, now: datetime
) -> Commit:
    """Add `value_change` (with its sign, in the account's currency) to what is left from a day on.

    Of a recurring commit: of the recurrence in force then and all later ones. Raises CommitError.
    """
    with transaction.atomic():
        kept, frozen_until = _hold(viewer, commit, reason, now)
        currency = kept.account.currency
        if problem := amount_problem(value_change, currency, "value_change"):
            refuse([problem])
        if not value_change:
            raise CommitError("Give an amount other than zero, below zero to take some back.", "value_change")
        check_day(kept, effective_on, frozen_until)
        if value_change < 0:
            check_not_below_drawn(kept, value_change, effective_on)
        change = _changed(viewer, kept, CommitChange.Kind.AMENDED, effective_on, reason, value_change=value_change)
        _tell(viewer, kept, change, "commit.amended", now)
    return kept


def extend_commit(viewer: Viewer, commit: Commit, expires_on: date | None, reason: str, now: datetime) -> Commit:
    """Move the expiry, to a later or an earlier day that is not frozen; None: it never expires. Raises CommitError."""
    with transaction.atomic():
        kept, frozen_until = _hold(viewer, commit, reason, now)
        old = kept.expires_on
        if expires_on == old:
            raise CommitError("That is the day on which it expires already: give another one.", "expires_on")
        refuse(day_problems(kept.effective_on, expires_on, None))
        days = [day for day in (old, expires_on) if day is not None]
        if frozen_until is not None and old is not None and old < frozen_until:
            raise CommitError(
                f"It expired on {spelled(old)}, in a billing period that is closed: roll the rest over into a new"
                " commit instead.",
                "expires_on",
            )
        if frozen_until is not None and expires_on is not None and expires_on < frozen_until:
            refuse([frozen("expires_on", frozen_until)])
        before = {"expires_on": old.isoformat() if old else ""}
        kept.expires_on = expires_on
        kept.save(update_fields=["expires_on"])
        after = {"expires_on": expires_on.isoformat() if expires_on else ""}
        change = _changed(viewer, kept, CommitChange.Kind.EXTENDED, min(days), reason, before=before, after=after)
        _tell(viewer, kept, change, "commit.extended", now)
    return kept


def reorder_commit(viewer: Viewer, commit: Commit, order: DrawOrder, reason: str, now: datetime) -> Commit:
    """Change priority and meters, for all days that are not frozen yet. Raises CommitError."""
    with transaction.atomic():
        kept, frozen_until = _hold(viewer, commit, reason, now)
        names = [name for name in ("priority", "only_meters", "except_meters") if getattr(order, name) is not None]
        before = _texts(kept, names)
        for name in names:
            value = getattr(order, name)
            setattr(kept, name, value if name == "priority" else list(value))
        if _texts(kept, names) == before:
            raise CommitError("This is how it is drawn already: change the priority or the meters.", "priority")
        check_order(viewer.organization_id, kept.priority, kept.only_meters, kept.except_meters)
        kept.save(update_fields=names)
        first = max(first_open_day(viewer, kept.account, kept.effective_on), kept.effective_on)
        change = _changed(
            viewer,
            kept,
            CommitChange.Kind.REORDERED,
            max(first, frozen_until or first),
            reason,
            before=before,
            after=_texts(kept, names),
        )
        _tell(viewer, kept, change, "commit.reordered", now)
    return kept


def cancel_commit(viewer: Viewer, commit: Commit, on: date, reason: str, now: datetime) -> Commit:
    """End a commit at the start of the local day `on`: what is left falls to zero. Raises CommitError."""
    with transaction.atomic():
        kept, frozen_until = _hold(viewer, commit, reason, now)
        check_day(kept, on, frozen_until, "on")
        kept.cancelled_on = on
        kept.save(update_fields=["cancelled_on"])
        after = {"cancelled_on": on.isoformat()}
        change = _changed(viewer, kept, CommitChange.Kind.CANCELLED, on, reason, after=after)
        _tell(viewer, kept, change, "commit.cancelled", now)
    return kept


def roll_over_commit(viewer: Viewer, commit: Commit, new: Rollover, reason: str, now: datetime) -> Commit:
    """Put what an expired commit had left into a new one of kind rollover; once only. Raises CommitError."""
    with transaction.atomic():
        frozen_until = hold_account(viewer, commit.account, now)
        if not reason.strip():
            raise CommitError("Say why: the reason is shown in the ledger.", "reason")
        if Commit.objects.filter(organization_id=viewer.organization_id, rolled_from=commit).exists():
            raise CommitError("What it had left was rolled over already: see the commit that came from it.")
        rest = expired_of(commit)
        if not rest:
            raise CommitError("Nothing of it has expired unused, so there is nothing to roll over.")
        most = rest if new.most is None else new.most
        if not Decimal(0) <= new.least <= most:
            raise CommitError("The least that rolls over must be zero or more, and not above the most.", "least")
        refuse(day_problems(new.effective_on, new.expires_on, frozen_until))
        account: Account = commit.account
        terms = NewCommit(
            contract=new.contract or commit.contract,
            name=new.name,
            kind=Commit.Kind.ROLLOVER,
            unit=account.currency,
            amount=min(most, max(new.least, rest)),
            effective_on=new.effective_on,
            expires_on=new.expires_on,
            priority=commit.priority,
            only_meters=tuple(commit.only_meters),
            except_meters=tuple(commit.except_meters),
        )
        check_terms(terms, account.currency)
        return _store(viewer, account, terms, now, None, rolled_from=commit, reason=reason)


def _store(
    viewer: Viewer,
    account: Account,
    new: NewCommit,
    now: datetime,
    actor: User | None,
    rolled_from: Commit | None = None,
    reason: str = "",
) -> Commit:
    if new.contract.account_id != account.pk:
        raise CommitError("The contract belongs to another account: choose one of this account.", "contract")
    check_order(viewer.organization_id, new.priority, new.only_meters, new.except_meters)
    commit = Commit(
        organization_id=viewer.organization_id,
        account=account,
        created_by_id=actor.pk if actor else viewer.user_id,
        rolled_from=rolled_from,
        value=value_of(new.amount, new.rate, account.currency),
        **{name: getattr(new, name) for name in _COPIED},
        rate=Decimal(1) if new.rate is None else new.rate,
        only_meters=list(new.only_meters),
        except_meters=list(new.except_meters),
    )
    try:
        # The constraints too: the database would answer them with an error of its own.
        commit.full_clean(exclude=["organization", "account", "contract", "created_by", "rolled_from"])
    except ValidationError as error:
        name, messages = next(iter(error.message_dict.items()))
        raise CommitError(str(messages[0]), "" if name == NON_FIELD_ERRORS else name) from error
    commit.save()
    audit(viewer, "commit.created", commit, commit.name, _texts(commit, _AUDITED) | {"reason": reason})
    redraw(viewer, account, new.effective_on, f"{commit.name} was added{f': {reason}' if reason else ''}", now)
    return commit


_COPIED = (
    "contract kind name unit amount priority effective_on expires_on recurs_months rollover_least rollover_most"
    " rollover_months"
).split()
_AUDITED = ("kind", "unit", "amount", "rate", "value", "priority", "effective_on", "expires_on", "recurs_months")


def _hold(viewer: Viewer, commit: Commit, reason: str, now: datetime) -> tuple[Commit, date | None]:
    """Return the commit as it is now, held, and before which day it is frozen. Raises CommitError."""
    frozen_until = hold_account(viewer, commit.account, now)
    kept: Commit = Commit.objects.select_related("account").get(organization_id=viewer.organization_id, pk=commit.pk)
    if not reason.strip():
        raise CommitError("Say why: the reason is shown in the ledger.", "reason")
    if kept.cancelled_on is not None:
        raise CommitError(f"It was cancelled as of {spelled(kept.cancelled_on)}: make a new commit instead.")
    return kept, frozen_until


def _changed(
    viewer: Viewer,
    commit: Commit,
    kind: str,
    effective_on: date,
    reason: str,
    *,
    value_change: Decimal = Decimal(0),
    before: Mapping[str, str] | None = None,
    after: Mapping[str, str] | None = None,
) -> CommitChange:
    person = User.objects.filter(pk=viewer.user_id).first() if viewer.user_id else None
    change: CommitChange = CommitChange.objects.create(
        organization_id=viewer.organization_id,
        account_id=commit.account_id,
        commit=commit,
        kind=kind,
        effective_on=effective_on,
        value_change=value_change,
        before=dict(before or {}),
        after=dict(after or {}),
        reason=reason.strip(),
        actor=person,
        actor_name=str(person) if person else viewer.role,
    )
    return change


def _tell(viewer: Viewer, commit: Commit, change: CommitChange, action: str, now: datetime) -> None:
    """Write the audit event, and have the account drawn again with the reason on what changes."""
    details: dict[str, Any] = {
        "effective_on": change.effective_on.isoformat(),
        "value_change": f"{change.value_change:f}",
        "before": change.before,
        "after": change.after,
        "reason": change.reason,
    }
    audit(viewer, action, commit, commit.name, details)
    redraw(viewer, commit.account, change.effective_on, told(change, commit.name), now)


def _texts(commit: Commit, names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in names:
        value = getattr(commit, name)
        if isinstance(value, list | tuple):
            found[name] = ", ".join(str(item) for item in value)
        else:
            found[name] = "" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)
    return found
