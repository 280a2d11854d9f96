"""What somebody does with rows of their book: snooze, assign, a task or a play for several; and taking it back."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import OuterRef, QuerySet, Subquery

from accounts.actions.audit import audit_many
from accounts.models import Account, User
from consumption_cs.lib.display import counted
from consumption_cs.lib.tenancy import Viewer
from reviews.actions import plays, tasks
from reviews.models import Play, PlayRun, PlayVersion, QueueSnooze, SavedView, Task
from usage.actions.accounts import staff_people

MOST_SNOOZE_DAYS = 90
MOST_VIEWS = 20


class BookError(ValueError):
    """It cannot be done; the message says what to do."""


def snooze(viewer: Viewer, about: Mapping[UUID, str], until: datetime, now: datetime) -> list[UUID]:
    """Hide these accounts ({account: its reason}) from the viewer's queue until then, or until the reason changes."""
    if not now < until <= now + timedelta(days=MOST_SNOOZE_DAYS):
        raise BookError(f"Snooze for up to {MOST_SNOOZE_DAYS} days.")
    if viewer.user_id is None:
        raise BookError("Sign in to snooze accounts.")
    accounts = _accounts(viewer, list(about))
    for account in accounts:
        QueueSnooze.objects.update_or_create(
            organization_id=viewer.organization_id,
            account=account,
            user_id=viewer.user_id,
            defaults={"until": until, "reason_key": about[account.pk], "created_at": now},
        )
    return [account.pk for account in accounts]


def wake(viewer: Viewer, account_ids: Sequence[UUID] | None = None) -> int:
    """Show snoozed accounts again, all of the viewer's without `account_ids`; return how many."""
    rows = QueueSnooze.objects.visible_to(viewer).filter(user_id=viewer.user_id)
    if account_ids is not None:
        rows = rows.filter(account__in=list(account_ids))
    return rows.delete()[0]


def assign(viewer: Viewer, account_ids: Sequence[UUID], person_id: UUID) -> dict[str, str | None]:
    """Give the accounts to another CSM; return who had each before, as texts, for undoing."""
    person = csms(viewer).get(person_id)
    if person is None:
        raise BookError("Choose a member of the team.")
    return _give(viewer, {account.pk: person.pk for account in _accounts(viewer, account_ids)})


def _give(viewer: Viewer, owners: Mapping[UUID, UUID | None]) -> dict[str, str | None]:
    """Set the CSM of each account and say so in the audit log; return who it was before."""
    before: dict[str, str | None] = {}
    acts = []
    for account in _accounts(viewer, list(owners)):
        before[str(account.pk)] = str(account.csm_id) if account.csm_id else None
        account.csm_id = owners[account.pk]
        account.save(update_fields=["csm"])
        change: dict[str, Any] = {"csm": [before[str(account.pk)], str(account.csm_id) if account.csm_id else None]}
        acts.append(("account.changed", account, account.name, {"changes": change}))
    audit_many(viewer, acts)
    return before


def csms(viewer: Viewer) -> dict[UUID, User]:
    """Return the staff who may own accounts, by id, in order of their names."""
    people = {person.pk: person for person in staff_people(viewer)}
    return dict(sorted(people.items(), key=lambda item: str(item[1]).lower()))


def add_tasks(
    viewer: Viewer, account_ids: Sequence[UUID], title: str, due_on: date | None, now: datetime
) -> list[UUID]:
    """Add the same task to each account, for its CSM or else the viewer; return the tasks."""
    title = title.strip()
    if not title or len(title) > 200:
        raise BookError("Say in up to 200 characters what is to be done.")
    people = csms(viewer)
    made = []
    for account in _accounts(viewer, account_ids):
        who = account.csm_id if account.csm_id in people else viewer.user_id
        with _own_words():
            made.append(tasks.add_task(viewer, account, title=title, due_on=due_on, assigned_to=who, now=now).pk)
    return made


def finish(viewer: Viewer, task_id: UUID, now: datetime) -> Task:
    """Tick a task or a play's step off; return it."""
    task = Task.objects.visible_to(viewer).select_related("account").filter(pk=task_id).first()
    if task is None:
        raise BookError("This task is not there any more.")
    with _own_words():
        tasks.finish_task(viewer, task, now)
    return task


def plays_by_hand(viewer: Viewer) -> list[Play]:
    """Return the plays that may be started on several accounts: in use, and not about one workflow."""
    newest = PlayVersion.objects.filter(organization_id=viewer.organization_id, play=OuterRef("pk")).order_by(
        "-number"
    )
    rows = Play.objects.visible_to(viewer).filter(is_active=True)
    return list(
        rows.annotate(narrow=Subquery(newest.values("per_workflow")[:1])).filter(narrow=False).order_by("name")
    )


def start_plays(
    viewer: Viewer, account_ids: Sequence[UUID], play_id: UUID, now: datetime
) -> tuple[Play, list[PlayRun]]:
    """Start a play on each account where it does not run yet; return it and the runs that began."""
    play = next((one for one in plays_by_hand(viewer) if one.pk == play_id), None)
    if play is None:
        raise BookError("Choose a play.")
    accounts = _accounts(viewer, account_ids)
    rows = PlayRun.objects.visible_to(viewer).filter(play=play, account__in=accounts, ended_at=None)
    running = set(rows.values_list("account_id", flat=True))
    with _own_words():
        runs = [plays.start_play(viewer, account, play, now) for account in accounts if account.pk not in running]
    if not runs:
        raise BookError(f"“{play.name}” runs on all of them already.")
    return play, runs


def undo(viewer: Viewer, done: Mapping[str, Any], now: datetime) -> str:
    """Take back what `done` says was done; return it in words."""
    take_back = _UNDOS.get(done.get("do", ""))
    if take_back is None:
        raise BookError("There is nothing to take back.")
    return take_back(viewer, done, now)


def _unsnooze(viewer: Viewer, done: Mapping[str, Any], now: datetime) -> str:
    return f"{counted(wake(viewer, [UUID(pk) for pk in done['accounts']]), 'account')} back in the queue."


def _give_back(viewer: Viewer, done: Mapping[str, Any], now: datetime) -> str:
    _give(viewer, {UUID(pk): UUID(person) if person else None for pk, person in done["before"].items()})
    return "The accounts are with whom they were before."


def _drop(viewer: Viewer, done: Mapping[str, Any], now: datetime) -> str:
    rows = _tasks(viewer, done["tasks"])
    for task in rows:
        with _own_words():
            tasks.drop_task(viewer, task, now)
    return f"{counted(len(rows), 'task')} dropped."


def _reopen(viewer: Viewer, done: Mapping[str, Any], now: datetime) -> str:
    for task in _tasks(viewer, done["tasks"]):
        with _own_words():
            tasks.reopen_task(viewer, task, now)
    return "It is open again."


def _stop(viewer: Viewer, done: Mapping[str, Any], now: datetime) -> str:
    runs = PlayRun.objects.visible_to(viewer).filter(pk__in=done["runs"], ended_at=None)
    for run in runs.select_related("play", "account"):
        with _own_words():
            plays.stop_run(viewer, run, "Started by mistake, taken back at once.", now)
    return "The plays are stopped."


_UNDOS = {"snooze": _unsnooze, "assign": _give_back, "task": _drop, "done": _reopen, "play": _stop}


def _tasks(viewer: Viewer, ids: Sequence[str]) -> list[Task]:
    return list(Task.objects.visible_to(viewer).filter(pk__in=ids).select_related("account"))


@contextmanager
def _own_words() -> Iterator[None]:
    """What makes no sense is said in its own words."""
    try:
        yield
    except ValidationError as problem:
        raise BookError(problem.messages[0]) from None


def save_view(viewer: Viewer, name: str, query: str) -> SavedView:
    """Keep the filters under a name; the same name replaces the one there is."""
    name = name.strip()
    if not name or len(name) > 60:
        raise BookError("Give the view a name of up to 60 characters.")
    if len(query) > 1000:
        raise BookError("These filters are too long to keep.")
    if viewer.user_id is None:
        raise BookError("Sign in to keep views.")
    others = own_views(viewer).exclude(name=name)
    if others.count() >= MOST_VIEWS:
        raise BookError(f"You have {MOST_VIEWS} views: delete one first.")
    view, _ = SavedView.objects.update_or_create(
        organization_id=viewer.organization_id, user_id=viewer.user_id, name=name, defaults={"query": query}
    )
    return view


def rename_view(viewer: Viewer, view: SavedView, name: str) -> None:
    """Give one of the viewer's own views another name, which no other of theirs has."""
    name = name.strip()
    if not name or len(name) > 60:
        raise BookError("Give the view a name of up to 60 characters.")
    if own_views(viewer).filter(name=name).exclude(pk=view.pk).exists():
        raise BookError(f"You have a view “{name}” already.")
    view.name = name
    view.save(update_fields=["name"])


def own_views(viewer: Viewer) -> QuerySet[SavedView]:
    """Return the viewer's views: those of others are not theirs to see."""
    return SavedView.objects.visible_to(viewer).filter(user_id=viewer.user_id)


def _accounts(viewer: Viewer, account_ids: Sequence[UUID]) -> list[Account]:
    """Return those that the viewer may see, locked; none is an error."""
    rows = Account.objects.visible_to(viewer).filter(pk__in=list(account_ids)).order_by("pk")
    found = list(rows.select_for_update(of=("self",)))
    if not found:
        raise BookError("Select at least one account.")
    return found
