"""A pytest plugin: real PostgreSQL and Valkey from the wheels, one migrated template, and clones of it.

Loaded before Django's settings. One run starts its services when the first test needs them (with xdist: before the
workers start) and throws them away. With CCS_TEST_REUSE=1 they stay up for the next run. CCS_TEST_PG and
CCS_TEST_REDIS name servers to use instead; the first is the address of a role that may make roles and databases.
"""

import fcntl
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from psycopg2 import sql

from consumption_cs.embedded import THROWAWAY, Postgres, Valkey, state_folder
from consumption_cs.provision import APP, OWNER, Addresses, address, administering, exists, provision

ROOT = Path(__file__).resolve().parent.parent
STARTED = "CCS_TEST_SERVICES"  # what the controller tells its xdist workers
REUSE = bool(os.environ.get("CCS_TEST_REUSE"))
_running: list[Postgres | Valkey] = []
_thrown_away: list[Path] = []


def environment(database: Addresses, redis_url: str) -> dict[str, str]:
    """What settings and every process under test read."""
    return {
        **database.environment(),
        "REDIS_URL": redis_url,
        "SECRET_KEY": "only-for-tests-0123456789abcdef0123456789abcdef0123456789",
        "PLAIN_HTTP": "1",
        "SITE_URL": "http://127.0.0.1",
        "ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
        "EMAIL_URL": "memorymail://",
        "LOG_LEVEL": "WARNING",
    }


# Settings are read before any service runs; the fixtures fill in the real addresses later.
_NOWHERE = "postgresql://{}:none@127.0.0.1:1/none"
if STARTED not in os.environ:
    os.environ.update(environment(Addresses(_NOWHERE.format(APP), _NOWHERE.format(OWNER)), "redis://127.0.0.1:1/0"))


def pytest_configure(config: pytest.Config) -> None:
    uses_xdist = bool(config.getoption("numprocesses", None)) and not hasattr(config, "workerinput")
    if uses_xdist and not config.getoption("collectonly"):
        ensure()


def pytest_unconfigure() -> None:
    for service in _running:
        service.stop()
    for folder in _thrown_away:
        shutil.rmtree(folder, ignore_errors=True)


def ensure() -> dict[str, str]:
    """Start what is not running yet, with a migrated template. Returns `admin`, `redis`, `template`, `run`."""
    if STARTED not in os.environ:
        started = _start()
        started["run"] = str(os.getpid())
        started["template"] = _migrated_template(started)
        os.environ[STARTED] = json.dumps(started)
    found: dict[str, str] = json.loads(os.environ[STARTED])
    return found


def _start() -> dict[str, str]:
    if REUSE:
        folder = _reused_folder()
    else:
        folder = state_folder(Path(tempfile.mkdtemp(prefix="ccs-test-")))
        _thrown_away.append(folder)
    with locked(folder):
        passwords = _passwords(folder)
        admin = os.environ.get("CCS_TEST_PG") or _start_postgres(folder)
        redis_url = os.environ.get("CCS_TEST_REDIS") or _start_valkey(folder)
        _drop_leftovers(admin)
    return {"admin": admin, "redis": redis_url, "folder": str(folder), **passwords}


def _reused_folder() -> Path:
    key = sha256(str(ROOT).encode()).hexdigest()[:8]
    return state_folder(Path(tempfile.gettempdir()) / f"ccs-test-reused-{os.geteuid()}-{key}")


def _passwords(folder: Path) -> dict[str, str]:
    path = folder / "roles.json"
    if not path.exists():
        path.touch(0o600)
        path.write_text(json.dumps({role: secrets.token_urlsafe(16) for role in (OWNER, APP)}))
    found: dict[str, str] = json.loads(path.read_text())
    return found


def _start_postgres(folder: Path) -> str:
    port = 20000 + os.getpid() % 6000
    server = Postgres(folder / "postgres", port, settings=THROWAWAY, outlives_parent=REUSE)
    noted = folder / "postgres-port"
    if REUSE and noted.exists() and server.is_running():
        server.port = int(noted.read_text())
        return server.url
    server.start()
    noted.write_text(str(server.port))
    if not REUSE:
        _running.append(server)
    return server.url


def _start_valkey(folder: Path) -> str:
    server = Valkey(folder / "valkey", 26100 + os.getpid() % 6000, outlives_parent=REUSE)
    noted = folder / "valkey-port"
    if REUSE and noted.exists():
        server.port = int(noted.read_text())
        if server.is_ready():
            return server.url
    server.start()
    noted.write_text(str(server.port))
    if not REUSE:
        _running.append(server)
    return server.url


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time, and never left locked by one that died."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _migrated_template(services: dict[str, str]) -> str:
    """The name of a database that is migrated to the present code; made if there is none."""
    name = f"ccs_template_{_schema_hash()}"
    with locked(Path(services["folder"])), administering(services["admin"]) as cursor:
        if not exists(cursor, name):
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(f"{name}_new")))
            addresses = provision(services["admin"], f"{name}_new", services)
            _migrate(addresses)
            cursor.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(f"{name}_new"), sql.Identifier(name))
            )
    return name


def _schema_hash() -> str:
    digest = sha256()
    for path in sorted([*ROOT.glob("*/migrations/*.py"), ROOT / "consumption_cs/lib/tenancy.py"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _migrate(addresses: Addresses) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0", "--database", "owner"],
        cwd=ROOT,
        env=os.environ | environment(addresses, "redis://127.0.0.1:1/0"),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.exit(f"The test database could not be migrated:\n{done.stdout}{done.stderr[-3000:]}", 3)


def clone(worker: str) -> Addresses:
    """A fresh copy of the template for one worker of this run."""
    services = ensure()
    name = f"ccs_run_{services['run']}_{worker}"
    with locked(Path(services["folder"])), administering(services["admin"]) as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        cursor.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(services["template"]), sql.Identifier(OWNER)
            )
        )
    return Addresses(
        app=address(services["admin"], name, APP, services[APP]),
        owner=address(services["admin"], name, OWNER, services[OWNER]),
    )


def drop(database: Addresses) -> None:
    """Remove a clone, cutting off who still uses it."""
    name = database.app.rpartition("/")[2]
    with administering(ensure()["admin"]) as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def redis_database(worker: str) -> str:
    """The address of a numbered database of Valkey that this worker has (almost surely) to itself."""
    number = int(sha256(f"{ensure()['run']}{worker}".encode()).hexdigest(), 16) % 500 + 1
    return f"{ensure()['redis'].rpartition('/')[0]}/{number}"


def _drop_leftovers(admin: str) -> None:
    """Remove the clones of runs that died, and templates of code that has changed since."""
    with administering(admin) as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE 'ccs!_run!_%' ESCAPE '!'")
        for (name,) in cursor.fetchall():
            if not _is_alive(int(name.split("_")[2])):
                cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
