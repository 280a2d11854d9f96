"""The daily check of plays: which begin, which have reached their exit, and whose first step is late.

A play begins where its entry holds and its exit does not, at most once at a time for an account (or workflow); the
constraint says so last. What ended by its exit does not begin again on the same local day, and where it begins and
where it ends lie apart, so that nothing flaps. What a person stopped does not begin again for 30 days.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Min

from accounts.models import Account
from consumption_cs.lib.periods import as_utc, day_of, zone_of
from reviews.actions.play_catalog import ensure_plays
from reviews.actions.play_runs import Begin, End, begin_runs, end_runs, ends_with_steps, mark_late
from reviews.calc.condition_words import compared, days_needed, leaves, metrics_of
from reviews.calc.conditions import evaluate
from reviews.models import PlayRun, PlayVersion
from reviews.reports.measured import Measured, metric_history, metrics_on
from reviews.reports.play_workflows import WorkflowValues, workflow_values
from usage.models import Workflow

STOPPED_FOR = timedelta(days=30)
STALE = timedelta(days=3)  # figures older than this neither begin nor end anything
MISSED = 2  # days without a look that a row of days survives

Series = dict[str, list[float | None]]


@dataclass(slots=True)
class _Look:
    """All that one check reads."""

    today: dict[UUID, date]
    accounts: dict[UUID, Account]
    measured: dict[UUID, Measured]
    running: dict[tuple[UUID, UUID, UUID | None], PlayRun]
    rested: dict[tuple[UUID, UUID, UUID | None], PlayRun]  # the last that ended in the last 30 days
    waiting: set[tuple[UUID, UUID, UUID | None]] = field(default_factory=set)  # running, and no step is done yet
    histories: dict[UUID, Series] = field(default_factory=dict)
    workflows: dict[UUID, list[WorkflowValues]] = field(default_factory=dict)

    def latest(self, account: UUID, names: Sequence[str]) -> Series:
        return {name: [_float(self.measured[account].number(name))] for name in names}

    def series(self, account: UUID, names: Sequence[str]) -> Series:
        kept = self.histories.get(account)
        return kept if kept is not None else self.latest(account, names)


def check(organization_id: UUID, now: datetime, account_ids: Sequence[UUID] | None = None) -> list[PlayRun]:
    """Begin, end and mark late what is due at `now`; return the runs that began. In the caller's transaction.

    A dozen queries for any number of accounts, and a handful more where something happens. Again changes nothing.
    """
    versions = active_versions(organization_id)
    look = _look(organization_id, now, account_ids)
    _read_histories(organization_id, look, versions)
    _read_workflows(organization_id, look, versions)
    began = begin_runs(organization_id, now, list(_begins(look, versions, now)))
    end_runs(organization_id, now, list(_ends(look)))
    late = [
        run for key, run in look.running.items() if run.ended_at is None and run.due_at < now and key in look.waiting
    ]
    mark_late(organization_id, now, [run for run in late if run.version.steps])
    return began


def active_versions(organization_id: UUID) -> list[PlayVersion]:
    """Return the version in force of each play that is on; makes the ten plays where there are none yet."""
    ensure_plays(organization_id)
    rows = PlayVersion.objects.filter(organization_id=organization_id).select_related("play")
    newest = rows.order_by("play", "-number").distinct("play")
    return [version for version in newest if version.play.is_active]


def _look(organization_id: UUID, now: datetime, account_ids: Sequence[UUID] | None) -> _Look:
    rows = Account.objects.filter(organization_id=organization_id).select_related("organization")
    if account_ids is not None:
        rows = rows.filter(pk__in=list(account_ids))
    accounts = {account.pk: account for account in rows.defer("organization__logo").order_by("pk")}
    today = {pk: day_of(as_utc(now), zone_of(account.timezone)) for pk, account in accounts.items()}
    newest = max(today.values(), default=date.min)  # for a moment that has passed: what was known by then
    measured = metrics_on(organization_id, list(accounts), newest, numbers_only=True)
    fresh = {pk: one for pk, one in measured.items() if one.day is not None and today[pk] - one.day <= STALE}
    runs = PlayRun.objects.filter(organization_id=organization_id, account__in=accounts)
    running = runs.filter(ended_at=None).select_related("play", "version", "workflow")
    ended = runs.filter(ended_at__gt=now - STOPPED_FOR).order_by("ended_at")
    look = _Look(today, accounts, fresh, {}, {(run.account_id, run.play_id, run.workflow_id): run for run in ended})
    for run in running.annotate(answered_at=Min("tasks__done_at")):
        run.account = accounts[run.account_id]
        key = (run.account_id, run.play_id, run.workflow_id)
        look.running[key] = run
        if run.answered_at is None:
            look.waiting.add(key)
    return look


def _read_histories(organization_id: UUID, look: _Look, versions: Sequence[PlayVersion]) -> None:
    """Read the past days of those accounts only where today's figures leave open whether a condition holds."""
    long: list[tuple[dict[str, Any], set[UUID]]] = []
    for version in versions:
        if version.entry and days_needed(version.entry) > 1:
            long.append((version.entry, set(look.measured)))
    for run in look.running.values():
        if run.version.exit and days_needed(run.version.exit) > 1 and run.account_id in look.measured:
            long.append((run.version.exit, {run.account_id}))
    wanted: set[UUID] = set()
    for condition, accounts in long:
        today_only, names = _for_one_day(condition), metrics_of(condition)
        wanted |= {pk for pk in accounts - wanted if evaluate(today_only, look.latest(pk, names)).holds}
    if not wanted:
        return
    conditions = [one for version in versions for one in (version.entry, version.exit)]
    conditions += [run.version.exit for run in look.running.values()]
    days = max(days_needed(one) for one in conditions) + MISSED
    since = min(look.today[pk] for pk in wanted) - STALE - timedelta(days=days)
    names = metrics_of(*conditions)
    for pk, rows in metric_history(organization_id, wanted, since, names).items():
        look.histories[pk] = filled(rows, names, look.measured[pk].day, days)


def filled(
    rows: Sequence[tuple[date, Mapping[str, Any]]], names: Sequence[str], last: date | None, days: int
) -> Series:
    """Return a value a day, the newest last; up to two days in a row that nobody looked at count as the day before."""
    by_day = dict(rows)
    found: Series = {name: [] for name in names}
    before: Mapping[str, Any] = {}
    missed = 0
    for ago in range(days - 1, -1, -1):
        row = by_day.get(last - timedelta(days=ago)) if last else None
        missed = 0 if row is not None else missed + 1
        before = row if row is not None else before if missed <= MISSED else {}
        for name in names:
            found[name].append(_float(before.get(name)))
    return found


def _read_workflows(organization_id: UUID, look: _Look, versions: Sequence[PlayVersion]) -> None:
    each = [version for version in versions if version.per_workflow and version.entry]
    running = {run.account_id for run in look.running.values() if run.workflow_id}
    wanted = {pk for pk in look.measured if pk in running or any(_may_hold(look, pk, one.entry) for one in each)}
    if wanted:
        today = {str(pk): look.today[pk] for pk in wanted}
        days = max((days_needed(one) for version in each for one in (version.entry, version.exit)), default=1)
        look.workflows = workflow_values(organization_id, today, max(days, 1))


def _may_hold(look: _Look, account: UUID, condition: Any) -> bool:
    """The account's own figures are those of its worst workflow: where they do not hold, none of them does."""
    return evaluate(_for_one_day(condition), look.latest(account, metrics_of(condition))).holds


def _for_one_day(condition: Mapping[str, Any]) -> dict[str, Any]:
    for group in ("all", "any"):
        if group in condition:
            return {group: [_for_one_day(one) for one in condition[group]]}
    return dict(condition) | {"for_days": 1}


def _begins(look: _Look, versions: Sequence[PlayVersion], now: datetime) -> Iterator[Begin]:
    for version in versions:
        if version.entry is None:
            continue
        names = metrics_of(version.entry, version.exit)
        for pk, measured in look.measured.items():
            for workflow, history in _subjects(look, version, pk, names):
                key = (pk, version.play_id, workflow.pk if workflow else None)
                if key in look.running or not _is_rested(look, key, now) or not _is_in(version, history):
                    continue
                account = look.accounts[pk]
                because = [one.text for one in compared(version.entry, history, account.currency) if one.holds]
                numbers = {leaf["metric"]: _text(history, leaf["metric"]) for leaf in leaves(version.entry)}
                yield Begin(account, version, workflow, because, numbers, measured)


def _subjects(
    look: _Look, version: PlayVersion, account: UUID, names: Sequence[str]
) -> Iterator[tuple[Workflow | None, Series]]:
    """The account, or each workflow in production, with the figures that conditions are compared to."""
    if not version.per_workflow:
        yield None, look.series(account, names)
        return
    for one in look.workflows.get(account, []):
        if one.is_live:
            yield one.workflow, look.series(account, names) | one.values


def _is_in(version: PlayVersion, history: Series) -> bool:
    if version.entry is None or not evaluate(version.entry, history).holds:
        return False
    return version.exit is None or not evaluate(version.exit, history).holds


def _is_rested(look: _Look, key: tuple[UUID, UUID, UUID | None], now: datetime) -> bool:
    last = look.rested.get(key)
    if last is None or last.ended_at is None:
        return True
    if last.outcome != PlayRun.Outcome.EXIT_MET:
        return bool(now - last.ended_at >= STOPPED_FOR)
    zone = zone_of(look.accounts[key[0]].timezone)
    return day_of(as_utc(last.ended_at), zone) < look.today[key[0]]


def _ends(look: _Look) -> Iterator[End]:
    """By the exit of the version they began with. What began a moment ago is not in `running`."""
    for run in look.running.values():
        measured = look.measured.get(run.account_id)
        if run.version.exit is None or measured is None or ends_with_steps(run):
            continue
        history = look.series(run.account_id, metrics_of(run.version.exit))
        if run.workflow_id:
            own = next(
                (one for one in look.workflows.get(run.account_id, []) if one.workflow.pk == run.workflow_id), None
            )
            if own is None:
                continue
            history = history | own.values
        if evaluate(run.version.exit, history).holds:
            held = [one.text for one in compared(run.version.exit, history, run.account.currency) if one.holds]
            yield End(run, PlayRun.Outcome.EXIT_MET, " ".join(f"{words}." for words in held), measured)


def _text(history: Series, name: str) -> str:
    values = history.get(name) or [None]
    return "" if values[-1] is None else f"{values[-1]:.4f}".rstrip("0").rstrip(".")


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
