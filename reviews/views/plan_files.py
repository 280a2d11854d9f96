"""The adoption plan as a file."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import requires
from consumption_cs.lib.periods import day_of, zone_of
from reviews.exports.plan_pdf import plan_pdf
from reviews.models import AdoptionPlan
from usage.views.overview import download


@require_safe
@requires("plan.view")
def plan_file(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """The shared part of the plan, set for paper; `?paper=letter` for Letter."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    rows = AdoptionPlan.objects.visible_to(viewer).filter(account=account).exclude(state=AdoptionPlan.State.CLOSED)
    plan = rows.order_by("state", "-created_at").first()
    if plan is None:
        raise Http404
    content = plan_pdf(account, plan, now, "letter" if request.GET.get("paper") == "letter" else "a4")
    answer = download(content, f"adoption-plan-{account.key}-{day_of(now, zone_of(account.timezone))}.pdf")
    answer["Content-Type"] = "application/pdf"
    return answer
