"""The commit burndown as a report: what was booked and forecast by a moment, for an account or all of them."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import connection

from accounts.models import Account, Organization
from budgets.models import Commit, CommitChange, Contract, ForecastRun, LedgerEntry
from budgets.reports.burndown import ahead_of
from budgets.reports.document import PRINTED, ZERO, Cell, Chart, Column, Document, Row, Table, cents
from budgets.reports.forecasts import runs_of
from budgets.reports.statements import BillingMonth, Statement, statement
from consumption_cs.lib.display import money_text
from consumption_cs.lib.periods import DAY, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.calc.billing_periods import billing_span

_MOVES = ("opening", "granted", "amended", "not_rolled_over", "drawn", "expired", "cancelled", "closing")
MOVES = (
    Column("Opening", "money", total=True),
    Column("Granted", "money", total=True),
    Column("Amended", "money", total=True),
    Column("Not rolled over", "money", total=True),
    Column("Drawn", "money", total=True),
    Column("Expired", "money", total=True),
    Column("Cancelled", "money", total=True),
)
_LEFT = Column("Left", "money", total=True, adds=("Opening", "Cancelled"))
_COMMITS = (
    Column("Commit"), Column("Kind"), Column("From", "date"), Column("Expires", "date"), *MOVES, _LEFT,
)  # fmt: skip
_AHEAD = (
    Column("Low (P10)", "money"), Column("Most likely (P50)", "money"), Column("High (P90)", "money"),
)  # fmt: skip
_LEDGER = (
    Column("Day", "date"), Column("Kind"), Column("Commit"), Column("Meter"), Column("Commits", "money", total=True),
    Column("Overage", "money", total=True), Column("Why"), Column("Reason"), Column("Booked (UTC)"),
)  # fmt: skip
ACCOUNTS = (
    Column("Account"), Column("Key"), Column("Currency"), *MOVES, _LEFT, Column("Overage", "money", total=True),
    Column("Early date", "date"), Column("Most likely date", "date"), Column("Late date", "date"),
    Column("Before term ends", "percent"), Column("Term ends", "date"),
)  # fmt: skip
LEDGER_PRINTED = 400  # rows on paper

_BY_DAY = """
SELECT commit_id, day, sum(amount) FROM budgets_ledgerentry
WHERE organization_id = %s AND account_id = %s AND commit_id IS NOT NULL AND booked_at <= %s
GROUP BY commit_id, day ORDER BY day
"""
_ENTRIES = """
SELECT line.day, line.kind, given.name, meter.name, line.amount, line.why, line.reason, line.booked_at
FROM budgets_ledgerentry AS line
LEFT JOIN budgets_commit AS given ON given.organization_id = line.organization_id AND given.id = line.commit_id
LEFT JOIN usage_meter AS meter ON meter.organization_id = line.organization_id AND meter.id = line.meter_id
WHERE line.organization_id = %s AND line.account_id = %s AND line.booked_at <= %s
ORDER BY line.day, line.id
"""


def burndown_document(viewer: Viewer, organization: Organization, account: Account, as_of: datetime) -> Document:
    """Return the account's burndown: commits, days with the forecast ahead, and every ledger entry."""
    run = run_as_of(viewer, account, as_of)
    found = _so_far(viewer, account, as_of)
    return Document(
        "burndown",
        "Commit burndown",
        organization.name,
        account.name,
        as_of,
        account.timezone,
        _said(account, found, run),
        _facts(account, found, run),
        [
            _commits(viewer, account, found, as_of),
            _days(viewer, account, found, run, as_of),
            _ledger(viewer, account, as_of),
        ],
    )


def run_as_of(viewer: Viewer, account: Account, as_of: datetime) -> ForecastRun | None:
    """Return the newest forecast that had been made by then."""
    return runs_of(viewer, account).filter(made_at__lte=as_of).first()


def account_row(viewer: Viewer, account: Account, as_of: datetime) -> list[Row]:
    """Return the account's line in the burndown of the organization."""
    found, run = _so_far(viewer, account, as_of), run_as_of(viewer, account, as_of)
    dates: list[Cell] = [None] * 3 if run is None else [run.exhaust_p10, run.exhaust_p50, run.exhaust_p90]
    term_ends = None if run is None else run.term_ends_on
    chance = None if run is None or run.p_exhausted is None else Decimal(repr(round(run.p_exhausted, 4)))
    return [
        [
            account.name, account.key, account.currency, *_moves(found.total, account.currency),
            cents(found.overage, account.currency), *dates, chance, term_ends,
        ]
    ]  # fmt: skip


def organization_burndown(organization: Organization, rows: Sequence[Row], as_of: datetime) -> Document:
    """Return the burndown of all accounts from their lines."""
    table = Table(
        "Accounts", "Accounts", "In each account's term so far. Dates are forecasts; totals are by currency.",
        ACCOUNTS, rows, most_printed=PRINTED,
    )  # fmt: skip
    dated = sum(row[table.at("Most likely date")] is not None for row in rows)
    said = f"{dated} of {len(rows)} accounts will most likely use up their commits before their terms end."
    return Document(
        "burndown", "Commit burndown", organization.name, "", as_of, organization.timezone, said, (), [table]
    )


def _so_far(viewer: Viewer, account: Account, as_of: datetime) -> Statement:
    """Return the term in force until the as-of's local day, as one long statement."""
    today = day_of(as_of, zone_of(account.timezone))
    contracts = Contract.objects.visible_to(viewer).filter(account=account, created_at__lte=as_of)
    contract = contracts.filter(starts_on__lte=today).order_by("-starts_on").first()
    # From the start of its first billing period: overage of that period is what the term's commits take over.
    first = billing_span(contract.starts_on, account.billing_day).start if contract else date(2000, 1, 1)
    return statement(viewer, account, BillingMonth(first, today + DAY, False, False), as_of)


def _moves(line: object, currency: str) -> list[Cell]:
    return [cents(getattr(line, name), currency) for name in _MOVES]


def _commits(viewer: Viewer, account: Account, found: Statement, as_of: datetime) -> Table:
    commits = {
        commit.pk: commit
        for commit in Commit.objects.visible_to(viewer).filter(pk__in=[line.commit_id for line in found.commits])
    }
    expiries = _expiries_then(viewer, account, as_of)
    rows: list[Row] = []
    for line in found.commits:
        if line.commit_id is None:
            continue
        commit = commits[line.commit_id]
        expires = expiries.get(commit.pk, commit.expires_on)
        head = [line.name, commit.get_kind_display(), commit.effective_on, expires]
        rows.append([*head, *_moves(line, account.currency)])
    note = f"From {found.period.starts_on.isoformat()} on. Opening + granted + amended + … = left."
    if found.period.starts_on.year == 2000:
        note = "From the first booking on. Opening + granted + amended + … = left."
    return Table("Commits", "Commits", note, _COMMITS, rows, account.currency)


def _expiries_then(viewer: Viewer, account: Account, as_of: datetime) -> dict[UUID, date | None]:
    """Return what the expiry was then, of commits whose expiry was moved since."""
    then: dict[UUID, date | None] = {}
    later = CommitChange.objects.visible_to(viewer).filter(account=account, created_at__gt=as_of)
    for change in later.order_by("-created_at", "-id"):
        if "expires_on" in change.before:
            text = change.before["expires_on"]
            then[change.commit_id] = date.fromisoformat(text) if text and text != "None" else None
    return then


def _days(viewer: Viewer, account: Account, found: Statement, run: ForecastRun | None, as_of: datetime) -> Table:
    """Return each day's balance at its end, then the forecast: the last booked day is where they meet."""
    steps: dict[date, Decimal] = defaultdict(Decimal)
    with connection.cursor() as cursor:
        cursor.execute(_BY_DAY, [viewer.organization_id, account.pk, as_of])
        for _, day, amount in cursor.fetchall():
            steps[day] += amount
    today = found.period.ends_on - DAY
    rows: list[Row] = []
    if steps:
        first = max(found.period.starts_on, min(steps))
        left = sum((amount for day, amount in steps.items() if day < first), ZERO)
        while first < today:
            left += steps.get(first, ZERO)
            rows.append([first, cents(left, account.currency), None, None, None])
            first += timedelta(days=1)
    ahead = ahead_of(run) if run else None
    if ahead:
        for day, *levels in zip(ahead.days, ahead.low, ahead.middle, ahead.high, strict=True):
            rows.append([day, None, *(cents(float(level), account.currency) for level in levels)])
    chart = Chart("What is left at the end of each day", "Day", ("Left",), tuple(one.label for one in _AHEAD))
    columns = (Column("Day", "date"), Column("Left", "money"), *_AHEAD)
    note = "Booked days, then the forecast: 8 in 10 outcomes lie between low and high."
    return Table("Days", "Day by day", note, columns, rows, account.currency, chart, most_printed=0)


def _ledger(viewer: Viewer, account: Account, as_of: datetime) -> Table:
    kinds = dict(LedgerEntry.Kind.choices)
    rows: list[Row] = []
    with connection.cursor() as cursor:
        cursor.execute(_ENTRIES, [viewer.organization_id, account.pk, as_of])
        for day, kind, commit, meter, amount, why, reason, booked in cursor.fetchall():
            exact = cents(amount, account.currency)
            money = [None, exact] if commit is None else [exact, None]
            moment = f"{booked:%Y-%m-%d %H:%M:%S}"
            rows.append([day, str(kinds[kind]), commit or "", meter or "", *money, why, reason, moment])
    note = "Every entry booked by the as-of. The sum of Commits is what is left in all of them."
    return Table("Ledger", "Ledger", note, _LEDGER, rows, account.currency, most_printed=LEDGER_PRINTED)


def _said(account: Account, found: Statement, run: ForecastRun | None) -> str:
    if not found.commits:
        return f"{account.name} has no commit: it pays as it goes."
    left = money_text(found.total.closing, account.currency)
    if run is None or run.p_exhausted is None:
        return f"{left} of the commits is left. Nothing was forecast yet."
    if run.exhausted_on:
        return f"{left} of the commits is left: they are used up."
    if run.exhaust_p50 is None:
        return f"{left} of the commits is left, which most likely lasts until the term ends."
    return f"{left} of the commits is left, most likely until {_day(run.exhaust_p50)}."


def _facts(account: Account, found: Statement, run: ForecastRun | None) -> list[tuple[str, str]]:
    facts = [("Overage in the term so far", money_text(found.overage, account.currency))]
    if run is None:
        return facts
    facts.append(("Forecast made", f"{run.made_at:%Y-%m-%d %H:%M} UTC"))
    facts.append(("Forecast check code", run.inputs_hash[:12]))
    if run.burn_rate is not None:
        facts.append(("Burn a day", money_text(run.burn_rate, account.currency)))
    if run.p_exhausted is not None:
        late = _day(run.exhaust_p90) if run.exhaust_p90 else "after the term"
        window = f"{_day(run.exhaust_p10)} to {late}" if run.exhaust_p10 else "not before the term ends"
        facts += [("Runs out, 8 in 10", window), ("Chance before the term ends", f"{run.p_exhausted:.0%}")]
    for label, amount in (("Expected overage", run.overage_mean), ("Expected unused", run.unused_mean)):
        if amount is not None:
            facts.append((label, money_text(amount, account.currency)))
    return facts


def _day(day: date) -> str:
    return f"{day:%b} {day.day}, {day.year}"
