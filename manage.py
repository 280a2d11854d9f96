"""Django's command line, and the two commands that set up what they need themselves: `demo` and `test`."""

import os
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
SETS_ITSELF_UP = ("demo", "test")


def main() -> int:
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    # By its path, because importing the package would import Celery, which a bare machine does not have yet.
    bootstrap = runpy.run_path(str(ROOT / "consumption_cs" / "bootstrap.py"))
    bootstrap["enter_environment"](ROOT, install=command in SETS_ITSELF_UP, with_tests=command == "test")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "consumption_cs.settings")
    if command == "demo":
        from consumption_cs.demo import main as demo

        return demo(sys.argv[2:])
    if command == "test":
        from consumption_cs.testing import run_tests

        return run_tests(sys.argv[2:])
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
