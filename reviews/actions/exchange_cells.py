"""Cells of imported notes, contacts and sentiment, read in words: what is wrong and what to write instead."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.dateparse import parse_datetime

from accounts.models import Account
from consumption_cs.lib.csv_files import safe_cell
from consumption_cs.lib.periods import as_utc, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.models import Contact, TimelineEntry
from usage.actions.accounts import staff_people

MOST_ID = 200
_AHEAD = timedelta(minutes=5)


class Known:
    """What the rows may mean, read at once: accounts by key, staff by e-mail, contacts and entries by id."""

    def __init__(self, viewer: Viewer, now: datetime, keys: Collection[str], *, lock: bool) -> None:
        self.now = now
        found = Account.objects.visible_to(viewer).filter(key__in=set(keys)).order_by("pk")
        found = found.select_for_update(of=("self",)) if lock else found
        self.accounts: dict[str, Account] = {one.key: one for one in found}
        self.staff = {person.email.lower(): person for person in staff_people(viewer)}
        contacts = list(Contact.objects.visible_to(viewer).filter(account__in=self.accounts.values()).order_by("pk"))
        self.by_id = {(one.account_id, one.external_id): one for one in contacts if one.external_id}
        self.by_email = {(one.account_id, one.email.lower()): one for one in contacts if one.email}
        self.by_name = {(one.account_id, one.name.casefold()): one for one in reversed(contacts)}

    def entries(self, viewer: Viewer, ids: Collection[str]) -> dict[tuple[UUID, str], TimelineEntry]:
        """Return entries that were imported before, by account and id of the other system."""
        rows = TimelineEntry.objects.visible_to(viewer).filter(
            account__in=self.accounts.values(), external_id__in=set(ids)
        )
        return {(one.account_id, one.external_id): one for one in rows.exclude(external_id="")}


def plain(cell: str) -> str:
    """Take away the apostrophe that our own downloads put before a cell that looks like a formula."""
    return cell[1:] if cell.startswith("'") and safe_cell(cell[1:]) == cell else cell


def read_account(text: str, known: Known) -> Account:
    """Return the account with this key."""
    if not text:
        raise ValidationError("Name the account by its key.")
    account = known.accounts.get(text)
    if account is None:
        raise ValidationError(f"There is no account with the key “{text[:60]}”.")
    return account


def read_moment(text: str, account: Account, now: datetime) -> datetime:
    """Return a day's or moment's start on the account's clock, as UTC."""
    zone = zone_of(account.timezone)
    try:
        found = datetime.fromisoformat(text) if len(text) == 10 else parse_datetime(text)
        if found is None or not 2000 <= found.year <= 2099:
            raise ValueError
        moment = as_utc(found if found.tzinfo else found.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise ValidationError(
            f"“{text[:40]}” is no moment: write it as 2026-01-31 or 2026-01-31 14:30." if text else "Say when."
        ) from None
    if moment > now + _AHEAD:
        raise ValidationError("This is in the future: import what has happened.")
    return moment.astimezone(UTC)


def read_day(text: str) -> date | None:
    """Return a day; None for an empty cell."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        day = None
    if day is None or not 2000 <= day.year <= 2099:
        raise ValidationError(f"“{text[:30]}” is not a day: write it as 2026-01-31.")
    return day


def read_choice(text: str, choices: Sequence[tuple[str, str]], otherwise: str) -> str:
    """Return one of the choices, named by value or label in any case; `otherwise` for an empty cell."""
    if not text:
        return otherwise
    by_word = {word.casefold(): value for value, label in choices for word in (value, label)}
    if text.casefold() not in by_word:
        raise ValidationError(f"“{text[:40]}” is not one of {', '.join(label for _, label in choices)}.")
    return by_word[text.casefold()]


def read_minutes(text: str) -> int | None:
    """Return whole minutes, 1 to a day's; None for an empty cell."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 1440):
        raise ValidationError("Minutes are a whole number, 1 to 1,440.")
    return int(text)


def read_id(text: str) -> str:
    """Return the id in the other system; each row needs one, so that importing twice changes nothing."""
    if not text:
        raise ValidationError("Each row needs the id it has where it comes from: importing it again changes nothing.")
    if len(text) > MOST_ID or not text.isprintable():
        raise ValidationError(f"An id is one line of at most {MOST_ID} printable characters.")
    return text


def read_email(text: str) -> str:
    """Return an e-mail address in lower case; "" for an empty cell."""
    if text:
        try:
            validate_email(text)
        except ValidationError:
            raise ValidationError(f"“{text[:80]}” is no e-mail address.") from None
    return text.lower()


def read_people(text: str, account: Account, known: Known) -> list[Contact]:
    """Return the account's contacts with these e-mails, separated by semicolons, commas or spaces."""
    found = []
    for email in text.replace(";", " ").replace(",", " ").lower().split():
        contact = known.by_email.get((account.pk, email))
        if contact is None:
            raise ValidationError(f"Nobody at {account.name} has the e-mail “{email[:80]}”. Import contacts first.")
        found.append(contact)
    return found
