"""The calculators of the API: what they answer, what they refuse in words, and that nothing hostile breaks them."""

import json
import random
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts.models import Role, Scope
from consumption_cs.lib.tenancy import leave
from tests.factories import make_account, make_key, make_member, make_organization, signed_in

pytestmark = pytest.mark.django_db
TIERS = [{"up_to": "100", "unit": "0.10"}, {"up_to": None, "unit": "0.05", "flat": "3"}]
QUOTE: dict[str, Any] = {
    "currency": "EUR",
    "quantity": "150.5",
    "terms": {"model": "graduated", "params": {"tiers": TIERS}, "percent_discount": "10", "max_spend": "100"},
}
PHASED = {"currency": "KWD", "terms": {"model": "unit", "params": {"unit": "0.3333"}}, "phases": [{"quantity": 1}]}
RUN: dict[str, Any] = {
    "start": "2026-01-01T00:00:00Z",
    "until": "2026-02-01T00:00:00Z",
    "grants": [
        {"id": "promo", "amount": "10", "effective_at": "2026-01-01T00:00:00Z", "priority": 0, "kind": "promotional"},
        {
            "id": "commit",
            "amount": "100",
            "effective_at": "2026-01-01T00:00:00+01:00",
            "priority": 5,
            "rollover": {"min": 0, "max": 50},
            "recurrence": {"every": "P1W", "anchor": "2026-01-01T00:00:00Z"},
        },
    ],
    "usage": [{"at": "2026-01-10T00:00:00Z", "amount": "60.5", "meter": "calls"}],
    "resets": [{"at": "2026-01-15T00:00:00Z"}],
    "window": "P1D",
}
ORDER = {"grants": [{"id": "a", "amount": "5"}, {"id": "b", "amount": "7", "priority": -1}], "debit": "8"}
CHECK = {"thresholds": ["10", "20"], "recurring_step": "5", "previous": "9", "current": "31"}
ROUTES: dict[str, dict[str, Any]] = {
    "price-quotes": QUOTE,
    "price-quotes/phased": PHASED,
    "burndown-simulations": RUN,
    "draw-orders": ORDER,
    "threshold-checks": CHECK,
}
# What takes the place of every part of every request in turn.
HOSTILE: list[Any] = [
    None, True, "", "x", "NaN", "Infinity", "1e400", "-1", "0", "0.0000000000001", "9" * 21, "9" * 20, "\x00",
    "\ud800", -1, 2**70, [], {}, [[]], [{}], {"a": {"b": []}}, ["x"] * 1100, "P1M", "PT1S",
    "P9999Y", "PT99999999S", "P99999D",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00", "1970-01-01T00:00:00Z",
    "2200-12-31T00:00:00Z",
]  # fmt: skip


class Asker:
    """A client with one key."""

    def __init__(self, secret: str) -> None:
        self.headers = {"Authorization": f"Bearer {secret}"}

    def post(self, path: str, body: Any) -> HttpResponse:
        client: Any = Client()
        text = body if isinstance(body, bytes) else json.dumps(body)
        response: HttpResponse = client.post(
            f"/api/v1/{path}", text, content_type="application/json", headers=self.headers
        )
        return response

    def read(self, path: str, body: Any) -> Any:
        response = self.post(path, body)
        assert response.status_code == 200, response.content
        return json.loads(response.content)

    def refused(self, path: str, body: Any, status: int = 422) -> dict[str, Any]:
        response = self.post(path, body)
        assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json")
        found: dict[str, Any] = json.loads(response.content)
        return found


@pytest.fixture
def asker() -> Asker:
    return Asker(make_key(make_organization(), (Scope.READ,))[1])


def test_a_quote_shows_each_part_of_the_amount(asker: Asker) -> None:
    assert asker.read("price-quotes", QUOTE) == {
        "currency": "EUR",
        "amount": "13.9725",
        "rounded": "13.97",
        "cumulative": "13.9725",
        "gross": "15.525",
        "discounted": "13.9725",
        "charges": [
            {"what": "tier 1", "quantity": "100", "unit": "0.1", "flat": "0", "amount": "10"},
            {"what": "tier 2", "quantity": "50.5", "unit": "0.05", "flat": "3", "amount": "5.525"},
        ],
    }


def test_a_quote_goes_on_from_what_was_used_before(asker: Asker) -> None:
    terms = {"model": "graduated", "params": {"tiers": TIERS}}
    body = {"currency": "JPY", "quantity": "10", "terms": terms, "prior": {"quantity": "95"}}
    quoted = asker.read("price-quotes", body)
    assert (quoted["amount"], quoted["rounded"], quoted["cumulative"]) == ("3.75", "4", "13.25")


def test_phases_book_what_changed_in_the_currency_s_decimals(asker: Asker) -> None:
    phases = [{"quantity": "1"}, {"quantity": "3"}, {"quantity": "2", "final": True}]
    body = asker.read("price-quotes/phased", PHASED | {"phases": phases})
    assert [row["delta"] for row in body["phases"]] == ["0.333", "0.667", "-0.333"]
    assert body["phases"][-1]["booked"] == "0.667"


def test_a_simulation_says_what_was_drawn_from_which_grant_and_why(asker: Asker) -> None:
    body = asker.read("burndown-simulations", RUN)
    draws = [(draw["grant"], draw["amount"], draw["why"]) for draw in body["draws"]]
    assert draws == [("promo", "10", "lower priority number, before commit"), ("commit", "50.5", "promo is used up")]
    assert body["overage"] == "0"
    assert len(body["windows"]) == 31
    assert body["segments"][0]["balance_at_start"] == {"promo": "10", "commit": "100"}


def test_an_order_says_why_and_what_a_debit_takes(asker: Asker) -> None:
    body = asker.read("draw-orders", ORDER)
    assert [row["id"] for row in body["order"]] == ["b", "a"]
    assert body["order"][0]["why"] == "lower priority number, before a"
    assert (body["drawn"], body["remaining"]) == ({"b": "7", "a": "1"}, {"a": "4", "b": "0"})


def test_thresholds_crossed_and_the_way_to_the_next(asker: Asker) -> None:
    body = asker.read("threshold-checks", CHECK)
    assert body["crossed"] == ["10", "20", "25", "30"]
    assert body["progress"][-1] == {"threshold": "35", "share": "0.2"}


@pytest.mark.parametrize(
    ("path", "change", "status", "words"),
    [
        ("price-quotes", {"terms": {"model": "free lunch"}}, 422, "use one of"),
        ("price-quotes", {"terms": {"model": "unit", "params": {"unit": "0.1234567890123"}}}, 422, "13 decimals"),
        ("price-quotes", {"terms": {"model": "unit", "params": {"unit": "1", "prise": "2"}}}, 400, "params.prise"),
        ("price-quotes", {"terms": {"model": "unit", "params": {"unit": "1", "convert": {"op": "divide",
            "factor": "3", "round": "ceil", "precision": "99999999999999999999"}}}}, 422, "smaller"),
        ("price-quotes", {"terms": {"model": "unit", "params": {"unit": "1", "convert": {"op": "divide",
            "factor": "3", "round": []}}}}, 422, "ceil, floor"),
        ("price-quotes", {"currency": "euro"}, 400, "EUR"),
        ("price-quotes", {"quantity": "1e99"}, 400, "digits"),
        ("burndown-simulations", {"grants": [RUN["grants"][0], RUN["grants"][0]]}, 422, "same id"),
        ("burndown-simulations", {"until": "2025-01-01T00:00:00Z"}, 422, "before it starts"),
        ("burndown-simulations", {"window": "PT1S"}, 400, "windows at most"),
        ("burndown-simulations", {"window": "a day"}, 422, "ISO 8601"),
        ("burndown-simulations", {"until": "2199-01-01T00:00:00Z"}, 400, "shorter"),
        ("draw-orders", {"debit": "13"}, 422, "top up"),
        ("draw-orders", {"policy": "mine"}, 400, "not a valid choice"),
        ("threshold-checks", {"recurring_step": "0"}, 422, "above zero"),
    ],
)  # fmt: skip
def test_what_cannot_be_reckoned_is_refused_in_words(
    asker: Asker, path: str, change: dict[str, Any], status: int, words: str
) -> None:
    problem = asker.refused(path, ROUTES[path] | change, status)
    assert words in json.dumps(problem, ensure_ascii=False)


def _replaced(value: Any, by: Any) -> list[Any]:
    """Every version of a request with one part of it replaced."""
    if isinstance(value, dict):
        parts = [(name, part) for name, part in value.items()]
        found = [{**value, name: other} for name, part in parts for other in [by, *_replaced(part, by)]]
        return [*found, {**value, "surprise": by}]
    if isinstance(value, list):
        return [
            [*value[:index], other, *value[index + 1 :]]
            for index, part in enumerate(value)
            for other in [by, *_replaced(part, by)]
        ]
    return []


@pytest.mark.parametrize("path", ROUTES)
def test_nothing_hostile_ends_in_a_server_error(asker: Asker, path: str) -> None:
    requests = [body for hostile in HOSTILE for body in [hostile, *_replaced(ROUTES[path], hostile)]]
    for body in random.Random(7).sample(requests, min(len(requests), 250)):  # noqa: S311  the same ones each time
        response = asker.post(path, body)
        assert response.status_code in (200, 400, 422), (response.status_code, body)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[" * 100_000, 400),
        (b'{"quantity": NaN}', 400),
        (b'{"a": 1, "a": 2}', 400),
        (b'{"quantity": 1' + b"0" * 5000 + b"}", 400),
        (b'{"quantity": 1e999999999}', 400),
        (b"\xff\xfe", 400),
        (b" " * (2 * 1024 * 1024 + 1), 413),
    ],
)
def test_bodies_that_are_no_clean_json_are_refused(asker: Asker, path: str, body: bytes, status: int) -> None:
    asker.refused(path, body, status)


def test_too_many_rows_are_refused_before_they_are_read(asker: Asker) -> None:
    usage = [RUN["usage"][0]] * 2001
    assert "2000" in json.dumps(asker.refused("burndown-simulations", RUN | {"usage": usage}, 400))


def test_customers_are_refused_and_staff_are_not() -> None:
    organization = make_organization()
    account = make_account(organization)
    theirs = Asker(make_key(organization, (Scope.READ,), account=account)[1])
    analyst, customer = make_member(organization, Role.ANALYST), make_member(account, Role.PORTAL_OWNER)
    leave()
    for path, body in ROUTES.items():
        assert theirs.post(path, body).status_code == 403
        for member, status in ((analyst, 200), (customer, 403)):
            client: Any = signed_in(member)
            assert client.post(f"/api/v1/{path}", json.dumps(body), "application/json").status_code == status
