"""Every signed-in request runs as one viewer, in one transaction in which only that viewer's rows exist."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from allauth.core.internal.httpkit import get_client_ip
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.cache import patch_cache_control

from accounts.actions.audit import from_address
from accounts.http import SESSION_KEY
from accounts.models import Membership, User
from consumption_cs.lib.tenancy import Viewer, enter, leave, present

# These authenticate by key or not at all, and open their own transaction.
_WITHOUT_SESSION = ("/api/v1/events", "/compat/", "/static/", "/healthz", "/readyz")
_SEEN_EVERY = timedelta(minutes=5)


class ViewerMiddleware:
    """Choose the membership the session names (or the first) and act as it. Views that raise are rolled back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(_WITHOUT_SESSION):
            return self.get_response(request)
        with from_address(get_client_ip(request)):
            if not request.user.is_authenticated:
                response = self.get_response(request)
            else:
                response = self._as_member(request, request.user)
        if not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_store=True)
        return response

    def _as_member(self, request: HttpRequest, user: User) -> HttpResponse:
        with transaction.atomic():
            present(user_id=user.pk)
            memberships = list(
                Membership.objects.filter(user=user.pk)
                .select_related("organization", "account__csm", "user")
                .defer("organization__logo")  # up to 200 KB that only its own page needs
                .order_by("created_at", "pk")
            )
            member = _chosen(memberships, request.session.get(SESSION_KEY))
            request.memberships = memberships  # type: ignore[attr-defined]
            request.membership = member  # type: ignore[attr-defined]
            if member is not None:
                viewer = Viewer(member.organization_id, member.account_id, member.role, user.pk)
                enter(viewer)
                request.viewer = viewer  # type: ignore[attr-defined]  # read it with accounts.http.viewer_of
                _note_visit(request, member)
            with timezone.override(_zone_of(user, member)):
                response = self.get_response(request)
            if not transaction.get_connection().needs_rollback:
                leave()
            return response


def _chosen(memberships: list[Membership], chosen: str | None) -> Membership | None:
    by_id = {str(UUID(str(member.pk))): member for member in memberships}
    return by_id.get(chosen or "", memberships[0] if memberships else None)


def _note_visit(request: HttpRequest, member: Membership) -> None:
    """Remember when the member was last here, at most every few minutes and not while only looking something up."""
    now = timezone.now()
    if request.method == "GET" and (member.last_seen_at is None or now - member.last_seen_at > _SEEN_EVERY):
        mine = Membership.objects.filter(organization_id=member.organization_id, pk=member.pk)
        mine.update(last_seen_at=now)


def _zone_of(user: User, member: Membership | None) -> ZoneInfo:
    return ZoneInfo(user.timezone or (member.organization.timezone if member else "UTC"))
