"""Accounts with figures, for the tests of plays."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from accounts.models import Account, Organization, Role
from consumption_cs.lib.tenancy import enter
from reviews.models import AccountMetrics, Play, PlayRun
from tests import factories

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TODAY = NOW.date()


def make_book(accounts: int = 1, **fields: Any) -> list[Account]:
    """An organization's accounts with a CSM, a field CTO and somebody of finance, seen as its staff."""
    organization = factories.make_organization()
    csm, field_cto = (factories.make_member(organization, role).user for role in (Role.CSM, Role.FIELD_CTO))
    factories.make_member(organization, Role.FINANCE)
    made = [
        factories.make_account(organization, f"Northwind {number}", csm=csm, field_cto=field_cto, **fields)
        for number in range(accounts)
    ]
    enter(factories.staff_of(organization))
    return made


def measure(account: Account, ago: int = 1, **numbers: Any) -> None:
    """Keep figures of the day `ago` days before today; those of the same day are replaced."""
    values = {name: str(value) for name, value in numbers.items()}
    AccountMetrics.objects.update_or_create(
        organization_id=account.organization_id,
        account=account,
        day=TODAY - timedelta(days=ago),
        defaults={"numbers": values, "computed_at": NOW},
    )


def measure_days(account: Account, days: Iterable[int], **numbers: float) -> None:
    """The same figures on many days."""
    for ago in days:
        measure(account, ago, **numbers)


def running(organization: Organization | UUID, key: str = "") -> list[PlayRun]:
    """What runs, of one play or of all."""
    rows = PlayRun.objects.filter(organization=organization, ended_at=None).select_related(
        "play", "version", "account"
    )
    return list(rows.filter(play__key=key) if key else rows)


def play_of(account: Account, key: str) -> Play:
    found: Play = Play.objects.get(organization=account.organization_id, key=key)
    return found
