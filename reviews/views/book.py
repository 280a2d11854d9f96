"""My book: the queue of who needs somebody, its views, and what is done with several rows at once."""

import contextlib
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.http import viewer_of
from accounts.models import Account, Role
from accounts.permissions import can, requires
from consumption_cs.lib.periods import as_utc, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.actions import book as acting
from reviews.calc.queue import REASONS
from reviews.exports.book import book_csv
from reviews.reports.book_digest import lines, text_of, weeks_of
from reviews.reports.book_rail import rail
from reviews.reports.book_words import book_words
from reviews.reports.queue import HEALTH, SORTS, VIEWS, Filters, queue, whole_queue
from reviews.views.parts import is_part
from usage.views.overview import download

DONE = "book_done"
UNDO_SECONDS = 120
UNTIL_CHANGED = "90"
SNOOZES = {
    "1": "until tomorrow", "3": "for 3 days", "7": "for a week", "30": "for 30 days",
    UNTIL_CHANGED: "until the reason changes",
}  # fmt: skip


@require_safe
@requires("book.view", staff=True)
def book(request: HttpRequest) -> HttpResponse:
    """The queue, ranked by money at risk and urgency."""
    return book_page(request, request.GET)


def book_page(request: HttpRequest, asked: QueryDict) -> HttpResponse:
    """The page with the filters of `asked`; what asks for a part of it gets it without the frame."""
    viewer, now = viewer_of(request), timezone.now()
    filters = read_filters(asked, viewer)
    found = queue(viewer, now, filters)
    views = list(acting.own_views(viewer).order_by("name"))
    query = _without_page(asked)
    context = {
        "queue": found,
        "filters": filters,
        "words": book_words(found, now),
        "views": [(name, label, found.counts[name]) for name, label in VIEWS.items()],
        "saved": [(view, view.query == query) for view in views],
        "asked": query,
        "reasons": REASONS.items(),
        "tiers": Account.Tier.choices,
        "healths": HEALTH.items(),
        "sorts": SORTS.items(),
        "people": [(str(pk), str(person)) for pk, person in acting.csms(viewer).items() if pk != viewer.user_id],
        "snoozes": SNOOZES.items(),
        "plays": acting.plays_by_hand(viewer),
        "rail": rail(viewer, now),
        "may_edit": can(viewer, "book.edit"),
        "may_assign": can(viewer, "account.edit"),
        "done": _fresh(request, now),
        "clear_url": f"{reverse('reviews:book')}?{urlencode({'owner': filters.owner})}",
        "is_part": _is_part(request),
        "previous_query": _page_query(query, found.filters.page - 1),
        "next_query": _page_query(query, found.filters.page + 1),
        "all_query": urlencode({"view": "mine", "needs": "all", "owner": filters.owner}),
        "tomorrow": now.date() + timedelta(days=1),
    }
    return render(request, "reviews/_book.html" if _is_part(request) else "reviews/book.html", context)


def _is_part(request: HttpRequest) -> bool:
    """Whether a part is exchanged; the way back in the browser's history asks for the whole page."""
    return is_part(request) and "HX-History-Restore-Request" not in request.headers


def _page_query(query: str, page: int) -> str:
    return f"{query}&page={page}" if query else f"page={page}"


@require_safe
@requires("book.view", staff=True)
def book_csv_file(request: HttpRequest) -> HttpResponse:
    """The queue as asked for, all of its pages."""
    viewer, now = viewer_of(request), timezone.now()
    rows = whole_queue(viewer, now, read_filters(request.GET, viewer))
    return download(book_csv(rows), f"book-{now.date().isoformat()}.csv")


@require_safe
@requires("book.view", staff=True)
def digest(request: HttpRequest) -> HttpResponse:
    """The week of the book as Monday's mail tells it; as a card beside the queue, or the whole mail to look at."""
    viewer, now = viewer_of(request), timezone.now()
    ends_on = day_of(as_utc(now), zone_of(request.membership.organization.timezone))  # type: ignore[attr-defined]
    found = weeks_of(viewer, ends_on, {viewer.user_id} if viewer.user_id else ())
    own = found.get(viewer.user_id)
    week = own if own is not None and own.accounts and viewer.role != Role.LEADER else found[None]
    context = {"week": week, "lines": lines(week), "text": text_of(week), "is_own": week is own}
    return render(request, "reviews/_book_digest.html" if is_part(request) else "reviews/book_digest.html", context)


@require_POST
@requires("book.view", staff=True)
def save_view(request: HttpRequest) -> HttpResponse:
    """Keep the filters of the page under a name."""
    try:
        view = acting.save_view(viewer_of(request), request.POST.get("name", ""), request.POST.get("query", ""))
    except acting.BookError as problem:
        messages.error(request, str(problem))
        return back(request)
    messages.success(request, f"“{view.name}” is saved.")
    return redirect(f"{reverse('reviews:book')}?{view.query}")


@require_POST
@requires("book.view", staff=True)
def change_view(request: HttpRequest, view_id: UUID) -> HttpResponse:
    """Give a saved view another name, or forget it."""
    viewer = viewer_of(request)
    view = get_object_or_404(acting.own_views(viewer), pk=view_id)
    if request.POST.get("do") == "delete":
        view.delete()
        return redirect("reviews:book")
    try:
        acting.rename_view(viewer, view, request.POST.get("name", ""))
    except acting.BookError as problem:
        messages.error(request, str(problem))
        return back(request)
    return redirect(f"{reverse('reviews:book')}?{view.query}")


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
        owner=owner if owner in ("me", "all") or ids_of([owner]) else own,
        words=asked.get("q", "")[:100],
        sort=one_of("sort", SORTS, "rank"),
        page=int(asked.get("page", "1")) if asked.get("page", "1").isdecimal() else 1,
    )


def _fresh(request: HttpRequest, now: datetime) -> dict[str, Any] | None:
    """What was done last, while it is offered to take it back."""
    done: dict[str, Any] = request.session.get(DONE, {})
    return done if done and now.timestamp() - done["at"] < UNDO_SECONDS else None


def _without_page(asked: QueryDict) -> str:
    return urlencode([(name, value) for name, value in asked.items() if name != "page" and value])


def ids_of(texts: list[str]) -> list[UUID]:
    found = []
    for text in texts:
        with contextlib.suppress(ValueError):
            found.append(UUID(text))
    return found


def back(request: HttpRequest) -> HttpResponse:
    """The page it was asked from, with its filters: at once to what asks for a part, by a redirect to a form."""
    query = request.POST.get("back", "")[:1000]
    if is_part(request):
        return book_page(request, QueryDict(query))
    return redirect(f"{reverse('reviews:book')}?{query}" if query else "reviews:book")
