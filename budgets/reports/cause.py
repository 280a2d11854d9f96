"""The cause card: why spend in a window differs from the usual, as JSON to freeze and to show."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from accounts.models import Account
from budgets.calc.cause import Done, Line, Split, split_spend, tasks_of
from budgets.calc.verdict import Window, verdict
from budgets.reports.cause_sums import (
    Firsts,
    Row,
    Span,
    first_attempts,
    hours_of,
    median_window,
    same_hours_before,
    window_sums,
)
from budgets.reports.cause_words import part_lines, sign_lines, verdict_words
from consumption_cs.lib.money import exponent, round_lines
from consumption_cs.lib.tenancy import Viewer
from usage.models import Meter, Workflow

ZERO = Decimal(0)
MOST_ROWS = 12
CORRECTIONS = "corrections"  # in place of a workflow: money booked for what was used earlier


def cause_card(
    viewer: Viewer,
    account: Account,
    start: datetime,
    end: datetime,
    baseline: Sequence[Span] | None = None,
    *,
    workflow_id: UUID | None = None,
) -> dict[str, Any]:
    """Return why [start, end) cost what it did, against the median of the `baseline` spans, as JSON.

    Of the account, or of one workflow. Five queries. By default the same hours of the last eight weeks. Hours are
    kept for 60 days; weeks before the first use do not count. Amounts are text in the account's currency; the parts
    and the rows add up to the last place. For a change between periods of days see reports/change.py.
    """
    spans = list(same_hours_before(account, start, end) if baseline is None else baseline)
    windows = [(start, end), *spans]
    sums = window_sums(viewer, account, windows, workflow_id)
    chosen = median_window(sums, len(spans))
    pair = [windows[0], windows[chosen]] if chosen else windows[:1]
    firsts = first_attempts(viewer, account, pair, workflow_id)
    hours = hours_of(viewer, account, pair, workflow_id)
    card = card_of(
        viewer,
        account,
        (sums.get(chosen, []) if chosen else [], sums.get(0, [])),
        (firsts.get(1, {}), firsts.get(0, {})),
        (hours.get(1, ()), hours.get(0, ())),
    )
    return card | {
        "workflow_id": str(workflow_id) if workflow_id else None,
        "start": start.isoformat(),
        "end": end.isoformat(),
        "baseline": {
            "weeks": sum(bool(sums.get(number)) for number in range(1, len(windows))),
            "start": windows[chosen][0].isoformat() if chosen else None,
            "end": windows[chosen][1].isoformat() if chosen else None,
        },
    }


def card_of(
    viewer: Viewer,
    account: Account,
    rows: tuple[Sequence[Row], Sequence[Row]],
    firsts: tuple[Firsts, Firsts] = ({}, {}),
    hours: tuple[tuple[Decimal, ...], tuple[Decimal, ...]] = ((), ()),
) -> dict[str, Any]:
    """Return the card of two windows, each pair the earlier one first."""
    before, after = (_dones(own, known) for own, known in zip(rows, firsts, strict=True))
    places = exponent(account.currency)
    split = split_spend(before, after, places=places)
    names = _names(viewer, {*before, *after})
    table = _table(*rows, split, names, places)
    usual, now = (
        replace(_window(own, done), hours=spent) for own, done, spent in zip(rows, (before, after), hours, strict=True)
    )
    found = verdict(
        usual,
        now,
        _largest_share([row["difference"] for row in table], split),
        _largest_share(_by_workflow(table), split),
    )
    shown, hidden = table[:MOST_ROWS], table[MOST_ROWS:]
    return {
        "currency": account.currency,
        "opening": f"{split.opening:f}",
        "closing": f"{split.closing:f}",
        "difference": f"{split.closing - split.opening:f}",
        "parts": part_lines(split, account.currency, usual, now),
        "lines": [
            {"workflow": names[workflow], "meter": names[meter], "tasks": f"{after[workflow, meter].tasks:f}"}
            for workflow, meter in after
        ],
        "rows": [_shown(row) for row in shown],
        "more_rows": len(hidden),
        "more": {name: f"{sum((row[name] for row in hidden), ZERO):f}" for name in ("usual", "spent", "difference")},
        "by": _by_dimension(table),
        "verdict": {
            "kind": found.kind,
            "words": verdict_words(found),
            "agreeing": found.agreeing,
            "signs": sign_lines(found),
        },
    }


def _dones(rows: Sequence[Row], firsts: Firsts) -> dict[Line, Done]:
    lines: dict[Line, list[Row]] = defaultdict(list)
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


def _window(rows: Sequence[Row], dones: dict[Line, Done]) -> Window:
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
    found = {"": "No workflow", CORRECTIONS: "Corrections of earlier periods"}
    for rows, keys in (
        (Workflow.objects.visible_to(viewer), {workflow for workflow, _ in lines if workflow not in found}),
        (Meter.objects.filter(organization_id=viewer.organization_id), {meter for _, meter in lines if meter}),
    ):
        found |= {
            str(pk): name for pk, name in rows.filter(pk__in=[UUID(key) for key in keys]).values_list("pk", "name")
        }
    return defaultdict(lambda: "Unknown", found)


def _table(
    before: Sequence[Row], after: Sequence[Row], split: Split, names: dict[str, str], places: int
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
                "values": values_of(key[1]),
                "usual": was,
                "spent": now,
                "difference": now - was,
                "finished": sum(row.finished for row in own),
                "successes": sum(row.successes for row in own),
            }
        )
    return sorted(table, key=lambda row: -abs(row["difference"]))


def _spent(rows: Sequence[Row], key: tuple[str, str]) -> Decimal:
    return sum((row.spend for row in rows if (row.workflow, row.group) == key), ZERO)


def values_of(group: str) -> dict[str, str]:
    """Return the values of a meter's dimensions (a key, a version), by name."""
    try:
        values = json.loads(group) if group else {}
    except ValueError:
        return {}
    if not isinstance(values, dict):
        return {}
    return {name: str(value) for name, value in values.items() if value not in (None, "")}


def group_words(group: str) -> str:
    """Return the values of a meter's dimensions in words."""
    return " · ".join(f"{name} {value}" for name, value in values_of(group).items())


def _by_dimension(table: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the difference by workflow, key, version and what else there is; each adds up to the whole."""
    names = sorted({name for row in table for name in row["values"]})
    found = []
    for name in ["workflow", *names]:
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for row in table:
            sums[row["workflow"] if name == "workflow" else row["values"].get(name, "")] += row["difference"]
        ordered = sorted(sums.items(), key=lambda one: -abs(one[1]))
        found.append(
            {"name": name, "values": [{"value": value, "difference": f"{sum_:f}"} for value, sum_ in ordered]}
        )
    return found


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
