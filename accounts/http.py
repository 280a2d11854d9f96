"""Read from a request what the middleware and `requires` put on it."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from rest_framework.request import Request

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer

SESSION_KEY = "membership"  # in the session: the membership that the visitor last switched to


def viewer_of(request: HttpRequest | Request) -> Viewer:
    """Return the viewer that ViewerMiddleware or the API key put on the request."""
    viewer: Viewer | None = getattr(request, "viewer", None)
    if viewer is None:
        raise PermissionDenied("You are not a member of any organization. Ask an admin to invite you.")
    return viewer


def account_of(request: HttpRequest) -> Account:
    """Return the account that the URL names, already checked by `requires` to be one the viewer may see."""
    account: Account = request.account  # type: ignore[attr-defined]
    return account
