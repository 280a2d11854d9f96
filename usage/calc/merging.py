"""Merging the sums of many batches into the rows of the roll-ups. In whatever order they come, the result is one."""

from collections.abc import Callable, Iterable
from copy import copy
from datetime import date, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from consumption_cs.lib.money import exactly

_NAMES = {
    "account": "a",
    "meter": "m",
    "workflow": "w",
    "group": "g",
    "hour": "h",
    "day": "d",
    "quantity": "q",
    "events": "n",
    "finished": "f",
    "successes": "s",
    "outcomes": "o",
    "last_at": "l",
    "value_at": "lt",
    "values": "u",
    "recount": "x",
    "reason": "r",
}


class Sum(msgspec.Struct, rename=_NAMES, kw_only=True, gc=False):
    """What happened to an account, meter, workflow and group in one hour or day.

    `value_at` is set for meters that keep the latest value, `values` for those that count different ones. Corrections
    give a `reason`, and ask to `recount` the events of meters whose quantity is no sum.
    """

    account: str
    meter: str
    workflow: str | None
    group: str
    hour: datetime
    day: date
    quantity: Decimal = Decimal(0)
    events: int
    finished: int
    successes: int
    outcomes: Decimal
    last_at: datetime
    value_at: datetime | None = None
    values: tuple[str, ...] = ()
    recount: bool = False
    reason: str = ""


class Sighting(NamedTuple):
    """A value that a meter of different values saw in a local month of an account."""

    account: str
    meter: str
    month: str
    value_hash: str


Key = tuple[Any, ...]
_decoder = msgspec.json.Decoder(list[Sum])


def read_sums(text: str | bytes) -> list[Sum]:
    """Read the sums of one batch (see `batch_sums`). Raises msgspec.ValidationError, a ValueError."""
    return _decoder.decode(text)


def hour_key(part: Sum) -> Key:
    """In the order of the table's unique index, so that every tick locks rows in the same order."""
    return part.account, part.hour, part.meter, part.workflow or "", part.group


def day_key(part: Sum) -> Key:
    return part.account, part.day, part.meter, part.workflow or "", part.group


@exactly
def merge(parts: Iterable[Sum], key: Callable[[Sum], Key], greatest: frozenset[str] = frozenset()) -> list[Sum]:
    """Return one sum for each key, in the order of the keys; `greatest` are the meters that keep the maximum.

    Exact. The given sums stay as they are.
    """
    merged: dict[Key, Sum] = {}
    for part in parts:
        name = key(part)
        whole = merged.get(name)
        if whole is None:
            merged[name] = copy(part)
            continue
        whole.quantity = _quantity(whole, part, greatest)
        whole.events += part.events
        whole.finished += part.finished
        whole.successes += part.successes
        whole.outcomes += part.outcomes
        whole.last_at = max(whole.last_at, part.last_at)
        if part.value_at and whole.value_at:
            whole.value_at = max(whole.value_at, part.value_at)
        if part.values:
            whole.values = whole.values + part.values
    return [merged[name] for name in sorted(merged)]


def _quantity(whole: Sum, part: Sum, greatest: frozenset[str]) -> Decimal:
    if part.value_at and whole.value_at:
        # Of two values at the same moment the greater, so that the order of arrival does not matter.
        return max((whole.value_at, whole.quantity), (part.value_at, part.quantity))[1]
    if part.meter in greatest:
        return max(whole.quantity, part.quantity)
    return whole.quantity + part.quantity


def first_sightings(hours: Iterable[Sum]) -> dict[Sighting, Sum]:
    """Map each different value, once a month, to the first of the `hours` that has it: there it counts if new."""
    first: dict[Sighting, Sum] = {}
    for hour in hours:
        for value in hour.values:
            month = hour.day.replace(day=1).isoformat()
            first.setdefault(Sighting(hour.account, hour.meter, month, hash_of(value)), hour)
    return first


def hash_of(value: str) -> str:
    """What `usage_unique_value` keeps of a value."""
    return str(UUID(bytes=blake2b(value.encode(), digest_size=16).digest()))
