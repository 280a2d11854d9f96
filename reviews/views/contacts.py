"""People at the customer, and who looks after whose accounts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts.http import account_of, viewer_of
from accounts.models import Account
from accounts.permissions import can, requires
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.contacts import contact_left, save_contact
from reviews.actions.covers import add_cover, end_cover, may_cover_for
from reviews.forms.people import ContactForm, CoverForm
from reviews.models import Contact, Cover
from reviews.reports.people import covers, people
from reviews.reports.play_owners import colleagues
from reviews.views.parts import add_errors, back, tell


@require_http_methods(["GET", "HEAD", "POST"])
@requires("book.view", staff=True)
def contacts(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Who is who at an account; a POST adds somebody."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    form = ContactForm(request.POST if request.method == "POST" else None, initial=_start(request))
    if request.method == "POST" and _saved(request, viewer, account, form, None):
        return back(request, reverse("reviews:contacts", args=[account.pk]))
    context = people_context(viewer, account, now) | {"form": form}
    return render(request, "reviews/contacts.html", context, status=422 if form.errors else 200)


def people_context(viewer: Viewer, account: Account, now: datetime) -> dict[str, Any]:
    """Return what templates/reviews/_people.html needs; also for the pages that include it."""
    return {
        "account": account,
        "people": people(viewer, account, now),
        "may_edit_people": can(viewer, "book.edit") and viewer.is_staff,
    }


def _start(request: HttpRequest) -> dict[str, str]:
    """What an address may fill in: the role of a gap, or who is in the portal but not written down."""
    asked = {name: request.GET.get(name, "").replace("\x00", "")[:150] for name in ("role", "name", "email")}
    return {name: value for name, value in asked.items() if value}


@require_http_methods(["GET", "HEAD", "POST"])
@requires("book.view", staff=True)
def contact(request: HttpRequest, account_id: UUID, contact_id: UUID) -> HttpResponse:
    """One person, to correct."""
    viewer, account = viewer_of(request), account_of(request)
    found = _contact(viewer, account, contact_id)
    start = {name: getattr(found, name) for name in ("name", "role", "title", "email", "note")}
    form = ContactForm(request.POST if request.method == "POST" else None, initial=start)
    if request.method == "POST" and _saved(request, viewer, account, form, found):
        return back(request, reverse("reviews:contacts", args=[account.pk]))
    today = day_of(timezone.now(), zone_of(account.timezone))
    context = {
        "account": account,
        "contact": found,
        "form": form,
        "today": today,
        "may_edit_people": can(viewer, "book.edit"),
    }
    return render(request, "reviews/contact.html", context, status=422 if form.errors else 200)


def _saved(request: HttpRequest, viewer: Viewer, account: Account, form: ContactForm, found: Contact | None) -> bool:
    if not can(viewer, "book.edit"):
        raise PermissionDenied("Your role reads contacts; it does not change them.")
    if not form.is_valid():
        return False
    try:
        saved = save_contact(viewer, account, form.person(found), found)
    except ValidationError as problem:
        add_errors(form, problem)
        return False
    tell(request, f"{saved.name} is {'corrected' if found else 'added'}.")
    return True


@require_POST
@requires("book.edit", staff=True)
def contact_gone(request: HttpRequest, account_id: UUID, contact_id: UUID) -> HttpResponse:
    """Note that somebody left today, or with `back` that they are there again."""
    viewer, account = viewer_of(request), account_of(request)
    found = _contact(viewer, account, contact_id)
    today = day_of(timezone.now(), zone_of(account.timezone))
    is_back = request.POST.get("there") == "1"
    contact_left(viewer, found, None if is_back else today, today)
    tell(request, f"{found.name} {'is there again' if is_back else 'has left'}.")
    return back(request, reverse("reviews:contacts", args=[account.pk]))


def _contact(viewer: Viewer, account: Account, contact_id: UUID) -> Contact:
    rows = Contact.objects.visible_to(viewer).filter(account=account, pk=contact_id).select_related("account", "user")
    found: Contact | None = rows.first()
    if found is None:
        raise Http404
    return found


@require_http_methods(["GET", "HEAD", "POST"])
@requires("book.view", staff=True)
def cover_list(request: HttpRequest) -> HttpResponse:
    """Who looks after whose accounts, now and later; a POST adds it."""
    viewer, today = viewer_of(request), timezone.now().date()
    staff = colleagues(viewer)
    absent = [one for one in staff if may_cover_for(viewer, one.pk)]
    if request.method == "POST" and not absent:
        raise PermissionDenied("Your role does not say who covers for whom.")
    data = request.POST if request.method == "POST" else None
    form = CoverForm(data, absent=absent, staff=staff, initial={"absent": str(viewer.user_id), "starts_on": today})
    if data is not None and form.is_valid():
        asked = form.cleaned_data
        try:
            add_cover(viewer, asked["absent"], asked["covered_by"], asked["starts_on"], asked["ends_on"])
        except ValidationError as problem:
            add_errors(form, problem)
        else:
            tell(request, "The cover is set. Their accounts and tasks show in the other's book on those days.")
            return redirect("reviews:covers")
    shown = [(one, may_cover_for(viewer, one.absent_id), one.starts_on <= today) for one in covers(viewer, today)]
    context = {"covers": shown, "form": form, "may_add": bool(absent)}
    return render(request, "reviews/covers.html", context, status=422 if form.errors else 200)


@require_POST
@requires("book.edit", staff=True)
def cover_end(request: HttpRequest, cover_id: UUID) -> HttpResponse:
    """End a cover today."""
    viewer = viewer_of(request)
    rows = Cover.objects.visible_to(viewer).filter(pk=cover_id).select_related("absent", "covered_by")
    found: Cover | None = rows.first()
    if found is None:
        raise Http404
    end_cover(viewer, found, timezone.now().date())
    tell(request, "The cover is over.")
    return redirect("reviews:covers")
