"""Spikes that were forgiven and excused: they count neither in the burn rate nor in retention."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import numpy as np

from budgets.models import Forgiveness
from budgets.reports.cause_sums import anomaly_window
from consumption_cs.lib.periods import HOUR, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer

BoolDays = np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class ExcusedSpan:
    """Hours [start, end) of an account, or of one of its workflows, of which `amount` was credited."""

    account_id: UUID
    alert_id: UUID
    workflow_id: UUID | None
    start: datetime
    end: datetime
    first_day: date
    last_day: date
    amount: Decimal
    currency: str


def excused_spans(
    viewer: Viewer, account_ids: Iterable[UUID | str] | None = None, *, now: datetime | None = None
) -> dict[UUID, list[ExcusedSpan]]:
    """Return the excused spikes by account, the earliest first; one query. Days are the account's local days.

    Only credits that were approved, by `now` if it is given, and are to be excused.
    All accounts without `account_ids`.
    """
    rows = Forgiveness.objects.visible_to(viewer).filter(
        state=Forgiveness.State.APPROVED, is_excused=True, alert__anomaly__isnull=False
    )
    if account_ids is not None:
        rows = rows.filter(account_id__in=list(account_ids))
    if now is not None:
        rows = rows.filter(decided_at__lte=now)
    found: dict[UUID, list[ExcusedSpan]] = defaultdict(list)
    for credit in rows.select_related("account", "alert__anomaly").order_by("alert__anomaly__started_at", "pk"):
        anomaly, zone = credit.alert.anomaly, zone_of(credit.account.timezone)
        start, end = anomaly_window(anomaly.started_at, anomaly.seen_until)
        found[credit.account_id].append(
            ExcusedSpan(
                credit.account_id,
                credit.alert_id,
                anomaly.workflow_id,
                start,
                end,
                day_of(start, zone),
                day_of(end - HOUR, zone),
                Decimal(credit.amount),
                credit.currency,
            )
        )
    return dict(found)


def excused_days(spans: Iterable[ExcusedSpan], today: date, count: int) -> BoolDays | None:
    """Return which of the `count` days before `today`, oldest first, have an excused spike; None for none of them."""
    found = np.zeros(count, dtype=np.bool_)
    for span in spans:
        first, last = (count - (today - day).days for day in (span.first_day, span.last_day))
        found[max(first, 0) : max(last + 1, 0)] = True
    return found if found.any() else None


def excused_by_account(
    viewer: Viewer, today: Mapping[str, date], lengths: Mapping[str, int], now: datetime
) -> dict[str, BoolDays]:
    """Return the excused days of each account's history that has some."""
    found = {}
    for account, spans in excused_spans(viewer, list(today), now=now).items():
        days = excused_days(spans, today[str(account)], lengths.get(str(account), 0))
        if days is not None:
            found[str(account)] = days
    return found
