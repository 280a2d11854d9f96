"""My book: the queue of who needs somebody, its views, and what is done with several rows at once."""

import contextlib
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from accounts.http import viewer_of
from accounts.models import Account, Role
from accounts.permissions import can, requires
from consumption_cs.lib.tenancy import Viewer
from reviews.actions import book as acting
from reviews.calc.queue import REASONS
from reviews.exports.book import book_csv
from reviews.models import SavedView
from reviews.reports.book_rail import rail
from reviews.reports.book_words import book_words
from reviews.reports.queue import HEALTH, SORTS, VIEWS, Filters, queue, whole_queue
from usage.views.overview import download

_DONE = "book_done"
UNDO_SECONDS = 120
SNOOZES = {"1": "until tomorrow", "3": "for 3 days", "7": "for a week", "30": "for 30 days"}


@require_safe
@requires("book.view", staff=True)
def book(request: HttpRequest) -> HttpResponse:
    """The queue, ranked by money at risk and urgency."""
    viewer, now = viewer_of(request), timezone.now()
    filters = read_filters(request.GET, viewer)
    found = queue(viewer, now, filters)
    views = list(SavedView.objects.visible_to(viewer).filter(user_id=viewer.user_id).order_by("name"))
    asked = _without_page(request.GET)
    context = {
        "queue": found,
        "filters": filters,
        "words": book_words(found, now),
        "views": [(name, label, found.counts[name]) for name, label in VIEWS.items()],
        "saved": [(view, view.query == asked) for view in views],
        "asked": asked,
        "reasons": REASONS.items(),
        "tiers": Account.Tier.choices,
        "healths": HEALTH.items(),
        "sorts": SORTS.items(),
        "people": [(str(pk), str(person)) for pk, person in acting.csms(viewer).items() if pk != viewer.user_id],
        "snoozes": SNOOZES.items(),
        "rail": rail(viewer, now),
        "may_edit": can(viewer, "book.edit"),
        "may_assign": can(viewer, "account.edit"),
        "done": _fresh(request, now),
        "clear_url": f"{reverse('reviews:book')}?{urlencode({'owner': filters.owner})}",
        "previous_page": found.filters.page - 1,
        "next_page": found.filters.page + 1,
        "tomorrow": now.date() + timedelta(days=1),
    }
    return render(request, "reviews/book.html", context)


@require_safe
@requires("book.view", staff=True)
def book_csv_file(request: HttpRequest) -> HttpResponse:
    """The queue as asked for, all of its pages."""
    viewer, now = viewer_of(request), timezone.now()
    rows = whole_queue(viewer, now, read_filters(request.GET, viewer))
    return download(book_csv(rows), f"book-{now.date().isoformat()}.csv")


@require_POST
@requires("book.edit", staff=True)
def several(request: HttpRequest) -> HttpResponse:
    """Do one thing with the selected accounts; it can be taken back on the next page."""
    viewer, now = viewer_of(request), timezone.now()
    ids = _ids(request.POST.getlist("account"))
    try:
        done = _do(request.POST, viewer, ids, now)
    except acting.BookError as problem:
        messages.error(request, str(problem))
    else:
        request.session[_DONE] = done | {"at": now.timestamp()}
    return _back(request)


def _do(asked: QueryDict, viewer: Viewer, ids: list[UUID], now: datetime) -> dict[str, Any]:
    match asked.get("do"):
        case "snooze":
            days = int(asked.get("days", "")) if asked.get("days", "") in SNOOZES else 1
            until = datetime.combine(now.date() + timedelta(days=days), time(), tzinfo=now.tzinfo)
            about = {pk: asked.get(f"reason-{pk}", "") for pk in ids}
            kept = acting.snooze(viewer, about, until, now)
            words = f"{len(kept)} snoozed {SNOOZES[str(days)]}."
            return {"do": "snooze", "accounts": [str(pk) for pk in kept], "words": words}
        case "task":
            tasks = acting.add_tasks(viewer, ids, asked.get("title", ""), _day(asked.get("due_on", "")))
            return {"do": "task", "tasks": [str(pk) for pk in tasks], "words": f"{len(tasks)} tasks added."}
        case "assign":
            if not can(viewer, "account.edit"):
                raise acting.BookError("You may not give accounts to others.")
            person = _ids([asked.get("person", "")])
            if not person:
                raise acting.BookError("Choose who gets the accounts.")
            before = acting.assign(viewer, ids, person[0])
            return {"do": "assign", "before": before, "words": f"{len(before)} accounts given away."}
    raise acting.BookError("Choose what to do with the selected accounts.")


@require_POST
@requires("book.edit", staff=True)
def take_back(request: HttpRequest) -> HttpResponse:
    """Undo what was done with several rows last."""
    done = request.session.pop(_DONE, {})
    try:
        messages.success(request, acting.undo(viewer_of(request), done, timezone.now()))
    except acting.BookError as problem:
        messages.error(request, str(problem))
    return _back(request)


@require_POST
@requires("book.edit", staff=True)
def wake_all(request: HttpRequest) -> HttpResponse:
    """Show the snoozed accounts again."""
    messages.success(request, f"{acting.wake(viewer_of(request))} back in the queue.")
    return _back(request)


@require_POST
@requires("book.view", staff=True)
def save_view(request: HttpRequest) -> HttpResponse:
    """Keep the filters of the page under a name."""
    try:
        view = acting.save_view(viewer_of(request), request.POST.get("name", ""), request.POST.get("query", ""))
    except acting.BookError as problem:
        messages.error(request, str(problem))
        return _back(request)
    messages.success(request, f"“{view.name}” is saved.")
    return redirect(f"{reverse('reviews:book')}?{view.query}")


@require_POST
@requires("book.view", staff=True)
def delete_view(request: HttpRequest, view_id: UUID) -> HttpResponse:
    """Forget a saved view."""
    acting.delete_view(viewer_of(request), view_id)
    return redirect("reviews:book")


def read_filters(asked: QueryDict, viewer: Viewer) -> Filters:
    """Return what the query string asks for; what it cannot mean is left at its default.

    Leaders and those who own no account see all of them at first.
    """
    own = "me" if viewer.role in (Role.CSM, Role.FIELD_CTO) else "all"

    def one_of(name: str, options: Any, otherwise: str) -> str:
        found = asked.get(name, otherwise)
        return found if found in options else otherwise

    owner = asked.get("owner", own)
    return Filters(
        view=one_of("view", VIEWS, "mine"),
        needs=one_of("needs", ("attention", "all"), "attention"),
        reason=one_of("reason", REASONS, ""),
        tier=one_of("tier", dict(Account.Tier.choices), ""),
        health=one_of("health", HEALTH, ""),
        owner=owner if owner in ("me", "all") or _ids([owner]) else own,
        words=asked.get("q", "")[:100],
        sort=one_of("sort", SORTS, "rank"),
        page=int(asked.get("page", "1")) if asked.get("page", "1").isdecimal() else 1,
    )


def _fresh(request: HttpRequest, now: datetime) -> dict[str, Any] | None:
    """What was done last, while it is offered to take it back."""
    done: dict[str, Any] = request.session.get(_DONE, {})
    return done if done and now.timestamp() - done["at"] < UNDO_SECONDS else None


def _without_page(asked: QueryDict) -> str:
    return urlencode([(name, value) for name, value in asked.items() if name != "page" and value])


def _ids(texts: list[str]) -> list[UUID]:
    found = []
    for text in texts:
        with contextlib.suppress(ValueError):
            found.append(UUID(text))
    return found


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise acting.BookError("Choose the day from the calendar.") from None


def _back(request: HttpRequest) -> HttpResponse:
    """To the page it was asked from, with its filters."""
    query = request.POST.get("back", "")
    url = f"{reverse('reviews:book')}?{query}" if query else reverse("reviews:book")
    return redirect(url if url_has_allowed_host_and_scheme(url, None) else "reviews:book")
