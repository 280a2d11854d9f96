"""Pages of this app."""

from django.urls import path

from usage.views import (
    account_forms,
    account_import,
    accounts,
    drafts,
    events,
    imports,
    meters,
    new_prices,
    overview,
    rate_cards,
    workflows,
)

app_name = "usage"
_VERSION = "rate-cards/versions/<uuid:version_id>/"
urlpatterns = [
    path("accounts/", accounts.accounts, name="accounts"),
    path("accounts/accounts.csv", accounts.accounts_csv, name="accounts_csv"),
    path("accounts/new/", account_forms.account_new, name="account_new"),
    path("accounts/import/", account_import.account_import, name="account_import"),
    path("accounts/import/template.csv", account_import.account_import_template, name="account_import_template"),
    path("accounts/<uuid:account_id>/edit/", account_forms.account_edit, name="account_edit"),
    path("accounts/<uuid:account_id>/", overview.account_overview, name="overview"),
    path("accounts/<uuid:account_id>/daily.csv", overview.overview_daily, name="overview_daily"),
    path("accounts/<uuid:account_id>/workflows.csv", overview.overview_workflows_csv, name="overview_workflows_csv"),
    path("accounts/<uuid:account_id>/workflows/", workflows.workflows, name="workflows"),
    path("accounts/<uuid:account_id>/workflows/new/", workflows.workflow_new, name="workflow_new"),
    path("accounts/<uuid:account_id>/workflows/<uuid:workflow_id>/", workflows.workflow, name="workflow"),
    path(
        "accounts/<uuid:account_id>/workflows/<uuid:workflow_id>/edit/", workflows.workflow_edit, name="workflow_edit"
    ),
    path(
        "accounts/<uuid:account_id>/workflows/<uuid:workflow_id>/daily.csv",
        workflows.workflow_daily,
        name="workflow_daily",
    ),
    path("events/", events.events, name="events"),
    path("events/waiting/", events.waiting, name="events_waiting"),
    path("events/replay/", events.replay_events, name="replay_events"),
    path("events/retry/", events.retry_batches, name="retry_batches"),
    path("events/quarantined/<uuid:event_id>/", events.quarantined_event, name="quarantined_event"),
    path("events/<uuid:key>/", events.event, name="event"),
    path("accounts/<uuid:account_id>/events/", events.account_events, name="account_events"),
    path("accounts/<uuid:account_id>/events/waiting/", events.waiting, name="account_events_waiting"),
    path("accounts/<uuid:account_id>/events/<uuid:key>/", events.event, name="account_event"),
    path("meters/", meters.meters, name="meters"),
    path("meters/new/", meters.meter_new, name="meter_new"),
    path("meters/<uuid:meter_id>/", meters.meter_edit, name="meter_edit"),
    path("accounts/<uuid:account_id>/prices/", rate_cards.account_prices, name="account_prices"),
    path("rate-cards/", rate_cards.rate_cards, name="rate_cards"),
    path("rate-cards/new/", rate_cards.rate_card_new, name="rate_card_new"),
    path("rate-cards/new-price/", new_prices.price_new, name="price_new"),
    path("rate-cards/import/", new_prices.price_import, name="price_import"),
    path("rate-cards/<uuid:card_id>/", rate_cards.rate_card, name="rate_card"),
    path("rate-cards/<uuid:card_id>/draft/", drafts.rate_card_draft, name="rate_card_draft"),
    path(_VERSION, drafts.rate_card_version, name="rate_card_version"),
    path(f"{_VERSION}change/", drafts.rate_card_change, name="rate_card_change"),
    path(f"{_VERSION}discard/", drafts.rate_card_discard, name="rate_card_discard"),
    path(f"{_VERSION}effect/", drafts.rate_card_effect, name="rate_card_effect"),
    path(f"{_VERSION}effect/compute/", drafts.rate_card_compute, name="rate_card_compute"),
    path(f"{_VERSION}effect.csv", drafts.rate_card_effect_csv, name="rate_card_effect_csv"),
    path(f"{_VERSION}publish/", drafts.rate_card_publish, name="rate_card_publish"),
    path(f"{_VERSION}withdraw/", drafts.rate_card_withdraw, name="rate_card_withdraw"),
    path(f"{_VERSION}prices/", drafts.rate_card_line_add, name="rate_card_line_add"),
    path(f"{_VERSION}prices/<uuid:meter_id>/", drafts.rate_card_line, name="rate_card_line"),
    path(f"{_VERSION}prices/<uuid:meter_id>/remove/", drafts.rate_card_line_remove, name="rate_card_line_remove"),
    path("imports/", imports.imports, name="imports"),
    path("imports/new/", imports.import_new, name="import_new"),
    *(
        path(f"imports/template.{kind}", imports.import_template, {"kind": kind}, name=f"import_template_{kind}")
        for kind in ("csv", "ndjson", "parquet")
    ),
    path("imports/<uuid:import_id>/", imports.usage_import, name="import"),
    path("imports/<uuid:import_id>/progress/", imports.import_progress, name="import_progress"),
    path("imports/<uuid:import_id>/errors.csv", imports.import_errors_csv, name="import_errors_csv"),
    path("imports/<uuid:import_id>/preview.csv", imports.import_changes_csv, name="import_changes_csv"),
    path("imports/<uuid:import_id>/upload/", imports.import_upload, name="import_upload"),
    path("imports/<uuid:import_id>/validate/", imports.import_validate, name="import_validate"),
    path("imports/<uuid:import_id>/close/", imports.import_close, name="import_close"),
    path("imports/<uuid:import_id>/revert/", imports.import_revert, name="import_revert"),
    path("imports/<uuid:import_id>/undo/", imports.import_undo, name="import_undo"),
]
