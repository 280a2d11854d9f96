"""From a story to the events it sends, day by day. The same seed, account and day always give the same events."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from reviews.demo.stories import Story, WorkflowPlan

SEED = 20_260_115
FINE_DAYS = 75  # before that, each event stands for several jobs
COARSE = 3
HASHED = ("bill-of-lading", "invoice-ocr")  # workflows whose events carry the hash of their input
ERRORS: tuple[dict[str, Any], ...] = (
    {"error": "timeout", "status": 504, "fault": "customer"},
    {"error": "timeout", "status": 504, "fault": "customer"},
    {"error": "schema_mismatch", "status": 422},
    {"error": "schema_mismatch", "status": 422},
    {"error": "input_too_long", "status": 413},
    {"error": "rate_limited", "status": 429},
    {"error": "model_overloaded", "status": 503},
)
JOBS = 3  # events for each planned job: enough that a success rate means something


def events_of_day(story: Story, day: date, today: date, until: datetime) -> Iterator[dict[str, Any]]:
    """Yield CloudEvents of the account's local `day` that happened before `until` (aware UTC), in no order.

    `today` is the day that the stories are told from.
    """
    days_ago = (today - day).days
    for plan in story.workflows:
        if days_ago <= plan.starts:
            yield from _events_of_workflow(story, plan, day, days_ago, until)


def _events_of_workflow(
    story: Story, plan: WorkflowPlan, day: date, days_ago: int, until: datetime
) -> Iterator[dict[str, Any]]:
    random = Random(f"{SEED}/{story.key}/{plan.key}/{day}")  # noqa: S311  a demo, repeatable on purpose
    run = (plan.course or story.course)(days_ago, day)
    if not run.jobs:
        return
    rhythm = plan.weekend if day.weekday() >= 5 else 1.0
    merged = COARSE if days_ago > FINE_DAYS else 1
    jobs = max(1, round(JOBS * plan.jobs * run.jobs * rhythm / merged))
    share = plan.units * run.units * rhythm * run.jobs / jobs * random.uniform(0.96, 1.04)
    midnight = datetime.combine(day, time(), ZoneInfo(story.timezone)).astimezone(timezone.utc)
    for number in range(jobs):
        begins = midnight + timedelta(hours=random.uniform(0, 23.9) if run.night else random.triangular(5, 22, 13))
        size = share * random.uniform(0.82, 1.18)
        succeeded = False
        for attempt in range(1, run.attempts + 1):
            succeeded = random.random() < plan.success * run.success
            occurred = begins + timedelta(minutes=2 * attempt)
            outcomes = round(plan.outcomes * run.jobs * rhythm / jobs) if succeeded else 0
            identity = f"{story.key}-{plan.key}-{day}-{number}-{attempt}"
            # Made in any case, so that what is drawn after it does not depend on `until`.
            event = _event(story, plan, identity, occurred, size, outcomes, succeeded, attempt, run.version, random)
            if occurred < until:
                yield event
            if succeeded:
                break


def _event(
    story: Story,
    plan: WorkflowPlan,
    identity: str,
    occurred: datetime,
    size: float,
    outcomes: int,
    succeeded: bool,
    attempt: int,
    version: str,
    random: Random,
) -> dict[str, Any]:
    told = _why_it_failed(identity) if not succeeded else {}
    if plan.key in HASHED:
        told |= {"input_hash": _input_hash(identity)}
    subject = story.also_sent_as if story.also_sent_as and random.random() < 0.3 else story.key
    return {
        "specversion": "1.0",
        "id": identity,
        "source": f"/prod/{plan.key}",
        "type": plan.event_type,
        "subject": subject,
        "time": occurred.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": {
            "quantity": int(size),
            "workflow": plan.key,
            "success": succeeded,
            "outcome": outcomes,
            "attempt": attempt,
            "version": version,
            "model": random.choice(("large", "small", "small")),
            "region": random.choice(("eu", "us")),
            **told,
        },
    }


def _why_it_failed(identity: str) -> dict[str, Any]:
    """An error as an integration reports it; one in seven is the vendor's. Drawn apart, so that nothing else moves."""
    return dict(Random(f"{SEED}/error/{identity}").choice(ERRORS))  # noqa: S311


def _input_hash(identity: str) -> str:
    """The hash of what was worked on: three in a hundred pieces of work are those of a few, sent again."""
    random = Random(f"{SEED}/input/{identity}")  # noqa: S311
    return f"{random.randrange(40) if random.random() < 0.03 else random.getrandbits(64):016x}"
