"""What runs when. Tasks are named, not imported, so that no app needs to know the one above it."""

from datetime import timedelta
from typing import Any

from celery.schedules import crontab

QUEUES = ("rollup", "settlement", "delivery", "reports")

ROUTES: dict[str, dict[str, str]] = {
    "budgets.tasks.catch_up*": {"queue": "rollup"},
    "budgets.tasks.settle*": {"queue": "settlement"},
    "budgets.tasks.deliver*": {"queue": "delivery"},
    "budgets.tasks.watch_limits": {"queue": "delivery"},  # in seconds, so not behind reports
    "budgets.tasks.*": {"queue": "reports"},
    "reviews.tasks.*": {"queue": "reports"},
    "usage.tasks.*": {"queue": "reports"},
    "accounts.tasks.*": {"queue": "delivery"},
}

# Every tick is idempotent and expires before the next one, so that two beats may run side by side.
BEAT: dict[str, dict[str, Any]] = {
    "roll up": {"task": "budgets.tasks.catch_up_all", "schedule": 1.0, "options": {"expires": 1}},
    "settle": {"task": "budgets.tasks.settle_all", "schedule": 1.0, "options": {"expires": 1}},
    "deliver": {"task": "budgets.tasks.deliver_all", "schedule": 1.0, "options": {"expires": 1}},
    "limits": {"task": "budgets.tasks.watch_limits", "schedule": 2.0, "options": {"expires": 4}},
    "digests": {
        "task": "reviews.tasks.deliver_digests",
        "schedule": timedelta(minutes=10),
        "options": {"expires": 540},
    },
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
    "ledger": {
        "task": "budgets.tasks.verify_ledgers",
        "schedule": crontab(minute=30, hour=2),
        "options": {"expires": 3600},
    },
    "forecasts": {
        "task": "budgets.tasks.refresh_forecasts",
        "schedule": timedelta(minutes=5),
        "options": {"expires": 240},
    },
    "alerts": {
        "task": "budgets.tasks.watch_alerts",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 50},
    },
    # A few minutes after the hours of full and of half-hour zones have closed.
    "unusual usage": {
        "task": "budgets.tasks.detect_unusual",
        "schedule": crontab(minute="3,18,33,48"),
        "options": {"expires": 600},
    },
    "forecast scores": {
        "task": "budgets.tasks.score_forecasts",
        "schedule": timedelta(hours=6),
        "options": {"expires": 3600},
    },
    "reports": {
        "task": "budgets.tasks.make_reports",
        "schedule": timedelta(seconds=20),
        "options": {"expires": 20},
    },
    "monthly reports": {
        "task": "budgets.tasks.send_monthly_reports",
        "schedule": timedelta(minutes=5),
        "options": {"expires": 240},
    },
    "old reports": {
        "task": "budgets.tasks.prune_reports",
        "schedule": crontab(minute=45, hour=3),
        "options": {"expires": 3600},
    },
    # After the hour in which a zone's forecasts are made; what is fresh costs one query.
    "metrics": {
        "task": "reviews.tasks.measure_all",
        "schedule": crontab(minute="10,40"),
        "options": {"expires": 1200},
    },
    "old metrics": {
        "task": "reviews.tasks.thin_all_metrics",
        "schedule": crontab(minute=50, hour=3),
        "options": {"expires": 3600},
    },
    "ladders": {
        "task": "reviews.tasks.check_all_ladders",
        "schedule": crontab(minute=20),
        "options": {"expires": 1800},
    },
    "reminders": {
        "task": "reviews.tasks.remind_all",
        "schedule": crontab(minute=25),
        "options": {"expires": 1800},
    },
    "recipes": {
        "task": "reviews.tasks.try_all_recipes",
        "schedule": timedelta(minutes=5),
        "options": {"expires": 240},
    },
    "forecast intervals": {
        "task": "budgets.tasks.recalibrate_forecasts",
        "schedule": crontab(minute=15, hour=4, day_of_week="mon"),
        "options": {"expires": 3600},
    },
}
