"""The organization's settings."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actions.organization import remove_logo, save_logo, save_settings
from accounts.http import viewer_of
from accounts.models import Organization
from accounts.organization_forms import OrganizationForm
from accounts.permissions import requires


@require_http_methods(["GET", "HEAD", "POST"])
@requires("organization.edit")
def settings(request: HttpRequest) -> HttpResponse:
    """Show and change name, time zone, currency, colour and logo."""
    viewer = viewer_of(request)
    stored = Organization.objects.defer("logo").get(pk=viewer.organization_id)
    if request.method != "POST":
        return _page(request, OrganizationForm(instance=stored), stored)
    form = OrganizationForm(request.POST, request.FILES, instance=Organization.objects.get(pk=stored.pk))
    if not form.is_valid():
        return _page(request, form, stored, 422)
    save_settings(viewer, form.cleaned_data)
    if form.cleaned_data["logo_file"] is not None:
        save_logo(viewer, form.cleaned_data["logo_file"])
    messages.success(request, "Settings saved.")
    return redirect("accounts:settings")


@require_POST
@requires("organization.edit")
def logo_remove(request: HttpRequest) -> HttpResponse:
    """Go back to our mark in the organization's colour."""
    if remove_logo(viewer_of(request)):
        messages.success(request, "The logo is removed.")
    return redirect("accounts:settings")


def _page(request: HttpRequest, form: OrganizationForm, stored: Organization, status: int = 200) -> HttpResponse:
    return render(request, "accounts/settings.html", {"form": form, "stored": stored}, status=status)
