"""The sums of one batch: what the tick adds to the roll-ups, so that it never reads the events again."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from consumption_cs.lib.periods import day_of, hour_of
from usage.calc.metering import Reading
from usage.calc.quantities import Quantity, plain_text

QUARTER = 900  # seconds: offsets of zones, and so the bounds of local hours, are multiples of it
_EXACT_DIGITS = 100  # far more than NUMERIC(38, 12) times a batch needs: nothing is rounded


ZoneOf = Callable[[str], ZoneInfo]  # the time zone of an account


class Counted(msgspec.Struct):
    """One event as its meter sees it: whose it is, when it happened, and what was read."""

    account: str
    meter: str
    aggregation: str
    workflow: str | None
    occurred_at: datetime
    reading: Reading


class _Sum(msgspec.Struct):
    aggregation: str
    last: datetime
    quantity: Quantity = 0
    events: int = 0
    finished: int = 0
    successes: int = 0
    outcomes: Quantity = 0
    values: dict[str, None] = msgspec.field(default_factory=dict)  # in the order of first sight


_Key = tuple[str, str, str | None, str, int]


def batch_sums(events: list[Counted], zone_of_account: ZoneOf) -> list[dict[str, Any]]:
    """Sum the new events of a batch per account, meter, workflow, group and local hour.

    Each sum is a JSON object: a account, m meter, w workflow or null, g group, h start of the hour (UTC), d local
    date, q quantity (sum; events for count; greatest for max; latest for latest, of the event at lt), n events,
    f events that say whether they succeeded, s successes, o outcomes, l the last event's time; for unique meters
    u, the different values, instead of q. Numbers that may have decimals are texts. Exact; ordered by key.
    """
    with localcontext(prec=_EXACT_DIGITS):
        quarters = _by_quarter(events)
        hours: dict[tuple[str, str, str, str, str], tuple[_Sum, _Key, str]] = {}
        for key, part in quarters.items():
            account, meter, workflow, group, quarter = key
            hour, day = place_of(quarter, zone_of_account(account))
            whole = hours.setdefault((account, meter, workflow or "", group, hour), (part, key, day))
            if whole[0] is not part:
                _merge(whole[0], part)
        ordered = sorted(hours.items(), key=_order)
        return [_as_json(whole, key, hour, day) for (*_, hour), (whole, key, day) in ordered]


@lru_cache(maxsize=4096)
def place_of(quarter: int, zone: ZoneInfo) -> tuple[str, str]:
    """The start (UTC) of the local hour, and the local date, of a quarter of an hour: the same for many sums."""
    moment = datetime.fromtimestamp(quarter * QUARTER, UTC)
    return hour_of(moment, zone).start.isoformat(), day_of(moment, zone).isoformat()


def _order(item: tuple[Any, Any]) -> Any:
    return item[0]


def _by_quarter(events: list[Counted]) -> dict[_Key, _Sum]:
    """Sum by quarters of an hour first: that needs no time zone, and most batches have one or two of them."""
    quarters: dict[_Key, _Sum] = {}
    find = quarters.get
    for event in events:
        occurred_at, reading, aggregation = event.occurred_at, event.reading, event.aggregation
        quarter = int(occurred_at.timestamp()) // QUARTER
        key = (event.account, event.meter, event.workflow, reading.group, quarter)
        total = find(key)
        if total is None:
            total = quarters[key] = _Sum(aggregation, occurred_at)
        total.events += 1
        if reading.succeeded is not None:
            total.finished += 1
            total.successes += reading.succeeded
        if reading.outcomes is not None:
            total.outcomes += reading.outcomes
        if aggregation == "sum" or aggregation == "count":
            total.quantity += reading.quantity
            if occurred_at > total.last:
                total.last = occurred_at
        else:
            _take(total, occurred_at, reading.quantity, [reading.value])
    return quarters


def _take(total: _Sum, occurred_at: datetime, quantity: Quantity, values: list[str | None]) -> None:
    """Add to a sum that is no sum: the greatest, the latest, or the different values."""
    if total.aggregation == "unique":
        total.values.update((value, None) for value in values if value is not None)
    elif total.aggregation == "max":
        total.quantity = max(total.quantity, quantity)
    elif (occurred_at, quantity) > (total.last, total.quantity):
        total.quantity = quantity  # of two at one moment the greater, so that the order of arrival does not matter
    total.last = max(total.last, occurred_at)


def _merge(whole: _Sum, part: _Sum) -> None:
    whole.events += part.events
    whole.finished += part.finished
    whole.successes += part.successes
    whole.outcomes += part.outcomes
    if whole.aggregation in ("sum", "count"):
        whole.quantity += part.quantity
        whole.last = max(whole.last, part.last)
    else:
        _take(whole, part.last, part.quantity, list(part.values))


def _as_json(total: _Sum, key: _Key, hour: str, day: str) -> dict[str, Any]:
    account, meter, workflow, group, _ = key
    last = total.last.isoformat()
    measured: dict[str, Any] = {"q": _text(total.quantity)}
    if total.aggregation == "unique":
        measured = {"u": list(total.values)}
    elif total.aggregation == "latest":
        measured["lt"] = last
    return {
        "a": account,
        "m": meter,
        "w": workflow,
        "g": group,
        "h": hour,
        "d": day,
        **measured,
        "n": total.events,
        "f": total.finished,
        "s": total.successes,
        "o": _text(total.outcomes),
        "l": last,
    }


def _text(quantity: Quantity) -> str:
    return plain_text(quantity.normalize()) if type(quantity) is Decimal else str(quantity)
