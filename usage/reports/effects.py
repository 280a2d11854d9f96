"""The effect of a version on accounts' last month, as it was computed and stored with it: what a page shows of it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils.dateparse import parse_datetime

from consumption_cs.lib.display import counted, listed, money_text
from consumption_cs.lib.tenancy import Viewer
from usage.models import RateCardVersion
from usage.reports.drafts import FAILED, READY, RUNNING, has_current_shadow

STUCK_AFTER = timedelta(minutes=2)  # without progress: nobody works on it


@dataclass(frozen=True, slots=True)
class EffectRow:
    """One account's month: what it was rated at, and what it would be."""

    account_id: str
    key: str
    name: str
    currency: str
    starts_on: date
    ends_on: date
    is_closed: bool
    own: int
    old: Decimal
    new: Decimal
    unpriced: int

    @property
    def last_day(self) -> date:
        return self.ends_on - timedelta(days=1)

    @property
    def difference(self) -> Decimal:
        return self.new - self.old

    @property
    def difference_text(self) -> str:
        return money_text(self.difference, self.currency, signed=True)

    @property
    def ratio(self) -> Decimal | None:
        """The difference as a part of what it was; None when it was nothing."""
        return self.difference / self.old if self.old else None


@dataclass(frozen=True, slots=True)
class Effect:
    """`state`: none, running, stuck, failed, outdated or ready. The rows: those that move most first."""

    state: str
    done: int = 0
    of: int = 0
    words: str = ""
    currency: str = ""
    old: Decimal = Decimal(0)
    new: Decimal = Decimal(0)
    unused: int = 0
    untouched: int = 0
    months: str = ""
    at: datetime | None = None
    rows: tuple[EffectRow, ...] = ()

    @property
    def difference(self) -> Decimal:
        return self.new - self.old

    @property
    def difference_text(self) -> str:
        return money_text(self.difference, self.currency, signed=True)

    @property
    def ratio(self) -> Decimal | None:
        return self.difference / self.old if self.old else None

    @property
    def share_done(self) -> float:
        return self.done / self.of if self.of else 0.0

    @property
    def moved(self) -> int:
        return sum(1 for row in self.rows if row.difference)


def effect_of(viewer: Viewer, version: RateCardVersion, now: datetime) -> Effect:
    """Return what is known of a version's effect."""
    shadow: dict[str, Any] = version.shadow or {}
    state = shadow.get("state")
    if state == RUNNING:
        started = parse_datetime(shadow["started_at"])
        is_stuck = started is not None and now - started > STUCK_AFTER
        return Effect("stuck" if is_stuck else RUNNING, shadow["done"], shadow["of"])
    if state == FAILED:
        return Effect(FAILED, words=shadow["words"])
    if state != READY:
        return Effect("none")
    is_draft = version.status == RateCardVersion.Status.DRAFT
    is_current = not is_draft or has_current_shadow(viewer, version)
    return read_effect(shadow, READY if is_current else "outdated", version.shadow_at)


def read_effect(shadow: dict[str, Any], state: str = READY, at: datetime | None = None) -> Effect:
    """Return a computed shadow in figures."""
    rows = tuple(_row(row, shadow["currency"]) for row in shadow["rows"])
    return Effect(
        state,
        currency=shadow["currency"],
        old=Decimal(shadow["old"]),
        new=Decimal(shadow["new"]),
        unused=shadow["unused"],
        untouched=shadow["untouched"],
        months=_months(shadow["closed"], len(rows) - shadow["closed"]),
        at=at,
        rows=rows,
    )


def _row(row: dict[str, Any], currency: str) -> EffectRow:
    return EffectRow(
        account_id=row["id"],
        key=row["key"],
        name=row["name"],
        currency=currency,
        starts_on=date.fromisoformat(row["from"]),
        ends_on=date.fromisoformat(row["to"]),
        is_closed=row["closed"],
        own=row["own"],
        old=Decimal(row["old"]),
        new=Decimal(row["new"]),
        unpriced=row["unpriced_new"],
    )


def _months(closed: int, full: int) -> str:
    parts = []
    if closed:
        parts.append(f"the last closed month of {counted(closed, 'account')}")
    if full:
        parts.append(f"the last full month of {counted(full, 'account')}{', not closed yet' if closed else ''}")
    return listed(parts)
