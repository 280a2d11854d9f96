"""What was written down of an account of the world: people, words, a shared task and one of the vendor's own."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from accounts.models import Account, User
from reviews.models import Attendance, Contact, Cover, Task, TimelineEntry

INTERNAL = "for-staff-only"  # is in every text that a customer must never see


@dataclass
class Written:
    """Rows of one account by what they are."""

    contact: Contact
    entry: TimelineEntry
    task: Task
    cover: Cover


def make_written(account: Account, csm: User, other: User, canary: str, now: datetime) -> Written:
    """Write one of each, all of whose texts contain the canary."""
    own = {"organization": account.organization, "account": account}
    text = f"{canary} {INTERNAL}"
    contact = Contact.objects.create(
        **own, name=f"{text} person", email=f"person@{canary.lower()}.example", title=text, note=text, role="champion"
    )
    entry = TimelineEntry.objects.create(**own, kind="call", at=now - timedelta(hours=1), by=csm, text=text)
    Attendance.objects.create(**own, entry=entry, contact=contact)
    Task.objects.create(**own, title=f"{text} task", detail=text, assigned_to=csm, due_on=now.date())
    return Written(
        contact=contact,
        entry=entry,
        task=Task.objects.create(**own, title=f"{canary} shared task", detail=canary, is_shared=True),
        cover=Cover.objects.create(
            organization=account.organization,
            absent=csm,
            covered_by=other,
            starts_on=now.date() + timedelta(days=300),
            ends_on=now.date() + timedelta(days=301),
        ),
    )
