from datetime import date, datetime, timezone
from decimal import Decimal

import pytest
from django.urls import reverse

from accounts.models import Account, AuditEvent, Role
from consumption_cs.lib.tenancy import enter
from tests.factories import make_account, make_member, make_meter, make_usage_day, make_workflow, portal_of, signed_in
from usage.models import Workflow
from usage.reports.workflow_words import workflow_headline
from usage.reports.workflows import WorkflowSeen, workflow_page

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 16, tzinfo=timezone.utc)


def see(account: Account, workflow: Workflow) -> WorkflowSeen:
    viewer = portal_of(account)
    enter(viewer)
    return workflow_page(viewer, account, workflow, None, NOW)


def test_the_headline_names_cost_outcomes_and_cost_of_one() -> None:
    account = make_account()
    workflow = make_workflow(account, outcome_unit="document")
    meter = make_meter(account.organization)
    for day in (2, 3):
        make_usage_day(account, meter, date(2026, 11, day), workflow, spend=Decimal(71), outcomes=Decimal(500))
    words = "".join(part.text for part in workflow_headline(see(account, workflow), account))
    assert words == "Invoice OCR cost $142 so far in November: 1,000 documents at $0.142 each."


def test_meters_and_their_groups_are_listed_apart() -> None:
    account = make_account()
    workflow = make_workflow(account)
    meter = make_meter(account.organization)
    for group in ('{"model":"large"}', '{"model":"small"}'):
        make_usage_day(account, meter, date(2026, 11, 3), workflow, group=group)
    assert sorted(row.group_words for row in see(account, workflow).used) == ["model large", "model small"]


def test_another_workflows_usage_is_not_counted() -> None:
    account = make_account()
    mine, other = make_workflow(account, "Mine"), make_workflow(account, "Other")
    meter = make_meter(account.organization)
    make_usage_day(account, meter, date(2026, 11, 3), mine, spend=Decimal(5))
    make_usage_day(account, meter, date(2026, 11, 3), other, spend=Decimal(7))
    assert see(account, mine).total.spend == 5


def test_weeks_are_whole_and_the_running_one_is_left_out() -> None:
    account = make_account()
    workflow = make_workflow(account)
    meter = make_meter(account.organization)
    for day in (9, 15, 16):
        make_usage_day(account, meter, date(2026, 11, day), workflow, finished=10)
    weeks = dict(see(account, workflow).weeks)
    assert weeks[date(2026, 11, 9)].finished == 20
    assert date(2026, 11, 16) not in weeks


def test_the_page_of_an_unused_workflow_says_so() -> None:
    account = make_account()
    workflow = make_workflow(account)
    response = signed_in(make_member(account)).get(workflow.get_absolute_url())
    assert response.status_code == 200
    assert "was not used so far in" in response.content.decode()


def form(**changes: str) -> dict[str, str]:
    return {
        "name": "Triage",
        "key": "triage",
        "stage": "pilot",
        "outcome_unit": "claim",
        "success_target": "95",
    } | changes


def test_a_workflow_made_by_hand_has_its_target_as_a_ratio_and_an_audit_row() -> None:
    account = make_account()
    client = signed_in(make_member(account))
    response = client.post(reverse("usage:workflow_new", args=[account.pk]), form())
    assert response.status_code == 302
    enter(portal_of(account))
    assert Workflow.objects.get().success_target == Decimal("0.95")
    assert AuditEvent.objects.get().action == "workflow.created"


def test_a_second_workflow_with_the_same_key_is_refused_in_words() -> None:
    account = make_account()
    make_workflow(account, "Triage", key="triage")
    response = signed_in(make_member(account)).post(reverse("usage:workflow_new", args=[account.pk]), form())
    assert response.status_code == 422
    assert "has a workflow with that key already" in response.content.decode()


def test_editing_keeps_the_key_and_records_what_changed() -> None:
    account = make_account()
    workflow = make_workflow(account, "Triage", key="triage")
    client = signed_in(make_member(account))
    url = reverse("usage:workflow_edit", args=[account.pk, workflow.pk])
    assert client.post(url, form(name="Triage 2", key="stolen")).status_code == 302
    enter(portal_of(account))
    workflow.refresh_from_db()
    assert (workflow.name, workflow.key) == ("Triage 2", "triage")
    assert AuditEvent.objects.get().details["name"] == ["Triage", "Triage 2"]


@pytest.mark.parametrize("role", [Role.PORTAL_VIEWER, Role.PORTAL_FINANCE])
def test_readers_cannot_make_workflows(role: str) -> None:
    account = make_account()
    client = signed_in(make_member(account, role))
    assert client.post(reverse("usage:workflow_new", args=[account.pk]), form()).status_code == 403
    assert "New workflow" not in client.get(reverse("usage:workflows", args=[account.pk])).content.decode()


def test_a_workflow_of_a_sister_account_is_unknown() -> None:
    account = make_account()
    sister = make_account(account.organization, "Sister")
    workflow = make_workflow(sister)
    client = signed_in(make_member(account))
    assert client.get(reverse("usage:workflow", args=[account.pk, workflow.pk])).status_code == 404
    assert client.get(reverse("usage:workflow", args=[sister.pk, workflow.pk])).status_code == 404
