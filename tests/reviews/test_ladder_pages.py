"""The pages of the ladder: the board, what the customer sees of it, decisions, all accounts, and the rules."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, Role
from consumption_cs.lib.tenancy import enter
from reviews.actions import ladder
from reviews.models import AdoptionPlan, Candidate, GateTick, LadderCard, LadderRules, Objective, RungMove
from tests.factories import make_account, make_member, make_organization, make_workflow, signed_in, staff_of
from tests.reviews.ladder_factories import make_flow, person
from usage.models import Workflow

pytestmark = pytest.mark.django_db


def seen(client: Client, url: str, **headers: Any) -> str:
    response = client.get(url, **headers)
    assert response.status_code == 200
    return re.sub(r"\s+", " ", response.content.decode())


def words_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def ready_flow(**fields: Any) -> tuple[Workflow, RungMove]:
    """A pilot whose step up to production waits for somebody."""
    now = timezone.now()
    flow = make_flow("pilot", until=now.date(), **fields)
    ladder.tick(person(flow.account), flow.account, flow, "runbook", "Leo", now - timedelta(days=2))
    ladder.check_ladders(flow.account.organization_id, now)
    enter(staff_of(flow.account))
    return flow, RungMove.objects.get(workflow=flow)


def csm_of(account: Account) -> Client:
    return signed_in(make_member(account.organization, Role.CSM))


def board_url(account: Account) -> str:
    return reverse("reviews:ladder", args=[account.pk])


def card_url(flow: Workflow) -> str:
    return reverse("reviews:ladder_card", args=[flow.account_id, flow.pk])


def test_the_board_shows_each_workflow_on_its_rung_with_its_gates() -> None:
    flow, _ = ready_flow()
    make_workflow(flow.account, "Returns notes", stage="idea")
    page = words_of(seen(csm_of(flow.account), board_url(flow.account)))
    assert "0 of 2 workflows are in production; Invoice OCR is ready for Production." in page
    assert "4 of 4 to Production" in page
    assert "Ready for Production since" in page
    assert "No billable use yet" in page
    assert "Steps to decide 1 1 up" in page


def test_an_empty_board_asks_for_the_first_workflow() -> None:
    account = make_account()
    assert "Add the first workflow" in seen(csm_of(account), board_url(account))


def test_a_card_opens_under_the_board_and_by_its_own_address() -> None:
    flow, _ = ready_flow()
    client = csm_of(flow.account)
    part = seen(client, card_url(flow), headers={"HX-Request": "true"})
    assert "<html" not in part
    assert "Move up to Production" in part
    whole = seen(client, card_url(flow))
    assert 'id="board"' in whole
    assert "Move up to Production" in whole


def test_a_customer_reads_the_board_without_proposals_reasons_or_forms() -> None:
    flow, move = ready_flow()
    csm = person(flow.account)
    ladder.decline(csm, flow.account, move, "Their sponsor is leaving.", timezone.now())
    ladder.set_rung(
        csm,
        flow.account,
        flow,
        "production",
        "We need the number.",
        timezone.localdate() + timedelta(days=9),
        timezone.now(),
    )
    client = signed_in(make_member(flow.account, Role.PORTAL_VIEWER))
    for url in (board_url(flow.account), card_url(flow)):
        page = seen(client, url)
        assert "Invoice OCR" in page
        assert "Set from Pilot to Production by hand" in page
        assert "Rungs climbed 3 of 5 60% of the ladder" in words_of(page)
        for word in (
            "sponsor is leaving",
            "need the number",
            "declined",
            "Check now",
            "Gate rules",
            "What Northwind sees",
        ):
            assert word not in page
        assert "/ladder/rules/" not in page
        assert "Set its rung by hand" not in page


def test_staff_may_look_at_the_page_as_the_customer_does() -> None:
    flow, _ = ready_flow()
    page = words_of(seen(csm_of(flow.account), board_url(flow.account) + "?view=customer"))
    assert "This is what Northwind sees" in page
    assert "Ready for Production" not in page
    assert "Check now" not in page


def test_the_plan_stands_under_the_board_without_internal_items_for_the_customer() -> None:
    flow, _ = ready_flow()
    today = timezone.localdate()
    own: dict[str, Any] = {"organization": flow.account.organization, "account": flow.account}
    plan = AdoptionPlan.objects.create(
        **own, title="Year one", starts_on=today, ends_on=today + timedelta(days=300), state="active",
        changed_at=timezone.now(),
    )  # fmt: skip
    for title, is_shared in (("Five in production", True), ("A second sponsor", False)):
        Objective.objects.create(
            **own, plan=plan, title=title, starts_on=today, due_on=plan.ends_on, is_shared=is_shared
        )
    whole = words_of(seen(csm_of(flow.account), board_url(flow.account)))
    assert "Five in production" in whole
    assert "A second sponsor" in whole
    assert "Northwind sees 1 of 2 plan items and the workflow." in whole
    preview = words_of(seen(csm_of(flow.account), board_url(flow.account) + "?view=customer"))
    portal = words_of(seen(signed_in(make_member(flow.account)), board_url(flow.account)))
    for page in (preview, portal):
        assert "Five in production" in page
        assert "A second sponsor" not in page


def test_candidates_stand_under_the_board_for_staff_alone() -> None:
    flow, _ = ready_flow()
    Candidate.objects.create(
        organization=flow.account.organization, account=flow.account, title="Returns notes", source="idea",
        currency="USD", value_a_month=5200, evidence="0.8", effort_weeks=2, known="Thirty samples",
        is_shared=True,
    )  # fmt: skip
    whole = words_of(seen(csm_of(flow.account), board_url(flow.account)))
    assert "Begin Returns notes first: $2,080 of value for each week of effort" in whole
    assert "Thirty samples" not in seen(csm_of(flow.account), board_url(flow.account) + "?view=customer")
    assert "Thirty samples" not in seen(signed_in(make_member(flow.account)), board_url(flow.account))


def test_who_only_reads_has_no_buttons() -> None:
    flow, move = ready_flow()
    analyst = signed_in(make_member(flow.account.organization, Role.ANALYST))
    assert "Move up to Production</button>" not in seen(analyst, card_url(flow))
    url = reverse("reviews:ladder_decide", args=[flow.account_id, move.pk])
    assert analyst.post(url, {"answer": "confirm"}).status_code == 403


def test_a_step_is_confirmed_on_the_page() -> None:
    flow, move = ready_flow()
    client = csm_of(flow.account)
    url = reverse("reviews:ladder_decide", args=[flow.account_id, move.pk])
    response = client.post(url, {"answer": "confirm"}, follow=True)
    assert "Invoice OCR stands on Production now." in response.content.decode()
    again = client.post(url, {"answer": "confirm"})
    assert again.status_code == 422
    assert "Somebody has decided this proposal" in again.content.decode()


def test_a_step_is_declined_with_a_reason() -> None:
    flow, move = ready_flow()
    client = csm_of(flow.account)
    url = reverse("reviews:ladder_decide", args=[flow.account_id, move.pk])
    assert "Say why" in client.post(url, {"answer": "decline", "reason": ""}).content.decode()
    assert client.post(url, {"answer": "decline", "reason": "Not before May."}).status_code == 302
    assert "Not before May." in seen(client, card_url(flow))


def test_a_rung_is_set_and_given_back_on_the_page() -> None:
    flow, _ = ready_flow()
    client, until = csm_of(flow.account), timezone.localdate() + timedelta(days=20)
    url = reverse("reviews:ladder_rung", args=[flow.account_id, flow.pk])
    refused = client.post(url, {"stage": "hardened", "reason": "x", "expires_on": until + timedelta(days=365)})
    assert refused.status_code == 422
    assert "at most 90 days" in refused.content.decode()
    assert (
        client.post(url, {"stage": "hardened", "reason": "A board decision.", "expires_on": until}).status_code == 302
    )
    assert "A board decision." in seen(client, card_url(flow))
    enter(staff_of(flow.account))
    move = RungMove.objects.get(kind="override")
    end = reverse("reviews:ladder_end", args=[flow.account_id, move.pk])
    assert client.post(end).status_code == 302
    assert client.post(end).status_code == 422


def test_gates_are_ticked_and_owners_named_on_the_page() -> None:
    flow = make_flow("idea", days=0)
    client = csm_of(flow.account)
    tick = reverse("reviews:ladder_tick", args=[flow.account_id, flow.pk])
    assert client.post(tick, {"key": "access", "value": "granted"}).status_code == 302
    assert client.post(tick, {"key": "runs"}).status_code == 422
    edit = reverse("reviews:ladder_edit", args=[flow.account_id, flow.pk])
    assert client.post(edit, {"their_owner": "Dana Wolff", "next_gate_on": "2026-12-01"}).status_code == 302
    assert client.post(edit, {"their_owner": "Dana Wolff", "next_gate_on": "soon"}).status_code == 422
    page = words_of(seen(client, card_url(flow)))
    assert "2 of 3 to Building" in page
    assert "Owner named Dana" in page
    assert "Only its value is missing" in page
    assert client.post(tick, {"key": "access", "on": "no"}).status_code == 302
    enter(staff_of(flow.account))
    assert GateTick.objects.get().revoked_at is not None


def test_old_and_failed_checks_are_told() -> None:
    flow, _ = ready_flow()
    LadderCard.objects.update(checked_at=timezone.now() - timedelta(hours=3), could_not_check=True)
    page = seen(csm_of(flow.account), board_url(flow.account))
    assert "Could not check everything" in page
    assert "gates old" in page
    assert "Could not check; these are the gates of" in page


def test_gates_are_checked_at_once_when_asked() -> None:
    flow = make_flow("pilot", days=0)
    client = csm_of(flow.account)
    response = client.post(reverse("reviews:ladder_check", args=[flow.account_id]), follow=True)
    assert "All gates were checked." in response.content.decode()


def test_all_accounts_list_those_that_need_somebody_first() -> None:
    flow, _ = ready_flow()
    other = make_flow("pilot", account=make_account(flow.account.organization, "Southwind"), name="Triage", days=0)
    ladder.check_ladders(flow.account.organization_id, timezone.now())
    enter(staff_of(other.account))
    client = csm_of(flow.account)
    page = words_of(seen(client, reverse("reviews:ladders")))
    assert "0 of 2 workflows are in production; 1 can move up." in page
    assert page.index("Invoice OCR") < page.index("Triage")
    assert "Southwind" not in seen(client, reverse("reviews:ladders") + "?show=up")
    assert "Invoice OCR" not in seen(client, reverse("reviews:ladders") + "?q=south")
    assert "No workflow fits" in seen(client, reverse("reviews:ladders") + "?mine=1")
    lines = client.get(reverse("reviews:ladders_csv")).content.decode().splitlines()
    assert len(lines) == 3
    assert "Ready for Production" in lines[1]


def test_rules_are_read_by_all_staff_and_changed_by_some() -> None:
    organization = make_organization()
    csm = signed_in(make_member(organization, Role.CSM))
    url = reverse("reviews:ladder_rules")
    assert "These are the rules every organization begins with" in seen(csm, url)
    assert "?edit=1" not in seen(csm, url)
    assert csm.post(url, {}).status_code == 403


def test_new_rules_are_put_in_force_as_a_version() -> None:
    organization = make_organization()
    leader, url = signed_in(make_member(organization, Role.LEADER)), reverse("reviews:ladder_rules")
    assert 'name="production-runs"' in seen(leader, url + "?edit=1")
    asked = {f"{rung}-legal": "on" for rung in ("building", "pilot", "production", "hardened", "scaled")}
    asked |= {"production-runs": "on", "production-runs-need": "400", "note": "Only busy ones"}
    assert leader.post(url, asked).status_code == 302
    enter(staff_of(organization))
    rules = LadderRules.objects.get()
    assert (rules.number, rules.note) == (1, "Only busy ones")
    assert rules.gates["production"] == [{"key": "legal", "need": None}, {"key": "runs", "need": "400"}]
    page = words_of(seen(leader, url))
    assert "Version 1 is in force" in page
    assert "Runs ≥ 400" in page
    refused = leader.post(url, {"note": "None at all"})
    assert refused.status_code == 422
    assert "Building needs at least one gate" in refused.content.decode()


def test_a_rung_changes_by_the_ladder_alone_once_a_workflow_is_there() -> None:
    flow = make_flow("pilot", days=0)
    client = csm_of(flow.account)
    url = reverse("usage:workflow_edit", args=[flow.account_id, flow.pk])
    assert 'name="stage"' not in seen(client, url)
    assert 'name="stage"' in seen(client, reverse("usage:workflow_new", args=[flow.account_id]))
    saved = client.post(url, {"name": "OCR", "stage": "scaled", "outcome_unit": "page", "success_target": "95"})
    assert saved.status_code == 302
    enter(staff_of(flow.account))
    flow.refresh_from_db()
    assert (flow.name, flow.stage) == ("OCR", "pilot")
