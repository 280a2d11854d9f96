"""Notes, contacts and sentiment from a CSV file: checked as a whole, shown first, stored all or not at all.

Idempotent: a row is known by the id it has where it comes from, so importing a file twice changes nothing.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.actions.audit import Act, audit_many
from accounts.models import Account, Membership
from accounts.permissions import require
from consumption_cs.lib.csv_files import read_rows
from consumption_cs.lib.tenancy import Viewer
from reviews.actions import exchange_cells as cells
from reviews.actions.exchange_cells import Known
from reviews.models import Attendance, Contact, TimelineEntry


class Taken(ValueError):
    """Nothing was stored; the message says why."""


NOTES, CONTACTS, SENTIMENT = "notes", "contacts", "sentiment"
MOST_NAME = 150


@dataclass(slots=True)
class Row:
    """One row of the file: what it makes or changes, or what is wrong with it."""

    line: int
    cells: dict[str, str]
    errors: list[tuple[str, str]] = field(default_factory=list)  # column, words
    account: Account | None = None
    target: Any = None
    is_new: bool = False
    is_removed: bool = False  # taken out here: it stays out
    changes: dict[str, dict[str, str]] = field(default_factory=dict)
    people: list[Contact] = field(default_factory=list)

    @property
    def does(self) -> bool:
        return not self.errors and not self.is_removed and (self.is_new or bool(self.changes))

    @property
    def title(self) -> str:
        """What the row is about, for the preview."""
        return (self.cells.get("name") or self.cells.get("text") or self.cells.get("sentiment") or "")[:80]


@dataclass(frozen=True, slots=True)
class Checked:
    """A whole file, checked."""

    kind: str
    rows: list[Row]

    @property
    def wrong(self) -> list[Row]:
        return [row for row in self.rows if row.errors]

    @property
    def new(self) -> list[Row]:
        return [row for row in self.rows if row.does and row.is_new]

    @property
    def changed(self) -> list[Row]:
        return [row for row in self.rows if row.does and not row.is_new]

    @property
    def fingerprint(self) -> str:
        """What the file would do, in short: another at the confirmation means that something changed meanwhile."""
        acts = [[row.line, row.is_new, row.is_removed, row.changes, row.errors] for row in self.rows]
        return hashlib.sha256(json.dumps([self.kind, acts], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be imported: its columns, in words, and a line of it as an example."""

    label: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    words: dict[str, str]
    example: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.required, *self.optional)


_KEY, _ID = "the account’s key", "the id it has where it comes from; importing it again changes nothing"
_FELT = "Positive, Neutral or Negative"
KINDS: dict[str, Kind] = {
    NOTES: Kind(
        "Notes, calls and meetings",
        ("account", "at", "text", "external_id"),
        ("kind", "sentiment", "minutes", "by", "with"),
        {
            "account": _KEY,
            "at": "2026-01-31 or 2026-01-31 14:30, on the account’s clock",
            "text": "what was said; its first sentence becomes the title",
            "external_id": _ID,
            "kind": "Call, Meeting, E-mail, Note or Value review; Note if empty",
            "sentiment": f"{_FELT}, or empty",
            "minutes": "how long it took",
            "by": "e-mail of somebody on your staff",
            "with": "e-mails of the account’s contacts, separated by semicolons",
        },
        ("northwind", "2026-01-31 14:30", "Monthly check-in.", "crm-1001", "Call", "Neutral", "30", "", ""),
    ),
    CONTACTS: Kind(
        "Contacts",
        ("account", "name"),
        ("external_id", "email", "title", "role", "left_on", "note"),
        {
            "account": _KEY,
            "name": "their name",
            "external_id": f"{_ID}; without it the e-mail, then the name, says who is meant",
            "email": "ties them to who signs in to the portal with it",
            "title": "their job",
            "role": "Champion, Executive sponsor, Holds the budget, Engineer or User",
            "left_on": "2026-01-31, if they have left",
            "note": "anything else",
        },
        ("northwind", "Dana Weiss", "crm-2001", "dana@northwind.example", "Platform lead", "Champion", "", ""),
    ),
    SENTIMENT: Kind(
        "Sentiment",
        ("account", "at", "sentiment", "external_id"),
        ("text",),
        {
            "account": _KEY,
            "at": "2026-01-31 or 2026-01-31 14:30, on the account’s clock",
            "sentiment": _FELT,
            "external_id": _ID,
            "text": "how you know; “Sentiment from a survey.” if empty",
        },
        ("northwind", "2026-01-31", "Positive", "survey-17", "Answered 9 of 10."),
    ),
}  # fmt: skip


def read_file(viewer: Viewer, kind: str, content: bytes, now: datetime, *, lock: bool = False) -> Checked:
    """Check a file against what is stored; raises CsvProblem when it cannot be read at all. Changes nothing."""
    shape = KINDS[kind]
    found = read_rows(content, required=shape.required, optional=shape.optional)
    rows = [Row(row.line, {name: cells.plain(cell) for name, cell in row.cells.items()}) for row in found]
    known = Known(viewer, now, [row.cells["account"] for row in rows], lock=lock)
    seen: dict[tuple[str, str], int] = {}
    entries = known.entries(viewer, [row.cells.get("external_id", "") for row in rows]) if kind != CONTACTS else {}
    for row in rows:
        row.account = _try(row, "account", lambda text: cells.read_account(text, known))
        if row.account is None:
            continue
        if kind == CONTACTS:
            _contact(row, row.account, known)
        else:
            _entry(row, row.account, known, entries, viewer, is_sentiment=kind == SENTIMENT)
        _refuse_twins(row, seen)
    return Checked(kind, rows)


def import_file(viewer: Viewer, checked: Checked) -> None:
    """Store what a file without errors adds and changes, with one audit row for each account. Raises Taken."""
    require(viewer, "book.exchange")
    if checked.wrong:
        raise ValueError("A file with errors is not imported.")
    model: Any = Contact if checked.kind == CONTACTS else TimelineEntry
    fields = _CONTACT if checked.kind == CONTACTS else (*_ENTRY, "by")
    try:
        _store(viewer, checked, model, fields)
    except IntegrityError as error:
        raise Taken("Two rows would have the same id or e-mail, or somebody added one meanwhile.") from error


def _store(viewer: Viewer, checked: Checked, model: Any, fields: Sequence[str]) -> None:
    with transaction.atomic():
        if checked.kind == CONTACTS:
            _tie_to_portal(viewer, [row.target for row in [*checked.new, *checked.changed]])
        model.objects.bulk_create([row.target for row in checked.new], batch_size=500)
        model.objects.bulk_update([row.target for row in checked.changed], [*fields], batch_size=500)
        if checked.kind == NOTES:
            _attend(viewer, [*checked.new, *checked.changed])
        audit_many(viewer, _acts(checked))


_CONTACT = ("name", "email", "title", "role", "note", "left_on", "external_id", "user")
_ENTRY = ("kind", "at", "text", "sentiment", "minutes")


def _try(row: Row, column: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(row.cells.get(column, ""))
    except ValidationError as problem:
        row.errors.append((column, " ".join(problem.messages)))
        return None


def _entry(
    row: Row, account: Account, known: Known, entries: dict[Any, TimelineEntry], viewer: Viewer, *, is_sentiment: bool
) -> None:
    external = _try(row, "external_id", cells.read_id)
    at = _try(row, "at", lambda text: cells.read_moment(text, account, known.now))
    kind = _try(row, "kind", lambda text: cells.read_choice(text, TimelineEntry.Kind.choices, "note"))
    felt = _try(row, "sentiment", lambda text: cells.read_choice(text, TimelineEntry.Sentiment.choices, ""))
    minutes = _try(row, "minutes", cells.read_minutes)
    by = _try(row, "by", lambda text: _staff(text, known))
    row.people = _try(row, "with", lambda text: cells.read_people(text, account, known)) or []
    text = row.cells.get("text", "") or ("Sentiment from a survey." if is_sentiment else "")
    if not text:
        row.errors.append(("text", "Say in words what happened."))
    if is_sentiment and felt == "":
        row.errors.append(("sentiment", f"Say how they felt: {_FELT}."))
    if row.errors:
        return
    held = entries.get((account.pk, external))
    row.is_new = held is None
    row.is_removed = held is not None and held.removed_at is not None
    own = {"organization_id": viewer.organization_id, "account": account}
    row.target = held or TimelineEntry(**own, external_id=external, created_at=known.now)
    wanted = {"kind": kind, "at": at, "text": text, "sentiment": felt, "minutes": minutes}
    _change(row, wanted)
    if by is not None or row.is_new:
        row.target.by = by
    if held is not None and "with" in row.cells and row.people:
        there = set(held.attendees.values_list("pk", flat=True))
        if there != {one.pk for one in row.people}:
            row.changes["with"] = {"from": str(len(there)), "to": str(len(row.people))}


def _contact(row: Row, account: Account, known: Known) -> None:
    external = _try(row, "external_id", lambda text: cells.read_id(text) if text else "")
    email = _try(row, "email", cells.read_email)
    role = _try(row, "role", lambda text: cells.read_choice(text, Contact.Role.choices, ""))
    left_on = _try(row, "left_on", cells.read_day)
    name = row.cells["name"]
    if not name or len(name) > MOST_NAME or not name.isprintable():
        row.errors.append(("name", f"A name is one line of 1 to {MOST_NAME} printable characters."))
    if len(row.cells.get("title", "")) > MOST_NAME:
        row.errors.append(("title", f"Write {MOST_NAME} characters at most."))
    if row.errors:
        return
    by_email = known.by_email.get((account.pk, email)) if email else None
    held = known.by_id.get((account.pk, external)) if external else None
    if held is not None and by_email is not None and held.pk != by_email.pk:
        row.errors.append(("email", f"{by_email.name} has this e-mail already."))
        return
    held = held or by_email or (known.by_name.get((account.pk, name.casefold())) if not email else None)
    row.is_new = held is None
    start = {"organization_id": account.organization_id, "account": account, "created_at": known.now}
    row.target = held or Contact(**start)
    wanted = {"name": name, "email": email, "title": row.cells.get("title", ""), "role": role}
    wanted |= {"note": row.cells.get("note", ""), "left_on": left_on, "external_id": external}
    # An empty cell leaves what is there.
    _change(row, {name: value for name, value in wanted.items() if value not in ("", None)})


def _change(row: Row, wanted: dict[str, Any]) -> None:
    for name, value in wanted.items():
        before = None if row.is_new else getattr(row.target, name)
        if row.is_new or before != value:
            row.changes[name] = {"from": _text(before), "to": _text(value)}
        setattr(row.target, name, value)


def _text(value: Any) -> str:
    return "" if value is None else f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else str(value)[:200]


def _staff(text: str, known: Known) -> Any:
    if not text:
        return None
    person = known.staff.get(text.lower())
    if person is None:
        raise ValidationError(f"Nobody on your staff has the e-mail “{text[:80]}”. Leave the cell empty.")
    return person


def _refuse_twins(row: Row, seen: dict[tuple[str, str], int]) -> None:
    """Two rows of a file that mean the same are a mistake that nobody could see later."""
    names = ["external_id", "email"] if "name" in row.cells else ["external_id"]
    names = names if any(row.cells.get(name) for name in names) else ["name"]
    for name in names:
        value = row.cells.get(name, "").casefold()
        if value:
            first = seen.setdefault((f"{name} {row.cells['account']}", value), row.line)
            if first != row.line:
                row.errors.append((name, f"Line {first} has the same. Keep one of the two."))


def _tie_to_portal(viewer: Viewer, contacts: Sequence[Contact]) -> None:
    emails = {one.email for one in contacts if one.email}
    seats = Membership.objects.visible_to(viewer).filter(account__isnull=False, user__email__in=emails)
    users = {(account, email): user for account, email, user in seats.values_list("account", "user__email", "user")}
    for one in contacts:
        one.user_id = users.get((one.account_id, one.email), one.user_id)


def _attend(viewer: Viewer, rows: Sequence[Row]) -> None:
    own = {"organization_id": viewer.organization_id}
    named = [row for row in rows if row.people]
    Attendance.objects.filter(**own, entry__in=[row.target.pk for row in named if not row.is_new]).delete()
    Attendance.objects.bulk_create(
        [
            Attendance(**own, account_id=row.target.account_id, entry=row.target, contact=one)
            for row in named
            for one in {person.pk: person for person in row.people}.values()
        ]
    )


def _acts(checked: Checked) -> list[Act]:
    """On the accounts' own records, which their customers never read."""
    accounts = {row.account.pk: row.account for row in checked.rows if row.account}
    new = Counter(row.account.pk for row in checked.new if row.account)
    changed = Counter(row.account.pk for row in checked.changed if row.account)
    return [
        (f"{checked.kind}.imported", accounts[pk], accounts[pk].name, {"new": new[pk], "changed": changed[pk]})
        for pk in sorted(new.keys() | changed.keys())
    ]
