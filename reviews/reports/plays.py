"""Plays at work and what became of them: what the book, briefs and the retention page show of plays."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from statistics import median
from typing import Any
from uuid import UUID

from django.db.models import Min, OuterRef, Prefetch, QuerySet, Subquery
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from consumption_cs.lib.tenancy import Viewer
from reviews.models import Play, PlayRun, PlayVersion, Task
from usage.calc.intervals import wilson

DAY = 86400
STEPS = "step_tasks"  # where `with_steps` puts a run's steps


@dataclass(frozen=True, slots=True)
class RunShown:
    """A play at work on an account. `step` of `steps` are done; `next_*` is the first that is not, "" if all are."""

    id: UUID
    account_id: UUID
    key: str
    name: str
    workflow: str
    started_at: datetime
    step: int
    steps: int
    next_task: UUID | None
    next_step: str
    next_due_on: date | None
    due_at: datetime  # of the first step
    is_late: bool
    owner: User | None
    url: str
    evidence: tuple[str, ...]  # why it began, a line each

    @property
    def why(self) -> str:
        """Why it began, as sentences."""
        return " ".join(f"{words}." for words in self.evidence)

    @property
    def owner_name(self) -> str:
        return str(self.owner) if self.owner else "Nobody"


@dataclass(frozen=True, slots=True)
class PlayOutcome:
    """What became of one play's runs since a moment.

    `begun` counts those that began since, `ended` those that ended since; `saved` ended by their exit. `rate` and its
    Wilson interval are ratios, None without an ended run. `days` is the median from begin to exit. `moved` is per
    currency, of runs whose money at risk was known at both ends; `on_time` of `answered` had their first step in time.
    """

    play: Play
    owner: str
    begun: int = 0
    running: int = 0
    ended: int = 0
    saved: int = 0
    stopped: int = 0
    lost: int = 0
    rate: float | None = None
    interval: tuple[float, float] | None = None
    days: float | None = None
    moved: dict[str, Decimal] = field(default_factory=dict)
    on_time: int = 0
    answered: int = 0

    @property
    def on_time_rate(self) -> float | None:
        return self.on_time / self.answered if self.answered else None


def open_runs(
    viewer: Viewer, account_ids: Collection[UUID], now: datetime | None = None
) -> dict[UUID, list[RunShown]]:
    """Return the running plays of the accounts, the one that is due first at the head; none: no entry. Two queries."""
    rows = PlayRun.objects.visible_to(viewer).filter(account__in=list(account_ids), ended_at=None)
    found: dict[UUID, list[RunShown]] = defaultdict(list)
    now = now or timezone.now()
    for run in with_steps(rows).order_by("due_at", "pk"):
        found[run.account_id].append(run_shown(run, now))
    return dict(found)


def with_steps(rows: "QuerySet[PlayRun]") -> "QuerySet[PlayRun]":
    """Add to runs what `run_shown` reads."""
    steps = Task.objects.exclude(step=None).order_by("step")
    return rows.select_related("play", "version", "workflow", "owner").prefetch_related(
        Prefetch("tasks", steps, to_attr=STEPS)
    )


def run_shown(run: PlayRun, now: datetime) -> RunShown:
    """Return a run of `with_steps` as lists show it."""
    tasks: list[Task] = getattr(run, STEPS)
    done = [task for task in tasks if task.done_at]
    ahead = next((task for task in tasks if task.done_at is None and task.dropped_at is None), None)
    return RunShown(
        id=run.pk,
        account_id=run.account_id,
        key=run.play.key,
        name=run.play.name,
        workflow=run.workflow.name if run.workflow else "",
        started_at=run.started_at,
        step=len(done),
        steps=len(tasks),
        next_task=ahead.pk if ahead else None,
        next_step=ahead.title if ahead else "",
        next_due_on=ahead.due_on if ahead else None,
        due_at=run.due_at,
        is_late=run.ended_at is None and not done and bool(tasks) and run.due_at < now,
        owner=run.owner,
        url=reverse("reviews:play_run", args=[run.account_id, run.pk]),
        evidence=tuple(run.evidence.get("because", ())),
    )


def play_outcomes(organization_id: UUID, since: datetime, now: datetime | None = None) -> list[PlayOutcome]:
    """Return each play of the organization with what became of its runs since `since`, by name. Two queries."""
    newest = PlayVersion.objects.filter(organization_id=organization_id, play=OuterRef("pk")).order_by("-number")
    plays = Play.objects.filter(organization_id=organization_id).annotate(owner=Subquery(newest.values("owner")[:1]))
    runs: dict[UUID, list[Any]] = defaultdict(list)  # with when each was answered
    rows = PlayRun.objects.filter(organization_id=organization_id).exclude(ended_at__lt=since)
    for run in rows.annotate(answered_at=Min("tasks__done_at")):
        runs[run.play_id].append(run)
    now = now or timezone.now()
    return [_outcome(play, runs[play.pk], since, now) for play in plays.order_by("name", "pk")]


def _outcome(play: Any, runs: list[Any], since: datetime, now: datetime) -> PlayOutcome:
    ended = [run for run in runs if run.ended_at is not None]
    saved = [run for run in ended if run.outcome == PlayRun.Outcome.EXIT_MET]
    days = [(run.ended_at - run.started_at).total_seconds() / DAY for run in saved]
    moved: dict[str, Decimal] = defaultdict(Decimal)
    for run in ended:
        if run.moved is not None:
            moved[run.currency] += run.moved
    answered = [run for run in runs if run.answered_at is not None or run.due_at < (run.ended_at or now)]
    return PlayOutcome(
        play=play,
        owner=PlayVersion.Owner(play.owner).label if play.owner else "",
        begun=sum(run.started_at >= since for run in runs),
        running=len(runs) - len(ended),
        ended=len(ended),
        saved=len(saved),
        stopped=sum(run.outcome == PlayRun.Outcome.STOPPED for run in ended),
        lost=sum(run.outcome == PlayRun.Outcome.LOST for run in ended),
        rate=len(saved) / len(ended) if ended else None,
        interval=wilson(len(saved), len(ended)) if ended else None,
        days=median(days) if days else None,
        moved=dict(moved),
        on_time=sum(run.answered_at is not None and run.answered_at <= run.due_at for run in answered),
        answered=len(answered),
    )
