"""Usage reaches the screen with real workers, without any, and after the database or the broker were gone."""

import signal
import time
from collections.abc import Callable
from threading import Event
from uuid import UUID

import pytest
from django.db import OperationalError, connection

from accounts.models import Account
from budgets import tasks
from budgets.actions.deliver import Courier
from budgets.management.commands import run_sweeper
from consumption_cs import celery_app
from consumption_cs.lib.tenancy import act_as
from consumption_cs.processes import Running
from consumption_cs.provision import administering
from tests import services
from tests.factories import (
    NOW,
    make_account,
    make_batch,
    make_meter,
    make_organization,
    make_price,
    staff_of,
    usage_sum,
)
from usage.models import AccountDay

RunProcess = Callable[..., Running]


@pytest.fixture
def account(transactional_db: None) -> Account:
    organization = make_organization()
    with act_as(staff_of(organization)):
        made = make_account(organization)
        make_price(make_meter(organization), "2")
    return made


def accept(account: Account, count: int = 1) -> None:
    with act_as(staff_of(account)):
        meter = account.organization.meter_set.get()
        for _ in range(count):
            make_batch(account.organization, usage_sum(account, meter, NOW))


def spend(account: Account) -> int:
    with act_as(staff_of(account)):
        return sum(int(day.spend) for day in AccountDay.objects.all())


def wait_for_spend(account: Account, expected: int, process: Running, seconds: float = 30) -> float:
    """Return how long it took."""
    start = time.monotonic()
    while spend(account) != expected:
        assert not process.has_ended, process.last_words()
        assert time.monotonic() - start < seconds, f"{spend(account)} {process.last_words()}"
        time.sleep(0.05)
    return time.monotonic() - start


def end_connections_of_others() -> None:
    with connection.cursor() as cursor, administering(services.ensure()["admin"]) as admin:
        cursor.execute("SELECT current_database(), pg_backend_pid()")
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s",
            cursor.fetchone(),
        )


def test_the_sweeper_alone_brings_an_event_to_the_screen_and_ends_when_asked(
    account: Account, run_process: RunProcess
) -> None:
    sweeper = run_process("sweeper", REDIS_URL="redis://127.0.0.1:1/0")
    accept(account)
    wait_for_spend(account, 2, sweeper)
    start = time.monotonic()
    sweeper.process.send_signal(signal.SIGTERM)
    assert sweeper.process.wait(5) == 0
    assert time.monotonic() - start < 2


def test_the_sweeper_survives_the_loss_of_its_connection(account: Account, run_process: RunProcess) -> None:
    sweeper = run_process("sweeper")
    accept(account)
    wait_for_spend(account, 2, sweeper)
    end_connections_of_others()
    accept(account)
    wait_for_spend(account, 4, sweeper)


def test_a_sweep_reports_a_database_that_is_gone_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, account: Account
) -> None:
    def fail(*_: object) -> list[UUID]:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(run_sweeper, "catch_up_all", fail)
    assert not run_sweeper.sweep(Event(), Courier())
    assert "will be tried again" in caplog.text
    monkeypatch.undo()
    accept(account)
    assert run_sweeper.sweep(Event(), Courier())
    assert spend(account) == 2


def test_a_sweep_that_should_stop_begins_no_other_organization(account: Account) -> None:
    accept(account)
    stop = Event()
    stop.set()
    run_sweeper.sweep(stop, Courier())
    assert spend(account) == 0


def test_a_wake_up_brings_an_event_to_the_screen_within_a_second(account: Account, run_process: RunProcess) -> None:
    worker = run_process("rollup")
    accept(account)
    tasks.catch_up.apply_async([str(account.organization_id)], queue="rollup")
    wait_for_spend(account, 2, worker)  # the worker has started
    accept(account)
    tasks.catch_up.apply_async([str(account.organization_id)], queue="rollup")
    assert wait_for_spend(account, 4, worker) < 1


def test_a_worker_goes_on_after_the_database_closed_its_connections(account: Account, run_process: RunProcess) -> None:
    worker = run_process("rollup")
    for expected in (2, 4):
        accept(account)
        tasks.catch_up_all.apply_async(queue="rollup")
        wait_for_spend(account, expected, worker)
        end_connections_of_others()


def test_workers_killed_at_work_lose_and_double_nothing(account: Account, run_process: RunProcess) -> None:
    accepted = 0
    for _ in range(3):
        worker = run_process("rollup")
        deadline, before = time.monotonic() + 30, spend(account)
        while spend(account) < before + 20:
            assert not worker.has_ended, worker.last_words()
            assert time.monotonic() < deadline, worker.last_words()
            accept(account, 5)
            accepted += 5
            tasks.catch_up.apply_async([str(account.organization_id)], queue="rollup", expires=5)
            time.sleep(0.02)
        worker.kill()
    # The database ends a killed worker's transaction a moment later; until then its locks are passed over.
    deadline = time.monotonic() + 10
    while spend(account) != 2 * accepted and time.monotonic() < deadline:
        tasks.catch_up(str(account.organization_id))
    assert spend(account) == 2 * accepted


def test_the_ticks_do_what_the_wake_up_does(account: Account, eager_celery: None) -> None:
    accept(account)
    tasks.catch_up_all.delay()
    assert spend(account) == 2
    tasks.settle_all.delay()
    tasks.catch_up_all.delay()
    assert spend(account) == 2


def test_every_tick_of_the_schedule_names_a_task_that_exists_and_expires() -> None:
    celery_app.loader.import_default_modules()
    for entry in celery_app.conf.beat_schedule.values():
        if entry["task"].startswith(("usage.", "budgets.")):
            assert entry["task"] in celery_app.tasks
        assert entry["options"]["expires"] > 0


def test_an_idle_tick_is_one_query(account: Account, django_assert_num_queries: Callable[[int], object]) -> None:
    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        tasks.catch_up_all()
