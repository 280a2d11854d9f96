"""Imports over the API: a billing system creates one, sends the file, looks at the difference and closes it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Scope
from consumption_cs.lib.tenancy import Viewer, enter
from tests.factories import make_account, make_key, make_meter, make_organization, make_price
from tests.usage.import_files import csv_file, finish_by_id, row
from usage.models import ImportChunk

pytestmark = pytest.mark.django_db


class Caller:
    """A client with a key."""

    def __init__(self, account: Account, scopes: tuple[str, ...] = (Scope.MANAGE,)) -> None:
        _, secret = make_key(account.organization, scopes)
        self.headers = {"Authorization": f"Bearer {secret}"}
        self.client = Client()

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/v1/imports{path}", headers=self.headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        sent = self.headers | headers
        return self.client.post(f"/api/v1/imports{path}", body or {}, content_type="application/json", headers=sent)

    def put(self, path: str, content: bytes) -> Any:
        return self.client.put(
            f"/api/v1/imports{path}", content, content_type="application/octet-stream", headers=self.headers
        )

    def new(self, **fields: Any) -> str:
        answer = self.post("", {"format": "csv"} | fields)
        assert answer.status_code == 201, answer.json()
        return f"/{answer.json()['id']}"


@pytest.fixture
def now() -> datetime:
    return timezone.now().replace(microsecond=0)


@pytest.fixture
def account() -> Account:
    account = make_account(make_organization(), key="northwind")
    make_price(make_meter(account.organization, "api.call"), "0.5")
    return account


def test_a_window_names_accounts_by_key_and_may_be_a_year_long(account: Account) -> None:
    caller = Caller(account)
    window = {"meter": "api.call", "accounts": ["northwind"], "from": "2026-01-01T00:00Z", "to": "2027-01-01T00:00Z"}
    path = caller.new(window=window)
    assert caller.get(path).json()["window"]["accounts"] == ["northwind"]
    answer = caller.post("", {"format": "csv", "window": window | {"to": "2027-02-01T00:00Z"}})
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "A window may be a year long: replace more in parts.",
    )


def test_a_file_goes_in_step_by_step(account: Account, now: datetime) -> None:
    caller = Caller(account)
    path = caller.new(file_name="march.csv")
    content = csv_file([row(number, now - timedelta(minutes=number)) for number in range(4)])
    assert caller.put(f"{path}/file", content).json()["state"] == "uploaded"
    assert caller.post(f"{path}/validate").json()["state"] == "validating"
    finish_by_id(account, path[1:])
    seen = caller.get(path).json()
    assert (seen["state"], seen["rows"]["new"], seen["progress"]) == ("ready", 4, None)
    assert seen["difference"] == {"USD": {"before": "0", "after": "4", "difference": "4", "adjustment": "0"}}
    (change,) = caller.get(f"{path}/preview").json()["results"]
    assert (change["account"], change["quantity_after"], change["spend_after"]) == ("northwind", "8", "4")
    assert caller.post(f"{path}/close").json()["state"] == "closing"
    finish_by_id(account, path[1:])
    assert caller.get(path).json()["state"] == "closed"
    assert caller.post(f"{path}/close").json()["state"] == "closed"  # asking again changes nothing
    assert caller.post(f"{path}/revert").status_code == 409


def test_a_file_goes_up_in_pieces_and_on_where_it_broke(account: Account, now: datetime) -> None:
    caller = Caller(account)
    path = caller.new()
    content = csv_file([row(number, now) for number in range(40_000)])
    assert len(content) > 2 * 1024 * 1024
    half = 1_500_001  # in the middle of a chunk
    assert caller.put(f"{path}/file?offset=0&last=false", content[:half]).json()["state"] == "uploading"
    wrong = caller.put(f"{path}/file?offset=7", content[half:])
    assert (wrong.status_code, wrong.json()["code"]) == (409, "wrong_offset")
    assert str(half) in wrong.json()["detail"]
    assert caller.put(f"{path}/file?offset={half}", content[half:]).json()["bytes"] == len(content)
    enter(Viewer(account.organization_id))
    assert b"".join(bytes(chunk.data) for chunk in ImportChunk.objects.order_by("number")) == content


def test_bad_rows_are_told_and_block_the_close_until_they_are_left_out(account: Account, now: datetime) -> None:
    caller = Caller(account)
    path = caller.new()
    caller.put(f"{path}/file", csv_file([row(1, now), row(2, now, account="nobody"), row(3, now, quantity="much")]))
    caller.post(f"{path}/validate")
    finish_by_id(account, path[1:])
    seen = caller.get(path).json()
    assert (seen["state"], seen["reasons"]) == ("refused", {"invalid_quantity": 1, "unknown_subject": 1})
    errors = caller.get(f"{path}/errors").json()["results"]
    assert [(one["line"], one["code"]) for one in errors] == [(3, "unknown_subject"), (4, "invalid_quantity")]
    refused = caller.post(f"{path}/close")
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_rows")
    caller.post(f"{path}/close", {"leave_bad_rows_out": True})
    finish_by_id(account, path[1:])
    assert caller.get(path).json()["state"] == "closed"


def test_the_same_creating_request_makes_one_import(account: Account) -> None:
    caller = Caller(account)
    first = caller.post("", {"format": "csv"}, **{"Idempotency-Key": "k1"})
    again = caller.post("", {"format": "csv"}, **{"Idempotency-Key": "k1"})
    assert first.json()["id"] == again.json()["id"]


def test_a_key_that_only_reads_may_not_import(account: Account) -> None:
    assert Caller(account, (Scope.READ,)).get("").status_code == 403
    assert Caller(account, (Scope.READ,)).post("", {"format": "csv"}).status_code == 403


def test_a_key_without_the_right_to_backfill_imports_the_last_weeks_only(account: Account, now: datetime) -> None:
    rows = csv_file([row(1, now - timedelta(days=60))])
    for scopes, code in (((Scope.MANAGE,), "time_too_old"), ((Scope.MANAGE, Scope.EVENTS_BACKFILL), None)):
        caller = Caller(account, scopes)
        path = caller.new()
        caller.put(f"{path}/file", rows)
        caller.post(f"{path}/validate")
        finish_by_id(account, path[1:])
        assert next(iter(caller.get(path).json()["reasons"]), None) == code


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"format": "xlsx"}, "/format"),
        ({"format": "csv", "columns": {"quantitty": "x"}}, None),
        ({"format": "csv", "window": {"meter": "nothing", "from": "2026-01-01T00:00Z", "to": "2026-02-01T00:00Z"}},
         "/window/meter"),
        ({"format": "csv", "window": {"meter": "api.call", "from": "2026-02-01T00:00Z", "to": "2026-01-01T00:00Z"}},
         None),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused_in_words(account: Account, body: dict[str, Any], field: str | None) -> None:
    answer = Caller(account).post("", body)
    assert answer.status_code in (400, 422)
    assert answer["Content-Type"] == "application/problem+json"
    assert field is None or answer.json()["errors"][0]["pointer"] == field


def test_a_file_of_another_kind_is_refused_at_once(account: Account) -> None:
    caller = Caller(account)
    path = caller.new()
    for content, words in ((b"PK\x03\x04xxxx", "Excel"), (b"PAR1xxxxxxxxPAR1", "Parquet"), (b"", "empty")):
        answer = caller.put(f"{path}/file", content)
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
    assert caller.post(f"{path}/validate").status_code == 409
