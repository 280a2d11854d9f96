"""Onboarding as tables: one line an account, and the cohort's curve."""

from collections.abc import Iterable, Sequence

from consumption_cs.lib.csv_files import write_rows
from reviews.calc.onboarding import FirstValue, cohort_curve
from reviews.reports.onboarding import Start

_COLUMNS = (
    "account", "account_name", "owners", "state", "contract_starts_on", "key_created_on", "first_call_on",
    "first_success_on", "billable_on", "days_to_billable", "days_waiting", "target_days", "waits_for",
)  # fmt: skip


def onboarding_csv(starts: Iterable[Start]) -> bytes:
    """Return the accounts in the order given; days that are not known stay empty."""
    return write_rows(_COLUMNS, [_row(start) for start in starts])


def curve_csv(cohort: Sequence[FirstValue]) -> bytes:
    """Return the curve: a line for each day on which somebody began."""
    rows = [
        [step.day, f"{1 - step.waiting:.6f}", f"{1 - step.high:.6f}", f"{1 - step.low:.6f}"]
        for step in cohort_curve(cohort)
    ]
    return write_rows(("day", "share_begun", "low_95", "high_95"), rows)


def _row(start: Start) -> list[object]:
    first = start.first
    return [
        start.account.key, start.account.name, ", ".join(start.owners), start.state, start.contract_on or "",
        start.key_on or "", start.called_on or "", start.success_on or "", start.billable_on or "",
        "" if first is None or first.days is None else first.days,
        "" if first is None or first.waiting is None else first.waiting, start.target, start.why,
    ]  # fmt: skip
