"""How long the nightly look at a large book takes, and how fast the pages made of it answer.

    python -m benchmarks.book [--json] [--accounts 2000] [--months 18] [--requests 40]

Makes a private PostgreSQL with 2,000 accounts of two workflows, 18 months of days, commits drawn day by day,
forecasts, people and what was said, generated inside the database. `nightly_s` is what
reviews.actions.measure.measure_accounts takes as the application's role, with row-level security, in two processes
side by side (each half of the accounts): metrics, health, signals and plays of a day. The book of all and the brief
of its largest account are then requested over HTTP from the real web server, signed in, one after the other, with
`*_queries` counted in this process. They must not exceed the baseline below by more than a tenth.
"""

import argparse
import http.client
import json
import os
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg2

from benchmarks.harness import Json, Stack, quantile, running_stack, say, setup_django

LIMITS = {"nightly_s": 60, "book_p95_ms": 300, "brief_p95_ms": 300}
# Committed: a page that needs more than this has begun to ask once an account.
QUERIES = {"nightly_queries_a_block": 53, "book_queries": 33, "brief_queries": 59}
WARM_UPS = 5
PROCESSES = 2

_WORKFLOWS = """
INSERT INTO usage_workflow (id, organization_id, account_id, key, name, stage, outcome_unit, success_target)
SELECT gen_random_uuid(), organization_id, id, 'work-' || number, 'Work ' || number, 'production', 'outcome', 0.95
FROM accounts_account CROSS JOIN generate_series(1, 2) AS number
"""
_DAYS = """
INSERT INTO usage_day (organization_id, account_id, meter_id, workflow_id, "group", day, quantity, events, finished,
    successes, outcomes, last_event_at, spend)
SELECT work.organization_id, work.account_id, %(meter)s, work.id, '', %(today)s - ago, 1000, 50, 50,
    50 - floor(random() * 5), 40, %(today)s - ago, round((account.level * (0.6 + 0.8 * random()))::numeric, 2)
FROM usage_workflow AS work
JOIN (SELECT id, exp(2 + 3 * random()) AS level FROM accounts_account OFFSET 0) AS account ON account.id = account_id
CROSS JOIN generate_series(1, %(days)s) AS ago
"""
_ACCOUNT_DAYS = """
INSERT INTO account_day (organization_id, account_id, day, currency, unpriced_events, finished, successes, outcomes,
    events, last_event_at, spend)
SELECT organization_id, account_id, day, 'USD', 0, sum(finished), sum(successes), sum(outcomes), sum(events),
    max(last_event_at), sum(spend) FROM usage_day GROUP BY 1, 2, 3
"""
_CONTRACTS = """
INSERT INTO budgets_contract (id, organization_id, account_id, name, starts_on, ends_on, draw_policy, overage_factor,
    note)
SELECT gen_random_uuid(), organization_id, id, 'Contract', %(today)s - 200, %(today)s + 165, 'priority', 1.2, ''
FROM accounts_account
"""
_COMMITS = """
INSERT INTO budgets_commit (id, organization_id, account_id, contract_id, kind, name, unit, amount, rate, value,
    priority, effective_on, expires_on, rollover_least, rollover_most, rollover_months, only_meters, except_meters)
SELECT gen_random_uuid(), contract.organization_id, contract.account_id, contract.id, 'prepaid', 'Prepaid', 'USD',
    amount, 1, amount, 1, starts_on, ends_on, 0, 0, 0, '{}', '{}'
FROM budgets_contract AS contract
JOIN (
    SELECT account_id, round((avg(spend) * 365 * (0.7 + 0.6 * random()))::numeric, 2) AS amount
    FROM account_day GROUP BY 1
) AS days USING (account_id)
"""
_LEDGER = """
INSERT INTO budgets_ledgerentry (id, organization_id, account_id, commit_id, kind, day, amount, why, reason)
SELECT gen_random_uuid(), made.organization_id, made.account_id, made.id, 'granted', made.effective_on, made.value,
    '', ''
FROM budgets_commit AS made
UNION ALL
SELECT gen_random_uuid(), made.organization_id, made.account_id, made.id, 'drawn', days.day, -days.spend, '', ''
FROM budgets_commit AS made JOIN account_day AS days ON days.account_id = made.account_id
    AND days.day >= made.effective_on
"""
_BALANCES = """
INSERT INTO budgets_commitbalance (organization_id, account_id, commit_id, settled, ongoing, settled_at)
SELECT organization_id, account_id, commit_id, greatest(sum(amount), 0), greatest(sum(amount), 0), %(today)s
FROM budgets_ledgerentry GROUP BY 1, 2, 3
"""
_ENTRIES = """
INSERT INTO reviews_timelineentry (id, organization_id, account_id, kind, at, text, sentiment, external_id)
SELECT gen_random_uuid(), organization_id, id, 'call', now() - (number * 17 || ' days')::interval, 'They said.',
    (ARRAY['positive', 'neutral', 'negative'])[1 + floor(random() * 3)::int], ''
FROM accounts_account CROSS JOIN generate_series(1, 6) AS number
"""
_CONTACTS = """
INSERT INTO reviews_contact (id, organization_id, account_id, name, email, title, role, note, external_id)
SELECT gen_random_uuid(), organization_id, id, 'Dana', '', '', 'champion', '', '' FROM accounts_account
"""


def make_world(accounts: int, days: int, today: date, owner_url: str) -> tuple[UUID, str, str]:
    """Return the organization's id, its largest account's and the cookie of an admin who is everybody's CSM."""
    from django.conf import settings
    from django.db import transaction
    from django.test import Client

    from accounts.models import Account
    from tests.factories import make_member, make_meter, make_organization

    with transaction.atomic():
        organization = make_organization("Benchmark")
        member = make_member(organization)
        meter = make_meter(organization)
        Account.objects.bulk_create(
            Account(organization=organization, name=f"Customer {number}", key=f"cust-{number:06}", csm=member.user)
            for number in range(accounts)
        )
    client = Client()
    client.force_login(member.user)
    connection = psycopg2.connect(owner_url.rpartition("/")[0] + "/benchmark")
    connection.autocommit = True
    named = {"meter": str(meter.pk), "today": today, "days": days}
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off; SET work_mem = '256MB'; SELECT setseed(0.5)")
        for statement in (_WORKFLOWS, _DAYS, _ACCOUNT_DAYS, _CONTRACTS, _COMMITS, _LEDGER, _BALANCES, _ENTRIES,
                          _CONTACTS):  # fmt: skip
            cursor.execute(statement, named)
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT account_id FROM account_day GROUP BY 1 ORDER BY sum(spend) DESC, 1 LIMIT 1")
        (largest,) = cursor.fetchone() or ("",)
    connection.close()
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    return organization.pk, str(largest), cookie


def look(organization: UUID, now: datetime, accounts: list[UUID]) -> float:
    """Measure these accounts in a process of its own, whose imports are not counted; return its seconds."""
    setup_django()
    from reviews.actions.measure import measure_accounts

    start = time.perf_counter()
    measure_accounts(organization, now, accounts)
    return time.perf_counter() - start


def nightly(organization: UUID, now: datetime) -> Json:
    """Look at every account, in two processes; then at one block alone, its queries counted."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from accounts.models import Account
    from consumption_cs.lib.tenancy import Viewer, act_as
    from reviews.actions.measure import BLOCK, measure_accounts
    from reviews.models import AccountMetrics, HealthDay

    with act_as(Viewer(organization)):
        ids = sorted(Account.objects.filter(organization_id=organization).values_list("pk", flat=True))
    halves = [ids[number::PROCESSES] for number in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:  # a fork would share connections
        seconds = list(pool.map(look, [organization] * PROCESSES, [now] * PROCESSES, halves))
    with CaptureQueriesContext(connection) as queries:
        measure_accounts(organization, now, ids[:BLOCK])
    with act_as(Viewer(organization)):
        kept = AccountMetrics.objects.count(), HealthDay.objects.count()
    if kept != (len(ids), len(ids)):
        raise RuntimeError(f"{kept} rows of metrics and health are kept, of {len(ids)} accounts")
    return {
        "nightly_s": round(max(seconds), 1),
        "nightly_accounts_per_s": round(len(ids) / max(seconds)),
        "nightly_queries_a_block": len(queries),
    }


def page(stack: Stack, path: str, cookie: str, requests: int) -> tuple[float, float]:
    """Return the P50 and P95 of requests one after the other, in milliseconds."""
    address = urlsplit(stack.url)
    took = []
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    for number in range(WARM_UPS + requests):
        start = time.perf_counter()
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}")
        if number >= WARM_UPS:
            took.append((time.perf_counter() - start) * 1000)
    connection.close()
    return round(quantile(took, 0.5), 1), round(quantile(took, 0.95), 1)


def queries_of(path: str, cookie: str) -> int:
    """Count the statements of one request in this process."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(HTTP_COOKIE=cookie, HTTP_HOST="127.0.0.1")
    client.get(path)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path)
        if answer.status_code != 200:
            raise RuntimeError(f"{path} answered {answer.status_code}")
    return len(queries)


def measure(accounts: int, months: int, requests: int, *, quiet: bool = False) -> Json:
    """All figures: seconds, milliseconds, numbers of queries."""
    now = datetime.now(UTC)
    with running_stack() as stack:
        setup_django()
        from django.urls import reverse

        from budgets.actions.forecast import make_runs

        say(f"book: {accounts:,} accounts, {months} months", quiet=quiet)
        organization, largest, cookie = make_world(accounts, months * 365 // 12, now.date(), stack.postgres.url)
        make_runs(organization, now)
        figures: Json = {"book_accounts": accounts} | nightly(organization, now)
        say(f"book: nightly {figures['nightly_s']} s", quiet=quiet)
        # A week before too, so that what has moved can be told.
        from reviews.actions.measure import measure_days

        measure_days(organization, [(now - timedelta(days=days)).date() for days in (8, 15, 22)])
        stack.run("web")
        for name, path in (("book", reverse("reviews:book")), ("brief", reverse("reviews:brief", args=[largest]))):
            figures[f"{name}_queries"] = queries_of(path, cookie)
            figures[f"{name}_p50_ms"], figures[f"{name}_p95_ms"] = page(stack, path, cookie, requests)
    figures["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    figures["load_average"] = round(os.getloadavg()[0], 2)
    return figures


def is_ok(figures: Json) -> bool:
    """Whether every limit is kept, and no page asks more than a tenth above its baseline."""
    fast = all(figures[name] <= limit for name, limit in LIMITS.items())
    return fast and all(figures[name] <= 1.1 * most for name, most in QUERIES.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print only JSON on standard output")
    parser.add_argument("--accounts", type=int, default=2000)
    parser.add_argument("--months", type=int, default=18)
    parser.add_argument("--requests", type=int, default=40)
    options = parser.parse_args()
    figures = measure(options.accounts, options.months, options.requests, quiet=options.json)
    limits: dict[str, Any] = {f"{name}_limit": limit for name, limit in (LIMITS | QUERIES).items()}
    figures |= limits | {"ok": is_ok(figures)}
    print(json.dumps(figures))
    raise SystemExit(not figures["ok"])


if __name__ == "__main__":
    main()
