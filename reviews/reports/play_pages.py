"""What the pages of plays show: the catalogue, one play, an account's runs and one run with its exit checked now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Max, Q, QuerySet

from accounts.models import Account
from consumption_cs.lib.display import counted, money_text
from consumption_cs.lib.periods import as_utc, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.condition_words import Line, as_alternatives, compared, days_needed, metrics_of, sentence
from reviews.models import Play, PlayEvent, PlayRun, PlayVersion, Task
from reviews.reports.measured import Measured, latest_metrics, metric_history
from reviews.reports.play_workflows import workflow_values
from reviews.reports.plays import PlayOutcome, RunShown, play_outcomes, run_shown, with_steps

YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class PlayLine:
    """A play in the catalogue: what it says now, and what became of its runs in a year."""

    play: Play
    version: PlayVersion
    begins: str
    ends: str
    outcome: PlayOutcome
    late: int


@dataclass(frozen=True, slots=True)
class Checked:
    """A condition against an account's figures now: alternatives, of each all lines must hold."""

    alternatives: list[list[Line]] = field(default_factory=list)
    measured: Measured | None = None

    @property
    def holds(self) -> bool:
        return any(all(line.holds for line in lines) for lines in self.alternatives)


def catalogue(viewer: Viewer, now: datetime) -> list[PlayLine]:
    """Return the organization's plays, those that run at the head. Five queries."""
    outcomes = {one.play.pk: one for one in play_outcomes(viewer.organization_id, now - YEAR, now)}
    versions = PlayVersion.objects.visible_to(viewer).order_by("play", "-number").distinct("play")
    late = dict(
        PlayRun.objects.visible_to(viewer)
        .filter(ended_at=None, due_at__lt=now)
        .exclude(tasks__done_at__isnull=False)
        .order_by()
        .values_list("play")
        .annotate(runs=Count("pk", distinct=True))
    )
    lines = [
        PlayLine(
            outcomes[version.play_id].play,
            version,
            sentence(version.entry),
            sentence(version.exit),
            outcomes[version.play_id],
            late.get(version.play_id, 0),
        )
        for version in versions
        if version.play_id in outcomes
    ]
    return sorted(lines, key=lambda line: (not line.play.is_active, -line.outcome.running, line.play.name.lower()))


def totals(lines: Sequence[PlayLine], moved: Mapping[str, Decimal]) -> list[dict[str, Any]]:
    """Return the facts above the catalogue; `moved` is that of `moved_once`."""
    ended, saved = (sum(getattr(line.outcome, name) for line in lines) for name in ("ended", "saved"))
    on_time, answered = (sum(getattr(line.outcome, name) for line in lines) for name in ("on_time", "answered"))
    late = sum(line.late for line in lines)
    return [
        {"label": "Running", "value": str(sum(line.outcome.running for line in lines)),
         "note": f"{counted(late, 'run')} late" if late else "none is late", "tone": "bad" if late else ""},
        {"label": "Ended by their exit", "value": f"{saved} of {ended}" if ended else "none ended yet",
         "none": not ended, "note": "in twelve months" if ended else ""},
        {"label": "First step in time", "value": f"{on_time} of {answered}" if answered else "none was due yet",
         "none": not answered, "note": "in twelve months" if answered else ""},
        _moved_fact(moved),
    ]  # fmt: skip


def _moved_fact(moved: Mapping[str, Decimal]) -> dict[str, Any]:
    if not moved:
        return {"label": "Money moved out of risk", "value": "not known yet", "none": True}
    words = [money_text(amount, currency, places=0) for currency, amount in sorted(moved.items())]
    more = f"and {', '.join(words[1:])}, " if words[1:] else ""
    return {"label": "Money moved out of risk", "value": words[0], "note": f"{more}each account once"}


def moved_once(viewer: Viewer, now: datetime, play: Play | None = None) -> dict[str, Decimal]:
    """Return per currency what runs of a year moved, of an account the most that any of its runs did. One query.

    Plays that run on one account at the same time move the same money.
    """
    rows = PlayRun.objects.visible_to(viewer).filter(ended_at__gte=now - YEAR, moved__isnull=False)
    if play is not None:
        rows = rows.filter(play=play)
    found: dict[str, Decimal] = {}
    for currency, most in (
        rows.order_by().values_list("currency", "account").annotate(most=Max("moved")).values_list("currency", "most")
    ):
        found[currency] = found.get(currency, Decimal(0)) + most
    return found


def runs_of_play(viewer: Viewer, play: Play) -> "QuerySet[PlayRun]":
    """Return a play's runs with their steps: those that run first, then the newest."""
    rows = PlayRun.objects.visible_to(viewer).filter(play=play).select_related("account")
    return with_steps(rows).order_by(_open_first(), "-started_at")


def runs_of_account(viewer: Viewer, account: Account) -> "QuerySet[PlayRun]":
    """Return an account's runs with their steps: those that run first, then the newest."""
    rows = PlayRun.objects.visible_to(viewer).filter(account=account).select_related("account")
    return with_steps(rows).order_by(_open_first(), "-started_at")


def _open_first() -> Any:
    return F("ended_at").desc(nulls_first=True)


def shown(runs: Sequence[PlayRun], now: datetime) -> list[tuple[PlayRun, RunShown]]:
    """Return runs with what lists show of them."""
    return [(run, run_shown(run, now)) for run in runs]


def startable(viewer: Viewer, account: Account) -> list[tuple[Play, PlayVersion]]:
    """Return the plays that are on and do not run on the account as a whole, by name."""
    rows = PlayVersion.objects.visible_to(viewer).filter(play__is_active=True).select_related("play")
    versions = list(rows.order_by("play", "-number").distinct("play"))
    running = set(
        PlayRun.objects.visible_to(viewer)
        .filter(account=account, ended_at=None, workflow=None)
        .values_list("play_id", flat=True)
    )
    free = [version for version in versions if version.play_id not in running]
    return sorted(((version.play, version) for version in free), key=lambda one: one[0].name.lower())


def check_now(account: Account, condition: dict[str, Any] | None, now: datetime, workflow_id: UUID | None) -> Checked:
    """Compare a condition with what is known of an account, or a workflow of it, now. Up to five queries."""
    if condition is None:
        return Checked()
    organization_id, names = account.organization_id, metrics_of(condition)
    measured = latest_metrics(organization_id, [account.pk])[account.pk]
    history: dict[str, list[float | None]] = {
        name: [None if (value := measured.number(name)) is None else float(value)] for name in names
    }
    days = days_needed(condition)
    if days > 1 and measured.day is not None:
        kept = metric_history(organization_id, [account.pk], measured.day - timedelta(days=days - 1), names)
        rows = [numbers for _, numbers in kept.get(account.pk, [])]
        history = {name: [None if row[name] is None else float(row[name]) for row in rows] for name in names}  # type: ignore[arg-type]
    if workflow_id is not None:
        today = day_of(as_utc(now), zone_of(account.timezone))
        own = workflow_values(organization_id, {str(account.pk): today}, days).get(account.pk, [])
        history |= next((one.values for one in own if one.workflow.pk == workflow_id), {})
    lines = [[compared(leaf, history, account.currency)[0] for leaf in group] for group in as_alternatives(condition)]
    return Checked(lines, measured)


def events_of(run: PlayRun) -> "QuerySet[PlayEvent]":
    """Return a run's log, the newest at the head."""
    rows = PlayEvent.objects.filter(organization_id=run.organization_id, run=run)
    return rows.select_related("by").order_by("-at", "-pk")


def step_rows(run: PlayRun) -> list[tuple[Task, dict[str, Any]]]:
    """Return the steps of a run with what its version says of them."""
    tasks = Task.objects.filter(organization_id=run.organization_id, run=run).exclude(step=None)
    said = run.version.steps
    return [
        (task, said[task.step] if task.step < len(said) else {})
        for task in tasks.select_related("done_by", "assigned_to").order_by("step")
    ]


def versions_of(viewer: Viewer, play: Play) -> "QuerySet[PlayVersion]":
    """Return what a play said, the newest at the head, with how many runs each began."""
    rows = PlayVersion.objects.visible_to(viewer).filter(play=play).select_related("created_by")
    return rows.annotate(
        runs=Count("playrun", distinct=True), running=Count("playrun", filter=Q(playrun__ended_at=None), distinct=True)
    ).order_by("-number")
