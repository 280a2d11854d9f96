"""`manage.py demo`: everything on one machine, started, watched and stopped under one parent."""

import argparse
import fcntl
import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO
from urllib.parse import urlsplit

import psycopg2

from consumption_cs import demo_check
from consumption_cs.bootstrap import say
from consumption_cs.embedded import NotStartedError, Postgres, Valkey, die_with_parent, free_port, state_folder
from consumption_cs.processes import ROOT, Running, read_procfile, stop_all
from consumption_cs.provision import (
    APP,
    OWNER,
    Addresses,
    drop_everything,
    let_app_use,
    may_provision,
    provision,
)

STATE = ROOT / ".demo"
DATABASE = "consumption_cs"
POSTGRES_PORT, VALKEY_PORT, WEB_PORT = 15432, 16379, 8000
SECONDS_TO_ANSWER = 60
SECONDS_BETWEEN_STARTS = 5
NEED_TWO_ROLES = """DATABASE_URL names a role that may not make roles. Either name one that may, or make two roles
yourself and set DATABASE_OWNER_URL to the one that owns the database and DATABASE_URL to the other."""


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


def main(arguments: list[str]) -> int:
    """Set everything up, run it until Ctrl-C, and stop it. Returns the exit code of the command."""
    options = read_options(arguments)
    started = time.monotonic()
    for sign in (signal.SIGTERM, signal.SIGINT):  # SIGINT too: a shell that starts us with `&` had it ignored
        signal.signal(sign, _as_ctrl_c)
    try:
        with only_one(STATE), Demo(options.port) as demo:
            demo.set_up(reset=options.reset)
            demo.start()
            say(f"\nReady after {time.monotonic() - started:.0f} s.")
            show_logins(demo.url, demo.logins())
            if options.check:
                return demo_check.main(demo.url, demo.logins(), demo.environment)
            say("Press Ctrl-C to stop.\n")
            demo.watch()
    except KeyboardInterrupt:
        return 0
    except (DemoError, NotStartedError, psycopg2.OperationalError) as problem:
        say(f"\nThe demo cannot go on. {problem}")
        return 1
    return 0


def read_options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="manage.py demo", description=__doc__)
    parser.add_argument("--port", type=int, help=f"of the web server (default {WEB_PORT}, or the next free one)")
    parser.add_argument("--reset", action="store_true", help="forget all data of the demo and begin again")
    parser.add_argument("--check", action="store_true", help="start, try every main page and one event, and stop")
    return parser.parse_args(arguments)


def _as_ctrl_c(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def only_one(state: Path) -> Iterator[TextIO]:
    """Hold the state folder. Raises DemoError when another demo holds it."""
    state.mkdir(exist_ok=True)
    with (state / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DemoError("Another demo runs in this folder. Stop it first with Ctrl-C.") from None
        yield lock


@contextmanager
def step(words: str) -> Iterator[None]:
    """Say what is being done and, after it, how long it took."""
    print(f"{words} … ", end="", flush=True)
    started = time.monotonic()
    yield
    say(f"{time.monotonic() - started:.1f} s")


class Demo:
    """The running demo. Leaving its `with` block stops everything that it started, in the right order."""

    def __init__(self, port: int | None) -> None:
        self.port = free_port(port or WEB_PORT)
        if port and self.port != port:
            raise DemoError(f"Port {port} is taken; name another with --port.")
        self.url = f"http://localhost:{self.port}"
        self.postgres: Postgres | None = None
        self.valkey: Valkey | None = None
        self.running: list[Running] = []
        self.environment: dict[str, str] = {}

    def __enter__(self) -> "Demo":
        return self

    def __exit__(self, *_: object) -> None:
        for sign in (signal.SIGINT, signal.SIGTERM):  # an impatient second Ctrl-C must not leave anything behind
            signal.signal(sign, signal.SIG_IGN)
        print("\nStopping … ", end="", flush=True)
        stop_all(self.running)
        for service in (self.valkey, self.postgres):
            if service:
                service.stop()
        say("stopped.")

    def set_up(self, *, reset: bool) -> None:
        """Services, roles, tables and data. Raises DemoError or NotStartedError."""
        passwords = read_secrets(STATE)
        if reset and "DATABASE_URL" not in os.environ:
            shutil.rmtree(state_folder(STATE) / "postgres", ignore_errors=True)
        addresses = self._database(passwords)
        if reset:
            (STATE / "logins.json").unlink(missing_ok=True)
            drop_everything(addresses.owner)
        let_app_use(addresses)
        chosen = self._settings(addresses, self._broker(), passwords["SECRET_KEY"])
        write_environment(STATE / "env", chosen)
        self.environment = os.environ | chosen
        with step("Migrating the database as its owner"):
            self._manage("migrate", "--database", "owner", "--verbosity", "0")
        for log in (STATE / "log").glob("*.log"):
            log.unlink()
        self._run("web")  # it gets ready while the data comes in
        self._seed()

    def start(self) -> None:
        """Start the other processes of the Procfile and wait for the web server. Raises DemoError with its log."""
        others = [name for name in read_procfile() if name != "web"]
        with step(f"Starting web, {', '.join(others)}"):
            self._run("sweeper")  # it alone can do the workers' work until they are up
            self._wait_for_web()
            for name in others:
                if name != "sweeper":
                    self._run(name)

    def _run(self, name: str) -> None:
        logs = STATE / "log"
        logs.mkdir(exist_ok=True)
        self.running.append(Running(name, self.environment, logs / f"{name}.log"))

    def watch(self) -> None:
        """Until Ctrl-C: start again whatever ends by itself, and say so."""
        while True:
            time.sleep(1)
            for service in (self.postgres, self.valkey):
                if service and service.process and service.process.poll() is not None:
                    say(f"{type(service).__name__} ended and is started again.")
                    service.start()
            for running in self.running:
                if running.has_ended and running.age > SECONDS_BETWEEN_STARTS:
                    say(f"{running.name} ended and is started again; see {running.log}.")
                    running.restart()

    def logins(self) -> list[dict[str, str]]:
        """What the seed wrote: `email`, `password` and `who` of each person; empty when there is no seed."""
        path = STATE / "logins.json"
        found: list[dict[str, str]] = json.loads(path.read_text()) if path.exists() else []
        return found

    def _database(self, passwords: dict[str, str]) -> Addresses:
        if "DATABASE_URL" in os.environ:
            return given_database(os.environ["DATABASE_URL"], os.environ.get("DATABASE_OWNER_URL"), passwords)
        state = state_folder(STATE)
        if state != STATE:
            say(f"PostgreSQL's data is in {state}, because its user cannot enter {STATE}.")
        self.postgres = Postgres(state / "postgres", POSTGRES_PORT)
        with step("Starting PostgreSQL" if self.postgres.data.exists() else "Making a PostgreSQL cluster"):
            self.postgres.start()
            return provision(self.postgres.url, DATABASE, passwords)

    def _broker(self) -> str:
        if "REDIS_URL" in os.environ:
            return os.environ["REDIS_URL"]
        self.valkey = Valkey(STATE / "valkey", VALKEY_PORT)
        with step("Starting Valkey"):
            self.valkey.start()
        return self.valkey.url

    def _settings(self, addresses: Addresses, redis_url: str, secret_key: str) -> dict[str, str]:
        (STATE / "mail").mkdir(exist_ok=True)
        return {
            **addresses.environment(),
            "REDIS_URL": redis_url,
            "SECRET_KEY": secret_key,
            "DEMO": "1",
            "DEMO_STATE": str(STATE),
            "SITE_URL": self.url,
            "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
            "EMAIL_URL": f"filemail://{STATE / 'mail'}",
            "GRANIAN_HOST": "127.0.0.1",
            "GRANIAN_PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
        }

    def _manage(self, *command: str, show: bool = False) -> None:
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is ours to handle
            preexec_fn=die_with_parent(signal.SIGTERM),
            stdout=None if show else subprocess.PIPE,
            stderr=None if show else subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DemoError(f"`manage.py {' '.join(command)}` failed.\n{(done.stdout or '')[-3000:]}")

    def _seed(self) -> None:
        if not any(ROOT.glob("*/management/commands/seed_demo.py")):
            say("There is no demo data yet in this version.")
            return
        say("Demo data")
        self._manage("seed_demo", show=True)

    def _wait_for_web(self) -> None:
        web = self.running[0]
        deadline = time.monotonic() + SECONDS_TO_ANSWER
        while time.monotonic() < deadline and not web.has_ended:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2)
                return
            except OSError as answer:
                if isinstance(answer, urllib.error.HTTPError) and answer.code >= 500:
                    break
                time.sleep(0.1)
        raise DemoError(f"The web server does not answer.\n{web.last_words()}")


def given_database(app_url: str, owner_url: str | None, passwords: dict[str, str]) -> Addresses:
    """The database that DATABASE_URL names: as it is with an owner, else with two roles made in it."""
    if owner_url:
        return Addresses(app=app_url, owner=owner_url)
    with step("Making the two roles in the database of DATABASE_URL"):
        if not may_provision(app_url):
            raise DemoError(NEED_TWO_ROLES)
        return provision(app_url, urlsplit(app_url).path.lstrip("/"), passwords)


def read_secrets(state: Path) -> dict[str, str]:
    """SECRET_KEY and the passwords of both roles, made once and readable by this user only."""
    path = state / "secrets.json"
    if not path.exists():
        path.touch(0o600)
        path.write_text(json.dumps({name: secrets.token_urlsafe(32) for name in ("SECRET_KEY", OWNER, APP)}))
    found: dict[str, str] = json.loads(path.read_text())
    return found


def write_environment(path: Path, settings: dict[str, str]) -> None:
    """For other commands beside the running demo: `. .demo/env`, then for example `manage.py send_events`."""
    path.touch(mode=0o600)
    path.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()))


def show_logins(url: str, logins: list[dict[str, str]]) -> None:
    """The address, and one line for each person."""
    say(f"\n  {url}\n")
    for login in logins:
        say(f"  {login['email']:<28} {login['password']:<8} {login['who']}")
    say(f"\nMails that it would send are in {STATE / 'mail'}, logs in {STATE / 'log'}.")
    say(f"For other commands of manage.py beside it: . {STATE / 'env'}")
