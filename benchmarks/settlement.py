"""How fast usage becomes money: rated, drawn from commits and booked, from the event to the settled spend.

    python -m benchmarks.settlement [--json] [--accounts 300] [--seconds 60] [--backlog 2000000]

Each account has three meters with graduated prices and two commits. Everything, the load's client included, runs on
this machine. `accounts_per_s` is one process that settles accounts whose running day was touched; `lag_*` is from
the answer to an event to its day's settled spend, while 2,000 others arrive a second; `rerate_year_s` is one
account's year after a back-dated price change, its closed periods adjusted; `catchup_s` is the backlog of a day on
which no worker ran. `memory_growth_mb` is by how much the workers grew in the second half of the load.
"""

import argparse
import json
import random
import threading
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psutil
import psycopg2

from benchmarks.harness import Json, Stack, quantile, running_stack, say, setup_django
from benchmarks.ingest import Load

WORKERS = ("rollup", "settlement", "sweeper", "beat-1", "beat-2")
METERS = ("llm.tokens", "pages", "calls")
EVENTS_PER_S = 2000
BATCH = 500
PROBES = 4
TIERS = [
    {"up_to": "1000000", "unit": "0.0001"},
    {"up_to": "10000000", "unit": "0.00008"},
    {"up_to": None, "unit": "0.00005"},
]
GRADUATED = {"model": "graduated", "params": {"tiers": TIERS}}


class SpreadLoad(Load):
    """Requests as in the ingest benchmark, over many accounts and three meters."""

    accounts = 0

    def event(self) -> Json:
        event = super().event()
        event["subject"] = f"cust-{self.random.randrange(self.accounts)}"
        event["type"] = self.random.choice(METERS)
        event["time"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return event


class Database:
    """The superuser's view of what is settled, and rows made without HTTP."""

    def __init__(self, url: str, organization_id: UUID) -> None:
        self.organization_id = str(organization_id)
        self.connection = psycopg2.connect(url.rpartition("/")[0] + "/benchmark")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()

    def one(self, statement: str, *arguments: Any) -> Any:
        self.cursor.execute(statement, arguments)
        return self.cursor.fetchone()[0]

    def waiting(self) -> int:
        marks: int = self.one("SELECT count(*) FROM usage_touched_day")
        batches: int = self.one("SELECT count(*) FROM usage_ingestbatch WHERE rolled_at IS NULL")
        return marks + batches

    def wait_until_settled(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.waiting():
                return
            time.sleep(0.02)
        raise RuntimeError("settlement did not keep up")

    def add_days(self, first: date, days: int, account: str | None = None) -> None:
        """Use of three meters and two workflows' worth of groups on each day, rolled up already."""
        self.cursor.execute(
            """
            INSERT INTO usage_day (organization_id, account_id, day, meter_id, workflow_id, "group", quantity, events,
                finished, successes, outcomes, last_event_at)
            SELECT account.organization_id, account.id, %s::date + number, meter.id, NULL, '', 1000 + number, 10, 10,
                9, 9, (%s::date + number)::timestamptz + interval '12 hours'
            FROM accounts_account AS account CROSS JOIN usage_meter AS meter
            CROSS JOIN generate_series(0, %s - 1) AS number
            WHERE account.organization_id = %s AND account.key LIKE 'cust-%%'
                AND meter.organization_id = account.organization_id
                AND (%s::uuid IS NULL OR account.id = %s::uuid)
            ON CONFLICT DO NOTHING
            """,
            [first, first, days, self.organization_id, account, account],
        )

    def use_and_mark(self, day: date) -> None:
        """More of everything on a day, so that money changes, marked in the same transaction as a tick does."""
        self.cursor.execute(
            """
            BEGIN;
            UPDATE usage_day SET quantity = quantity + 5000, events = events + 1 WHERE day = %s;
            INSERT INTO usage_touched_day (organization_id, account_id, day, received_at)
            SELECT organization_id, id, %s, now() FROM accounts_account WHERE key LIKE 'cust-%%'
            ON CONFLICT DO NOTHING;
            COMMIT
            """,
            [day, day],
        )

    def vacuum(self) -> None:
        self.cursor.execute("VACUUM ANALYZE")


def prepare(accounts: int) -> tuple[UUID, str]:
    """An organization with accounts, three meters with graduated prices, two commits each, and a key."""
    from budgets.actions.commits import NewCommit, create_commit
    from budgets.actions.contracts import NewContract, create_contract
    from budgets.models import Commit
    from consumption_cs.lib.tenancy import act_as
    from tests.factories import make_account, make_key, make_meter, make_organization, make_price, staff_of

    now = datetime.now(UTC)
    starts_on = now.date() - timedelta(days=420)
    organization = make_organization("Benchmark", close_after_days=60)
    viewer = staff_of(organization)
    with act_as(viewer):
        for key in METERS:
            make_price(make_meter(organization, key), terms=GRADUATED)
        _, secret = make_key(organization)
        for number in range(PROBES):
            make_account(organization, name=f"Probe {number}", key=f"probe-{number}")
    for number in range(accounts):
        with act_as(viewer):
            account = make_account(organization, name=f"Customer {number}", key=f"cust-{number}")
            contract = create_contract(viewer, account, NewContract(name="Contract", starts_on=starts_on), now)
            for priority, (name, kind, amount) in enumerate(
                (("Promotional", Commit.Kind.PROMOTIONAL, "50"), ("Prepaid", Commit.Kind.PREPAID, "5000")), 1
            ):
                commit = NewCommit(
                    contract=contract,
                    name=name,
                    kind=kind,
                    unit="USD",
                    amount=Decimal(amount),
                    priority=priority,
                    effective_on=starts_on,
                )
                create_commit(viewer, account, commit, now)
    return organization.pk, secret


def settle_here(organization_id: UUID) -> float:
    """Settle in this process; return the seconds it took."""
    from budgets.actions.settle import settle

    started = time.perf_counter()
    settle(organization_id, datetime.now(UTC))
    return time.perf_counter() - started


def measure_accounts(database: Database, organization_id: UUID, accounts: int, rounds: int) -> float:
    """Accounts settled a second, in one process, after their running day was touched. The median of the rounds."""
    today = datetime.now(UTC).date()
    rates = []
    for _ in range(rounds):
        database.use_and_mark(today)
        rates.append(accounts / settle_here(organization_id))
    return sorted(rates)[rounds // 2]


def measure_year(database: Database, organization_id: UUID) -> float:
    """Seconds to rate an account's year anew after its own price was put in force a year back."""
    from accounts.models import Account
    from consumption_cs.lib.tenancy import act_as
    from tests.factories import make_price, staff_of
    from usage.actions.rate import touch_days
    from usage.models import Meter

    first = datetime.now(UTC).date() - timedelta(days=365)
    account_id = database.one("SELECT id FROM accounts_account WHERE key = 'cust-0'")
    database.add_days(first, 365, account_id)
    with act_as(staff_of_id(organization_id)) as viewer:
        account = Account.objects.visible_to(viewer).get(pk=account_id)
        touch_days(viewer, None, account, first)
    settle_here(organization_id)
    database.vacuum()
    with act_as(staff_of(account)) as viewer:
        terms = {"model": "graduated", "params": {"tiers": [*TIERS[:1], {"up_to": None, "unit": "0.00003"}]}}
        for meter in Meter.objects.visible_to(viewer):
            make_price(meter, account=account, terms=terms, effective_on=first)
        touch_days(viewer, None, account, first, "New prices")
    return settle_here(organization_id)


def staff_of_id(organization_id: UUID) -> Any:
    from consumption_cs.lib.tenancy import Viewer

    return Viewer(organization_id)


class Probes:
    """Single events of accounts of their own: how long until each is in its day's settled total."""

    def __init__(self, stack: Stack, secret: str) -> None:
        self.stack, self.secret = stack, secret
        self.lags: list[float] = []
        self.stop = threading.Event()

    def watch(self, number: int) -> None:
        load = Load(self.stack, self.secret)
        load.random = random.Random(number)  # noqa: S311 - test data
        connection = psycopg2.connect(self.stack.postgres.url.rpartition("/")[0] + "/benchmark")
        connection.autocommit = True
        cursor = connection.cursor()
        expected = 0
        while not self.stop.is_set():
            event = load.event() | {"subject": f"probe-{number}", "type": METERS[0]}
            event |= {"id": f"probe-{number}-{expected}", "time": datetime.now(UTC).isoformat()}
            load.send([json.dumps([event]).encode()])
            accepted, expected = time.perf_counter(), expected + 1
            while self._settled(cursor, number) < expected:
                if time.perf_counter() - accepted > 60:
                    raise RuntimeError("an event was not settled within a minute")
                time.sleep(0.01)
            self.lags.append(time.perf_counter() - accepted)
        connection.close()

    def _settled(self, cursor: Any, number: int) -> int:
        cursor.execute(
            "SELECT coalesce(sum(events), 0) FROM account_day JOIN accounts_account AS a ON account_id = a.id"
            " WHERE key = %s",
            [f"probe-{number}"],
        )
        events: int = cursor.fetchone()[0]
        return events


def measure_lag(stack: Stack, secret: str, accounts: int, seconds: int, *, quiet: bool) -> dict[str, float]:
    """Lags while events arrive at a steady rate, the rate that was kept, and the workers' memory."""
    load = SpreadLoad(stack, secret)
    load.accounts = accounts
    count = EVENTS_PER_S * seconds // BATCH
    bodies = [load.bodies(BATCH, BATCH)[0] for _ in range(count)]
    probes = Probes(stack, secret)
    threads = [threading.Thread(target=probes.watch, args=(number,)) for number in range(PROBES)]
    for thread in threads:
        thread.start()
    middle = 0.0
    started = time.perf_counter()
    for number, body in enumerate(bodies):
        time.sleep(max(0.0, started + number * BATCH / EVENTS_PER_S - time.perf_counter()))
        load.send([body])
        if number == count // 2:
            middle = memory_of(stack)
    took = time.perf_counter() - started
    end = memory_of(stack)
    probes.stop.set()
    for thread in threads:
        thread.join()
    say(f"{len(probes.lags)} lags measured, {EVENTS_PER_S * seconds / took:,.0f} events/s", quiet=quiet)
    return {
        "lag_p50_s": quantile(probes.lags, 0.5),
        "lag_p99_s": quantile(probes.lags, 0.99),
        "lag_samples": len(probes.lags),
        "lag_events_per_s": EVENTS_PER_S * seconds / took,
        "memory_mb": end,
        "memory_growth_mb": end - middle,
    }


def memory_of(stack: Stack) -> float:
    """What the workers hold, in MB: PostgreSQL, Valkey and the web server not counted."""
    total = 0
    for running in stack.processes:
        if running.name in WORKERS:
            root = psutil.Process(running.process.pid)
            total += sum(process.memory_info().rss for process in [root, *root.children(recursive=True)])
    return total / 2**20


def add_backlog(database: Database, events: int, accounts: int) -> None:
    """A day's batches of 1,000 events each, as the ingest leaves them, spread over the hours of the running day."""
    pick = random.Random(11)  # noqa: S311 - test data
    database.cursor.execute("SELECT id::text FROM accounts_account WHERE key LIKE 'cust-%'")
    ids = [key for (key,) in database.cursor.fetchall()][:accounts]
    database.cursor.execute("SELECT id::text FROM usage_meter")
    meters = [key for (key,) in database.cursor.fetchall()]
    now = datetime.now(UTC)
    templates = []
    for _ in range(50):
        hour = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=pick.randrange(24))
        sums: dict[tuple[str, str], Json] = {}
        for _ in range(1000):
            key = (pick.choice(ids), pick.choice(meters))
            fresh = {"a": key[0], "m": key[1], "w": None, "g": "", "h": hour.isoformat(), "d": hour.date().isoformat()}
            part = sums.setdefault(
                key, fresh | {"q": 0, "n": 0, "f": 0, "s": 0, "o": "0", "l": (hour + timedelta(minutes=5)).isoformat()}
            )
            part["q"] += pick.randrange(1, 20_000)
            part["n"] += 1
        parts = [part | {"q": str(part["q"])} for _, part in sorted(sums.items())]
        templates.append(json.dumps(parts))
    for number in range(events // 1000):
        database.cursor.execute(
            "INSERT INTO usage_ingestbatch (organization_id, events, sums) VALUES (%s, 1000, %s)",
            [database.organization_id, templates[number % len(templates)]],
        )


def measure(accounts: int, seconds: int, backlog: int, *, quiet: bool = False) -> Json:
    """All figures."""
    with running_stack() as stack:
        setup_django()
        organization_id, secret = prepare(accounts)
        database = Database(stack.postgres.url, organization_id)
        today = datetime.now(UTC).date()
        database.add_days(today - timedelta(days=30), 31)
        database.use_and_mark(today - timedelta(days=30))
        touch_all(organization_id)
        say(f"first settlement of 31 days: {settle_here(organization_id):.1f} s", quiet=quiet)
        database.vacuum()
        figures: Json = {"accounts_per_s": measure_accounts(database, organization_id, accounts, 3)}
        say(f"{figures['accounts_per_s']:,.0f} accounts/s", quiet=quiet)
        figures["rerate_year_s"] = measure_year(database, organization_id)
        say(f"a year anew in {figures['rerate_year_s']:.2f} s", quiet=quiet)
        stack.run("web", *WORKERS)
        figures |= measure_lag(stack, secret, accounts, seconds, quiet=quiet)
        database.wait_until_settled(60)
        stack.pause(*WORKERS)
        add_backlog(database, backlog, accounts)
        say("backlog added", quiet=quiet)
        started = time.perf_counter()
        stack.run(*WORKERS)
        database.wait_until_settled(3600)
        figures["catchup_s"] = time.perf_counter() - started
        figures["catchup_events_per_s"] = backlog / figures["catchup_s"]
        figures["arrival_events_per_s"] = backlog / 86_400
    rounded = {name: round(value, 3) for name, value in figures.items()}
    return rounded | {"accounts": accounts, "backlog_events": backlog, "seconds": seconds}


def touch_all(organization_id: UUID) -> None:
    """Mark every day of every account."""
    from consumption_cs.lib.tenancy import act_as
    from usage.actions.rate import touch_days

    with act_as(staff_of_id(organization_id)) as viewer:
        touch_days(viewer, None, None, date(2000, 1, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print only JSON on standard output")
    parser.add_argument("--accounts", type=int, default=300)
    parser.add_argument("--seconds", type=int, default=60, help="how long events arrive while lags are measured")
    parser.add_argument("--backlog", type=int, default=2_000_000, help="events that wait when the workers start")
    options = parser.parse_args()
    figures = measure(options.accounts, options.seconds, options.backlog, quiet=options.json)
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:24} {value:>14,.3f}")


if __name__ == "__main__":
    main()
