"""The cause card: why an account's spend in a window differs from the usual, as JSON to freeze and to show."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Account
from budgets.calc.cause import Done, Line, Split, Window, split_spend, tasks_of, verdict
from budgets.reports.cause_words import part_lines, sign_lines, verdict_words
from consumption_cs.lib.money import exponent, round_lines
from consumption_cs.lib.periods import HOUR, as_utc, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.models import Meter, Workflow

ZERO = Decimal(0)
WEEKS = 8
MOST_ROWS = 12
Span = tuple[datetime, datetime]

# An hour's money is its share of its day's by quantity, or by events where nothing was measured.
_SUMS = """
SELECT wanted.number, coalesce(hours.workflow_id::text, ''), hours.meter_id::text, hours."group",
    sum(hours.quantity), sum(hours.events)::bigint, sum(hours.finished)::bigint, sum(hours.successes)::bigint,
    sum(spent.money), coalesce(sum(spent.money) FILTER (WHERE hours.starts_at = wanted.starts_at), 0)
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS wanted(starts_at, ends_at, number)
JOIN usage_hour AS hours ON hours.starts_at >= wanted.starts_at AND hours.starts_at < wanted.ends_at
LEFT JOIN usage_day AS days ON days.organization_id = hours.organization_id
    AND days.account_id = hours.account_id AND days.meter_id = hours.meter_id
    AND days.workflow_id IS NOT DISTINCT FROM hours.workflow_id AND days."group" = hours."group"
    AND days.day = (hours.starts_at AT TIME ZONE %(zone)s)::date
CROSS JOIN LATERAL (SELECT coalesce(CASE WHEN days.quantity <> 0 THEN days.spend * hours.quantity / days.quantity
    WHEN days.events <> 0 THEN days.spend * hours.events / days.events END, 0) AS money) AS spent
WHERE hours.organization_id = %(organization)s AND hours.account_id = %(account)s
GROUP BY 1, 2, 3, 4
"""

_FIRST_ATTEMPTS = """
SELECT wanted.number, coalesce(events.workflow_id::text, ''), events.meter_id::text,
    count(*) FILTER (WHERE events.attempt = 1), count(events.attempt)
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS wanted(starts_at, ends_at, number)
JOIN usage_event AS events ON events.occurred_at >= wanted.starts_at AND events.occurred_at < wanted.ends_at
WHERE events.organization_id = %(organization)s AND events.account_id = %(account)s AND events.counted
GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class _Row:
    """What one workflow, meter and group did in a window."""

    workflow: str
    meter: str
    group: str
    units: Decimal
    attempts: int
    finished: int
    successes: int
    spend: Decimal
    first_hour: Decimal


_Firsts = dict[Line, Decimal | None]


def same_hours_before(account: Account, start: datetime, end: datetime, weeks: int = WEEKS) -> list[Span]:
    """Return the same local hours of the same weekday in the weeks before, the latest first."""
    zone = zone_of(account.timezone)
    spans = []
    for week in range(1, weeks + 1):
        local = start.astimezone(zone).replace(tzinfo=None) - timedelta(days=7 * week)
        begin = as_utc(local.replace(tzinfo=zone))
        spans.append((begin, begin + (end - start)))
    return [span for span in spans if span[1] <= start]


def cause_card(
    viewer: Viewer, account: Account, start: datetime, end: datetime, baseline: Sequence[Span] | None = None
) -> dict[str, Any]:
    """Return why [start, end) cost what it did, against the median of the `baseline` spans, as JSON.

    Four queries. By default the same hours of the last eight weeks; for a change between periods give the one span
    of the period before. Hours are kept for 60 days; weeks before the first use do not count. Amounts are text in the
    account's currency; the parts and the rows add up to the last place.
    """
    spans = list(same_hours_before(account, start, end) if baseline is None else baseline)
    windows = [(start, end), *spans]
    sums = window_sums(viewer, account, windows)
    chosen = median_window(sums, len(spans))
    firsts = _first_attempts(viewer, account, [windows[0], windows[chosen]] if chosen else windows[:1])
    usual_rows, rows = sums.get(chosen, []) if chosen else [], sums.get(0, [])
    before, after = _dones(usual_rows, firsts.get(1, {})), _dones(rows, firsts.get(0, {}))
    places = exponent(account.currency)
    split = split_spend(before, after, places=places)
    names = _names(viewer, {*before, *after})
    table = _table(usual_rows, rows, split, names, places)
    found = verdict(
        _window(usual_rows, before),
        _window(rows, after),
        _largest_share([row["difference"] for row in table], split),
        _largest_share(_by_workflow(table), split),
    )
    return {
        "currency": account.currency,
        "start": start.isoformat(),
        "end": end.isoformat(),
        "baseline": {
            "weeks": sum(bool(sums.get(number)) for number in range(1, len(windows))),
            "start": windows[chosen][0].isoformat() if chosen else None,
            "end": windows[chosen][1].isoformat() if chosen else None,
        },
        "opening": f"{split.opening:f}",
        "closing": f"{split.closing:f}",
        "difference": f"{split.closing - split.opening:f}",
        "parts": part_lines(split, account.currency),
        "lines": [
            {"workflow": names[workflow], "meter": names[meter], "tasks": f"{after[workflow, meter].tasks:f}"}
            for workflow, meter in after
        ],
        "rows": [_shown(row) for row in table[:MOST_ROWS]],
        "more_rows": max(len(table) - MOST_ROWS, 0),
        "verdict": {
            "kind": found.kind,
            "words": verdict_words(found),
            "agreeing": found.agreeing,
            "signs": sign_lines(found),
        },
    }


def window_sums(
    viewer: Viewer, account: Account, windows: Sequence[Span], workflow_id: UUID | None = None
) -> dict[int, list[_Row]]:
    """Return what was done in each window, by its number, of the account or of one workflow."""
    found: dict[int, list[_Row]] = defaultdict(list)
    for number, *row in _fetch(_SUMS, viewer, account, windows):
        if workflow_id is None or row[0] == str(workflow_id):
            found[number - 1].append(_Row(*row))
    return found


def _first_attempts(viewer: Viewer, account: Account, windows: Sequence[Span]) -> dict[int, _Firsts]:
    """Return the first attempts of each line; None where events do not number them."""
    found: dict[int, _Firsts] = defaultdict(dict)
    for number, workflow, meter, firsts, numbered in _fetch(_FIRST_ATTEMPTS, viewer, account, windows):
        found[number - 1][workflow, meter] = Decimal(firsts) if numbered else None
    return found


def _fetch(query: str, viewer: Viewer, account: Account, windows: Sequence[Span]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            query,
            {
                "organization": viewer.organization_id,
                "account": account.pk,
                "zone": account.timezone,
                "starts": [span[0] for span in windows],
                "ends": [span[1] for span in windows],
            },
        )
        return cursor.fetchall()


def median_window(sums: dict[int, list[_Row]], count: int) -> int:
    """Return the number of the window whose spend is the (lower) median of those with use; 0: there is none."""
    used = [number for number in range(1, count + 1) if sums.get(number)]
    used.sort(key=lambda number: sum((row.spend for row in sums[number]), ZERO))
    return used[(len(used) - 1) // 2] if used else 0


def _dones(rows: Sequence[_Row], firsts: _Firsts) -> dict[Line, Done]:
    lines: dict[Line, list[_Row]] = defaultdict(list)
    for row in rows:
        lines[row.workflow, row.meter].append(row)
    done = {}
    for line, own in lines.items():
        attempts = Decimal(sum(row.attempts for row in own))
        tasks = tasks_of(
            attempts,
            firsts.get(line),
            Decimal(sum(row.successes for row in own)),
            Decimal(sum(row.finished for row in own)),
        )
        units, spend = (sum((getattr(row, name) for row in own), ZERO) for name in ("units", "spend"))
        done[line] = Done(units, attempts, tasks, spend)
    return done


def _window(rows: Sequence[_Row], dones: dict[Line, Done]) -> Window:
    return Window(
        attempts=Decimal(sum(row.attempts for row in rows)),
        tasks=sum((done.tasks for done in dones.values()), ZERO),
        finished=Decimal(sum(row.finished for row in rows)),
        successes=Decimal(sum(row.successes for row in rows)),
        spend=sum((row.spend for row in rows), ZERO),
        first_hour=sum((row.first_hour for row in rows), ZERO),
        sources=len({(row.workflow, row.group) for row in rows}),
        workflows=len({row.workflow for row in rows}),
    )


def _names(viewer: Viewer, lines: set[Line]) -> dict[str, str]:
    found = {"": "No workflow"}
    for rows, keys in (
        (Workflow.objects.visible_to(viewer), {workflow for workflow, _ in lines if workflow}),
        (Meter.objects.filter(organization_id=viewer.organization_id), {meter for _, meter in lines}),
    ):
        found |= {
            str(pk): name for pk, name in rows.filter(pk__in=[UUID(key) for key in keys]).values_list("pk", "name")
        }
    return defaultdict(lambda: "Unknown", found)


def _table(
    before: Sequence[_Row], after: Sequence[_Row], split: Split, names: dict[str, str], places: int
) -> list[dict[str, Any]]:
    """Return usual, spent and difference of each workflow and group, the largest difference first."""
    keys = sorted({(row.workflow, row.group) for row in (*before, *after)})
    usual = round_lines([_spent(before, key) for key in keys], places, total=split.opening) if keys else []
    spent = round_lines([_spent(after, key) for key in keys], places, total=split.closing) if keys else []
    table = []
    for key, was, now in zip(keys, usual, spent, strict=True):
        own = [row for row in after if (row.workflow, row.group) == key]
        table.append(
            {
                "workflow_id": key[0],
                "workflow": names[key[0]],
                "group": group_words(key[1]),
                "usual": was,
                "spent": now,
                "difference": now - was,
                "finished": sum(row.finished for row in own),
                "successes": sum(row.successes for row in own),
            }
        )
    return sorted(table, key=lambda row: -abs(row["difference"]))


def _spent(rows: Sequence[_Row], key: tuple[str, str]) -> Decimal:
    return sum((row.spend for row in rows if (row.workflow, row.group) == key), ZERO)


def group_words(group: str) -> str:
    """Return the values of a meter's dimensions (a key, a version) in words."""
    try:
        values = json.loads(group) if group else {}
    except ValueError:
        return ""
    if not isinstance(values, dict):
        return ""
    return " · ".join(f"{name} {value}" for name, value in values.items() if value not in (None, ""))


def _by_workflow(table: Sequence[dict[str, Any]]) -> list[Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in table:
        sums[row["workflow_id"]] += row["difference"]
    return list(sums.values())


def _largest_share(differences: Sequence[Decimal], split: Split) -> Decimal | None:
    """The share of the extra that its largest carrier has; None when nothing was extra."""
    extra = split.closing - split.opening
    return min(max(differences, default=ZERO) / extra, Decimal(1)) if extra > 0 else None


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    texts = {name: f"{row[name]:f}" for name in ("usual", "spent", "difference")}
    rate = f"{Decimal(row['successes']) / row['finished']:.4f}" if row["finished"] >= 30 else None
    return row | texts | {"success_rate": rate}


def anomaly_window(started_at: datetime, seen_until: datetime) -> Span:
    """Return the hours of an anomaly that a card can look at: its last week at most, one hour at least."""
    return max(started_at, seen_until - 7 * 24 * HOUR), max(seen_until, started_at + HOUR)
