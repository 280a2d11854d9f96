"""Accounts from CSV: a preview, errors by row and column, and nothing half done."""

import re
from datetime import date
from html import unescape
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from accounts.models import Account, AuditEvent, Organization, Role
from consumption_cs.lib.tenancy import enter
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_usage_day,
    make_user,
    signed_in,
    staff_of,
)
from usage.actions.account_import import import_accounts, read_accounts
from usage.actions.accounts import AccountTaken

pytestmark = pytest.mark.django_db
URL = "/accounts/import/"
GOOD = """key,name,segment,tier,currency,time_zone,contract_starts_on,contract_ends_on,csm,field_cto
north,Northwind Robotics,Enterprise,high touch,eur,Europe/Vienna,2026-01-01,2027-01-01,Marco@acme.example,
contoso,Contoso,,,,,,,,
"""


@pytest.fixture
def organization() -> Organization:
    organization = make_organization()
    make_member(organization, Role.CSM, make_user("marco@acme.example", name="Marco Silva"))
    return organization


@pytest.fixture
def admin(organization: Organization) -> Client:
    return signed_in(make_member(organization))


def upload(client: Client, content: str | bytes) -> HttpResponse:
    data = content.encode() if isinstance(content, str) else content
    return client.post(URL, {"file": SimpleUploadedFile("accounts.csv", data)})  # type: ignore[return-value]


def body(response: Any) -> str:
    return unescape(" ".join(response.content.decode().split()))


def confirm(client: Client, preview: HttpResponse) -> HttpResponse:
    """Press the button of a preview: send back what is in its form, as a browser would."""
    page = preview.content.decode()
    fingerprint = re.search(r'name="fingerprint" value="(\w+)"', page)
    content = re.search(r'<textarea name="content" hidden>\n(.*?)</textarea>', page, re.DOTALL)
    assert fingerprint, "there is a button to press"
    assert content
    text = unescape(content[1]).replace("\r\n", "\n").replace("\n", "\r\n")
    return client.post(URL, {"fingerprint": fingerprint[1], "content": text})  # type: ignore[return-value]


def keys(organization: Organization) -> list[str]:
    enter(staff_of(organization))
    return list(Account.objects.order_by("key").values_list("key", flat=True))


def acts(organization: Organization) -> list[AuditEvent]:
    enter(staff_of(organization))
    return list(AuditEvent.objects.order_by("pk"))


def test_a_preview_stores_nothing_and_the_confirmation_stores_all(organization: Organization, admin: Client) -> None:
    preview = upload(admin, GOOD)
    assert "2 new, 0 changed, 0 as they are" in body(preview)
    assert keys(organization) == []
    assert acts(organization) == []
    assert confirm(admin, preview).status_code == 302
    assert keys(organization) == ["contoso", "north"]
    north, contoso = Account.objects.get(key="north"), Account.objects.get(key="contoso")
    assert (north.segment, north.tier, north.currency, north.timezone) == (
        "enterprise", "high_touch", "EUR", "Europe/Vienna"
    )  # fmt: skip
    assert north.csm is not None
    assert (north.csm.name, north.contract_ends_on) == ("Marco Silva", date(2027, 1, 1))
    assert (contoso.currency, contoso.timezone, contoso.csm) == ("USD", "UTC", None)
    assert [act.action for act in acts(organization)] == ["account.created"] * 2


def test_what_changes_is_shown_old_and_new_and_audited(organization: Organization, admin: Client) -> None:
    make_account(organization, "North", key="north", tier="standard")
    make_account(organization, "Contoso", key="contoso")
    preview = upload(admin, "key,name,tier\nnorth,Northwind,High touch\ncontoso,,\n")
    seen = body(preview)
    assert "0 new, 1 changed, 1 as it is" in seen
    assert re.search(r"Service|Tier</span> .*Standard .*High touch", seen)
    assert confirm(admin, preview).status_code == 302
    (act,) = acts(organization)
    assert act.action == "account.changed"
    assert act.details == {
        "name": {"from": "North", "to": "Northwind"},
        "tier": {"from": "Standard", "to": "High touch"},
    }
    assert Account.objects.get(key="contoso").name == "Contoso", "an empty cell leaves what is there"


def test_one_bad_row_keeps_everything_out_and_every_error_names_line_column_and_cure(
    organization: Organization, admin: Client
) -> None:
    bad = GOOD + (
        "north,Twin,,,,,,,,\n"
        ",Nameless key,,,,,,,,\n"
        "has space,X,,,,,,,,\n"
        "a1,,,,,,,,,\n"
        "a2,X,Huge,,,,,,,\n"
        "a3,X,,Gold,,,,,,\n"
        "a4,X,,,euros,,,,,\n"
        "a5,X,,,,Mars/Olympus,,,,\n"
        "a6,X,,,,,01/02/2026,,,\n"
        "a7,X,,,,,2026-02-01,2026-01-01,,\n"
        "a8,X,,,,,,,nobody@acme.example,\n"
    )
    seen = body(upload(admin, bad))
    assert "11 of 13 rows cannot be imported" in seen
    for words in (
        "key</b>: Line 2 has the same key. Keep one of the two.",
        "key</b>: Each row needs a key",
        "key</b>: Use letters, digits and",
        "name</b>: A new account needs a name.",
        "segment</b>: “Huge” is not one of Enterprise, Mid-market, Small business, Startup.",
        "tier</b>: “Gold” is not one of",
        "currency</b>: Use the three capital letters",
        "time_zone</b>: “Mars/Olympus” is no time zone.",
        "contract_starts_on</b>: “01/02/2026” is not a day: write it as 2026-01-31.",
        "contract_ends_on</b>: The contract would end on 2026-01-01, not after it starts on 2026-02-01.",
        "csm</b>: Nobody on your staff has the e-mail “nobody@acme.example”. Invite them first",
        'data-l="Line">14</td>',
    ):
        assert words in seen, words
    assert 'name="content"' not in seen, "there is no button to press"
    admin.post(URL, {"content": bad, "fingerprint": ""})
    assert keys(organization) == []
    assert acts(organization) == []


def test_only_what_was_previewed_is_stored(organization: Organization, admin: Client) -> None:
    account = make_account(organization, "North", key="north")
    preview = upload(admin, "key,name\nnorth,Northwind\n")
    enter(staff_of(organization))
    account.name = "Renamed meanwhile"
    account.save()
    response = confirm(admin, preview)
    assert response.status_code == 409
    assert "Accounts changed since this preview." in body(response)
    enter(staff_of(organization))
    assert Account.objects.get().name == "Renamed meanwhile"
    assert confirm(admin, response).status_code == 302
    enter(staff_of(organization))
    assert Account.objects.get().name == "Northwind"


def test_content_other_than_the_previewed_is_not_stored(organization: Organization, admin: Client) -> None:
    fingerprint = re.search(r'name="fingerprint" value="(\w+)"', upload(admin, GOOD).content.decode())
    assert fingerprint
    tampered = GOOD.replace("Contoso", "Something else")
    assert admin.post(URL, {"content": tampered, "fingerprint": fingerprint[1]}).status_code == 409
    assert keys(organization) == []


def test_a_twin_that_came_meanwhile_leaves_nothing_half_done(organization: Organization) -> None:
    viewer = staff_of(organization)
    enter(viewer)
    checked = read_accounts(viewer, GOOD.encode())
    make_account(organization, key="contoso")
    with pytest.raises(AccountTaken):
        import_accounts(viewer, checked)
    assert keys(organization) == ["contoso"]
    assert acts(organization) == []


def test_what_usage_rests_on_does_not_change(organization: Organization, admin: Client) -> None:
    account = make_account(organization, "North", key="north")
    make_usage_day(account, make_meter(organization), date(2026, 6, 1))
    make_account(organization, "Quiet", key="quiet")
    text = "key,name,currency,time_zone\nnorth,North,EUR,Europe/Vienna\nquiet,Quiet,EUR,\n"
    seen = body(upload(admin, text))
    assert "1 of 2 rows cannot be imported" in seen
    assert "currency</b>: It has usage in USD, so this stays. Leave the cell empty." in seen
    assert "time_zone</b>: It has usage in UTC, so this stays." in seen
    assert "1 changed" in body(upload(admin, text.replace("EUR,Europe/Vienna", "USD,UTC")))


def test_importing_the_same_file_again_changes_nothing(organization: Organization, admin: Client) -> None:
    confirm(admin, upload(admin, GOOD))
    assert "Everything in this file is there already" in body(upload(admin, GOOD))


def test_a_mark_at_the_start_semicolons_and_any_order_are_understood(
    organization: Organization, admin: Client
) -> None:
    text = "\ufeffName;KEY;Time zone\r\n\r\nZürich Werke;zw;Europe/Zurich\r\n;;\r\n"
    assert confirm(admin, upload(admin, text)).status_code == 302
    enter(staff_of(organization))
    account = Account.objects.get()
    assert (account.name, account.key, account.timezone) == ("Zürich Werke", "zw", "Europe/Zurich")


@pytest.mark.parametrize("name", ['=HYPERLINK("https://evil.example")', "@SUM(A1)", "+1-2", "\uff1dcmd|' /C calc'!A0"])
def test_a_cell_that_looks_like_a_formula_stays_text_in_and_out(
    organization: Organization, admin: Client, name: str
) -> None:
    quoted = name.replace('"', '""')
    confirm(admin, upload(admin, f'key,name\nevil,"{quoted}"\n'))
    enter(staff_of(organization))
    assert Account.objects.get().name == name
    listed = admin.get("/accounts/accounts.csv").content.decode()
    assert f"'{quoted}" in listed
    again = upload(admin, f'key,name\nevil,"\'{quoted}"\n')
    assert "Everything in this file is there already" in body(again), "the guard of our own download is taken away"


def test_markup_and_the_end_of_the_hidden_field_are_text(organization: Organization, admin: Client) -> None:
    name = "</textarea><script>alert(1)</script>"
    preview = upload(admin, f"key,name\nevil,{name}\n")
    assert b"<script>alert" not in preview.content
    confirm(admin, preview)
    enter(staff_of(organization))
    assert Account.objects.get().name == name


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty."),
        (b"key,name,role\nx,y,admin\n", "Unknown column “role”."),
        (b"name\nx\n", "Missing column: key."),
        (b"key,name\nx,y,z\n", "Line 2 has 3 cells"),
        (b"\xff\xfek\x00", "The file is not UTF-8."),
        (b"PK\x03\x04\x00\x00", "control characters"),
        (b'key,name\n"x,y', "cannot be read as CSV"),
        (b"key,name\n" + b"x,y\n" * 5001, "more than 5,000 rows"),
        (b"key,name\nx," + b"y" * 2001, "more than 2,000 characters"),
        (b"x" * (2 * 1024 * 1024 + 1), "larger than 2 MiB"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_words(admin: Client, content: bytes, words: str) -> None:
    response = upload(admin, content)
    assert response.status_code in (200, 422)
    assert words in body(response)


def test_a_very_large_file_is_not_even_read(admin: Client) -> None:
    response = upload(admin, b"x" * (10 * 1024 * 1024 + 1))
    assert response.status_code == 413
    assert "larger than 10 MiB" in body(response)


def test_a_thousand_accounts_take_few_queries(organization: Organization, django_assert_max_num_queries: Any) -> None:
    viewer = staff_of(organization)
    enter(viewer)
    rows = "".join(f"acc-{number},Account {number}\n" for number in range(1000))
    with django_assert_max_num_queries(15):
        import_accounts(viewer, read_accounts(viewer, f"key,name\n{rows}".encode()))
    assert Account.objects.count() == AuditEvent.objects.count() == 1000


def test_the_template_can_be_filled_and_read(organization: Organization, admin: Client) -> None:
    template = admin.get("/accounts/import/template.csv")
    assert template["Content-Disposition"] == 'attachment; filename="accounts-template.csv"'
    assert "1 new" in body(upload(admin, template.content))


def test_nothing_chosen_is_said(admin: Client) -> None:
    response = admin.post(URL)
    assert response.status_code == 422
    assert "This field is required." in body(response)


@pytest.mark.parametrize("role", [Role.CSM, Role.FIELD_CTO, Role.FINANCE, Role.ANALYST])
def test_only_those_who_may_import_do(organization: Organization, role: Role) -> None:
    client = signed_in(make_member(organization, role))
    assert client.get(URL).status_code == 403
    assert upload(client, GOOD).status_code == 403
    assert client.get("/accounts/import/template.csv").status_code == 403
    owner = signed_in(make_member(make_account(organization, key="own")))
    assert upload(owner, GOOD).status_code == 403
    assert keys(organization) == ["own"]


def test_keys_and_people_of_another_organization_are_unknown(organization: Organization, admin: Client) -> None:
    make_account(organization, "Secret name", key="north")
    stranger = signed_in(make_member(make_organization("Globex")))
    seen = body(upload(stranger, GOOD))
    assert "Secret name" not in seen
    assert "Nobody on your staff has the e-mail “Marco@acme.example”." in seen
    assert "New" in body(upload(stranger, "key,name\nnorth,Ours\n"))
