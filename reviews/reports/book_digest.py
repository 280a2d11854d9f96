"""The week of a book: commit drawn, who is new in the queue, who left, what moved; for the page and Monday's mail."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import Q, Sum

from accounts.models import Account, Membership, Role
from budgets.models import LedgerEntry
from consumption_cs.lib.display import counted, listed, money_text, percent_text, quantity_text
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.book_week import Change, Then, change
from reviews.models import Cover, HealthDay
from reviews.reports.measured import Measured, metrics_on
from reviews.reports.queue import numbers_of
from reviews.reports.value_due import due_words, value_due

ZERO = Decimal(0)
DAYS = 7
STALE = 3  # a day that was not measured is answered by one up to so many days before it
ERROR_TARGET = Decimal(12)
NAMED = 3


@dataclass(slots=True)
class Week:
    """What the seven days before `ends_on` did to some accounts. Money is per currency; pairs are (name, how much)."""

    starts_on: date
    ends_on: date
    accounts: int = 0
    drawn: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    drawn_before: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    new: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    earlier: list[tuple[str, int]] = field(default_factory=list)
    down: list[tuple[str, int]] = field(default_factory=list)
    errors: list[Decimal] = field(default_factory=list)
    due: Counter[str] = field(default_factory=Counter)  # what waits for somebody in the value of accounts, by kind

    @property
    def error(self) -> Decimal | None:
        """The mean error of the month-end forecasts of 30 days, in percent; None: none has been scored."""
        return sum(self.errors, ZERO) / len(self.errors) if self.errors else None

    @property
    def last_day(self) -> date:
        return self.ends_on - timedelta(days=1)

    @property
    def span(self) -> str:
        """ "Nov 16 – 22"."""
        first, last = self.starts_on, self.last_day
        end = f"{last.day}" if first.month == last.month else f"{last:%b} {last.day}"
        return f"{first:%b} {first.day} – {end}"


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of the week, with what is said of it; `tone` "good", "bad" or ""."""

    label: str
    value: str
    note: str = ""
    tone: str = ""


def weeks_of(viewer: Viewer, ends_on: date, people: Collection[UUID]) -> dict[UUID | None, Week]:
    """Return the week of each of these people's accounts, and under None that of all. Twelve queries."""
    accounts = list(Account.objects.visible_to(viewer).order_by("name", "pk"))
    starts_on = ends_on - timedelta(days=DAYS)
    found: dict[UUID | None, Week] = {pk: Week(starts_on, ends_on) for pk in (None, *people)}
    covers = _covers(viewer, ends_on)
    facts = _Facts(viewer, accounts, ends_on)
    for account in accounts:
        owners = {account.csm_id, account.field_cto_id, *covers.get(account.csm_id, ())} & set(people)
        for owner in (None, *owners):
            facts.add(found[owner], account)
    return found


def _covers(viewer: Viewer, day: date) -> dict[UUID | None, list[UUID]]:
    found: dict[UUID | None, list[UUID]] = defaultdict(list)
    rows = Cover.objects.visible_to(viewer).filter(starts_on__lte=day, ends_on__gt=day)
    for absent, by in rows.values_list("absent_id", "covered_by_id"):
        found[absent].append(by)
    return found


class _Facts:
    """What the two ends of the week say of each account, read once."""

    def __init__(self, viewer: Viewer, accounts: Sequence[Account], ends_on: date) -> None:
        ids = [account.pk for account in accounts]
        last = ends_on - timedelta(days=1)
        first = last - timedelta(days=DAYS)
        self.after = metrics_on(viewer.organization_id, ids, last, numbers_only=True)
        self.before = metrics_on(viewer.organization_id, ids, first, numbers_only=True)
        self.scores_after = _scores(viewer.organization_id, last)
        self.scores_before = _scores(viewer.organization_id, first)
        self.drawn = _drawn(viewer, ends_on)
        self.due = value_due(viewer, ends_on)

    def add(self, week: Week, account: Account) -> None:
        pk, name = account.pk, account.name
        week.accounts += 1
        for sums, amount in zip((week.drawn, week.drawn_before), self.drawn.get(pk, (ZERO, ZERO)), strict=True):
            if amount:
                sums[account.currency] += amount
        found: Change = change(
            _then(self.before[pk], self.scores_before.get(pk)), _then(self.after[pk], self.scores_after.get(pk))
        )
        if found.is_new:
            week.new.append(name)
        if found.has_left:
            week.left.append(name)
        if found.earlier:
            week.earlier.append((name, found.earlier))
        if found.down:
            week.down.append((name, found.down))
        week.due.update(one.kind for one in self.due.get(pk, ()))
        error = self.after[pk].number("forecast_error_percent")
        if error is not None:
            week.errors.append(error)


def _then(found: Measured, score: Decimal | None) -> Then:
    return Then(found.day, numbers_of(found), score)


def _scores(organization_id: UUID, day: date) -> dict[UUID, Decimal]:
    rows = HealthDay.objects.filter(
        organization_id=organization_id, day__lte=day, day__gt=day - timedelta(days=STALE), score__isnull=False
    )
    return dict(rows.order_by("day").values_list("account_id", "score"))


def _drawn(viewer: Viewer, ends_on: date) -> dict[UUID, tuple[Decimal, Decimal]]:
    """Account → drawn from its commits in the week, and in the week before."""
    week = ends_on - timedelta(days=DAYS)
    rows = LedgerEntry.objects.visible_to(viewer).filter(
        kind=LedgerEntry.Kind.DRAWN, day__gte=week - timedelta(days=DAYS), day__lt=ends_on
    )
    sums = (
        rows.order_by()
        .values("account_id")
        .annotate(now=Sum("amount", filter=Q(day__gte=week)), then=Sum("amount", filter=Q(day__lt=week)))
    )
    return {row["account_id"]: (-(row["now"] or ZERO), -(row["then"] or ZERO)) for row in sums}


def lines(week: Week) -> list[Line]:
    """Return the figures of a week as they are shown and mailed."""
    error = week.error
    good = error is not None and error <= ERROR_TARGET
    waits = [Line("Value waits for somebody", str(week.due.total()), due_words(week.due))] if week.due else []
    return [
        *waits,
        Line("Commit drawn", _money(week.drawn), _on_the_week_before(week)),
        Line("New in the queue", str(len(week.new)), _names(week.new)),
        Line("Left the queue", str(len(week.left)), _names(week.left), "good" if week.left else ""),
        Line("Run-outs moved earlier", str(len(week.earlier)), _by(week.earlier, "{} {} days")),
        Line("Health down 5 or more", str(len(week.down)), _by(week.down, "{} −{}"), "bad" if week.down else ""),
        Line(
            "Forecast error, 30 days",
            f"{quantity_text(error, places=1)}%" if error is not None else "not scored yet",
            f"target {ERROR_TARGET}% or less" if error is not None else "needs a month that has ended",
            "" if error is None else "good" if good else "bad",
        ),
    ]


def text_of(week: Week) -> str:
    """The week in one sentence."""
    new, left = len(week.new), len(week.left)
    came = f"{counted(new, 'account')} came into the queue" if new else "Nobody came into the queue"
    went = f"{left} left it" if left else "nobody left it"
    return f"{came} and {went}. Drawn from commits: {_money(week.drawn)}."


def seats_weeks(viewer: Viewer, ends_on: date, seats: Iterable[Membership]) -> dict[UUID, Week]:
    """Return the week of each seat that looks after accounts: its own, or for leaders all."""
    staff = [seat for seat in seats if seat.account_id is None]
    found = weeks_of(viewer, ends_on, {seat.user_id for seat in staff})
    told = {seat.pk: found[None if seat.role == Role.LEADER else seat.user_id] for seat in staff}
    return {pk: week for pk, week in told.items() if week.accounts}


def _largest(amounts: dict[str, Decimal]) -> list[tuple[str, Decimal]]:
    return sorted(amounts.items(), key=lambda pair: (-pair[1], pair[0]))


def _money(amounts: dict[str, Decimal]) -> str:
    return " + ".join(money_text(amount, code, places=0) for code, amount in _largest(amounts)) or "nothing"


def _on_the_week_before(week: Week) -> str:
    """In the currency of which most was drawn."""
    if not week.drawn:
        return ""
    code, now = _largest(week.drawn)[0]
    then = week.drawn_before.get(code, ZERO)
    of = f"{code} " if len(week.drawn) > 1 else ""
    if then <= 0:
        return f"{of}nothing the week before"
    return f"{of}{percent_text(now / then - 1, places=0, signed=True)} on the week before"


def _names(names: list[str]) -> str:
    return listed([*names[:NAMED], f"{len(names) - NAMED} more"] if len(names) > NAMED else names)


def _by(pairs: list[tuple[str, int]], words: str) -> str:
    most = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
    said = [words.format(name, size) for name, size in most[:NAMED]]
    return ", ".join(said) + (f" and {len(most) - NAMED} more" if len(most) > NAMED else "")
