"""What a batch would cost through the tiers, which budgets count it, and how questions are refused."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from accounts.models import Account, ApiKey, Scope
from budgets.actions.limits import NewLimit, set_limit
from budgets.models import Budget, ForecastRun, LimitState
from budgets.reports.budget_use import budget_uses
from consumption_cs.lib.tenancy import enter
from tests.budgets.budget_factories import make_budget, use
from tests.factories import (
    make_account,
    make_key,
    make_member,
    make_meter,
    make_organization,
    make_price,
    make_workflow,
    signed_in,
    staff_of,
)
from usage.models import Meter

pytestmark = pytest.mark.django_db

TIERS = {
    "model": "graduated",
    "params": {"tiers": [{"up_to": "1000", "unit": "0.1"}, {"up_to": None, "unit": "0.03"}]},
}
BY_REGION = {
    "matrix": {
        "dimensions": ["region"],
        "cells": [
            {"values": ["eu"], "terms": TIERS},
            {"values": ["7"], "terms": {"model": "unit", "params": {"unit": "2"}}},
        ],
    }
}


def priced_account(
    terms: dict[str, Any] = TIERS, dimensions: tuple[str, ...] = (), **fields: Any
) -> tuple[Account, Meter]:
    account = make_account(**fields)
    meter = make_meter(account.organization, key="calls", dimensions=list(dimensions))
    make_price(meter, terms=terms, currency=account.currency)
    return account, meter


def ask(account: Account, query: str = "", scopes: tuple[str, ...] = (Scope.READ,), **headers: str) -> Any:
    _, secret = make_key(account.organization, scopes)
    return Client().get(
        f"/api/v1/accounts/{account.key}/headroom{query}", headers={"Authorization": f"Bearer {secret}"} | headers
    )


def told(account: Account, query: str = "") -> Any:
    answer = ask(account, query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def refused(account: Account, query: str) -> tuple[str, str]:
    answer = ask(account, query)
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    return error["pointer"], error["detail"]


def test_a_batch_that_crosses_a_tier_costs_what_settlement_books_for_it() -> None:
    """900 are used; 200 more are 100 at 0.10 and 100 at 0.03: 13.00, exactly."""
    account, meter = priced_account()
    make_budget(account, "200")
    now = timezone.now()
    use(account, meter, now, "900")
    assert told(account, "?meter=calls&quantity=200")["estimated_cost"] == "13"
    answer = told(account, "?meter=calls&quantity=200.5")
    assert answer["estimated_cost"] == "13.02", "13.015, rounded with what was booked"
    (left,) = answer["budgets"]
    assert (left["used"], left["remaining"], left["after"]) == ("90", "110", "96.98")
    use(account, meter, now, "200.5")
    (left,) = told(account)["budgets"]
    assert left["remaining"] == "96.98"


def test_a_batch_before_any_use_pays_the_first_tier_and_its_flat_fee() -> None:
    tiers = [{"up_to": "10", "unit": "1", "flat": "5"}, {"up_to": None, "unit": "0.5", "flat": "2"}]
    account, _ = priced_account({"model": "graduated", "params": {"tiers": tiers}})
    assert told(account, "?meter=calls&quantity=20")["estimated_cost"] == "22"


def test_a_currency_without_decimals_is_rounded_to_whole_units() -> None:
    account, _ = priced_account({"model": "unit", "params": {"unit": "0.7"}}, currency="JPY")
    assert told(account, "?meter=calls&quantity=5")["estimated_cost"] == "4"


def test_the_accounts_own_price_comes_first() -> None:
    account, meter = priced_account()
    make_price(meter, "7", account)
    assert told(account, "?meter=calls&quantity=3")["estimated_cost"] == "21"


def test_a_matrix_prices_the_cell_that_the_question_names() -> None:
    account, meter = priced_account(BY_REGION, ("region", "team"))
    now = timezone.now()
    use(account, meter, now, "900", g='{"region":"eu","team":"red"}')
    use(account, meter, now, "5", g='{"region":7}')
    assert told(account, "?meter=calls&quantity=200&region=eu")["estimated_cost"] == "13"
    assert told(account, "?meter=calls&quantity=200&region=7")["estimated_cost"] == "400"
    pointer, words = refused(account, "?meter=calls&quantity=200")
    assert (pointer, "region" in words) == ("/meter", True)


def test_budgets_of_a_part_count_only_work_of_that_part() -> None:
    account, meter = priced_account(dimensions=("team",))
    workflow = make_workflow(account, key="ocr")
    make_budget(account, "10", name="All")
    make_budget(account, "20", name="OCR", scope="workflow", workflow=workflow)
    make_budget(account, "30", name="Calls", scope="meter", meter=meter)
    make_budget(account, "40", name="Red", scope="key", dimension="team", dimension_value="red")

    def counting(query: str) -> set[str]:
        return {row["name"] for row in told(account, query)["budgets"]}

    assert counting("") == {"All"}
    assert counting("?workflow=ocr") == {"All", "OCR"}
    assert counting("?meter=calls&team=blue") == {"All", "Calls"}
    assert counting("?workflow=ocr&meter=calls&team=red") == {"All", "OCR", "Calls", "Red"}


def test_a_part_has_used_what_its_own_rows_say() -> None:
    account, meter = priced_account(dimensions=("team",))
    make_budget(account, "40", name="Red", scope="key", dimension="team", dimension_value="red")
    now = timezone.now()
    use(account, meter, now, "100", g='{"team":"red"}')
    use(account, meter, now, "50", g='{"team":"blue"}')
    (left,) = told(account, "?team=red")["budgets"]
    assert (left["used"], left["remaining"]) == ("10", "30")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("?workflow=nobody", "/workflow"),
        ("?meter=nothing", "/meter"),
        ("?quantity=5", "/meter"),
        ("?meter=calls&quantity=-1", "/quantity"),
        ("?meter=calls&quantity=NaN", "/quantity"),
        ("?meter=calls&quantity=Infinity", "/quantity"),
        ("?meter=calls&quantity=1e999999", "/quantity"),
        ("?meter=calls&quantity=many", "/quantity"),
        ("?meter=calls&quantity=99999999999999999999", "/quantity"),
        ("?cost=-0.01", "/cost"),
        ("?cost=1&currency=EUR", "/currency"),
        ("?cost=1&currency=euro", "/currency"),
        ("?cost=1&meter=calls&quantity=1", "/quantity"),
        ("?kye=a", "/kye"),
        ("?team=%00", "/team"),
        ("?workflow=%00", "/workflow"),
        ("?meter=calls&quantity=1&events=-1", "/events"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(query: str, pointer: str) -> None:
    account, _ = priced_account(dimensions=("team",))
    found, words = refused(account, query)
    assert found == pointer
    assert words.endswith("."), words


def test_a_meter_without_a_price_or_without_a_sum_is_refused_in_words() -> None:
    account, _ = priced_account()
    make_meter(account.organization, "seats", key="seats", aggregation=Meter.Aggregation.MAX)
    make_meter(account.organization, "free", key="free")
    assert "add up" in refused(account, "?meter=seats&quantity=1")[1]
    assert "no price in USD" in refused(account, "?meter=free&quantity=1")[1]


def test_a_price_by_single_events_is_not_guessed() -> None:
    account, _ = priced_account({"model": "percentage", "params": {"percent": "1", "free_events": 3}})
    assert "single events" in refused(account, "?meter=calls&quantity=1")[1]


def test_unknown_accounts_and_those_of_others_are_not_there() -> None:
    account, _ = priced_account()
    other = make_account(make_organization())
    for key in (other.key, "nobody", "a%00b"):
        account.key = key
        assert ask(account).status_code == 404


def test_a_key_of_another_account_does_not_see_it() -> None:
    account, _ = priced_account()
    sibling = make_account(account.organization)
    _, secret = make_key(account.organization, (Scope.READ,), account=sibling)
    headers = {"Authorization": f"Bearer {secret}"}
    assert Client().get(f"/api/v1/accounts/{account.key}/headroom", headers=headers).status_code == 404
    assert Client().get(f"/api/v1/accounts/{sibling.key}/headroom", headers=headers).status_code == 200


def test_without_a_good_key_or_scope_it_is_refused() -> None:
    account, _ = priced_account()
    assert ask(account, Authorization="Bearer ccs_live_no").status_code == 401
    assert ask(account, Authorization="").status_code in (401, 403)
    assert ask(account, scopes=(Scope.EVENTS_WRITE,)).status_code == 403
    assert ask(account, scopes=(Scope.MANAGE,)).status_code == 200


def test_a_key_that_was_seen_before_is_refused_as_soon_as_it_ends() -> None:
    account, _ = priced_account()
    for scope in ({}, {"account": account}):
        row, secret = make_key(account.organization, (Scope.READ,), **scope)
        headers, url = {"Authorization": f"Bearer {secret}"}, f"/api/v1/accounts/{account.key}/headroom"
        now = timezone.now()
        for end in ({"revoked_at": now}, {"expires_at": now - timedelta(seconds=1)}):
            assert [Client().get(url, headers=headers).status_code for _ in range(3)] == [200, 200, 200]
            enter(staff_of(account))
            ApiKey.objects.filter(pk=row.pk).update(**end)
            assert Client().get(url, headers=headers).status_code == 401
            assert Client().get(f"{url}?kye=1", headers=headers).status_code == 401
            enter(staff_of(account))
            ApiKey.objects.filter(pk=row.pk).update(revoked_at=None, expires_at=None)


def test_the_second_question_of_a_key_takes_two_round_trips(django_assert_num_queries: Any) -> None:
    account, meter = priced_account()
    make_budget(account, "100")
    make_budget(account, "50", name="Calls", scope="meter", meter=meter)
    _, secret = make_key(account.organization, (Scope.READ,))
    headers, url = {"Authorization": f"Bearer {secret}"}, f"/api/v1/accounts/{account.key}/headroom"
    for query, queries in (("", 3), ("", 2), ("?meter=calls", 2), ("?meter=calls&quantity=5", 3)):
        with django_assert_num_queries(queries):
            assert Client().get(url + query, headers=headers).status_code == 200


def test_people_ask_it_too() -> None:
    account, _ = priced_account()
    client = signed_in(make_member(account))
    assert client.get(f"/api/v1/accounts/{account.key}/headroom").json()["decision"] == "allow"
    assert client.post(f"/api/v1/accounts/{account.key}/headroom").status_code in (403, 405)


def limited(state: str, **fields: Any) -> tuple[Account, Budget]:
    account, _ = priced_account()
    budget = make_budget(account, "100")
    limit = set_limit(staff_of(account), budget, NewLimit(action="stop"), timezone.now())
    now = timezone.now()
    times: dict[str, Any] = {
        "since": now,
        "period_start": now - timedelta(days=1),
        "period_end": now + timedelta(days=1),
    }
    LimitState.objects.create(
        organization_id=account.organization_id,
        account=account,
        budget=budget,
        limit=limit,
        state=state,
        **times | fields,
    )
    return account, budget


def test_a_limit_in_force_says_when_it_ends() -> None:
    account, _ = limited("acting")
    answer = ask(account)
    body = answer.json()
    assert (body["decision"], body["retry_after"] > 0) == ("stop", True)
    assert answer["Retry-After"] == str(body["retry_after"])
    ends_at = datetime.fromisoformat(body["budgets"][0]["ends_at"])
    assert abs((ends_at - timezone.now()).total_seconds() - body["retry_after"]) < 5
    assert ask(account, **{"If-None-Match": answer["ETag"]}).status_code == 304


def test_a_grace_says_when_it_ends_and_a_lift_too() -> None:
    soon = timezone.now() + timedelta(minutes=10)
    account, _ = limited("grace", acts_at=soon)
    body = told(account)
    assert (body["decision"], datetime.fromisoformat(body["acts_at"]), body["retry_after"]) == ("warn", soon, None)
    account, _ = limited("lifted", lifted_until=soon)
    body = told(account)
    assert (body["decision"], datetime.fromisoformat(body["lifted_until"])) == ("allow", soon)


def test_a_state_of_a_past_period_is_over() -> None:
    account, _ = limited("acting", period_end=timezone.now() - timedelta(seconds=1))
    assert told(account)["decision"] == "allow"


def test_the_forecast_after_a_batch_adds_it_to_what_is_expected() -> None:
    account, _ = priced_account()
    make_budget(account, "400")
    enter(staff_of(account))
    path = [float(10 * day) for day in range(1, 401)]
    now = timezone.now()
    ForecastRun.objects.create(
        organization_id=account.organization_id, account=account, as_of=now.date(), made_at=now, basis="model",
        inputs_hash="test", currency="USD", spend_p10=path, spend_p50=path, spend_p90=path,
    )  # fmt: skip
    (left,) = told(account)["budgets"]
    total = 10 * (datetime.fromisoformat(left["ends_at"]).date() - now.date()).days
    assert left["forecast_after"] == {"p50": str(total), "p90": str(total), "probability_over": "0"}
    (left,) = told(account, "?cost=500")["budgets"]
    total += 500
    assert left["forecast_after"] == {"p50": str(total), "p90": str(total), "probability_over": "1"}


def test_a_budget_without_a_limit_warns_of_what_would_use_it_up() -> None:
    account, _ = priced_account()
    make_budget(account, "100")
    assert told(account, "?cost=99.99")["decision"] == "allow"
    body = told(account, "?cost=100")
    assert (body["decision"], body["reason"]) == ("warn", "This work would use up “Production”.")


def test_an_account_without_budgets_is_allowed_and_has_no_remainder() -> None:
    account, _ = priced_account()
    body = told(account)
    assert (body["decision"], body["remaining"], body["budgets"]) == ("allow", None, [])


def test_the_figures_are_those_of_the_budget_page() -> None:
    account, meter = priced_account(timezone="Pacific/Auckland")
    for period in ("day", "month", "quarter", "year"):
        make_budget(account, "500", name=period, period=period)
    now = timezone.now()
    use(account, meter, now, "321")
    enter(staff_of(account))
    uses = {
        use.budget.name: (str(use.used), use.end) for use in budget_uses(account.organization_id, now, [account.pk])
    }
    for row in told(account)["budgets"]:
        used, end = uses[row["name"]]
        assert (Decimal(row["used"]), datetime.fromisoformat(row["ends_at"])) == (Decimal(used), end)


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_the_answers_are_the_same() -> None:
    """As in production, where statements are planned once a connection and nothing surrounds them."""
    with transaction.atomic():
        account, meter = priced_account(BY_REGION, ("region",))
        make_budget(account, "200")
        make_budget(account, "40", name="Term", period="term")
        make_budget(account, "30", name="EU", scope="key", dimension="region", dimension_value="eu")
        _, secret = make_key(account.organization, (Scope.READ,))
    headers = {"Authorization": f"Bearer {secret}"}
    url = f"/api/v1/accounts/{account.key}/headroom?meter={meter.key}&quantity=1200&region=eu"
    for _ in range(7):  # past the five for which the server makes plans of their own
        body = Client().get(url, headers=headers).json()
        assert (body["estimated_cost"], [row["after"] for row in body["budgets"]]) == ("106", ["94", "-76"])
    assert not Account.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_broke_meanwhile_is_replaced() -> None:
    with transaction.atomic():
        account, _ = priced_account()
        _, secret = make_key(account.organization, (Scope.READ,))
    headers, url = {"Authorization": f"Bearer {secret}"}, f"/api/v1/accounts/{account.key}/headroom"
    assert Client().get(url, headers=headers).status_code == 200
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ((pid,),) = cursor.fetchall()
    other = psycopg2.connect(**connection.get_connection_params() | {"cursor_factory": None})
    other.cursor().execute("SELECT pg_terminate_backend(%s)", [pid])
    other.commit()
    other.close()
    assert Client().get(url, headers=headers).json()["decision"] == "allow"
