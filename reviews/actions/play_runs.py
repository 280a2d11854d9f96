"""How a run begins and ends, with its tasks, its log, and who is told: by its condition or by a person alike."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from accounts.models import Account
from budgets.actions.outbox import site_url
from budgets.models import Alert
from consumption_cs.lib.display import counted, moment_text, money_text
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.periods import as_utc, day_of, zone_of
from reviews.actions.telling import Happened, Mail, mail_people, tell_events
from reviews.models import PlayEvent, PlayRun, PlayVersion, Task
from reviews.reports.measured import Measured
from reviews.reports.play_owners import owners
from usage.models import Workflow

Kind = PlayEvent.Kind


@dataclass(frozen=True, slots=True)
class Begin:
    """A run to begin. `because`: why, a line each; `numbers`: the figures it came from, as text."""

    account: Account
    version: PlayVersion
    workflow: Workflow | None = None
    because: Sequence[str] = ()
    numbers: Mapping[str, str] = field(default_factory=dict)
    measured: Measured | None = None
    has_left: bool = False  # its exit holds already as somebody starts it: it then ends with its last step


@dataclass(frozen=True, slots=True)
class End:
    """A run to end; `measured` None: the money at risk at its end is not known."""

    run: PlayRun  # with its account, play and version
    outcome: str
    because: str
    measured: Measured | None = None
    reason: str = ""


def begin_runs(organization_id: UUID, now: datetime, begins: Sequence[Begin], by: UUID | None = None) -> list[PlayRun]:
    """Begin the runs that do not run already, and return those; in the caller's transaction.

    Who does the same at the same moment waits at the constraint and then finds it running: each begins once. Owners
    get one mail for all that begins at once, unless they begin it themselves.
    """
    if not begins:
        return []
    by_role = owners(organization_id, now.date())
    order = sorted(
        begins, key=lambda one: (one.account.pk, one.version.play_id, str(one.workflow and one.workflow.pk))
    )
    wanted = [_run(now, one, by_role.of(one.account, one.version.owner), by) for one in order]
    PlayRun.objects.bulk_create(wanted, ignore_conflicts=True)
    there = set(PlayRun.objects.filter(pk__in=[run.pk for run in wanted]).values_list("pk", flat=True))
    runs = [run for run in wanted if run.pk in there]
    Task.objects.bulk_create([task for run in runs for task in _tasks(run, now, by)])
    PlayEvent.objects.bulk_create([_event(run, Kind.STARTED, now, _why(run), by) for run in runs])
    tell_events(organization_id, now, [_happened("play.started", run, now) for run in runs])
    mail_people(organization_id, now, _mails(runs, now, by))
    return runs


def end_runs(organization_id: UUID, now: datetime, ends: Sequence[End], by: UUID | None = None) -> list[PlayRun]:
    """End the runs that still run, drop what was left to do, and return them; in the caller's transaction."""
    if not ends:
        return []
    held = PlayRun.objects.select_for_update(of=("self",)).filter(
        organization_id=organization_id, pk__in=[end.run.pk for end in ends], ended_at=None
    )
    still = set(held.order_by("pk").values_list("pk", flat=True))
    ending = [end for end in ends if end.run.pk in still]
    for end in ending:
        run = end.run
        run.ended_at, run.ended_by_id, run.outcome, run.reason = now, by, end.outcome, end.reason
        run.moved = moved(run, end.measured)
    runs = [end.run for end in ending]
    PlayRun.objects.bulk_update(runs, ["ended_at", "ended_by", "outcome", "reason", "moved"])
    Task.objects.filter(organization_id=organization_id, run__in=runs, done_at=None, dropped_at=None).update(
        dropped_at=now
    )
    PlayEvent.objects.bulk_create([_event(end.run, Kind.ENDED, now, end.because, by) for end in ending])
    tell_events(organization_id, now, [_happened("play.ended", run, now) for run in runs])
    return runs


def mark_late(organization_id: UUID, now: datetime, runs: Sequence[PlayRun]) -> None:
    """Log that the first step of these runs was not done in time, and tell their owners. Once for each run."""
    logged = PlayEvent.objects.filter(organization_id=organization_id, run__in=runs, kind=Kind.LATE)
    already = set(logged.values_list("run_id", flat=True)) if runs else set()
    late = [run for run in runs if run.pk not in already]
    if not late:
        return
    text = "The first step was not done in time."
    PlayEvent.objects.bulk_create([_event(run, Kind.LATE, now, text) for run in late])
    tell_events(organization_id, now, [_happened("play.late", run, now) for run in late])
    mail_people(organization_id, now, [_late_mail(run, run.owner_id, now) for run in late if run.owner_id])


def tell_step(organization_id: UUID, now: datetime, run: PlayRun, task: Task) -> None:
    """Tell destinations that a step was done."""
    one = _happened("play.step_done", run, now)
    step = {"number": (task.step or 0) + 1, "title": task.title, "done_at": now.isoformat()}
    tell_events(
        organization_id, now,
        [Happened(one.topic, one.account, f"{task.pk}:{now.timestamp():.6f}", one.data | {"step": step},
                  f"{run.play.name}: “{task.title}” is done", "", one.url)],
    )  # fmt: skip


def ends_with_steps(run: PlayRun) -> bool:
    """Whether a run ends as its last step is done: it has no exit, or one that held before it began."""
    return run.version.exit is None or bool(run.evidence.get("has_left"))


def moved(run: PlayRun, measured: Measured | None) -> Decimal | None:
    """Return how much less is at risk than when the run began; None where one of them is not known."""
    left = measured.number("at_risk") if measured else None
    if run.at_risk is None or left is None or run.account.currency != run.currency:
        return None
    return Decimal(run.at_risk) - left


def log(run: PlayRun, kind: str, now: datetime, text: str, by: UUID | None) -> None:
    """Add a line to a run's log."""
    _event(run, kind, now, text, by).save()


def _run(now: datetime, one: Begin, owner: UUID | None, by: UUID | None) -> PlayRun:
    at_risk = one.measured.number("at_risk") if one.measured else None
    evidence: dict[str, Any] = {"because": list(one.because), "numbers": dict(one.numbers)}
    if one.has_left:
        evidence["has_left"] = True
    if one.measured and one.measured.day:
        evidence["day"] = one.measured.day.isoformat()
    return PlayRun(
        id=uuid7(),
        organization_id=one.account.organization_id,
        account=one.account,
        play=one.version.play,
        version=one.version,
        workflow=one.workflow,
        started_at=now,
        started_by_id=by,
        evidence=evidence,
        owner_id=owner,
        due_at=now + timedelta(hours=one.version.answer_hours),
        at_risk=at_risk,
        currency=one.account.currency,
    )


def _tasks(run: PlayRun, now: datetime, by: UUID | None) -> list[Task]:
    zone = zone_of(run.account.timezone)
    today, first = day_of(as_utc(now), zone), day_of(as_utc(run.due_at), zone)
    return [
        Task(
            organization_id=run.organization_id,
            account_id=run.account_id,
            run=run,
            step=number,
            title=step["title"][:200],
            detail=step.get("detail", ""),
            assigned_to_id=run.owner_id,
            due_on=today + timedelta(days=int(step["within_days"])) if number else first,
            created_by_id=by,
        )
        for number, step in enumerate(run.version.steps)
    ]


def _event(run: PlayRun, kind: str, now: datetime, text: str, by: UUID | None = None) -> PlayEvent:
    return PlayEvent(
        organization_id=run.organization_id, account_id=run.account_id, run=run, kind=kind, at=now, text=text, by_id=by
    )


def _why(run: PlayRun) -> str:
    because = run.evidence["because"]
    return " ".join(f"{words}." for words in because) if because else "Started by hand."


def run_url(run: PlayRun) -> str:
    """Return the full address of a run's page."""
    return site_url("reviews:play_run", run.account_id, run.pk)


def _happened(topic: str, run: PlayRun, now: datetime) -> Happened:
    heading = {
        "play.started": f"{run.play.name} has begun",
        "play.ended": f"{run.play.name} has ended",
        "play.late": f"{run.play.name} is late",
    }.get(topic, run.play.name)
    data: dict[str, Any] = {
        "run_id": str(run.pk),
        "play": {"key": run.play.key, "name": run.play.name, "version": run.version.number},
        "workflow": run.workflow.key if run.workflow else None,
        "started_at": run.started_at.isoformat(),
        "due_at": run.due_at.isoformat(),
        "because": run.evidence.get("because", []),
        "at_risk": None if run.at_risk is None else str(run.at_risk),
        "currency": run.currency,
        "url": run_url(run),
    }
    if run.ended_at is not None:
        data |= {
            "ended_at": run.ended_at.isoformat(),
            "outcome": run.outcome,
            "reason": run.reason,
            "moved": None if run.moved is None else str(run.moved),
        }
    return Happened(topic, run.account, str(run.pk), data, heading, _why(run), data["url"])


def _mails(runs: Sequence[PlayRun], now: datetime, by: UUID | None) -> list[Mail]:
    """One mail to each owner for all that begins at once."""
    mine: dict[UUID, list[PlayRun]] = defaultdict(list)
    for run in runs:
        if run.owner_id and run.owner_id != by:
            mine[run.owner_id].append(run)
    return [_begun_mail(owner, started, now) for owner, started in mine.items()]


def _begun_mail(owner: UUID, runs: Sequence[PlayRun], now: datetime) -> Mail:
    first = min(runs, key=lambda run: run.due_at)
    if len(runs) > 1:
        facts = [[run.account.name, f"{run.play.name}: first step by {_moment(run, now)}"] for run in runs[:20]]
        more = f" {len(runs) - 20} more are in your book." if len(runs) > 20 else ""
        text = f"They are yours. The first is due {_moment(first, now)}.{more}"
        subject = f"{counted(len(runs), 'play')} have begun"
        return Mail(
            owner, str(first.pk), "play.started", subject, text, site_url("reviews:plays"), "Open plays", None, facts
        )
    steps = first.version.steps
    facts = [["First step", steps[0]["title"]]] if steps else []
    facts.append(["Due", _moment(first, now)])
    if first.at_risk is not None:
        facts.append(["At risk", money_text(Decimal(first.at_risk), first.currency)])
    return Mail(
        owner, str(first.pk), "play.started", f"{first.account.name}: {first.play.name} has begun", _why(first),
        run_url(first), "Open the play", first.account, facts,
    )  # fmt: skip


def _late_mail(run: PlayRun, owner: UUID, now: datetime) -> Mail:
    return Mail(
        owner, str(run.pk), "play.late", f"{run.account.name}: {run.play.name} is late",
        f"Its first step was due {_moment(run, now)}. {_why(run)}", run_url(run), "Open the play", run.account,
        severity=Alert.Severity.WARNING,
    )  # fmt: skip


def _moment(run: PlayRun, now: datetime) -> str:
    return moment_text(run.due_at, zone_of(run.account.timezone), now=now)
