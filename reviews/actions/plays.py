"""What people do with plays: start one, do its steps, hand it over, stop it. What data does is in `play_checks`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.actions.audit import audit
from accounts.models import Account, User
from accounts.permissions import require
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.play_checks import check
from reviews.actions.play_runs import Begin, End, begin_runs, end_runs, ends_with_steps, log, tell_step
from reviews.calc.condition_words import metrics_of
from reviews.models import Play, PlayEvent, PlayRun, PlayVersion, Task
from reviews.reports.measured import latest_metrics
from reviews.reports.play_owners import colleagues
from reviews.reports.play_pages import check_now
from usage.models import Workflow

__all__ = ["add_note", "check", "finish_step", "hand_over", "reopen_step", "start_play", "stop_run"]

Kind = PlayEvent.Kind
MOST_TEXT = 2000


def start_play(
    viewer: Viewer, account: Account, play: Play, now: datetime, workflow: Workflow | None = None
) -> PlayRun:
    """Start a play by hand, whether its entry holds or not. Raises ValidationError if it runs already, or is off.

    Where its exit holds already, it ends with its last step instead: nothing would be left for it to reach.
    """
    require(viewer, "book.edit")
    rows = PlayVersion.objects.filter(organization_id=viewer.organization_id, play=play).select_related("play")
    version = rows.order_by("-number").first()
    if version is None or not version.play.is_active:
        raise ValidationError("This play is switched off.")
    if version.per_workflow and workflow is None:
        raise ValidationError("This play is about one workflow: choose it.")
    if workflow is not None and (not version.per_workflow or workflow.account_id != account.pk):
        raise ValidationError("This play is not about that workflow.")
    begin = _by_hand(account, version, workflow, now)
    with transaction.atomic():
        runs = begin_runs(viewer.organization_id, now, [begin], by=viewer.user_id)
    if not runs:
        raise ValidationError("This play is running already.")
    audit(viewer, "play.start", runs[0], play.name)
    return runs[0]


def _by_hand(account: Account, version: PlayVersion, workflow: Workflow | None, now: datetime) -> Begin:
    """What is known of the account, or the workflow, as somebody starts a play on it."""
    about = workflow.pk if workflow else None
    into, out = (check_now(account, condition, now, about) for condition in (version.entry, version.exit))
    measured = latest_metrics(account.organization_id, [account.pk], numbers_only=True)[account.pk]
    because = [line.text for lines in into.alternatives for line in lines if line.holds]
    numbers = {name: measured.numbers[name] for name in metrics_of(version.entry) if name in measured.numbers}
    return Begin(account, version, workflow, list(dict.fromkeys(because)), numbers, measured, out.holds)


@contextmanager
def _changing(viewer: Viewer, run_id: UUID) -> Iterator[PlayRun]:
    """The run as it is now, locked. Raises ValidationError if it has ended."""
    require(viewer, "book.edit")
    with transaction.atomic():
        rows = PlayRun.objects.visible_to(viewer).select_for_update(of=("self",))
        run = rows.select_related("play", "version", "account", "workflow").get(pk=run_id)
        if run.ended_at is not None:
            raise ValidationError("This play has ended.")
        yield run


def finish_step(viewer: Viewer, task: Task, now: datetime) -> None:
    """Tick a step off. Again changes nothing. A run without an exit of its own ends with its last step."""
    with _changing(viewer, _run_of(task)) as run:
        held = Task.objects.select_for_update().get(organization_id=run.organization_id, pk=task.pk)
        if held.done_at is not None or held.dropped_at is not None:
            return
        held.done_at, held.done_by_id = now, viewer.user_id
        held.save(update_fields=["done_at", "done_by"])
        task.done_at, task.done_by_id = now, viewer.user_id
        log(run, Kind.STEP_DONE, now, held.title, viewer.user_id)
        tell_step(run.organization_id, now, run, held)
        is_left = Task.objects.filter(
            organization_id=run.organization_id, run=run, done_at=None, dropped_at=None
        ).exists()
        if ends_with_steps(run) and not is_left:
            measured = latest_metrics(run.organization_id, [run.account_id], numbers_only=True)[run.account_id]
            end = End(run, PlayRun.Outcome.EXIT_MET, "All its steps are done.", measured)
            end_runs(run.organization_id, now, [end], by=viewer.user_id)


def reopen_step(viewer: Viewer, task: Task, now: datetime) -> None:
    """Take a tick back. A step that is open stays as it is."""
    with _changing(viewer, _run_of(task)) as run:
        held = Task.objects.select_for_update().get(organization_id=run.organization_id, pk=task.pk)
        if held.done_at is None:
            return
        held.done_at, held.done_by = None, None
        held.save(update_fields=["done_at", "done_by"])
        task.done_at, task.done_by = None, None
        log(run, Kind.STEP_REOPENED, now, held.title, viewer.user_id)


def hand_over(viewer: Viewer, run: PlayRun, user: User, now: datetime) -> None:
    """Give a run with its open steps to a colleague. Raises ValidationError for somebody without a seat."""
    if not colleagues(viewer, [user.pk]):
        raise ValidationError("Choose somebody of your organization who works with accounts.")
    with _changing(viewer, run.pk) as held:
        if held.owner_id == user.pk:
            return
        held.owner = user
        held.save(update_fields=["owner"])
        Task.objects.filter(organization_id=held.organization_id, run=held, done_at=None, dropped_at=None).update(
            assigned_to=user
        )
        log(held, Kind.HANDED_OVER, now, f"To {user}", viewer.user_id)
        audit(viewer, "play.hand_over", held, held.play.name, {"to": str(user)})
    run.owner = user


def add_note(viewer: Viewer, run: PlayRun, text: str, now: datetime) -> None:
    """Write a line into a run's log, also after its end. Raises ValidationError if empty or too long."""
    require(viewer, "book.edit")
    held = PlayRun.objects.visible_to(viewer).get(pk=run.pk)
    log(held, Kind.NOTED, now, _said(text, "Write a note first."), viewer.user_id)


def stop_run(viewer: Viewer, run: PlayRun, reason: str, now: datetime, *, is_lost: bool = False) -> None:
    """End a run before its exit, with why; `is_lost`: because the account was lost. Raises ValidationError."""
    words = _said(reason, "Say why it is stopped.")
    with _changing(viewer, run.pk) as held:
        measured = latest_metrics(held.organization_id, [held.account_id], numbers_only=True)[held.account_id]
        outcome = PlayRun.Outcome.LOST if is_lost else PlayRun.Outcome.STOPPED
        end_runs(held.organization_id, now, [End(held, outcome, words, measured, words)], by=viewer.user_id)
        audit(viewer, "play.stop", held, held.play.name, {"reason": words, "lost": is_lost})
    for name in ("ended_at", "ended_by_id", "outcome", "reason", "moved"):
        setattr(run, name, getattr(held, name))


def _run_of(task: Task) -> UUID:
    if task.run_id is None:
        raise ValidationError("This task is not a step of a play.")
    found: UUID = task.run_id
    return found


def _said(text: str, otherwise: str) -> str:
    words = text.strip()
    if not words:
        raise ValidationError(otherwise)
    if len(words) > MOST_TEXT:
        raise ValidationError(f"Write {MOST_TEXT:,} characters at most.")
    return words
