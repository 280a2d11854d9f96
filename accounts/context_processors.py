"""What every page's frame needs: who is looking, where they are, and where they can go."""

from typing import Any

from django.http import HttpRequest


def viewer(request: HttpRequest) -> dict[str, Any]:
    """Return viewer, organization, account, memberships and navigation; empty for strangers."""
    membership = getattr(request, "membership", None)
    if membership is None:
        return {}
    return {
        "viewer": request.viewer,  # type: ignore[attr-defined]
        "membership": membership,
        "memberships": request.memberships,  # type: ignore[attr-defined]
        "organization": membership.organization,
        "account": getattr(request, "account", None) or membership.account,
    }
