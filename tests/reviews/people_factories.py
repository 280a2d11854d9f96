"""Builds what people write down."""

from typing import Any

from accounts.models import Account
from reviews.actions.contacts import Person, save_contact
from reviews.actions.tasks import add_task
from reviews.actions.timeline import log_entry
from reviews.models import Contact, Task, TimelineEntry
from tests.factories import NOW, staff_of


def make_contact(account: Account, name: str = "Dana", role: str = "champion", **fields: Any) -> Contact:
    return save_contact(staff_of(account), account, Person(name, role, **fields))


def make_entry(account: Account, text: str = "They are happy.", **fields: Any) -> TimelineEntry:
    asked: dict[str, Any] = {"kind": "call", "at": NOW, "now": NOW} | fields
    return log_entry(asked.pop("viewer", staff_of(account)), account, text=text, **asked)


def make_task(account: Account, title: str = "Send options", **fields: Any) -> Task:
    asked: dict[str, Any] = {"due_on": None, "assigned_to": None, "now": NOW} | fields
    return add_task(asked.pop("viewer", staff_of(account)), account, title=title, **asked)
