"""Contacts, timeline entries and tasks over the API: what they say, to whom, and how they refuse."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import Account, Organization, Role, Scope
from consumption_cs.lib.tenancy import enter
from reviews.models import Contact, Task, TimelineEntry
from tests.budgets.test_commits_api import Machine
from tests.factories import make_account, make_member, make_organization, staff_of
from tests.reviews.people_factories import make_contact, make_entry, make_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def account(organization: Organization) -> Account:
    return make_account(organization, "Northwind", key="eu/north")


@pytest.fixture
def manager(organization: Organization) -> Machine:
    return Machine(organization, Scope.READ, Scope.MANAGE)


@pytest.fixture
def reader(organization: Organization) -> Machine:
    return Machine(organization, Scope.READ)


def test_a_contact_is_added_once_and_listed(account: Account, manager: Machine) -> None:
    body = {"name": "Dana", "role": "champion", "email": "Dana@x.example", "external_id": "crm-1"}
    first = manager.post("accounts/eu/north/contacts", body, **{"Idempotency-Key": "a"})
    again = manager.post("accounts/eu/north/contacts", body, **{"Idempotency-Key": "a"})
    assert first == again
    assert first[0] == 201
    assert manager.post("accounts/eu/north/contacts", body)[0] == 400
    rows = manager.read("accounts/eu/north/contacts?external_id=crm-1")["results"]
    assert [(row["name"], row["email"], row["in_portal"]) for row in rows] == [("Dana", "dana@x.example", False)]
    assert manager.read("accounts/eu/north/contacts?external_id=other")["results"] == []
    enter(staff_of(account))
    assert Contact.objects.count() == 1


def test_an_entry_is_written_down_with_who_took_part(account: Account, manager: Machine) -> None:
    dana = make_contact(account)
    said = {"kind": "call", "text": "They want dates.", "sentiment": "neutral", "attendees": [str(dana.pk)]}
    status, entry = manager.post("accounts/eu/north/timeline-entries", said)
    assert (status, entry["attendees"], entry["by"]) == (201, [str(dana.pk)], None)
    assert manager.read("accounts/eu/north/timeline-entries")["results"][0]["text"] == "They want dates."


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "fax"},
        {"text": ""},
        {"minutes": 0},
        {"attendees": [str(uuid4())]},
        {"at": (timezone.now() + timedelta(days=2)).isoformat()},
    ],
)
def test_an_entry_that_makes_no_sense_is_a_problem_at_its_field(
    account: Account, manager: Machine, change: dict[str, object]
) -> None:
    status, problem = manager.post("accounts/eu/north/timeline-entries", {"kind": "call", "text": "Hi"} | change)
    assert status == 400
    assert next(iter(change)) in str(problem)
    enter(staff_of(account))
    assert not TimelineEntry.objects.exists()


def test_the_same_external_id_twice_is_refused(account: Account, manager: Machine) -> None:
    said = {"kind": "note", "text": "Hi", "external_id": "crm-1"}
    assert manager.post("accounts/eu/north/timeline-entries", said)[0] == 201
    assert manager.post("accounts/eu/north/timeline-entries", said)[0] == 400


def test_a_task_is_added_done_and_opened_again(account: Account, manager: Machine, reader: Machine) -> None:
    csm = make_member(account.organization, Role.CSM).user
    body = {"title": "Send options", "due_on": "2027-01-31", "assigned_to": csm.email.upper(), "is_shared": True}
    status, task = manager.post("accounts/eu/north/tasks", body)
    assert (status, task["state"], task["assigned_to"]) == (201, "open", csm.email)
    assert reader.read(f"accounts/eu/north/tasks?state=open&assigned_to={csm.email}")["results"][0]["id"] == task["id"]
    assert reader.read("tasks?assigned_to=nobody@x.example")["results"] == []
    assert manager.post(f"tasks/{task['id']}/completion", None)[1]["state"] == "done"
    assert manager.post(f"tasks/{task['id']}/completion", None)[1]["state"] == "done"
    assert [row["title"] for row in reader.read("tasks?state=done")["results"]] == ["Send options"]
    assert reader.get("tasks?state=late").status_code == 400
    assert reader.post(f"tasks/{task['id']}/completion", None)[0] == 403
    enter(staff_of(account))
    assert Task.objects.get().done_by_id is None


def test_a_task_goes_to_nobody_unknown(account: Account, manager: Machine) -> None:
    stranger = make_member(make_organization("Other"), Role.CSM).user
    status, problem = manager.post("accounts/eu/north/tasks", {"title": "Hi", "assigned_to": stranger.email})
    assert status == 400
    assert "assigned_to" in str(problem)


def test_a_customers_key_reads_shared_tasks_and_nothing_else_of_the_book(account: Account) -> None:
    make_contact(account)
    make_entry(account)
    shared, own = make_task(account, "Approve the quota", is_shared=True), make_task(account, "Ask who decides")
    key = Machine(account.organization, account=account)
    assert [row["title"] for row in key.read("tasks")["results"]] == ["Approve the quota"]
    assert [row["title"] for row in key.read("accounts/eu/north/tasks")["results"]] == ["Approve the quota"]
    for what in ("contacts", "timeline-entries"):
        assert key.get(f"accounts/eu/north/{what}").status_code == 403
    for task in (shared, own):
        assert key.post(f"tasks/{task.pk}/completion", None)[0] == 403


def test_another_organizations_rows_do_not_exist(account: Account) -> None:
    task = make_task(account)
    stranger = Machine(make_organization("Other"), Scope.READ, Scope.MANAGE)
    assert stranger.post(f"tasks/{task.pk}/completion", None)[0] == 404
    for what in ("contacts", "timeline-entries", "tasks"):
        assert stranger.get(f"accounts/eu/north/{what}").status_code == 404
