"""API routes. Keys of accounts may hold slashes, so what follows a key is named first."""

from django.urls import path

from usage.api import events, imports, quotes, reads

app_name = "usage-api"
urlpatterns = [
    path("events", events.events, name="events"),
    path("accounts", reads.AccountListView.as_view(), name="accounts"),
    path("accounts/<path:key>/usage", reads.UsageView.as_view(), name="account-usage"),
    path("accounts/<path:key>/workflows", reads.WorkflowListView.as_view(), name="account-workflows"),
    path("accounts/<path:key>", reads.AccountView.as_view(), name="account"),
    path("meters", reads.MeterListView.as_view(), name="meters"),
    path("event-log", reads.EventLogView.as_view(), name="event-log"),
    path("quarantined-events", reads.QuarantinedEventListView.as_view(), name="quarantined-events"),
    path("quarantined-events/replay", reads.ReplayView.as_view(), name="replay"),
    path("price-quotes", quotes.PriceQuoteView.as_view(), name="price-quotes"),
    path("price-quotes/phased", quotes.PhasedQuoteView.as_view(), name="phased-price-quotes"),
    path("imports", imports.ImportListView.as_view(), name="imports"),
    path("imports/<uuid:import_id>", imports.ImportView.as_view(), name="import"),
    path("imports/<uuid:import_id>/file", imports.ImportFileView.as_view(), name="import-file"),
    path("imports/<uuid:import_id>/validate", imports.ImportValidateView.as_view(), name="import-validate"),
    path("imports/<uuid:import_id>/errors", imports.ImportErrorListView.as_view(), name="import-errors"),
    path("imports/<uuid:import_id>/preview", imports.ImportPreviewView.as_view(), name="import-preview"),
    path("imports/<uuid:import_id>/close", imports.ImportCloseView.as_view(), name="import-close"),
    path("imports/<uuid:import_id>/revert", imports.ImportRevertView.as_view(), name="import-revert"),
    path("imports/<uuid:import_id>/undo", imports.ImportUndoView.as_view(), name="import-undo"),
]
