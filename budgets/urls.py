"""Pages of this app."""

from django.urls import URLPattern, path

from budgets.views import costs, finance, margin

app_name = "budgets"
urlpatterns: list[URLPattern] = [
    path("finance/", finance.finance, name="finance"),
    path("finance/costs/", costs.costs, name="costs"),
    path("finance/costs/new/", costs.cost_new, name="cost_new"),
    path("finance/costs/import/", costs.cost_import, name="cost_import"),
    path("finance/costs/<uuid:cost_id>/remove/", costs.cost_remove, name="cost_remove"),
    path("finance/margin/", margin.margin, name="margin"),
    path("finance/margin/margin.csv", margin.margin_list_csv, name="margin_csv"),
    path("finance/margin/<uuid:account_id>/", margin.margin_account, name="margin_account"),
]
