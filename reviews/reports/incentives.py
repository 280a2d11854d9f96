"""What people are paid by in a quarter: how steadily their accounts draw, how deep they go, what was excused.

Metric 27, of the whole weeks of the quarter. Disputes stand beside the line that they are about.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Account
from accounts.permissions import can
from budgets.models import Forgiveness
from budgets.reports.excused import ExcusedSpan, excused_spans
from consumption_cs.lib.display import money_text
from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.concentration import weeks_in_band
from reviews.calc.quarters import Quarter, Week, whole_weeks
from reviews.models import IncentiveDispute, LossEvidence
from reviews.reports.commits_then import CommitThen, commits_then
from reviews.reports.incentive_lines import Excused, LedgerLine
from reviews.reports.incentive_owners import owners_on
from reviews.reports.measured import Measured, metrics_on

ZERO = Decimal(0)
PAST_QUARTERS = 8
FEWEST_WEEKS = 4
# Weeks are counted back from where the account's quarter ends or stands; what is booked late is no use of that day.
_WEEKS = """
SELECT wanted.account_id::text, (wanted.until - 1 - day) / 7, sum(spend - adjustment)
FROM unnest(%(accounts)s::uuid[], %(until)s::date[]) AS wanted(account_id, until)
JOIN accounts_account AS account ON account.organization_id = %(organization)s AND account.id = wanted.account_id
JOIN account_day ON account_day.organization_id = %(organization)s AND account_day.account_id = wanted.account_id
    AND account_day.currency = account.currency AND day >= %(start)s AND day < wanted.until
GROUP BY 1, 2
"""
NOT_BEGUN = "The quarter has not begun."
NO_COMMIT = "No commit was in force."
NO_END = "The commit has no end, so no plan."


def quarters(now: datetime) -> list[Quarter]:
    """Return the running quarter and those before it that can be looked at, the newest first."""
    running = Quarter.of(now.date())
    return [running.back(count) for count in range(PAST_QUARTERS + 1)]


def quarter_asked(name: str, now: datetime) -> Quarter:
    """Return the quarter of that name, the running one for what is none of `quarters`."""
    known = quarters(now)
    return next((one for one in known if one.name == name), known[0])


def may_see_all(viewer: Viewer) -> bool:
    """Whether somebody sees everybody's lines, not only their own."""
    return can(viewer, "capacity.view")


def open_disputes(viewer: Viewer) -> dict[Quarter, int]:
    """Return how many disputes of each quarter wait for an answer, the newest first; only own ones of who sees own."""
    rows = IncentiveDispute.objects.visible_to(viewer).filter(step=IncentiveDispute.Step.RAISED, answered_by=None)
    if not may_see_all(viewer):
        rows = rows.filter(person=viewer.user_id)
    found = Counter(Quarter(start) for start in rows.values_list("quarter_starts_on", flat=True))
    return dict(sorted(found.items(), reverse=True))


def incentive_ledger(
    viewer: Viewer, now: datetime, quarter: Quarter | None = None, *, account_id: UUID | None = None
) -> list[LedgerLine]:
    """Return a line an account that had an owner in the quarter, by owner and name. Ten queries for any number.

    Who had the account when the quarter ended has its line, now for the running one, also while somebody covers for
    them. Without `capacity.view` only the viewer's own lines.
    """
    quarter = quarter or Quarter.of(now.date())
    owners = owners_on(viewer, quarter.end, now, account_id)
    if not may_see_all(viewer):
        owners = {account: person for account, person in owners.items() if person.pk == viewer.user_id}
    accounts = sorted(owners, key=lambda one: (str(owners[one]).lower(), one.name.lower(), str(one.pk)))
    if not accounts:
        return []
    until = {one.pk: min(quarter.end, day_of(now, zone_of(one.timezone))) for one in accounts}
    named = {str(pk): day for pk, day in until.items()}
    drawn = _drawn(viewer, quarter, named)
    plans = commits_then(viewer.organization_id, named)
    measured = metrics_on(viewer.organization_id, list(until), quarter.last_day, numbers_only=True)
    spans = excused_spans(viewer, list(until), now=now)
    items = _items(viewer, quarter, accounts, spans)
    said = _said(viewer, quarter, list(until))
    lines = []
    for account in accounts:
        pk, name = account.pk, str(account.pk)
        band = _band(quarter, until[pk], drawn.get(name, {}), plans.get(name, []), _days_of(spans.get(pk, [])))
        depth = _depth(measured[pk], quarter)
        own = [one for one in said.get(pk, []) if one.person_id == owners[account].pk]
        lines.append(
            LedgerLine(account, owners[account], quarter, *band, *depth, tuple(items.get(pk, ())), tuple(own))
        )
    return lines


def _drawn(viewer: Viewer, quarter: Quarter, until: Mapping[str, date]) -> dict[str, dict[date, Decimal]]:
    """Return what each account drew in the weeks counted back from its `until`, by the first day of the week."""
    named: dict[str, Any] = {
        "organization": viewer.organization_id,
        "accounts": list(until),
        "until": list(until.values()),
        "start": quarter.start,
    }
    found: dict[str, dict[date, Decimal]] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(_WEEKS, named)
        for account, back, drawn in cursor.fetchall():
            found[account][until[account] - timedelta(days=7 * (back + 1))] = drawn
    return found


def _days_of(spans: Sequence[ExcusedSpan]) -> frozenset[date]:
    return frozenset(
        span.first_day + timedelta(days=number)
        for span in spans
        for number in range((span.last_day - span.first_day).days + 1)
    )


@exactly
def _band(
    quarter: Quarter,
    until: date,
    drawn: Mapping[date, Decimal],
    commits: Sequence[CommitThen],
    excused: frozenset[date],
) -> tuple[date | None, Decimal | None, str, Decimal | None, tuple[Week, ...]]:
    """Return the last day that counts, the percentage of weeks in band or why there is none, target, and weeks."""
    if until <= quarter.start:
        return None, None, NOT_BEGUN, None, ()
    day, rows = until - timedelta(days=1), [row for row in commits if row.granted > 0]
    ends = [row.ends_on for row in rows if row.ends_on is not None]
    begins = min((row.starts_on for row in rows), default=until)
    if not rows or not ends or max(ends) <= begins:
        return day, None, NO_END if rows else NO_COMMIT, None, ()
    total = sum((row.granted for row in rows), ZERO)
    target = total * 7 / Decimal((max(ends) - begins).days)
    weeks = tuple(whole_weeks(max(quarter.start, begins), until, drawn, excused))
    share, count = weeks_in_band([one.drawn for one in weeks], target, [one.is_excused for one in weeks])
    if count < FEWEST_WEEKS:
        return day, None, f"Too early to say: {count} of {FEWEST_WEEKS} whole weeks count.", target, weeks
    return day, share, "", target, weeks


def _depth(found: Measured, quarter: Quarter) -> tuple[int | None, Decimal | None, Decimal | None]:
    if found.day is None or found.day < quarter.start:
        return None, None, None
    workflows = found.number("production_workflows")
    return (
        None if workflows is None else int(workflows),
        found.number("ladder_percent"),
        found.number("top_share_percent"),
    )


def _items(
    viewer: Viewer, quarter: Quarter, accounts: Sequence[Account], spans: Mapping[UUID, Sequence[ExcusedSpan]]
) -> dict[UUID, list[Excused]]:
    """Return what bears on each account in the quarter: spikes that were credited, and evidence why it spends less."""
    found: dict[UUID, list[Excused]] = defaultdict(list)
    late = [one for own in spans.values() for one in own]
    late = [one for one in late if one.first_day < quarter.end and one.last_day >= quarter.start]
    credited = Forgiveness.objects.visible_to(viewer).filter(alert__in=[one.alert_id for one in late])
    approved = {row.alert_id: row for row in credited.select_related("decided_by")}
    for one in late:
        row = approved[one.alert_id]
        words = f"Spike, {money_text(one.amount, one.currency)} credited"
        ends_on = one.last_day + timedelta(days=1)
        found[one.account_id].append(
            Excused(words, row.reason, one.first_day, ends_on, row.decided_by, row.decided_at)
        )
    evidence = LossEvidence.objects.visible_to(viewer).filter(account__in=accounts, starts_on__lt=quarter.end)
    for piece in (
        evidence.exclude(ends_on__lte=quarter.start).select_related("approved_by").order_by("starts_on", "pk")
    ):
        found[piece.account_id].append(
            Excused(
                piece.get_kind_display(), piece.note, piece.starts_on, piece.ends_on, piece.approved_by,
                piece.approved_at,
            )
        )  # fmt: skip
    return found


def _said(viewer: Viewer, quarter: Quarter, accounts: Sequence[UUID]) -> dict[UUID, list[IncentiveDispute]]:
    rows = IncentiveDispute.objects.visible_to(viewer).filter(
        account__in=accounts, quarter_starts_on=quarter.start
    ).select_related("by", "person").order_by("at", "pk")  # fmt: skip
    found: dict[UUID, list[IncentiveDispute]] = defaultdict(list)
    for row in rows:
        found[row.account_id].append(row)
    return found
