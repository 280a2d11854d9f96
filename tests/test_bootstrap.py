"""From a bare Python to the environment. That it installs, every run of CI in a new clone shows."""

import shutil
import subprocess
import sys
from pathlib import Path

from consumption_cs.bootstrap import lock_hash, read_stamp
from consumption_cs.processes import ROOT


def test_it_needs_nothing_but_the_standard_library() -> None:
    program = f"import runpy; runpy.run_path({str(ROOT / 'consumption_cs/bootstrap.py')!r})"
    assert subprocess.run([sys.executable, "-I", "-S", "-c", program], check=False).returncode == 0


def test_a_changed_lock_file_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    (tmp_path / ".venv").mkdir()
    assert read_stamp(tmp_path, "base") == ""
    (tmp_path / ".venv/installed-base").write_text(lock_hash(tmp_path, "base"))
    assert read_stamp(tmp_path, "base") == lock_hash(tmp_path, "base")
    with (tmp_path / "requirements/base.txt").open("a") as lock:
        lock.write("# changed\n")
    assert read_stamp(tmp_path, "base") != lock_hash(tmp_path, "base")


def test_without_venv_it_says_which_package_to_install(tmp_path: Path) -> None:
    program = (
        f"import runpy, sys, pathlib; sys.modules['venv'] = None; sys.prefix = sys.base_prefix\n"
        f"runpy.run_path({str(ROOT / 'consumption_cs/bootstrap.py')!r})"
        f"['enter_environment'](pathlib.Path({str(tmp_path)!r}), install=True, with_tests=False)"
    )
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "apt install python3-venv" in done.stderr
