"""API keys as a way to sign in to the read API."""

from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from accounts.credentials import find_key
from accounts.models import ApiKey, Scope, User
from consumption_cs.lib.tenancy import Viewer, enter

NO_READ = "This key lacks the scope read."


def viewer_of_key(organization_id: UUID, account_id: UUID | None, scopes: Collection[str], name: str) -> Viewer | None:
    """Return whom a usable key acts as, or None when it may not read."""
    may_manage = Scope.MANAGE in scopes and account_id is None
    if Scope.READ not in scopes and not may_manage:
        return None
    return Viewer(organization_id, account_id, "manager_key" if may_manage else "key", name=f"API key “{name}”")


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer ccs_live_…` with the scope `read` or `manage`; it acts as its organization or account.

    `manage` includes `read`: who sets prices must see them. Only keys of an organization have it.
    """

    def authenticate(self, request: Request) -> tuple[User | None, ApiKey] | None:
        """Return the key, or None to let the session speak. Runs inside the view's transaction."""
        scheme, _, presented = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        if not transaction.get_connection().in_atomic_block:
            raise AuthenticationFailed
        key = find_key(presented.strip(), timezone.now())
        if key is None:
            raise AuthenticationFailed("This API key is unknown, expired or revoked.")
        viewer = viewer_of_key(key.organization_id, key.account_id, key.scopes, key.name)
        if viewer is None:
            raise PermissionDenied(NO_READ)
        enter(viewer)
        request.viewer = viewer  # type: ignore[attr-defined]
        return None, key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
