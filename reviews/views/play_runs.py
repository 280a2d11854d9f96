"""Plays at work on an account: which run, starting one, and one run with its steps, exit and log."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.http import account_of, viewer_of
from accounts.models import User
from accounts.permissions import can, requires
from consumption_cs.lib.periods import as_utc, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.actions import plays as acting
from reviews.actions.play_catalog import ensure_plays
from reviews.actions.play_runs import ends_with_steps
from reviews.calc.condition_words import sentence
from reviews.models import Play, PlayRun, Task
from reviews.reports.measured import latest_metrics
from reviews.reports.play_owners import colleagues
from reviews.reports.play_pages import check_now, events_of, runs_of_account, shown, startable, step_rows
from reviews.reports.plays import run_shown, with_steps
from usage.models import Workflow

PAGE_SIZE = 25


@require_safe
@requires("book.view", staff=True)
def account_plays(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """The plays of an account: what runs, what ran, and starting one."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    ensure_plays(viewer.organization_id)
    page = Paginator(runs_of_account(viewer, account), PAGE_SIZE).get_page(request.GET.get("page"))
    rows = shown(list(page.object_list), now)
    context = {
        "account": account,
        "page": page,
        "rows": rows,
        "running": [one for run, one in rows if run.ended_at is None],
        "free": [
            (play, version, sentence(version.entry, account.currency)) for play, version in startable(viewer, account)
        ],
        "workflows": Workflow.objects.visible_to(viewer).filter(account=account).order_by("name"),
        "chosen": request.GET.get("play", ""),
        "may_edit": can(viewer, "book.edit"),
        "now": now,
    }
    return render(request, "reviews/account_plays.html", context)


@require_POST
@requires("book.edit", staff=True)
def play_start(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Start a play on the account."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    play = Play.objects.visible_to(viewer).filter(key=request.POST.get("play", "")).first()
    if play is None:
        messages.error(request, "Choose a play.")
        return redirect("reviews:account_plays", account.pk)
    try:
        run = acting.start_play(
            viewer, account, play, now, _workflow(viewer, account.pk, request.POST.get("workflow", ""))
        )
    except ValidationError as error:
        messages.error(request, error.messages[0])
        return redirect("reviews:account_plays", account.pk)
    messages.success(request, f"“{play.name}” has begun.")
    return redirect("reviews:play_run", account.pk, run.pk)


@require_safe
@requires("book.view", staff=True)
def play_run(request: HttpRequest, account_id: UUID, run_id: UUID) -> HttpResponse:
    """One run: why it began, its steps, whether its exit holds now, its log."""
    return render(request, "reviews/play_run.html", _context(request, _run(request, run_id)))


@require_POST
@requires("book.edit", staff=True)
def play_act(request: HttpRequest, account_id: UUID, run_id: UUID, step: str) -> HttpResponse:
    """Do or open a step, hand over, note, stop."""
    run, act = _run(request, run_id), _ACTS.get(step)
    if act is None:
        raise Http404
    try:
        said = act(request, run, timezone.now())
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        messages.success(request, said)
    return redirect("reviews:play_run", run.account_id, run.pk)


def _run(request: HttpRequest, run_id: UUID) -> PlayRun:
    rows = with_steps(PlayRun.objects.visible_to(viewer_of(request)).filter(account=account_of(request), pk=run_id))
    found = rows.select_related("account", "started_by", "ended_by", "play", "version", "workflow", "owner").first()
    if found is None:
        raise Http404
    return found


def _context(request: HttpRequest, run: PlayRun) -> dict[str, Any]:
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    is_open, may_edit = run.ended_at is None, can(viewer, "book.edit")
    exit_now = check_now(account, run.version.exit, now, run.workflow_id) if is_open else None
    measured = exit_now.measured if exit_now else None
    if is_open and measured is None:
        measured = latest_metrics(viewer.organization_id, [account.pk], numbers_only=True)[account.pk]
    return {
        "account": account,
        "run": run,
        "one": run_shown(run, now),
        "is_open": is_open,
        "steps": step_rows(run),
        "exit": exit_now,
        "ends_with_steps": ends_with_steps(run),
        "risk_now": measured.number("at_risk") if measured else None,
        "risk_reason": measured.reason("at_risk") if measured else "",
        "events": events_of(run),
        "people": colleagues(viewer) if is_open and may_edit else [],
        "may_edit": may_edit,
        "today": day_of(as_utc(now), zone_of(account.timezone)),
    }


def _workflow(viewer: Viewer, account_id: UUID, asked: str) -> Workflow | None:
    try:
        wanted = UUID(asked)
    except ValueError:
        return None
    found: Workflow | None = Workflow.objects.visible_to(viewer).filter(account=account_id, pk=wanted).first()
    return found


def _task(request: HttpRequest, run: PlayRun) -> Task:
    try:
        wanted = UUID(request.POST.get("task", ""))
    except ValueError:
        raise Http404 from None
    found: Task | None = Task.objects.visible_to(viewer_of(request)).filter(run=run, pk=wanted).first()
    if found is None:
        raise Http404
    return found


def _done(request: HttpRequest, run: PlayRun, now: datetime) -> str:
    task = _task(request, run)
    acting.finish_step(viewer_of(request), task, now)
    return f"“{task.title}” is done."


def _reopen(request: HttpRequest, run: PlayRun, now: datetime) -> str:
    task = _task(request, run)
    acting.reopen_step(viewer_of(request), task, now)
    return f"“{task.title}” is open again."


def _hand_over(request: HttpRequest, run: PlayRun, now: datetime) -> str:
    try:
        wanted = UUID(request.POST.get("person", ""))
    except ValueError:
        raise ValidationError("Choose a colleague.") from None
    found: list[User] = colleagues(viewer_of(request), [wanted])
    if not found:
        raise ValidationError("Choose a colleague.")
    acting.hand_over(viewer_of(request), run, found[0], now)
    return f"{found[0]} has it now, with its open steps."


def _note(request: HttpRequest, run: PlayRun, now: datetime) -> str:
    acting.add_note(viewer_of(request), run, request.POST.get("text", ""), now)
    return "It is in the log."


def _stop(request: HttpRequest, run: PlayRun, now: datetime) -> str:
    is_lost = request.POST.get("is_lost") == "1"
    acting.stop_run(viewer_of(request), run, request.POST.get("reason", ""), now, is_lost=is_lost)
    return "It is stopped. It does not begin by itself for 30 days."


_ACTS: dict[str, Callable[[HttpRequest, PlayRun, datetime], str]] = {
    "done": _done,
    "reopen": _reopen,
    "hand-over": _hand_over,
    "note": _note,
    "stop": _stop,
}
