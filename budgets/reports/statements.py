"""A billing period in a statement: opening + given − drawn − expired = closing, and what is due."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import Min, Q, QuerySet, Sum

from accounts.models import Account
from budgets.models import Commit, Contract, LedgerEntry, LedgerState
from consumption_cs.lib.money import exponent, round_to
from consumption_cs.lib.tenancy import Viewer
from usage.calc.billing_periods import Span, billing_spans
from usage.models import Adjustment, BillingPeriod, Meter, RatedDay
from usage.reports.periods import closed_until, next_to_close, period_of_day, today_of

ZERO = Decimal(0)
Kind = LedgerEntry.Kind


@dataclass(frozen=True, slots=True)
class BillingMonth:
    """A billing period of an account, days half-open. `is_closed`: frozen; `has_ended`: today is not in it."""

    starts_on: date
    ends_on: date
    is_closed: bool
    has_ended: bool

    @property
    def last_day(self) -> date:
        """The last day that belongs to it."""
        return self.ends_on - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One commit (or, as the total, all): opening + granted + amended + not_rolled_over + drawn + expired + cancelled
    = closing, each with its sign as in the ledger. `granted` includes what recurs."""

    commit_id: UUID | None
    name: str
    opening: Decimal
    granted: Decimal
    amended: Decimal
    not_rolled_over: Decimal
    drawn: Decimal
    expired: Decimal
    cancelled: Decimal
    closing: Decimal

    @property
    def otherwise(self) -> Decimal:
        """What was amended, cancelled or not rolled over."""
        return self.amended + self.cancelled + self.not_rolled_over


@dataclass(frozen=True, slots=True)
class MeterLine:
    """What one meter's use of the period came to: `rated` + `adjusted` = `drawn` + `overage`."""

    meter_id: UUID
    name: str
    rated: Decimal
    adjusted: Decimal
    drawn: Decimal
    overage: Decimal


@dataclass(frozen=True, slots=True)
class AdjustmentLine:
    """Money of an earlier, closed period that is booked in this one, and why."""

    day: date
    period_starts_on: date
    period_ends_on: date
    meter_id: UUID
    meter_name: str
    quantity: Decimal
    amount: Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class Statement:
    """`due` = overage + surcharge: what the commits did not cover, and what its factor adds. `ongoing`: today's use,
    not yet booked, is in `rated` but neither drawn nor overage: rated + adjusted = drawn + overage + ongoing."""

    period: BillingMonth
    currency: str
    commits: tuple[StatementLine, ...]
    total: StatementLine
    meters: tuple[MeterLine, ...]
    adjustments: tuple[AdjustmentLine, ...]
    rated: Decimal
    adjusted: Decimal
    drawn: Decimal
    overage: Decimal
    ongoing: Decimal
    surcharge: Decimal
    due: Decimal
    as_of: datetime | None


def periods_of(viewer: Viewer, account: Account, now: datetime) -> list[BillingMonth]:
    """Return the account's billing periods from its first use or ledger entry on, newest first."""
    today = today_of(account, now)
    until = closed_until(viewer, account)
    closed = [
        Span(row.starts_on, row.ends_on)
        for row in BillingPeriod.objects.visible_to(viewer).filter(account=account).order_by("starts_on")
    ]
    first = LedgerEntry.objects.visible_to(viewer).filter(account=account).aggregate(first=Min("day"))["first"]
    to_close = next_to_close(viewer, account, now)
    days = [day for day in (first, to_close.start if to_close and not closed else None) if day is not None]
    earliest = min(days, default=closed[0].start if closed else today)
    spans = list(closed)
    if closed and earliest < closed[0].start:
        spans = [*_spans(earliest, closed[0].start, account), *closed]
    spans += billing_spans(until or earliest, date.fromordinal(today.toordinal() + 1), account.billing_day, until)
    return [_month(span, until, today) for span in reversed(spans)]


def _spans(first: date, until: date, account: Account) -> list[Span]:
    """Return the billing periods before the first closed one; the last ends where that begins."""
    spans = list(billing_spans(first, until, account.billing_day))
    return [Span(span.start, min(span.end, until)) for span in spans]


def _month(span: Span, until: date | None, today: date) -> BillingMonth:
    return BillingMonth(span.start, span.end, until is not None and span.end <= until, span.end <= today)


def period_around(viewer: Viewer, account: Account, day: date, now: datetime) -> BillingMonth:
    """Return the billing period that the local `day` lies in."""
    span = period_of_day(viewer, account, day)
    return _month(span, closed_until(viewer, account), today_of(account, now))


def statement(viewer: Viewer, account: Account, period: BillingMonth, as_of: datetime | None = None) -> Statement:
    """Return the statement of a period; with `as_of`, from what had been booked by then (ledger only)."""
    booked = LedgerEntry.objects.visible_to(viewer).filter(account=account, day__lt=period.ends_on)
    if as_of is not None:
        booked = booked.filter(booked_at__lte=as_of)
    inside = Q(day__gte=period.starts_on)
    commits = _commit_lines(viewer, account, booked.filter(~inside), booked.filter(inside))
    meters = _meter_lines(viewer, account, period, booked.filter(inside))
    overage = sum((line.overage for line in meters), ZERO)
    surcharge = _surcharge(viewer, account, booked.filter(inside, kind=Kind.OVERAGE))
    return Statement(
        period=period,
        currency=account.currency,
        commits=commits,
        total=_total(commits),
        meters=meters,
        adjustments=_adjustments(viewer, account, period),
        rated=sum((line.rated for line in meters), ZERO),
        adjusted=sum((line.adjusted for line in meters), ZERO),
        drawn=sum((line.drawn for line in meters), ZERO),
        overage=overage,
        ongoing=_ongoing(viewer, account, period),
        surcharge=surcharge,
        due=overage + surcharge,
        as_of=as_of,
    )


_COLUMNS = {
    Kind.GRANTED: "granted",
    Kind.REFILLED: "granted",
    Kind.AMENDED: "amended",
    Kind.ROLLED_OVER: "not_rolled_over",
    Kind.DRAWN: "drawn",
    Kind.EXPIRED: "expired",
    Kind.VOIDED: "cancelled",
}


def _commit_lines(
    viewer: Viewer, account: Account, before: QuerySet[LedgerEntry], inside: QuerySet[LedgerEntry]
) -> tuple[StatementLine, ...]:
    figures: dict[UUID, dict[str, Decimal]] = defaultdict(lambda: defaultdict(lambda: ZERO))
    opening = before.filter(commit__isnull=False).order_by().values_list("commit_id").annotate(sum=Sum("amount"))
    for commit, amount in opening:
        figures[commit]["opening"] = amount
    moved = inside.filter(commit__isnull=False).order_by().values_list("commit_id", "kind").annotate(sum=Sum("amount"))
    moving = set()
    for commit, kind, amount in moved:
        figures[commit][_COLUMNS[Kind(kind)]] += amount
        moving.add(commit)
    own = Commit.objects.visible_to(viewer).filter(account=account, pk__in=list(figures))
    rows = own.order_by("effective_on", "created_at").values_list("pk", "name")
    # What has neither a balance nor a movement is over.
    return tuple(
        _statement_line(commit, name, figures[commit])
        for commit, name in rows
        if figures[commit]["opening"] or commit in moving
    )


_PARTS = ("opening", "granted", "amended", "not_rolled_over", "drawn", "expired", "cancelled")


def _statement_line(commit: UUID | None, name: str, figures: Mapping[str, Decimal]) -> StatementLine:
    parts = {part: figures[part] for part in _PARTS}
    return StatementLine(commit, name, **parts, closing=sum(parts.values(), ZERO))


def _total(lines: Iterable[StatementLine]) -> StatementLine:
    rows = list(lines)
    figures = {part: sum((getattr(line, part) for line in rows), ZERO) for part in _PARTS}
    return _statement_line(None, "All commits", figures)


def _meter_lines(
    viewer: Viewer, account: Account, period: BillingMonth, inside: QuerySet[LedgerEntry]
) -> tuple[MeterLine, ...]:
    figures: dict[UUID, dict[str, Decimal]] = defaultdict(lambda: defaultdict(lambda: ZERO))
    days = {"day__gte": period.starts_on, "day__lt": period.ends_on, "account": account}
    for name, model in (("rated", RatedDay), ("adjusted", Adjustment)):
        rows = model.objects.visible_to(viewer).filter(**days, amount__isnull=False).order_by()
        for meter, amount in rows.values_list("meter_id").annotate(sum=Sum("amount")):
            figures[meter][name] = amount
    booked = inside.filter(kind__in=[Kind.DRAWN, Kind.OVERAGE]).order_by()
    for meter, kind, amount in booked.values_list("meter_id", "kind").annotate(sum=Sum("amount")):
        figures[meter][kind] = -amount if kind == Kind.DRAWN else amount
    names = Meter.objects.visible_to(viewer).filter(pk__in=list(figures)).order_by("name").values_list("pk", "name")
    return tuple(
        MeterLine(meter, name, *(figures[meter][part] for part in ("rated", "adjusted", "drawn", "overage")))
        for meter, name in names
    )


def _adjustments(viewer: Viewer, account: Account, period: BillingMonth) -> tuple[AdjustmentLine, ...]:
    rows = Adjustment.objects.visible_to(viewer).filter(
        account=account, day__gte=period.starts_on, day__lt=period.ends_on
    )
    return tuple(
        AdjustmentLine(
            row.day,
            row.period.starts_on,
            row.period.ends_on,
            row.meter_id,
            row.meter.name,
            row.quantity,
            row.amount,
            row.reason,
        )
        for row in rows.select_related("period", "meter").order_by("day", "created_at", "id")
    )


def _surcharge(viewer: Viewer, account: Account, overage: QuerySet[LedgerEntry]) -> Decimal:
    """Return what overage costs beyond the contract rate, rounded once for each contract."""
    contracts = list(Contract.objects.visible_to(viewer).filter(account=account).exclude(overage_factor=1))
    total = ZERO
    for contract in contracts:
        days = Q(day__gte=contract.starts_on)
        if contract.ends_on:
            days &= Q(day__lt=contract.ends_on)
        amount = overage.filter(days).aggregate(sum=Sum("amount"))["sum"] or ZERO
        total += round_to(amount * (contract.overage_factor - 1), exponent(account.currency))
    return total


def _ongoing(viewer: Viewer, account: Account, period: BillingMonth) -> Decimal:
    state = LedgerState.objects.visible_to(viewer).filter(account=account).first()
    if state is None or not period.starts_on <= state.latest_on < period.ends_on:
        return ZERO
    amounts = [Decimal(row["amount"]) * (-1 if row["commit"] else 1) for row in state.ongoing]
    return sum(amounts, ZERO)
