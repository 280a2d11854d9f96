"""API routes. Keys of accounts may hold slashes, so what follows a key is named first."""

from django.urls import path

from usage.api import events, imports, quotes, rate_cards, reads

app_name = "usage-api"
_VERSION = "rate-cards/<uuid:card_id>/versions/<int:number>"
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
    path("rate-cards", rate_cards.RateCardListView.as_view(), name="rate-cards"),
    path("rate-cards/<uuid:card_id>", rate_cards.RateCardView.as_view(), name="rate-card"),
    path("rate-cards/<uuid:card_id>/versions", rate_cards.VersionListView.as_view(), name="rate-card-versions"),
    path(f"{_VERSION}/shadow", rate_cards.ShadowView.as_view(), name="rate-card-shadow"),
    path(f"{_VERSION}/publish", rate_cards.PublishView.as_view(), name="rate-card-publish"),
    path(f"{_VERSION}/withdraw", rate_cards.WithdrawView.as_view(), name="rate-card-withdraw"),
]
