"""What people do about a limit that is set: lift it, and rehearse it."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.http import account_of, viewer_of
from accounts.permissions import requires
from budgets.actions.limits import lift, rehearse
from budgets.models import Budget


@require_POST
@requires("limit.lift")
def limit_lift(request: HttpRequest, account_id: UUID, budget_id: UUID) -> HttpResponse:
    """Lift a limit that was reached, with a reason."""
    viewer, account = viewer_of(request), account_of(request)
    found = get_object_or_404(Budget.objects.visible_to(viewer), account=account, pk=budget_id)
    try:
        lift(viewer, found, request.POST.get("reason", ""), timezone.now())
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        messages.success(request, "The limit is lifted.")
    return redirect("budgets:budget", account.pk, found.pk)


@require_POST
@requires("limit.edit")
def limit_rehearse(request: HttpRequest, account_id: UUID, budget_id: UUID) -> HttpResponse:
    """Send what would be sent when the limit acts."""
    viewer, account = viewer_of(request), account_of(request)
    found = get_object_or_404(Budget.objects.visible_to(viewer), account=account, pk=budget_id)
    try:
        rehearse(viewer, found, timezone.now())
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        messages.success(
            request, "The rehearsal is on its way to everybody who hears of this limit. Nothing is slowed."
        )
    return redirect("budgets:budget", account.pk, found.pk)
