"""Tasks: those of an account, for staff and for the customer, and everybody's in one list."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import account_of, viewer_of
from accounts.models import Account
from accounts.permissions import can, requires
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.tasks import add_task, drop_task, edit_task, finish_task, people_for, reopen_task
from reviews.forms.people import TaskForm
from reviews.models import Task
from reviews.reports.play_owners import colleagues
from reviews.reports.tasks import TaskFilters, TaskShown, account_tasks, my_tasks, shown_tasks, tasks_of
from reviews.views.parts import add_errors, back, is_part, tell

LIST = "reviews/_tasks.html"


@require_safe
@requires("book.view", staff=True)
def tasks(request: HttpRequest) -> HttpResponse:
    """What is to be done, the viewer's own or everybody's, by when."""
    viewer, now = viewer_of(request), timezone.now()
    people = colleagues(viewer)
    filters = _filters(request.GET, {str(one.pk) for one in people})
    groups = my_tasks(viewer, filters, now)
    counts = {name: len(rows) for name, _, rows in groups}
    context = {
        "groups": groups,
        "filters": filters,
        "people": [(str(one.pk), str(one)) for one in people if one.pk != viewer.user_id],
        "count": sum(counts.values()),
        "late": counts.get("late", 0),
        "today": counts.get("today", 0),
        "may_tick": can(viewer, "task.finish"),
    }
    return render(request, "reviews/tasks.html", context)


def _filters(asked: QueryDict, people: set[str]) -> TaskFilters:
    who = asked.get("who", "me")
    return TaskFilters(
        who=who if who in people or who == "all" else "me",
        query=asked.get("q", "").replace("\x00", "").strip()[:100],
        shared=asked.get("shared") == "1",
        done=asked.get("state") == "done",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@requires("task.view")
def account_tasks_page(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """What is to be done for an account; a customer sees what is shared. A POST of staff adds a task."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    if request.method == "POST":
        return _add(request, viewer, account, now)
    context = tasks_context(viewer, account, now)
    return render(request, LIST if is_part(request) else "reviews/account_tasks.html", context)


def tasks_context(viewer: Viewer, account: Account, now: datetime, *, form: TaskForm | None = None) -> dict[str, Any]:
    """Return what templates/reviews/_tasks.html needs; also for the pages that include it."""
    shown = account_tasks(viewer, account, now)
    may_edit = can(viewer, "book.edit") and viewer.is_staff
    return {
        "account": account,
        "tasks_open": [one for one in shown if one.group != "done"],
        "tasks_done": [one for one in shown if one.group == "done"],
        "task_form": form or (_form(viewer, account) if may_edit else None),
        "may_tick": can(viewer, "task.finish"),
        "may_edit_tasks": may_edit,
    }


def _form(viewer: Viewer, account: Account, data: Any = None, **kwargs: Any) -> TaskForm:
    start = {"assigned_to": str(viewer.user_id or "")} | kwargs.pop("initial", {})
    return TaskForm(data, auto_id="task_%s", people=people_for(viewer, account), initial=start, **kwargs)


def _add(request: HttpRequest, viewer: Viewer, account: Account, now: datetime) -> HttpResponse:
    if not can(viewer, "book.edit") or viewer.is_portal:
        raise PermissionDenied("Your role reads tasks; it does not add them.")
    form = _form(viewer, account, request.POST)
    if form.is_valid():
        wanted = form.wanted()
        try:
            add_task(
                viewer, account, title=wanted.title, due_on=wanted.due_on, assigned_to=wanted.assigned_to_id,
                detail=wanted.detail, is_shared=wanted.is_shared, now=now,
            )  # fmt: skip
        except ValidationError as problem:
            add_errors(form, problem)
        else:
            tell(request, "The task is added.")
            if not is_part(request):
                return back(request, reverse("reviews:account_tasks", args=[account.pk]))
            form = _form(viewer, account)
    context = tasks_context(viewer, account, now, form=form)
    status = 422 if form.errors else 200
    return render(request, LIST if is_part(request) else "reviews/account_tasks.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("book.view", staff=True)
def task(request: HttpRequest, account_id: UUID, task_id: UUID) -> HttpResponse:
    """One task, to change."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    found = _task(viewer, account, task_id)
    may_edit = can(viewer, "book.edit")
    if request.method == "POST" and not may_edit:
        raise PermissionDenied("Your role reads tasks; it does not change them.")
    start: dict[str, Any] = {
        "title": found.title,
        "due_on": found.due_on,
        "assigned_to": str(found.assigned_to_id or ""),
    }
    start |= {"detail": found.detail, "is_shared": found.is_shared}
    form = _form(viewer, account, request.POST if request.method == "POST" else None, initial=start)
    if found.run_id is not None:  # a step of a play keeps its title and to whom it is shown
        form.fields["title"].disabled = form.fields["is_shared"].disabled = True
    if request.method == "POST" and form.is_valid():
        try:
            edit_task(viewer, found, form.wanted())
        except ValidationError as problem:
            add_errors(form, problem)
        else:
            tell(request, "The task is changed.")
            return back(request, reverse("reviews:account_tasks", args=[account.pk]))
    context = {
        "account": account,
        "shown": shown_tasks(viewer, [found], now)[0],
        "form": form,
        "may_edit": may_edit,
        "may_tick": can(viewer, "task.finish"),
    }
    return render(request, "reviews/task.html", context, status=422 if form.errors else 200)


@require_POST
@requires("task.finish")
def task_done(request: HttpRequest, account_id: UUID, task_id: UUID) -> HttpResponse:
    """Tick a task off."""
    return _act(request, task_id, finish_task, "Done: {}.")


@require_POST
@requires("task.finish")
def task_reopen(request: HttpRequest, account_id: UUID, task_id: UUID) -> HttpResponse:
    """Take a tick back."""
    return _act(request, task_id, reopen_task, "Open again: {}.")


@require_POST
@requires("book.edit", staff=True)
def task_drop(request: HttpRequest, account_id: UUID, task_id: UUID) -> HttpResponse:
    """A task is no longer needed."""
    return _act(request, task_id, drop_task, "Dropped: {}.")


def _act(
    request: HttpRequest, task_id: UUID, act: Callable[[Viewer, Task, datetime], None], words: str
) -> HttpResponse:
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    found = _task(viewer, account, task_id)
    try:
        act(viewer, found, now)
    except ValidationError as problem:
        if is_part(request):
            context = tasks_context(viewer, account, now) | {"task_problem": problem.messages[0]}
            return render(request, LIST, context, status=422)
        messages.error(request, problem.messages[0])
    else:
        tell(request, words.format(found.title))
    if not is_part(request):
        return back(request, reverse("reviews:account_tasks", args=[account.pk]))
    if request.headers.get("HX-Target", "").startswith("task-"):  # one row of a list of many accounts
        row = _row(viewer, found, now)
        return render(request, "reviews/_task_row.html", {"one": row, "may_tick": True, "with_account": True})
    return render(request, LIST, tasks_context(viewer, account, now))


def _row(viewer: Viewer, found: Task, now: datetime) -> TaskShown:
    return shown_tasks(viewer, [tasks_of(viewer).get(pk=found.pk)], now)[0]


def _task(viewer: Viewer, account: Account, task_id: UUID) -> Task:
    found: Task | None = tasks_of(viewer, account).filter(pk=task_id).first()
    if found is None:
        raise Http404
    return found
