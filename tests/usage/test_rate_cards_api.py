"""Rate cards over the API: a billing system writes a draft, weighs it, publishes it; a customer's key sees its own."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import Organization, Scope
from consumption_cs.lib.tenancy import enter, leave
from tests.factories import (
    NOW,
    make_account,
    make_draft,
    make_key,
    make_meter,
    make_organization,
    make_price,
    make_usage_day,
    staff_of,
)
from usage.actions.shadow import compute_shadow
from usage.models import Meter, Price, RateCardVersion

pytestmark = pytest.mark.django_db
UNIT = {"model": "unit", "params": {"unit": "0.02"}}
Ask = Callable[..., Any]


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def meter(organization: Organization) -> Meter:
    return make_meter(organization, "api.call", name="Calls")


def asking(secret: str) -> Ask:
    def ask(method: str, path: str, body: Any = None, **headers: str) -> Any:
        options: dict[str, Any] = {} if body is None else {"data": body, "content_type": "application/json"}
        sent = {"Authorization": f"Bearer {secret}"} | headers
        return getattr(Client(), method)(f"/api/v1/rate-cards{path}", headers=sent, **options)

    return ask


@pytest.fixture
def billing(organization: Organization) -> Ask:
    return asking(make_key(organization, (Scope.MANAGE,))[1])


def test_a_version_goes_from_draft_to_published_and_back(
    organization: Organization, meter: Meter, billing: Ask
) -> None:
    card = billing("post", "", {"currency": "USD"}).json()
    body = {"effective_on": "2026-06-01", "prices": [{"meter": "api.call", "terms": UNIT}]}
    made = billing("post", f"/{card['id']}/versions", body)
    assert (made.status_code, made.json()["status"], made.json()["problems"]) == (201, "draft", [])
    path = f"/{card['id']}/versions/1"
    early = billing("post", f"{path}/publish")
    assert (early.status_code, early.json()["code"]) == (422, "cannot_publish")
    assert "Compute the effect first" in early.json()["detail"]
    assert billing("post", f"{path}/shadow").status_code == 202
    assert billing("get", f"{path}/shadow").json()["state"] == "running"
    enter(staff_of(organization))
    draft = RateCardVersion.objects.get()
    make_usage_day(make_account(organization), meter, date(2026, 5, 3), quantity=Decimal(100))
    leave()
    assert draft.shadow is not None
    compute_shadow(organization.pk, draft.pk, draft.shadow["run"], NOW)
    effect = billing("get", f"{path}/shadow").json()
    assert (effect["state"], effect["new"], effect["accounts"][0]["difference"]) == ("ready", "2", "2")
    assert billing("post", f"{path}/publish").json()["status"] == "published"
    assert billing("get", f"/{card['id']}").json()["prices"][0]["text"] == "$0.02 per call"
    assert billing("post", f"{path}/withdraw", {"reason": "Wrong"}).json()["status"] == "withdrawn"
    again = billing("post", f"{path}/withdraw", {"reason": "Wrong"})
    assert (again.status_code, again.json()["code"]) == (422, "cannot_withdraw")


@pytest.mark.parametrize(
    ("line", "pointer", "words"),
    [
        ({"meter": "nothing", "terms": UNIT}, "/prices/0/meter", "No meter has the key"),
        ({"meter": "api.call", "terms": {"model": "unit", "params": {}}}, "/prices/0/terms", "unit is missing"),
        (
            {"meter": "api.call", "terms": {"model": "unit", "params": {"unit": "0.1234567890123"}}},
            "/prices/0/terms",
            "13 decimals",
        ),
        ({"meter": "api.call", "terms": {"matrix": {}}}, "/prices/0/terms/matrix/cells", "at least one cell"),
    ],
)
def test_a_bad_price_is_told_by_field_and_nothing_is_stored(
    organization: Organization, meter: Meter, billing: Ask, line: dict[str, Any], pointer: str, words: str
) -> None:
    card = billing("post", "", {"currency": "USD"}).json()
    refused = billing("post", f"/{card['id']}/versions", {"effective_on": "2026-06-01", "prices": [line]})
    assert refused.status_code == 400
    assert refused["Content-Type"] == "application/problem+json"
    errors = {error["pointer"]: error["detail"] for error in refused.json()["errors"]}
    assert words in errors[pointer]
    enter(staff_of(organization))
    assert not RateCardVersion.objects.exists()


def test_numbers_that_are_no_texts_are_kept_exactly(organization: Organization, meter: Meter, billing: Ask) -> None:
    card = billing("post", "", {"currency": "USD"}).json()
    body = '{"effective_on": "2026-06-01", "prices": [{"meter": "api.call", "terms": {"model": "unit", "params": '
    assert billing("post", f"/{card['id']}/versions", body + '{"unit": 0.000000000001}}}]}').status_code == 201
    enter(staff_of(organization))
    assert Price.objects.get().terms == {"model": "unit", "params": {"unit": "0.000000000001"}}


def test_the_same_request_sent_twice_makes_one_draft(organization: Organization, meter: Meter, billing: Ask) -> None:
    card = billing("post", "", {"currency": "USD"}).json()
    body = {"effective_on": "2026-06-01", "prices": [{"meter": "api.call", "terms": UNIT}]}
    answers = [
        billing("post", f"/{card['id']}/versions", body, **{"Idempotency-Key": "one"}).json()["number"] for _ in "ab"
    ]
    assert answers == [1, 1]


def test_a_key_that_only_reads_sees_cards_and_changes_none(organization: Organization, meter: Meter) -> None:
    price = make_price(meter, "0.01")
    reader = asking(make_key(organization, (Scope.READ,))[1])
    (card,) = reader("get", "").json()["results"]
    assert card["prices"][0]["terms"] == price.terms
    assert reader("get", f"/{card['id']}/versions").json()["results"][0]["number"] == 1
    assert reader("post", "", {"currency": "EUR"}).status_code == 403
    body = {"effective_on": "2026-06-01", "prices": [{"meter": "api.call", "terms": UNIT}]}
    assert reader("post", f"/{card['id']}/versions", body).status_code == 403


def test_a_customer_s_key_sees_only_what_it_pays(organization: Organization, meter: Meter) -> None:
    account, other = make_account(organization, "Northwind"), make_account(organization, "Other")
    pages = make_meter(organization, "pages")
    make_price(meter, "0.01")
    make_price(pages, "5")
    make_price(meter, "0.008", account)
    make_price(meter, "0.001", other)
    make_draft(meter, "0.09", account)
    reader = asking(make_key(organization, (Scope.READ,), account=account)[1])
    answer = reader("get", "")
    seen = {
        (card["account"], price["meter"], price["text"])
        for card in answer.json()["results"]
        for price in card["prices"]
    }
    assert seen == {(None, "pages", "$5.00 per call"), (account.key, "api.call", "$0.008 per call")}
    listed = next(card for card in answer.json()["results"] if card["account"] is None)
    assert [price["meter"] for price in reader("get", f"/{listed['id']}").json()["prices"]] == ["pages"]
    assert reader("get", f"/{listed['id']}/versions").status_code == 403
    enter(staff_of(organization))
    theirs = Price.objects.get(account=other).version
    leave()
    assert reader("get", f"/{theirs.card_id}").status_code == 404


def test_the_schema_describes_it(client: Client) -> None:
    schema = client.get("/api/v1/schema/?format=json").json()
    paths = {path for path in schema["paths"] if "rate-cards" in path}
    assert len(paths) == 6
    versions = schema["paths"]["/api/v1/rate-cards/{card_id}/versions"]["post"]
    assert "application/problem+json" in versions["responses"]["400"]["content"]
