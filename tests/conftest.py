"""What every test may ask for: a database of its own, real processes, and Celery in the test's thread."""

import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import environ
import pytest
from django.conf import settings
from django.db import connection, connections
from django.test import TransactionTestCase

from consumption_cs import celery_app
from consumption_cs.embedded import free_port
from consumption_cs.processes import Running, stop_all
from consumption_cs.provision import administering
from tests import services

# Rows that migrations make and that tests expect to find.
KEPT_TABLES = ("django_migrations", "django_content_type", "auth_permission", "django_site")


@pytest.fixture(scope="session")
def django_db_setup() -> Iterator[None]:
    """A clone of the migrated template for this worker; Django uses it as the app's role, as in production."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    database = services.clone(worker)
    redis_url = services.redis_database(worker)
    os.environ.update(database.environment(), REDIS_URL=redis_url)
    for alias, url in (("default", database.app), ("owner", database.owner)):
        connections[alias].settings_dict.update(environ.Env.db_url_config(url))
    settings.REDIS_URL = settings.CELERY_BROKER_URL = redis_url
    celery_app.conf.broker_url = redis_url
    yield
    connections.close_all()
    services.drop(database)


@pytest.fixture(scope="session", autouse=True)
def _clean_up_with_truncate() -> Iterator[None]:
    """After a test that commits, empty every table, those that Django has no model of included.

    As the owner, because the app's role may not, and must not be able to: part of its tables are append-only.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _test_case: _truncate_all())
        yield


def _truncate_all() -> None:
    connection.close()  # it may hold locks
    with administering(os.environ["DATABASE_OWNER_URL"]) as cursor:
        cursor.execute(
            """SELECT string_agg(quote_ident(c.relname), ', ') FROM pg_class c
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND NOT c.relname = ANY(%s)""",
            [list(KEPT_TABLES)],
        )
        cursor.execute(f"TRUNCATE {cursor.fetchone()[0]} CASCADE")


@pytest.fixture
def eager_celery() -> Iterator[None]:
    """Run tasks in the test's own thread, and let their exceptions out."""
    celery_app.conf.update(task_always_eager=True, task_eager_propagates=True)
    yield
    celery_app.conf.update(task_always_eager=False, task_eager_propagates=False)


@pytest.fixture
def run_process(transactional_db: None, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start processes of the Procfile on this test's database: `run_process("rollup", LOG_LEVEL="INFO")`."""
    started: list[Running] = []

    def run(name: str, **environment: str) -> Running:
        running = Running(name, os.environ | environment, tmp_path / f"{name}-{len(started)}.log")
        started.append(running)
        return running

    yield run
    stop_all(started, seconds=5)


@pytest.fixture(scope="session")
def web_process(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One real web server for this worker's tests; ask for `server`, which also cleans the database."""
    port = free_port(27000 + os.getpid() % 5000)
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {"GRANIAN_PORT": str(port), "SITE_URL": url, "GRANIAN_WORKERS": "1"}
    log = tmp_path_factory.mktemp("web") / "web.log"
    web = Running("web", environment, log)
    try:
        wait_for_web(url, web)
        yield url
    finally:
        stop_all([web], seconds=5)


@pytest.fixture
def server(transactional_db: None, web_process: str) -> str:
    """The address of a real web server on this test's database, as a client elsewhere would use it."""
    return web_process


def wait_for_web(url: str, web: Running, seconds: float = 30) -> None:
    """Until the port answers HTTP at all. Raises AssertionError with the server's log."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not web.has_ended:
        try:
            urllib.request.urlopen(f"{url}/healthz", timeout=2)
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"The web server did not start:\n{web.last_words()}")
