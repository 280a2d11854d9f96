"""Credits for spikes: asked for beside the alert, decided by finance."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import requires
from budgets.actions import forgiveness as acting
from budgets.forms.forgiveness import DecideForm, ReasonForm
from budgets.models import Alert, Forgiveness
from budgets.reports.forgiveness import asked_credits, forgiveness_of, working
from budgets.views.finance import finance_page

PAGE_SIZE = 50


@require_http_methods(["GET", "HEAD", "POST"])
@requires("forgiveness.request")
def forgive(request: HttpRequest, account_id: UUID, alert_id: UUID) -> HttpResponse:
    """What a credit would be, through the tiers, and the request for it; afterwards what became of it."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    rows = Alert.objects.visible_to(viewer).filter(account=account, pk=alert_id)
    alert: Alert | None = rows.select_related("anomaly", "workflow").first()
    if alert is None:
        raise Http404
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            acting.request_forgiveness(viewer, account, alert, form.cleaned_data["reason"], now)
        except acting.ForgivenessError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "It is asked for. Finance decides, and the alert's log says when.")
            return redirect("budgets:forgive", account.pk, alert.pk)
    asked = forgiveness_of(viewer, alert)
    found = None if asked else working(viewer, account, alert, now)
    context = {
        "account": account,
        "alert": alert,
        "asked": asked,
        "found": found,
        "amount": asked.amount if asked else found.amount if found else None,
        "lines": asked.working.get("lines", []) if asked else found.lines if found else [],
        "form": form,
    }
    return render(request, "budgets/forgive.html", context, status=422 if form.errors else 200)


@require_safe
@requires("forgiveness.decide", staff=True)
def requests(request: HttpRequest) -> HttpResponse:
    """The credits that were asked for, those that wait first."""
    page = Paginator(asked_credits(viewer_of(request)), PAGE_SIZE).get_page(request.GET.get("page"))
    waiting = Forgiveness.objects.visible_to(viewer_of(request)).filter(state=Forgiveness.State.REQUESTED).count()
    return finance_page(request, "budgets/forgiveness.html", {"page": page, "waiting": waiting})


@require_POST
@requires("forgiveness.decide", staff=True)
def decide(request: HttpRequest, forgiveness_id: UUID) -> HttpResponse:
    """Approve and book, or decline."""
    viewer, now = viewer_of(request), timezone.now()
    asked: Forgiveness | None = Forgiveness.objects.visible_to(viewer).filter(pk=forgiveness_id).first()
    if asked is None:
        raise Http404
    form: forms.Form = DecideForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose whether to approve or to decline.")
        return redirect("budgets:forgiveness")
    answer = form.cleaned_data["answer"]
    try:
        if form.cleaned_data["decision"] == "approve":
            acting.approve(viewer, asked, answer, now, excused=form.cleaned_data["excused"])
            messages.success(request, "The credit is booked, from today on.")
        else:
            acting.decline(viewer, asked, answer, now)
            messages.success(request, "It is declined; the alert's log says why.")
    except acting.ForgivenessError as error:
        messages.error(request, str(error))
    return redirect("budgets:forgiveness")
