"""The editor of a budget: who may change what, what each field gives, and what stays in the log."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Role
from budgets.actions.limits import NewLimit, set_limit
from budgets.forms.budgets import BudgetForm, RulesForm
from budgets.forms.limits import LimitForm
from budgets.models import Budget, BudgetVersion, Delivery, Limit, LimitEvent
from budgets.reports.rule_words import SENTENCES, Sentence
from consumption_cs.lib.tenancy import enter
from tests.budgets.budget_factories import make_budget, make_paying_account, use
from tests.factories import make_account, make_member, make_meter, make_usage_day, make_workflow, signed_in, staff_of

pytestmark = pytest.mark.django_db
STOP = {"action": "stop", "percent": "100", "warn_percent": "85", "grace_minutes": "0", "grace_percent": "5"}
STOP |= {"throttle_percent": "25", "lift_hours": "4"}
NEW = {"name": "Spend", "scope": "account", "period": "month", "amount": "100"}


def page_of(budget: Budget) -> str:
    return f"/accounts/{budget.account_id}/budgets/{budget.pk}/"


def visitor(account: Account, role: str = Role.PORTAL_OWNER) -> Client:
    return signed_in(make_member(account, role))


def versions(budget: Budget) -> list[tuple[int, Decimal]]:
    enter(staff_of(budget.account))
    rows = BudgetVersion.objects.filter(budget=budget).order_by("number")
    return list(rows.values_list("number", "amount"))


def test_an_engineer_changes_when_to_tell_and_only_reads_the_limit() -> None:
    account, _ = make_paying_account(name="Northwind")
    flow = make_workflow(account, "Invoice OCR")
    budget = make_budget(account, "100")
    stop = NewLimit(action=Limit.Action.STOP, exempt_workflows=[flow.pk], lift_roles=[Role.PORTAL_OWNER])
    set_limit(staff_of(account), budget, stop, timezone.now())
    client = visitor(account, Role.PORTAL_ENGINEER)
    shown = client.get(page_of(budget)).text
    assert "Your role sees the limit; an owner of Northwind" in shown
    assert "after 30 minutes or 10% more, whichever comes first" in shown
    assert "Never slowed or stopped</dt><dd>Invoice OCR" in shown
    assert "Owner of Northwind, for 4 hours" in shown
    assert 'name="action"' not in shown
    assert "Send a rehearsal" not in shown
    assert client.post(page_of(budget), {"amount": "120", "actual_percent": "75"}).status_code == 302
    assert client.post(page_of(budget), {"amount": "500"} | STOP).status_code == 403
    assert client.post(f"{page_of(budget)}rehearse/").status_code == 403
    assert versions(budget) == [(1, 100), (2, 120)]


def test_a_viewer_reads_everything_and_changes_nothing() -> None:
    account, _ = make_paying_account()
    budget = make_budget(account, "100")
    client = visitor(account, Role.PORTAL_VIEWER)
    assert "Change it, and see first" not in client.get(page_of(budget)).text
    assert client.post(page_of(budget), {"amount": "120"}).status_code == 403
    assert client.post(f"{page_of(budget)}archive/").status_code == 403
    assert client.get(f"/accounts/{account.pk}/budgets/new/").status_code == 403
    assert versions(budget) == [(1, 100)]


def test_what_is_saved_unchanged_makes_no_version_and_a_change_of_both_makes_one_of_each() -> None:
    account, _ = make_paying_account()
    budget = make_budget(account, "100", ("actual_percent", "80"))
    client = visitor(account)
    same = {"name": budget.name, "amount": "100.00", "actual_percent": "80", "action": "notify"}
    same |= {key: value for key, value in STOP.items() if key != "action"}
    assert client.post(page_of(budget), same).status_code == 302
    assert versions(budget) == [(1, 100)]
    assert not Limit.objects.filter(budget=budget).exists()
    client.post(page_of(budget), same | {"amount": "90", "action": "stop"})
    client.post(page_of(budget), same | {"amount": "90", "action": "stop"})
    assert versions(budget) == [(1, 100), (2, 90)]
    assert [limit.number for limit in Limit.objects.filter(budget=budget)] == [1]


def test_nothing_is_saved_when_one_half_is_wrong() -> None:
    account, _ = make_paying_account()
    budget = make_budget(account, "100")
    wrong = {"amount": "90", "actual_percent": "80"} | STOP | {"grace_percent": "0"}
    answer = visitor(account).post(page_of(budget), wrong)
    assert answer.status_code == 422
    assert "Give a grace: minutes, or a percentage" in answer.text
    assert versions(budget) == [(1, 100)]


def test_a_budget_is_renamed_without_a_version_and_never_left_without_a_name() -> None:
    account, _ = make_paying_account()
    budget = make_budget(account, "100", ("actual_percent", "80"))
    client = visitor(account)
    assert "A budget needs a name." in client.post(page_of(budget), {"name": " ", "amount": "100"}).text
    client.post(page_of(budget), {"name": "All of it", "amount": "100", "actual_percent": "80"})
    assert versions(budget) == [(1, 100)]
    assert Budget.objects.get(pk=budget.pk).name == "All of it"


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda one: one.kind)
def test_every_kind_of_rule_is_given_as_a_number_in_its_sentence_and_shown_again(sentence: Sentence) -> None:
    account, _ = make_paying_account()
    client = visitor(account)
    made = client.post(f"/accounts/{account.pk}/budgets/new/", NEW | {sentence.kind: "12.5"})
    shown = client.get(made["Location"]).text
    enter(staff_of(account))
    version = BudgetVersion.objects.get(account=account)
    assert [(rule.kind, rule.value) for rule in version.rules.all()] == [(sentence.kind, Decimal("12.5"))]
    assert 'value="12.5"' in shown
    assert f"When {sentence.lead}" in shown


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("eighty", "“eighty” is not a number: write 50, 80, 100."),
        ("NaN", "is not a number"),
        ("1_0", "is not a number"),
        ("5000", "5000 does not fit: write a number from 0.01 to 1,000."),
        ("-5", "-5 does not fit"),
        (",".join(str(number) for number in range(1, 12)), "Name at most 10 numbers."),
    ],
)
def test_numbers_that_do_not_fit_are_refused_in_words(given: str, words: str) -> None:
    form = RulesForm({"amount": "100", "actual_percent": given})
    assert words in form.errors["actual_percent"][0]


def test_several_percentages_are_kept_once_each_in_order() -> None:
    form = RulesForm({"amount": "100", "actual_percent": "100, 50 %,80,50"})
    assert form.is_valid()
    assert form.rules() == [("actual_percent", Decimal(value)) for value in (50, 80, 100)]


def test_the_part_that_is_chosen_must_be_named_and_others_do_not_count() -> None:
    account, meter = make_paying_account()
    flow = make_workflow(account, "Invoice OCR")
    make_usage_day(account, meter, timezone.now().date(), flow, group='{"team": "blue"}')
    viewer = staff_of(account)
    enter(viewer)
    missing = BudgetForm(viewer, account, NEW | {"scope": "workflow"})
    assert missing.errors["workflow"] == ["Choose the workflow that the budget is for."]
    days = BudgetForm(viewer, account, NEW | {"period": "custom", "starts_on": "2026-11-01"})
    assert days.errors["starts_on"] == ["A budget from and to needs both days."]
    strange = BudgetForm(viewer, account, NEW | {"scope": "key", "key": "team=red"})
    assert "key" in strange.errors
    key = BudgetForm(viewer, account, NEW | {"scope": "key", "key": "team=blue", "workflow": str(flow.pk)})
    assert key.is_valid(), key.errors
    new = key.new_budget()
    assert (new.dimension, new.dimension_value, new.workflow) == ("team", "blue", None)


def test_workflows_meters_and_parents_of_others_cannot_be_chosen() -> None:
    account, _ = make_paying_account()
    other = make_account()
    theirs = make_workflow(other, "Theirs")
    their_meter = make_meter(other.organization)
    their_budget = make_budget(other, "100")
    viewer = staff_of(account)
    enter(viewer)
    asked = {"scope": "workflow", "workflow": str(theirs.pk), "parent": str(their_budget.pk)}
    assert set(BudgetForm(viewer, account, NEW | asked).errors) == {"workflow", "parent"}
    assert "meter" in BudgetForm(viewer, account, NEW | {"scope": "meter", "meter": str(their_meter.pk)}).errors
    assert "exempt_workflows" in LimitForm(viewer, account, STOP | {"exempt_workflows": [str(theirs.pk)]}).errors


def test_parts_that_add_up_to_more_than_the_whole_are_said_in_words() -> None:
    account, _ = make_paying_account()
    whole = make_budget(account, "100", name="Whole")
    first = make_budget(account, "60", name="One", parent=whole)
    client = visitor(account)
    assert "1 budget within it may spend $60.00 of its $100.00." in client.get(page_of(whole)).text
    make_budget(account, "50", name="Two", parent=whole)
    words = "2 budgets within it may spend $110.00, more than its $100.00: if all are used up, this one is over."
    assert words in client.get(page_of(whole)).text
    assert f'within <a href="{page_of(whole)}">Whole</a>' in client.get(page_of(first)).text
    refused = client.post(f"/accounts/{account.pk}/budgets/new/", NEW | {"amount": "101", "parent": str(whole.pk)})
    assert refused.status_code == 422
    assert "lower it, or raise that one first" in refused.text


def test_a_rehearsal_is_sent_and_logged_as_one_and_slows_nothing() -> None:
    account, _ = make_paying_account()
    budget = make_budget(account, "100")
    client = visitor(account)
    nothing = client.post(f"{page_of(budget)}rehearse/", follow=True).text
    assert "There is no limit to rehearse: save one first." in nothing
    client.post(page_of(budget), STOP)
    shown = client.post(f"{page_of(budget)}rehearse/", follow=True).text
    assert "Nothing is slowed." in shown
    assert "Rehearsal by" in shown
    enter(staff_of(account))
    assert [event.kind for event in LimitEvent.objects.filter(budget=budget)] == ["tested"]
    sent = Delivery.objects.filter(account=account, topic="limit.tested")
    assert {"rehearsal" in one.payload["heading"] for one in sent} == {True}


def test_who_lifted_a_limit_and_why_is_in_the_log_without_the_names_of_the_vendors_people() -> None:
    now = timezone.now()
    account, meter = make_paying_account()
    budget = make_budget(account, "100")
    member = make_member(account.organization, Role.ADMIN)
    staff, owner = signed_in(member), visitor(account)
    owner.post(page_of(budget), STOP)
    use(account, meter, now, "120")
    assert "The limit is in force since" in owner.get(page_of(budget)).text
    assert "Say why the limit is lifted" in owner.post(f"{page_of(budget)}lift/", {"reason": " "}, follow=True).text
    staff.post(f"{page_of(budget)}lift/", {"reason": "The launch goes on"})
    mine, theirs = (client.get(page_of(budget)).text for client in (owner, staff))
    assert "“The launch goes on”" in mine
    assert f"Lifted by {member.user}" in theirs
    assert f"Lifted by {account.organization.name}: “The launch goes on”." in mine
    assert "Work goes on as if there were none until " in mine
    assert str(member.user) not in mine
    again = owner.post(f"{page_of(budget)}lift/", {"reason": "Again"}, follow=True).text
    assert "This limit is not in force: there is nothing to lift." in again


def test_a_rule_that_was_told_says_when_and_leads_to_its_alert() -> None:
    now = timezone.now()
    account, meter = make_paying_account()
    budget = make_budget(account, "100", ("actual_percent", "80"), now=now - timedelta(hours=1))
    client = visitor(account)
    assert ">told " not in client.get(page_of(budget)).text
    use(account, meter, now, "85")
    assert ">told " in client.get(page_of(budget)).text


def test_one_that_is_put_away_keeps_its_history_and_is_found_again() -> None:
    account, _ = make_paying_account()
    budget = make_budget(account, "100", ("actual_percent", "50"), ("actual_percent", "80"), name="Old one")
    client = visitor(account)
    client.post(f"{page_of(budget)}archive/")
    home = f"/accounts/{account.pk}/budgets/"
    assert "1 put away" in client.get(home).text
    assert "Old one" in client.get(f"{home}?view=archived").text
    shown = client.get(page_of(budget)).text
    assert "is not watched any more" in shown
    assert "Version 1: $100.00; tells when spend so far reaches 50% and 80% of the budget" in shown
    assert client.post(page_of(budget), {"amount": "5"}).status_code == 200  # it is shown, and nothing is changed
    assert versions(budget) == [(1, 100)]
