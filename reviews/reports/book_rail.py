"""What stands beside the queue: tasks of today, running plays, and what has changed in a week."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, Q

from consumption_cs.lib.tenancy import Viewer
from reviews.models import PlayRun, Task

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Rail:
    """`tasks` are due today or late, `all_tasks` how many are open; `plays` are (name, accounts, whom), most first."""

    tasks: list[Task]
    late: int
    all_tasks: int
    plays: list[tuple[str, int, str]]
    running: int
    today: date


def rail(viewer: Viewer, now: datetime) -> Rail:
    """Return it for the viewer's own tasks and the plays of their accounts; all accounts' if they own none."""
    tasks = Task.objects.visible_to(viewer).filter(assigned_to_id=viewer.user_id, done_at=None, dropped_at=None)
    due = tasks.filter(due_on__lte=now.date()).select_related("account").order_by("due_on", "created_at")
    counts: dict[str, Any] = tasks.aggregate(all=Count("pk"), late=Count("pk", filter=Q(due_on__lt=now.date())))
    runs = PlayRun.objects.visible_to(viewer).filter(ended_at=None)
    mine = runs.filter(Q(owner_id=viewer.user_id) | Q(account__csm_id=viewer.user_id))
    by_play = (
        (mine if mine.exists() else runs)
        .values("play__name")
        .annotate(
            runs=Count("pk"),
            accounts=Count("account", distinct=True),
            names=ArrayAgg("account__name", distinct=True, order_by="account__name"),
        )
    )
    plays = list(by_play.order_by("-accounts", "play__name"))
    return Rail(
        tasks=list(due[:SHOWN]),
        late=counts["late"],
        all_tasks=counts["all"],
        plays=[(row["play__name"], row["accounts"], _some(row["names"])) for row in plays],
        running=sum(row["runs"] for row in plays),
        today=now.date(),
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
