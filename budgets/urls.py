"""Pages of this app."""

from django.urls import URLPattern, path

from budgets.views import (
    burndown,
    commits,
    costs,
    finance,
    invoices,
    ledger,
    margin,
    periods,
    planner,
    rated,
    reconciliation,
    statements,
)

app_name = "budgets"
urlpatterns: list[URLPattern] = [
    path("finance/", finance.finance, name="finance"),
    path("finance/reconciliation/", reconciliation.reconciliation, name="reconciliation"),
    path("finance/reconciliation/list.csv", reconciliation.reconciliation_list_csv, name="reconciliation_csv"),
    path("finance/reconciliation/check/", reconciliation.check_now, name="check_now"),
    path("finance/reconciliation/check/state/", reconciliation.check_state, name="check_state"),
    path("finance/reconciliation/invoices/", invoices.invoice_import, name="invoice_import"),
    path(
        "finance/reconciliation/<uuid:account_id>/<str:starts_on>/",
        reconciliation.reconciliation_period,
        name="reconciliation_period",
    ),
    path("finance/periods/", periods.periods, name="periods"),
    path("finance/periods/close/", periods.periods_close, name="periods_close"),
    path("accounts/<uuid:account_id>/rated/", rated.rated, name="rated"),
    path("finance/costs/", costs.costs, name="costs"),
    path("finance/costs/new/", costs.cost_new, name="cost_new"),
    path("finance/costs/import/", costs.cost_import, name="cost_import"),
    path("finance/costs/<uuid:cost_id>/remove/", costs.cost_remove, name="cost_remove"),
    path("finance/margin/", margin.margin, name="margin"),
    path("finance/margin/margin.csv", margin.margin_list_csv, name="margin_csv"),
    path("finance/margin/<uuid:account_id>/", margin.margin_account, name="margin_account"),
    path("accounts/<uuid:account_id>/ledger/", ledger.account_ledger, name="ledger"),
    path("accounts/<uuid:account_id>/ledger/ledger.csv", ledger.account_ledger_csv, name="ledger_csv"),
    path("accounts/<uuid:account_id>/statements/", statements.account_statements, name="statements"),
    path("accounts/<uuid:account_id>/statements/<str:starts_on>/", statements.account_statement, name="statement"),
    path(
        "accounts/<uuid:account_id>/statements/<str:starts_on>/statement.csv",
        statements.account_statement_csv,
        name="statement_csv",
    ),
    path("accounts/<uuid:account_id>/commits/", commits.account_commits, name="commits"),
    path("accounts/<uuid:account_id>/commits/commits.csv", commits.account_commits_csv, name="commits_csv"),
    path("accounts/<uuid:account_id>/commits/new/", commits.commit_new, name="commit_new"),
    path(
        "accounts/<uuid:account_id>/commits/<uuid:commit_id>/<slug:change>/",
        commits.commit_change,
        name="commit_change",
    ),
    path("accounts/<uuid:account_id>/contracts/new/", commits.contract_new, name="contract_new"),
    path("accounts/<uuid:account_id>/contracts/<uuid:contract_id>/", commits.contract_edit, name="contract_edit"),
    path("accounts/<uuid:account_id>/burndown/", burndown.account_burndown, name="burndown"),
    path("accounts/<uuid:account_id>/burndown/burndown.csv", burndown.account_burndown_csv, name="burndown_csv"),
    path("accounts/<uuid:account_id>/burndown/planner/", planner.planner, name="planner"),
    path(
        "accounts/<uuid:account_id>/burndown/planner/<uuid:scenario_id>/<slug:change>/",
        planner.scenario_change,
        name="scenario_change",
    ),
    path("accounts/<uuid:account_id>/burndown/right-sizing/", planner.sizing, name="right_sizing"),
]
