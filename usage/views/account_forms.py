"""Make and edit an account."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.http import account_of, viewer_of
from accounts.models import Account, Organization
from accounts.permissions import can, requires
from usage.actions.accounts import AccountTaken, has_usage, save_account
from usage.forms import AccountForm
from usage.reports.event_log import waiting


@require_http_methods(["GET", "HEAD", "POST"])
@requires("account.edit")
def account_new(request: HttpRequest) -> HttpResponse:
    """Add a customer; `key` in the address fills that field, for events that wait for it."""
    return _edit(request, Account(key=request.GET.get("key", "")[:200]), is_locked=False)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("account.edit")
def account_edit(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Change what is known of a customer; what its usage rests on is locked after the first event."""
    account = account_of(request)
    return _edit(request, account, is_locked=has_usage(viewer_of(request), account))


def _edit(request: HttpRequest, account: Account, *, is_locked: bool) -> HttpResponse:
    viewer = viewer_of(request)
    organization = Organization.objects.defer("logo").get(pk=viewer.organization_id)
    is_new, name = account._state.adding, account.name
    data = request.POST if request.method == "POST" else None
    # A copy, because a form writes into its instance even when it is not valid, and the frame shows the account.
    instance = Account(key=account.key) if is_new else Account.objects.visible_to(viewer).get(pk=account.pk)
    form = AccountForm(data, instance=instance, viewer=viewer, organization=organization, is_locked=is_locked)
    if data is not None and form.is_valid():
        try:
            saved = save_account(viewer, form.save(commit=False))
        except AccountTaken as taken:
            form.add_error("key", str(taken))
        else:
            messages.success(request, f"{saved.name} is {'added' if is_new else 'saved'}.")
            if waiting(viewer, saved).exists():
                messages.info(request, f"Events that name “{saved.key}” wait in quarantine: replay them under Events.")
            return redirect("usage:overview", saved.pk)
    context: dict[str, Any] = {
        "form": form,
        "is_locked": is_locked,
        "is_new": is_new,
        "name": name,
        "may_import": can(viewer, "account.import"),
    }
    return render(request, "usage/account_form.html", context, status=422 if data is not None else 200)
