"""Metrics, health and early warnings over the API: what is known with its inputs, what is not with its reason."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Role, Scope
from consumption_cs.lib.tenancy import enter, leave
from reviews.calc.metrics import DEFINITIONS
from reviews.models import Signal
from tests import factories
from tests.world_health import make_scored

pytestmark = pytest.mark.django_db
API = "/api/v1"


@pytest.fixture
def account() -> Account:
    made = factories.make_account(key="north/wind", timezone="UTC")
    by = factories.make_member(made.organization, Role.CSM).user
    enter(factories.staff_of(made))
    make_scored(made, by, "canary", timezone.now())
    return made


def client(account: Account, scope: str = Scope.READ, of: Account | None = None) -> Client:
    _, secret = factories.make_key(account.organization, (scope,), account=of)
    leave()
    return Client(headers={"Authorization": f"Bearer {secret}"})


def read(caller: Client, path: str) -> Any:
    answer = caller.get(f"{API}/{path}")
    assert answer.status_code == 200, answer.json()
    return answer.json()


def test_every_metric_has_a_formula_and_margin_is_for_those_who_may_see_it(account: Account) -> None:
    found = {row["name"]: row for row in read(client(account), "metrics")["results"]}
    assert set(DEFINITIONS) - set(found) == {"margin_percent"}
    assert all(row["formula"] for row in found.values())
    finance = factories.signed_in(factories.make_member(account.organization, Role.ADMIN))
    assert "margin_percent" in {row["name"] for row in read(finance, "metrics")["results"]}


def test_metrics_of_the_last_day_are_told_with_reasons_and_inputs(account: Account) -> None:
    told = read(client(account), "accounts/north/wind/metrics")
    rows = {row["name"]: row for row in told["results"]}
    assert told["day"] == (timezone.now() - timedelta(days=1)).date().isoformat()
    assert rows["change_28"] == {"name": "change_28", "unit": "percent", "value": "-38", "reason": "", "inputs": {}}
    assert rows["at_risk"]["inputs"] == {"words": "canary"}
    assert rows["burn_rate"]["value"] is None
    assert rows["burn_rate"]["reason"]
    before = (timezone.now() - timedelta(days=20)).date()
    assert read(client(account), f"accounts/north/wind/metrics?day={before}")["day"] is None


def test_metrics_by_day(account: Account) -> None:
    days = read(client(account), "accounts/north/wind/metrics/days?names=pacing,burn_rate")["results"]
    assert [row["values"] for row in days] == [{"pacing": "1.31", "burn_rate": None}] * 2
    recent = (timezone.now() - timedelta(days=3)).date()
    assert len(read(client(account), f"accounts/north/wind/metrics/days?names=pacing&from={recent}")["results"]) == 1


def test_health_is_the_word_of_a_person_while_it_holds_with_the_measured_days_beside_it(account: Account) -> None:
    caller = client(account)
    told = read(caller, "accounts/north/wind/health")
    assert (told["score"], told["band"], told["moved"], told["reason"]) == ("64", "fair", "-7", "")
    assert {"kind": "word", "points": "6", "moved": "6", "reason": "canary"}.items() <= told["laid_over"][-1].items()
    assert (told["override"]["score"], told["override"]["reason"]) == (64, "canary")
    assert told["forced_reds"][0]["name"] == "silent"
    assert told["parts"][0]["points"] == "7.5"
    assert read(caller, "health")["results"] == [told]
    days = read(caller, "accounts/north/wind/health/days")["results"]
    assert [(row["score"], row["recipe"]) for row in days] == [("71", 1), ("58", 1)]


def test_an_account_that_was_never_looked_at_says_so(account: Account) -> None:
    factories.make_account(account.organization, key="new")
    caller = client(account)
    told = read(caller, "accounts/new/health")
    assert (told["score"], told["band"], told["day"], told["override"]) == (None, "none", None, None)
    assert "every night" in told["reason"]
    assert read(caller, "accounts/new/metrics")["day"] is None
    assert len(read(caller, "health")["results"]) == 2


def test_recipes_are_told_with_the_one_in_force(account: Account) -> None:
    (row,) = read(client(account), "health-recipes")["results"]
    assert (row["number"], row["is_in_force"], len(row["body"]["measures"])) == (1, True, 7)


def test_warnings_are_listed_and_judged(account: Account) -> None:
    signal = Signal.objects.get()
    caller, address = client(account, Scope.MANAGE), f"{API}/signals/{signal.pk}/feedback"
    (row,) = read(caller, "signals?state=open&kind=falling")["results"]
    assert (row["account"], row["headline"], row["feedback"]) == ("north/wind", "canary fell", None)
    assert read(caller, "accounts/north/wind/signals?state=closed")["results"] == []
    assert caller.post(address, {"feedback": "odd"}, "application/json").status_code == 400
    assert caller.post(address, {"feedback": "useful"}, "application/json").json()["feedback"] == "useful"
    assert client(account).post(address, {"feedback": "wrong"}, "application/json").status_code == 403
    (kind,) = read(client(account), "signals/precision")["results"]
    assert (kind["kind"], kind["useful"], kind["judged"]) == ("falling", 1, 1)
    assert (kind["warnings"], kind["too_early"], kind["precision"]) == (0, 1, None)
    enter(factories.staff_of(account))
    assert Signal.objects.get().feedback == "useful"


@pytest.mark.parametrize(
    "path",
    [
        "signals?state=odd",
        "signals?kind=odd",
        "accounts/north/wind/metrics?day=tomorrow",
        "accounts/north/wind/metrics/days",
        "accounts/north/wind/metrics/days?names=luck",
        "accounts/north/wind/metrics/days?names=margin_percent",
        "accounts/north/wind/metrics/days?names=pacing&from=2001-01-01",
        "accounts/north/wind/health/days?from=2001-01-01",
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(account: Account, path: str) -> None:
    answer = client(account).get(f"{API}/{path}")
    assert answer.status_code == 400
    assert answer.json()["errors"]


def test_customers_and_other_organizations_learn_nothing(account: Account) -> None:
    own = ("metrics", "metrics/days?names=pacing", "health", "health/days", "signals")
    paths = ("metrics", "health", "health-recipes", "signals", "signals/precision",
             *(f"accounts/north/wind/{name}" for name in own))  # fmt: skip
    theirs = client(account, of=account)
    other = factories.make_account(factories.make_organization("Other"), key="other")
    strangers = client(other)
    for path in paths:
        assert theirs.get(f"{API}/{path}").status_code == 403, path
        answer = strangers.get(f"{API}/{path}")
        assert "canary" not in answer.content.decode()
        assert answer.status_code == (404 if path.startswith("accounts/") else 200), path


def test_a_page_of_accounts_takes_as_many_queries_as_one(account: Account, django_assert_max_num_queries: Any) -> None:
    for number in range(20):
        factories.make_account(account.organization, f"Customer {number}")
    caller = client(account)
    with django_assert_max_num_queries(14):
        assert len(read(caller, "health")["results"]) == 21
