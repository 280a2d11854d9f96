"""How fast events come in: over HTTP until rolled up, beside COPY of the same rows into the same tables.

    python -m benchmarks.ingest [--json] [--events 100000] [--rounds 3]

The client is not counted in `cpu_us_per_event`; web, workers, PostgreSQL and Valkey are, as the operating system
accounts them. Everything runs on one machine, so rates suffer from the client, CPU does not. Medians of the rounds.
"""

import argparse
import http.client
import json
import random
import statistics
import threading
import time
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg2

from benchmarks.harness import Json, Stack, quantile, running_stack, say, setup_django

PROCESSES = ("web", "rollup", "settlement", "sweeper", "beat-1", "beat-2")
ACCOUNTS = 20
WORKFLOWS = 3
CONNECTIONS = 4
SECONDS_TO_ROLL_UP = 120


class Load:
    """Prepared requests, sent over a few connections as fast as they are answered."""

    def __init__(self, stack: Stack, secret: str) -> None:
        address = urlsplit(stack.url)
        self.host, self.port = address.hostname or "", address.port
        self.headers = {
            "Authorization": f"Bearer {secret}",
            "Content-Type": "application/cloudevents-batch+json",
        }
        self.random = random.Random(7)  # noqa: S311 - test data
        self.sent = 0

    def bodies(self, events: int, batch: int) -> list[bytes]:
        return [json.dumps([self.event() for _ in range(batch)]).encode() for _ in range(max(1, events // batch))]

    def event(self) -> Json:
        self.sent += 1
        number, pick = self.sent, self.random
        moment = datetime.now(UTC) - timedelta(seconds=pick.random() * 600)
        return {
            "specversion": "1.0",
            "id": f"01J9ZK3V{number:018d}",
            "source": "/prod/gateway-eu-1",
            "type": "llm.tokens",
            "subject": f"cust-{pick.randrange(ACCOUNTS)}",
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "data": {
                "quantity": pick.randrange(1, 20_000),
                "workflow": f"workflow-{pick.randrange(WORKFLOWS)}",
                "success": pick.random() < 0.95,
                "outcome": 1,
                "model": "large-2",
            },
        }

    def send(self, bodies: list[bytes]) -> tuple[float, list[float]]:
        """Send all; returns the seconds it took and each request's seconds. Raises on any answer but 202."""
        waiting = iter(bodies)
        lock = threading.Lock()
        latencies: list[float] = []
        failures: list[str] = []

        def work() -> None:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
            while not failures:
                with lock:
                    body = next(waiting, None)
                if body is None:
                    return
                started = time.perf_counter()
                connection.request("POST", "/api/v1/events", body, self.headers)
                response = connection.getresponse()
                content = response.read()
                latencies.append(time.perf_counter() - started)
                if response.status != 202:
                    failures.append(f"{response.status} {content[:300]!r}")

        threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise RuntimeError(failures[0])
        return time.perf_counter() - started, latencies


class Database:
    """The superuser's view: what is rolled up, how long it took, and COPY as the bound of what is possible."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg2.connect(url.rpartition("/")[0] + "/benchmark")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()

    def wait_until_rolled_up(self) -> None:
        deadline = time.monotonic() + SECONDS_TO_ROLL_UP
        while time.monotonic() < deadline:
            self.cursor.execute("SELECT count(*) FROM usage_ingestbatch WHERE rolled_at IS NULL")
            if self.cursor.fetchone() == (0,):
                return
            time.sleep(0.02)
        raise RuntimeError("the roll-up did not keep up")

    def lags(self) -> list[float]:
        self.cursor.execute("SELECT extract(epoch FROM rolled_at - received_at)::float8 FROM usage_ingestbatch")
        return [max(0.0, lag) for (lag,) in self.cursor.fetchall()]

    def copy_again(self, batch: int) -> tuple[int, float]:
        """COPY every stored event and its key once more (with other keys), a transaction per batch as over HTTP.

        Returns the rows and the seconds. One connection, nothing but COPY and COMMIT: a bound, not a competitor.
        """
        keys, events = BytesIO(), BytesIO()
        self.cursor.execute("SELECT gen_random_uuid() AS key, e.key AS old INTO TEMPORARY renamed FROM usage_event e")
        self.cursor.copy_expert(
            "COPY (SELECT k.organization_id, r.key, k.digest, k.occurred_at FROM usage_event_key k JOIN renamed r"
            " ON r.old = k.key ORDER BY r.key) TO STDOUT",
            keys,
        )
        columns = (
            "organization_id, key, occurred_at, received_at, batch_id, account_id, meter_id, workflow_id, quantity,"
            " outcomes, succeeded, attempt, environment, counted, value, source, event_id, properties"
        )
        selected = columns.replace("organization_id, key", "e.organization_id, r.key")
        self.cursor.copy_expert(
            f"COPY (SELECT {selected} FROM usage_event e JOIN renamed r ON r.old = e.key ORDER BY r.key) TO STDOUT",  # noqa: S608 - names of columns
            events,
        )
        key_lines, event_lines = keys.getvalue().splitlines(True), events.getvalue().splitlines(True)
        self.cursor.execute("DROP TABLE renamed")
        chunks = [
            (BytesIO(b"".join(key_lines[at : at + batch])), BytesIO(b"".join(event_lines[at : at + batch])))
            for at in range(0, len(event_lines), batch)
        ]
        started = time.perf_counter()
        for key_rows, event_rows in chunks:
            self.cursor.execute("BEGIN")
            self.cursor.copy_expert("COPY usage_event_key FROM STDIN", key_rows, 65536)
            self.cursor.copy_expert(f"COPY usage_event ({columns}) FROM STDIN", event_rows, 65536)
            self.cursor.execute("COMMIT")
        return len(event_lines), time.perf_counter() - started

    def empty(self) -> None:
        """As new, so that every round meets tables of the same size."""
        self.cursor.execute(
            "TRUNCATE usage_event, usage_event_key, usage_ingestbatch, usage_hour, usage_day, account_day,"
            " usage_rated_day"
        )
        self.cursor.execute("CHECKPOINT")


def prepare() -> tuple[UUID, str]:
    """An organization with accounts, a meter with a price, and a key."""
    from django.db import transaction

    from tests.factories import make_account, make_key, make_meter, make_organization, make_price

    with transaction.atomic():
        organization = make_organization("Benchmark")
        for number in range(ACCOUNTS):
            make_account(organization, name=f"Customer {number}", key=f"cust-{number}", timezone="America/New_York")
        make_price(make_meter(organization, "llm.tokens"), "0.0001")
        _, secret = make_key(organization)
    return organization.pk, secret


def run_round(stack: Stack, load: Load, database: Database, events: int, *, quiet: bool) -> dict[str, float]:
    """One round of everything; the figures of it."""
    database.empty()
    bodies = load.bodies(events, 1000)
    before = stack.cpu_seconds()
    started = time.perf_counter()
    _, latencies = load.send(bodies)
    database.wait_until_rolled_up()
    took = time.perf_counter() - started
    used = {name: seconds - before[name] for name, seconds in stack.cpu_seconds().items()}
    sent = len(bodies) * 1000
    lags = database.lags()
    rows, copy_seconds = database.copy_again(1000)
    figures = {
        "events_per_s": sent / took,
        "copy_events_per_s": rows / copy_seconds,
        "ratio": (sent / took) / (rows / copy_seconds),
        "cpu_us_per_event": sum(used.values()) / sent * 1e6,
        "p50_ms": quantile(latencies, 0.5) * 1000,
        "p99_ms": quantile(latencies, 0.99) * 1000,
        "lag_p50_s": quantile(lags, 0.5),
        "lag_p99_s": quantile(lags, 0.99),
    }
    figures |= {f"cpu_us_{name.replace('-', '_')}": seconds / sent * 1e6 for name, seconds in used.items()}
    database.empty()
    for name, batch, share in (("batch100", 100, 2), ("single", 1, 50)):
        bodies = load.bodies(max(events // share, batch), batch)
        seconds, latencies = load.send(bodies)
        figures[f"{name}_per_s"] = len(bodies) * batch / seconds
        figures[f"{name}_p50_ms"] = quantile(latencies, 0.5) * 1000
        figures[f"{name}_p99_ms"] = quantile(latencies, 0.99) * 1000
    database.wait_until_rolled_up()
    say("  ".join(f"{name} {value:,.2f}" for name, value in figures.items()), quiet=quiet)
    return figures


def measure(events: int, rounds: int, *, quiet: bool = False) -> Json:
    """All figures, medians of the rounds."""
    with running_stack() as stack:
        setup_django()
        _, secret = prepare()
        stack.run(*PROCESSES)
        load, database = Load(stack, secret), Database(stack.postgres.url)
        say("warming up", quiet=quiet)
        load.send(load.bodies(20_000, 1000))
        load.send(load.bodies(200, 1))
        database.wait_until_rolled_up()
        results = [run_round(stack, load, database, events, quiet=quiet) for _ in range(rounds)]
    medians: dict[str, Any] = {name: round(statistics.median(r[name] for r in results), 4) for name in results[0]}
    return medians | {"events": events, "rounds": rounds}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print only JSON on standard output")
    parser.add_argument("--events", type=int, default=100_000, help="events per round in batches of 1,000")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    figures = measure(options.events, options.rounds, quiet=options.json)
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:24} {value:>14,.2f}")


if __name__ == "__main__":
    main()
