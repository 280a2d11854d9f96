"""The API of this app."""

from django.urls import URLPattern, path

from budgets.api import costs

app_name = "budgets-api"
urlpatterns: list[URLPattern] = [
    path("vendor-costs", costs.VendorCostListView.as_view(), name="vendor-costs"),
    path("vendor-costs/<uuid:cost_id>", costs.VendorCostView.as_view(), name="vendor-cost"),
]
