"""Statements that are planned once a connection find the viewer's rows only, and survive a plan that is gone."""

from typing import Any

import pytest
from django.db import connection, transaction

from accounts.models import Account
from consumption_cs.lib.prepared import Prepared
from consumption_cs.lib.tenancy import Viewer, act_as
from tests.factories import make_account, make_organization, staff_of

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = "SELECT name FROM accounts_account WHERE organization_id = %(organization)s ORDER BY name"


def two_accounts() -> tuple[Account, Account]:
    with transaction.atomic():
        organization = make_organization()
        return make_account(organization, "A"), make_account(organization, "B")


def named(account: Account) -> dict[str, Any]:
    return {"organization": account.organization_id}


def test_it_finds_what_the_viewer_may_see_and_nothing_afterwards() -> None:
    first, second = two_accounts()
    names = Prepared("test_names", NAMES)
    assert names.rows(staff_of(first), named(first)) == [("A",), ("B",)]
    assert names.rows(Viewer(first.organization_id, second.pk, "key"), named(first)) == [("B",)]
    assert not Account.objects.exists(), "the settings ended with the answer"


def test_a_plan_that_is_gone_is_made_again() -> None:
    first, _ = two_accounts()
    names = Prepared("test_names_again", NAMES)
    names.rows(staff_of(first), named(first))
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    assert names.rows(staff_of(first), named(first)) == [("A",), ("B",)]


def test_a_plan_that_the_connection_has_already_is_used() -> None:
    first, _ = two_accounts()
    Prepared("test_names_twice", NAMES).rows(staff_of(first), named(first))
    assert len(Prepared("test_names_twice", NAMES).rows(staff_of(first), named(first))) == 2


def test_within_a_transaction_it_is_asked_without_a_plan() -> None:
    first, _ = two_accounts()
    with act_as(staff_of(first)):
        assert len(Prepared("test_names_inside", NAMES).rows(staff_of(first), named(first))) == 2
