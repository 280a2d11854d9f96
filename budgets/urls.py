"""Pages of this app."""

from django.urls import URLPattern, path

from budgets.views import costs, finance

app_name = "budgets"
urlpatterns: list[URLPattern] = [
    path("finance/", finance.finance, name="finance"),
    path("finance/costs/", costs.costs, name="costs"),
    path("finance/costs/new/", costs.cost_new, name="cost_new"),
    path("finance/costs/import/", costs.cost_import, name="cost_import"),
    path("finance/costs/<uuid:cost_id>/remove/", costs.cost_remove, name="cost_remove"),
]
