"""Where people land, and how those with several memberships change between them."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.http import SESSION_KEY
from accounts.models import Role

_WITH_A_BOOK = (Role.CSM, Role.LEADER, Role.FIELD_CTO)


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """A customer's own overview, the book of who looks after accounts, or the list of accounts.

    In words for people without any membership.
    """
    member = request.membership  # type: ignore[attr-defined]
    if member is None:
        return render(request, "accounts/nowhere.html")
    if member.account_id:
        return redirect("usage:overview", member.account_id)
    return redirect("reviews:book" if member.role in _WITH_A_BOOK else "usage:accounts")


@require_POST
@login_required
def switch(request: HttpRequest) -> HttpResponse:
    """Go on as another of one's own memberships."""
    for member in request.memberships:  # type: ignore[attr-defined]
        if str(UUID(str(member.pk))) == request.POST.get("membership", "").lower():
            request.session[SESSION_KEY] = str(member.pk)
            return redirect("accounts:home")
    raise Http404


def not_offered(request: HttpRequest) -> HttpResponse:
    """Answer as an unknown page."""
    raise Http404
