"""Starting, stopping and losing the processes of the product."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from consumption_cs.demo import DemoError, given_database, only_one, read_secrets
from consumption_cs.processes import ROOT, read_procfile
from consumption_cs.provision import Addresses, address, administering, drop_everything, let_app_use
from consumption_cs.schedule import QUEUES
from tests import services


def test_every_queue_has_a_worker_of_its_own_and_there_are_two_beats() -> None:
    commands = read_procfile()
    for queue in QUEUES:
        assert commands[queue][commands[queue].index("--queues") + 1] == queue
    assert [name for name, command in commands.items() if "beat" in command] == ["beat-1", "beat-2"]


def test_a_child_dies_with_a_killed_parent() -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells children")
    program = (
        "import subprocess, signal, time; from consumption_cs.embedded import die_with_parent\n"
        "child = subprocess.Popen(['sleep', '60'], preexec_fn=die_with_parent(signal.SIGTERM))\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    for _ in range(50):
        if not Path(f"/proc/{child}/cmdline").exists() or Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    raise AssertionError("the child outlived its parent")


def test_only_one_demo_runs_in_a_folder(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(DemoError, match="Another demo"), only_one(tmp_path):
        pass


def test_secrets_are_made_once_and_closed_to_others(tmp_path: Path) -> None:
    made = read_secrets(tmp_path)
    assert read_secrets(tmp_path) == made
    assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0


@pytest.fixture
def database(django_db_setup: None) -> Addresses:
    """An empty database of the test's own, with both roles."""
    made = services.clone(f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_external")
    drop_everything(made.owner)
    return made


def test_a_reset_drops_what_the_owner_made_and_the_next_tables_are_usable(database: Addresses) -> None:
    for _ in range(2):
        let_app_use(database)
        with administering(database.owner) as cursor:
            cursor.execute("CREATE TABLE thing (a int) PARTITION BY RANGE (a)")
            cursor.execute("CREATE TABLE thing_1 PARTITION OF thing FOR VALUES FROM (1) TO (9)")
            cursor.execute("CREATE FUNCTION answer() RETURNS int LANGUAGE sql AS 'SELECT 42'")
        with administering(database.app) as cursor:
            cursor.execute("INSERT INTO thing VALUES (answer() - 40)")
        drop_everything(database.owner)


def test_a_given_database_of_a_mere_user_needs_an_owner_beside_it(database: Addresses) -> None:
    with pytest.raises(DemoError, match="DATABASE_OWNER_URL"):
        given_database(database.app, None, {})
    assert given_database(database.app, database.owner, {}) == database


def test_a_given_database_of_an_administrator_gets_both_roles(database: Addresses) -> None:
    found = services.ensure()
    admin = address(found["admin"], database.app.rpartition("/")[2])
    assert given_database(admin, None, found) == database
