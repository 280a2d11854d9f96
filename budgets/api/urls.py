"""The API of this app."""

from django.urls import URLPattern, path

from budgets.api import costs, periods, simulations

app_name = "budgets-api"
urlpatterns: list[URLPattern] = [
    path("accounts/<path:key>/billing-periods", periods.BillingPeriodListView.as_view(), name="billing-periods"),
    path("vendor-costs", costs.VendorCostListView.as_view(), name="vendor-costs"),
    path("vendor-costs/<uuid:cost_id>", costs.VendorCostView.as_view(), name="vendor-cost"),
    path("burndown-simulations", simulations.BurndownSimulationView.as_view(), name="burndown-simulations"),
    path("draw-orders", simulations.DrawOrderView.as_view(), name="draw-orders"),
    path("threshold-checks", simulations.ThresholdCheckView.as_view(), name="threshold-checks"),
]
