"""A private copy of the whole product for a benchmark: PostgreSQL, Valkey and the processes of the Procfile.

Everything lives in a temporary folder and ends with the benchmark. PostgreSQL runs as in the demo, with fsync.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from consumption_cs.embedded import Postgres, Valkey, free_port, state_folder
from consumption_cs.processes import ROOT, Running, stop_all
from consumption_cs.provision import APP, OWNER, Addresses, provision

MIGRATE_SECONDS = 600  # on a machine that others use too
START_SECONDS = 180


class Stack:
    """The running product. `url` is where the web server listens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spread = 3 * (os.getpid() % 500)  # of ports: the web server takes its own long after it was found free
        self.postgres = Postgres(folder / "postgres", 20500 + self.spread)
        self.valkey = Valkey(folder / "valkey", 27500 + self.spread)
        self.processes: list[Running] = []
        self.environment: dict[str, str] = {}
        self.url = ""

    def start(self) -> Addresses:
        """Start the services and migrate. Sets this process's environment, so that Django can be set up after it."""
        self.postgres.start()
        self.valkey.start()
        addresses = provision(
            self.postgres.url, "benchmark", {role: secrets.token_urlsafe(16) for role in (OWNER, APP)}
        )
        port = free_port(23500 + self.spread)
        self.url = f"http://127.0.0.1:{port}"
        self.environment = os.environ | {
            **addresses.environment(),
            "REDIS_URL": self.valkey.url,
            "SECRET_KEY": secrets.token_urlsafe(40),
            "SITE_URL": self.url,
            "PLAIN_HTTP": "1",
            "GRANIAN_PORT": str(port),
            "LOG_LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "consumption_cs.settings",
        }
        os.environ.update(self.environment)
        for command in ("migrate", "createcachetable"):
            subprocess.run(  # noqa: S603 - our own command
                [sys.executable, "manage.py", command, "--database", "owner", "--verbosity", "0"],
                cwd=ROOT,
                env=self.environment,
                stdout=sys.stderr,
                check=True,
                timeout=MIGRATE_SECONDS,
            )
        return addresses

    def run(self, *names: str) -> None:
        """Start processes of the Procfile, and wait until the web server (if among them) answers."""
        for name in names:
            self.processes.append(Running(name, self.environment, self.folder / f"{name}.log"))
        if "web" in names:
            self._wait_for_web()

    def pause(self, *names: str) -> None:
        """Stop these processes; `run` starts them again."""
        ended = [running for running in self.processes if running.name in names]
        self.processes = [running for running in self.processes if running.name not in names]
        stop_all(ended, seconds=10)

    def stop(self) -> None:
        stop_all(self.processes, seconds=5)
        self.valkey.stop()
        self.postgres.stop()

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time so far, by process, children included, from the operating system's accounting."""
        roots = {running.name: running.process.pid for running in self.processes}
        for name, service in (("postgres", self.postgres), ("valkey", self.valkey)):
            if service.process is not None:
                roots[name] = service.process.pid
        return {name: _cpu_of_tree(pid) for name, pid in roots.items()}

    def _wait_for_web(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.url}/healthz", timeout=2)  # noqa: S310 - our own address
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("\n".join(running.last_words() for running in self.processes))


def _cpu_of_tree(pid: int) -> float:
    """User and system time of a process, its descendants, and those that ended and were waited for."""
    total = 0.0
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return total
    for process in family:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


@contextmanager
def running_stack(*names: str) -> Iterator[Stack]:
    """The product with these processes of the Procfile, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="ccs-benchmark-", ignore_cleanup_errors=True) as folder:
        stack = Stack(state_folder(Path(folder)))
        try:
            stack.start()
            stack.run(*names)
            yield stack
        finally:
            stack.stop()


def setup_django() -> None:
    """Make models importable, once the stack has set the environment."""
    import django

    django.setup()


def quantile(values: list[float], share: float) -> float:
    """The value below which this share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def say(text: str, *, quiet: bool = False) -> None:
    """Progress, on standard error so that standard output stays JSON."""
    if not quiet:
        print(text, file=sys.stderr, flush=True)


Json = dict[str, Any]
