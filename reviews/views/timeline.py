"""The timeline of an account: its list by pages and filters, adding to it, correcting and removing."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts.http import account_of, viewer_of
from accounts.models import Account
from accounts.permissions import can, requires
from consumption_cs.lib.periods import zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.timeline import edit_entry, log_entry, may_change, remove_entry
from reviews.forms.people import EntryForm
from reviews.models import Contact, TimelineEntry
from reviews.reports.timeline import FILTERS, last_words, timeline
from reviews.views.parts import add_errors, back, is_part, tell

LIST = "reviews/_timeline.html"


@require_http_methods(["GET", "HEAD", "POST"])
@requires("book.view", staff=True)
def account_timeline(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """The list, or with `before` its next page; a POST adds an entry."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    if request.method == "POST":
        return _add(request, viewer, account, now)
    kind = _kind(request.GET.get("show", ""))
    context = timeline_context(viewer, account, now, show=kind, before=request.GET.get("before", ""))
    if is_part(request):
        return render(request, "reviews/_timeline_items.html" if request.GET.get("before") else LIST, context)
    return render(request, "reviews/timeline.html", context)


def timeline_context(
    viewer: Viewer, account: Account, now: datetime, *, show: str = "", before: str = "", form: EntryForm | None = None
) -> dict[str, Any]:
    """Return what templates/reviews/_timeline.html needs; also for the pages that include it."""
    page = timeline(viewer, account, kinds=[show] if show else [], before=before)
    changeable = {
        item.entry.pk
        for item in page.items
        if item.entry and can(viewer, "book.edit") and may_change(viewer, item.entry)
    }
    return {
        "account": account,
        "timeline": page,
        "timeline_heading": last_words(page),
        "timeline_show": show,
        "timeline_filters": FILTERS.items(),
        "timeline_changeable": changeable,
        "entry_form": form or _form(viewer, account),
        "may_log": can(viewer, "book.edit"),
        "this_year": now.year,
    }


def _form(viewer: Viewer, account: Account, data: Any = None, **kwargs: Any) -> EntryForm:
    contacts = Contact.objects.visible_to(viewer).filter(account=account, left_on=None).order_by("name")
    return EntryForm(data, auto_id="entry_%s", zone=zone_of(account.timezone), contacts=list(contacts[:50]), **kwargs)


def _add(request: HttpRequest, viewer: Viewer, account: Account, now: datetime) -> HttpResponse:
    if not can(viewer, "book.edit"):
        raise PermissionDenied("Your role reads the timeline; it does not add to it.")
    form = _form(viewer, account, request.POST)
    if form.is_valid():
        said = form.said(now)
        try:
            log_entry(
                viewer, account, kind=said.kind, at=said.at, text=said.text, sentiment=said.sentiment,
                minutes=said.minutes, attendees=said.attendees, now=now,
            )  # fmt: skip
        except ValidationError as problem:
            add_errors(form, problem)
        else:
            tell(request, "It is in the timeline.")
            if not is_part(request):
                return back(request, reverse("reviews:timeline", args=[account.pk]))
            form = _form(viewer, account)
    context = timeline_context(viewer, account, now, form=form)
    status = 422 if form.errors else 200
    return render(request, LIST if is_part(request) else "reviews/timeline.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("book.view", staff=True)
def entry(request: HttpRequest, account_id: UUID, entry_id: UUID) -> HttpResponse:
    """One entry, to correct."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    found = _entry(viewer, account, entry_id)
    may_edit = can(viewer, "book.edit") and may_change(viewer, found)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied("Only who wrote an entry changes it.")
    attendees = [str(one.pk) for one in found.attendees.all()]
    start = {"kind": found.kind, "text": found.text, "sentiment": found.sentiment, "at": found.at}
    start |= {"minutes": found.minutes, "attendees": attendees}
    form = _form(viewer, account, request.POST if request.method == "POST" else None, initial=start)
    if request.method == "POST" and form.is_valid():
        try:
            edit_entry(viewer, found, form.said(found.at), now)
        except ValidationError as problem:
            add_errors(form, problem)
        else:
            tell(request, "The entry is corrected.")
            return back(request, reverse("reviews:timeline", args=[account.pk]))
    context = {"account": account, "entry": found, "form": form, "may_edit": may_edit}
    return render(request, "reviews/entry.html", context, status=422 if form.errors else 200)


@require_POST
@requires("book.edit", staff=True)
def entry_remove(request: HttpRequest, account_id: UUID, entry_id: UUID) -> HttpResponse:
    """Take an entry out of the timeline."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    remove_entry(viewer, _entry(viewer, account, entry_id), now)
    tell(request, "The entry is removed. The audit log keeps what it said.")
    return back(request, reverse("reviews:timeline", args=[account.pk]))


def _kind(asked: str) -> str:
    return asked if asked in FILTERS else ""


def _entry(viewer: Viewer, account: Account, entry_id: UUID) -> TimelineEntry:
    rows = TimelineEntry.objects.visible_to(viewer).filter(account=account, removed_at=None, pk=entry_id)
    found: TimelineEntry | None = rows.select_related("by", "account").first()
    if found is None:
        raise Http404
    return found
