"""Exactly once, under fire: processes are killed with `kill -9` while clients send, and then everything must add up.

    python -m benchmarks.chaos [--seconds 60] [--seed 1] [--json] [--mutant NAME | --mutants]

Six clients send batches of events, again and again until they are answered, some twice and some out of order. Web,
workers, sweeper, beats, Valkey and PostgreSQL are killed at random, one every few seconds, and started again. Each of
twelve accounts has a budget with an alert at every percent and a limit that stops with a grace; a receiver on this
machine refuses every fifth webhook and takes every tenth but answers 500. Afterwards the product is left alone until
nothing waits (`drain_s`, 60 at most; tries that are due in minutes are made now), and is compared with the clients'
own log: nothing lost, nothing counted twice, each alert and step of a limit once, each told with one id.

A mutant is the product with one guarantee taken out; the bench must say that it is wrong (exit status 1).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg2

from benchmarks.chaos import mutants
from benchmarks.chaos.clients import METER, Client, Sink, in_threads
from benchmarks.chaos.nemesis import PROCESSES, Nemesis
from benchmarks.chaos.oracle import STEPS, Amounts, Found, Verdict, judge
from benchmarks.harness import Json, Stack, running_stack, say, setup_django

CLIENTS, ACCOUNTS = 6, 12
DRAIN_SECONDS = 60
_WAITS = """
SELECT (SELECT count(*) FROM usage_ingestbatch WHERE rolled_at IS NULL), (SELECT count(*) FROM usage_touched_day),
    (SELECT count(*) FROM budgets_delivery WHERE state = 'waiting')
"""
_QUANTITIES = """
SELECT key, sum(quantity) FROM usage_day AS kept JOIN accounts_account AS a ON a.id = kept.account_id GROUP BY 1
"""
_MONEY = """
SELECT key, sum(spend) FROM account_day AS kept JOIN accounts_account AS a ON a.id = kept.account_id GROUP BY 1
"""
_ALERTS = """
SELECT key, kind, threshold FROM budgets_alert AS kept JOIN accounts_account AS a ON a.id = kept.account_id
"""
_STEPS = """
SELECT key, kind FROM budgets_limitevent AS kept JOIN accounts_account AS a ON a.id = kept.account_id
"""
_TELLABLE = """
SELECT count(*) FROM (
    SELECT alert.id FROM budgets_alert AS alert
    LEFT JOIN budgets_delivery AS told ON told.alert_id = alert.id AND told.topic = 'alert.raised'
    WHERE NOT is_silent AND bundled_into_id IS NULL AND alert.kind NOT LIKE 'limit%%'
    GROUP BY alert.id HAVING count(told.id) <> 1
    UNION ALL
    SELECT step.id FROM budgets_limitevent AS step
    LEFT JOIN budgets_delivery AS told ON told.payload -> 'data' ->> 'limit_event_id' = step.id::text
    GROUP BY step.id HAVING count(told.id) <> 1
) AS wrong
"""


def amounts_for(seconds: int) -> dict[str, Decimal]:
    """The budget of each account: some are used up soon, some late, so that something is crossed all the time."""
    return {f"cust-{number}": Decimal(seconds * 25 * (number + 1)) for number in range(ACCOUNTS)}


def prepare(sink: Sink, amounts: Amounts) -> str:
    """Accounts with a budget that tells every percent and stops at its end; return the key that sends."""
    from accounts.models import Account
    from budgets.actions.destinations import add_destination
    from budgets.models import Budget, BudgetRule, BudgetVersion, Limit
    from consumption_cs.lib.tenancy import Viewer, act_as
    from tests.factories import make_key, make_meter, make_organization, make_price, staff_of

    organization = make_organization("Chaos")
    today, before = datetime.now(UTC).date(), datetime.now(UTC) - timedelta(days=2)
    with act_as(staff_of(organization)):
        make_price(make_meter(organization, METER), "1")
        _, secret = make_key(organization)
        for key, amount in amounts.items():
            account = Account.objects.create(organization=organization, name=key, key=key)
            own: Json = {"organization": organization, "account": account, "created_at": before}
            days = {"period": "custom", "starts_on": today - timedelta(days=1), "ends_on": today + timedelta(days=30)}
            budget = Budget.objects.create(**own, **days, name="All")
            version = BudgetVersion.objects.create(**own, budget=budget, number=1, amount=amount, currency="USD")
            BudgetRule.objects.bulk_create(
                BudgetRule(
                    organization=organization, account=account, version=version, kind="actual_percent", value=step
                )
                for step in STEPS
            )
            Limit.objects.create(**own, budget=budget, number=1, action="stop", grace_minutes=0, grace_percent=10)
        add_destination(Viewer(organization.pk, role="admin"), None, "webhook", "Sink", sink.url, sink.url, [])
    return secret


def measure(seconds: int, seed: int, mutant: str = "", *, quiet: bool = False) -> Json:
    """Run once and compare. `ok`: all is right and nothing waited longer than it may."""
    os.environ["WEBHOOKS_TO_LOOPBACK"] = "1"  # the sink is on this machine, where no webhook may go otherwise
    with tempfile.TemporaryDirectory(prefix="ccs-mutant-") as folder, running_stack() as stack:
        setup_django()
        sink = Sink(seed)
        amounts = amounts_for(seconds)
        secret = prepare(sink, amounts)
        if mutant:
            stack.environment |= mutants.write(mutant, Path(folder))
            mutants.change_database(mutant, stack)
        stack.run(*PROCESSES)
        nemesis = Nemesis(stack, seed)
        clients = [Client(stack.url, secret, ACCOUNTS, number, seed) for number in range(CLIENTS)]
        stop = threading.Event()
        threads = in_threads([_sending(client, stop) for client in clients])
        nemesis.start()
        say(f"{seconds} s of fire with seed {seed} {mutant}", quiet=quiet)
        time.sleep(seconds)
        nemesis.stop_killing()
        stop.set()
        for thread in threads:
            thread.join()
        started = time.monotonic()
        for thread in in_threads([_settling(client, started + DRAIN_SECONDS) for client in clients]):
            thread.join()
        drained = drain(stack, started)
        figures = judged(stack, clients, sink, amounts)
        nemesis.close()
    unsure = sum(batch.events for client in clients for batch in client.unsure)
    wrong = [text for client in clients for text in client.wrong]
    figures |= {
        "drain_s": round(drained, 1),
        "unanswered": unsure,
        "wrong_answers": len(wrong),
        "kills": dict(nemesis.kills),
        "requests": sum(client.requests for client in clients),
        "accepted": sum(client.events for client in clients),
        "webhooks": len(sink.seen),
        "seed": seed,
        "seconds": seconds,
    }
    if wrong:
        say(f"unexpected: {wrong[0]}", quiet=quiet)
    right = figures.pop("is_right")
    return figures | {"ok": right and not unsure and not wrong and drained <= DRAIN_SECONDS}


def _sending(client: Client, stop: threading.Event) -> Callable[[], None]:
    return lambda: client.run(stop)


def _settling(client: Client, until: float) -> Callable[[], None]:
    return lambda: client.settle(until)


def drain(stack: Stack, started: float) -> float:
    """Wait until nothing waits; tries that are due later are made now. Returns the seconds it took."""
    connection = connect(stack)
    calm = 0
    while time.monotonic() - started < DRAIN_SECONDS + 5:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE budgets_delivery SET next_at = now() WHERE state = 'waiting' AND next_at > now()")
            cursor.execute(_WAITS)
            waiting = cursor.fetchone()
        calm = calm + 1 if waiting == (0, 0, 0) else 0
        if calm == 3:  # looked at thrice: a message is written after its alert
            break
        time.sleep(0.5)
    connection.close()
    return time.monotonic() - started


def connect(stack: Stack) -> Any:
    """As the database's superuser, who sees every organization."""
    connection = psycopg2.connect(stack.postgres.url.rpartition("/")[0] + "/benchmark")
    connection.autocommit = True
    return connection


def judged(stack: Stack, clients: list[Client], sink: Sink, amounts: Amounts) -> Json:
    """What the product has, compared with the clients' log; and whether its own check of the ledger agrees."""
    accepted: dict[str, int] = {}
    for client in clients:
        for account, units in client.accepted.items():
            accepted[account] = accepted.get(account, 0) + units
    connection = connect(stack)
    with connection.cursor() as cursor:

        def rows(statement: str) -> list[Any]:
            cursor.execute(statement)
            return list(cursor.fetchall())

        found = Found(
            quantities=dict(rows(_QUANTITIES)),
            money=dict(rows(_MONEY)),
            events=rows("SELECT count(*) FROM usage_event")[0][0],
            distinct_events=rows("SELECT count(DISTINCT (source, event_id)) FROM usage_event")[0][0],
            alerts=[(key, kind, Decimal(int(threshold))) for key, kind, threshold in rows(_ALERTS)],
            limit_events=rows(_STEPS),
            told={name for (name,) in rows("SELECT id::text FROM budgets_delivery WHERE destination_id IS NOT NULL")},
            untold=rows(_TELLABLE)[0][0],
        )
    connection.close()
    verdict = judge(accepted, sum(client.events for client in clients), found, sink.seen, amounts)
    exact = ledger_is_exact(stack)
    shown = {name: float(value) if isinstance(value, Decimal) else value for name, value in asdict(verdict).items()}
    return shown | {"ledger_exact": exact, "is_right": verdict.is_right and exact}


def ledger_is_exact(stack: Stack) -> bool:
    """Whether `verify_ledger` finds no difference."""
    command = [sys.executable, "manage.py", "verify_ledger"]
    done = subprocess.run(command, env=stack.environment, capture_output=True, timeout=60)  # noqa: S603 - our own
    return done.returncode == 0


GUARANTEES = tuple(Verdict.__slots__)


def run_mutant(mutant: str, seconds: int, seed: int) -> Json:
    """Run the bench on a mutant in a process of its own. Caught: it was at work, and a guarantee was broken."""
    command = [sys.executable, "-m", "benchmarks.chaos", "--json", "--seconds", str(seconds), "--seed", str(seed)]
    done = subprocess.run(  # noqa: S603 - our own command
        [*command, "--mutant", mutant], env=os.environ, stdout=subprocess.PIPE, check=False, text=True
    )
    figures = json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}
    broken = {name: figures[name] for name in GUARANTEES if figures.get(name)}
    caught = bool(figures.get("accepted") and broken)
    say(f"{mutant:28} {'caught' if caught else 'NOT CAUGHT'} {broken}")
    return {"caught": caught, "broken": broken, "accepted": figures.get("accepted", 0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print only JSON on standard output")
    parser.add_argument("--seconds", type=int, default=60, help="how long processes are killed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutant", choices=mutants.MUTANTS, default="")
    parser.add_argument("--mutants", action="store_true", help="run every mutant: each must be caught")
    options = parser.parse_args()
    if options.mutants:
        table = {mutant: run_mutant(mutant, options.seconds, options.seed) for mutant in mutants.MUTANTS}
        ok = all(row["caught"] for row in table.values())
        print(json.dumps({"mutants": table, "ok": ok}))
        raise SystemExit(not ok)
    figures = measure(options.seconds, options.seed, options.mutant, quiet=options.json)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:20} {value}")
    raise SystemExit(not figures["ok"])


if __name__ == "__main__":
    main()
