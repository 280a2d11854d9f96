"""How fast whole pages are beside the same answer computed from raw events.

    python -m benchmarks.pages [--events 200000] [--accounts 1000] [--rounds 40] [--json]

Events are made inside the database, spread over half a year, every tenth of them for one large account; days are
summed from them by SQL, so that pages and raw queries answer alike. Pages are fetched over HTTP from a real server,
signed in, one at a time. `speedup` is raw ÷ p50.
"""

import argparse
import http.client
import json
import statistics
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from benchmarks.harness import Json, Stack, quantile, running_stack, say, setup_django

DAYS = 180
WORKFLOWS = 4
CHUNK = 500_000
LIMITS_MS = {"overview": 150, "accounts": 300}

_ACCOUNTS = """
INSERT INTO accounts_account (id, organization_id, key, name, segment, tier, currency, timezone)
SELECT gen_random_uuid(), %(organization)s, 'bench-' || n, 'Account ' || n, 'enterprise', 'standard', 'USD', 'UTC'
FROM generate_series(0, %(accounts)s - 1) AS n
"""
_WORKFLOWS = """
INSERT INTO usage_workflow (id, organization_id, account_id, key, name, stage, outcome_unit)
SELECT gen_random_uuid(), organization_id, id, 'flow-' || n, 'Workflow ' || n, 'production', 'document'
FROM accounts_account, generate_series(0, %(workflows)s - 1) AS n
"""
_PLACES = """
CREATE TEMPORARY TABLE place AS
SELECT w.account_id, w.id AS workflow_id, split_part(a.key, '-', 2)::int AS account_no,
       split_part(w.key, '-', 2)::int AS workflow_no
FROM usage_workflow w JOIN accounts_account a ON a.id = w.account_id
"""
_EVENTS = """
INSERT INTO usage_event (organization_id, key, occurred_at, received_at, batch_id, account_id, meter_id, workflow_id,
    quantity, outcomes, succeeded, environment, counted, source, event_id, properties)
SELECT %(organization)s, gen_random_uuid(), made.at, made.at, 1, place.account_id, %(meter)s, place.workflow_id,
    1 + n %% 50, n %% 3, n %% 20 > 0, 'production', true, '/bench', n::text, '{"quantity": 1}'
FROM (
    SELECT n, now() - (n %% %(seconds)s) * interval '1 second' AS at,
           CASE WHEN n %% 10 = 0 THEN 0 ELSE ((n * 7919) %% %(accounts)s)::int END AS account_no,
           ((n / 10) %% %(workflows)s)::int AS workflow_no
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
) made JOIN place USING (account_no, workflow_no)
"""
_DAYS = """
INSERT INTO usage_day (organization_id, account_id, meter_id, workflow_id, day, "group", quantity, events, finished,
    successes, outcomes, spend, last_event_at)
SELECT organization_id, account_id, meter_id, workflow_id, (occurred_at AT TIME ZONE 'UTC')::date, '', sum(quantity),
    count(*), count(*), count(*) FILTER (WHERE succeeded), sum(outcomes), sum(quantity) * 0.001, max(occurred_at)
FROM usage_event GROUP BY 1, 2, 3, 4, 5
"""
_ACCOUNT_DAYS = """
INSERT INTO account_day (organization_id, account_id, day, currency, spend, unpriced_events, events, finished,
    successes, outcomes, last_event_at)
SELECT organization_id, account_id, day, 'USD', sum(spend), 0, sum(events), sum(finished), sum(successes),
    sum(outcomes), max(last_event_at)
FROM usage_day GROUP BY 1, 2, 3
"""
# What the pages answer, from raw events: two months of one account by workflow and day, a year of one workflow by
# day, and two months of every account by day.
RAW = {
    "overview": """
        SELECT workflow_id, (occurred_at AT TIME ZONE 'UTC')::date, sum(quantity) * 0.001, count(*),
            count(*) FILTER (WHERE succeeded), sum(outcomes), max(occurred_at)
        FROM usage_event
        WHERE account_id = %(account)s AND occurred_at >= date_trunc('month', now() - interval '1 month')
        GROUP BY 1, 2""",
    "workflow": """
        SELECT (occurred_at AT TIME ZONE 'UTC')::date, sum(quantity) * 0.001, count(*),
            count(*) FILTER (WHERE succeeded), sum(outcomes), max(occurred_at)
        FROM usage_event WHERE account_id = %(account)s AND workflow_id = %(workflow)s GROUP BY 1""",
    "accounts": """
        SELECT account_id, (occurred_at AT TIME ZONE 'UTC')::date, sum(quantity) * 0.001, count(*),
            count(*) FILTER (WHERE succeeded), sum(outcomes), max(occurred_at)
        FROM usage_event WHERE occurred_at >= date_trunc('month', now() - interval '1 month') GROUP BY 1, 2""",
}


@dataclass(frozen=True)
class Made:
    """What was put into the database, and the cookie of somebody who may see it."""

    organization_id: str
    account_id: str
    workflow_id: str
    cookie: str


def make(events: int, accounts: int, *, quiet: bool) -> Made:
    """Fill the benchmark's own database."""
    from accounts.models import Account, Membership, Organization, User
    from consumption_cs.lib.tenancy import Viewer, act_as
    from usage.models import Meter, Workflow

    organization = Organization.objects.create(key="bench", name="Benchmark")
    user = User.objects.create_user("bench@example.com")
    values: Json = {"organization": organization.pk, "accounts": accounts, "workflows": WORKFLOWS}
    values["seconds"] = DAYS * 86_400
    with act_as(Viewer(organization.pk)):
        Membership.objects.create(organization=organization, user=user, role="admin")
        meter = Meter.objects.create(organization=organization, key="m", name="Calls", unit="call", event_type="m")
        values["meter"] = meter.pk
        _run(_ACCOUNTS, values)
        _run(_WORKFLOWS, values)
    _make_partitions()
    for first in range(0, events, CHUNK):
        say(f"  {first:,} of {events:,} events", quiet=quiet)
        with act_as(Viewer(organization.pk)):
            _run(f"SET LOCAL statement_timeout = 0; {_PLACES}", values)
            _run(_EVENTS, values | {"first": first, "last": min(first + CHUNK, events) - 1})
            _run("DROP TABLE place", {})
    with act_as(Viewer(organization.pk)):
        say("  days", quiet=quiet)
        _run(f"SET LOCAL statement_timeout = 0; SET LOCAL work_mem = '256MB'; {_DAYS}", values)
        _run(_ACCOUNT_DAYS, values)
        account = Account.objects.get(key="bench-0")
        workflow = Workflow.objects.get(account=account, key="flow-0")
    return Made(str(organization.pk), str(account.pk), str(workflow.pk), _sign_in(user))


def _run(sql: str, values: Json) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)


def _make_partitions() -> None:
    _run(
        "SELECT usage_make_partition((now() - n * interval '1 month')::date) FROM generate_series(-1, 8) AS n",
        {},
    )


def _sign_in(user: Any) -> str:
    """The session cookie that signing in gives."""
    from django.test import Client

    client = Client()
    client.force_login(user)
    return "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())


def measure_pages(stack: Stack, made: Made, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each page, fetched in turn so that noise falls on all alike."""
    paths = {
        "overview": f"/accounts/{made.account_id}/",
        "workflow": f"/accounts/{made.account_id}/workflows/{made.workflow_id}/",
        "accounts": "/accounts/",
        "account_events": f"/accounts/{made.account_id}/events/",
        "events": "/events/",
    }
    address = urlsplit(stack.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    times: dict[str, list[float]] = {name: [] for name in paths}
    for round_number in range(rounds + 4):
        for name, path in paths.items():
            started = time.perf_counter()
            connection.request("GET", path, headers={"Cookie": made.cookie})
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise RuntimeError(f"{path} answered {response.status}")
            if round_number >= 4:  # both workers have started and warmed up by then
                times[name].append((time.perf_counter() - started) * 1000)
    connection.close()
    return times


def measure_raw(made: Made, rounds: int = 3) -> dict[str, float]:
    """Median milliseconds of the same answers from raw events."""
    from django.db import connection

    from consumption_cs.lib.tenancy import Viewer, act_as

    values = {"account": made.account_id, "workflow": made.workflow_id}
    result = {}
    for name, sql in RAW.items():
        times = []
        for _ in range(rounds):
            with act_as(Viewer(made.organization_id)), connection.cursor() as cursor:  # type: ignore[arg-type]
                cursor.execute("SET LOCAL statement_timeout = 0")
                started = time.perf_counter()
                cursor.execute(sql, values)
                cursor.fetchall()
                times.append((time.perf_counter() - started) * 1000)
        result[name] = statistics.median(times)
    return result


def run(events: int, accounts: int, rounds: int, *, quiet: bool) -> Json:
    """Make the data, measure, and return the figures by page."""
    with running_stack() as stack:
        setup_django()
        made = make(events, accounts, quiet=quiet)
        stack.run("web")
        _vacuum()
        say("  pages", quiet=quiet)
        pages, raw = measure_pages(stack, made, rounds), measure_raw(made)
    result: Json = {"events": events, "accounts": accounts, "pages": {}}
    for name, times in pages.items():
        p50, p95 = statistics.median(times), quantile(times, 0.95)
        row: Json = {"p50_ms": round(p50, 1), "p95_ms": round(p95, 1)}
        if name in raw:
            row |= {"raw_ms": round(raw[name], 1), "speedup": round(raw[name] / p50, 2)}
        if name in LIMITS_MS:
            row |= {"limit_ms": LIMITS_MS[name], "within": p95 <= LIMITS_MS[name]}
        result["pages"][name] = row
    return result


def _vacuum() -> None:
    """What autovacuum would have done by the time anybody looks."""
    from django.db import connections

    with connections["owner"].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", action="store_true", help="print the figures only")
    options = parser.parse_args()
    result = run(options.events, options.accounts, options.rounds, quiet=options.json)
    print(json.dumps(result, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
