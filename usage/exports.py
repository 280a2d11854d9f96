"""Downloads of an account's usage: CSV that adds up and that no spreadsheet runs."""

from collections.abc import Iterator

from accounts.models import Account
from consumption_cs.lib.csv_files import write_rows
from usage.reports.effects import Effect
from usage.reports.overview import Figures, Overview
from usage.reports.workflows import WorkflowSeen

_DAY = ("day", "currency", "spend", "events", "events_without_price", "finished_runs", "successes", "outcomes")
_ADJUSTED = "adjustments_for_earlier_periods"
_WORKFLOW = (
    "workflow", "stage", "currency", "spend", "events", "finished_runs", "successes", "outcomes", "outcome_unit",
    "cost_per_outcome", "same_days_last_month_spend", "data_through",
)  # fmt: skip

_EFFECT = (
    "account", "name", "month_from", "month_until", "closed", "currency", "now", "with_this_version", "difference",
    "difference_percent", "meters_with_own_price", "events_without_price",
)  # fmt: skip


def daily_csv(seen: Overview) -> bytes:
    """Return the month by local day; a day without usage is a row of zeros, a spend without a price is empty."""
    return write_rows([*_DAY, _ADJUSTED], _day_rows(seen))


def _day_rows(seen: Overview) -> Iterator[list[object]]:
    for day in seen.month.days:
        if day > seen.month.today:
            return
        row = seen.days.get(day)
        if row is None:
            yield [day, seen.account.currency, 0, 0, 0, 0, 0, 0, 0]
        else:
            yield [
                day, seen.account.currency, row.spend, row.events, row.unpriced, row.finished, row.successes,
                row.outcomes.normalize() if row.outcomes else 0, row.adjusted,
            ]  # fmt: skip


def workflows_csv(seen: Overview) -> bytes:
    """Return the month by workflow, as the table on the page."""
    return write_rows(_WORKFLOW, _workflow_rows(seen))


def _workflow_rows(seen: Overview) -> Iterator[list[object]]:
    for line in seen.workflows:
        month = line.month
        cost = month.unit_cost
        yield [
            line.name, line.stage, seen.account.currency, month.spend, month.events, month.finished, month.successes,
            f"{month.outcomes:f}", line.outcome_unit, cost and round(cost, 6), line.before.spend,
            seen.freshness.data_through.isoformat(timespec="seconds"),
        ]  # fmt: skip


def workflow_daily_csv(seen: WorkflowSeen, account: Account) -> bytes:
    """Return one workflow's month by local day."""
    rows = ([day, account.currency, *_cells(seen.days.get(day))] for day in seen.month.days if day <= seen.month.today)
    return write_rows([name for name in _DAY if name != "events_without_price"], rows)


def _cells(row: Figures | None) -> list[object]:
    return [row.spend, row.events, row.finished, row.successes, f"{row.outcomes:f}"] if row else [0] * 5


def effect_csv(effect: Effect) -> bytes:
    """Return what a version does to every account's month; `month_until` is the first day after it."""
    return write_rows(_EFFECT, _effect_rows(effect))


def _effect_rows(effect: Effect) -> Iterator[list[object]]:
    for row in effect.rows:
        percent = "" if row.ratio is None else f"{round(row.ratio * 100, 2):f}"
        yield [
            row.key, row.name, row.starts_on, row.ends_on, "yes" if row.is_closed else "no", effect.currency,
            f"{row.old:f}", f"{row.new:f}", f"{row.difference:f}", percent, row.own, row.unpriced,
        ]  # fmt: skip
