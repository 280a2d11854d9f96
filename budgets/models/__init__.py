"""What was promised, what will come of it and who is told: commits, ledger, forecasts, budgets, alerts, outbox."""

from budgets.models.alerts import Alert, AlertEvent, AlertTerms, Anomaly, Forgiveness
from budgets.models.budgets import Budget, BudgetRule, BudgetVersion, Limit, LimitEvent, LimitState
from budgets.models.contracts import Commit, CommitChange, Contract
from budgets.models.forecasts import (
    ApprovalTerms,
    ForecastCalibration,
    ForecastRun,
    ForecastScore,
    PlannedActivity,
    Scenario,
)
from budgets.models.ledger import CommitBalance, LedgerCheck, LedgerEntry, LedgerState
from budgets.models.notifications import Delivery, DeliveryAttempt, Destination, NotificationWishes, Route
from budgets.models.reports import CalendarFeed, Report, ReportSubscription

__all__ = [
    "Alert",
    "AlertEvent",
    "AlertTerms",
    "Anomaly",
    "ApprovalTerms",
    "Budget",
    "BudgetRule",
    "BudgetVersion",
    "CalendarFeed",
    "Commit",
    "CommitBalance",
    "CommitChange",
    "Contract",
    "Delivery",
    "DeliveryAttempt",
    "Destination",
    "ForecastCalibration",
    "ForecastRun",
    "ForecastScore",
    "Forgiveness",
    "LedgerCheck",
    "LedgerEntry",
    "LedgerState",
    "Limit",
    "LimitEvent",
    "LimitState",
    "NotificationWishes",
    "PlannedActivity",
    "Report",
    "ReportSubscription",
    "Route",
    "Scenario",
]
