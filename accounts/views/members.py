"""Who has a seat: the staff of an organization, and the people of one of its customers. One page for both."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.actions import people
from accounts.actions.people import Refused
from accounts.forms import InviteForm, RoleForm
from accounts.http import viewer_of
from accounts.models import Account, Invitation, Membership
from accounts.permissions import can, requires
from accounts.reports import invitation_lines, member_lines, roles_of

STAFF = "member.manage"
CUSTOMERS = "portal_member.manage"


@require_safe
@requires("member.view")
def members(request: HttpRequest) -> HttpResponse:
    """The staff; customers are shown their own people."""
    viewer = viewer_of(request)
    return redirect("accounts:account_members", viewer.account_id) if viewer.is_portal else _page(request)


@require_safe
@requires("member.view")
def account_members(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """The people of one customer."""
    return _page(request)


def _page(request: HttpRequest, form: InviteForm | None = None) -> HttpResponse:
    viewer, account, now = viewer_of(request), _account(request), timezone.now()
    context: dict[str, Any] = {
        "place": account,
        "members": member_lines(viewer, account),
        "may_manage": can(viewer, CUSTOMERS if account else STAFF),
        "roles": roles_of(account),
    }
    if context["may_manage"]:
        context["invitations"] = invitation_lines(viewer, account, now)
        context["form"] = form or InviteForm(account=account)
    return render(request, "accounts/members.html", context, status=422 if form else 200)


def _invite(request: HttpRequest, account_id: UUID | None = None) -> HttpResponse:
    account = _account(request)
    form = InviteForm(request.POST, account=account)
    if form.is_valid():
        try:
            email, role = form.cleaned_data["email"], form.cleaned_data["role"]
            people.invite(viewer_of(request), account, email, role, timezone.now())
        except Refused as refused:
            form.add_error("email", str(refused))
        else:
            messages.success(request, f"An invitation is on its way to {email}. Its link works for 72 hours.")
            return _back(account)
    return _page(request, form)


def _role(request: HttpRequest, member_id: UUID, account_id: UUID | None = None) -> HttpResponse:
    account, member = _account(request), _member(request, member_id)
    form = RoleForm(request.POST, account=account)
    if not form.is_valid():
        messages.error(request, "Choose one of the roles that people here can have.")
        return _back(account)
    role = form.cleaned_data["role"]
    _try(
        request,
        lambda: people.change_role(viewer_of(request), member, role, timezone.now()),
        f"{member.user} is {dict(form.fields['role'].choices)[role]} from their next click on.",  # type: ignore[attr-defined]
    )
    return _back(account)


def _remove(request: HttpRequest, member_id: UUID, account_id: UUID | None = None) -> HttpResponse:
    member = _member(request, member_id)
    try:
        left = people.remove(viewer_of(request), member, timezone.now())
    except Refused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, f"{member.user} has no access here any more.")
        if left:
            messages.warning(request, f"{left} account{'' if left == 1 else 's'} had them as CSM or field CTO.")
    return _back(_account(request))


def _resend(request: HttpRequest, invitation_id: UUID, account_id: UUID | None = None) -> HttpResponse:
    invitation = _invitation(request, invitation_id)
    done = f"A new link is on its way to {invitation.email}; the old one stopped working."
    _try(request, lambda: people.resend(viewer_of(request), invitation, timezone.now()), done)
    return _back(_account(request))


def _revoke(request: HttpRequest, invitation_id: UUID, account_id: UUID | None = None) -> HttpResponse:
    invitation = _invitation(request, invitation_id)
    done = f"The invitation of {invitation.email} was taken back."
    _try(request, lambda: people.revoke(viewer_of(request), invitation, timezone.now()), done)
    return _back(_account(request))


member_invite = require_POST(requires(STAFF)(_invite))
member_role = require_POST(requires(STAFF)(_role))
member_remove = require_POST(requires(STAFF)(_remove))
invitation_resend = require_POST(requires(STAFF)(_resend))
invitation_revoke = require_POST(requires(STAFF)(_revoke))
account_member_invite = require_POST(requires(CUSTOMERS)(_invite))
account_member_role = require_POST(requires(CUSTOMERS)(_role))
account_member_remove = require_POST(requires(CUSTOMERS)(_remove))
account_invitation_resend = require_POST(requires(CUSTOMERS)(_resend))
account_invitation_revoke = require_POST(requires(CUSTOMERS)(_revoke))


def _try(request: HttpRequest, act: Callable[[], None], done: str) -> None:
    try:
        act()
    except Refused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, done)


def _account(request: HttpRequest) -> Account | None:
    """The customer in the URL; None where the page is about the organization's own staff."""
    account: Account | None = request.account  # type: ignore[attr-defined]
    return account


def _member(request: HttpRequest, member_id: UUID) -> Membership:
    rows = Membership.objects.visible_to(viewer_of(request)).filter(account=_account(request))
    member: Membership | None = rows.select_related("user").filter(pk=member_id).first()
    if member is None:
        raise Http404
    return member


def _invitation(request: HttpRequest, invitation_id: UUID) -> Invitation:
    rows = Invitation.objects.visible_to(viewer_of(request)).filter(account=_account(request))
    invitation: Invitation | None = rows.filter(pk=invitation_id).first()
    if invitation is None:
        raise Http404
    return invitation


def _back(account: Account | None) -> HttpResponse:
    return redirect("accounts:account_members", account.pk) if account else redirect("accounts:members")
