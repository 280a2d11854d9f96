"""The pages of plays: what they say, what can be done there, and who may."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Role
from consumption_cs.lib.tenancy import enter, leave
from reviews.actions import plays as acting
from reviews.actions.play_catalog import ensure_plays
from reviews.models import AccountMetrics, Play, PlayRun, PlayVersion
from tests import factories
from tests.reviews.play_factories import make_book, play_of

pytestmark = pytest.mark.django_db
BURNING = {"pacing": "1.31", "run_out_percent": "64", "at_risk": "17000"}


def measured(account: Account, **numbers: str) -> None:
    now = timezone.now()
    enter(factories.staff_of(account))
    AccountMetrics.objects.update_or_create(
        organization_id=account.organization_id, account=account, day=now.date() - timedelta(days=1),
        defaults={"numbers": numbers, "computed_at": now},
    )  # fmt: skip


def visitor(account: Account, role: str = Role.LEADER) -> Client:
    client = factories.signed_in(factories.make_member(account.organization, role))
    leave()
    return client


def text(response: Any) -> str:
    assert response.status_code == 200, response.status_code
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", response.content.decode()))


def ran() -> tuple[Account, PlayRun]:
    (account,) = make_book()
    measured(account, **BURNING)
    (run,) = acting.check(account.organization_id, timezone.now())
    return account, run


def test_the_catalogue_shows_the_ten_plays_also_before_the_first_check() -> None:
    (account,) = make_book()
    said = text(visitor(account, Role.ANALYST).get("/plays/"))
    assert "No play is at work." in said
    assert (
        "When pacing is above 1.25 and chance to run out in the term is above 50%; until pacing is below 1.15" in said
    )
    assert "none has ended" in said


def test_a_run_says_why_it_began_what_is_next_and_what_its_exit_needs() -> None:
    account, run = ran()
    url = f"/accounts/{account.pk}/plays/{run.pk}/"
    said = text(visitor(account).get(url))
    assert "Pacing is 1.31, above 1.25. Chance to run out in the term is 64%, above 50%." in said
    assert "Its exit does not hold yet" in said
    assert "Pacing is 1.31, needs below 1.15" in said
    assert "$17,000" in said
    measured(account, pacing="1.1")
    assert "Its exit holds now" in text(visitor(account).get(url))


def test_steps_notes_hand_over_and_stopping_on_the_page() -> None:
    account, run = ran()
    colleague = factories.make_member(account.organization, Role.CSM, factories.make_user(name="Elif Demir")).user
    enter(factories.staff_of(account))
    task, client = run.tasks.get(step=0), visitor(account, Role.CSM)
    url = f"/accounts/{account.pk}/plays/{run.pk}/"
    assert "1 of 3 steps done" in text(client.post(f"{url}done/", {"task": task.pk}, follow=True))
    assert "0 of 3 steps done" in text(client.post(f"{url}reopen/", {"task": task.pk}, follow=True))
    assert "Growth, not a loop" in text(client.post(f"{url}note/", {"text": "Growth, not a loop"}, follow=True))
    assert "They are tasks of Elif Demir." in text(
        client.post(f"{url}hand-over/", {"person": colleague.pk}, follow=True)
    )
    assert "Say why it is stopped." in text(client.post(f"{url}stop/", {"reason": ""}, follow=True))
    said = text(client.post(f"{url}stop/", {"reason": "They know"}, follow=True))
    assert "It was stopped: “They know”." in said
    assert client.post(f"{url}dance/").status_code == 404
    assert client.post(f"{url}done/", {"task": "x"}).status_code == 404


def test_a_play_is_started_on_the_accounts_page_and_not_twice() -> None:
    (account,) = make_book()
    client = visitor(account, Role.CSM)
    assert "No play has run here" in text(client.get(f"/accounts/{account.pk}/plays/"))
    start = f"/accounts/{account.pk}/plays/start/"
    assert "Rank the next workflow" in text(client.post(start, {"play": "underburn"}, follow=True))
    assert "running already" in text(client.post(start, {"play": "underburn"}, follow=True))
    assert "choose it" in text(client.post(start, {"play": "reliability"}, follow=True))
    assert "Choose a play." in text(client.post(start, {"play": "nothing"}, follow=True))


def form_of(client: Client, url: str) -> dict[str, str]:
    """Return what a browser would send of the editor as it is shown."""
    page = client.get(url).content.decode()
    page = page[page.index('class="play-editor"') :]
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", page):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and ('type="checkbox"' not in tag or "checked" in tag):
            found[name[1]] = value[1] if value else "on"
    for name, inner in re.findall(r'<select name="([^"]+)"[^>]*>(.*?)</select>', page, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', inner) or re.search(r'value="([^"]*)"', inner)
        found[name] = chosen[1] if chosen else ""
    for name, inner in re.findall(r'<textarea name="([^"]+)"[^>]*>(.*?)</textarea>', page, re.DOTALL):
        found[name] = inner.strip()
    return {name: unescape(value) for name, value in found.items()}


@pytest.mark.parametrize("key", ["overburn", "renewal", "stalled_onboarding", "champion_lost", "single_workflow_risk"])
def test_the_editor_saved_as_it_is_adds_no_version(key: str) -> None:
    (account,) = make_book()
    client, url = visitor(account), f"/plays/{key}/edit/"
    sent = form_of(client, url)
    assert "It says the same as before." in text(client.post(url, sent, follow=True))
    enter(factories.staff_of(account))
    assert PlayVersion.objects.filter(play__key=key).count() == 1


def test_an_edited_condition_is_a_new_version_and_says_for_whom_it_holds() -> None:
    (account,) = make_book()
    measured(account, pacing="1.2", run_out_percent="64")
    client, url = visitor(account), "/plays/overburn/edit/"
    sent = form_of(client, url) | {"entry-0-value": "1.1", "exit-0-value": "1.0"}
    said = text(client.post("/plays/preview/", sent))
    assert "It would hold now for 1 of 1 accounts, and would have begun 1 time in the last 90 days, on 1" in said
    overlapping = text(client.post("/plays/preview/", sent | {"exit-0-value": "1.3"}))
    assert "It would hold now for 0 of 1 accounts" in overlapping
    assert "Where it begins and where it ends overlap on 1 day" in overlapping
    saved = text(client.post(url, sent, follow=True))
    assert "Version 2 holds from now on. It holds now for 1 of 1 accounts." in saved
    enter(factories.staff_of(account))
    version = PlayVersion.objects.get(play__key="overburn", number=2)
    assert version.entry == {
        "all": [{"op": ">", "value": 1.1, "metric": "pacing"}, {"op": ">", "value": 50, "metric": "run_out_percent"}]
    }


def test_a_play_of_ones_own_is_added_and_what_is_wrong_is_said() -> None:
    (account,) = make_book()
    client = visitor(account)
    sent = form_of(client, "/plays/new/") | {"name": "Too much waste", "entry-0-metric": "waste_percent"}
    refused = client.post("/plays/new/", sent)
    assert refused.status_code == 422
    assert "Give the number it is compared to." in refused.content.decode()
    sent |= {"entry-0-op": ">", "entry-0-value": "15"}
    assert "Say when it ends" in client.post("/plays/new/", sent).content.decode()
    sent |= {"exit-0-metric": "waste_percent", "exit-0-op": "<", "exit-0-value": "5"}
    assert "at least one step" in client.post("/plays/new/", sent).content.decode()
    sent |= {"steps-0-title": "Look at it", "steps-0-within_days": "2"}
    assert "is added" in text(client.post("/plays/new/", sent, follow=True))
    assert "waste of spend is above 15%" in text(client.get("/plays/too_much_waste/"))


def test_a_play_is_switched_off_and_on() -> None:
    (account,) = make_book()
    client = visitor(account)
    ensure = client.get("/plays/")
    assert ensure.status_code == 200
    assert "is off" in text(client.post("/plays/spike/switch/", {"active": "0"}, follow=True))
    assert "is on." in text(client.post("/plays/spike/switch/", {"active": "1"}, follow=True))


def test_who_may_not_manage_is_not_offered_it_and_customers_see_nothing() -> None:
    account, run = ran()
    csm = visitor(account, Role.CSM)
    assert "/edit/" not in csm.get("/plays/overburn/").content.decode()
    assert csm.get("/plays/overburn/edit/").status_code == 403
    reader = visitor(account, Role.ANALYST).get(f"/accounts/{account.pk}/plays/{run.pk}/").content.decode()
    assert "Hand over" not in reader
    owner = factories.signed_in(factories.make_member(account))
    leave()
    for path in ("/plays/", f"/accounts/{account.pk}/plays/", f"/accounts/{account.pk}/plays/{run.pk}/"):
        assert owner.get(path).status_code == 403


def test_an_ended_run_tells_what_was_moved() -> None:
    account, run = ran()
    measured(account, pacing="1.0", at_risk="4000")
    acting.check(account.organization_id, timezone.now())
    said = text(visitor(account).get(f"/accounts/{account.pk}/plays/{run.pk}/"))
    assert "ended by its exit; $13,000 less is at risk." in said
    listed = text(visitor(account).get("/plays/overburn/"))
    assert "1 of 1" in listed
    assert "$13,000" in listed
    enter(factories.staff_of(account))
    assert play_of(account, "overburn")
    ensure_plays(account.organization_id)
    assert Play.objects.count() == 10


def test_money_that_two_plays_of_an_account_moved_counts_once_above_the_list() -> None:
    (account,) = make_book()
    measured(account, **BURNING, commit_left="0")
    assert len(acting.check(account.organization_id, timezone.now())) == 2
    measured(account, pacing="1.0", at_risk="4000", commit_left="90000")
    acting.check(account.organization_id, timezone.now())
    said = text(visitor(account).get("/plays/"))
    assert re.search(r"Money moved out of risk\s*\$13,000\s*each account once", said)
    assert "$26,000" not in said
