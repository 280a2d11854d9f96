"""Clients that retry until they are answered, and a receiver of webhooks that fails; both keep their own log."""

import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

METER = "work.done"
ANSWER_SECONDS = 5
MOST_EVENTS = 20  # in a batch
MOST_HELD = 50  # batches without an answer, of one client


@dataclass(slots=True)
class Batch:
    """Events that are sent together, again and again until an answer comes."""

    body: bytes
    units: dict[str, int]  # account → quantity
    events: int


@dataclass(slots=True)
class Client:
    """One program that sends events. `accepted` adds up what was answered with 202, `unsure` is what never was."""

    url: str
    secret: str
    accounts: int
    number: int
    seed: int
    accepted: dict[str, int] = field(default_factory=dict)
    events: int = 0
    requests: int = 0
    wrong: list[str] = field(default_factory=list)
    unsure: list[Batch] = field(default_factory=list)
    _made: int = 0

    def run(self, stop: threading.Event) -> None:
        """Send until `stop`: new batches, some held back for later, and some that were accepted once more."""
        pick = random.Random(f"{self.seed} {self.number}")  # noqa: S311 - test data
        done: list[Batch] = []
        while not stop.is_set():
            if len(self.unsure) >= MOST_HELD:  # a sender that cannot deliver makes no more until it can
                self._try(self.unsure.pop(0), done)
                time.sleep(pick.uniform(0, 0.1))
                continue
            batch = self._batch(pick)
            if pick.random() < 0.1:  # it comes after others that were made later
                self.unsure.append(batch)
                continue
            self._try(batch, done)
            if done and pick.random() < 0.1:
                self._send(pick.choice(done))
            if self.unsure and pick.random() < 0.5:
                self._try(self.unsure.pop(0), done)
            time.sleep(pick.uniform(0, 0.1))

    def settle(self, until: float) -> None:
        """Send what was never answered, until it is or the time has come (monotonic seconds)."""
        while self.unsure and time.monotonic() < until:
            self._try(self.unsure.pop(0), [])
            time.sleep(0.02)

    def _try(self, batch: Batch, done: list[Batch]) -> None:
        if self._send(batch):
            done.append(batch)
            self.events += batch.events
            for account, units in batch.units.items():
                self.accepted[account] = self.accepted.get(account, 0) + units
        else:
            self.unsure.append(batch)

    def _send(self, batch: Batch) -> bool:
        """Return whether it was accepted. No answer, or “later”, is none; any other answer is wrong."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=ANSWER_SECONDS)
        headers = {
            "Authorization": f"Bearer {self.secret}",
            "Content-Type": "application/cloudevents-batch+json",
        }
        self.requests += 1
        try:
            connection.request("POST", "/api/v1/events", batch.body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if answer.status not in (202, 429, 503):
            self.wrong.append(f"{answer.status} {text[:200]!r}")
        return answer.status == 202

    def _batch(self, pick: random.Random) -> Batch:
        units: dict[str, int] = {}
        events = []
        for _ in range(pick.randrange(1, MOST_EVENTS)):
            self._made += 1
            account, quantity = f"cust-{pick.randrange(self.accounts)}", pick.randrange(1, 6)
            units[account] = units.get(account, 0) + quantity
            events.append(
                {
                    "specversion": "1.0",
                    "id": f"{self.seed}-{self.number}-{self._made}",
                    "source": "/chaos",
                    "type": METER,
                    "subject": account,
                    "time": datetime.now(UTC).isoformat(),
                    "data": {"quantity": quantity, "workflow": "w", "success": True},
                }
            )
        return Batch(json.dumps(events).encode(), units, len(events))


class Sink:
    """Receives webhooks on this machine: it refuses every fifth, and takes every tenth but says that it failed."""

    def __init__(self, seed: int) -> None:
        self.seen: dict[str, int] = {}  # webhook-id → how often it was taken
        pick, lock = random.Random(seed), threading.Lock()  # noqa: S311 - test data
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with lock:
                    chance = pick.random()
                    if chance >= 0.2:
                        name = self.headers.get("webhook-id", "")
                        seen[name] = seen.get(name, 0) + 1
                self.send_response(503 if chance < 0.2 else 500 if chance < 0.3 else 204)
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def in_threads(work: list[Callable[[], None]]) -> list[threading.Thread]:
    """Start each in a thread of its own."""
    threads = [threading.Thread(target=one, daemon=True) for one in work]
    for thread in threads:
        thread.start()
    return threads
