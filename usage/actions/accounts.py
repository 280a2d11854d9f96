"""Make and change accounts, one at a time. Here and not beside the model, because usage decides what may change."""

from collections.abc import Iterable
from datetime import date
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Func, JSONField, QuerySet

from accounts.actions.audit import audit
from accounts.models import Account, User
from consumption_cs.lib.tenancy import Viewer
from usage.actions.marks import touch_days
from usage.models import AccountDay, BillingPeriod, IngestBatch, RatedDay, Settlement, TouchedDay

# Events name the key; the days they fall on, and the money on them, rest on the other two.
LOCKED = ("key", "currency", "timezone")
FIELDS = (
    "key", "name", "segment", "tier", "currency", "timezone", "country", "contract_starts_on", "contract_ends_on",
    "billing_day", "csm", "field_cto",
)  # fmt: skip


class AccountTaken(ValueError):
    """Another account has the key already."""


def with_usage(viewer: Viewer, accounts: Iterable[UUID]) -> set[UUID]:
    """Return which of these accounts have events, waiting ones included, or money: rated days or closed periods."""
    wanted = set(accounts)
    found: set[UUID] = set()
    for model in (AccountDay, TouchedDay, RatedDay, BillingPeriod):
        rows = model.objects.visible_to(viewer).filter(account__in=wanted)
        found |= set(rows.values_list("account_id", flat=True).distinct())
    waiting = IngestBatch.objects.visible_to(viewer).filter(rolled_at=None)
    named = set(waiting.values_list(_AccountsIn("sums"), flat=True).distinct())
    return found | {account for account in wanted if str(account) in named}


class _AccountsIn(Func):
    """The account of each sum that a batch waits to add, one row each."""

    function = "jsonb_path_query"
    template = "%(function)s(%(expressions)s, '$[*].a')"
    output_field = JSONField()
    set_returning = True


def has_usage(viewer: Viewer, account: Account) -> bool:
    """Whether events of the account were accepted, so that its key, currency and time zone stay."""
    return bool(with_usage(viewer, [account.pk]))


def staff_people(viewer: Viewer) -> QuerySet[User]:
    """Return who can be CSM or field CTO: active people on the organization's own staff."""
    return User.objects.filter(
        is_active=True, memberships__organization=viewer.organization_id, memberships__account=None
    )


def taken_words(key: str) -> str:
    return f"Another account has the key “{key}”. Choose another, or edit that account."


def save_account(viewer: Viewer, account: Account) -> Account:
    """Store a new or changed account and say so in the audit log. Raises AccountTaken.

    The key, currency and time zone of an account that has usage stay what they were.
    """
    before = Account.objects.visible_to(viewer).select_for_update().filter(pk=account.pk).first()
    if before is not None and has_usage(viewer, before):
        for name in LOCKED:
            setattr(account, name, getattr(before, name))
    account.organization_id = viewer.organization_id
    changes = changes_between(before, account)
    if before is not None and not changes:
        return account
    try:
        with transaction.atomic():
            account.save()
    except IntegrityError as error:
        raise AccountTaken(taken_words(account.key)) from error
    if before is not None and before.billing_day != account.billing_day:
        # Tiers and limits of the periods that are not closed now count from another day.
        kept = Settlement.objects.visible_to(viewer).filter(account_id=account.pk)
        closed_until = kept.values_list("closed_until", flat=True).first()
        reason = f"Billing periods start on day {account.billing_day} instead of {before.billing_day}"
        touch_days(viewer, None, account, closed_until or date.min, reason)
    audit(viewer, "account.changed" if before else "account.created", account, account.name, changes)
    return account


def changes_between(before: Account | None, after: Account) -> dict[str, Any]:
    """Return what differs, as the audit log keeps it: {"tier": {"from": …, "to": …}}; people by name, days as text."""
    told = {name: _told(after, name) for name in FIELDS}
    if before is None:
        return {name: value for name, value in told.items() if value != ""}
    was = {name: _told(before, name) for name in FIELDS}
    return {name: {"from": was[name], "to": told[name]} for name in FIELDS if was[name] != told[name]}


def _told(account: Account, name: str) -> str:
    if name in ("segment", "tier"):
        return str(getattr(account, f"get_{name}_display")())
    value = getattr(account, name)
    return "" if value is None else f"{value} <{value.email}>" if isinstance(value, User) else str(value)
