"""Every signed-in request runs as one viewer, in one transaction in which only that viewer's rows exist."""

from collections.abc import Callable
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponse

from accounts.models import Membership
from consumption_cs.lib.tenancy import Viewer, enter, leave, present

SESSION_KEY = "membership"
# These authenticate by key or not at all, and open their own transaction.
_WITHOUT_SESSION = ("/api/v1/events", "/compat/", "/static/", "/healthz", "/readyz")


class ViewerMiddleware:
    """Choose the membership the session names (or the first) and act as it. Views that raise are rolled back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(_WITHOUT_SESSION) or not request.user.is_authenticated:
            return self.get_response(request)
        with transaction.atomic():
            present(user_id=request.user.pk)
            memberships = list(
                Membership.objects.filter(user=request.user.pk)
                .select_related("organization", "account")
                .order_by("created_at", "pk")
            )
            member = _chosen(memberships, request.session.get(SESSION_KEY))
            request.memberships = memberships  # type: ignore[attr-defined]
            request.membership = member  # type: ignore[attr-defined]
            if member is not None:
                viewer = Viewer(member.organization_id, member.account_id, member.role, request.user.pk)
                enter(viewer)
                request.viewer = viewer  # type: ignore[attr-defined]  # read it with accounts.http.viewer_of
            response = self.get_response(request)
            if not transaction.get_connection().needs_rollback:
                leave()
            return response


def _chosen(memberships: list[Membership], chosen: str | None) -> Membership | None:
    by_id = {str(UUID(str(member.pk))): member for member in memberships}
    return by_id.get(chosen or "", memberships[0] if memberships else None)
