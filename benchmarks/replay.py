"""How long a replay takes, from database to sentence: one account of 40 workflows, 90 days, five limits compared.

    python -m benchmarks.replay [--json] [--workflows 40] [--accounts 20] [--times 10]

Makes a private PostgreSQL with 60 days of hours and 450 days of each account and workflow, noisy by the hour of the
day, a forecast of each night, and a runaway of one workflow. Timed is budgets.reports.replay.replay with the words
and the chart, as the application's role, with row-level security: of a daily limit, and of a month's budget with
rules of every kind. `replay_*_ms` are medians; the exit status is 1 when one is above 300 ms. `load` is what the
machine had to do besides; `*_cpu_ms` are what a processor had to do, which that changes less.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import psutil
import psycopg2

from benchmarks.detect import _WORKFLOWS
from benchmarks.harness import Json, quantile, running_stack, say, setup_django

HOUR_DAYS, DAYS = 60, 450
MOST_MS = 300

_HOURS = """
INSERT INTO usage_hour (organization_id, account_id, meter_id, workflow_id, "group", quantity, events, finished,
    successes, outcomes, last_event_at, starts_at)
SELECT organization_id, account_id, %(meter)s, id, '', 100 * (1.2 + sin(ago * pi() / 12) + random() / 4)
    * CASE WHEN key = 'work-1' AND ago BETWEEN 200 AND 212 THEN 60 ELSE 1 END, 10, 10, 9, 9, at, at
FROM usage_workflow CROSS JOIN generate_series(1, %(hours)s) AS ago
CROSS JOIN LATERAL (SELECT %(until)s::timestamptz - ago * interval '1 hour' AS at) AS hour
"""
_DAYS = """
INSERT INTO usage_day (organization_id, account_id, meter_id, workflow_id, "group", day, quantity, events, finished,
    successes, outcomes, last_event_at, spend)
SELECT organization_id, account_id, meter_id, workflow_id, '', (starts_at AT TIME ZONE 'UTC')::date,
    sum(quantity), sum(events), sum(finished), sum(successes), sum(outcomes), max(starts_at),
    round(sum(quantity) / 50, 2)
FROM usage_hour GROUP BY 1, 2, 3, 4, 5, 6
UNION ALL
SELECT organization_id, account_id, %(meter)s, id, '', %(until)s::date - ago, 2900, 240, 240, 216, 216, now(), 58
FROM usage_workflow CROSS JOIN generate_series(%(hour_days)s + 1, %(days)s) AS ago
"""
_ACCOUNT_DAYS = """
INSERT INTO account_day (organization_id, account_id, day, currency, unpriced_events, finished, successes, outcomes,
    events, last_event_at, spend)
SELECT organization_id, account_id, day, 'USD', 0, sum(finished), sum(successes), sum(outcomes), sum(events),
    max(last_event_at), sum(spend) FROM usage_day GROUP BY 1, 2, 3
"""


def make_world(accounts: int, workflows: int, now: datetime, owner_url: str) -> tuple[UUID, UUID]:
    """Return the ids of an organization as the module says and of one of its accounts."""
    from accounts.models import Account
    from consumption_cs.lib.tenancy import act_as
    from tests.factories import make_meter, make_organization, staff_of

    organization = make_organization("Benchmark")
    with act_as(staff_of(organization)):
        meter = make_meter(organization)
        made = Account.objects.bulk_create(
            Account(organization=organization, name=f"Customer {number}", key=f"cust-{number:06}", timezone="UTC")
            for number in range(accounts)
        )
    until = now.replace(minute=0, second=0, microsecond=0)
    values = {"meter": str(meter.pk), "until": until, "workflows": workflows, "hours": HOUR_DAYS * 24 - 1}
    values |= {"hour_days": HOUR_DAYS, "days": DAYS}
    connection = psycopg2.connect(owner_url.rpartition("/")[0] + "/benchmark")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off; SET work_mem = '256MB'; SELECT setseed(0.5)")
        for statement in (_WORKFLOWS, _HOURS, _DAYS, _ACCOUNT_DAYS):
            cursor.execute(statement, values)
        cursor.execute("VACUUM ANALYZE")
    connection.close()
    with act_as(staff_of(organization)):
        add_history(organization.pk, made[0].pk, now)
    return organization.pk, made[0].pk


def add_history(organization_id: UUID, account_id: UUID, now: datetime) -> None:
    """A forecast of each night, and the runaway as the detector saw it."""
    from budgets.models import Anomaly, ForecastRun
    from usage.models import Workflow

    own = {"organization_id": organization_id, "account_id": account_id}
    paths = {
        f"spend_{name}": [size * day for day in range(1, 401)]
        for name, size in (("p10", 2000.0), ("p50", 2300.0), ("p90", 2600.0))
    }
    ForecastRun.objects.bulk_create(
        ForecastRun(
            **own,
            as_of=(now - timedelta(days=ago)).date(),
            made_at=now - timedelta(days=ago),
            basis="model",
            inputs_hash=str(ago),
            currency="USD",
            **paths,
        )
        for ago in range(100)
    )
    start = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=212)
    Anomaly.objects.create(
        **own, kind="spike", workflow=Workflow.objects.get(account_id=account_id, key="work-1"), started_at=start,
        detected_at=start, seen_until=start + timedelta(hours=13), window_hours=1, score=9, expected=30, actual=1800,
        impact=1770,
    )  # fmt: skip


def timed(work: Callable[[], object], times: int) -> tuple[float, float]:
    """Median milliseconds, and milliseconds of a processor that this process and its database session spend."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        session = psutil.Process(cursor.fetchone()[0])
    taken = []
    busy = -time.process_time() - sum(session.cpu_times()[:2])
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1000)
    busy += time.process_time() + sum(session.cpu_times()[:2])
    return round(quantile(taken, 0.5), 1), round(busy * 1000 / times, 1)


def measure(accounts: int, workflows: int, times: int, *, quiet: bool = False) -> Json:
    """All figures."""
    now = datetime.now(UTC)
    with running_stack() as stack:
        setup_django()
        from accounts.models import Account
        from budgets.charts.replay import shown_replay
        from budgets.models import BudgetRule
        from budgets.reports.replay import Proposal, ProposedLimit, replay
        from consumption_cs.lib.tenancy import Viewer, act_as

        say(f"replay: {workflows} workflows", quiet=quiet)
        organization_id, account_id = make_world(accounts, workflows, now, stack.postgres.url)
        viewer = Viewer(organization_id)
        values = {"velocity_fast": 3, "velocity_slow": 2, "actual_percent": 80, "forecast_over": 90}
        rules = tuple((kind, Decimal(values.get(kind, 50))) for kind in BudgetRule.Kind.values)
        daily = Proposal(
            Decimal(58 * workflows + 200), "day", (("actual_percent", Decimal(90)),), ProposedLimit("stop")
        )
        monthly = Proposal(Decimal(58 * 30 * workflows), "month", rules, ProposedLimit("throttle"))
        figures: Json = {"replay_workflows": workflows, "replay_days": 90, "load": round(os.getloadavg()[0], 1)}
        with act_as(viewer):
            account = Account.objects.get(pk=account_id)
            found = replay(viewer, account, daily, now)
            if not (found.loop_stopped and found.sweep):
                raise RuntimeError("the runaway was not stopped: the replay does not see it")
            for name, proposal in (("day", daily), ("month", monthly)):
                took, busy = timed(lambda: shown_replay(replay(viewer, account, proposal, now)).chart, times)  # noqa: B023
                figures |= {f"replay_{name}_ms": took, f"replay_{name}_cpu_ms": busy}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--workflows", type=int, default=40)
    parser.add_argument("--times", type=int, default=10)
    options = parser.parse_args()
    figures = measure(options.accounts, options.workflows, options.times, quiet=options.json)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:24} {value}")
    if max(figures["replay_day_ms"], figures["replay_month_ms"]) > MOST_MS:
        sys.exit(f"A replay takes more than {MOST_MS} ms.")


if __name__ == "__main__":
    main()
