"""API keys of an organization and of its customers. A secret is in one answer and nowhere else."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.actions import keys as acts
from accounts.actions.people import Refused
from accounts.forms import OVERLAPS, KeyForm, RotateForm
from accounts.http import viewer_of
from accounts.models import Account, ApiKey, Scope
from accounts.permissions import can, requires
from accounts.reports import key_lines

MANAGE = "key.manage"
HAND_OUT = "manager_key.manage"  # keys that set prices and commits


@require_safe
@requires("key.view")
def keys(request: HttpRequest) -> HttpResponse:
    """The organization's own keys; customers are shown theirs."""
    viewer = viewer_of(request)
    return redirect("accounts:account_keys", viewer.account_id) if viewer.is_portal else _page(request)


@require_safe
@requires("key.view")
def account_keys(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """The keys of one customer, which only read."""
    return _page(request)


def _page(
    request: HttpRequest, form: KeyForm | None = None, made: tuple[ApiKey, str] | None = None, status: int = 200
) -> HttpResponse:
    viewer, account, now = viewer_of(request), _account(request), timezone.now()
    key, secret = made or (None, "")
    context: dict[str, Any] = {
        "place": account,
        "lines": key_lines(viewer, account, now),
        "may_manage": can(viewer, MANAGE),
        "may_hand_out": can(viewer, HAND_OUT),
        "overlaps": OVERLAPS,
        "made": key,
        "secret": secret,
        "sends_events": key is not None and bool({Scope.EVENTS_WRITE, Scope.EVENTS_BACKFILL} & set(key.scopes)),
    }
    if context["may_manage"]:
        context["form"] = form or KeyForm(account=account, may_manage=context["may_hand_out"])
    return render(request, "accounts/keys.html", context, status=status)


def _create(request: HttpRequest, account_id: UUID | None = None) -> HttpResponse:
    """Answer with the secret itself: sent on to a next page it would have to be stored in between."""
    viewer, account, now = viewer_of(request), _account(request), timezone.now()
    form = KeyForm(request.POST, account=account, may_manage=can(viewer, HAND_OUT))
    if form.is_valid():
        scopes = form.cleaned_data.get("scopes", [])
        try:
            name, ends = form.cleaned_data["name"], form.expires_at(now)
            made = acts.create_key(viewer, account, name, scopes, ends, now)
        except Refused as refused:
            form.add_error("name", str(refused))
        else:
            return _page(request, made=made, status=201)
    return _page(request, form, status=422)


def _rotate(request: HttpRequest, key_id: UUID, account_id: UUID | None = None) -> HttpResponse:
    key, form = _key(request, key_id), RotateForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose how long the old key goes on working.")
        return _back(_account(request))
    try:
        made = acts.rotate_key(viewer_of(request), key, form.overlap, timezone.now())
    except Refused as refused:
        messages.error(request, str(refused))
        return _back(_account(request))
    return _page(request, made=made, status=201)


def _revoke(request: HttpRequest, key_id: UUID, account_id: UUID | None = None) -> HttpResponse:
    key = _key(request, key_id)
    try:
        acts.revoke_key(viewer_of(request), key, timezone.now())
    except Refused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, f"“{key.name}” is revoked. What still uses it is answered 401 from now on.")
    return _back(_account(request))


key_create = require_POST(never_cache(requires(MANAGE, staff=True)(_create)))
key_rotate = require_POST(never_cache(requires(MANAGE, staff=True)(_rotate)))
key_revoke = require_POST(requires(MANAGE, staff=True)(_revoke))
account_key_create = require_POST(never_cache(requires(MANAGE)(_create)))
account_key_rotate = require_POST(never_cache(requires(MANAGE)(_rotate)))
account_key_revoke = require_POST(requires(MANAGE)(_revoke))


def _account(request: HttpRequest) -> Account | None:
    """The customer in the URL; None where the page is about the organization's own keys."""
    account: Account | None = request.account  # type: ignore[attr-defined]
    return account


def _key(request: HttpRequest, key_id: UUID) -> ApiKey:
    rows = ApiKey.objects.visible_to(viewer_of(request)).filter(account=_account(request))
    key: ApiKey | None = rows.filter(pk=key_id).first()
    if key is None:
        raise Http404
    return key


def _back(account: Account | None) -> HttpResponse:
    return redirect("accounts:account_keys", account.pk) if account else redirect("accounts:keys")
