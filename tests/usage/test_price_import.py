"""Prices from CSV: a preview, errors by row, and nothing half done."""

from datetime import date
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from accounts.models import AuditEvent, Organization, Role
from consumption_cs.lib.csv_files import CsvProblem, read_rows, safe_cell, write_rows
from consumption_cs.lib.tenancy import enter
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_price,
    make_usage_day,
    signed_in,
    staff_of,
)
from usage.models import Price, TouchedDay

pytestmark = pytest.mark.django_db
GOOD = """meter,account,currency,unit_price,effective_on
api.call,,USD,0.002,2026-01-01
api.call,north,,0.0015,2026-03-01
"""


@pytest.fixture
def organization() -> Organization:
    organization = make_organization()
    make_meter(organization)
    make_account(organization, "Northwind", key="north", currency="EUR")
    return organization


@pytest.fixture
def admin(organization: Organization) -> Client:
    return signed_in(make_member(organization))


def upload(client: Client, content: str | bytes) -> HttpResponse:
    data = content.encode() if isinstance(content, str) else content
    return client.post("/rate-cards/import/", {"file": SimpleUploadedFile("prices.csv", data)})  # type: ignore[return-value]


def stored(organization: Organization) -> int:
    enter(staff_of(organization))
    return Price.objects.count()


def test_a_preview_stores_nothing_and_the_confirmation_stores_all(organization: Organization, admin: Client) -> None:
    preview = upload(admin, GOOD)
    assert "2 new prices, ready to import" in preview.content.decode()
    assert stored(organization) == 0
    done = admin.post("/rate-cards/import/", {"content": GOOD}, follow=True)
    assert "2 prices imported." in done.content.decode()
    enter(staff_of(organization))
    prices = [
        (price.account and price.account.key, price.currency, price.unit_price)
        for price in Price.objects.order_by("effective_on").select_related("account")
    ]
    assert prices == [(None, "USD", Decimal("0.002")), ("north", "EUR", Decimal("0.0015"))]
    assert AuditEvent.objects.filter(action="rate_card.published").count() == 2


def test_one_bad_row_keeps_everything_out_and_every_error_names_its_line(
    organization: Organization, admin: Client
) -> None:
    bad = GOOD + (
        "unknown,,USD,1,2026-01-01\n"
        "api.call,nobody,USD,1,2026-01-01\n"
        "api.call,north,USD,1,2026-01-01\n"
        "api.call,,USD,0.1234567890123,2026-02-01\n"
        "api.call,,USD,1,01/02/2026\n"
        "api.call,,USD,7,2026-01-01\n"
        "api.call,,dollar,1,2026-05-01\n"
    )
    body = upload(admin, bad).content.decode()
    assert "7 of 9 rows cannot be imported" in body
    for words in (
        "No meter has the key “unknown”.",
        "No account has the key “nobody”.",
        "Northwind pays in EUR",
        "This price has 13 decimals",
        "is not a day: write it as 2026-01-31.",
        "Line 2 has a price for the same meter, account, currency and day.",
        "is not a currency",
    ):
        assert words in body
    admin.post("/rate-cards/import/", {"content": bad})
    assert stored(organization) == 0


def test_a_row_with_an_error_is_shown_in_a_file_without_optional_columns(admin: Client) -> None:
    body = upload(admin, "meter,unit_price,effective_on\nnope,1,2026-01-01\n").content.decode()
    assert "1 of 1 row cannot be imported" in body


def test_importing_the_same_file_again_changes_nothing(organization: Organization, admin: Client) -> None:
    admin.post("/rate-cards/import/", {"content": GOOD})
    assert "Everything in this file is there already" in upload(admin, GOOD).content.decode()
    other = GOOD.replace("0.002", "0.003")
    assert "It is $0.002 per call: choose another day" in upload(admin, other).content.decode()
    assert stored(organization) == 2


def test_prices_from_past_days_mark_the_days_they_change(organization: Organization, admin: Client) -> None:
    enter(staff_of(organization))
    account = make_account(organization, "Dollar", key="dollar")
    meter = make_price(make_meter(organization, "other")).meter
    make_usage_day(account, meter, date(2026, 2, 1))
    text = "meter,unit_price,effective_on\nother,5,2026-01-15\nother,6,2026-03-01\n"
    response = admin.post("/rate-cards/import/", {"content": text}, follow=True)
    assert "1 account day is being rated again" in response.content.decode()
    enter(staff_of(organization))
    assert list(TouchedDay.objects.values_list("day", flat=True)) == [date(2026, 2, 1)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty."),
        (b"\n \n", "The file is empty."),
        (b"meter,unit_price\nx,1\n", "Missing column: effective_on."),
        (b"meter,unit_price,effective_on,margin\n", "Unknown column “margin”."),
        (b"meter,meter,unit_price,effective_on\n", "The column “meter” is there twice."),
        (b"meter,unit_price,effective_on\nx,1,2026-01-01,9\n", "Line 2 has 4 cells"),
        (b"\xff\xfem\x00", "The file is not UTF-8."),
        (b"PK\x03\x04\x00", "control characters"),
        (b'meter,unit_price,effective_on\n"x,1', "cannot be read as CSV"),
        (b"meter,unit_price,effective_on\n" + b"x,1,2026-01-01\n" * 5001, "more than 5,000 rows"),
        (b"x" * (2 * 1024 * 1024 + 1), "larger than 2 MiB"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_words(admin: Client, content: bytes, words: str) -> None:
    response = upload(admin, content)
    assert response.status_code == 422
    assert words in response.content.decode()


def test_semicolons_tabs_a_mark_at_the_start_and_any_order_of_columns_are_understood() -> None:
    text = "\ufeffUnit Price; METER \r\n\r\n1;api\r\n;;\r\n2;b\r\n"
    rows = read_rows(text.encode(), required=("meter", "unit_price"))
    assert [(row.line, row.cells) for row in rows] == [
        (3, {"unit_price": "1", "meter": "api"}),
        (5, {"unit_price": "2", "meter": "b"}),
    ]
    with pytest.raises(CsvProblem):
        read_rows(b"a\tb\n", required=("a",))


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-x", "@SUM(A1)", "\tx", "\uff1d1", " =1"])
def test_no_cell_of_a_download_is_a_formula(cell: str) -> None:
    assert safe_cell(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-5", "+1.25", "12", "plain", "a=b", ""])
def test_numbers_and_plain_words_stay_as_they_are(cell: str) -> None:
    assert safe_cell(cell) == cell


def test_what_is_written_can_be_read() -> None:
    content = write_rows(["a", "b"], [["x,y", 'say "hi"'], [None, "two\nlines"]])
    rows = read_rows(content, required=("a", "b"))
    assert [row.cells for row in rows] == [{"a": "x,y", "b": 'say "hi"'}, {"a": "", "b": "two\nlines"}]


def test_only_those_who_manage_prices_import_them(organization: Organization) -> None:
    csm = signed_in(make_member(organization, Role.CSM))
    assert upload(csm, GOOD).status_code == 403
    assert csm.post("/rate-cards/import/", {"content": GOOD}).status_code == 403
    assert stored(organization) == 0


def test_keys_of_another_organization_are_unknown() -> None:
    stranger = signed_in(make_member(make_organization("Globex")))
    body = upload(stranger, GOOD).content.decode()
    assert "No meter has the key “api.call”." in body
    assert "No account has the key “north”." in body
