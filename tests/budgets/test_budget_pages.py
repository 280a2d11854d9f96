"""A customer's owner sees a budget, sets a stop and finds it on the page; others read it."""

import pytest
from django.urls import reverse

from accounts.models import Role
from budgets.models import Budget, Limit
from consumption_cs.lib.tenancy import enter
from tests.budgets.budget_factories import make_budget, make_paying_account
from tests.factories import make_account, make_member, signed_in, staff_of

pytestmark = pytest.mark.django_db
STOP = {"action": "stop", "percent": "100", "warn_percent": "85", "grace_minutes": "30", "grace_percent": "10"}
STOP |= {"throttle_percent": "25", "lift_hours": "4"}


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


def test_an_owner_makes_a_budget_changes_it_and_archives_it() -> None:
    account = make_account()
    client = signed_in(make_member(account, Role.PORTAL_OWNER))
    home = f"/accounts/{account.pk}/budgets/"
    assert "has no budget yet" in client.get(home).content.decode()
    asked = {"name": "Spend", "scope": "account", "period": "month", "amount": "100", "actual_percent": "50, eighty"}
    wrong = client.post(f"{home}new/", asked)
    assert wrong.status_code == 422
    assert "is not a number: write 50, 80, 100." in wrong.content.decode()
    made = client.post(f"{home}new/", asked | {"actual_percent": "50, 80", "forecast_over": "90"}, follow=True)
    assert "Spend: <b" in made.content.decode()
    enter(staff_of(account))
    budget = Budget.objects.get(account=account)
    assert budget.by_customer
    client.post(f"{home}{budget.pk}/", {"amount": "250", "actual_percent": "75"})
    enter(staff_of(account))
    version = budget.versions.order_by("-number")[0]
    assert (version.number, version.amount) == (2, 250)
    assert [(rule.kind, rule.value) for rule in version.rules.all()] == [("actual_percent", 75)]
    client.post(f"{home}{budget.pk}/archive/")
    assert "has no budget yet" in client.get(home).content.decode()
