"""What other systems assert, held against our API from outside: the vectors that its calculators can be asked.

Which ones those are follows from what a vector contains, so that another folder of the same shape works as well.
"""

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from accounts.models import Scope
from tests.factories import make_key, make_organization
from tests.test_vectors import MEANT_TO_DIFFER, Vector, assert_shows, number, numbers, read, same_to_the_digits_given

pytestmark = pytest.mark.django_db
Ask = Callable[[str, dict[str, Any]], HttpResponse]

FILES: dict[str, tuple[str, ...]] = {
    "credit_burndown.json": ("vectors",),
    "balance_history.json": ("vectors",),
    "drawdown_order.json": ("grant_order", "debit_lots", "wallet_allocation"),
    "pricing.json": ("vectors",),
    "pricing_phased.json": ("vectors",),
    "alert_crossings.json": ("vectors",),
    "cumulative_thresholds.json": ("vectors",),
    "alert_active_selection.json": ("vectors",),
    "aggregation.json": ("vectors",),
}
# Of a price's params these say what was used; the others are terms.
USED = {
    "events": "events",
    "running_total_first_events": "first_totals",
    "event_values": "event_values",
    "amount_minor_units": "supplied",
}
AROUND = ("usage_discount", "free_units", "max_spend", "min_spend")


def plain(value: Any) -> Any:
    """Numbers as decimal strings, as the API takes them."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return str(value) if isinstance(value, Decimal) else value


# ---- what is sent


def price_of(vector: Vector) -> dict[str, Any]:
    terms = {name: vector[name] for name in AROUND if vector.get(name) is not None}
    discount = vector.get("percent_discount", vector.get("discount_percent"))
    if discount is not None:
        terms["percent_discount"] = discount
    params = {name: value for name, value in vector["params"].items() if name not in USED}
    return {"currency": "USD", "terms": {"model": vector["model"], "params": params, **terms}}


def used_of(vector: Vector) -> dict[str, Any]:
    return {name: vector["params"][theirs] for theirs, name in USED.items() if theirs in vector["params"]}


def quote_of(vector: Vector) -> dict[str, Any]:
    asked = price_of(vector) | used_of(vector) | {"quantity": vector["qty"], "final": bool(vector.get("final"))}
    if vector.get("prior_qty") is not None or vector.get("prior_billed") is not None:
        asked["prior"] = {"quantity": vector.get("prior_qty") or 0, "billed": vector.get("prior_billed")}
    return asked


def phases_of(vector: Vector) -> dict[str, Any]:
    phases = [
        used_of(vector) | {"quantity": phase["cumulative_qty"], "final": bool(phase.get("final"))}
        for phase in vector["phases"]
    ]
    return price_of(vector) | {"phases": phases}


def simulation_of(vector: Vector) -> dict[str, Any]:
    opening = {
        "balances": vector.get("start_balances"),
        "overage": vector.get("start_overage") or 0,
        "period_usage": vector.get("start_period_usage") or 0,
        "grant_usage": vector.get("start_grant_usage") or 0,
        "period_start": vector.get("start_period_start") or vector.get("period_start"),
    }
    asked = {name: vector[name] for name in ("start", "until", "resets", "aggregation", "window") if name in vector}
    usage = [{"at": row["at"], "amount": row["qty"]} for row in vector.get("usage") or []]
    return asked | {"grants": vector["grants"], "usage": usage, "opening": opening}


def order_of(vector: Vector) -> dict[str, Any]:
    return {"grants": vector["grants"]}


def debit_of(vector: Vector) -> dict[str, Any]:
    lots = [
        {
            "id": row["id"],
            "amount": row["remaining"],
            "priority": row.get("priority", 0),
            "kind": row.get("kind", "purchased"),
            "created_at": f"2026-01-{28 - int(row.get('created_days_ago', 0)):02}T00:00:00Z",
            "expires_at": row.get("expires_at"),
        }
        for row in vector["lots"]
    ]
    return {"grants": lots, "debit": vector["debit"], "policy": "granted_first"}


def crossing_of(vector: Vector) -> dict[str, Any]:
    return {
        "thresholds": vector.get("thresholds") or [],
        "recurring_step": vector.get("recurring_step"),
        "direction": vector.get("direction", "up"),
        "previous": vector.get("previous") or 0,
        "current": vector["current"],
    }


# ---- what comes back


def assert_quote(body: Any, vector: Vector) -> None:
    expected = vector["expect"]
    assert Decimal(body["amount"]) == number(expected["amount"])
    if "per_tier" in expected and "prior" not in quote_of(vector):
        assert [Decimal(charge["amount"]) for charge in body["charges"]] == numbers(expected["per_tier"])
    if "unit_amount" in expected and number(vector["qty"]):
        unit_amount = Decimal(body["amount"]) / number(vector["qty"])
        assert same_to_the_digits_given(unit_amount, expected["unit_amount"])


def assert_phases(body: Any, vector: Vector) -> None:
    expected = [number(phase["expect_delta"]) for phase in vector["phases"]]
    assert [Decimal(phase["delta"]) for phase in body["phases"]] == expected


def assert_simulation(body: Any, vector: Vector) -> None:
    segments = body["segments"]
    shown = read_numbers(body) | {
        "segments": len(segments),
        "segment_usage": [Decimal(row["usage"]) for row in segments],
        "segment_overage": [Decimal(row["overage_at_end"]) for row in segments],
        "segment_balance_at_start": [read_numbers(row["balance_at_start"]) for row in segments],
        "segment_balance_at_end": [read_numbers(row["balance_at_end"]) for row in segments],
        "segment_total_at_start": [sum(read_numbers(row["balance_at_start"]).values()) for row in segments],
        "segment_total_at_end": [sum(read_numbers(row["balance_at_end"]).values()) for row in segments],
    }
    for name, value in vector["expect"].items():
        if name == "windows":
            assert len(body["windows"]) == value
        elif name == "at":
            for row in value:
                window = read_numbers(body["windows"][row["i"]])
                window["overage"] = window["overage_at_end"]
                assert_shows(window, {key: row[key] for key in row.keys() - {"i"}}, f"window {row['i']}")
        else:
            assert_shows(shown[name], value, name)


def read_numbers(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            found[name] = read_numbers(value)
        elif isinstance(value, str) and name in ("period_start", "start", "end"):
            found[name] = datetime.fromisoformat(value)
        elif isinstance(value, str):
            found[name] = Decimal(value)
    return found


def assert_order(body: Any, vector: Vector) -> None:
    assert [row["id"] for row in body["order"]] == vector["expect"]["order"]
    assert all(row["why"] for row in body["order"])


def assert_debit(body: Any, vector: Vector) -> None:
    expected = vector["expect"]
    assert_shows(read_numbers(body["remaining"]), expected.get("remaining"), "remaining")
    for name, amount in (expected.get("drawn") or {}).items():
        assert Decimal(body["drawn"].get(name, "0")) == number(amount), name


def assert_crossed(body: Any, vector: Vector) -> None:
    assert [Decimal(value) for value in body["crossed"]] == numbers(vector["expect_crossed"])


# ---- which vector goes where

MODELS = ("unit", "multiplier", "graduated", "volume", "graduated_percentage", "package", "percentage",
          "percentage_per_event", "supplied_amount")  # fmt: skip
Route = tuple[str, Callable[[Vector], dict[str, Any]], Callable[[Any, Vector], None]]
SIMULATION: Route = ("burndown-simulations", simulation_of, assert_simulation)


def route_of(kind: str, vector: Vector) -> Route | None:
    """Return where a vector can be asked and how; None for what no calculator of the API offers."""
    if "grants" in vector and "start" in vector:
        return SIMULATION
    if vector.get("model") in MODELS:
        if "phases" in vector:
            return "price-quotes/phased", phases_of, assert_phases
        return "price-quotes", quote_of, assert_quote
    routes: dict[str, Route] = {
        "grant_order": ("draw-orders", order_of, assert_order),
        "debit_lots": ("draw-orders", debit_of, assert_debit),
    }
    if "expect_crossed" in vector:
        return "threshold-checks", crossing_of, assert_crossed
    return routes.get(kind)


ALL = [(kind, vector) for name, kinds in FILES.items() for kind in kinds for vector in read(name).get(kind, [])]
ASKED = [(route, vector) for kind, vector in ALL if (route := route_of(kind, vector))]


@pytest.fixture
def ask() -> Ask:
    _, secret = make_key(make_organization(), (Scope.READ,))

    def post(path: str, body: dict[str, Any]) -> HttpResponse:
        client: Any = Client()
        headers = {"Authorization": f"Bearer {secret}"}
        response: HttpResponse = client.post(
            f"/api/v1/{path}", json.dumps(plain(body)), content_type="application/json", headers=headers
        )
        return response

    return post


@pytest.mark.parametrize(
    ("route", "vector"),
    [
        pytest.param(
            route,
            vector,
            id=vector["id"],
            marks=[pytest.mark.xfail(reason=MEANT_TO_DIFFER[vector["id"]], strict=True)]
            if vector["id"] in MEANT_TO_DIFFER
            else [],
        )
        for route, vector in ASKED
    ],
)
def test_the_api_says_what_others_assert(route: Route, vector: Vector, ask: Ask) -> None:
    path, body_of, assert_answer = route
    response = ask(path, body_of(vector))
    body = json.loads(response.content)
    if "error" in (vector.get("expect") or {}):
        assert response.status_code in (400, 422), body
        assert response["Content-Type"] == "application/problem+json"
        assert body["detail"] or body["errors"]
        return
    assert response.status_code == 200, body
    assert_answer(body, vector)


def test_one_vector_in_five_is_asked_over_the_api() -> None:
    assert len(ASKED) * 5 >= len(ALL)
