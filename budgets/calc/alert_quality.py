"""How good alerts are: bill shocks, precision, lead time, time to acknowledge, how many. Pure.

Metrics 28 and 29. A figure that cannot be said is None, with the reason in words.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median

SHOCK = Decimal("1.2")
WARNED_BEFORE = timedelta(hours=72)
MANY_A_WEEK = Decimal(3)


@dataclass(frozen=True, slots=True)
class Invoice:
    """A closed billing period. `expected`: the greater of its budget and the P90 forecast on its tenth day, None if
    there was neither. `warned_at`: when the first alert about it was delivered. `ends_at`: when the period ended."""

    amount: Decimal
    expected: Decimal | None
    ends_at: datetime
    warned_at: datetime | None


@dataclass(frozen=True, slots=True)
class ToldAlert:
    """An alert that somebody was told of. `reached_at`: when what it warned of came about, for warnings ahead."""

    account: str
    raised_at: datetime
    feedback: str = ""
    acknowledged_at: datetime | None = None
    reached_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` in the metric's unit over `count` cases; None with the `reason` in words."""

    value: Decimal | None
    count: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Quality:
    """`bill_shock` in ‰ of invoices, `precision` as a ratio, `lead` and `acknowledge` in hours, `per_week` alerts of
    an account with use in a week."""

    bill_shock: Figure
    precision: Figure
    lead: Figure
    acknowledge: Figure
    per_week: Figure

    def figures(self) -> list[Figure]:
        return [self.bill_shock, self.precision, self.lead, self.acknowledge, self.per_week]


def is_shock(invoice: Invoice) -> bool:
    """Whether an invoice is over 1.2 times what was to be expected, and no alert was delivered 72 hours before."""
    if invoice.expected is None or invoice.amount <= SHOCK * invoice.expected:
        return False
    return invoice.warned_at is None or invoice.ends_at - invoice.warned_at < WARNED_BEFORE


def bill_shock_rate(invoices: Iterable[Invoice]) -> Figure:
    """Return bill shocks in ‰ of the invoices that something can be held against."""
    every = list(invoices)
    judged = [invoice for invoice in every if invoice.expected is not None]
    if not judged:
        return Figure(
            None,
            0,
            "No invoice had a budget or a forecast to compare with" if every else "No billing period was closed",
        )
    return Figure(Decimal(1000 * sum(map(is_shock, judged))) / len(judged), len(judged))


def precision(alerts: Iterable[ToldAlert]) -> Figure:
    """Return the useful ones of those that were judged."""
    judged = [alert.feedback for alert in alerts if alert.feedback]
    if not judged:
        return Figure(None, 0, "Nobody has judged an alert yet")
    return Figure(Decimal(judged.count("useful")) / len(judged), len(judged))


def quality(
    alerts: Sequence[ToldAlert], invoices: Iterable[Invoice], accounts_with_use: int, days: Decimal
) -> Quality:
    """Return all figures of a stretch of `days`."""
    leads = [_hours(one.reached_at - one.raised_at) for one in alerts if one.reached_at is not None]
    waits = [_hours(one.acknowledged_at - one.raised_at) for one in alerts if one.acknowledged_at is not None]
    weeks = accounts_with_use * days / 7
    return Quality(
        bill_shock_rate(invoices),
        precision(alerts),
        _median(leads, "No warning was followed by a budget that was reached"),
        _median(waits, "Nobody has acknowledged an alert yet"),
        Figure(len(alerts) / weeks, len(alerts)) if weeks > 0 else Figure(None, 0, "No account was used"),
    )


def _hours(span: timedelta) -> Decimal:
    return Decimal(round(span.total_seconds())) / 3600


def _median(values: Sequence[Decimal], reason: str) -> Figure:
    return Figure(median(values), len(values)) if values else Figure(None, 0, reason)
