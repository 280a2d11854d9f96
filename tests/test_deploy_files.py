"""The files for deploying say the same as the code, and programs that read them accept them."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
import yaml

from consumption_cs.embedded import THROWAWAY, Postgres, find_postgres, free_port, state_folder
from consumption_cs.processes import ROOT, read_procfile
from consumption_cs.provision import APP, OWNER, address, administering

NOT_OURS = {"postgres", "valkey", "nginx", "migrate"}
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def test_the_compose_file_fits_the_compose_schema() -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [program, "--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_compose_runs_exactly_the_processes_of_the_procfile(compose: dict[str, Any]) -> None:
    ours = {name: service["command"] for name, service in compose["services"].items() if name not in NOT_OURS}
    assert ours == {name: ["python", "-m", "consumption_cs.processes", name] for name in read_procfile()}


def test_only_the_migration_knows_the_owners_password(compose: dict[str, Any]) -> None:
    knows = [name for name, service in compose["services"].items() if "CCS_OWNER_PASSWORD" in json.dumps(service)]
    assert knows == ["postgres", "migrate"]


def test_every_variable_of_the_compose_file_is_in_the_example() -> None:
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    explained = set(re.findall(r"^(\w+)=", (ROOT / "deploy/env.example").read_text(), re.MULTILINE))
    assert used == explained


def test_the_image_holds_every_package(compose: dict[str, Any]) -> None:
    copied = set(re.findall(r"^COPY (\w+) \w+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks", "scripts"}
    assert copied == packages | {"templates"}
    assert {f"!{name}" for name in copied} <= set((ROOT / ".dockerignore").read_text().split())


@pytest.mark.parametrize("name", ["base", "dev", "installer"])
def test_locked_requirements_have_hashes_and_name_no_index(name: str) -> None:
    lock = (ROOT / "requirements" / f"{name}.txt").read_text()
    entries = re.split(r"\n(?=[a-z0-9])", re.sub(r"^#.*\n", "", lock, flags=re.MULTILINE).strip())
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"://|file:|^--|^/|index", lock, re.MULTILINE)


def test_psycopg_3_is_not_locked_because_django_would_silently_prefer_it() -> None:
    locks = "".join((ROOT / "requirements" / f"{name}.txt").read_text() for name in ("base", "dev"))
    assert not re.search(r"^psycopg(\[.*\])?==", locks, re.MULTILINE)


@pytest.fixture
def new_cluster(tmp_path: Path) -> Iterator[Postgres]:
    folder = state_folder(tmp_path)
    server = Postgres(folder / "postgres", 19000 + os.getpid() % 1000, settings=THROWAWAY)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


def test_the_init_script_makes_a_serving_role_without_special_rights(new_cluster: Postgres) -> None:
    if not (find_postgres() / "psql").exists():
        pytest.skip("this PostgreSQL has no psql")
    _run_init_script(new_cluster)
    database = address(new_cluster.url, "postgres")
    with administering(database) as cursor:
        cursor.execute("SELECT rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname LIKE 'ccs%'")
        assert cursor.fetchall() == [(False, False, False)] * 2
    with administering(address(database, "postgres", OWNER, "owner-secret")) as cursor:
        cursor.execute("CREATE TABLE made_by_owner (a int)")
    with administering(address(database, "postgres", APP, "app-secret")) as cursor:
        cursor.execute("INSERT INTO made_by_owner VALUES (1)")
        cursor.execute("CREATE TEMPORARY TABLE staging (a int)")
        for forbidden in ("CREATE TABLE mine (a int)", "TRUNCATE made_by_owner", "DROP TABLE made_by_owner"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(forbidden)


def _run_init_script(cluster: Postgres) -> None:
    subprocess.run(
        ["sh", ROOT / "deploy/postgres-init/10-roles.sh"],
        env={
            "PATH": f"{find_postgres()}:/usr/bin:/bin",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(cluster.port),
            "PGPASSWORD": cluster.password,
            "POSTGRES_DB": "postgres",
            "CCS_OWNER_PASSWORD": "owner-secret",
            "CCS_APP_PASSWORD": "app-secret",
        },
        check=True,
        capture_output=True,
    )


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Start a real nginx with our file before a web server (`host:port`); returns its address."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    started: list[subprocess.Popen[bytes]] = []

    def start(web: str) -> str:
        port = free_port(18100 + os.getpid() % 500)
        text = (ROOT / "deploy/nginx.conf").read_text()
        text = text.replace("server web:8000;", f"server {web};").replace("listen 8080", f"listen 127.0.0.1:{port}")
        (tmp_path / "nginx.conf").write_text(text.replace("/tmp/nginx", str(tmp_path / "nginx")))
        started.append(subprocess.Popen([NGINX, "-c", tmp_path / "nginx.conf", "-g", "daemon off; user root;"]))
        return f"http://127.0.0.1:{port}"

    yield start
    for process in started:
        process.terminate()
        process.wait(10)


def test_while_the_web_server_is_away_nginx_asks_to_try_again(nginx: Callable[[str], str]) -> None:
    answer = _refused(f"{nginx('127.0.0.1:9')}/api/v1/events")
    assert answer.code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert json.loads(answer.read())["status"] == 503


def _refused(url: str) -> urllib.error.HTTPError:
    for _ in range(50):
        try:
            urllib.request.urlopen(url, timeout=5)
        except urllib.error.HTTPError as answer:
            return answer
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"no answer from {url}")


def test_clients_that_trickle_do_not_keep_others_waiting(nginx: Callable[[str], str], server: str) -> None:
    address = nginx(urlsplit(server).netloc)
    _wait_for(f"{address}/nginx-health")
    slow = []
    for number in range(150):  # far more than the web server has threads
        connection = socket.create_connection(("127.0.0.1", urlsplit(address).port or 0), 5)
        connection.sendall(b"POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        if number % 2:
            connection.sendall(b"Content-Length: 1000\r\nAuthorization: Bearer x\r\n\r\n{")
        slow.append(connection)
    started = time.monotonic()
    with urllib.request.urlopen(f"{address}/healthz", timeout=5) as answer:
        assert answer.status == 200
    assert time.monotonic() - started < 1
    for connection in slow:
        connection.close()


def _wait_for(url: str) -> None:
    for _ in range(50):
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"no answer from {url}")


def test_nginx_buffers_and_gives_slow_clients_ten_seconds() -> None:
    text = (ROOT / "deploy/nginx.conf").read_text()
    for line in (
        "client_header_timeout 10s;",
        "client_body_timeout 10s;",
        "proxy_request_buffering on;",
        "proxy_buffering on;",
    ):
        assert line in text
