"""Monthly reports: subscribed to, rested and ended on the page of reports, or ended by the link in a mail."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from accounts.http import account_of, viewer_of
from accounts.models import Account
from accounts.permissions import requires
from budgets.actions.report_subscriptions import end, pause, resume, subscribe
from budgets.actions.reports import ReportError
from budgets.actions.unsubscribing import subscription_of
from budgets.forms.reports import ReportForm, SubscriptionForm
from budgets.models import ReportSubscription
from budgets.reports.report_subscriptions import subscriptions
from budgets.views.reports import shown
from consumption_cs.lib.tenancy import Viewer, enter, leave

_CHANGES: dict[str, tuple[Callable[[Viewer, ReportSubscription, datetime], None], str]] = {
    "pause": (pause, "Paused: nothing is sent until you resume it."),
    "resume": (resume, "It is sent again from the next day on."),
    "end": (end, "It is not sent any more."),
}


@require_POST
@requires("report.create", staff=True)
def organization_subscribe(request: HttpRequest) -> HttpResponse:
    """Have a report of all accounts sent to the reader every month."""
    return _subscribe(request, None)


@require_POST
@requires("report.create")
def account_subscribe(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Have one account's report sent to the reader every month."""
    return _subscribe(request, account_of(request))


@require_POST
@requires("report.create", staff=True)
def organization_subscription_change(request: HttpRequest, subscription_id: UUID, change: str) -> HttpResponse:
    """Pause, resume or end one of the list, which has those of single accounts too."""
    return _change(request, None, subscription_id, change)


@require_POST
@requires("report.create")
def account_subscription_change(
    request: HttpRequest, account_id: UUID, subscription_id: UUID, change: str
) -> HttpResponse:
    return _change(request, account_of(request), subscription_id, change)


@csrf_exempt  # mail programs post here with nothing but the link, which is the proof (RFC 8058)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """End the subscription that a mail's link names: asked first, since programs open links on their own."""
    with transaction.atomic():
        try:
            found = subscription_of(token)
            if found is None:
                raise Http404
            viewer, subscription = found
            if request.method == "POST" and subscription.ended_at is None:
                end(viewer, subscription, timezone.now(), "Link in the mail")
            context = {"subscription": subscription, "name": subscription.organization.name}
            about = subscription.account.name if subscription.account else "all accounts"
        finally:
            _back(request)
    return render(request, "budgets/unsubscribe.html", context | {"about": about})


def _back(request: HttpRequest) -> None:
    """Whoever is signed in looks on as themselves."""
    viewer: Viewer | None = getattr(request, "viewer", None)
    if viewer is None:
        leave()
    else:
        enter(viewer)


def _subscribe(request: HttpRequest, account: Account | None) -> HttpResponse:
    of_account = account is not None
    form = SubscriptionForm(request.POST, of_account=of_account)
    if form.is_valid():
        data = form.cleaned_data
        try:
            subscribe(viewer_of(request), account, data["kind"], data["format"], data["day_of_month"], timezone.now())
        except ReportError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "Subscribed: a mail with a link comes to you every month.")
            return _to_reports(account)
    return shown(request, account, ReportForm(of_account=of_account), form)


def _change(request: HttpRequest, account: Account | None, subscription_id: UUID, change: str) -> HttpResponse:
    viewer = viewer_of(request)
    if change not in _CHANGES:
        raise Http404
    subscription = get_object_or_404(subscriptions(viewer, account), pk=subscription_id)
    act, said = _CHANGES[change]
    act(viewer, subscription, timezone.now())
    messages.success(request, said)
    return _to_reports(account)


def _to_reports(account: Account | None) -> HttpResponse:
    return redirect("budgets:account_reports", account.pk) if account else redirect("budgets:reports")
