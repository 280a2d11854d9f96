"""What was promised and what will come of it: contracts, commits, the ledger, forecasts and files for finance."""

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
from budgets.models.reports import CalendarFeed, Report, ReportSubscription

__all__ = [
    "ApprovalTerms",
    "CalendarFeed",
    "Commit",
    "CommitBalance",
    "CommitChange",
    "Contract",
    "ForecastCalibration",
    "ForecastRun",
    "ForecastScore",
    "LedgerCheck",
    "LedgerEntry",
    "LedgerState",
    "PlannedActivity",
    "Report",
    "ReportSubscription",
    "Scenario",
]
