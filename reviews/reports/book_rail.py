"""What stands beside the queue: tasks of today, running plays, and what has changed in a week."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

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
    shown = list((mine if mine.exists() else runs).select_related("play", "account").order_by("account__name"))
    by_play: dict[str, set[str]] = defaultdict(set)
    for run in shown:
        by_play[run.play.name].add(run.account.name)
    plays = [(name, len(names), _some(sorted(names))) for name, names in by_play.items()]
    return Rail(
        tasks=list(due[:SHOWN]),
        late=counts["late"],
        all_tasks=counts["all"],
        plays=sorted(plays, key=lambda row: (-row[1], row[0])),
        running=len(shown),
        today=now.date(),
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
