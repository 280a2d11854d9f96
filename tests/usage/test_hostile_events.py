"""Every hostile request gets the answer it must get, and what is stored is what was accepted, to the last digit."""

import http.client
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from consumption_cs.embedded import free_port
from consumption_cs.lib.tenancy import Viewer, enter
from tests.usage.hostile_cases import (
    PATH,
    Answer,
    Request,
    World,
    accepted_quantity,
    before,
    complaints,
    load_cases,
    now_of,
    request_of,
)
from usage.actions.roll_up import roll_up
from usage.api import events as events_view

USUAL = 0.25  # seconds; half of the cases must be answered within
SLOWEST = 10.0  # whatever else the machine does: what explodes takes minutes

Send = Callable[[Request], Answer]


@pytest.mark.django_db(transaction=True)
def test_every_case_on_the_test_client(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(raise_request_exception=False)

    def send(request: Request) -> Answer:
        headers = {name: value for name, value in request.headers.items() if name != "Content-Type"}
        response = client.generic(
            request.method,
            request.path,
            request.body,
            headers=headers,
            # The test client leaves this out when the body is empty, which no real client does.
            CONTENT_TYPE=request.headers.get("Content-Type", ""),
        )
        return Answer(response.status_code, dict(response.items()), response.content)

    def freeze(case: dict[str, Any]) -> None:
        monkeypatch.setattr(events_view, "clock", lambda key: now_of(case))

    run(load_cases(), send, freeze)


@pytest.mark.django_db(transaction=True)
def test_every_case_of_today_on_a_live_server(server: str) -> None:
    run([case for case in load_cases() if "now" not in case], sender_to(server), lambda case: None)


@pytest.mark.django_db(transaction=True)
def test_every_case_of_another_day_on_a_live_server() -> None:
    cases = sorted((case for case in load_cases() if "now" in case), key=lambda case: str(case["now"]))
    for now, of_that_day in groupby(cases, key=lambda case: str(case["now"])):
        with server_at(now) as url:
            run(list(of_that_day), sender_to(url), lambda case: None)


@contextmanager
def server_at(now: str) -> Iterator[str]:
    """A real server that believes it is `now`; see tests/hostile/frozen.py."""
    url = f"http://127.0.0.1:{free_port(28500)}"
    port = str(urlsplit(url).port)
    command = ["granian", "--interface", "wsgi", "--port", port, "tests.hostile.frozen:application"]
    environment = os.environ | {"FROZEN_NOW": now, "SITE_URL": url}
    process = subprocess.Popen([sys.executable, "-m", *command], env=environment, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/healthz", timeout=2)
                break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def sender_to(url: str) -> Send:
    """Return how to send a request to a real server, one connection each."""
    address = urlsplit(url)

    def send(request: Request) -> Answer:
        http_connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
        try:
            http_connection.request(request.method, request.path, request.body, request.headers)
            response = http_connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            http_connection.close()

    return send


def run(cases: list[dict[str, Any]], send: Send, freeze: Callable[[dict[str, Any]], None]) -> None:
    world = World()
    wrong: list[str] = []
    accepted = Decimal(0)
    seconds: list[float] = []
    send(Request("GET", PATH, {}, b""))  # the first request of a process loads the views
    for case in cases:
        freeze(case)
        now = now_of(case)
        for request in before(case, world, now):
            accepted += accepted_quantity(request, send(request))
        request = request_of(case, world, now)
        started = time.perf_counter()
        answer = send(request)
        seconds.append(time.perf_counter() - started)
        accepted += accepted_quantity(request, answer)
        wrong += complaints(case, answer) + headers_missing(case, answer)
        if seconds[-1] > SLOWEST:
            wrong.append(f"{case['name']}: took {seconds[-1]:.2f} s")
        for _ in range(case.get("repeat", 1) - 1):
            again = send(request)
            if again.counts["accepted"] or again.status >= 300:
                wrong.append(f"{case['name']}: a repetition was answered {again.status} {again.counts}")
    assert not wrong, "\n".join(wrong)
    assert statistics.median(seconds) < USUAL
    assert stored_quantities(world) == (accepted, accepted)
    assert rolled_up_quantity(world) == accepted


def headers_missing(case: dict[str, Any], answer: Answer) -> list[str]:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    needed = {401: "www-authenticate", 405: "allow", 415: "accept", 429: "retry-after", 503: "retry-after"}
    found = []
    if answer.status in needed and needed[answer.status] not in headers:
        found.append(f"{case['name']}: no {needed[answer.status]} header")
    if answer.status >= 400 and headers.get("content-type") != "application/problem+json":
        found.append(f"{case['name']}: not a problem document but {headers.get('content-type')}")
    return found


def stored_quantities(world: World) -> tuple[Decimal, Decimal]:
    """The sum of all stored events, and the sum that their batches hand to the roll-up."""
    events = batches = Decimal(0)
    for organization in (world.acme, world.globex):
        with transaction.atomic(), connection.cursor() as cursor:
            enter(Viewer(organization.pk))
            cursor.execute("SELECT coalesce(sum(quantity), 0) FROM usage_event")
            events += cursor.fetchone()[0]
            cursor.execute("SELECT sums::text FROM usage_ingestbatch")
            batches += sum(Decimal(part["q"]) for (sums,) in cursor.fetchall() for part in json.loads(sums))
    return events, batches


def rolled_up_quantity(world: World) -> Decimal:
    """The sum of all days once the tick has merged the batches."""
    days = Decimal(0)
    for organization in (world.acme, world.globex):
        roll_up(organization.pk, timezone.now())
        with transaction.atomic(), connection.cursor() as cursor:
            enter(Viewer(organization.pk))
            cursor.execute("SELECT coalesce(sum(quantity), 0) FROM usage_day")
            days += cursor.fetchone()[0]
    return days
