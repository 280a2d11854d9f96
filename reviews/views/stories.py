"""The stories of the demo and the alerts that came before each bill. In no other installation."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.http import viewer_of
from accounts.permissions import can, requires
from reviews.demo.told import told_stories


@require_GET
@requires("alert.view", staff=True)
def stories(request: HttpRequest) -> HttpResponse:
    """One row for each story."""
    viewer = viewer_of(request)
    context = {"stories": told_stories(viewer), "may_log": can(viewer, "destination.manage")}
    return render(request, "reviews/stories.html", context)
