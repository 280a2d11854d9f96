"""The draw: what was rated is taken from the commits, and booked in the ledger for each day that has ended."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Min

from accounts.models import Account
from budgets.actions.authors import with_authors
from budgets.actions.booking import Change, Standing, book
from budgets.calc.drawn_days import Calendar, DayUse, DrawnDays, EntryKey, Terms, draw_days
from budgets.calc.snapshots import Snapshot, as_json, from_json
from budgets.models import Commit, LedgerState
from budgets.reports.day_use import LiveEntry, live_entries, reasons_of, use_since
from budgets.reports.grants import terms_of
from consumption_cs.lib.periods import DAY, day_of, day_start, zone_of
from usage.models import Adjustment, RatedDay, Settlement


@dataclass(frozen=True, slots=True)
class _Start:
    """Where the run of an account begins, and what it knows then."""

    day: date
    state: Snapshot
    opening: Mapping[str, Any]  # as it stays stored, unless a period was closed since
    opening_on: date


@dataclass(slots=True)
class _Account:
    """An account under way."""

    id: str
    calendar: Calendar
    today: date
    terms: Terms
    commits: list[Commit]
    stored: LedgerState | None
    closed_until: date | None
    booked_until: date | None

    @property
    def version(self) -> str:
        """Of the terms and the calendar; states reached under another one do not count."""
        return f"{self.terms.version}-{self.calendar.billing_day}"


def draw_accounts(organization_id: UUID, now: datetime, first_days: Mapping[str, date], otherwise: str = "") -> None:
    """Redraw accounts from their first changed local day on; book ended days, keep today as ongoing.

    `first_days`: account id → the first day whose money or terms may have changed (today if just the day ended).
    Within `act_as`, after rating, with the accounts' Settlement rows locked and before their marks are cleared: the
    marks' reasons go on the entries that replace others, `otherwise` where they say none. Drawing twice changes
    nothing.
    """
    changes, standings = redrawn(organization_id, now, first_days, otherwise)
    book(organization_id, now, with_authors(organization_id, changes), standings)


def redrawn(
    organization_id: UUID, now: datetime, first_days: Mapping[str, date], otherwise: str = ""
) -> tuple[list[Change], list[Standing]]:
    """Draw as `draw_accounts` does, but write nothing: return what would change, and where each account would stand.

    A first day of date.min draws all days that are not frozen.
    """
    accounts = _load(organization_id, now, first_days)
    starts = _starts(organization_id, accounts, first_days)
    from_days = {account: start.day for account, start in starts.items()}
    use = use_since(organization_id, from_days)
    live = live_entries(organization_id, from_days)
    reasons = reasons_of(organization_id, accounts)
    changes: list[Change] = []
    standings: list[Standing] = []
    for name, account in accounts.items():
        drawn = _draw(account, starts[name], use.get(name, ()))
        changes += _changes(account, drawn, live.get(name, {}), reasons.get(name, ()), otherwise)
        standings.append(_standing(account, starts[name], drawn))
    return changes, standings


def _load(organization_id: UUID, now: datetime, first_days: Mapping[str, date]) -> dict[str, _Account]:
    ids = list(first_days)
    rows = Account.objects.filter(organization_id=organization_id, pk__in=ids).values_list(
        "pk", "timezone", "billing_day"
    )
    calendars = {str(pk): Calendar(zone_of(zone), billing_day) for pk, zone, billing_day in rows}
    own = {"organization_id": organization_id, "account__in": ids}
    states = {str(row.account_id): row for row in LedgerState.objects.filter(**own)}
    # Never back to a day that has been booked: of two settlements around midnight the slower one has the older clock.
    today = {
        name: max(day_of(now, calendar.zone), states[name].latest_on if name in states else date.min)
        for name, calendar in calendars.items()
    }
    zones = {name: calendar.zone for name, calendar in calendars.items()}
    terms, commits = terms_of(organization_id, zones, today)
    settled = {str(row.account_id): row for row in Settlement.objects.filter(**own)}
    return {
        name: _Account(
            name,
            calendar,
            today[name],
            terms[name],
            commits[name],
            states.get(name),
            settled[name].closed_until if name in settled else None,
            settled[name].booked_until if name in settled else None,
        )
        for name, calendar in calendars.items()
    }


def _starts(
    organization_id: UUID, accounts: Mapping[str, _Account], first_days: Mapping[str, date]
) -> dict[str, _Start]:
    """Return for each account the latest state that nothing which changed lies before."""
    found = {name: _stored_start(account, first_days[name]) for name, account in accounts.items()}
    beginnings = _beginnings(organization_id, [name for name, start in found.items() if start is None])
    starts: dict[str, _Start] = {}
    for name, start in found.items():
        account = accounts[name]
        days = [commit.effective_on for commit in account.commits] + beginnings.get(name, [])
        first = min([*days, account.today])
        starts[name] = start or _Start(first, Snapshot({}), {}, first)
    return starts


def _stored_start(account: _Account, first_day: date) -> _Start | None:
    """Return a start from the stored states, or None: from the very beginning."""
    stored = account.stored
    if stored is None:
        return None
    is_frozen = bool(stored.opening)
    was_closed = account.closed_until is not None and account.closed_until > stored.opening_on
    reaches_back = first_day < stored.latest_on or stored.latest_on > account.today
    is_agreed = stored.latest.get("terms") == account.version
    if is_agreed and not was_closed and not reaches_back:
        return _Start(stored.latest_on, from_json(stored.latest), stored.opening, stored.opening_on)
    # While nothing is closed, even the first day may change: a commit of the past, or late use before all other.
    if not is_frozen:
        return None
    return _Start(stored.opening_on, from_json(stored.opening), stored.opening, stored.opening_on)


def _beginnings(organization_id: UUID, accounts: list[str]) -> dict[str, list[date]]:
    """Return the first day of each account with money, by its rated days and its adjustments."""
    found: dict[str, list[date]] = defaultdict(list)
    for model in (RatedDay, Adjustment) if accounts else ():
        rows = model.objects.filter(organization_id=organization_id, account__in=accounts)
        for account, first in rows.values_list("account_id").annotate(first=Min("day")):
            found[str(account)].append(first)
    return found


def _draw(account: _Account, start: _Start, use: Iterable[DayUse]) -> DrawnDays:
    return draw_days(
        account.terms,
        use,
        account.calendar,
        state=start.state,
        first_day=start.day,
        today=account.today,
        keep=[account.closed_until] if account.closed_until else [],
    )


def _changes(
    account: _Account,
    drawn: DrawnDays,
    live: Mapping[EntryKey, list[LiveEntry]],
    reasons: Iterable[tuple[date, str]],
    otherwise: str,
) -> list[Change]:
    """Compare what is to be in the ledger with what is: only what differs is reversed and booked anew."""
    found = []
    for key in sorted(set(drawn.entries) | set(live), key=_in_statement_order):
        booking, current = drawn.entries.get(key), live.get(key, [])
        wanted = booking.amount if booking else Decimal(0)
        if wanted == sum((entry.amount for entry in current), Decimal(0)):
            continue
        # The first booking of a day that has just ended needs no reason, unlike one that comes after.
        is_late = bool(current) or (account.booked_until is not None and key.day < account.booked_until)
        reason = _reason(key.day, reasons, otherwise) if is_late else ""
        found.append(Change(account.id, key, wanted, booking.why if booking else "", tuple(current), reason))
    return found


_STEPS = ("granted", "refilled", "amended", "rolled_over", "expired", "voided", "drawn", "overage")


def _in_statement_order(key: EntryKey) -> tuple[date, int, str, str]:
    return key.day, _STEPS.index(key.kind), key.commit or "", key.meter or ""


def _reason(day: date, reasons: Iterable[tuple[date, str]], otherwise: str) -> str:
    """Say why a day's entries change: what the marks of that day and of those before it say."""
    before = [(marked, words) for marked, words in reasons if marked <= day]
    said = list(dict.fromkeys(words for _, words in before if words))
    if said:
        return "; ".join(said)
    if otherwise or not before:
        return otherwise or "Late use"
    return f"Late use of {before[-1][0]:%-d %B %Y}"


def _standing(account: _Account, start: _Start, drawn: DrawnDays) -> Standing:
    opening, opening_on = start.opening, start.opening_on
    closed = account.closed_until
    if closed is not None and closed in drawn.states and closed > opening_on:
        # What was overage in a closed period is invoiced: nothing pays it later.
        state = replace(drawn.states[closed], overage={}, drawn={})
        opening, opening_on = as_json(state), closed
    elif closed is not None and closed == start.day and not opening:
        opening = as_json(start.state)
    latest = drawn.states.get(account.today, start.state)
    return Standing(
        account=account.id,
        opening=opening,
        opening_on=opening_on,
        latest=as_json(latest) | {"terms": account.version},
        latest_on=account.today,
        overage=drawn.overage,
        ongoing=drawn.ongoing,
        balances={
            str(commit.pk): (drawn.settled.get(str(commit.pk), Decimal(0)), drawn.left.get(str(commit.pk), Decimal(0)))
            for commit in account.commits
        },
        due_at=day_start(account.today + DAY, account.calendar.zone),
    )
