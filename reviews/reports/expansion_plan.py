"""The plan of a quarter: what is to be brought into production, by whom, and whether there are the weeks for it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from accounts.models import User
from consumption_cs.lib.display import counted
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.expansion import GUIDE, Load
from reviews.models import Candidate, ExpansionCapacity

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Person:
    """What somebody is to do in a quarter. `load.weeks` is zero when nobody said how many there are."""

    name: str
    load: Load
    count: int
    is_told: bool

    @property
    def words(self) -> str:
        """In words what does not fit; empty when it does."""
        return f"{weeks(self.load.over)} too many" if self.load.over else ""


@dataclass(frozen=True, slots=True)
class Quarter:
    """The candidates planned for a quarter against the weeks of each person, and what does not fit, in words."""

    starts_on: date
    rows: Sequence[Candidate]
    people: Sequence[Person]
    problems: Sequence[str]

    @property
    def load(self) -> Load:
        planned = sum((row.effort_weeks or ZERO for row in self.rows), ZERO)
        return Load(planned, sum((one.load.weeks for one in self.people), ZERO))

    @property
    def over(self) -> Decimal:
        """The weeks that do not fit, person by person: one's spare weeks do not do another's work."""
        return sum((one.load.over for one in self.people if one.is_told), ZERO)


def weeks(count: Decimal) -> str:
    """Return "2 weeks" or "1.5 weeks"."""
    return f"{count.normalize():f} {'week' if count == 1 else 'weeks'}"


def quarter_plans(viewer: Viewer, rows: Iterable[Candidate]) -> list[Quarter]:
    """Return every quarter that has planned candidates or weeks, the earliest first."""
    planned: dict[date, list[Candidate]] = defaultdict(list)
    for row in rows:
        if row.quarter:
            planned[row.quarter].append(row)
    told: dict[date, dict[str, Decimal]] = defaultdict(dict)
    for stock in ExpansionCapacity.objects.visible_to(viewer).select_related("user"):
        told[stock.quarter][_name(stock.user)] = stock.weeks
    return [_quarter(day, planned[day], told[day]) for day in sorted({*planned, *told})]


def _quarter(day: date, rows: Sequence[Candidate], told: dict[str, Decimal]) -> Quarter:
    work: dict[str, list[Candidate]] = defaultdict(list)
    for row in rows:
        work[_name(row.owner)].append(row)
    people = [
        Person(
            name, Load(sum((row.effort_weeks or ZERO for row in work[name]), ZERO), told.get(name, ZERO)),
            len(work[name]), name in told,
        )
        for name in sorted({*work, *told} - {""})
    ]  # fmt: skip
    return Quarter(day, rows, people, _problems(rows, work, people))


def _problems(rows: Sequence[Candidate], work: dict[str, list[Candidate]], people: Sequence[Person]) -> list[str]:
    said = [
        f"{one.name} has {weeks(one.load.weeks)} and {weeks(one.load.planned)} planned: {one.words}."
        for one in people
        if one.is_told and one.load.over
    ]
    said += [
        f"Nobody said how many weeks {one.name} has: {weeks(one.load.planned)} are planned."
        for one in people
        if not one.is_told
    ]
    if work.get(""):
        said.append(f"Nobody answers for {counted(len(work['']), 'candidate')}.")
    unknown = sum(row.effort_weeks is None for row in rows)
    if unknown:
        said.append(f"{counted(unknown, 'candidate')} without an effort: the load is higher than shown.")
    by_account: dict[str, int] = defaultdict(int)
    for row in rows:
        by_account[row.account.name] += 1
    return said + [
        f"{name} plans {count} workflows: two or three a quarter are what a team brings in."
        for name, count in sorted(by_account.items())
        if count > GUIDE
    ]


def _name(user: User | None) -> str:
    return str(user.name or user.email) if user else ""
