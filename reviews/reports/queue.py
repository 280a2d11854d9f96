"""The book: which accounts need somebody, ranked, with one reason each; a dozen queries for any number of accounts."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import Min, Q, prefetch_related_objects
from django.urls import reverse

from accounts.models import Account, User
from budgets.models import Alert
from consumption_cs.lib.periods import as_utc, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.queue import GROUPS, LATER, NONE, READS, TODAY, WEEK, Due, Standing, standing
from reviews.models import BookTerms, Cover, QueueSnooze, Task, TimelineEntry
from reviews.reports.health import HealthShown, scores, shown_health
from reviews.reports.measured import Measured, latest_metrics, latest_numbers
from reviews.reports.people_then import TOUCHES
from reviews.reports.plays import RunShown, open_runs
from reviews.reports.queue_words import RunOutShown, at_risk_words, run_out_shown, sentence

ZERO = Decimal(0)
NOTHING_DUE = Due()
PAGE = 25
FILLED_AT_ONCE = 200
THIN = Decimal("0.01")  # of all: what a picture of thousands does not draw by itself
NOT_SCORED = HealthShown()
VIEWS = {
    "mine": "Mine",
    "run_outs": "Run-outs in 90 days",
    "onboarding": "Stalled onboarding",
    "review": "Value review due",
}
SORTS = {"rank": "risk × urgency", "risk": "at risk", "health": "health, worst first", "name": "name"}
HEALTH = {"poor": "below 60", "fair": "60 to 79", "good": "80 and more", "none": "not scored"}


@dataclass(frozen=True, slots=True)
class Filters:
    """What of the book is asked for; "" is any. `owner`: "me" (and whom they cover), "all", or a person's id."""

    view: str = "mine"
    needs: str = "attention"
    reason: str = ""
    tier: str = ""
    health: str = ""
    owner: str = "me"
    words: str = ""
    sort: str = "rank"
    page: int = 1


@dataclass(slots=True)
class Row:
    """One account of the book; `numbers` are those of READS. What is told in words is filled for the page only."""

    account: Account
    today: date
    found: Measured
    numbers: dict[str, Decimal | None]
    standing: Standing
    at_risk: Decimal = ZERO
    covered_for: str = ""
    score: Decimal | None = None
    health: HealthShown = NOT_SCORED
    runs: list[RunShown] = field(default_factory=list)
    touch: TimelineEntry | None = None
    sentence: str = ""
    at_risk_words: str = ""
    task: Task | None = None
    has_urgent_alert: bool = False
    run_out: RunOutShown | None = None

    @property
    def url(self) -> str:
        """The account's brief."""
        return reverse("reviews:brief", args=[self.account.pk])

    @property
    def reason_key(self) -> str:
        """What it is about, so that a snooze ends when it is about something else."""
        return self.standing.reasons[0].key if self.standing.reasons else self.standing.group

    @property
    def tickable(self) -> UUID | None:
        """The task or step that its owner does next."""
        if self.run is not None:
            return self.run.next_task
        return self.task.pk if self.task else None

    @property
    def run(self) -> RunShown | None:
        """The play that is due first."""
        return self.runs[0] if self.runs else None


@dataclass(frozen=True, slots=True)
class GroupShown:
    """A stretch of the queue: its rows on this page, and of all pages how many and how much per currency."""

    key: str
    name: str
    rows: list[Row]
    accounts: int
    at_risk: dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class Stake:
    """What is at risk at one account, or as one at neighbours in the order of which each has less than THIN of all."""

    group: str
    name: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Queue:
    """The book as asked for. `everything` counts the owner's accounts, `chosen` those that fit, before paging.

    `at_risk` is per currency, of all of them; `stakes` those of the main currency in their order. It holds the rows
    of the page only: what a template was given lives until the garbage collector comes, and all would be thousands.
    """

    filters: Filters
    groups: list[GroupShown]
    everything: int
    chosen: int
    on_track: int
    snoozed: int
    at_risk: dict[str, Decimal]
    today_accounts: int
    today_at_risk: dict[str, Decimal]
    covered: int
    currency: str
    stakes: list[Stake]
    first: Row | None
    pages: int
    counts: dict[str, int]
    late: int
    data_through: datetime | None

    @property
    def rows(self) -> list[Row]:
        return [row for group in self.groups for row in group.rows]


def queue(viewer: Viewer, now: datetime, filters: Filters) -> Queue:
    """Return the viewer's book at `now`. Within `act_as(viewer)`."""
    covers = covers_of(viewer, now)
    everything = [row for row in _rows(viewer, now) if _is_owned(row, viewer, filters.owner, covers)]
    for row in everything:
        person = covers.get(row.account.csm_id) if row.account.csm_id else None
        row.covered_for = str(person) if person and filters.owner == "me" else ""
    snoozed = _snoozed(viewer, now, everything)
    if filters.health or filters.sort == "health":
        known = scores(viewer.organization_id, [row.account.pk for row in everything], now)
        for row in everything:
            row.score = known.get(row.account.pk)
    awake = [row for row in everything if row.account.pk not in snoozed]
    chosen = _sorted([row for row in awake if _fits(row, filters)], filters.sort)
    pages = max(-(-len(chosen) // PAGE), 1)
    page = min(max(filters.page, 1), pages)
    shown = chosen[(page - 1) * PAGE : page * PAGE]
    _fill(viewer, now, shown)
    waiting = [row for row in awake if row.standing.group != NONE]
    at_risk = _totals(everything)
    currency = max(at_risk, key=lambda code: (at_risk[code], code), default="USD")
    today = [row for row in waiting if row.standing.group == TODAY]
    ranked = _sorted(waiting, "rank")
    first = ranked[0] if ranked else None
    if first is not None and first not in shown:
        _fill(viewer, now, [first])
    return Queue(
        filters=replace(filters, page=page),
        groups=_groups(chosen, shown, filters.sort),
        everything=len(everything),
        chosen=len(chosen),
        on_track=len(awake) - len(waiting),
        snoozed=len(snoozed),
        at_risk=at_risk,
        today_accounts=len(today),
        today_at_risk=_totals(today),
        covered=sum(bool(row.covered_for) for row in everything),
        currency=currency,
        stakes=_stakes([row for row in ranked if row.account.currency == currency and row.at_risk > 0]),
        first=first,
        pages=pages,
        counts={view: sum(_in_view(row, view) for row in awake) for view in VIEWS},
        late=sum(row.standing.days_late > 0 for row in waiting),
        data_through=max((row.found.computed_at for row in everything if row.found.computed_at), default=None),
    )


def whole_queue(viewer: Viewer, now: datetime, filters: Filters, among: Collection[UUID] | None = None) -> list[Row]:
    """Return all rows that fit, with their words, not only a page of them: for a file. `among`: only of these."""
    covers = covers_of(viewer, now)
    rows = [row for row in _rows(viewer, now) if _is_owned(row, viewer, filters.owner, covers)]
    if among is not None:
        rows = [row for row in rows if row.account.pk in among]
    known = scores(viewer.organization_id, [row.account.pk for row in rows], now)
    for row in rows:
        row.score = known.get(row.account.pk)
    chosen = _sorted([row for row in rows if _fits(row, filters)], filters.sort)
    for first in range(0, len(chosen), FILLED_AT_ONCE):
        _fill(viewer, now, chosen[first : first + FILLED_AT_ONCE])
    return chosen


def order_of(viewer: Viewer, now: datetime) -> list[UUID]:
    """Return the accounts of the viewer's own queue in its order, those on track last: for previous and next."""
    covers = covers_of(viewer, now)
    rows = [row for row in _rows(viewer, now) if _is_owned(row, viewer, "me", covers)]
    return [row.account.pk for row in _sorted(rows, "rank")]


def covers_of(viewer: Viewer, now: datetime) -> dict[UUID, User]:
    """Return the people whose accounts the viewer looks after at `now`."""
    rows = Cover.objects.visible_to(viewer).filter(
        covered_by_id=viewer.user_id, starts_on__lte=now.date(), ends_on__gt=now.date()
    )
    return {row.absent_id: row.absent for row in rows.select_related("absent")}


def _rows(viewer: Viewer, now: datetime) -> list[Row]:
    """Every account with its metrics and where it stands, without words."""
    accounts = list(Account.objects.visible_to(viewer).order_by("name", "pk"))
    found = latest_numbers(viewer.organization_id, [account.pk for account in accounts], READS)
    terms = BookTerms.objects.visible_to(viewer).first() or BookTerms()
    due, reviews = _due(viewer, now), _reviews(viewer)
    rows = []
    for account in accounts:
        today = day_of(as_utc(now), zone_of(account.timezone))
        own = due.get(account.pk, NOTHING_DUE)
        last = reviews.get(account.pk) or account.contract_starts_on
        if last is not None:
            own = replace(own, review_days=(last + timedelta(days=terms.review_days) - today).days)
        measured = found[account.pk]
        numbers = numbers_of(measured)
        stands = standing(numbers, own, today, onboarding_days=terms.onboarding_days)
        at_risk = numbers.get("at_risk") or ZERO
        rows.append(Row(account, today, measured, numbers, stands, at_risk, has_urgent_alert=own.has_urgent_alert))
    return rows


def numbers_of(found: Measured) -> dict[str, Decimal | None]:
    """Return those metrics that say where an account stands; the others of thousands of accounts are not parsed."""
    return {name: Decimal(text) for name in READS if (text := found.numbers.get(name)) is not None}


def _due(viewer: Viewer, now: datetime) -> dict[UUID, Due]:
    """Return for each account the next step of its plays, its next task, and whether a critical alert waits."""
    found: dict[UUID, Due] = defaultdict(Due)
    # What a run left undone is dropped with its end, so an open step is one of a running play.
    tasks = Task.objects.visible_to(viewer).filter(done_at=None, dropped_at=None, due_on__isnull=False)
    dates = tasks.values("account_id").annotate(
        step=Min("due_on", filter=Q(run__isnull=False)), own=Min("due_on", filter=Q(run=None))
    )
    for row in dates:
        found[row["account_id"]] = Due(step_on=row["step"], task_on=row["own"])
    alerts = Alert.objects.visible_to(viewer).filter(
        severity=Alert.Severity.CRITICAL, state=Alert.State.OPEN, is_silent=False, bundled_into=None
    )
    for account in alerts.order_by("account_id").values_list("account_id", flat=True).distinct():
        found[account] = replace(found[account], has_urgent_alert=True)
    return found


def _reviews(viewer: Viewer) -> dict[UUID, date]:
    """Return the day of each account's last value review."""
    rows = TimelineEntry.objects.visible_to(viewer).filter(kind=TimelineEntry.Kind.REVIEW, removed_at=None)
    newest = rows.order_by("account_id", "-at").distinct("account_id").values_list("account_id", "at")
    return {account: at.date() for account, at in newest}


def _is_owned(row: Row, viewer: Viewer, owner: str, covers: dict[UUID, User]) -> bool:
    if owner == "all":
        return True
    people = {row.account.csm_id, row.account.field_cto_id} - {None}
    if owner == "me":
        return viewer.user_id in people or row.account.csm_id in covers
    return owner in {str(person) for person in people}


def _snoozed(viewer: Viewer, now: datetime, rows: Iterable[Row]) -> set[UUID]:
    kept = QueueSnooze.objects.visible_to(viewer).filter(user_id=viewer.user_id, until__gt=now)
    about = dict(kept.values_list("account_id", "reason_key"))
    return {row.account.pk for row in rows if about.get(row.account.pk) == row.reason_key}


def _fits(row: Row, filters: Filters) -> bool:
    words = filters.words.lower().split()
    named = f"{row.account.name} {row.account.key}".lower()
    return (
        _in_view(row, filters.view)
        and (filters.needs != "attention" or row.standing.group != NONE)
        and (not filters.reason or filters.reason in {one.key for one in row.standing.reasons})
        and (not filters.tier or row.account.tier == filters.tier)
        and (not filters.health or HealthShown(row.score).band == filters.health)
        and all(word in named for word in words)
    )


def _in_view(row: Row, view: str) -> bool:
    if view == "run_outs":
        days = row.numbers.get("run_out_p50")
        return days is not None and days <= 90 and (row.numbers.get("commit_granted") or ZERO) > 0
    if view == "onboarding":
        return any(one.key == "stalled" for one in row.standing.reasons)
    if view == "review":
        return any(one.key == "review" for one in row.standing.reasons)
    return True


def _sorted(rows: Sequence[Row], sort: str) -> list[Row]:
    groups = list(GROUPS)
    if sort == "name":
        return sorted(rows, key=lambda row: (row.account.name.lower(), row.account.pk))
    if sort == "risk":
        return sorted(rows, key=lambda row: (-row.at_risk, row.account.name.lower()))
    if sort == "health":
        return sorted(rows, key=lambda row: (row.score is None, row.score or ZERO, row.account.name.lower()))
    return sorted(
        rows, key=lambda row: (groups.index(row.standing.group), -row.standing.rank, row.account.name.lower())
    )


def _groups(chosen: Sequence[Row], shown: Sequence[Row], sort: str) -> list[GroupShown]:
    if sort != "rank":  # groups would break another order
        name = f"By {SORTS[sort]}"
        return [GroupShown(sort, name, list(shown), len(chosen), _totals(chosen))] if shown else []
    found = []
    for key in (TODAY, WEEK, LATER, NONE):
        own, every = ([row for row in rows if row.standing.group == key] for rows in (shown, chosen))
        if own:
            found.append(GroupShown(key, GROUPS[key], own, len(every), _totals(every)))
    return found


def _totals(rows: Iterable[Row]) -> dict[str, Decimal]:
    """At risk per currency, the largest first; currencies without any are left out."""
    found: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for row in rows:
        if row.at_risk > 0:
            found[row.account.currency] += row.at_risk
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _stakes(rows: Sequence[Row]) -> list[Stake]:
    thin = THIN * sum((row.at_risk for row in rows), ZERO)
    found: list[Stake] = []
    for row in rows:
        group = row.standing.group
        if found and found[-1].group == group and max(found[-1].amount, row.at_risk) < thin:
            found[-1] = Stake(group, "", found[-1].amount + row.at_risk)
        else:
            found.append(Stake(group, row.account.name, row.at_risk))
    return found


def _fill(viewer: Viewer, now: datetime, rows: Sequence[Row]) -> None:
    """Add what is told of these rows: a handful of queries for a page."""
    ids = [row.account.pk for row in rows]
    if not ids:
        return
    # Few people own many accounts: each is read once.
    prefetch_related_objects([row.account for row in rows], "csm", "field_cto")
    found = latest_metrics(viewer.organization_id, ids)
    health = shown_health(viewer.organization_id, ids, now)
    runs = open_runs(viewer, ids, now)
    entries = TimelineEntry.objects.visible_to(viewer).filter(
        account__in=ids, kind__in=TOUCHES, removed_at=None, at__lte=now
    )
    newest = entries.select_related("by").order_by("account_id", "-at", "-pk").distinct("account_id")
    touches = {entry.account_id: entry for entry in newest}
    tasks = Task.objects.visible_to(viewer).filter(account__in=ids, run=None, done_at=None, dropped_at=None)
    first = {task.account_id: task for task in tasks.filter(due_on__isnull=False).order_by("account_id", "-due_on")}
    for row in rows:
        pk = row.account.pk
        row.found, row.health = found[pk], health[pk]
        row.score = row.health.score
        row.runs, row.touch, row.task = runs.get(pk, []), touches.get(pk), first.get(pk)
        row.sentence = sentence(row.standing.reasons, row.found, row.today, row.run.key if row.run else "")
        row.at_risk_words = at_risk_words(row.found, row.today)
        row.run_out = run_out_shown(row.found, row.today, row.account.currency)
