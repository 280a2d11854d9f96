"""What is done with rows of the book, one or several; the last of it can be taken back."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.http import viewer_of
from accounts.permissions import can, requires
from consumption_cs.lib.display import counted
from consumption_cs.lib.tenancy import Viewer
from reviews.actions import book as acting
from reviews.exports.book import book_csv
from reviews.reports.queue import Filters, whole_queue
from reviews.views.book import DONE, SNOOZES, UNTIL_CHANGED, back, ids_of
from usage.views.overview import download

Done = dict[str, Any]


@require_POST
@requires("book.view", staff=True)
def selected_file(request: HttpRequest) -> HttpResponse:
    """The selected accounts as a file."""
    viewer, now = viewer_of(request), timezone.now()
    ids = set(ids_of(request.POST.getlist("account")))
    everything = whole_queue(viewer, now, Filters(needs="all", owner="all"), ids)
    return download(book_csv(everything), f"book-{now.date().isoformat()}.csv")


@require_POST
@requires("book.edit", staff=True)
def several(request: HttpRequest, do: str = "") -> HttpResponse:
    """Do one thing with the selected accounts, or with the one of the row; it can be taken back on the next page."""
    viewer, now = viewer_of(request), timezone.now()
    ids = ids_of([request.POST["one"]] if "one" in request.POST else request.POST.getlist("account"))
    act = _ACTS.get(do or request.POST.get("do", ""))
    try:
        if act is None:
            raise acting.BookError("Choose what to do with the selected accounts.")
        done = act(request.POST, viewer, ids, now)
    except acting.BookError as problem:
        messages.error(request, str(problem))
    else:
        request.session[DONE] = done | {"at": now.timestamp()}
    return back(request)


@require_POST
@requires("book.edit", staff=True)
def take_back(request: HttpRequest) -> HttpResponse:
    """Undo what was done last."""
    done = request.session.pop(DONE, {})
    try:
        messages.success(request, acting.undo(viewer_of(request), done, timezone.now()))
    except acting.BookError as problem:
        messages.error(request, str(problem))
    return back(request)


@require_POST
@requires("book.edit", staff=True)
def wake_all(request: HttpRequest) -> HttpResponse:
    """Show the snoozed accounts again."""
    messages.success(request, f"{counted(acting.wake(viewer_of(request)), 'account')} back in the queue.")
    return back(request)


def _snooze(asked: QueryDict, viewer: Viewer, ids: list[UUID], now: datetime) -> Done:
    days = asked.get("days", "1")
    days = days if days in SNOOZES and "one" not in asked else "1"
    until = datetime.combine(now.date() + timedelta(days=int(days)), time(), tzinfo=now.tzinfo)
    kept = acting.snooze(viewer, {pk: asked.get(f"reason-{pk}", "")[:60] for pk in ids}, until, now)
    unless = "" if days == UNTIL_CHANGED else ", or until the reason changes"
    words = f"{counted(len(kept), 'account')} snoozed {SNOOZES[days]}{unless}."
    return {"do": "snooze", "accounts": [str(pk) for pk in kept], "words": words}


def _task(asked: QueryDict, viewer: Viewer, ids: list[UUID], now: datetime) -> Done:
    tasks = acting.add_tasks(viewer, ids, asked.get("title", ""), _day(asked.get("due_on", "")), now)
    return {"do": "task", "tasks": [str(pk) for pk in tasks], "words": f"{counted(len(tasks), 'task')} added."}


def _assign(asked: QueryDict, viewer: Viewer, ids: list[UUID], now: datetime) -> Done:
    if not can(viewer, "account.edit"):
        raise acting.BookError("You may not give accounts to others.")
    person = ids_of([asked.get("person", "")])
    if not person:
        raise acting.BookError("Choose who gets the accounts.")
    before = acting.assign(viewer, ids, person[0])
    name = acting.csms(viewer)[person[0]]
    return {"do": "assign", "before": before, "words": f"{counted(len(before), 'account')} given to {name}."}


def _play(asked: QueryDict, viewer: Viewer, ids: list[UUID], now: datetime) -> Done:
    chosen = ids_of([asked.get("play", "")])
    if not chosen:
        raise acting.BookError("Choose a play.")
    play, runs = acting.start_plays(viewer, ids, chosen[0], now)
    words = f"“{play.name}” has begun on {counted(len(runs), 'account')}."
    if len(runs) < len(ids):
        words += " On the others it runs already."
    return {"do": "play", "runs": [str(run.pk) for run in runs], "words": words}


def _done(asked: QueryDict, viewer: Viewer, ids: list[UUID], now: datetime) -> Done:
    chosen = ids_of([asked.get("task", "")])
    if not chosen:
        raise acting.BookError("Choose what is done.")
    task = acting.finish(viewer, chosen[0], now)
    words = f"“{task.title}” is done for {task.account.name}."
    return {"do": "done", "tasks": [str(task.pk)], "words": words}


_ACTS: dict[str, Callable[[QueryDict, Viewer, list[UUID], datetime], Done]] = {
    "snooze": _snooze, "task": _task, "assign": _assign, "play": _play, "done": _done,
}  # fmt: skip


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise acting.BookError("Choose the day from the calendar.") from None
