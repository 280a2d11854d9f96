"""A customer's owner sees a budget, sets a stop and finds it on the page; others read it."""

import pytest
from django.urls import reverse

from accounts.models import Role
from budgets.models import Limit
from consumption_cs.lib.tenancy import enter
from tests.budgets.budget_factories import make_budget, make_paying_account
from tests.factories import make_member, signed_in, staff_of

pytestmark = pytest.mark.django_db
STOP = {"action": "stop", "percent": "100", "warn_percent": "85", "grace_minutes": "30", "lift_hours": "4"}


@pytest.mark.parametrize(("role", "status"), [(Role.PORTAL_OWNER, 302), (Role.PORTAL_ENGINEER, 403)])
def test_an_owner_sets_a_stop_and_an_engineer_reads_it(role: str, status: int) -> None:
    account, _ = make_paying_account()
    budget = make_budget(account, "100")
    client = signed_in(make_member(account, role))
    assert "Production" in client.get(reverse("budgets:budgets", args=[account.pk])).text
    page = reverse("budgets:budget", args=[account.pk, budget.pk])
    assert client.get(page).status_code == 200
    assert client.post(page, STOP).status_code == status
    enter(staff_of(account))
    assert Limit.objects.filter(budget=budget, action="stop").exists() is (status == 302)
    assert client.post(f"{page}lift/", {"reason": "Launch"}).status_code in (302, 403)
