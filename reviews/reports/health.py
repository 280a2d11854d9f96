"""Health as it is shown: the score or the word of a person over it, its band, what moved, and eight weeks of it."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from reviews.calc.recipes import FORCED_REDS
from reviews.models import HealthDay, HealthOverride
from reviews.reports.measured import health_history

WEEKS = 8
ZERO = Decimal(0)
GOOD, FAIR = Decimal(80), Decimal(60)
NOT_SCORED = "Not scored yet: it is done every night."


@dataclass(frozen=True, slots=True)
class PartShown:
    """One measure in points: `points` of at most `weight`; None: not known, for `reason`. `moved` since then.

    Or what is laid over the measures, without a weight: points that a forced red takes, or a person's word adds.
    """

    measure: str
    label: str
    weight: Decimal
    points: Decimal | None
    value: Decimal | None
    reason: str
    moved: Decimal = Decimal(0)

    @property
    def moved_size(self) -> Decimal:
        """By how many points it moved, without the sign."""
        return abs(self.moved)

    @property
    def points_size(self) -> Decimal:
        """The points without their sign."""
        return abs(self.points or ZERO)


@dataclass(frozen=True, slots=True)
class HealthShown:
    """An account's health. `score` is the override's while one holds, else that of `day`; None for `reason`.

    `moved`: points since the day compared with, None if there was no score; `most`: the measure that moved most.
    `parts` and what is `laid_over` them add up to the score, and what they moved to what it moved, exactly.
    `weeks` are (day, score) of the last eight weeks, oldest first.
    """

    score: Decimal | None = None
    reason: str = NOT_SCORED
    day: date | None = None
    override: HealthOverride | None = None
    forced: tuple[str, ...] = ()
    parts: tuple[PartShown, ...] = ()
    laid_over: tuple[PartShown, ...] = ()
    moved: Decimal | None = None
    most: PartShown | None = None
    weeks: tuple[tuple[date, Decimal | None], ...] = ()

    @property
    def band(self) -> str:
        """`good`, `fair`, `poor`, or `none` without a score."""
        if self.score is None:
            return "none"
        return "good" if self.score >= GOOD else "fair" if self.score >= FAIR else "poor"

    @property
    def scores(self) -> list[Decimal | None]:
        """The weeks' scores alone, oldest first."""
        return [score for _, score in self.weeks]

    @property
    def most_words(self) -> str:
        """What moved most, in points: "Reliability −6"."""
        if self.most is None:
            return ""
        sign = "+" if self.most.moved > 0 else "−"
        return f"{self.most.label} {sign}{abs(self.most.moved):.0f}"

    @property
    def moved_words(self) -> str:
        """ "+3" or "−8" points; "" when it did not move or is not known."""
        return f"{'+' if self.moved > 0 else '−'}{abs(self.moved):.0f}" if self.moved else ""

    @property
    def why_not(self) -> str:
        """Why there is no score, without saying again that there is none: "25 of 30 days"."""
        return self.reason.partition(": ")[2].rstrip(".") or self.reason.rstrip(".")

    @property
    def forced_words(self) -> list[str]:
        """Why it is red whatever it scores."""
        return [FORCED_REDS.get(name, name) for name in self.forced]


def shown_health(
    organization_id: UUID, account_ids: Collection[UUID], now: datetime, *, since: date | None = None
) -> dict[UUID, HealthShown]:
    """Return the health of each account at `now`; two queries for any number.

    What moved is told since `since`, seven days before the newest score by default. For the accounts of one page:
    nine weeks of each are read.
    """
    first = min((now - timedelta(weeks=WEEKS + 1)).date(), since or date.max)
    history = health_history(organization_id, account_ids, first)
    said = _overrides(organization_id, account_ids, first)
    return {
        pk: _shown(history.get(pk, ()), said.get(pk, ()), since, now) if pk in history or pk in said else HealthShown()
        for pk in account_ids
    }


def _overrides(organization_id: UUID, account_ids: Collection[UUID], since: date) -> dict[UUID, list[HealthOverride]]:
    """Return {account: the words of people that hold or held since then, the oldest first}."""
    rows = HealthOverride.objects.filter(
        organization_id=organization_id, account__in=list(account_ids), ends_at__gt=_midnight(since)
    )
    found: dict[UUID, list[HealthOverride]] = defaultdict(list)
    for row in rows.select_related("by").order_by("starts_at", "pk"):
        found[row.account_id].append(row)
    return dict(found)


def _held(said: Sequence[HealthOverride], moment: datetime) -> HealthOverride | None:
    """The word that held at a moment, the newest of several."""
    return next(
        (
            row
            for row in reversed(said)
            if row.starts_at <= moment < row.ends_at and (row.ended_at is None or row.ended_at > moment)
        ),
        None,
    )


def _shown(
    days: Sequence[HealthDay], said: Sequence[HealthOverride], since: date | None, now: datetime
) -> HealthShown:
    override = _held(said, now)
    if not days:
        return HealthShown(Decimal(override.score), override=override) if override else HealthShown()
    last = days[-1]
    then = _on(days[:-1], since or last.day - timedelta(days=7))
    score = last.score if override is None else Decimal(override.score)
    parts = tuple(_part(row, then) for row in last.parts)
    laid_over: tuple[PartShown, ...] = ()
    moved = None
    if last.score is not None:
        known_then = then if then is not None and then.score is not None else None
        before = _held(said, _midnight(known_then.day + timedelta(days=1))) if known_then else None
        laid_over = tuple(_laid_over(last, override, known_then, before))
        if score is not None and known_then is not None and known_then.score is not None:
            moved = score - (known_then.score if before is None else Decimal(before.score))
    changed = [part for part in (*parts, *laid_over) if part.moved]
    return HealthShown(
        score,
        last.reason,
        last.day,
        override,
        tuple(last.forced),
        parts,
        laid_over,
        moved,
        max(changed, key=lambda part: abs(part.moved), default=None) if moved is not None else None,
        tuple(_weeks(days)),
    )


def _laid_over(
    last: HealthDay, override: HealthOverride | None, then: HealthDay | None, before: HealthOverride | None
) -> Iterator[PartShown]:
    """Measures that a new recipe left out, what a forced red takes, and what a person's word makes of it."""
    measures = {row["measure"] for row in last.parts}
    dropped = [row["points"] for row in then.parts if row["measure"] not in measures] if then else []
    gone = sum((Decimal(points or 0) for points in dropped), ZERO)
    forced, forced_then = _forced(last), _forced(then)
    word, word_then = _word(last, override), _word(then, before)
    reds = "; ".join(FORCED_REDS.get(name, name) for name in last.forced)
    lines = (
        ("gone", "No longer measured", ZERO, -gone, "The recipe has changed since."),
        ("forced", "Forced red", forced, forced - forced_then, reds or "The condition no longer holds."),
        (
            "word",
            f"Set by {override.by}" if override else "A person’s word",
            word,
            word - word_then,
            override.reason if override else "It no longer holds.",
        ),
    )
    for name, label, points, moved, reason in lines:
        if points or (then and moved):
            yield PartShown(name, label, ZERO, points, None, reason, moved if then else ZERO)


def _forced(day: HealthDay | None) -> Decimal:
    """Points that a forced red takes from what the measures add up to: 0 or less."""
    if day is None or day.score is None:
        return ZERO
    return day.score - sum((Decimal(row["points"] or 0) for row in day.parts), ZERO)


def _word(day: HealthDay | None, override: HealthOverride | None) -> Decimal:
    """Points that a person's word adds to the score of the day."""
    return ZERO if day is None or day.score is None or override is None else Decimal(override.score) - day.score


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _on(days: Sequence[HealthDay], day: date) -> HealthDay | None:
    """The newest of `day` or before."""
    return next((row for row in reversed(days) if row.day <= day), None)


def _part(row: dict[str, Any], then: HealthDay | None) -> PartShown:
    points = None if row["points"] is None else Decimal(row["points"])
    moved = ZERO
    if then is not None and then.score is not None:
        before = {one["measure"]: one["points"] for one in then.parts}
        moved = (points or ZERO) - Decimal(before.get(row["measure"]) or 0)
    value = None if row["value"] is None else Decimal(row["value"])
    return PartShown(row["measure"], row["label"], Decimal(row["weight"]), points, value, row["reason"], moved)


def _weeks(days: Sequence[HealthDay]) -> list[tuple[date, Decimal | None]]:
    """One score a week, each the newest of its week, ending with the newest of all."""
    last, found = days[-1].day, []
    for ago in range(WEEKS - 1, -1, -1):
        row = _on(days, last - timedelta(weeks=ago))
        if row is not None and row.day > last - timedelta(weeks=ago + 1):
            found.append((row.day, row.score))
    return found


def health_year(organization_id: UUID, account_id: UUID, today: date) -> list[tuple[date, Decimal | None, int]]:
    """Return (day, score, recipe's number) of the last 52 weeks, oldest first. One query."""
    rows = HealthDay.objects.filter(
        organization_id=organization_id, account=account_id, day__gte=today - timedelta(weeks=52)
    )
    return list(rows.order_by("day").values_list("day", "score", "recipe__number"))


# One look into the index for each account, as for metrics.
_SCORES = """
SELECT wanted.id, coalesce(said.score, kept.score)
FROM unnest(%(accounts)s::uuid[]) AS wanted(id)
LEFT JOIN LATERAL (
    SELECT score FROM reviews_healthday
    WHERE organization_id = %(organization)s AND account_id = wanted.id AND day <= %(day)s
    ORDER BY day DESC LIMIT 1
) AS kept ON true
LEFT JOIN LATERAL (
    SELECT score FROM reviews_healthoverride
    WHERE organization_id = %(organization)s AND account_id = wanted.id AND ended_at IS NULL
        AND starts_at <= %(now)s AND ends_at > %(now)s
    ORDER BY starts_at DESC, id DESC LIMIT 1
) AS said ON true
"""


def scores(
    organization_id: UUID, account_ids: Collection[UUID], now: datetime, day: date = date.max
) -> dict[UUID, Decimal | None]:
    """Return only the score of each account, overrides respected; one query, for lists of thousands.

    With `day` that of then, or the newest before it.
    """
    named: dict[str, Any] = {"organization": organization_id, "accounts": [str(pk) for pk in account_ids]}
    with connection.cursor() as cursor:
        cursor.execute(_SCORES, named | {"now": now, "day": day})
        return dict(cursor.fetchall())


@dataclass(frozen=True, slots=True)
class Band:
    """An account's score as it was shown at its last look, None: it was not scored then."""

    score: Decimal | None

    @property
    def band(self) -> str:
        """As of HealthShown."""
        return HealthShown(self.score).band


# The word of a person counts if it held at the moment of the look, whatever became of it since.
_BANDS = """
SELECT wanted.id, coalesce(said.score, kept.score)
FROM unnest(%(accounts)s::uuid[]) AS wanted(id)
CROSS JOIN LATERAL (
    SELECT score, computed_at FROM reviews_healthday
    WHERE organization_id = %(organization)s AND account_id = wanted.id
    ORDER BY day DESC LIMIT 1
) AS kept
LEFT JOIN LATERAL (
    SELECT score FROM reviews_healthoverride
    WHERE organization_id = %(organization)s AND account_id = wanted.id AND starts_at <= kept.computed_at
        AND ends_at > kept.computed_at AND (ended_at IS NULL OR ended_at > kept.computed_at)
    ORDER BY starts_at DESC, id DESC LIMIT 1
) AS said ON true
"""


def bands(organization_id: UUID, account_ids: Collection[UUID]) -> dict[UUID, Band]:
    """Return what each account that was ever looked at was shown with at its last look. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_BANDS, {"organization": organization_id, "accounts": [str(pk) for pk in account_ids]})
        return {account: Band(score) for account, score in cursor.fetchall()}
