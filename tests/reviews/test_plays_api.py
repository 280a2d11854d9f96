"""Plays over the API: read with a key, started, done and stopped with one that manages."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Role, Scope
from consumption_cs.lib.tenancy import enter, leave
from reviews.actions.play_catalog import ensure_plays
from reviews.models import PlayRun
from tests import factories

pytestmark = pytest.mark.django_db
API = "/api/v1"


@pytest.fixture
def account() -> Account:
    made = factories.make_account(key="northwind")
    enter(factories.staff_of(made))
    ensure_plays(made.organization_id)
    return made


def client(account: Account, scope: str = Scope.MANAGE, of: Account | None = None) -> Client:
    _, secret = factories.make_key(account.organization, (scope,), account=of)
    leave()
    return Client(headers={"Authorization": f"Bearer {secret}"})


def start(caller: Client, **body: Any) -> Any:
    return caller.post(f"{API}/accounts/northwind/play-runs", body, "application/json")


def test_plays_are_read_with_their_conditions_in_words(account: Account) -> None:
    found = client(account, Scope.READ).get(f"{API}/plays").json()["results"]
    assert len(found) == 10
    (one,) = [row for row in found if row["key"] == "overburn"]
    assert one["begins"] == "pacing is above 1.25 and chance to run out in the term is above 50%"
    assert one["entry"]["all"][0] == {"metric": "pacing", "op": ">", "value": 1.25}


def test_a_run_is_started_its_step_done_and_it_is_stopped(account: Account) -> None:
    caller = client(account)
    made = start(caller, play="overburn")
    assert made.status_code == 201, made.json()
    run = f"{API}/play-runs/{made.json()['id']}"
    assert start(caller, play="overburn").json()["errors"]
    assert caller.put(f"{run}/steps/1/completion").json()["steps"][0]["done_at"]
    assert caller.delete(f"{run}/steps/1/completion").json()["steps"][0]["done_at"] is None
    assert caller.put(f"{run}/steps/9/completion").status_code == 404
    assert caller.post(f"{run}/notes", {"text": "Growth"}, "application/json").status_code == 201
    assert caller.post(f"{run}/stop", {}, "application/json").status_code == 400
    assert caller.post(f"{run}/stop", {"reason": "Agreed"}, "application/json").json()["outcome"] == "stopped"
    assert caller.get(f"{API}/play-runs?state=running").json()["results"] == []
    (ended,) = caller.get(f"{API}/accounts/northwind/play-runs?state=ended").json()["results"]
    assert (ended["play"], ended["reason"]) == ("overburn", "Agreed")


def test_a_reading_key_starts_nothing_and_a_customers_key_sees_nothing(account: Account) -> None:
    assert start(client(account, Scope.READ), play="overburn").status_code == 403
    theirs = client(account, Scope.READ, of=account)
    for path in ("plays", "play-runs", "accounts/northwind/play-runs"):
        assert theirs.get(f"{API}/{path}").status_code == 403
    assert not PlayRun.objects.exists()


def test_staff_add_and_change_a_play(account: Account) -> None:
    caller = factories.signed_in(factories.make_member(account.organization, Role.LEADER))
    body = {
        "name": "Too much waste",
        "entry": {"metric": "waste_percent", "op": ">", "value": 15},
        "exit": {"metric": "waste_percent", "op": "<", "value": 5},
        "steps": [{"title": "Look"}],
    }
    made = caller.post(f"{API}/plays", body, "application/json")
    assert made.status_code == 201, made.json()
    changed = caller.patch(f"{API}/plays/too_much_waste", {"answer_hours": 24}, "application/json").json()
    assert (changed["version"], changed["answer_hours"], changed["steps"][0]["title"]) == (2, 24, "Look")
    assert caller.patch(f"{API}/plays/too_much_waste", {"is_active": False}, "application/json").json()["version"] == 2
    wrong = caller.patch(f"{API}/plays/too_much_waste", {"entry": {"metric": "luck"}}, "application/json")
    assert wrong.status_code == 400
    assert "luck" in str(wrong.json())


def test_what_is_not_there_is_said_so(account: Account) -> None:
    caller = client(account)
    assert start(caller, play="nothing").status_code == 400
    assert start(caller, play="reliability", workflow="nothing").status_code == 400
    assert caller.get(f"{API}/plays/nothing").status_code == 404
    assert caller.get(f"{API}/play-runs?state=odd").status_code == 400
    assert timezone.now()
