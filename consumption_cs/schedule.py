"""What runs when. Tasks are named, not imported, so that no app needs to know the one above it."""

from datetime import timedelta
from typing import Any

QUEUES = ("rollup", "settlement", "delivery", "reports")

ROUTES: dict[str, dict[str, str]] = {
    "budgets.tasks.catch_up*": {"queue": "rollup"},
    "budgets.tasks.settle*": {"queue": "settlement"},
    "budgets.tasks.*": {"queue": "reports"},
    "usage.tasks.*": {"queue": "reports"},
    "accounts.tasks.*": {"queue": "delivery"},
}

# Every tick is idempotent and expires before the next one, so that two beats may run side by side.
BEAT: dict[str, dict[str, Any]] = {
    "roll up": {"task": "budgets.tasks.catch_up_all", "schedule": 1.0, "options": {"expires": 1}},
    "settle": {"task": "budgets.tasks.settle_all", "schedule": 1.0, "options": {"expires": 1}},
    "partitions": {
        "task": "usage.tasks.make_partitions",
        "schedule": timedelta(hours=6),
        "options": {"expires": 3600},
    },
    "imports": {
        "task": "usage.tasks.resume_imports",
        "schedule": timedelta(seconds=20),
        "options": {"expires": 20},
    },
    "housekeeping": {
        "task": "usage.tasks.forget_old_rows",
        "schedule": timedelta(hours=1),
        "options": {"expires": 600},
    },
}
