"""Alerts as a table."""

from collections.abc import Iterable

from budgets.models import Alert
from budgets.reports.alerts import kind_name, state_name
from consumption_cs.lib.csv_files import write_rows

_COLUMNS = (
    "account", "name", "number", "severity", "kind", "headline", "state", "budget", "workflow", "threshold",
    "raised_at", "acknowledged_at", "resolved_at", "judged",
)  # fmt: skip


def alerts_csv(alerts: Iterable[Alert]) -> bytes:
    """Return one line an alert, in the order given."""
    return write_rows(_COLUMNS, [_row(alert) for alert in alerts])


def _row(alert: Alert) -> list[object]:
    return [
        alert.account.key, alert.account.name, alert.number, alert.severity, kind_name(alert), alert.headline,
        state_name(alert), alert.budget.name if alert.budget else "", alert.workflow.name if alert.workflow else "",
        "" if alert.threshold is None else f"{alert.threshold.normalize():f}", *map(_moment, _moments(alert)),
        alert.feedback,
    ]  # fmt: skip


def _moments(alert: Alert) -> tuple[object, ...]:
    return alert.raised_at, alert.acknowledged_at, alert.resolved_at


def _moment(moment: object) -> str:
    return moment.isoformat() if hasattr(moment, "isoformat") else ""
