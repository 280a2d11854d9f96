"""How fast a gateway is told whether work may run: alone, and while events arrive.

    python -m benchmarks.headroom [--json] [--accounts 1000] [--seconds 30] [--rate 60]

Each account has three budgets, two of them with a limit, and 30 days of use. A few clients with connections that are
kept ask in turn about random accounts and batches of work, as often as `--rate` says, whatever the answers take;
every third question says with which answer it would go on (If-None-Match) and is `cached_*`. `loaded_*` is the same
while 2,000 events a second arrive for these accounts, in batches of 500. Everything, clients included, runs on this
machine. `queries` are the statements that one answer sends to the database, `batch_queries` one whose batch is priced;
`cpu_ms` is what web server and database spend on an answer, which a busy machine changes little. `ok`: within the
limits; the exit status says it too.
"""

import argparse
import http.client
import json
import os
import random
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from benchmarks.alerts import AMOUNT, add_budgets, add_forecasts
from benchmarks.harness import Json, Stack, quantile, running_stack, say, setup_django
from benchmarks.settlement import BATCH, EVENTS_PER_S, GRADUATED, METERS, Database, SpreadLoad

PROCESSES = ("rollup", "settlement", "sweeper", "beat-1", "beat-2")
CLIENTS = 4
DAYS = 30
WARM_UP_SECONDS = 5
LIMITS = {"p99_ms": 20, "batch_p99_ms": 20, "cached_p99_ms": 20, "loaded_p99_ms": 20}


def prepare(accounts: int) -> tuple[UUID, str, str]:
    """An organization with accounts, budgets, limits and forecasts; the keys to ask and to send with."""
    from accounts.models import Account, Scope
    from consumption_cs.lib.tenancy import act_as
    from tests.factories import make_key, make_meter, make_organization, make_price, staff_of

    organization = make_organization("Benchmark")
    with act_as(staff_of(organization)):
        meters = [make_meter(organization, key) for key in METERS]
        for meter in meters:
            make_price(meter, terms=GRADUATED)
        _, asking = make_key(organization, (Scope.READ,))
        _, sending = make_key(organization)
        made = Account.objects.bulk_create(
            Account(organization=organization, name=f"Customer {number}", key=f"cust-{number}")
            for number in range(accounts)
        )
        add_budgets(made, meters[0])
        add_limits(organization.pk)
        add_forecasts(made)
    return organization.pk, asking, sending


def add_limits(organization_id: UUID) -> None:
    """A limit that stops for each budget of a month."""
    from budgets.models import Budget, Limit

    budgets = Budget.objects.filter(organization_id=organization_id, period=Budget.Period.MONTH)
    own = [{"organization_id": organization_id, "account_id": one.account_id, "budget": one} for one in budgets]
    before = datetime.now(UTC) - timedelta(days=40)
    Limit.objects.bulk_create(Limit(**one, number=1, action="stop", created_at=before) for one in own)


def add_use(database: Database, today: date) -> None:
    """A month of days that are rated and settled, as far as an answer reads them."""
    database.add_days(today - timedelta(days=DAYS), DAYS + 1)
    database.cursor.execute("UPDATE usage_day SET spend = quantity / 10000")
    database.cursor.execute(
        """
        INSERT INTO account_day (organization_id, account_id, day, currency, spend, unpriced_events, events, finished,
            successes, outcomes, last_event_at)
        SELECT organization_id, account_id, day, 'USD', sum(spend), 0, sum(events), sum(finished), sum(successes),
            sum(outcomes), max(last_event_at)
        FROM usage_day GROUP BY organization_id, account_id, day
        """
    )
    database.cursor.execute(
        """
        INSERT INTO usage_rated_day (organization_id, account_id, day, meter_id, cell, price_id, quantity, events,
            amount, total_quantity, total_events, total_due, total_amount)
        SELECT organization_id, account_id, day, meter_id, '',
            (SELECT id FROM usage_price AS price WHERE price.meter_id = used.meter_id), quantity, events,
            spend, sum(quantity) OVER month, sum(events) OVER month, sum(spend) OVER month, sum(spend) OVER month
        FROM usage_day AS used
        WINDOW month AS (PARTITION BY account_id, meter_id, date_trunc('month', day) ORDER BY day)
        """
    )
    database.vacuum()


@dataclass
class Asked:
    """What clients saw, in milliseconds by kind of question, and what was answered otherwise than it should."""

    plain: list[float] = field(default_factory=list)
    batch: list[float] = field(default_factory=list)
    cached: list[float] = field(default_factory=list)
    not_modified: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.plain) + len(self.batch) + len(self.cached)


class Gateway:
    """Clients that ask at a steady rate."""

    def __init__(self, stack: Stack, secret: str, accounts: int, rate: float) -> None:
        address = urlsplit(stack.url)
        self.host, self.port = address.hostname or "", address.port
        self.headers = {"Authorization": f"Bearer {secret}"}
        self.accounts, self.rate = accounts, rate

    def ask_for(self, seconds: float) -> Asked:
        asked = Asked()
        threads = [
            threading.Thread(target=self._client, args=(asked, number, time.perf_counter() + seconds))
            for number in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return asked

    def _client(self, asked: Asked, number: int, until: float) -> None:
        pick = random.Random(number)  # noqa: S311 - test data
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        connection.connect()
        due = time.perf_counter() + number / self.rate
        while (due := due + CLIENTS / self.rate * pick.uniform(0.5, 1.5)) < until:
            time.sleep(max(0.0, due - time.perf_counter()))
            key = f"cust-{pick.randrange(self.accounts)}"
            tag = self._timed(connection, f"{key}/headroom", asked.plain, asked)
            self._timed(connection, f"{key}/headroom?meter={METERS[0]}&quantity=5000", asked.batch, asked)
            if tag:
                self._timed(connection, f"{key}/headroom", asked.cached, asked, tag)
        connection.close()

    def _timed(
        self, connection: http.client.HTTPConnection, path: str, times: list[float], asked: Asked, tag: str = ""
    ) -> str:
        started = time.perf_counter()
        connection.request(
            "GET", f"/api/v1/accounts/{path}", headers=self.headers | ({"If-None-Match": tag} if tag else {})
        )
        response = connection.getresponse()
        content = response.read()
        times.append((time.perf_counter() - started) * 1000)
        asked.not_modified += response.status == 304
        if response.status not in (200, 304):
            asked.failures.append(f"{response.status} {content[:200]!r}")
        return response.headers.get("ETag", "")


def queries_of(secret: str, path: str) -> int:
    """Return how often one answer asks the database, counted in this process when everything is warm."""
    from django.db import connection
    from django.test import Client

    count = 0

    def counting(execute: Any, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        return execute(*arguments)

    client, headers = Client(), {"Authorization": f"Bearer {secret}"}
    client.get(f"/api/v1/accounts/{path}", headers=headers, SERVER_NAME="127.0.0.1")
    with connection.execute_wrapper(counting):
        answer = client.get(f"/api/v1/accounts/{path}", headers=headers, SERVER_NAME="127.0.0.1")
    if answer.status_code != 200:
        raise RuntimeError(f"{answer.status_code} {answer.content[:300]!r}")
    return count


def send_for(load: SpreadLoad, bodies: list[bytes], stop: threading.Event) -> None:
    """Send a batch of events as often as makes the load's rate, until told to stop."""
    started = time.perf_counter()
    for number, body in enumerate(bodies):
        time.sleep(max(0.0, started + number * BATCH / EVENTS_PER_S - time.perf_counter()))
        if stop.is_set():
            return
        load.send([body])


def figures_of(asked: Asked, prefix: str = "") -> Json:
    """The quantiles of each kind of question."""
    if asked.failures:
        raise RuntimeError(asked.failures[0])
    found: Json = {}
    for name, times in (("", asked.plain), ("batch_", asked.batch), ("cached_", asked.cached)):
        found[f"{prefix}{name}p50_ms"] = round(quantile(times, 0.5), 2)
        found[f"{prefix}{name}p99_ms"] = round(quantile(times, 0.99), 2)
    found[f"{prefix}asked"] = asked.count
    found[f"{prefix}not_modified"] = asked.not_modified
    return found


def measure(accounts: int, seconds: int, rate: float, *, quiet: bool = False) -> Json:
    """All figures."""
    with running_stack() as stack:
        setup_django()
        organization_id, asking, sending = prepare(accounts)
        database = Database(stack.postgres.url, organization_id)
        add_use(database, datetime.now(UTC).date())
        queries = {
            "queries": queries_of(asking, "cust-0/headroom"),
            "batch_queries": queries_of(asking, f"cust-0/headroom?meter={METERS[0]}&quantity=5000"),
        }
        say(f"{accounts} accounts with {3 * accounts} budgets of {AMOUNT:,}", quiet=quiet)
        stack.run("web")
        stack.run(*PROCESSES)
        gateway = Gateway(stack, asking, accounts, rate / 3)
        gateway.ask_for(WARM_UP_SECONDS)
        before = stack.cpu_seconds()
        alone = gateway.ask_for(seconds)
        spent = stack.cpu_seconds()
        cpu = sum(spent[name] - before[name] for name in ("web", "postgres"))
        load, stop = SpreadLoad(stack, sending), threading.Event()
        load.accounts = accounts
        bodies = [load.bodies(BATCH, BATCH)[0] for _ in range(EVENTS_PER_S * (seconds + 30) // BATCH)]
        sender = threading.Thread(target=send_for, args=(load, bodies, stop))
        sender.start()
        gateway.ask_for(WARM_UP_SECONDS)
        loaded = gateway.ask_for(seconds)
        stop.set()
        sender.join()
    return {
        **queries,
        "cpu_ms": round(cpu * 1000 / alone.count, 2),
        **figures_of(alone),
        **figures_of(loaded, "loaded_"),
        "accounts": accounts,
        "rate_per_s": rate,
        "load_average": round(os.getloadavg()[0], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print only JSON on standard output")
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=30, help="how long to ask, without and with events")
    parser.add_argument("--rate", type=float, default=60, help="questions a second")
    options = parser.parse_args()
    figures = measure(options.accounts, options.seconds, options.rate, quiet=options.json)
    ok = all(figures[name] <= limit for name, limit in LIMITS.items())
    if options.json:
        print(json.dumps(figures | {"limits": LIMITS, "ok": ok}))
    else:
        for name, value in figures.items():
            print(f"{name:24} {value:>14,.2f}   {f'limit {LIMITS[name]}' if name in LIMITS else ''}")
    raise SystemExit(not ok)


if __name__ == "__main__":
    main()
