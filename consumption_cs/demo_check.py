"""`manage.py demo --check`."""

from typing import Any


def main(url: str, seeded: dict[str, Any]) -> int:
    return 1
