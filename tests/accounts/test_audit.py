"""The audit log: who reads what of it, in which words, and how it leaves the house."""

import csv
import io
from datetime import datetime, timezone
from typing import Any

import pytest
from django.db import ProgrammingError, connection
from django.test import Client

from accounts.actions.audit import audit, audit_many, from_address
from accounts.models import Account, AuditEvent, Organization, Role, User
from accounts.reports_audit import action_words, changes_of, value_words
from consumption_cs.lib.tenancy import Viewer, enter
from tests.factories import make_account, make_member, make_organization, make_user, signed_in, staff_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def organization() -> Organization:
    return make_organization("Acme AI", timezone="Europe/Vienna")


@pytest.fixture
def account(organization: Organization) -> Account:
    return make_account(organization, "Northwind", key="north")


@pytest.fixture
def admin(organization: Organization) -> Client:
    return signed_in(make_member(organization, Role.ADMIN, make_user(name="Ada Okafor")))


def row(organization: Organization, account: Account | None = None, **fields: Any) -> AuditEvent:
    """One act on record."""
    enter(staff_of(organization))
    start: dict[str, Any] = {"actor_name": "Ada Okafor", "action": "key.created", "target_type": "apikey"}
    return AuditEvent.objects.create(organization=organization, account=account, **start | fields)


def page(client: Client, url: str = "/audit/", **query: str) -> str:
    response = client.get(url, query)
    assert response.status_code == 200
    return str(response.content.decode())


def rows_of(client: Client, url: str = "/audit/audit.csv", **query: str) -> list[list[str]]:
    response = client.get(url, query)
    assert response.status_code == 200
    assert response["Content-Disposition"].startswith("attachment")
    return list(csv.reader(io.StringIO(response.content.decode())))


def test_the_newest_act_comes_first_with_what_it_was_before_and_after(
    organization: Organization, admin: Client
) -> None:
    row(organization, target_name="Old key", created_at=datetime(2026, 1, 1, tzinfo=timezone.utc))
    details = {"tier": {"from": "Standard", "to": "High touch"}, "csm": {"from": "", "to": "Marco"}}
    row(organization, action="account.changed", target_name="Northwind", details=details)
    words = " ".join(page(admin).split("<tbody>")[1].split())
    assert words.index("Account changed") < words.index("API key created")
    assert "Standard <span" in words
    assert "High touch" in words
    assert 'CSM</span> <span class="sr">from</span> none' in words


def test_filters_narrow_by_person_action_and_days_of_the_organizations_calendar(
    organization: Organization, admin: Client
) -> None:
    marco = make_user(name="Marco Silva")
    row(organization, target_name="by-ada", created_at=datetime(2026, 3, 1, 12, tzinfo=timezone.utc))
    row(organization, actor=marco, actor_name="Marco Silva", target_name="by-marco", action="price.removed")
    # 23:30 UTC on the 9th is half past midnight of the 10th in Vienna.
    row(organization, target_name="at-night", created_at=datetime(2026, 3, 9, 23, 30, tzinfo=timezone.utc))

    def names(**query: str) -> list[str]:
        return [line[4] for line in rows_of(admin, **query)[1:]]

    assert names(person=str(marco.pk)) == ["by-marco"]
    assert names(person="name:Ada Okafor") == ["at-night", "by-ada"]
    assert names(action="price.removed") == ["by-marco"]
    assert names(since="2026-03-10", until="2026-03-10") == ["at-night"]
    assert names(until="2026-03-09") == ["by-ada"]
    assert names(person="nonsense", action="\x00") == []
    assert len(names(since="yesterday", until="0000-99-99")) == 3, "what is no day does not narrow"
    assert "No row fits" in page(admin, action="nothing.happened")


def test_there_are_fifty_rows_a_page(organization: Organization, admin: Client) -> None:
    for number in range(51):
        row(organization, target_name=f"row-{number:02}")
    assert "row-00" not in page(admin)
    assert "row-00" in page(admin, page="2")
    assert "1–50 of 51 rows" in page(admin)


def test_no_cell_of_the_download_is_a_formula(organization: Organization, account: Account, admin: Client) -> None:
    evil = '=HYPERLINK("https://evil.example","x")'
    row(organization, account, actor_name="@SUM(1)", target_name=evil, details={"name": {"from": "-1+1", "to": evil}})
    header, line = rows_of(admin)
    assert header == ["time", "person", "action", "on", "name", "id", "account", "details", "address"]
    assert line[1] == "'@SUM(1)"
    assert line[4] == f"'{evil}"
    assert line[6] == "north"
    assert line[7] == f"Name: -1+1 → {evil}"
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in line)


def test_markup_in_a_row_is_text(organization: Organization, admin: Client) -> None:
    row(organization, target_name="<script>alert(1)</script>", details={"<b>": "<img src=x>"})
    body = page(admin)
    assert "<script>alert" not in body
    assert "<img src=x" not in body


def test_an_owner_reads_the_rows_of_the_own_account_alone(organization: Organization, account: Account) -> None:
    other = make_account(organization, "Contoso")
    row(organization, account, target_name="ours")
    row(organization, other, target_name="of-contoso")
    row(organization, target_name="of-the-vendor")
    row(organization, action="account.changed", target_type="account", target_id=str(account.pk), target_name="notes")
    owner = signed_in(make_member(account))
    url = f"/accounts/{account.pk}/audit/"
    header, *lines = rows_of(owner, f"{url}audit.csv")
    assert [line[4] for line in lines] == ["ours"]
    assert "address" not in header, "where the vendor's people sit is theirs"
    body = page(owner, url)
    assert "of-contoso" not in body
    assert "of-the-vendor" not in body
    assert owner.get("/audit/").status_code == 403
    assert owner.get("/audit/audit.csv").status_code == 403
    assert owner.get(f"/accounts/{other.pk}/audit/").status_code == 404


def test_staff_read_an_accounts_rows_and_those_on_its_record(
    organization: Organization, account: Account, admin: Client
) -> None:
    row(organization, account, target_name="its-key")
    row(organization, action="account.changed", target_type="account", target_id=str(account.pk), target_name="notes")
    row(organization, target_name="of-the-vendor")
    names = {line[4] for line in rows_of(admin, f"/accounts/{account.pk}/audit/audit.csv")[1:]}
    assert names == {"its-key", "notes"}


@pytest.mark.parametrize(
    ("role", "status"),
    [
        (Role.ADMIN, 200),
        (Role.LEADER, 200),
        (Role.FINANCE, 200),
        (Role.CSM, 403),
        (Role.FIELD_CTO, 403),
        (Role.ANALYST, 403),
    ],
)
def test_the_log_is_for_those_whose_role_has_it(organization: Organization, role: Role, status: int) -> None:
    client = signed_in(make_member(organization, role))
    for url in ("/audit/", "/audit/audit.csv"):
        assert client.get(url).status_code == status


@pytest.mark.parametrize("role", [Role.PORTAL_FINANCE, Role.PORTAL_ENGINEER, Role.PORTAL_VIEWER])
def test_of_a_customers_people_only_owners_read_it(account: Account, role: Role) -> None:
    assert signed_in(make_member(account, role)).get(f"/accounts/{account.pk}/audit/").status_code == 403


def test_rows_of_another_organization_do_not_exist(admin: Client) -> None:
    globex = make_organization("Globex")
    foreign = make_account(globex)
    row(globex, target_name="of-globex")
    assert "of-globex" not in page(admin)
    assert admin.get(f"/accounts/{foreign.pk}/audit/").status_code == 404
    assert admin.get(f"/accounts/{foreign.pk}/audit/audit.csv").status_code == 404


def test_rows_can_be_neither_changed_nor_removed(organization: Organization) -> None:
    row(organization)
    with connection.cursor() as cursor, pytest.raises(ProgrammingError, match="permission denied"):
        cursor.execute("UPDATE accounts_auditevent SET actor_name = 'somebody else'")


def test_many_acts_take_two_queries_and_carry_the_address(
    organization: Organization, django_assert_num_queries: Any
) -> None:
    member = make_member(organization)
    viewer = Viewer(organization.pk, None, Role.ADMIN, member.user_id)
    with django_assert_num_queries(2), from_address("203.0.113.7"):
        audit_many(viewer, [("organization.changed", organization, "Acme AI", {}) for _ in range(20)])
    found = AuditEvent.objects.values_list("actor_id", "ip", flat=False)
    assert set(found) == {(member.user_id, "203.0.113.7")}


def test_an_act_of_a_job_names_what_it_was(organization: Organization) -> None:
    enter(staff_of(organization))
    audit(Viewer(organization.pk), "organization.changed", organization, "Acme AI")
    assert AuditEvent.objects.get().actor_name == "system"
    assert not User.objects.filter(name="system").exists()


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("key.rotated", "API key rotated"),
        ("organization.logo_changed", "Organization logo changed"),
        ("member.role_changed", "Member role changed"),
        ("odd", "Odd"),
    ],
)
def test_actions_are_said_in_words(action: str, words: str) -> None:
    assert action_words(action) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "none"),
        ("", "none"),
        ([], "none"),
        (True, "yes"),
        (0, "0"),
        (["read", "write"], "read, write"),
        ({"region": ["eu"]}, '{"region": ["eu"]}'),
        ("x" * 300, "x" * 200 + "…"),
    ],
)
def test_values_are_said_in_words(value: Any, words: str) -> None:
    assert value_words(value) == words


def test_details_of_any_shape_are_shown() -> None:
    assert [str(change) for change in changes_of({"a_b": {"from": 1, "to": None}, "c": 2})] == [
        "A b: 1 → none",
        "C: 2",
    ]
    assert str(changes_of(["x"])[0]) == "Details: x"
    assert str(changes_of({"role": {"from": "csm", "to": "field_cto"}})[0]) == "Role: CSM → Field CTO"
    assert str(changes_of({"role": ["csm"]})[0]) == "Role: csm"
    assert changes_of({}) == changes_of(None) == []
