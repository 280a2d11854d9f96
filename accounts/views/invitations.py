"""The page behind the link of an invitation. Whoever opens it has no rights but what the link gives."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.actions.people import Refused, accept, find_invitation, refusal
from accounts.forms import NewPersonForm
from accounts.http import SESSION_KEY
from accounts.models import Invitation, User
from consumption_cs.lib.tenancy import leave

_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Say what is offered; accept it as the signed-in person, or as a new one with a name and a password."""
    found = find_invitation(token, lock=request.method == "POST")
    response = _gone(request, None, "") if found is None else _answer(request, found)
    leave()
    return response


def _answer(request: HttpRequest, found: Invitation) -> HttpResponse:
    if why := refusal(found, timezone.now()):
        return _gone(request, found, why)
    user = request.user if isinstance(request.user, User) else None
    if user is not None and user.email.lower() != found.email:
        return render(request, "accounts/invitation_other.html", _offer(found), status=403)
    context = _offer(found) | {"has_sign_in": _has_sign_in(found)}
    if user is None and context["has_sign_in"]:
        return render(request, "accounts/invitation.html", context)
    form = None if user else NewPersonForm(request.POST if request.method == "POST" else None, email=found.email)
    if request.method == "POST" and (form is None or form.is_valid()):
        return _accepted(request, found, user, form)
    status = 422 if request.method == "POST" else 200
    return render(request, "accounts/invitation.html", context | {"form": form}, status=status)


def _accepted(request: HttpRequest, found: Invitation, user: User | None, form: NewPersonForm | None) -> HttpResponse:
    try:
        member = accept(found, form.person if form else user, timezone.now())  # type: ignore[arg-type]
    except Refused as refused:
        return _gone(request, found, str(refused))
    if user is None:
        login(request, member.user, backend=_BACKEND)
    request.session[SESSION_KEY] = str(member.pk)
    messages.success(request, f"Welcome, {member.user}.")
    return redirect("accounts:home")


def _offer(found: Invitation) -> dict[str, Any]:
    """What every page about an invitation shows. Only the name of who invites: their colour and logo need a seat."""
    return {"invitation": found, "organization": {"name": found.organization.name}}


def _has_sign_in(found: Invitation) -> bool:
    return User.objects.filter(email=found.email).exists()


def _gone(request: HttpRequest, found: Invitation | None, why: str) -> HttpResponse:
    """A used, late or revoked invitation says so; a link that never was one gives nothing away."""
    context = (_offer(found) if found else {}) | {"why": why}
    return render(request, "accounts/invitation_gone.html", context, status=410 if found else 404)
