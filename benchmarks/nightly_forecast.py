"""How long the nightly forecast of one organization takes from database to database; benchmarks.forecast runs it.

Makes a private PostgreSQL with accounts that have 400 days of spend, 120 rated days of one meter with a price,
and (every other account) a contract with a prepaid commit and a monthly credit, all generated inside the database.
Timed is budgets.actions.forecast.make_runs as the application's role, with row-level security: reading, forecasting,
drawing from the commits, pricing the open period, writing one run an account. It ends unless each account has its run.
"""

import resource
import time
from datetime import UTC, date, datetime
from datetime import time as clock

import psycopg2

from benchmarks.harness import Json, running_stack, say, setup_django

DAYS = 400
RATED_DAYS = 120

# A level of its own for each account, quiet weekends, noise; some accounts are young.
_ACCOUNT_DAYS = """
INSERT INTO account_day (organization_id, account_id, day, currency, unpriced_events, finished, successes, outcomes,
    events, last_event_at, spend)
SELECT %(organization)s, account.id, day, 'USD', 0, 0, 0, 0, 100, day, round((level * (0.6 + 0.8 * random())
    * CASE WHEN extract(isodow FROM day) > 5 THEN 0.3 ELSE 1 END)::numeric, 2)
FROM (SELECT id, exp(3 + 4 * random()) AS level, CASE WHEN random() < 0.2 THEN random() ELSE 1 END AS age
    FROM accounts_account OFFSET 0) AS account
CROSS JOIN LATERAL (SELECT %(today)s - ago AS day FROM generate_series(1, ceil(age * %(days)s)::int) AS ago) AS days
"""
_RATED_DAYS = """
INSERT INTO usage_rated_day (organization_id, account_id, day, meter_id, cell, price_id, quantity, events, amount,
    total_quantity, total_events, total_due, total_amount)
SELECT organization_id, account_id, day, %(meter)s, '', %(price)s, spend * 1000, events, spend,
    sum(spend * 1000) OVER month, sum(events) OVER month, sum(spend) OVER month, sum(spend) OVER month
FROM account_day WHERE day >= %(today)s - %(rated)s
WINDOW month AS (PARTITION BY account_id, date_trunc('month', day) ORDER BY day)
"""
_CONTRACTS = """
INSERT INTO budgets_contract (id, organization_id, account_id, name, starts_on, ends_on, draw_policy, overage_factor,
    note)
SELECT gen_random_uuid(), organization_id, id, 'Contract', %(today)s - 150, %(today)s + 215, 'priority', 1.2, ''
FROM (SELECT *, row_number() OVER (ORDER BY id) AS number FROM accounts_account) AS account WHERE number %% 2 = 0
"""
_COMMITS = """
INSERT INTO budgets_commit (id, organization_id, account_id, contract_id, kind, name, unit, amount, rate, value,
    priority, effective_on, expires_on, recurs_months, rollover_least, rollover_most, rollover_months, only_meters,
    except_meters)
SELECT gen_random_uuid(), contract.organization_id, contract.account_id, contract.id, made.kind, made.name, 'USD',
    made.value, 1, made.value, made.priority, starts_on, ends_on, months, 0, 0, 0, '{}', '{}'
FROM budgets_contract AS contract
JOIN (SELECT account_id, avg(spend) AS usual FROM account_day GROUP BY 1) AS days USING (account_id)
CROSS JOIN LATERAL (VALUES ('prepaid', 'Prepaid', round(usual * 365, 2), 2, NULL::int),
    ('credit', 'Monthly credit', round(usual, 2), 1, 1)) AS made(kind, name, value, priority, months)
"""
_BALANCES = """
INSERT INTO budgets_commitbalance (organization_id, account_id, commit_id, settled, ongoing, settled_at)
SELECT organization_id, account_id, id, value * left_over, value * left_over, %(today)s
FROM (SELECT *, 0.2 + 0.6 * random() AS share FROM budgets_commit) AS made
CROSS JOIN LATERAL (SELECT share::numeric AS left_over) AS part
"""


def make_world(accounts: int, today: date, owner_url: str) -> str:
    """Return the id of an organization with accounts as the module says."""
    from django.db import transaction

    from accounts.models import Account
    from tests.factories import make_meter, make_organization, make_price

    with transaction.atomic():
        organization = make_organization("Benchmark")
        meter = make_meter(organization, "llm.tokens", unit="token")
        price = make_price(meter, "0.001")
        Account.objects.bulk_create(
            (
                Account(organization=organization, name=f"Customer {number}", key=f"cust-{number}", currency="USD")
                for number in range(accounts)
            ),
            batch_size=1000,
        )
    values = {
        "organization": str(organization.pk), "meter": str(meter.pk), "price": str(price.pk), "today": today,
        "days": DAYS, "rated": RATED_DAYS,
    }  # fmt: skip
    connection = psycopg2.connect(owner_url.rpartition("/")[0] + "/benchmark")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off; SET work_mem = '128MB'; SELECT setseed(0.5)")
        for statement in (_ACCOUNT_DAYS, _RATED_DAYS, _CONTRACTS, _COMMITS, _BALANCES):
            cursor.execute(statement, values)
        cursor.execute("VACUUM ANALYZE")
    connection.close()
    return str(organization.pk)


def measure(accounts: int, *, quiet: bool = False, profile: str = "") -> Json:
    """All figures; in a process of its own, whose peak memory is this job's. `profile` names a file for cProfile."""
    today = datetime.now(UTC).date()
    with running_stack() as stack:
        setup_django()
        from uuid import UUID

        say(f"nightly: {accounts:,} accounts of {DAYS} days", quiet=quiet)
        organization = UUID(make_world(accounts, today, stack.postgres.url))
        say("nightly: forecasting", quiet=quiet)
        before = stack.cpu_seconds()["postgres"]
        seconds, cpu, runs = _timed(organization, datetime.combine(today, clock(3), UTC), profile)
        database = stack.cpu_seconds()["postgres"] - before
        size = _bytes_of_runs(stack.postgres.url)
    if runs != accounts:
        raise RuntimeError(f"{runs} runs were made for {accounts} accounts")
    return {
        "nightly_accounts": accounts,
        "nightly_s": round(seconds, 1),
        "nightly_cpu_s": round(cpu, 1),
        "nightly_database_cpu_s": round(database, 1),
        "nightly_peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "nightly_bytes_per_run": round(size / max(runs, 1)),
    }


def _timed(organization_id: object, now: datetime, profile: str) -> tuple[float, float, int]:
    import cProfile
    from typing import Any

    from budgets.actions.forecast import make_runs

    profiler = cProfile.Profile() if profile else None
    named: Any = organization_id
    start, cpu = time.perf_counter(), time.process_time()
    runs = profiler.runcall(make_runs, named, now) if profiler else make_runs(named, now)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    if profiler:
        profiler.dump_stats(profile)
    return seconds, cpu, runs


def _bytes_of_runs(url: str) -> int:
    connection = psycopg2.connect(url.rpartition("/")[0] + "/benchmark")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size('budgets_forecastrun')")
        size = int((cursor.fetchone() or (0,))[0])
    connection.close()
    return size
