"""Reconciliation: for each account and billing period what was accepted, rolled up, rated, drawn, due and invoiced."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Account
from consumption_cs.lib.money import exponent
from consumption_cs.lib.periods import DAY, add_months, day_of, day_start, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.calc.billing_periods import Span, billing_spans
from usage.calc.price_text import exact_price
from usage.models import BillingPeriod, Settlement

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Check:
    """One equation of the chain. `is_exact` None: it cannot be said yet, `words` why."""

    name: str
    left: str
    right: str
    is_exact: bool | None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One billing period of an account; money in its currency. `row`: the closed period, None while it is open.

    Events: `accepted` (None: not read here), `rolled` up, `rated`; a closed period keeps what it was rated at, so
    that `late` events are rolled up and in a later adjustment. `days_spend`: the day roll-ups' money; `rated`: the
    rated days'. `adjusted`: booked here for earlier periods. `ongoing`: today's use, not in the ledger yet.
    """

    account: Account
    span: Span
    row: BillingPeriod | None
    has_ended: bool
    is_settling: bool
    rolled_events: int
    unpriced_events: int
    rated_events: int
    days_spend: Decimal
    rated: Decimal
    adjusted: Decimal
    drawn: Decimal
    overage: Decimal
    surcharge: Decimal
    ongoing: Decimal
    accepted_events: int | None = None

    @property
    def last(self) -> date:
        return self.span.end - DAY

    @property
    def late_events(self) -> int:
        return self.rolled_events - self.rated_events if self.row else 0

    @property
    def due(self) -> Decimal:
        """What the period is to be invoiced at: overage with its surcharge."""
        return self.overage + self.surcharge

    @property
    def unexplained(self) -> Decimal:
        """Rated and adjusted money that is neither drawn, nor overage, nor of today."""
        return self.rated + self.adjusted - self.drawn - self.overage - self.ongoing

    @property
    def is_exact(self) -> bool | None:
        """Whether all of the chain agrees; None while it is being settled."""
        found = [check.is_exact for check in checks(self)]
        return False if False in found else None if self.is_settling else True

    @property
    def invoiced(self) -> Decimal | None:
        return self.row.invoiced if self.row else None

    @property
    def invoice_difference(self) -> Decimal | None:
        """What the invoice says beyond what is due; None without one."""
        return None if self.invoiced is None else self.invoiced - self.due

    @property
    def invoice_ratio(self) -> Decimal | None:
        """The same as a part of what is due; None without an invoice, or when nothing is due."""
        return None if self.invoice_difference is None or not self.due else self.invoice_difference / self.due

    def is_off(self, tolerance: Decimal) -> bool:
        """Whether the invoice differs by more than `tolerance`, a part of what is due (0.005 for half a percent)."""
        return self.invoice_difference is not None and abs(self.invoice_difference) > abs(self.due) * tolerance


def checks(line: Line) -> list[Check]:
    """Return the chain accepted = rolled up = rated = drawn + overage for one period."""
    settling = "It is just being settled: look again in some seconds." if line.is_settling else ""
    late = f" + {line.late_events:,} late, in a later adjustment" if line.late_events else ""
    agrees = line.rolled_events == line.rated_events or (line.row is not None and line.late_events > 0)
    found = []
    if line.accepted_events is not None:
        same = line.accepted_events == line.rolled_events
        found.append(
            _check("Accepted = rolled up", f"{line.accepted_events:,}", f"{line.rolled_events:,}", same, settling)
        )
    found.append(
        _check("Rolled up = rated", f"{line.rolled_events:,}", f"{line.rated_events:,}{late}", agrees, settling)
    )
    code = line.account.currency
    money = {
        "Days = rated": (line.days_spend, line.rated),
        "Rated + adjustments = drawn + overage": (
            line.rated + line.adjusted,
            line.drawn + line.overage + line.ongoing,
        ),
    }
    for name, (left, right) in money.items():
        found.append(_check(name, exact_price(left, code), exact_price(right, code), left == right, settling))
    return found


def lines_of_month(viewer: Viewer, month: date, now: datetime, account: Account | None = None) -> list[Line]:
    """Return the billing periods that start in the calendar month `month`, of all accounts or one, by account name.

    Accounts without any use or money in theirs are left out. Events accepted are not read: see `with_accepted`.
    """
    wanted = list(_spans(viewer, month, now, account))
    known = {(row[0], row[1]): row[2:] for row in _figures(viewer, wanted)}
    found = []
    for owner, span, row in wanted:
        figures = known[owner.pk, span.start]
        is_settling, rolled, unpriced, rated_events, *money = figures
        if rolled or any(money) or row:
            has_ended = span.has_ended(day_of(now, zone_of(owner.timezone)))
            found.append(Line(owner, span, row, has_ended, is_settling, rolled, unpriced, rated_events, *money))
    return sorted(found, key=lambda line: (line.account.name.lower(), line.span.start))


def line_of(viewer: Viewer, account: Account, starts_on: date, now: datetime) -> Line | None:
    """Return the account's billing period that starts on a day, with its accepted events; None if none does."""
    found = [one for one in lines_of_month(viewer, starts_on, now, account) if one.span.start == starts_on]
    return with_accepted(viewer, found)[0] if found else None


def with_accepted(viewer: Viewer, lines: Sequence[Line]) -> list[Line]:
    """Count the accepted events of some periods; reversals count against what they reverse. Reads raw events."""
    if not lines:
        return []
    zones = [zone_of(line.account.timezone) for line in lines]
    asked: dict[str, Any] = {
        "organization": viewer.organization_id,
        "accounts": [line.account.pk for line in lines],
        "starts": [day_start(line.span.start, zone) for line, zone in zip(lines, zones, strict=True)],
        "ends": [day_start(line.span.end, zone) for line, zone in zip(lines, zones, strict=True)],
    }
    with connection.cursor() as cursor:
        cursor.execute(_ACCEPTED, asked)
        counts = [row[0] for row in cursor.fetchall()]
    return [replace(line, accepted_events=count) for line, count in zip(lines, counts, strict=True)]


def _check(name: str, left: str, right: str, agrees: bool, settling: str) -> Check:
    return Check(name, left, right, True if agrees else None if settling else False, "" if agrees else settling)


def _spans(
    viewer: Viewer, month: date, now: datetime, one: Account | None
) -> Iterable[tuple[Account, Span, BillingPeriod | None]]:
    """Yield the periods that start in the month: closed ones as they were closed, others by the calendar."""
    start, end = month.replace(day=1), add_months(month.replace(day=1), 1)
    accounts = [one] if one else Account.objects.visible_to(viewer)
    closed: dict[UUID, list[BillingPeriod]] = {}
    for row in BillingPeriod.objects.visible_to(viewer).filter(starts_on__gte=start, starts_on__lt=end):
        closed.setdefault(row.account_id, []).append(row)
    until = dict(Settlement.objects.visible_to(viewer).values_list("account_id", "closed_until"))
    for account in accounts:
        for row in closed.get(account.pk, []):
            yield account, Span(row.starts_on, row.ends_on), row
        frozen = until.get(account.pk)
        first = max(start, frozen) if frozen else start
        today = day_of(now, zone_of(account.timezone))
        for span in billing_spans(first, end, account.billing_day, frozen) if first < end else ():
            if start <= span.start <= today and span.start < end:
                yield account, span, None


def _figures(viewer: Viewer, wanted: Sequence[tuple[Account, Span, object]]) -> list[tuple[Any, ...]]:
    asked: dict[str, Any] = {
        "organization": viewer.organization_id,
        "accounts": [account.pk for account, _, _ in wanted],
        "starts": [span.start for _, span, _ in wanted],
        "ends": [span.end for _, span, _ in wanted],
        "places": [exponent(account.currency) for account, _, _ in wanted],
    }
    with connection.cursor() as cursor:
        cursor.execute(_FIGURES, asked)
        return list(cursor.fetchall())


# LATERAL, so that each account's index is walked whatever the planner thinks of row-level security.
_FIGURES = """
SELECT wanted.account_id, wanted.starts_on, EXISTS (
        SELECT FROM usage_touched_day AS mark WHERE mark.organization_id = %(organization)s
            AND mark.account_id = wanted.account_id AND mark.day >= wanted.starts_on AND mark.day < wanted.ends_on),
    days.events, days.unpriced, rated.events, days.spend, rated.amount, adjusted.amount, booked.drawn,
    booked.overage, extra.amount, today.amount
FROM unnest(%(accounts)s::uuid[], %(starts)s::date[], %(ends)s::date[], %(places)s::int[])
    AS wanted(account_id, starts_on, ends_on, places)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(events), 0)::bigint AS events, coalesce(sum(spend), 0) AS spend,
        coalesce(sum(events) FILTER (WHERE spend IS NULL), 0)::bigint AS unpriced
    FROM usage_day WHERE organization_id = %(organization)s AND account_id = wanted.account_id
        AND day >= wanted.starts_on AND day < wanted.ends_on) AS days
CROSS JOIN LATERAL (
    SELECT coalesce(sum(events), 0)::bigint AS events, coalesce(sum(amount), 0) AS amount
    FROM usage_rated_day WHERE organization_id = %(organization)s AND account_id = wanted.account_id
        AND day >= wanted.starts_on AND day < wanted.ends_on) AS rated
CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount), 0) AS amount
    FROM usage_adjustment WHERE organization_id = %(organization)s AND account_id = wanted.account_id
        AND day >= wanted.starts_on AND day < wanted.ends_on) AS adjusted
CROSS JOIN LATERAL (
    SELECT coalesce(-sum(amount) FILTER (WHERE kind = 'drawn'), 0) AS drawn,
        coalesce(sum(amount) FILTER (WHERE kind = 'overage'), 0) AS overage
    FROM budgets_ledgerentry WHERE organization_id = %(organization)s AND account_id = wanted.account_id
        AND day >= wanted.starts_on AND day < wanted.ends_on) AS booked
CROSS JOIN LATERAL (
    SELECT coalesce(sum(part), 0) AS amount FROM (
        SELECT round(sum(entry.amount) * (contract.overage_factor - 1), wanted.places) AS part
        FROM budgets_contract AS contract JOIN budgets_ledgerentry AS entry
            ON entry.organization_id = contract.organization_id AND entry.account_id = contract.account_id
            AND entry.kind = 'overage' AND entry.day >= contract.starts_on
            AND (contract.ends_on IS NULL OR entry.day < contract.ends_on)
            AND entry.day >= wanted.starts_on AND entry.day < wanted.ends_on
        WHERE contract.organization_id = %(organization)s AND contract.account_id = wanted.account_id
            AND contract.overage_factor <> 1
        GROUP BY contract.id, contract.overage_factor) AS parts) AS extra
CROSS JOIN LATERAL (
    SELECT coalesce(sum((part ->> 'amount')::numeric * CASE WHEN part ->> 'commit' IS NULL THEN 1 ELSE -1 END), 0)
        AS amount
    FROM budgets_ledgerstate AS state, jsonb_array_elements(state.ongoing) AS part
    WHERE state.organization_id = %(organization)s AND state.account_id = wanted.account_id
        AND state.latest_on >= wanted.starts_on AND state.latest_on < wanted.ends_on) AS today
"""

_ACCEPTED = """
SELECT coalesce(counted.events, 0)
FROM unnest(%(accounts)s::uuid[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
    WITH ORDINALITY AS wanted(account_id, starts_at, ends_at, place)
CROSS JOIN LATERAL (
    SELECT sum(CASE WHEN correction.reversal_key IS NULL THEN 1 ELSE -1 END)::bigint AS events
    FROM usage_event AS event LEFT JOIN usage_correction AS correction
        ON correction.organization_id = event.organization_id AND correction.reversal_key = event.key
    WHERE event.organization_id = %(organization)s AND event.account_id = wanted.account_id AND counted
        AND occurred_at >= wanted.starts_at AND occurred_at < wanted.ends_at
        AND NOT EXISTS (SELECT FROM usage_ingestbatch AS batch
            WHERE batch.organization_id = %(organization)s AND batch.id = event.batch_id
                AND batch.rolled_at IS NULL AND batch.failures < 3)) AS counted
ORDER BY place
"""
