"""What a condition would have done: on which accounts it holds now, and how often it would have begun of late."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from django.db.models import Max

from accounts.models import Account
from reviews.calc.condition_days import begins, held
from reviews.calc.condition_words import days_needed, metrics_of
from reviews.models import AccountMetrics
from reviews.reports.measured import metric_history

DAYS = 90


@dataclass(frozen=True, slots=True)
class Preview:
    """`now`: the accounts on which the entry holds and the exit does not. `begun`: in the last 90 days, of `accounts`.

    `on` accounts began at least once. `both`: days, over all accounts, on which entry and exit held. `day` is the last
    that was measured; None: nothing is measured yet.
    """

    now: list[Account] = field(default_factory=list)
    begun: int = 0
    on: int = 0
    accounts: int = 0
    both: int = 0
    day: date | None = None


def preview(organization_id: UUID, entry: Mapping[str, Any], leave: Mapping[str, Any] | None) -> Preview:
    """Try a checked condition on what is kept of every account. Three queries."""
    last = AccountMetrics.objects.filter(organization_id=organization_id).aggregate(last=Max("day"))["last"]
    accounts = list(Account.objects.filter(organization_id=organization_id).order_by("name", "pk"))
    if last is None or not accounts:
        return Preview(accounts=len(accounts))
    needed = max(days_needed(entry), days_needed(leave))
    days = DAYS + needed
    names = metrics_of(entry, leave)
    first = last - timedelta(days=days - 1)
    rows = metric_history(organization_id, [account.pk for account in accounts], first, names)
    values, measured = _arrays(rows, accounts, names, first, days)
    inside = held(entry, values, measured)
    outside = None if leave is None else held(leave, values, measured)
    count = begins(inside, outside, days - DAYS)
    # Accounts close their day at different hours: of each the last that is kept counts.
    newest = np.where(measured.any(axis=1), days - 1 - np.argmax(measured[:, ::-1], axis=1), -1)
    current = [
        account
        for number, account in enumerate(accounts)
        if newest[number] >= days - 3
        and inside[number, newest[number]]
        and (outside is None or not outside[number, newest[number]])
    ]
    both = 0 if outside is None else int((inside & outside)[:, days - DAYS :].sum())
    return Preview(current, int(count.sum()), int((count > 0).sum()), len(accounts), both, last)


def _arrays(
    rows: Mapping[UUID, Sequence[tuple[date, Mapping[str, Any]]]],
    accounts: Sequence[Account],
    names: Sequence[str],
    first: date,
    days: int,
) -> tuple[dict[str, Any], Any]:
    values = {name: np.full((len(accounts), days), np.nan) for name in names}
    measured = np.zeros((len(accounts), days), dtype=np.bool_)
    for number, account in enumerate(accounts):
        for day, numbers in rows.get(account.pk, ()):
            at = (day - first).days
            measured[number, at] = True
            for name, value in numbers.items():
                if value is not None:
                    values[name][number, at] = float(value)
    return values, measured
