"""API routes."""

from django.urls import path

from usage.api import events

app_name = "usage-api"
urlpatterns = [path("events", events.events, name="events")]
