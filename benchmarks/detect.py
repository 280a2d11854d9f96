"""How long a look for unusual usage takes: every account and workflow of one organization, from database to alerts.

    python -m benchmarks.detect [--json] [--accounts 1000] [--workflows 3]

Makes a private PostgreSQL with 60 days of hours of each account and workflow, noisy by the hour of the day, generated
inside the database; one account of a hundred has just spiked. Timed is budgets.actions.detect.detect as the
application's role, with row-level security, the first time (alerts are raised) and again within the hour. `ok`: within
the limits, which are for 1,000 accounts of 3 workflows; the exit status says it too. `load_average` is that of the
whole machine.
"""

import argparse
import json
import os
import resource
import time
from datetime import UTC, datetime
from uuid import UUID

import psycopg2

from benchmarks.harness import Json, running_stack, say, setup_django

DAYS = 60
LIMITS = {"detect_first_s": 20, "detect_again_s": 20, "detect_peak_memory_mb": 600}

_HOURS = """
INSERT INTO usage_hour (organization_id, account_id, meter_id, workflow_id, "group", quantity, events, finished,
    successes, outcomes, last_event_at, starts_at)
SELECT work.organization_id, work.account_id, %(meter)s, work.id, '', 100 * (1.2 + sin(ago * pi() / 12) + random() / 4)
    * CASE WHEN ago <= 3 AND account.key LIKE '%%00' THEN 20 ELSE 1 END, 10, 10, 9, 0, at, at
FROM usage_workflow AS work JOIN accounts_account AS account ON account.id = work.account_id
CROSS JOIN generate_series(1, %(hours)s) AS ago
CROSS JOIN LATERAL (SELECT %(until)s::timestamptz - ago * interval '1 hour' AS at) AS hour
"""
_WORKFLOWS = """
INSERT INTO usage_workflow (id, organization_id, account_id, key, name, stage, outcome_unit)
SELECT gen_random_uuid(), organization_id, id, 'work-' || number, 'Work ' || number, 'production', 'outcome'
FROM accounts_account CROSS JOIN generate_series(1, %(workflows)s) AS number
"""
_DAYS = """
INSERT INTO usage_day (organization_id, account_id, meter_id, workflow_id, "group", day, quantity, events, finished,
    successes, outcomes, last_event_at, spend)
SELECT organization_id, account_id, meter_id, workflow_id, "group", (starts_at AT TIME ZONE 'UTC')::date,
    sum(quantity), sum(events), sum(finished), sum(successes), 0, max(starts_at), round(sum(quantity) / 50, 2)
FROM usage_hour GROUP BY 1, 2, 3, 4, 5, 6
"""
_ACCOUNT_DAYS = """
INSERT INTO account_day (organization_id, account_id, day, currency, unpriced_events, finished, successes, outcomes,
    events, last_event_at, spend)
SELECT organization_id, account_id, day, 'USD', 0, sum(finished), sum(successes), 0, sum(events), max(last_event_at),
    sum(spend) FROM usage_day GROUP BY 1, 2, 3
"""


def make_world(accounts: int, workflows: int, until: datetime, owner_url: str) -> str:
    """Return the id of an organization with accounts as the module says."""
    from django.db import transaction

    from accounts.models import Account
    from tests.factories import make_meter, make_organization

    with transaction.atomic():
        organization = make_organization("Benchmark")
        meter = make_meter(organization)
        Account.objects.bulk_create(
            Account(organization=organization, name=f"Customer {number}", key=f"cust-{number:06}", timezone="UTC")
            for number in range(accounts)
        )
    values = {"meter": str(meter.pk), "until": until, "hours": DAYS * 24 - 1, "workflows": workflows}
    connection = psycopg2.connect(owner_url.rpartition("/")[0] + "/benchmark")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off; SET work_mem = '256MB'; SELECT setseed(0.5)")
        for statement in (_WORKFLOWS, _HOURS, _DAYS, _ACCOUNT_DAYS):
            cursor.execute(statement, values)
        cursor.execute("VACUUM ANALYZE")
    connection.close()
    return str(organization.pk)


def measure(accounts: int, workflows: int, *, quiet: bool = False) -> Json:
    """All figures, in seconds and MB."""
    now = datetime.now(UTC)
    with running_stack() as stack:
        setup_django()
        warm_up()
        from accounts.models import Account
        from budgets.actions.detect import detect
        from budgets.models import Alert
        from consumption_cs.lib.tenancy import Viewer, act_as

        say(f"detect: {accounts:,} accounts of {workflows} workflows", quiet=quiet)
        until = now.replace(minute=0, second=0, microsecond=0)
        organization = UUID(make_world(accounts, workflows, until, stack.postgres.url))
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            detect(organization, now)
            seconds.append(time.perf_counter() - start)
        with act_as(Viewer(organization)):
            alerts, spiked = Alert.objects.count(), Account.objects.filter(key__endswith="00").count()
            told = Alert.objects.values("account_id").distinct().count()
    if told < spiked:
        raise RuntimeError(f"{told} accounts were told of, {spiked} have spiked")
    return {
        "detect_accounts": accounts,
        "detect_series": accounts * (workflows + 1),
        "detect_first_s": round(seconds[0], 1),
        "detect_again_s": round(seconds[1], 1),
        "detect_accounts_per_s": round(accounts / max(seconds), 1),
        "detect_alerts": alerts,
        "detect_spiked_accounts": spiked,
        "detect_peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "load_average": round(os.getloadavg()[0], 2),
    }


def warm_up() -> None:
    """Load what a worker has loaded long before its tick: every page, for the addresses in messages."""
    from django.urls import get_resolver

    get_resolver().url_patterns  # noqa: B018 - read for what it loads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--workflows", type=int, default=3)
    options = parser.parse_args()
    figures = measure(options.accounts, options.workflows, quiet=options.json)
    ok = all(figures[name] <= limit for name, limit in LIMITS.items())
    if options.json:
        print(json.dumps(figures | {"limits": LIMITS, "ok": ok}))
    else:
        for name, value in figures.items():
            print(f"{name:24} {value}   {f'limit {LIMITS[name]}' if name in LIMITS else ''}".rstrip())
    raise SystemExit(not ok)


if __name__ == "__main__":
    main()
