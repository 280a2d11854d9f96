"""Why accounts spend less, as people wrote it down and others approved it; and spikes that were credited."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from budgets.reports.excused import excused_spans
from consumption_cs.lib.tenancy import Viewer
from reviews.models import LossEvidence

ZERO = Decimal(0)
EXPLAINS = {"assisted": "assisted", "excused": "excused", "price": "price"}
MONTH_DAYS = Decimal("30.4375")


@dataclass(frozen=True, slots=True)
class Explained:
    """What explains a loss between two spans: {account: {reason: amount}}, who churned, and how many pieces."""

    amounts: dict[str, dict[str, Decimal]]
    churned: frozenset[str]
    pieces: dict[str, int]


def explained(
    viewer: Viewer, account_ids: Collection[UUID], base: tuple[date, date], current: tuple[date, date], now: datetime
) -> Explained:
    """Return the approved evidence that bears on the difference between two spans of local days [start, end).

    An amount a month counts for the months of `current` that it covers; without an amount it is all of the loss. A
    spike that was credited and excused counts with its credit when it lies in `base`: it was never to be repeated.
    """
    amounts: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(lambda: ZERO))
    pieces: dict[str, int] = defaultdict(int)
    churned = set()
    rows = LossEvidence.objects.visible_to(viewer).filter(
        account__in=list(account_ids), approved_at__isnull=False, starts_on__lt=current[1]
    )
    for row in rows:
        if row.ends_on is not None and row.ends_on <= current[0]:
            continue
        pieces[row.kind] += 1
        if row.kind in (LossEvidence.Kind.CHURN, LossEvidence.Kind.MERGED):
            churned.add(str(row.account_id))
            continue
        first, last = max(row.starts_on, current[0]), min(row.ends_on or current[1], current[1])
        months = Decimal((last - first).days) / MONTH_DAYS
        amount = Decimal("Infinity") if row.amount_a_month is None else Decimal(row.amount_a_month) * months
        amounts[str(row.account_id)][EXPLAINS[row.kind]] += amount
    for account, spans in excused_spans(viewer, account_ids, now=now).items():
        for span in spans:
            if base[0] <= span.first_day < base[1]:
                amounts[str(account)]["excused"] += span.amount
                pieces["excused"] += 1
    return Explained({key: dict(found) for key, found in amounts.items()}, frozenset(churned), dict(pieces))


def evidence(viewer: Viewer, account_id: UUID | None = None) -> list[LossEvidence]:
    """Return what was written down, what waits for approval first, then the newest."""
    rows = LossEvidence.objects.visible_to(viewer).select_related("account", "entered_by", "approved_by")
    if account_id is not None:
        rows = rows.filter(account=account_id)
    return sorted(rows.order_by("-entered_at"), key=lambda row: row.approved_at is not None)
