"""Tasks as they are shown: what is open, late, due today, this week or later, and what was done lately."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db.models import F, Q

from accounts.models import Account, Membership, User
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import TenantQuerySet, Viewer
from reviews.models import Cover, Task
from usage.reports.overview_words import short_date

GROUPS = {
    "late": "Late",
    "today": "Today",
    "week": "This week",
    "later": "Later",
    "none": "Without a day",
    "done": "Done",
    "dropped": "Dropped",
}
MOST = 500
RECENT = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class TaskShown:
    """A task with whose it is and when it is due, in words; `group` is one of GROUPS."""

    task: Task
    group: str
    due: str
    who: str
    by_customer: bool
    run_url: tuple[UUID, UUID] | None = None  # account and run, of a step

    @property
    def tone(self) -> str:
        return {"late": "bad", "today": "warn"}.get(self.group, "")


@dataclass(frozen=True, slots=True)
class TaskFilters:
    """What to list: `who` is "me", "all" or a person's id; `account` an id; `state` open or done."""

    who: str = "me"
    query: str = ""
    shared: bool = False
    done: bool = False


def open_tasks(viewer: Viewer, account: Account | None = None, user: User | UUID | None = None) -> list[Task]:
    """Return what is to be done, the earliest due first; of an account, of a person, or of everybody.

    Customers get what is shared of their own account.
    """
    rows = tasks_of(viewer, account).filter(done_at=None, dropped_at=None)
    if user is not None:
        rows = rows.filter(assigned_to=user)
    return list(rows.order_by(F("due_on").asc(nulls_last=True), "created_at", "pk")[:MOST])


def tasks_of(viewer: Viewer, account: Account | None = None) -> TenantQuerySet:
    """Return the tasks that the viewer may see: a customer only shared ones of their own account."""
    rows = Task.objects.visible_to(viewer)
    if viewer.is_portal:
        rows = rows.filter(is_shared=True)
    else:
        rows = rows.select_related("run__play")
    if account is not None:
        rows = rows.filter(account=account)
    return rows.select_related("account", "assigned_to", "done_by")


def shown_tasks(viewer: Viewer, tasks: Sequence[Task], now: datetime) -> list[TaskShown]:
    """Return tasks in words. One query, for who is the customer's."""
    people = {task.assigned_to_id for task in tasks if task.assigned_to_id}
    seats = Membership.objects.visible_to(viewer).filter(user__in=people, account__isnull=False) if people else []
    theirs = {(seat.account_id, seat.user_id) for seat in seats}
    found = []
    for task in tasks:
        today = day_of(now, zone_of(task.account.timezone))
        group = group_of(task, today)
        by_customer = (task.account_id, task.assigned_to_id) in theirs
        who = "You" if task.assigned_to_id and task.assigned_to_id == viewer.user_id else str(task.assigned_to or "")
        if by_customer and viewer.is_staff:
            who += ", customer"
        run = (task.account_id, task.run_id) if task.run_id and viewer.is_staff else None
        found.append(TaskShown(task, group, due_words(task, group, today), who or "nobody yet", by_customer, run))
    return found


def group_of(task: Task, today: date) -> str:
    """Return in which of GROUPS a task is on a local day. The week is the next seven days."""
    if task.done_at is not None:
        return "done"
    if task.dropped_at is not None:
        return "dropped"
    if task.due_on is None:
        return "none"
    if task.due_on < today:
        return "late"
    if task.due_on == today:
        return "today"
    return "week" if task.due_on < today + timedelta(days=7) else "later"


def due_words(task: Task, group: str, today: date) -> str:
    """Return when it is or was due: "2 days late", "today", "Wed, Nov 25"."""
    if task.done_at is not None:
        return f"done {short_date(task.done_at.date())}{f' by {task.done_by}' if task.done_by else ''}"
    if group == "dropped":
        return "no longer needed"
    if task.due_on is None:
        return "no day set"
    days = (task.due_on - today).days
    if days < 0:
        return "1 day late" if days == -1 else f"{-days} days late"
    words = {0: "today", 1: "tomorrow"}
    year = f", {task.due_on.year}" if task.due_on.year != today.year else ""
    return words.get(days, f"{task.due_on:%a}, {short_date(task.due_on)}{year}")


def account_tasks(viewer: Viewer, account: Account, now: datetime) -> list[TaskShown]:
    """Return what is open, then what was done within two weeks."""
    recent = tasks_of(viewer, account).filter(done_at__gte=now - RECENT).order_by("-done_at")[:20]
    return shown_tasks(viewer, [*open_tasks(viewer, account), *recent], now)


def my_tasks(viewer: Viewer, filters: TaskFilters, now: datetime) -> list[tuple[str, str, list[TaskShown]]]:
    """Return (group, its name, tasks) for the page of all tasks; empty groups are left out."""
    rows = _filtered(viewer, filters, now)
    if filters.done:
        rows = rows.filter(done_at__gte=now - timedelta(days=90)).order_by("-done_at", "pk")
    else:
        rows = rows.filter(done_at=None, dropped_at=None).order_by(F("due_on").asc(nulls_last=True), "created_at")
    shown = shown_tasks(viewer, list(rows[:MOST]), now)
    groups = [(name, label, [one for one in shown if one.group == name]) for name, label in GROUPS.items()]
    return [group for group in groups if group[2]]


def _filtered(viewer: Viewer, filters: TaskFilters, now: datetime) -> TenantQuerySet:
    rows = tasks_of(viewer)
    if filters.who == "me":
        # Without a person it is of whoever looks after the account: of those covered for too.
        people = [viewer.user_id, *covered_by(viewer, now.date())]
        rows = rows.filter(Q(assigned_to__in=people) | Q(assigned_to=None, account__csm__in=people))
    elif filters.who != "all":
        rows = rows.filter(assigned_to=filters.who)
    if filters.query:
        rows = rows.filter(Q(title__icontains=filters.query) | Q(account__name__icontains=filters.query))
    return rows.filter(is_shared=True) if filters.shared else rows


def covered_by(viewer: Viewer, today: date) -> list[UUID]:
    """Return for whom the viewer looks after accounts on a day. One query."""
    rows = Cover.objects.visible_to(viewer).filter(covered_by=viewer.user_id)
    return list(rows.filter(starts_on__lte=today, ends_on__gt=today).values_list("absent_id", flat=True))
