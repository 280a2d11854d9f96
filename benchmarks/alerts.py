"""How soon a budget that is crossed is an alert, and told: under load, for many accounts, each crossing once.

    python -m benchmarks.alerts [--json] [--accounts 1000] [--seconds 60] [--crossings 200]

Each account has three budgets: of the account by month with thresholds on what is spent and on the forecast, of one
meter by month, and of the account by day with a pace. 2,000 events a second arrive over all accounts and cross
nothing; single events, each of another account, cross one threshold. `latency_*` is from the answer to such an event
until its alert can be read; `delivered_*` until its webhook has reached a server on this machine. `missing` are
crossings without an alert or a webhook, `duplicate` alerts or webhooks beyond one of a crossing, and those of none.

Before the clock starts the same load runs until every account was settled once (`warm_up_s`): a product that serves a
thousand accounts did not begin with all of them in this second. `ok`: within the limits; the exit status says it too.
`cpu_s` is what the product's processes used while the events arrived, `load_average` that of the whole machine at the
end: more than the processors it has, and the figures say more about the neighbours.
"""

import argparse
import json
import os
import random
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import psycopg2

from benchmarks.harness import Json, Stack, quantile, running_stack, say, setup_django
from benchmarks.ingest import Load
from benchmarks.settlement import BATCH, EVENTS_PER_S, METERS, SpreadLoad

PROCESSES = ("rollup", "settlement", "sweeper", "delivery", "beat-1", "beat-2")
AMOUNT = 1_000_000  # of a budget; an event of the load costs two at most
CROSSING = AMOUNT * 85 // 100
DRAIN_SECONDS = 60
WARM_SECONDS = 120  # at most
LIMITS = {"latency_p99_s": 5, "delivered_p99_s": 10, "missing": 0, "duplicate": 0}


class Sink:
    """An HTTP server that notes which webhook came when."""

    def __init__(self) -> None:
        arrived: list[tuple[str, float]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                arrived.append((self.headers.get("webhook-id", ""), time.perf_counter()))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                """Say nothing."""

        self.arrived = arrived
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Watcher:
    """Looks at the alerts as they become readable, as the database's superuser."""

    def __init__(self, stack: Stack) -> None:
        self.url = stack.postgres.url.rpartition("/")[0] + "/benchmark"
        self.seen: dict[str, tuple[str, float]] = {}  # alert → account and when
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        cursor = connection.cursor()
        while not self.stop.is_set():
            self.look(cursor)
            time.sleep(0.02)
        self.look(cursor)
        connection.close()

    def look(self, cursor: Any) -> None:
        cursor.execute(
            "SELECT alert.id::text, key FROM budgets_alert AS alert JOIN accounts_account AS a ON a.id = account_id"
            " WHERE NOT is_silent"
        )
        now = time.perf_counter()
        for alert, account in cursor.fetchall():
            self.seen.setdefault(alert, (account, now))


def prepare(accounts: int, sink: Sink) -> str:
    """An organization with accounts of three budgets each, prices, a forecast of each, a key and a webhook."""
    from accounts.models import Account
    from consumption_cs.lib.tenancy import act_as
    from tests.factories import make_key, make_meter, make_organization, make_price, staff_of

    organization = make_organization("Benchmark")
    with act_as(staff_of(organization)):
        meters = [make_meter(organization, key) for key in METERS]
        for meter in meters:
            make_price(meter, "0.0001")
        _, secret = make_key(organization)
        made = Account.objects.bulk_create(
            Account(organization=organization, name=f"Customer {number}", key=f"cust-{number}")
            for number in range(accounts)
        )
        add_budgets(made, meters[0])
        add_forecasts(made)
        add_webhook(organization.pk, sink)
    return secret


def add_budgets(accounts: list[Any], meter: Any) -> None:
    """Three budgets of each account, past the actions: they ask for each one's neighbours."""
    from budgets.models import Budget, BudgetRule, BudgetVersion

    month, day = Budget.Period.MONTH, Budget.Period.DAY
    kinds: list[tuple[Json, list[tuple[str, int]]]] = [
        (
            {"name": "Account", "period": month},
            [("actual_percent", 80), ("actual_percent", 100), ("forecast_over", 90)],
        ),
        ({"name": "Meter", "period": month, "scope": "meter", "meter": meter}, [("actual_amount", 10 * AMOUNT)]),
        ({"name": "Day", "period": day}, [("actual_amount", 10 * AMOUNT), ("velocity_fast", 1_000_000)]),
    ]
    before = datetime.now(UTC) - timedelta(days=40)
    for fields, rules in kinds:
        own = [{"organization": account.organization, "account": account} for account in accounts]
        budgets = Budget.objects.bulk_create(Budget(**one, **fields, created_at=before) for one in own)
        versions = BudgetVersion.objects.bulk_create(
            BudgetVersion(**one, budget=budget, number=1, amount=AMOUNT, currency="USD", created_at=before)
            for one, budget in zip(own, budgets, strict=True)
        )
        BudgetRule.objects.bulk_create(
            BudgetRule(**one, version=version, kind=kind, value=value)
            for one, version in zip(own, versions, strict=True)
            for kind, value in rules
        )


def add_forecasts(accounts: list[Any]) -> None:
    """A forecast run of each account that expects little."""
    from budgets.models import ForecastRun

    today = datetime.now(UTC).date()
    path = [float(day) for day in range(1, 401)]
    ForecastRun.objects.bulk_create(
        ForecastRun(
            organization=account.organization,
            account=account,
            as_of=today,
            made_at=datetime.now(UTC),
            basis="model",
            inputs_hash="benchmark",
            currency="USD",
            spend_p10=path,
            spend_p50=path,
            spend_p90=path,
            burn_rate=Decimal(1),
        )
        for account in accounts
    )


def add_webhook(organization_id: UUID, sink: Sink) -> None:
    """Tell every alert of the organization to the sink."""
    from budgets.actions.destinations import add_destination
    from consumption_cs.lib.tenancy import Viewer

    add_destination(Viewer(organization_id, role="admin"), None, "webhook", "Sink", sink.url, sink.url, [])


class Crossings:
    """The single events that cross a threshold, at random moments of the load."""

    def __init__(self, stack: Stack, secret: str, accounts: list[str], seconds: float) -> None:
        self.load = Load(stack, secret)
        pick = random.Random(3)  # noqa: S311 - test data
        self.plan = sorted((pick.uniform(1, seconds - 1), account) for account in accounts)
        self.accepted: dict[str, float] = {}
        self.thread = threading.Thread(target=self._send)

    def _send(self) -> None:
        started = time.perf_counter()
        for due, account in self.plan:
            time.sleep(max(0.0, started + due - time.perf_counter()))
            event = self.load.event() | {"subject": account, "type": METERS[1], "id": f"crossing-{account}"}
            event |= {"time": datetime.now(UTC).isoformat(), "data": {"quantity": CROSSING * 10_000}}
            self.load.send([json.dumps([event]).encode()])
            self.accepted[account] = time.perf_counter()


def measure(accounts: int, seconds: int, crossings: int, *, quiet: bool = False) -> Json:
    """All figures."""
    os.environ["WEBHOOKS_TO_LOOPBACK"] = "1"  # the sink is on this machine, where no webhook may go otherwise
    with running_stack() as stack:
        setup_django()
        sink = Sink()
        secret = prepare(accounts, sink)
        say(f"{accounts} accounts with {3 * accounts} budgets", quiet=quiet)
        load = SpreadLoad(stack, secret)
        load.accounts = accounts
        bodies = [load.bodies(BATCH, BATCH)[0] for _ in range(EVENTS_PER_S * seconds // BATCH)]
        stack.run("web")
        stack.run(*PROCESSES)
        warm = warm_up(stack, load, accounts)
        watcher = Watcher(stack)
        chosen = [f"cust-{number * accounts // crossings}" for number in range(crossings)]
        crossing = Crossings(stack, secret, chosen, seconds)
        watcher.thread.start()
        crossing.thread.start()
        started, used = time.perf_counter(), stack.cpu_seconds()
        for number, body in enumerate(bodies):
            time.sleep(max(0.0, started + number * BATCH / EVENTS_PER_S - time.perf_counter()))
            load.send([body])
        rate = EVENTS_PER_S * seconds / (time.perf_counter() - started)
        spent = {name: now - used.get(name, 0.0) for name, now in stack.cpu_seconds().items()}
        say("CPU seconds: " + ", ".join(f"{name} {cpu:.1f}" for name, cpu in spent.items()), quiet=quiet)
        crossing.thread.join()
        drain(crossing, watcher, sink)
        watcher.stop.set()
        watcher.thread.join()
        return judged(stack, crossing, watcher, sink) | {
            "events_per_s": round(rate, 1),
            "accounts": accounts,
            "budgets": 3 * accounts,
            "crossings": crossings,
            "seconds": seconds,
            "warm_up_s": round(warm, 1),
            "cpu_s": round(sum(spent.values()), 1),
            "load_average": round(os.getloadavg()[0], 2),
        }


def warm_up(stack: Stack, load: SpreadLoad, accounts: int) -> float:
    """Send the load until every account was settled once; return the seconds it took. What is planned is analyzed."""
    started = time.perf_counter()
    connection = psycopg2.connect(stack.postgres.url.rpartition("/")[0] + "/benchmark")
    connection.autocommit = True
    with connection.cursor() as cursor:
        while time.perf_counter() - started < WARM_SECONDS:
            load.send(load.bodies(BATCH, BATCH))
            cursor.execute("SELECT count(*) FROM account_day")
            if cursor.fetchone()[0] >= accounts:
                break
            time.sleep(BATCH / EVENTS_PER_S)
        cursor.execute("ANALYZE")
        while time.perf_counter() - started < WARM_SECONDS:
            cursor.execute("SELECT count(*) FROM usage_touched_day")
            if not cursor.fetchone()[0]:
                break
            time.sleep(0.2)
    connection.close()
    return time.perf_counter() - started


def drain(crossing: Crossings, watcher: Watcher, sink: Sink) -> None:
    """Wait until everything has come, or for a minute; and a little longer, for what should not come."""
    wanted = len(crossing.accepted)
    deadline = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < deadline and min(len(watcher.seen), len(sink.arrived) or wanted) < wanted:
        time.sleep(0.1)
    time.sleep(2)


def judged(stack: Stack, crossing: Crossings, watcher: Watcher, sink: Sink) -> Json:
    """Latencies, and what is missing or there more than once."""
    seen = Counter(account for account, _ in watcher.seen.values())
    latencies = [when - crossing.accepted[account] for account, when in watcher.seen.values() if account in seen]
    accounts_of = deliveries(stack)
    first: dict[str, float] = {}
    for webhook, when in sink.arrived:
        first.setdefault(accounts_of.get(webhook, ""), when)
    told = Counter(accounts_of.get(webhook, webhook) for webhook, _ in sink.arrived)
    delays = [when - crossing.accepted[account] for account, when in first.items() if account in crossing.accepted]
    wanted = set(crossing.accepted)
    return {
        "roll_up_p99_s": roll_up_p99(stack),
        "latency_p50_s": round(quantile(latencies, 0.5), 3),
        "latency_p99_s": round(quantile(latencies, 0.99), 3),
        "delivered_p50_s": round(quantile(delays, 0.5), 3),
        "delivered_p99_s": round(quantile(delays, 0.99), 3),
        "missing": len(wanted - set(seen)) + len(wanted - set(told)),
        "duplicate": _more(seen, wanted) + _more(told, wanted),
    }


def roll_up_p99(stack: Stack) -> float:
    """How long batches waited until they were merged into hours and days, the settlement's part not begun."""
    connection = psycopg2.connect(stack.postgres.url.rpartition("/")[0] + "/benchmark")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM rolled_at - received_at))"
            " FROM usage_ingestbatch"
            " WHERE received_at > (SELECT max(received_at) - interval '50 s' FROM usage_ingestbatch)"
        )
        (seconds,) = cursor.fetchone() or (0,)
    connection.close()
    return round(float(seconds or 0), 3)


def _more(found: Counter[str], wanted: set[str]) -> int:
    return sum(count - (name in wanted) for name, count in found.items())


def deliveries(stack: Stack) -> dict[str, str]:
    """Return webhook-id → account."""
    connection = psycopg2.connect(stack.postgres.url.rpartition("/")[0] + "/benchmark")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT delivery.id::text, a.key FROM budgets_delivery AS delivery"
            " JOIN budgets_alert AS alert ON alert.id = alert_id JOIN accounts_account AS a ON a.id = alert.account_id"
        )
        found: dict[str, str] = dict(cursor.fetchall())
    connection.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print only JSON on standard output")
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=60, help="how long events arrive")
    parser.add_argument("--crossings", type=int, default=200)
    options = parser.parse_args()
    figures = measure(options.accounts, options.seconds, options.crossings, quiet=options.json)
    ok = all(figures[name] <= limit for name, limit in LIMITS.items())
    if options.json:
        print(json.dumps(figures | {"limits": LIMITS, "ok": ok}))
    else:
        for name, value in figures.items():
            print(f"{name:24} {value:>14,.3f}   {f'limit {LIMITS[name]}' if name in LIMITS else ''}")
    raise SystemExit(not ok)


if __name__ == "__main__":
    main()
