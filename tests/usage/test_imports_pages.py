"""The pages of imports, as a finance person works with them."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Role
from consumption_cs.lib.tenancy import Viewer, enter, leave
from tests.factories import make_account, make_member, make_meter, make_organization, make_price, signed_in
from tests.usage.import_files import csv_file, finish_by_id, row

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    return timezone.now().replace(microsecond=0)


@pytest.fixture
def account() -> Account:
    account = make_account(make_organization(), key="northwind")
    make_price(make_meter(account.organization, "api.call"), "0.5")
    return account


@pytest.fixture
def finance(account: Account) -> Client:
    client = signed_in(make_member(account.organization, Role.FINANCE))
    leave()
    return client


def _upload(client: Client, content: bytes, name: str = "march.csv", **fields: Any) -> str:
    data = {"file": SimpleUploadedFile(name, content), "format": "auto", "default_source": "import"} | fields
    answer = client.post("/imports/new/", data)
    assert answer.status_code == 302, answer.content.decode()[:3000]
    return str(answer["Location"])


def _work(account: Account, page: str) -> None:
    finish_by_id(account, page.strip("/").split("/")[-1])


def _text(client: Client, page: str) -> str:
    return " ".join(client.get(page).content.decode().split())


def test_a_file_is_uploaded_checked_looked_at_and_closed(finance: Client, account: Account, now: datetime) -> None:
    page = _upload(finance, csv_file([row(number, now - timedelta(minutes=number)) for number in range(3)]))
    assert "is being checked" in _text(finance, page)
    _work(account, page)
    seen = _text(finance, page)
    assert 'Ready: <b class="nw">3</b> new events' in seen
    assert "+$3" in seen
    assert finance.post(f"{page}close/").status_code == 302
    assert "Closing" in _text(finance, page)
    _work(account, page)
    assert '<b class="nw">3</b> events count' in _text(finance, page)
    assert "march.csv" in _text(finance, "/imports/")


def test_wrong_rows_are_listed_and_left_out_only_when_told(finance: Client, account: Account, now: datetime) -> None:
    page = _upload(finance, csv_file([row(1, now), row(2, now, account="nobody")]))
    _work(account, page)
    seen = _text(finance, page)
    assert "No account has this key" in seen
    assert "No account has the key “nobody”." in seen
    finance.post(f"{page}close/")
    assert "say that the bad rows are to be left out" in _text(finance, page)
    assert b"nobody" in finance.get(f"{page}errors.csv").content
    finance.post(f"{page}close/", {"leave_bad_out": "yes"})
    _work(account, page)
    assert "Closed" in _text(finance, page)


def test_the_work_is_shown_until_it_is_done_and_then_the_page_loads_anew(
    finance: Client, account: Account, now: datetime
) -> None:
    page = _upload(finance, csv_file([row(1, now)]))
    part = finance.get(f"{page}progress/?state=validating")
    assert b"every 1s" in part.content
    _work(account, page)
    assert finance.get(f"{page}progress/?state=validating")["HX-Refresh"] == "true"


def test_a_missing_account_can_be_added_and_the_file_checked_again(
    finance: Client, account: Account, now: datetime
) -> None:
    page = _upload(finance, csv_file([row(1, now, account="later")]))
    _work(account, page)
    assert "1</b> of 1 row cannot" in _text(finance, page)
    make_account(account.organization, key="later")
    leave()
    finance.post(f"{page}validate/")
    _work(account, page)
    assert "Ready" in _text(finance, page)


def test_an_import_is_dropped_before_it_counts(finance: Client, account: Account, now: datetime) -> None:
    page = _upload(finance, csv_file([row(1, now)]))
    finance.post(f"{page}revert/")
    _work(account, page)
    assert "Nothing of it ever counted" in _text(finance, page)
    finance.post(f"{page}close/")
    assert "make a new import" in _text(finance, page)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("usage.xlsx", b"PK\x03\x04", "choose its kind"),
        ("usage.csv", b"", "empty"),
        ("usage.csv", b"PK\x03\x04and so on", "Excel"),
        ("usage.parquet", b"id,time\n", "not Parquet"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused_in_words(
    finance: Client, name: str, content: bytes, words: str
) -> None:
    data = {"file": SimpleUploadedFile(name, content), "format": "auto", "default_source": "import"}
    answer = finance.post("/imports/new/", data, follow=True)
    assert words in answer.content.decode()


def test_a_window_needs_its_days(finance: Client, account: Account) -> None:
    enter(Viewer(account.organization_id))
    meter = account.organization.meter_set.get()
    leave()
    data = {"file": SimpleUploadedFile("a.csv", b"id"), "format": "auto", "default_source": "import"}
    answer = finance.post("/imports/new/", data | {"window_meter": str(meter.pk)})
    assert answer.status_code == 422
    assert "Say which days the file replaces." in answer.content.decode()


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_a_template_can_be_imported_as_it_is(finance: Client, account: Account, kind: str) -> None:
    content = finance.get(f"/imports/template.{kind}").content
    page = _upload(finance, content, f"template.{kind}")
    _work(account, page)
    assert 'Ready: <b class="nw">1</b> new event' in _text(finance, page)


def test_the_page_script_gets_addresses_and_sends_pieces(finance: Client, account: Account, now: datetime) -> None:
    data = {"file_name": "a.csv", "format": "auto", "default_source": "import"}
    made = finance.post("/imports/new/", data, headers={"X-Upload": "1"}).json()
    content = csv_file([row(1, now)])
    for at, last in ((0, "false"), (20, "true")):
        piece = content[at : 20 if last == "false" else None]
        answer = finance.put(f"{made['upload']}?offset={at}&last={last}", piece, "application/octet-stream")
        assert answer.status_code == 200, answer.content
    assert finance.get(made["self"]).json()["bytes"] == len(content)
    assert finance.post(made["check"], content_type="application/json").json()["state"] == "validating"


def test_a_csm_does_not_see_imports(account: Account) -> None:
    client = signed_in(make_member(account.organization, Role.CSM))
    assert client.get("/imports/").status_code == 403
