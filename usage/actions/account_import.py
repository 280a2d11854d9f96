"""Accounts from a CSV file: read and checked as a whole, shown before anything is stored, stored all or not at all."""

import hashlib
import json
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.actions.audit import Act, audit_many
from accounts.models import Account, Organization, User, currency_code, plain_key, validate_timezone
from consumption_cs.lib.csv_files import CsvRow, read_rows, safe_cell
from consumption_cs.lib.tenancy import Viewer
from usage.actions.accounts import FIELDS, LOCKED, AccountTaken, changes_between, staff_people, with_usage

REQUIRED = ("key", "name")
OPTIONAL = (
    "segment", "tier", "currency", "time_zone", "contract_starts_on", "contract_ends_on", "csm", "field_cto"
)  # fmt: skip
_COLUMNS = {"timezone": "time_zone"}  # where the file's word differs from ours
MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class CellError:
    """What is wrong in one cell, and what to do."""

    column: str
    words: str


@dataclass(slots=True)
class AccountRow:
    """One row of the file: the account it makes or changes, or what is wrong with it."""

    line: int
    cells: dict[str, str]
    errors: list[CellError] = field(default_factory=list)
    account: Account | None = None
    is_new: bool = False
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccountImport:
    """A whole file, checked."""

    rows: list[AccountRow]

    @property
    def wrong(self) -> list[AccountRow]:
        return [row for row in self.rows if row.errors]

    @property
    def new(self) -> list[AccountRow]:
        return [row for row in self.rows if row.is_new and not row.errors]

    @property
    def changed(self) -> list[AccountRow]:
        return [row for row in self.rows if row.changes and not row.is_new and not row.errors]

    @property
    def fingerprint(self) -> str:
        """What the file would do, in short: another one at the confirmation means that accounts changed meanwhile."""
        acts = [[row.line, row.is_new, row.changes, [error.words for error in row.errors]] for row in self.rows]
        return hashlib.sha256(json.dumps(acts, sort_keys=True).encode()).hexdigest()


def read_accounts(viewer: Viewer, content: bytes, *, lock: bool = False) -> AccountImport:
    """Check a file against what is stored; raises CsvProblem when it cannot be read at all. Changes nothing.

    With `lock` the accounts it names stay as they are until the transaction ends.
    """
    rows = read_rows(content, required=REQUIRED, optional=OPTIONAL)
    known = _Known(viewer, rows, lock=lock)
    checked = [_checked(row, known) for row in rows]
    _refuse_twins(checked)
    _keep_locked(viewer, checked, known)
    return AccountImport(checked)


def import_accounts(viewer: Viewer, checked: AccountImport) -> None:
    """Store everything a file without errors adds and changes. Raises AccountTaken, and then nothing is stored."""
    if checked.wrong:
        raise ValueError("A file with errors is not imported.")
    new, changed = [_of(row) for row in checked.new], [_of(row) for row in checked.changed]
    try:
        with transaction.atomic():
            Account.objects.bulk_create(new)
            Account.objects.bulk_update(changed, [name for name in FIELDS if name != "key"], batch_size=500)
    except IntegrityError as error:
        raise AccountTaken("Somebody added one of these accounts meanwhile.") from error
    acts: list[Act] = [("account.created", _of(row), _of(row).name, row.changes) for row in checked.new]
    acts += [("account.changed", _of(row), _of(row).name, row.changes) for row in checked.changed]
    audit_many(viewer, acts)


def _of(row: AccountRow) -> Account:
    assert row.account is not None  # noqa: S101 - a row without errors has one
    return row.account


class _Known:
    """The accounts that the rows may mean, and the people who can look after them."""

    def __init__(self, viewer: Viewer, rows: Sequence[CsvRow], *, lock: bool) -> None:
        self.organization = Organization.objects.defer("logo").get(pk=viewer.organization_id)
        keys = {row.cells["key"] for row in rows}
        found = Account.objects.visible_to(viewer).filter(key__in=keys).order_by("pk")
        found = found.select_for_update(of=("self",)) if lock else found
        self.accounts: dict[str, Account] = {one.key: one for one in found.select_related("csm", "field_cto")}
        self.staff = {person.email.lower(): person for person in staff_people(viewer)}


def _checked(row: CsvRow, known: _Known) -> AccountRow:
    cells = {name: _without_guard(cell) for name, cell in row.cells.items()}
    checked = AccountRow(row.line, cells)
    before = known.accounts.get(cells["key"])
    checked.is_new = before is None
    if before is None:
        start = {"currency": known.organization.currency, "timezone": known.organization.timezone}
        account = Account(organization=known.organization, **start)
    else:
        account = copy(before)
    for name in FIELDS:
        _fill(checked, account, name, known)
    if checked.is_new and not cells["name"]:
        checked.errors.append(CellError("name", "A new account needs a name."))
    starts, ends = account.contract_starts_on, account.contract_ends_on
    if starts and ends and ends <= starts:
        words = f"The contract would end on {ends}, not after it starts on {starts}."
        checked.errors.append(CellError("contract_ends_on", words))
    checked.account = account
    checked.changes = changes_between(before, account)
    return checked


def _fill(checked: AccountRow, account: Account, name: str, known: _Known) -> None:
    """Put one cell into the account. An empty cell, or none, leaves what is there."""
    column = _COLUMNS.get(name, name)
    text = checked.cells.get(column, "")
    if not text and name != "key":
        return
    try:
        setattr(account, name, _READERS[name](text, known))
    except ValidationError as error:
        checked.errors.append(CellError(column, " ".join(error.messages)))


def _key(text: str, known: _Known) -> str:
    if not text:
        raise ValidationError("Each row needs a key: the subject of the account’s usage events.")
    plain_key(text)
    return text


def _name(text: str, known: _Known) -> str:
    if len(text) > MAX_NAME or not text.isprintable():
        raise ValidationError(f"A name is one line of at most {MAX_NAME} printable characters.")
    return text


def _choice(choices: list[tuple[str, str]]) -> "Callable[[str, _Known], str]":
    by_word = {word.casefold(): value for value, label in choices for word in (value, label)}

    def read(text: str, known: _Known) -> str:
        if text.casefold() not in by_word:
            labels = ", ".join(label for _, label in choices)
            raise ValidationError(f"“{text[:40]}” is not one of {labels}.")
        return by_word[text.casefold()]

    return read


def _currency(text: str, known: _Known) -> str:
    currency_code(text.upper())
    return text.upper()


def _zone(text: str, known: _Known) -> str:
    validate_timezone(text[:80])
    return text


def _day(text: str, known: _Known) -> date:
    try:
        day = date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        day = None
    if day is None or not 2000 <= day.year <= 2099:
        raise ValidationError(f"“{text[:30]}” is not a day: write it as 2026-01-31.")
    return day


def _person(text: str, known: _Known) -> User:
    person = known.staff.get(text.lower())
    if person is None:
        raise ValidationError(
            f"Nobody on your staff has the e-mail “{text[:80]}”. Invite them first, or leave the cell empty."
        )
    return person


_READERS: "dict[str, Callable[[str, _Known], Any]]" = {
    "key": _key,
    "name": _name,
    "segment": _choice(Account.Segment.choices),
    "tier": _choice(Account.Tier.choices),
    "currency": _currency,
    "timezone": _zone,
    "contract_starts_on": _day,
    "contract_ends_on": _day,
    "csm": _person,
    "field_cto": _person,
}


def _refuse_twins(rows: list[AccountRow]) -> None:
    seen: dict[str, int] = {}
    for row in rows:
        key = row.cells["key"]
        if key and key in seen:
            row.errors.append(CellError("key", f"Line {seen[key]} has the same key. Keep one of the two."))
        seen.setdefault(key, row.line)


def _keep_locked(viewer: Viewer, rows: list[AccountRow], known: _Known) -> None:
    """What usage rests on does not change any more: say so at the cell that would."""
    touching: dict[UUID, AccountRow] = {
        known.accounts[row.cells["key"]].pk: row for row in rows if not row.is_new and row.changes.keys() & set(LOCKED)
    }
    for account_id in with_usage(viewer, touching) if touching else ():
        row = touching[account_id]
        for name in sorted(row.changes.keys() & set(LOCKED)):
            words = f"It has usage in {row.changes[name]['from']}, so this stays. Leave the cell empty."
            row.errors.append(CellError(_COLUMNS.get(name, name), words))


def _without_guard(cell: str) -> str:
    """Take away the apostrophe that our own downloads put before a cell that looks like a formula."""
    return cell[1:] if cell.startswith("'") and safe_cell(cell[1:]) == cell else cell
