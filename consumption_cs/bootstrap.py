"""From a bare Python to the project's own environment. Standard library only: nothing else is installed yet."""

import hashlib
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

OLDEST_PYTHON = (3, 11)
NO_VENV = """This Python cannot make virtual environments: the module "{module}" is missing.
On Debian and Ubuntu:  apt install python3-venv
On Fedora:             dnf install python3-libs
Then run the same command again."""


def enter_environment(root: Path, *, install: bool, with_tests: bool) -> None:
    """Continue inside `.venv`, or return when this process already may.

    Outside a virtual environment the process is replaced by the same command inside `.venv`. With `install`
    the environment is made and brought up to the locked requirements first, which a stamp file remembers;
    without it, an environment that was never set up is left alone and Django reports what is missing.
    An environment that the user made and activated is used as it is. Ends the process when setting up fails.
    """
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(f"Consumption CS needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    python = root / ".venv" / "bin" / "python"
    inside_ours = Path(sys.prefix).resolve() == (root / ".venv").resolve()
    if sys.prefix != sys.base_prefix and not inside_ours:
        return
    if install:
        set_up(root, with_tests=with_tests)
    if not inside_ours and (root / ".venv" / "installed-base").exists():
        os.execv(str(python), [str(python), *sys.argv])


def set_up(root: Path, *, with_tests: bool) -> None:
    """Make `.venv` if need be and install each locked set whose hash differs from its stamp."""
    names = ["base", "dev"] if with_tests else ["base"]
    stale = [name for name in names if read_stamp(root, name) != lock_hash(root, name)]
    if not stale:
        return
    started = time.monotonic()
    say("Setting up the Python environment in .venv (once)")
    make_environment(root)
    for name in stale:
        install_locked(root, name)
        (root / ".venv" / f"installed-{name}").write_text(lock_hash(root, name))
    say(f"The Python environment is ready ({time.monotonic() - started:.0f} s)")


def lock_hash(root: Path, name: str) -> str:
    """The SHA-256 of a lock file, in hex."""
    return hashlib.sha256((root / "requirements" / f"{name}.txt").read_bytes()).hexdigest()


def read_stamp(root: Path, name: str) -> str:
    stamp = root / ".venv" / f"installed-{name}"
    return stamp.read_text() if stamp.exists() else ""


def make_environment(root: Path) -> None:
    if all((root / ".venv" / "bin" / name).exists() for name in ("python", "pip")):
        return
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            sys.exit(NO_VENV.format(module=module))
    say("  making the environment")
    made = run([sys.executable, "-m", "venv", "--clear", str(root / ".venv")])
    if made.returncode:
        sys.exit(f"Could not make the environment:\n{made.stdout}")


def install_locked(root: Path, name: str) -> None:
    """Install one lock file with its hashes: with uv, which is fast, or with pip where uv cannot be had."""
    requirements, programs = root / "requirements", root / ".venv" / "bin"
    lock = requirements / f"{name}.txt"
    say(f"  installing {lock.read_text().count('==')} locked packages ({name}; 10 to 60 seconds)")
    with_pip = [str(programs / "pip"), "install", "--quiet", "--require-hashes", "--requirement"]
    done = run([*with_pip, str(requirements / "installer.txt")])
    if done.returncode == 0:
        done = run([str(programs / "uv"), "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)], root)
    if done.returncode == 0:
        return
    say(f"  uv did not manage it; trying pip, which takes longer ({done.stdout.strip()[-300:]})")
    done = run([*with_pip, str(lock)])
    if done.returncode:
        sys.exit(f"Could not install the requirements:\n{done.stdout}")


def run(command: list[str], root: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run to the end with both outputs in `stdout`; with `root`, for its environment rather than an active one."""
    environment = {"PIP_DISABLE_PIP_VERSION_CHECK": "1"} | os.environ
    if root:  # uv trusts only its own list of authorities unless told; a company's network may have another
        environment |= {"VIRTUAL_ENV": str(root / ".venv"), "UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true"}
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=environment
    )


def say(words: str) -> None:
    print(words, flush=True)
