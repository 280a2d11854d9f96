"""`manage.py test`: find a browser and LibreOffice, then run pytest on both cores."""

import os
import shutil
import subprocess
import sys

from consumption_cs.bootstrap import say

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ON_MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
OFFICE_ON_MACOS = "/Applications/LibreOffice.app/Contents/MacOS/soffice"
NO_OFFICE = "No LibreOffice found: the sums of workbooks are not checked in it. Set SOFFICE to its program to do so."
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
    office = find_office() or install_office()
    if office:
        os.environ["SOFFICE"] = office
    else:
        say(NO_OFFICE)
    chosen = any(argument.startswith("-n") or argument == "--numprocesses" for argument in arguments)
    # The longest tests are the last: who has none left takes over half of what the other still has.
    shared = [] if chosen else ["-n", "2", "--dist", "worksteal"]
    return subprocess.call([sys.executable, "-m", "pytest", *shared, *arguments])


def find_browser() -> str | None:
    """The program of a Chromium or Chrome: CHROMIUM, else one on the PATH."""
    for name in (os.environ.get("CHROMIUM"), *BROWSERS, ON_MACOS):
        if name and (found := shutil.which(name)):
            return found
    return None


def find_office() -> str | None:
    """The program of LibreOffice: SOFFICE, else one on the PATH."""
    for name in (os.environ.get("SOFFICE"), "soffice", "libreoffice", OFFICE_ON_MACOS):
        if name and (found := shutil.which(name)):
            return found
    return None


def install_browser() -> str | None:
    """Debian's Chromium, when we are root on a machine with apt; else None."""
    return find_browser() if _installed("the browser tests", "chromium", "fonts-liberation") else None


def install_office() -> str | None:
    """Debian's LibreOffice Calc, when we are root on a machine with apt; else None."""
    return find_office() if _installed("the test of workbooks", "libreoffice-calc") else None


def _installed(purpose: str, *packages: str) -> bool:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    say(f"Installing Debian's {packages[0]} for {purpose} (once, about a minute)")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            say(f"That did not work: {done.stderr.strip()[-500:]}")
            return False
    return True
