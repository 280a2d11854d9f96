"""How fast whole pages answer, beside the same answer computed from raw events by SQL.

    python -m benchmarks.pages [--events 200000] [--requests 60] [--json]

Makes a private PostgreSQL with 1,000 accounts of 5 workflows and synthetic events of 120 days, generated inside the
database; the days are computed from those very events, and the benchmark stops if both do not give the same sums.
A few accounts are busy and most are small; the account whose pages are measured is the busiest of them. Pages are
requested over HTTP from the real web server, signed in, one after the other. `raw_ms` is the median of the query
alone, without any page around it; `speedup` is raw_ms ÷ p50_ms, so that the page carries its templates and its
session and the query does not. The log of keys against duplicates is left empty: no page reads it.
"""

import argparse
import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg2

from benchmarks.harness import Json, Stack, quantile, running_stack, say, setup_django

ACCOUNTS = 1000
WORKFLOWS = 5
DAYS = 120
PRICE = "0.0001"
WARM_UPS = 5
RAW_ROUNDS = 3
LIMITS_MS = {"overview": 150, "workflow": 150, "account_list": 300, "event_log": 300}

# A few accounts are busy: the share of the first is the root of one in a thousand, about 3 %.
_EVENTS = """
INSERT INTO usage_event (organization_id, key, occurred_at, received_at, batch_id, account_id, meter_id, workflow_id,
    quantity, outcomes, succeeded, attempt, environment, counted, source, event_id, properties)
SELECT %(organization)s, gen_random_uuid(), happened, happened, 1, account_id, %(meter)s, workflow_id,
    1 + floor(luck * 20000), CASE WHEN worked THEN 1 ELSE 0 END, worked, 1, 'production', true,
    '/prod/gateway-eu-1', number::text, '{"model": "large-2"}'
FROM (
    SELECT number, luck, luck < 0.97 AS worked,
        %(day)s::timestamp AT TIME ZONE 'UTC' + random() * %(share)s * interval '1 day' AS happened,
        (floor(%(accounts)s * power(random(), 2)) * %(workflows)s + floor(%(workflows)s * random()))::int AS place
    FROM (SELECT number, random() AS luck FROM generate_series(1, %(events)s) AS number OFFSET 0) AS numbers
    OFFSET 0
) AS made JOIN places USING (place)
"""
_DAYS = """
INSERT INTO usage_day (organization_id, account_id, meter_id, workflow_id, "group", day, quantity, events, finished,
    successes, outcomes, spend, last_event_at)
SELECT organization_id, account_id, meter_id, workflow_id, '', %(day)s, sum(quantity), count(*), count(succeeded),
    count(*) FILTER (WHERE succeeded), sum(outcomes), round(sum(quantity) * %(price)s, 6), max(occurred_at)
FROM usage_event WHERE counted AND occurred_at >= %(day)s::timestamp AT TIME ZONE 'UTC'
    AND occurred_at < (%(day)s + 1)::timestamp AT TIME ZONE 'UTC'
GROUP BY organization_id, account_id, meter_id, workflow_id
"""
_ACCOUNT_DAYS = """
INSERT INTO account_day (organization_id, account_id, day, currency, spend, unpriced_events, events, finished,
    successes, outcomes, last_event_at)
SELECT organization_id, account_id, day, 'USD', sum(spend), 0, sum(events), sum(finished), sum(successes),
    sum(outcomes), max(last_event_at)
FROM usage_day GROUP BY organization_id, account_id, day
"""
# The answers of the pages, from raw events. Each is what the page shows and no more.
_RAW_OVERVIEW = """
SELECT workflow_id, (occurred_at AT TIME ZONE 'UTC')::date AS day, sum(quantity) * %(price)s, count(*),
    count(succeeded), count(*) FILTER (WHERE succeeded), sum(outcomes), max(occurred_at)
FROM usage_event WHERE organization_id = %(organization)s AND account_id = %(account)s AND counted
    AND occurred_at >= %(since)s GROUP BY 1, 2
"""
_RAW_WORKFLOW = """
SELECT (occurred_at AT TIME ZONE 'UTC')::date AS day, sum(quantity) * %(price)s, count(*),
    count(succeeded), count(*) FILTER (WHERE succeeded), sum(outcomes)
FROM usage_event WHERE organization_id = %(organization)s AND account_id = %(account)s
    AND workflow_id = %(workflow)s AND counted GROUP BY 1
"""
_RAW_ACCOUNT_LIST = """
SELECT account_id, sum(quantity) FILTER (WHERE occurred_at >= %(month)s) * %(price)s,
    sum(quantity) FILTER (WHERE occurred_at < %(month)s) * %(price)s, max(occurred_at)
FROM usage_event WHERE organization_id = %(organization)s AND counted AND occurred_at >= %(month_before)s
GROUP BY 1
"""
_RAW_EVENT_LOG = """
SELECT * FROM usage_event WHERE organization_id = %(organization)s ORDER BY occurred_at DESC, key DESC LIMIT 50
"""


@dataclass(frozen=True, slots=True)
class World:
    """What is measured: an organization, its busiest account, and the session of one of its staff."""

    organization: str
    meter: str
    account: str
    workflow: str
    cookie: str
    viewer: Any


def prepare() -> World:
    """An organization with a thousand accounts of five workflows, a price, and a signed-in admin."""
    from django.conf import settings
    from django.db import transaction
    from django.test import Client

    from accounts.models import Account
    from tests.factories import make_member, make_meter, make_organization, make_price, staff_of
    from usage.models import Workflow

    with transaction.atomic():
        organization = make_organization("Benchmark")
        member = make_member(organization)
        meter = make_meter(organization, "llm.tokens", unit="token")
        make_price(meter, PRICE)
        accounts = Account.objects.bulk_create(
            Account(organization=organization, name=f"Customer {number:04}", key=f"cust-{number}")
            for number in range(ACCOUNTS)
        )
        workflows = Workflow.objects.bulk_create(
            Workflow(organization=organization, account=account, name=f"Workflow {number}", key=f"workflow-{number}")
            for account in accounts
            for number in range(WORKFLOWS)
        )
    client = Client()
    client.force_login(member.user)
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    return World(
        organization=str(organization.pk),
        meter=str(meter.pk),
        account=str(accounts[0].pk),
        workflow=str(workflows[0].pk),
        cookie=cookie,
        viewer=staff_of(organization),
    )


class Maker:
    """Makes events inside the database, day by day, and the days from them. Connects as the superuser."""

    def __init__(self, url: str, world: World, *, quiet: bool) -> None:
        self.connection = psycopg2.connect(url.rpartition("/")[0] + "/benchmark")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.world, self.quiet = world, quiet

    def make(self, events: int, now: datetime) -> int:
        """Spread `events` evenly over the days up to `now`; returns how many there are."""
        self._prepare()
        days = [now.date() - timedelta(days=number) for number in range(DAYS, -1, -1)]
        part_of_today = (now - datetime.combine(now.date(), datetime.min.time(), UTC)) / timedelta(days=1)
        per_day = events / (DAYS + part_of_today)
        made, started = 0, time.monotonic()
        for day in days:
            made += self._make_day(day, per_day, part_of_today if day == now.date() else 1.0)
            rate = made / max(time.monotonic() - started, 0.001)
            left = (events - made) / rate
            say(f"{day}: {made:,} of {events:,} events, {rate:,.0f}/s, {left:,.0f} s left", quiet=self.quiet)
        self.cursor.execute(_ACCOUNT_DAYS)
        say("vacuum and analyze", quiet=self.quiet)
        self.cursor.execute("VACUUM ANALYZE usage_event, usage_day, account_day, accounts_account, usage_workflow")
        return made

    def _prepare(self) -> None:
        self.cursor.execute(
            "SET synchronous_commit = off; SET work_mem = '64MB'; SET max_parallel_workers_per_gather = 0"
        )
        self.cursor.execute("SELECT setseed(0.5)")
        self.cursor.execute(
            "SELECT usage_make_partition((now() - months * interval '1 month')::date)"
            " FROM generate_series(0, 6) AS months"
        )
        self.cursor.execute(
            "CREATE TEMPORARY TABLE places AS"
            " SELECT (row_number() OVER (ORDER BY a.key_number, w.key) - 1)::int AS place,"
            " a.id AS account_id, w.id AS workflow_id FROM (SELECT *, substr(key, 6)::int AS key_number"
            " FROM accounts_account) a JOIN usage_workflow w ON w.account_id = a.id; ANALYZE places"
        )

    def _make_day(self, day: date, per_day: float, share: float) -> int:
        values = {
            "organization": self.world.organization, "meter": self.world.meter, "day": day, "share": share,
            "events": round(per_day * share), "accounts": ACCOUNTS, "workflows": WORKFLOWS, "price": PRICE,
        }  # fmt: skip
        self.cursor.execute(_EVENTS, values)
        made = self.cursor.rowcount
        self.cursor.execute(_DAYS, values)
        return made

    def check(self) -> None:
        """Stop unless events, days and account days hold the same sums."""
        self.cursor.execute(
            "SELECT (SELECT (count(*), sum(quantity)) FROM usage_event)::text,"
            " (SELECT (sum(events), sum(quantity)) FROM usage_day)::text,"
            " (SELECT sum(spend) FROM usage_day), (SELECT sum(spend) FROM account_day)"
        )
        of_events, of_days, spend, spend_of_accounts = self.cursor.fetchone() or (None, 0, 0, 0)
        if of_events != of_days or spend != spend_of_accounts:
            raise RuntimeError(f"the days do not hold what the events do: {of_events} and {of_days}")

    def size_gb(self) -> float:
        self.cursor.execute("SELECT pg_database_size(current_database())")
        return (self.cursor.fetchone() or (0,))[0] / 1e9


def request_times(url: str, path: str, cookie: str, requests: int) -> list[float]:
    """Request a page over one connection; milliseconds of each request. Raises on any answer but 200."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
    times = []
    for number in range(WARM_UPS + requests):
        started = time.perf_counter()
        connection.request("GET", path, headers={"Cookie": cookie})
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise RuntimeError(f"{path} answered {response.status}")
        if number >= WARM_UPS:
            times.append((time.perf_counter() - started) * 1000)
    connection.close()
    return times


def raw_time(world: World, sql: str, values: Json) -> float:
    """Median milliseconds of the query as the application's role, with row-level security as on the page."""
    from django.db import connection

    from consumption_cs.lib.tenancy import act_as

    times = []
    for number in range(RAW_ROUNDS + 1):
        with act_as(world.viewer), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
            started = time.perf_counter()
            cursor.execute(sql, values)
            cursor.fetchall()
            if number:
                times.append((time.perf_counter() - started) * 1000)
    return quantile(times, 0.5)


def questions(world: World) -> dict[str, tuple[str, str]]:
    """Each page's path and the query that answers it from raw events."""
    account = f"/accounts/{world.account}/"
    return {
        "overview": (account, _RAW_OVERVIEW),
        "workflow": (f"{account}workflows/{world.workflow}/", _RAW_WORKFLOW),
        "account_list": ("/accounts/", _RAW_ACCOUNT_LIST),
        "event_log": ("/events/", _RAW_EVENT_LOG),
    }


def raw_values(world: World, now: datetime) -> Json:
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    before = (month - timedelta(days=1)).replace(day=1)
    return {
        "organization": world.organization, "account": world.account, "workflow": world.workflow, "price": PRICE,
        "month": month, "month_before": before, "since": min(before, now - timedelta(days=56)),
    }  # fmt: skip


def measure_page(
    stack: Stack, world: World, name: str, requests: int, now: datetime, tell: Callable[[str], None]
) -> Json:
    path, sql = questions(world)[name]
    tell(f"{name}: {path}")
    times = request_times(stack.url, path, world.cookie, requests)
    tell(f"{name}: the same from raw events")
    raw = raw_time(world, sql, raw_values(world, now))
    p50, p95 = quantile(times, 0.5), quantile(times, 0.95)
    tell(f"{name}: p50 {p50:.1f} ms, p95 {p95:.1f} ms, raw {raw:.1f} ms")
    return {
        "p50_ms": round(p50, 1), "p95_ms": round(p95, 1), "raw_ms": round(raw, 1), "speedup": round(raw / p50, 2),
        "limit_ms": LIMITS_MS[name], "within_limit": p95 <= LIMITS_MS[name],
    }  # fmt: skip


def measure(events: int, requests: int, *, quiet: bool = False) -> Json:
    """All figures: the size of what was made, and each page's times."""
    with running_stack() as stack:
        setup_django()
        world, now = prepare(), datetime.now(UTC)
        maker = Maker(stack.postgres.url, world, quiet=quiet)
        made = maker.make(events, now)
        maker.check()
        stack.run("web")
        pages = {
            name: measure_page(stack, world, name, requests, now, lambda text: say(text, quiet=quiet))
            for name in LIMITS_MS
        }
        figures = {"events": made, "accounts": ACCOUNTS, "days": DAYS, "database_gb": round(maker.size_gb(), 2)}
        maker.connection.close()
    return figures | {"requests": requests, "pages": pages}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print only JSON on standard output")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--requests", type=int, default=60, help="requests of each page that are counted")
    options = parser.parse_args()
    figures = measure(options.events, options.requests, quiet=options.json)
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{figures['events']:,} events, {ACCOUNTS:,} accounts, {figures['database_gb']} GB")
    print(f"{'page':14}{'p50 ms':>9}{'p95 ms':>9}{'limit':>8}{'raw ms':>10}{'speedup':>9}")
    for name, page in figures["pages"].items():
        over = "" if page["within_limit"] else "  over the limit"
        print(
            f"{name:14}{page['p50_ms']:>9}{page['p95_ms']:>9}{page['limit_ms']:>8}{page['raw_ms']:>10}"
            f"{page['speedup']:>9}{over}"
        )


if __name__ == "__main__":
    main()
