"""Sums that the database made of an import's rows, in the shape that batches have. Pure."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any, NamedTuple

from usage.calc.quantities import plain_text
from usage.calc.sums import ZoneOf, place_of

_EXACT_DIGITS = 100


class Quarter(NamedTuple):
    """What happened to an account, meter, workflow and group in one quarter of an hour (number since the epoch).

    `total`, `greatest` and `latest` are of the quantities, `values` the different ones of a unique-count meter.
    """

    account: str
    meter: str
    aggregation: str
    workflow: str | None
    group: str
    quarter: int
    events: int
    finished: int
    successes: int
    outcomes: Decimal
    total: Decimal
    greatest: Decimal
    latest: Decimal
    last_at: datetime
    values: list[str]

    @property
    def quantity(self) -> Decimal:
        """What the meter makes of the quantities."""
        if self.aggregation == "max":
            return self.greatest
        return self.latest if self.aggregation == "latest" else self.total


def hour_sums(quarters: Iterable[Quarter], zone_of: ZoneOf) -> list[dict[str, Any]]:
    """Sum quarters up to local hours; the result is what `batch_sums` gives for the same events."""
    hours: dict[tuple[str, ...], tuple[Quarter, str]] = {}
    with localcontext(prec=_EXACT_DIGITS):
        for part in quarters:
            hour, day = place_of(part.quarter, zone_of(part.account))
            key = (part.account, part.meter, part.workflow or "", part.group, hour)
            before = hours.get(key)
            hours[key] = (part if before is None else _together(before[0], part), day)
        return [_as_json(whole, key[-1], day) for key, (whole, day) in sorted(hours.items(), key=_key)]


def _key(item: tuple[tuple[str, ...], object]) -> tuple[str, ...]:
    return item[0]


def _together(one: Quarter, other: Quarter) -> Quarter:
    latest = max((one.last_at, one.latest), (other.last_at, other.latest))
    return one._replace(
        events=one.events + other.events,
        finished=one.finished + other.finished,
        successes=one.successes + other.successes,
        outcomes=one.outcomes + other.outcomes,
        total=one.total + other.total,
        greatest=max(one.greatest, other.greatest),
        latest=latest[1],
        last_at=latest[0],
        values=one.values + other.values,
    )


def _as_json(whole: Quarter, hour: str, day: str) -> dict[str, Any]:
    last = whole.last_at.isoformat()
    measured: dict[str, Any] = {"q": _text(whole.quantity)}
    if whole.aggregation == "unique":
        measured = {"u": list(dict.fromkeys(whole.values))}
    elif whole.aggregation == "latest":
        measured["lt"] = last
    return {
        "a": whole.account,
        "m": whole.meter,
        "w": whole.workflow,
        "g": whole.group,
        "h": hour,
        "d": day,
        **measured,
        "n": whole.events,
        "f": whole.finished,
        "s": whole.successes,
        "o": _text(whole.outcomes),
        "l": last,
    }


def _text(number: Decimal) -> str:
    return plain_text(number.normalize())
