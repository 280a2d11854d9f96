"""What every page's frame needs: who is looking, where they are, and where they can go."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from accounts.navigation import account_places, staff_places
from consumption_cs.lib.demo_mails import FILES


def viewer(request: HttpRequest) -> dict[str, Any]:
    """Return viewer, organization, account, memberships and navigation; empty for strangers."""
    membership = getattr(request, "membership", None)
    if membership is None:
        return {}
    looking = request.viewer  # type: ignore[attr-defined]
    account = getattr(request, "account", None) or membership.account
    inside = account_places(looking, account.pk, request.path) if account else []
    return {
        "viewer": looking,
        "membership": membership,
        "catches_mails": settings.DEMO and settings.EMAIL_BACKEND == FILES,
        "memberships": request.memberships,  # type: ignore[attr-defined]
        "organization": membership.organization,
        "account": account,
        "nav": inside if looking.is_portal else staff_places(looking, request.path),
        "account_nav": [] if looking.is_portal else inside,
    }
