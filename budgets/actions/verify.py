"""The check of the ledger: accepted = rolled up = rated = drawn + overage, exactly; a recompute changes nothing."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import connection
from django.db.models import Min

from accounts.models import Account
from budgets.actions.draw import redrawn
from budgets.calc.commit_terms import spelled
from budgets.models import Commit, LedgerCheck
from budgets.reports.ledger_checks import figures_of, first_difference, in_words
from consumption_cs.lib.periods import day_of
from consumption_cs.lib.tenancy import Viewer, act_as
from usage.actions import rated_rows
from usage.actions.rated_rows import Stretch
from usage.actions.rating_input import Owner, owners_of, rating_of
from usage.actions.rating_output import Changes, compare
from usage.calc.billing_periods import Span, billing_spans
from usage.calc.day_rating import rate_days
from usage.calc.price_book import PriceBook
from usage.models import Meter, Settlement, TouchedDay, UsageDay
from usage.reports.conservation import differences

logger = logging.getLogger(__name__)

NOT_AGAIN_FOR = timedelta(hours=6)
CHUNK = 100  # accounts compared at once: what is held in memory does not grow with the organization


@dataclass(slots=True)
class _Found:
    difference: str = ""
    accounts: int = 0
    money: dict[tuple[str, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))


def verify_ledger(organization_id: UUID, now: datetime) -> LedgerCheck:
    """Compare all steps of an organization's money and store what was found; nothing else is changed.

    On one snapshot of the database, so it may run while events come in. Accounts that wait for settlement are left
    out and counted. Reads every event: for a nightly task.
    """
    with act_as(Viewer(organization_id)):
        _on_one_snapshot()
        waiting = _waiting(organization_id, now)
        found = _Found()
        for accounts in _chunks(organization_id, waiting):
            found.accounts += len(accounts)
            for key, amount in figures_of(organization_id, accounts).items():
                found.money[key] += amount
            found.difference = found.difference or _difference(organization_id, now, accounts)
        # Last, because it takes longest and the other steps say more.
        found.difference = found.difference or _in_events(organization_id, now, waiting)
        figures = {"waiting": str(len(waiting)), "money": _as_text(found.money)}
    with act_as(Viewer(organization_id)):
        check: LedgerCheck = LedgerCheck.objects.create(
            organization_id=organization_id,
            checked_at=now,
            is_exact=not found.difference,
            accounts=found.accounts,
            figures=figures,
            difference=found.difference,
        )
    return check


def verify_nightly(organization_id: UUID, now: datetime) -> LedgerCheck | None:
    """Verify, unless that was done in the last hours: two beats may both ask for it."""
    with act_as(Viewer(organization_id)):
        done = LedgerCheck.objects.filter(organization_id=organization_id, checked_at__gt=now - NOT_AGAIN_FOR)
        if done.exists():
            return None
    check = verify_ledger(organization_id, now)
    if not check.is_exact:
        logger.error("the ledger differs: %s", check.difference)
    return check


def _on_one_snapshot() -> None:
    with connection.cursor() as cursor:
        if len(connection.atomic_blocks) == 1:  # in tests the transaction has begun before
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SET LOCAL statement_timeout = 0")


def _waiting(organization_id: UUID, now: datetime) -> set[str]:
    """Return the accounts that settlement has still to look at: marked days, or a new local day."""
    own = {"organization_id": organization_id}
    marked = TouchedDay.objects.filter(**own).order_by().values_list("account_id", flat=True).distinct()
    due = Settlement.objects.filter(**own, due_at__lte=now).values_list("account_id", flat=True)
    return {str(account) for account in [*marked, *due]}


def _chunks(organization_id: UUID, without: set[str]) -> Iterator[list[str]]:
    last = UUID(int=0)
    while True:
        rows = Account.objects.filter(organization_id=organization_id, pk__gt=last).order_by("pk")
        ids = list(rows.values_list("pk", flat=True)[:CHUNK])
        if not ids:
            return
        last = ids[-1]
        yield [str(pk) for pk in ids if str(pk) not in without]


def _difference(organization_id: UUID, now: datetime, accounts: Sequence[str]) -> str:
    """Return in words the first thing about the accounts that is not as it should be, or nothing."""
    found = first_difference(organization_id, accounts)
    if found:
        ids = [pk for pk in (found.account, found.meter, found.commit) if pk]
        account = Account.objects.get(organization_id=organization_id, pk=found.account)
        return in_words(found, _names(organization_id, ids), account.currency)
    return _rated_otherwise(organization_id, now, accounts) or _drawn_otherwise(organization_id, now, accounts)


def _names(organization_id: UUID, ids: Sequence[UUID]) -> dict[UUID, str]:
    names: dict[UUID, str] = {}
    for model in (Account, Meter, Commit):
        names |= dict(model.objects.filter(organization_id=organization_id, pk__in=ids).values_list("pk", "name"))
    return names


def _rated_otherwise(organization_id: UUID, now: datetime, accounts: Sequence[str]) -> str:
    """Rate all open days anew, in memory, and say where that differs from what is stored."""
    owners = owners_of(organization_id, accounts)
    book = rated_rows.read_prices(organization_id, owners)
    for owner in owners.values():
        for stretch in _open_stretches(organization_id, owner, now):
            changes = _rated_anew(organization_id, owner, book, stretch)
            for row in [*changes.rated, *changes.gone]:
                names = _names(organization_id, [UUID(owner.id), UUID(row.meter)])
                where = ", ".join([names[UUID(owner.id)], spelled(row.day), names.get(UUID(row.meter), row.meter)])
                return f"{where}: rated anew it would be {_amount(row.amount)} {owner.currency}, which is not stored"
            if changes.spends:
                name = _names(organization_id, [UUID(owner.id)])[UUID(owner.id)]
                return f"{name}: rated anew, {len(changes.spends)} rows of usage would cost something else"
    return ""


def _amount(amount: Decimal | None) -> str:
    return "unpriced" if amount is None else f"{amount:,f}"


def _open_stretches(organization_id: UUID, owner: Owner, now: datetime) -> Iterator[Stretch]:
    used = UsageDay.objects.filter(organization_id=organization_id, account=UUID(owner.id))
    first = owner.closed_until or used.aggregate(first=Min("day"))["first"]
    if first is None:
        return
    until = day_of(now, owner.zone) + timedelta(days=1)
    for span in billing_spans(first, until, owner.billing_day, owner.closed_until):
        yield Stretch(owner.id, span.start, span.start, span.end)


def _rated_anew(organization_id: UUID, owner: Owner, book: PriceBook, stretch: Stretch) -> Changes:
    uses = rated_rows.read_uses(organization_id, [stretch])
    rating = rating_of(organization_id, owner, book, Span(stretch.start, stretch.until))
    changes = Changes()
    compare(rate_days(rating, uses, {}), uses, rated_rows.read_rated(organization_id, [stretch]), changes)
    return changes


def _drawn_otherwise(organization_id: UUID, now: datetime, accounts: Sequence[str]) -> str:
    """Draw all open days anew, in memory, and say which ledger entry would change."""
    changes, _ = redrawn(organization_id, now, dict.fromkeys(accounts, date.min))
    for change in changes:
        ids = [UUID(name) for name in (change.account, change.key.commit, change.key.meter) if name]
        names = _names(organization_id, ids)
        booked = sum((entry.amount for entry in change.current), Decimal(0))
        where = ", ".join([names[UUID(change.account)], spelled(change.key.day), *(names[pk] for pk in ids[1:])])
        return (
            f"{where}: {change.key.kind} {_amount(booked)} is in the ledger, drawn anew it would be"
            f" {_amount(change.amount)}"
        )
    return ""


def _in_events(organization_id: UUID, now: datetime, waiting: set[str]) -> str:
    found = [row for row in differences(Viewer(organization_id), now) if row.account_id not in waiting]
    if not found:
        return ""
    first = found[0]
    ids = [UUID(name) for name in (first.account_id, first.meter_id) if name]
    names = _names(organization_id, ids)
    where = ", ".join(names.get(pk, str(pk)) for pk in ids)
    return (
        f"{where}: {first.step} differ: {first.events} events and {first.amount:f} before,"
        f" {first.events_after} events and {first.amount_after:f} after"
    )


def _as_text(money: dict[tuple[str, str], Decimal]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for (currency, step), amount in sorted(money.items()):
        found[currency][step] = f"{amount:f}"
    return dict(found)
