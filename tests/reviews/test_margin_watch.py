"""Who may see margins hears once that one turned negative; nobody else reads of it anywhere."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.models import Account, Role
from budgets.models import Delivery
from consumption_cs.lib.tenancy import enter
from reviews.actions.margin_watch import tell_negative_margins, turned_negative
from reviews.models import AccountMetrics
from tests.factories import make_account, make_member, make_organization, staff_of

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_it_turns_on_the_first_day_below_zero_and_days_that_are_not_known_do_not_count() -> None:
    day = date(2026, 11, 1)
    good, bad = Decimal(4), Decimal(-1)
    assert turned_negative([(day, good), (day + timedelta(1), None), (day + timedelta(2), bad)]) == day + timedelta(2)
    assert turned_negative([(day, bad)]) == day
    assert turned_negative([(day, bad), (day + timedelta(1), bad)]) is None
    assert turned_negative([(day, good), (day + timedelta(1), Decimal(0))]) is None
    assert turned_negative([(day, None)]) is None
    assert turned_negative([]) is None


def _measured(account: Account, days_ago: int, margin: str | None) -> None:
    enter(staff_of(account))
    AccountMetrics.objects.create(
        organization_id=account.organization_id, account=account, day=NOW.date() - timedelta(days=days_ago),
        numbers={} if margin is None else {"margin_percent": margin}, computed_at=NOW,
    )  # fmt: skip


@pytest.mark.django_db
def test_finance_is_told_once_and_who_may_not_see_margins_is_not() -> None:
    organization = make_organization()
    finance, _ = make_member(organization, Role.FINANCE), make_member(organization, Role.CSM)
    account, other = make_account(organization, "Northwind"), make_account(organization, "Helios")
    for days_ago, margin in ((2, "12.5"), (1, "-3.1")):
        _measured(account, days_ago, margin)
        _measured(other, days_ago, "20")
    assert tell_negative_margins(organization.pk, NOW) == 1
    assert tell_negative_margins(organization.pk, NOW + timedelta(hours=6)) == 1
    enter(staff_of(organization))
    (mail,) = Delivery.objects.all()
    assert mail.email == finance.user.email
    assert mail.is_internal
    assert mail.payload["text"] == "1 account costs you more than it pays, since Nov 19. The margin board says which."
    assert "Northwind" not in str(mail.payload)
    assert mail.payload["url"].endswith("/finance/margin/?show=negative")


@pytest.mark.django_db
def test_a_margin_that_stays_negative_or_is_old_is_not_told_again() -> None:
    organization = make_organization()
    make_member(organization, Role.FINANCE)
    account, silent = make_account(organization), make_account(organization, "Silent")
    for days_ago in (3, 2, 1):
        _measured(account, days_ago, "-3")
    _measured(silent, 30, "-3")
    assert tell_negative_margins(organization.pk, NOW) == 0
    enter(staff_of(organization))
    assert not Delivery.objects.exists()
