"""Routes of other products' clients: /compat/<product>/ is the base URL to give them."""

from django.urls import path

from usage.api import compat

app_name = "compat"
urlpatterns = [
    path("openmeter/api/v1/events", compat.openmeter, name="openmeter"),
    path("lago/api/v1/events", compat.lago_event, name="lago-event"),
    path("lago/api/v1/events/batch", compat.lago_batch, name="lago-batch"),
    path("segment/v1/batch", compat.segment_batch, name="segment"),
]
