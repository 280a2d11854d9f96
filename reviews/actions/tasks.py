"""Tasks of an account: added, given to somebody, done, opened again, dropped; shared ones by the customer too."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from accounts.actions.audit import audit
from accounts.models import Account, Membership, Role, User
from accounts.permissions import require
from consumption_cs.lib.tenancy import Viewer
from reviews.actions import plays
from reviews.actions.telling import tell_event, vendors_rights
from reviews.models import Task

MOST_DETAIL = 5_000
_FIELDS = ("title", "detail", "due_on", "assigned_to_id", "is_shared")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done. A shared task is seen by the customer, and may be given to one of their people."""

    title: str
    due_on: date | None = None
    assigned_to_id: UUID | None = None
    detail: str = ""
    is_shared: bool = False


def add_task(
    viewer: Viewer,
    account: Account,
    *,
    title: str,
    due_on: date | None,
    assigned_to: User | UUID | None,
    detail: str = "",
    is_shared: bool = False,
    now: datetime,
) -> Task:
    """Add something to do and tell destinations. Raises ValidationError, with words, for what makes no sense."""
    require(viewer, "book.edit")
    person = assigned_to.pk if isinstance(assigned_to, User) else assigned_to
    wanted = Wanted(title, due_on, person, detail, is_shared)
    task = Task(organization_id=viewer.organization_id, account=account, created_by_id=viewer.user_id, created_at=now)
    with transaction.atomic():
        _write(viewer, task, wanted)
        _audit(viewer, "added", task, {"title": task.title} | ({"due_on": f"{due_on}"} if due_on else {}))
        _tell(now, "task.created", task, now)
    return task


def edit_task(viewer: Viewer, task: Task, wanted: Wanted) -> None:
    """Change what is to be done, by when, by whom. A step of a play keeps its title and to whom it is shown."""
    require(viewer, "book.edit")
    before = {name: getattr(task, name) for name in _FIELDS}
    if task.run_id is not None:
        wanted = Wanted(task.title, wanted.due_on, wanted.assigned_to_id, wanted.detail, task.is_shared)
    was_shared = task.is_shared
    with transaction.atomic():
        _write(viewer, task, wanted)
        changes: dict[str, Any] = {
            name.removesuffix("_id"): {"from": _text(before[name]), "to": _text(getattr(task, name))}
            for name in _FIELDS
            if before[name] != getattr(task, name) and name != "detail"
        }
        if changes:
            _audit(viewer, "changed", task, {"title": task.title, **changes}, is_shared=was_shared and task.is_shared)


def finish_task(viewer: Viewer, task: Task, now: datetime) -> None:
    """Tick it off. Again changes nothing. A customer ticks off what is shared; a step moves its play on."""
    _may_tick(viewer, task)
    with transaction.atomic():
        held = _held(viewer, task)
        if held.dropped_at is not None:
            raise ValidationError("This task was dropped: it is no longer needed.")
        if held.done_at is not None:
            _copy(held, task)
            return
        with vendors_rights(viewer) as inside:
            if held.run_id is not None:
                plays.finish_step(inside, held, now)
            else:
                held.done_at, held.done_by_id = now, viewer.user_id
                held.save(update_fields=["done_at", "done_by"])
            _tell(now, "task.done", held, now)
        _audit(viewer, "done", held, {"title": held.title})
    _copy(held, task)


def reopen_task(viewer: Viewer, task: Task, now: datetime) -> None:
    """Take the tick, or that it was dropped, back. One that is open stays as it is."""
    _may_tick(viewer, task)
    with transaction.atomic():
        held = _held(viewer, task)
        if held.done_at is None and held.dropped_at is None:
            _copy(held, task)
            return
        if held.dropped_at is not None and viewer.is_portal:
            raise PermissionDenied("This task was dropped by your vendor.")
        if held.dropped_at is not None and held.run_id is not None:
            raise ValidationError("Its play has ended. Add a task instead.")
        with vendors_rights(viewer) as inside:
            if held.run_id is not None and held.done_at is not None:
                plays.reopen_step(inside, held, now)
            held.done_at, held.done_by, held.dropped_at = None, None, None
            held.save(update_fields=["done_at", "done_by", "dropped_at"])
        _audit(viewer, "reopened", held, {"title": held.title})
    _copy(held, task)


def drop_task(viewer: Viewer, task: Task, now: datetime) -> None:
    """It is no longer needed: it leaves the lists, its row stays. Again changes nothing. Not for steps of plays."""
    require(viewer, "book.edit")
    with transaction.atomic():
        held = _held(viewer, task)
        if held.run_id is not None:
            raise ValidationError("A step of a play is not dropped by itself: finish it, or stop the play.")
        if held.dropped_at is None and held.done_at is None:
            held.dropped_at = now
            held.save(update_fields=["dropped_at"])
            _audit(viewer, "dropped", held, {"title": held.title})
    _copy(held, task)


def people_for(viewer: Viewer, account: Account) -> list[tuple[UUID, str, bool]]:
    """Return who a task of the account may be given to: (person, name, whether of the customer), staff first."""
    seats = Membership.objects.visible_to(viewer).filter(user__is_active=True).select_related("user")
    staff = seats.filter(account=None).exclude(role=Role.ANALYST).order_by("user__name", "user__email")
    theirs = seats.filter(account=account).order_by("user__name", "user__email")
    return [(seat.user_id, str(seat.user), seat.account_id is not None) for rows in (staff, theirs) for seat in rows]


def _write(viewer: Viewer, task: Task, wanted: Wanted) -> None:
    if len(wanted.detail) > MOST_DETAIL:
        raise ValidationError({"detail": f"Write {MOST_DETAIL:,} characters at most."})
    if wanted.due_on is not None and not 2000 <= wanted.due_on.year <= 2099:
        raise ValidationError({"due_on": "Choose a day between 2000 and 2099."})
    _refuse_strangers(viewer, task.account, wanted)
    task.title, task.detail = " ".join(wanted.title.split()), wanted.detail.strip()
    task.due_on, task.assigned_to_id, task.is_shared = wanted.due_on, wanted.assigned_to_id, wanted.is_shared
    task.full_clean(
        exclude=[
            *("organization", "account", "assigned_to", "created_by", "created_at", "run", "step"),
            *("done_at", "done_by", "dropped_at", "due_on"),
        ],
        validate_constraints=False,
    )
    task.save()


def _refuse_strangers(viewer: Viewer, account: Account, wanted: Wanted) -> None:
    if wanted.assigned_to_id is None:
        return
    known = {pk: is_theirs for pk, _, is_theirs in people_for(viewer, account)}
    if wanted.assigned_to_id not in known:
        raise ValidationError({"assigned_to": "Choose somebody of your team, or of this customer."})
    if known[wanted.assigned_to_id] and not wanted.is_shared:
        raise ValidationError({"assigned_to": "Share the task first: they do not see it otherwise."})


def _may_tick(viewer: Viewer, task: Task) -> None:
    require(viewer, "task.finish")
    if viewer.is_portal and not task.is_shared:
        raise PermissionDenied("This task is your vendor's own.")


def _held(viewer: Viewer, task: Task) -> Task:
    rows = Task.objects.visible_to(viewer).select_for_update(of=("self",)).select_related("account")
    held: Task = rows.get(pk=task.pk)
    return held


def _audit(viewer: Viewer, verb: str, task: Task, details: dict[str, Any], *, is_shared: bool | None = None) -> None:
    """Acts on shared tasks are in the customer's audit log; those on others on the account's own record only."""
    shown = task.is_shared if is_shared is None else is_shared
    target = task if shown else task.account
    audit(viewer, f"task.{verb}", target, task.title if shown else task.account.name, details)


def _tell(now: datetime, topic: str, task: Task, at: datetime) -> None:
    verb = "is done" if topic == "task.done" else "was added"
    person = User.objects.filter(pk=task.assigned_to_id).first() if task.assigned_to_id else None
    data = {
        "id": str(task.pk),
        "at": at.isoformat(),
        "title": task.title,
        "due_on": task.due_on.isoformat() if task.due_on else None,
        "assigned_to": person.email if person else None,
        "is_shared": task.is_shared,
        "done_at": task.done_at.isoformat() if task.done_at else None,
        "heading": f"“{task.title}” {verb}",
    }
    tell_event(task.organization_id, now, topic, task.account, data)


def _copy(held: Task, task: Task) -> None:
    for name in ("done_at", "done_by_id", "dropped_at"):
        setattr(task, name, getattr(held, name))


def _text(value: object) -> str:
    return "" if value is None else str(value)
