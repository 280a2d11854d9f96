"""What somebody does with rows of their book: snooze, assign, add a task to several; and take the last of it back."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from accounts.actions.audit import audit_many
from accounts.models import Account, User
from consumption_cs.lib.tenancy import Viewer
from reviews.models import QueueSnooze, SavedView, Task
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


def add_tasks(viewer: Viewer, account_ids: Sequence[UUID], title: str, due_on: date | None) -> list[UUID]:
    """Add the same task to each account, for its CSM or else the viewer; return the tasks."""
    title = title.strip()
    if not title or len(title) > 200:
        raise BookError("Say in up to 200 characters what is to be done.")
    made = [
        Task(
            organization_id=viewer.organization_id,
            account=account,
            title=title,
            due_on=due_on,
            assigned_to_id=account.csm_id or viewer.user_id,
            created_by_id=viewer.user_id,
        )
        for account in _accounts(viewer, account_ids)
    ]
    return [task.pk for task in Task.objects.bulk_create(made)]


def undo(viewer: Viewer, done: Mapping[str, Any], now: datetime) -> str:
    """Take back what `done` says was done; return it in words."""
    if done.get("do") == "snooze":
        return f"{wake(viewer, [UUID(pk) for pk in done['accounts']])} back in the queue."
    if done.get("do") == "task":
        rows = Task.objects.visible_to(viewer).filter(pk__in=done["tasks"], done_at=None)
        return f"{rows.update(dropped_at=now)} tasks dropped."
    if done.get("do") == "assign":
        _give(viewer, {UUID(pk): UUID(person) if person else None for pk, person in done["before"].items()})
        return "The accounts are with whom they were before."
    raise BookError("There is nothing to take back.")


def save_view(viewer: Viewer, name: str, query: str) -> SavedView:
    """Keep the filters under a name; the same name replaces the one there is."""
    name = name.strip()
    if not name or len(name) > 60:
        raise BookError("Give the view a name of up to 60 characters.")
    if len(query) > 1000:
        raise BookError("These filters are too long to keep.")
    if viewer.user_id is None:
        raise BookError("Sign in to keep views.")
    others = SavedView.objects.visible_to(viewer).filter(user_id=viewer.user_id).exclude(name=name)
    if others.count() >= MOST_VIEWS:
        raise BookError(f"You have {MOST_VIEWS} views: delete one first.")
    view, _ = SavedView.objects.update_or_create(
        organization_id=viewer.organization_id, user_id=viewer.user_id, name=name, defaults={"query": query}
    )
    return view


def delete_view(viewer: Viewer, view_id: UUID) -> None:
    """Forget one of the viewer's own views; one that is not there is no error."""
    SavedView.objects.visible_to(viewer).filter(user_id=viewer.user_id, pk=view_id).delete()


def _accounts(viewer: Viewer, account_ids: Sequence[UUID]) -> list[Account]:
    """Return those that the viewer may see, locked; none is an error."""
    rows = Account.objects.visible_to(viewer).filter(pk__in=list(account_ids)).order_by("pk")
    found = list(rows.select_for_update(of=("self",)))
    if not found:
        raise BookError("Select at least one account.")
    return found
