"""One's own name, time zone and sessions."""

from allauth.core.ratelimit import consume_or_429
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actions.people import end_sessions
from accounts.forms import PasswordForm, ProfileForm
from accounts.models import User


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def profile(request: HttpRequest) -> HttpResponse:
    """Edit one's own name and time zone."""
    user = _user(request)
    form = ProfileForm(request.POST if request.method == "POST" else None, instance=user)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Saved.")
        return redirect("accounts:profile")
    if form.errors:
        user.refresh_from_db()  # the frame shows who they are, not what they typed
    return _page(request, form, PasswordForm(user=user, prefix="out"))


@sensitive_post_parameters("out-password")
@require_POST
@login_required
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """End all other sessions of the person, and keep this one."""
    # Whoever found an open session must not learn the password by trying.
    if refused := consume_or_429(request, action="reauthenticate", user=request.user):
        return refused
    user = _user(request)
    form = PasswordForm(request.POST, user=user, prefix="out")
    if not form.is_valid():
        return _page(request, ProfileForm(instance=user), form)
    end_sessions(user)
    update_session_auth_hash(request, user)
    messages.success(request, "You are signed out everywhere else.")
    return redirect("accounts:profile")


def _page(request: HttpRequest, form: ProfileForm, password_form: PasswordForm) -> HttpResponse:
    status = 422 if form.errors or password_form.errors else 200
    context = {"form": form, "password_form": password_form}
    return render(request, "accounts/profile.html", context, status=status)


def _user(request: HttpRequest) -> User:
    user: User = User.objects.get(
        email=request.user.get_username()
    )  # a row of its own: the frame shows the stored one
    return user
