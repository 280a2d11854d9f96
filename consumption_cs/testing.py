"""`manage.py test`: find a browser, then run pytest on both cores."""

import os
import shutil
import subprocess
import sys

from consumption_cs.bootstrap import say

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ON_MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
NO_BROWSER = "No Chromium or Chrome found: the browser tests are skipped. Set CHROMIUM to its program to run them."


def run_tests(arguments: list[str]) -> int:
    """Run pytest with `arguments` in two processes unless they say otherwise. Returns its exit code.

    In CI (the variable CI is set) a missing browser is an error; elsewhere the browser tests are skipped.
    """
    browser = find_browser() or install_browser()
    if browser:
        os.environ["CHROMIUM"] = browser
    elif os.environ.get("CI"):
        say("No Chromium or Chrome found, and CI never skips the browser tests.")
        return 1
    else:
        say(NO_BROWSER)
    chosen = any(argument.startswith("-n") or argument == "--numprocesses" for argument in arguments)
    return subprocess.call([sys.executable, "-m", "pytest", *([] if chosen else ["-n", "2"]), *arguments])


def find_browser() -> str | None:
    """The program of a Chromium or Chrome: CHROMIUM, else one on the PATH."""
    for name in (os.environ.get("CHROMIUM"), *BROWSERS, ON_MACOS):
        if name and (found := shutil.which(name)):
            return found
    return None


def install_browser() -> str | None:
    """Debian's Chromium, when we are root on a machine with apt; else None."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    say("Installing Debian's chromium for the browser tests (once, about a minute)")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium", "fonts-liberation"],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            say(f"That did not work: {done.stderr.strip()[-500:]}")
            return None
    return find_browser()
