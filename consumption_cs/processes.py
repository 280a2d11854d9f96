"""Which processes the product consists of (the Procfile says), and running them under one parent.

The demo and the tests start them here; a container of the deployment runs `python -m consumption_cs.processes NAME`.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from consumption_cs.embedded import die_with_parent

ROOT = Path(__file__).resolve().parent.parent
SECONDS_TO_STOP = 20
# Read by the web server from the environment, so that an installation may set it.
DEFAULTS = {"GRANIAN_WORKERS": "2"}


def read_procfile() -> dict[str, list[str]]:
    """Name → command of every process, in the order of the Procfile; programs are those of this environment."""
    commands = {}
    for line in (ROOT / "Procfile").read_text().splitlines():
        name, _, command = line.partition(":")
        if command and not name.startswith("#"):
            commands[name.strip()] = _in_this_environment(shlex.split(command))
    return commands


def _in_this_environment(command: list[str]) -> list[str]:
    if command[0] == "python":
        return [sys.executable, *command[1:]]
    beside = Path(sys.executable).with_name(command[0])
    return [str(beside) if beside.exists() else command[0], *command[1:]]


class Running:
    """One started process. It dies with us, and gets a group of its own so that Ctrl-C reaches only the parent."""

    def __init__(self, name: str, environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.environment = DEFAULTS | dict(environment)
        self.log = log
        self.process = self._spawn()
        self.started = time.monotonic()

    def _spawn(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                read_procfile()[self.name],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def restart(self) -> None:
        """Start it again after it ended."""
        self.process = self._spawn()
        self.started = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.started

    def last_words(self, count: int = 1500) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-count:]

    def kill(self) -> None:
        """`kill -9` it with everything it started, as an accident would."""
        _signal_group(self.process, signal.SIGKILL)
        self.process.wait()


def stop_all(processes: list[Running], seconds: float = SECONDS_TO_STOP) -> None:
    """Ask all to stop at once, wait for them together, and kill the groups of those that do not."""
    for running in processes:
        if not running.has_ended:
            running.process.terminate()
    deadline = time.monotonic() + seconds
    for running in processes:
        try:
            running.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
        _signal_group(running.process, signal.SIGKILL)
        running.process.wait()


def _signal_group(process: "subprocess.Popen[bytes]", sign: signal.Signals) -> None:
    try:
        os.killpg(process.pid, sign)
    except ProcessLookupError:
        pass


def main() -> None:
    """Become the named process."""
    commands = read_procfile()
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(f"Name one of: {', '.join(commands)}")
    command = commands[sys.argv[1]]
    os.execvpe(command[0], command, DEFAULTS | os.environ)


if __name__ == "__main__":
    main()
