"""The API of this app."""

from django.urls import URLPattern, path

from budgets.api import (
    alerts,
    commits,
    costs,
    finance,
    forecasts,
    headroom,
    ledger,
    periods,
    planned,
    simulations,
    statements,
)

app_name = "budgets-api"
urlpatterns: list[URLPattern] = [
    path("accounts/<path:key>/alerts", alerts.AccountAlertListView.as_view(), name="account-alerts"),
    path("alerts", alerts.AlertListView.as_view(), name="alerts"),
    path("alerts/<uuid:alert_id>", alerts.AlertView.as_view(), name="alert"),
    path("alerts/<uuid:alert_id>/acknowledgement", alerts.AcknowledgementView.as_view(), name="acknowledgement"),
    path("alerts/<uuid:alert_id>/resolution", alerts.ResolutionView.as_view(), name="resolution"),
    path("alerts/<uuid:alert_id>/feedback", alerts.FeedbackView.as_view(), name="feedback"),
    path("accounts/<path:key>/billing-periods", periods.BillingPeriodListView.as_view(), name="billing-periods"),
    path("accounts/<path:key>/contracts", commits.ContractListView.as_view(), name="contracts"),
    path("accounts/<path:key>/commits", commits.CommitListView.as_view(), name="commits"),
    path("accounts/<path:key>/forecast", forecasts.AccountForecastView.as_view(), name="forecast"),
    path("accounts/<path:key>/forecasts", forecasts.ForecastListView.as_view(), name="forecasts"),
    path("accounts/<path:key>/headroom", headroom.headroom_view, name="headroom"),
    path("accounts/<path:key>/planned-activities", planned.PlannedActivityListView.as_view(), name="planned"),
    path("accounts/<path:key>/ledger", ledger.LedgerView.as_view(), name="ledger"),
    path("accounts/<path:key>/statements", statements.StatementListView.as_view(), name="statements"),
    path("accounts/<path:key>/statements/<str:starts_on>", statements.StatementView.as_view(), name="statement"),
    path("commits/<uuid:commit_id>", commits.CommitView.as_view(), name="commit"),
    path("commits/<uuid:commit_id>/amendments", commits.AmendmentView.as_view(), name="commit-amendments"),
    path("commits/<uuid:commit_id>/expiry", commits.ExpiryView.as_view(), name="commit-expiry"),
    path("commits/<uuid:commit_id>/order", commits.CommitOrderView.as_view(), name="commit-order"),
    path("commits/<uuid:commit_id>/cancellation", commits.CancellationView.as_view(), name="commit-cancellation"),
    path("commits/<uuid:commit_id>/rollover", commits.RolloverView.as_view(), name="commit-rollover"),
    path(
        "planned-activities/<uuid:plan_id>/cancellation",
        planned.PlannedActivityCancellationView.as_view(),
        name="planned-cancellation",
    ),
    path("run-outs", forecasts.RunOutListView.as_view(), name="run-outs"),
    path("reconciliation", finance.ReconciliationView.as_view(), name="reconciliation"),
    path("ledger-check", finance.LedgerCheckView.as_view(), name="ledger-check"),
    path("margin", finance.MarginView.as_view(), name="margin"),
    path("vendor-costs", costs.VendorCostListView.as_view(), name="vendor-costs"),
    path("vendor-costs/<uuid:cost_id>", costs.VendorCostView.as_view(), name="vendor-cost"),
    path("burndown-simulations", simulations.BurndownSimulationView.as_view(), name="burndown-simulations"),
    path("draw-orders", simulations.DrawOrderView.as_view(), name="draw-orders"),
    path("threshold-checks", simulations.ThresholdCheckView.as_view(), name="threshold-checks"),
]
