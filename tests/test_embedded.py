"""PostgreSQL and Valkey under our own supervision survive what happens to processes."""

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from consumption_cs.embedded import HIGHEST_PORT, THROWAWAY, Postgres, Valkey, free_port, state_folder
from consumption_cs.provision import APP, OWNER, address, administering, provision

PASSWORDS = {OWNER: "with/special@signs:", APP: "plain"}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    made = state_folder(tmp_path)  # elsewhere when we are root, for pytest's own folders are closed to others
    yield made
    shutil.rmtree(made)


@pytest.fixture
def postgres(folder: Path) -> Iterator[Postgres]:
    server = Postgres(folder / "postgres", free_port(16000 + os.getpid() % 1000), settings=THROWAWAY)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def valkey(folder: Path) -> Iterator[Valkey]:
    server = Valkey(folder / "valkey", free_port(17000 + os.getpid() % 1000))
    server.start()
    yield server
    server.stop()


def ask(url: str, question: str) -> object:
    with administering(url) as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]


def test_a_new_cluster_has_checksums_the_builtin_locale_and_loopback_only(postgres: Postgres) -> None:
    assert ask(postgres.url, "SHOW data_checksums") == "on"
    assert ask(postgres.url, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(postgres.url, "SHOW unix_socket_directories") == ""
    assert ask(postgres.url, "SHOW synchronous_commit") == "on"
    assert ask(postgres.url, "SELECT datlocale FROM pg_database WHERE datname = 'postgres'") == "C.UTF-8"


def test_nobody_gets_in_without_the_password(postgres: Postgres) -> None:
    stranger = address(postgres.url, "postgres", "postgres", "guess")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        ask(stranger, "SELECT 1")


def test_a_killed_postgresql_starts_again_with_what_was_committed(postgres: Postgres) -> None:
    with administering(postgres.url) as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    assert postgres.process
    postgres.process.send_signal(signal.SIGKILL)
    postgres.process.wait()
    postgres.start()
    assert ask(postgres.url, "SELECT answer FROM kept") == 42


def test_a_server_that_a_dead_parent_left_behind_is_replaced(postgres: Postgres) -> None:
    assert postgres.process
    successor = Postgres(postgres.state, postgres.port, settings=THROWAWAY)
    successor.start()
    assert postgres.process.wait(10) == 0
    assert ask(successor.url, "SELECT 1") == 1
    successor.stop()


def test_a_stale_pid_file_of_a_reused_number_does_not_stop_the_start(postgres: Postgres) -> None:
    postgres.stop()
    (postgres.data / "postmaster.pid").write_text(f"{os.getpid()}\n{postgres.data}\n0\n1\n\n127.0.0.1\n\nready\n")
    postgres.start()
    assert ask(postgres.url, "SELECT 1") == 1


def test_the_apps_role_owns_nothing_and_cannot_get_round_row_security(postgres: Postgres) -> None:
    addresses = provision(postgres.url, "product", PASSWORDS)
    assert provision(postgres.url, "product", PASSWORDS) == addresses
    with administering(addresses.owner) as cursor:
        cursor.execute("CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY, name text)")
    with administering(addresses.app) as cursor:
        cursor.execute("INSERT INTO thing (name) VALUES ('a') RETURNING id")
        cursor.execute("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False,)
        for forbidden in (
            "CREATE TABLE mine (a int)",
            "TRUNCATE thing",
            "ALTER TABLE thing DISABLE ROW LEVEL SECURITY",
        ):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(forbidden)


def test_valkey_answers_only_with_its_password_and_keeps_nothing_on_disk(valkey: Valkey) -> None:
    with socket.create_connection(("127.0.0.1", valkey.port), 2) as connection:
        connection.sendall(b"SET a b\r\n")
        assert connection.recv(100).startswith(b"-NOAUTH")
    valkey.stop()
    assert sorted(path.name for path in valkey.state.iterdir()) == ["log", "password"]


def test_a_killed_valkey_starts_again_on_its_port(valkey: Valkey) -> None:
    port = valkey.port
    assert valkey.process
    valkey.process.kill()
    valkey.process.wait()
    valkey.start()
    assert valkey.is_ready()
    assert valkey.port == port


def test_a_taken_port_is_passed_over_and_none_is_where_outgoing_connections_live() -> None:
    port = free_port(18800 + os.getpid() % 200)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert port < free_port(port) <= HIGHEST_PORT
