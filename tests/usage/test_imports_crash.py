"""Wherever the worker of an import breaks off, another goes on; each row counts once, and all of them together."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer, act_as
from consumption_cs.processes import ROOT
from tests.factories import make_account, make_meter, make_organization, staff_of
from tests.usage.import_files import csv_file, make_import, row
from tests.usage.test_crash_points import Crash, CrashAt
from usage.actions.directory import Directory
from usage.actions.imports import close, create, validate, void, work
from usage.actions.imports.create import ImportRefused
from usage.actions.roll_up import roll_up
from usage.models import Event, EventKey, ImportRow, IngestBatch, Meter, UsageDay, UsageImport
from usage.reports.freshness import data_through

State = UsageImport.State

# A worker with small slices, so that it can be killed between any of them.
WORKER = """
import django, sys, time, uuid
django.setup()
from django.utils import timezone
from usage.actions.imports import close, validate, work
validate.SLICE = close.SLICE = int(sys.argv[3])
organization, one = map(uuid.UUID, sys.argv[1:3])
for _ in range(400):
    work.work(organization, one, timezone.now)
    time.sleep(0.05)
"""


@pytest.fixture
def account(transactional_db: None) -> Account:
    organization = make_organization()
    with act_as(staff_of(organization)):
        account = make_account(organization, key="northwind")
        make_meter(organization, "api.call")
    return account


@pytest.fixture
def now() -> datetime:
    return timezone.now().replace(microsecond=0)


@pytest.fixture
def workers() -> Iterator[Callable[[UsageImport], "subprocess.Popen[bytes]"]]:
    started = []

    def start(one: UsageImport) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", WORKER, str(one.organization_id), str(one.pk), "250"]
        environment = os.environ | {"DJANGO_SETTINGS_MODULE": "consumption_cs.settings"}
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def upload(account: Account, content: bytes, **fields: Any) -> UsageImport:
    viewer = staff_of(account)
    with act_as(viewer):
        one = make_import(account.organization, content, **fields)
        create.start_validation(viewer, one, timezone.now())
    return one


def begin(one: UsageImport, act: Callable[..., None], *arguments: object) -> None:
    with act_as(Viewer(one.organization_id, None, "admin")):
        held = create.held(Viewer(one.organization_id, None, "admin"), one.pk)
        act(Viewer(one.organization_id, None, "admin"), held, *arguments, timezone.now())


def look(one: UsageImport) -> UsageImport:
    with act_as(Viewer(one.organization_id)):
        return UsageImport.objects.get(pk=one.pk)


def wait(one: UsageImport, is_so: Callable[[UsageImport], bool], seconds: float = 20) -> UsageImport:
    deadline = time.monotonic() + seconds
    while not is_so(found := look(one)):
        assert time.monotonic() < deadline, (found.state, found.step, found.position, found.problem)
        time.sleep(0.005)
    return found


def finish(one: UsageImport) -> UsageImport:
    while work.work(one.organization_id, one.pk, timezone.now, seconds=60):
        pass
    return look(one)


def quantity(one: UsageImport) -> Decimal:
    while roll_up(one.organization_id, timezone.now()).found_work:
        pass
    with act_as(Viewer(one.organization_id)):
        return sum((day.quantity for day in UsageDay.objects.all()), Decimal(0))


def counts(one: UsageImport) -> tuple[int, int, int]:
    with act_as(Viewer(one.organization_id)):
        return ImportRow.objects.count(), Event.objects.count(), EventKey.objects.count()


def test_killed_while_checking_and_while_closing_each_row_counts_once(
    account: Account, now: datetime, workers: Callable[[UsageImport], "subprocess.Popen[bytes]"]
) -> None:
    count = 5_000
    content = csv_file(row(number, now - timedelta(minutes=number), quantity=str(number)) for number in range(count))
    one = upload(account, content)
    first = workers(one)
    wait(one, lambda found: found.rows >= 500)
    first.kill()
    assert look(one).state == State.VALIDATING
    second = workers(one)
    checked = wait(one, lambda found: not found.is_working)
    assert (checked.state, checked.rows, checked.rows_new) == (State.READY, count, count)
    begin(one, create.start_closing)
    wait(one, lambda found: found.done >= 500)
    second.kill()
    assert look(one).state == State.CLOSING
    assert quantity(one) == 0, "some of it counts before all of it does"
    workers(one)
    closed = wait(one, lambda found: not found.is_working)
    assert (closed.state, closed.rows_new, closed.rows_known, closed.done) == (State.CLOSED, count, 0, count)
    assert counts(one) == (count, count, count)
    assert quantity(one) == sum(range(count))


def test_breaking_off_at_any_statement_changes_nothing_in_the_end(
    account: Account, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validate, "SLICE", 2)
    monkeypatch.setattr(close, "SLICE", 2)
    monkeypatch.setattr(void, "SLICE", 2)
    rows = [row(number, now - timedelta(hours=number), quantity=str(10**number)) for number in range(5)]
    rows += [rows[0], row("bad", now, quantity="x")]
    one = upload(account, csv_file(rows))
    crashes = _crash_everywhere(one)
    seen = look(one)
    assert (seen.state, seen.rows, seen.rows_new, seen.rows_repeated, seen.rows_bad) == (State.REFUSED, 7, 5, 1, 1)
    begin(one, lambda viewer, held, at: create.start_closing(viewer, held, at, leave_bad_out=True))
    crashes += _crash_everywhere(one)
    assert (look(one).state, counts(one), quantity(one)) == (State.CLOSED, (5, 5, 5), 11111)
    begin(one, create.start_undoing, "Wrong month")
    crashes += _crash_everywhere(one)
    assert (look(one).state, counts(one), quantity(one)) == (State.UNDONE, (5, 10, 10), 0)
    assert crashes > 150


def _crash_everywhere(one: UsageImport) -> int:
    """Take an import to its end, each slice only after it broke off at each of its statements."""
    crashes, statement = 0, 1
    is_more = True
    while is_more:
        try:
            with connection.execute_wrapper(CrashAt(statement)):
                is_more = work._Run(one.organization_id, one.pk, timezone.now).step()
            statement = 1
        except Crash:
            crashes, statement = crashes + 1, statement + 1
    return crashes


def _slices(one: UsageImport, count: int) -> None:
    run = work._Run(one.organization_id, one.pk, timezone.now)
    for _ in range(count):
        assert run.step()


@pytest.mark.parametrize("aggregation", ["sum", "max"])
def test_nothing_counts_before_all_does_nor_is_said_to_be_late(
    account: Account, now: datetime, monkeypatch: pytest.MonkeyPatch, aggregation: str
) -> None:
    monkeypatch.setattr(close, "SLICE", 2)
    with act_as(staff_of(account)):
        Meter.objects.update(aggregation=aggregation)
    at = now.replace(hour=12) - timedelta(days=1)
    rows = [
        row(number, at + timedelta(minutes=number), quantity=str(40 if number == 4 else number))
        for number in range(1, 6)
    ]
    one = upload(account, csv_file(rows))
    finish(one)
    begin(one, create.start_closing)
    _slices(one, 2)
    assert counts(one) == (5, 4, 4)
    assert quantity(one) == 0
    with act_as(staff_of(account)):
        assert data_through(staff_of(account), now).lag_seconds == 0
        assert IngestBatch.objects.filter(held_for=one.pk).count() == 2
    _take_back(account, "e4")
    finish(one)
    assert quantity(one) == (11 if aggregation == "sum" else 5)


def _take_back(account: Account, event_id: str) -> None:
    """What a `void` does that comes while the event is held; it is counted before the event is."""
    with act_as(Viewer(account.organization_id)):
        kept = ImportRow.objects.get(event_id=event_id)
        other = UsageImport.objects.create(organization_id=account.organization_id, format="csv")
        picked = [void.Picked(str(kept.key), kept.account_id, kept.occurred_at)]
        void.void(other, picked, "Wrong", Directory(account.organization_id, 0.0, {}, {}, {}, {}))
        close.release(other)
    assert quantity(other) <= 0


def test_a_close_that_broke_off_counts_nothing_and_can_be_taken_up_or_undone(
    account: Account, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(close, "SLICE", 2)
    rows = [row(number, now - timedelta(hours=number)) for number in range(5)]
    for end, expected, state in ((create.start_closing, 10, State.CLOSED), (_undo, 10, State.UNDONE)):
        one = upload(account, csv_file([part | {"source": f"/{state}"} for part in rows]))
        finish(one)
        begin(one, create.start_closing)
        _slices(one, 1)
        with monkeypatch.context() as broken:
            broken.setattr(close, "hour_sums", _break)
            for _ in range(work.MAX_FAILURES):
                work.work(one.organization_id, one.pk, timezone.now)
        found = look(one)
        assert (found.state, found.broke_off) == (State.FAILED, True)
        assert "does not count" in found.problem
        with pytest.raises(ImportRefused, match="Part of its events"):
            begin(one, create.start_reverting)
        begin(one, end)
        assert finish(one).state == state
        assert look(one).problem == ""
        assert quantity(one) == expected


def _undo(viewer: Viewer, one: UsageImport, now: datetime) -> None:
    create.start_undoing(viewer, one, "It broke off", now)


def _break(*_: object) -> None:
    raise ValueError("broken")
