"""What each role may do: one table, read by pages, API, navigation and tests alike."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.models import Account, Role
from consumption_cs.lib.tenancy import Viewer

P = ParamSpec("P")

_READ_STAFF = frozenset(
    {
        "usage.view",
        "money.view",
        "account.list",
        "event.view",
        "workflow.view",
        "price.view",
        "reconciliation.view",
        "forecast.view",
        "alert.view",
        "budget.view",
        "book.view",
        "task.view",
        "expansion.view",
        "ladder.view",
        "outcome.view",
        "plan.view",
        "review.view",
    }
)
_READ_KEY = _READ_STAFF | {"meter.view"}
_READ_PORTAL = frozenset(
    {
        "usage.view",
        "money.view",
        "workflow.view",
        "forecast.view",
        "alert.view",
        "budget.view",
        "task.view",
        "ladder.view",
        "outcome.view",
        "plan.view",
        "review.comment",
        "review.view",
    }
)

CAPABILITIES: dict[str, frozenset[str]] = {
    Role.ADMIN: _READ_STAFF
    | {
        "book.edit",
        "expansion.edit",
        "ladder.edit",
        "outcome.propose",
        "plan.edit",
        "plan.finish",
        "review.comment",
        "expansion.plan",
        "ladder.rules",
        "review.edit",
        "task.finish",
        "book.exchange",
        "capacity.view",
        "health.override",
        "play.manage",
        "recipe.edit",
        "retention.edit",
        "retention.view",
        "alert.handle",
        "budget.edit",
        "destination.manage",
        "forgiveness.decide",
        "forgiveness.request",
        "limit.edit",
        "limit.lift",
        "quality.view",
        "feed.manage",
        "planned.edit",
        "report.create",
        "scenario.edit",
        "account.edit",
        "account.import",
        "audit.view",
        "commit.manage",
        "cost.manage",
        "event.replay",
        "import.manage",
        "key.manage",
        "key.view",
        "manager_key.manage",
        "margin.view",
        "member.manage",
        "member.view",
        "meter.manage",
        "meter.view",
        "organization.edit",
        "period.close",
        "portal_member.manage",
        "price.manage",
        "workflow.edit",
    },
    Role.LEADER: _READ_STAFF
    | {
        "book.edit",
        "expansion.edit",
        "ladder.edit",
        "outcome.propose",
        "plan.edit",
        "plan.finish",
        "review.comment",
        "expansion.plan",
        "ladder.rules",
        "review.edit",
        "task.finish",
        "book.exchange",
        "capacity.view",
        "health.override",
        "play.manage",
        "recipe.edit",
        "retention.edit",
        "retention.view",
        "alert.handle",
        "budget.edit",
        "forgiveness.decide",
        "forgiveness.request",
        "limit.lift",
        "quality.view",
        "feed.manage",
        "report.create",
        "scenario.edit",
        "account.edit",
        "account.import",
        "audit.view",
        "margin.view",
        "member.view",
        "meter.view",
        "portal_member.manage",
        "workflow.edit",
    },
    Role.CSM: _READ_STAFF
    | {
        "book.edit",
        "expansion.edit",
        "ladder.edit",
        "outcome.propose",
        "plan.edit",
        "plan.finish",
        "review.comment",
        "review.edit",
        "task.finish",
        "book.exchange",
        "health.override",
        "alert.handle",
        "budget.edit",
        "destination.manage",
        "forgiveness.request",
        "limit.lift",
        "quality.view",
        "feed.manage",
        "planned.edit",
        "report.create",
        "scenario.edit",
        "account.edit",
        "member.view",
        "meter.view",
        "portal_member.manage",
        "workflow.edit",
    },
    Role.FIELD_CTO: _READ_STAFF
    | {
        "book.edit",
        "expansion.edit",
        "ladder.edit",
        "outcome.propose",
        "plan.edit",
        "plan.finish",
        "review.comment",
        "ladder.rules",
        "task.finish",
        "alert.handle",
        "budget.edit",
        "forgiveness.request",
        "limit.lift",
        "quality.view",
        "feed.manage",
        "planned.edit",
        "event.replay",
        "import.manage",
        "key.manage",
        "key.view",
        "member.view",
        "meter.manage",
        "meter.view",
        "workflow.edit",
    },
    Role.FINANCE: _READ_STAFF
    | {
        "book.edit",
        "review.comment",
        "task.finish",
        "book.exchange",
        "retention.edit",
        "retention.view",
        "alert.handle",
        "budget.edit",
        "forgiveness.decide",
        "forgiveness.request",
        "quality.view",
        "feed.manage",
        "report.create",
        "scenario.edit",
        "audit.view",
        "commit.manage",
        "cost.manage",
        "import.manage",
        "margin.view",
        "member.view",
        "meter.view",
        "period.close",
        "price.manage",
    },
    Role.ANALYST: _READ_STAFF | {"feed.manage", "member.view", "meter.view"},
    Role.PORTAL_OWNER: _READ_PORTAL
    | {
        "outcome.confirm",
        "plan.finish",
        "review.sign",
        "task.finish",
        "alert.handle",
        "budget.edit",
        "destination.manage",
        "forgiveness.request",
        "limit.edit",
        "limit.lift",
        "feed.manage",
        "planned.edit",
        "report.create",
        "scenario.edit",
        "audit.view",
        "event.view",
        "key.manage",
        "key.view",
        "member.view",
        "portal_member.manage",
        "workflow.edit",
    },
    Role.PORTAL_FINANCE: _READ_PORTAL
    | {
        "outcome.confirm",
        "plan.finish",
        "review.sign",
        "task.finish",
        "alert.handle",
        "budget.edit",
        "forgiveness.request",
        "feed.manage",
        "report.create",
        "scenario.edit",
        "member.view",
    },
    Role.PORTAL_ENGINEER: _READ_PORTAL
    | {
        "plan.finish",
        "task.finish",
        "alert.handle",
        "budget.edit",
        "feed.manage",
        "planned.edit",
        "event.view",
        "key.manage",
        "key.view",
        "member.view",
        "workflow.edit",
    },
    # An executive who only reads may still sign off what they read.
    Role.PORTAL_VIEWER: _READ_PORTAL | {"feed.manage", "review.sign"},
    # A key with the scope `read`; what it sees is the organization's or, with an account, that account's.
    "key": _READ_KEY,
    # A key of the organization with the scope `manage`, which includes `read`: a billing system, say.
    "manager_key": _READ_KEY
    | {
        "commit.manage",
        "cost.manage",
        "import.manage",
        "period.close",
        "planned.edit",
        "price.manage",
        "alert.handle",
        "book.edit",
        "task.finish",
        "budget.edit",
        "limit.edit",
        "limit.lift",
    },
}


def can(viewer: Viewer, capability: str) -> bool:
    """Return whether the viewer's role has the capability. An unknown role has none."""
    return capability in CAPABILITIES.get(viewer.role, frozenset())


def require(viewer: Viewer, capability: str) -> None:
    """Raise PermissionDenied, answered as 403, unless the viewer has the capability."""
    if not can(viewer, capability):
        raise PermissionDenied(f"Your role does not include “{capability}”.")


def requires(
    capability: str, *, staff: bool = False
) -> Callable[
    [Callable[Concatenate[HttpRequest, P], HttpResponse]], Callable[Concatenate[HttpRequest, P], HttpResponse]
]:
    """Decorate a view: strangers are sent to sign in, members without `capability` get 403.

    A view with `account_id` in its URL answers 404 for another customer's account before it says 403, so that
    nobody learns from the difference which accounts exist. `staff`: a page of the organization as a whole, which
    no customer opens even with a role that has the capability for its own account.
    """

    def decorate(
        view: Callable[Concatenate[HttpRequest, P], HttpResponse],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            viewer: Viewer | None = getattr(request, "viewer", None)
            if viewer is None:
                raise PermissionDenied("You are not a member of any organization. Ask an admin to invite you.")
            request.account = _account_in_url(viewer, kwargs)  # type: ignore[attr-defined]
            if staff and viewer.is_portal:
                raise PermissionDenied("This page is for your vendor's staff.")
            require(viewer, capability)
            return view(request, *args, **kwargs)

        guarded.capability = capability  # type: ignore[attr-defined]
        guarded.staff_only = staff  # type: ignore[attr-defined]
        return login_required(guarded)

    return decorate


def _account_in_url(viewer: Viewer, kwargs: dict[str, Any]) -> Account | None:
    account_id = kwargs.get("account_id")
    if account_id is None:
        return None
    account = Account.objects.visible_to(viewer).select_related("csm", "field_cto").filter(pk=account_id).first()
    if account is None:
        raise Http404
    return cast(Account, account)


class HasCapability(BasePermission):
    """API views name `capability`, and `staff_only` as in `requires`; a key also needs the scope `read`.

    A view that is read by more than may change it names `write_capability` for its unsafe methods too.
    """

    def has_permission(self, request: Request, view: object) -> bool:
        viewer: Viewer | None = getattr(request, "viewer", None) or getattr(request._request, "viewer", None)
        capability: str | None = getattr(view, "capability", None)
        if request.method not in SAFE_METHODS:
            capability = getattr(view, "write_capability", capability)
        if viewer is None or capability is None or (viewer.is_portal and getattr(view, "staff_only", False)):
            return False
        return can(viewer, capability)
