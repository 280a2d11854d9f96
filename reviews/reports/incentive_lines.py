"""A line of the incentive ledger, and the lines of one person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from accounts.models import Account, User
from consumption_cs.lib.display import counted
from reviews.calc.quarters import Quarter, Week
from reviews.models import IncentiveDispute


@dataclass(frozen=True, slots=True)
class Excused:
    """Something that bears on a line: local days [starts_on, ends_on), and who approved it when; None: it waits."""

    words: str
    note: str
    starts_on: date
    ends_on: date | None
    by: User | None = None
    at: datetime | None = None

    @property
    def is_approved(self) -> bool:
        return self.at is not None


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One account of one person in a quarter: percent of whole weeks in band (None: `why_not`), depth, disputes.

    `day` is the last day that counts. `target` is what the commits plan for a week. Depth is as of the last measure in
    the quarter, None where there is none. `disputes` are all that was said, the earliest first.
    """

    account: Account
    person: User
    quarter: Quarter
    day: date | None
    in_band: Decimal | None
    why_not: str
    target: Decimal | None
    weeks: tuple[Week, ...]
    workflows: int | None
    ladder: Decimal | None
    top_share: Decimal | None
    items: tuple[Excused, ...]
    disputes: tuple[IncentiveDispute, ...]

    @property
    def share(self) -> float:
        """Weeks in band of 0 to 1: the length of a bar."""
        return float(self.in_band or 0) / 100

    @property
    def counted(self) -> list[Week]:
        """The weeks that count."""
        return [week for week in self.weeks if not week.is_excused]

    @property
    def inside(self) -> int:
        """How many weeks that count were in band."""
        target = self.target
        return 0 if target is None else sum(week.is_inside(target) for week in self.counted)

    @property
    def excused(self) -> list[Excused]:
        return [one for one in self.items if one.is_approved]

    @property
    def waiting(self) -> list[Excused]:
        """What somebody entered and nobody approved yet."""
        return [one for one in self.items if not one.is_approved]

    @property
    def excused_words(self) -> str:
        return "; ".join(f"{one.words}, approved by {one.by or 'the system'}" for one in self.excused)

    @property
    def dispute(self) -> IncentiveDispute | None:
        """What was said last: raised and not answered, or the last answer. None: nobody disputed the line."""
        return self.disputes[-1] if self.disputes else None

    @property
    def open_dispute(self) -> IncentiveDispute | None:
        last = self.dispute
        return last if last is not None and last.step == IncentiveDispute.Step.RAISED else None


def line_told(line: LedgerLine) -> dict[str, str]:
    """Return the line in words by column, as it stands now: what a dispute is about."""
    band = (
        f"not known, {line.why_not.lower().rstrip('.')}"
        if line.why_not
        else f"{line.in_band:.0f}%, {line.inside} of {counted(len(line.counted), 'week')}"
    )
    told = (
        band,
        _or_not_known(line.workflows),
        _or_not_known(line.ladder, "%"),
        _or_not_known(line.top_share, "%"),
        line.excused_words or "nothing",
    )
    return dict(zip(IncentiveDispute.COLUMNS, told, strict=True))


def _or_not_known(number: Decimal | int | None, unit: str = "") -> str:
    return "not known" if number is None else f"{number:.0f}{unit}"


@dataclass(frozen=True, slots=True)
class PersonLines:
    """One person's lines of a quarter: weeks in band over all of their accounts that have some."""

    person: User
    lines: tuple[LedgerLine, ...]

    @property
    def weeks(self) -> int:
        """The weeks that count, of accounts whose weeks in band are known."""
        return sum(len(line.counted) for line in self.lines if line.in_band is not None)

    @property
    def inside(self) -> int:
        return sum(line.inside for line in self.lines if line.in_band is not None)

    @property
    def in_band(self) -> Decimal | None:
        """Percent of all those weeks; None without any."""
        return Decimal(self.inside) * 100 / self.weeks if self.weeks else None

    @property
    def share(self) -> float:
        return self.inside / self.weeks if self.weeks else 0.0

    @property
    def workflows(self) -> int | None:
        known = [line.workflows for line in self.lines if line.workflows is not None]
        return sum(known) if known else None

    @property
    def excused(self) -> int:
        return sum(len(line.excused) for line in self.lines)

    @property
    def open_disputes(self) -> int:
        return sum(line.open_dispute is not None for line in self.lines)


def by_person(lines: Sequence[LedgerLine]) -> list[PersonLines]:
    """Return the lines of each person, in the order of the lines."""
    found: dict[UUID, list[LedgerLine]] = {}
    for line in lines:
        found.setdefault(line.person.pk, []).append(line)
    return [PersonLines(own[0].person, tuple(own)) for own in found.values()]
