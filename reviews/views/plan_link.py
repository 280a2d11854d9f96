"""A plan read through a secret address, without signing in: what the customer sees, and nothing else."""

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.models import Account, Organization
from reviews.actions.plan_links import note_opened, open_link, try_passcode
from reviews.reports.plans import plan_shown
from reviews.views.plans import page_context

HEADERS = {
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
}


@require_http_methods(["GET", "HEAD", "POST"])
def shared_plan(request: HttpRequest, token: str) -> HttpResponse:
    """Show the shared part of a plan. An unknown, expired and ended address look alike; the passcode is asked once a
    visit."""
    now, wrong = timezone.now(), False
    with transaction.atomic():
        opened = open_link(token, now)
        if opened is None:
            raise Http404
        link, name = opened.link, f"plan-{opened.link.pk}"
        if link.passcode and not request.session.get(name):
            is_right = request.method == "POST" and try_passcode(link, request.POST.get("passcode", ""))
            wrong = request.method == "POST" and not is_right
            if not is_right:
                context = {"wrong": wrong}
                return _safe(render(request, "reviews/plan_passcode.html", context, status=422 if wrong else 200))
            request.session[name] = True
        note_opened(link, now)
        again = open_link(token, now)  # as the customer's viewer again
        if again is None:
            raise Http404
        account = Account.objects.visible_to(again.viewer).get(pk=link.account_id)
        plan = again.link.plan
        shown = plan_shown(again.viewer, account, plan, now)
        context = page_context(shown, again.viewer, account) | {
            "account": account,
            "organization": Organization.objects.get(pk=link.organization_id),
            "expires_at": link.expires_at,
        }
        answer = render(request, "reviews/plan_shared.html", context)
    return _safe(answer)


def _safe(response: HttpResponse) -> HttpResponse:
    for name, value in HEADERS.items():
        response[name] = value
    return response
