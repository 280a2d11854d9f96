"""Writing down what a draw found: ledger entries, which are only ever added, and where each account stands."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection

from budgets.calc.drawn_days import Booking, EntryKey
from budgets.reports.day_use import LiveEntry
from consumption_cs.lib.ids import uuid7

_ENTRIES = """
INSERT INTO budgets_ledgerentry
    (id, organization_id, account_id, commit_id, kind, day, meter_id, amount, why, reverses_id, reason, actor_id)
SELECT id, %s, account_id, commit_id, kind, day, meter_id, amount, why, reverses_id, reason, actor_id
FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::date[], %s::uuid[], %s::numeric[], %s::text[],
    %s::uuid[], %s::text[], %s::uuid[])
    AS booked(id, account_id, commit_id, kind, day, meter_id, amount, why, reverses_id, reason, actor_id)
"""

_STATES = """
INSERT INTO budgets_ledgerstate AS kept
    (organization_id, account_id, opening, opening_on, latest, latest_on, overage, ongoing, settled_at)
SELECT %s, account_id, opening, opening_on, latest, latest_on, overage, ongoing, %s
FROM unnest(%s::uuid[], %s::jsonb[], %s::date[], %s::jsonb[], %s::date[], %s::numeric[], %s::jsonb[])
    AS found(account_id, opening, opening_on, latest, latest_on, overage, ongoing)
ON CONFLICT (organization_id, account_id) DO UPDATE SET
    opening = excluded.opening, opening_on = excluded.opening_on, latest = excluded.latest,
    latest_on = excluded.latest_on, overage = excluded.overage, ongoing = excluded.ongoing,
    settled_at = excluded.settled_at
"""

_BALANCES = """
INSERT INTO budgets_commitbalance AS kept (organization_id, account_id, commit_id, settled, ongoing, settled_at)
SELECT %s, account_id, commit_id, settled, ongoing, %s
FROM unnest(%s::uuid[], %s::uuid[], %s::numeric[], %s::numeric[]) AS found(account_id, commit_id, settled, ongoing)
ON CONFLICT (organization_id, commit_id) DO UPDATE SET
    settled = excluded.settled, ongoing = excluded.ongoing, settled_at = excluded.settled_at
"""

_SETTLEMENTS = """
INSERT INTO usage_settlement AS kept (organization_id, account_id, booked_until, due_at, settled_at)
SELECT %s, account_id, booked_until, due_at, %s
FROM unnest(%s::uuid[], %s::date[], %s::timestamptz[]) AS found(account_id, booked_until, due_at)
ON CONFLICT (organization_id, account_id) DO UPDATE SET
    booked_until = excluded.booked_until, due_at = excluded.due_at, settled_at = excluded.settled_at
"""


@dataclass(frozen=True, slots=True)
class Change:
    """What the ledger is to say instead: `current` entries are reversed, one of `amount` (unless zero) is added."""

    account: str
    key: EntryKey
    amount: Decimal
    why: str
    current: tuple[LiveEntry, ...]
    reason: str
    actor: UUID | None = None  # None: settlement


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an account stands after a draw; `balances`: commit → (settled, ongoing)."""

    account: str
    opening: Mapping[str, Any]
    opening_on: date
    latest: Mapping[str, Any]
    latest_on: date
    overage: Decimal
    ongoing: Mapping[EntryKey, Booking]
    balances: Mapping[str, tuple[Decimal, Decimal]]
    due_at: datetime


def book(organization_id: UUID, now: datetime, changes: Iterable[Change], standings: Sequence[Standing]) -> None:
    """Write the entries of all changes, and the standing of each account. In the caller's transaction."""
    rows = [row for change in changes for row in _rows(change)]
    with connection.cursor() as cursor:
        if rows:
            # Ids in order of booking: the ledger is read by day, then id.
            ids = sorted(str(uuid7()) for _ in rows)
            cursor.execute(_ENTRIES, [organization_id, ids, *map(list, zip(*rows, strict=True))])
        if standings:
            _write_standings(cursor, organization_id, now, standings)


def _rows(change: Change) -> list[tuple[object, ...]]:
    key = change.key
    same = (change.account, key.commit, key.kind, key.day, key.meter)
    reason = change.reason or "Drawn again"
    rows: list[tuple[object, ...]] = [
        (*same, -entry.amount, "", entry.id, reason, change.actor) for entry in change.current
    ]
    if change.amount:
        rows.append((*same, change.amount, change.why, None, change.reason, change.actor))
    return rows


def _write_standings(cursor: Any, organization_id: UUID, now: datetime, standings: Sequence[Standing]) -> None:
    accounts = [row.account for row in standings]
    cursor.execute(
        _STATES,
        [
            organization_id,
            now,
            accounts,
            [_json(row.opening) for row in standings],
            [row.opening_on for row in standings],
            [_json(row.latest) for row in standings],
            [row.latest_on for row in standings],
            [row.overage for row in standings],
            [_json(_ongoing(row.ongoing)) for row in standings],
        ],
    )
    balances = [(row.account, commit, *both) for row in standings for commit, both in row.balances.items()]
    if balances:
        cursor.execute(_BALANCES, [organization_id, now, *map(list, zip(*balances, strict=True))])
    days = [(row.account, row.latest_on, row.due_at) for row in standings]
    cursor.execute(_SETTLEMENTS, [organization_id, now, *map(list, zip(*days, strict=True))])


def _ongoing(entries: Mapping[EntryKey, Booking]) -> list[dict[str, str | None]]:
    """As the ledger would have it: drawn below zero, overage (commit None) above."""
    return [
        {"commit": key.commit, "meter": key.meter, "amount": f"{booking.amount:f}", "why": booking.why}
        for key, booking in entries.items()
    ]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
