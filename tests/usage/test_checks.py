"""Nothing starts where row-level security would not keep tenants apart."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connections

from consumption_cs.processes import ROOT, Running
from consumption_cs.provision import APP, administering
from tests import services
from usage import checks


@pytest.fixture
def make_role() -> Iterator[Callable[[str], str]]:
    """Make a role like the application's with one right more."""
    role = f"too_mighty_{os.getpid()}"
    with administering(services.ensure()["admin"]) as cursor:

        def make(right: str) -> str:
            cursor.execute(f"CREATE ROLE {role} LOGIN {right} PASSWORD 'tried' IN ROLE {APP}")
            return role

        yield make
        cursor.execute(f"DROP ROLE IF EXISTS {role}")


@pytest.mark.django_db
def test_the_role_of_the_application_is_safe() -> None:
    assert checks.check_role(databases=["default"]) == []
    call_command("check", databases=["default"], fail_level="WARNING")
    checks.refuse_unsafe_start()


@pytest.mark.django_db(databases=["default", "owner"])
def test_the_owner_of_the_tables_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "connection", connections["owner"])
    (error,) = checks.check_role(databases=["default"])
    assert error.id == "usage.E004"
    assert "account_day" in error.msg


@pytest.mark.django_db
@pytest.mark.parametrize(("right", "code"), [("SUPERUSER", "usage.E002"), ("BYPASSRLS", "usage.E003")])
def test_a_role_that_row_level_security_does_not_bind_is_refused(
    right: str, code: str, make_role: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = connections.create_connection("default")
    other.settings_dict = other.settings_dict | {"USER": make_role(right), "PASSWORD": "tried"}
    monkeypatch.setattr(checks, "connection", other)
    assert code in {error.id for error in checks.check_role(databases=["default"])}
    with pytest.raises(ImproperlyConfigured, match="would not keep tenants apart"):
        checks.refuse_unsafe_start()
    assert other.connection is None


@pytest.mark.django_db
def test_a_database_that_is_down_does_not_keep_the_web_server_from_starting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = connections.create_connection("default")
    other.settings_dict = other.settings_dict | {"HOST": "127.0.0.1", "PORT": "1"}
    monkeypatch.setattr(checks, "connection", other)
    checks.refuse_unsafe_start()
    assert "its role is not checked" in caplog.text


def test_psycopg_3_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.check_driver() == []
    monkeypatch.setattr(checks, "find_spec", lambda name: object())
    assert [error.id for error in checks.check_driver()] == ["usage.E001"]


@pytest.mark.django_db
def test_the_web_server_refuses_to_start_as_the_owner() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import consumption_cs.wsgi"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": os.environ["DATABASE_OWNER_URL"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode
    assert "may become their owner" in done.stderr


def test_a_worker_refuses_to_start_as_the_owner(run_process: Callable[..., Running]) -> None:
    worker = run_process("rollup", DATABASE_URL=os.environ["DATABASE_OWNER_URL"])
    worker.process.wait(60)
    assert "may become their owner" in worker.last_words()
