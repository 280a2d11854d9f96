"""The page of a published review: read, signed once, commented, corrected, checked, printed, compared."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, Role
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions.value_reviews import edit_draft, make_draft, publish
from reviews.models import Candidate, ReviewComment, ReviewSignature, ValueReview
from reviews.reports.review_since import since
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_usage_day,
    make_workflow,
    signed_in,
    staff_of,
)
from usage.models import Workflow

pytestmark = pytest.mark.django_db


def _account() -> Account:
    account = make_account(make_organization())
    meter, workflow = make_meter(account.organization), make_workflow(account, name="Invoice OCR")
    today = timezone.now().date()
    for ago in range(1, 100):
        make_usage_day(account, meter, today - timedelta(days=ago), workflow, outcomes=Decimal(9 + (ago < 40)))
    return account


def _published(account: Account, signers: tuple[dict[str, str], ...] = ()) -> ValueReview:
    member = make_member(account.organization, Role.CSM)
    viewer = Viewer(account.organization_id, None, Role.CSM, member.user_id)
    enter(viewer)
    today = timezone.now().date()
    draft = make_draft(viewer, account, today - timedelta(days=40), today, timezone.now())
    enter(viewer)
    edit_draft(viewer, draft, draft.narrative, [], list(signers), timezone.now())
    enter(viewer)
    return publish(viewer, draft, timezone.now())


def _url(name: str, review: ValueReview) -> str:
    return reverse(f"reviews:{name}", args=[review.account_id, review.pk])


def test_an_account_without_a_review_reads_when_the_first_one_comes() -> None:
    account = _account()
    client = signed_in(make_member(account, Role.PORTAL_VIEWER))
    text = client.get(reverse("reviews:value_reviews", args=[account.pk])).content.decode()
    assert "First review after 30 days of billable use" in text
    assert reverse("reviews:new_review", args=[account.pk]) not in text


def test_an_executive_signs_once_and_both_sides_see_it() -> None:
    account = _account()
    executive = make_member(account, Role.PORTAL_VIEWER)
    asked = {"name": "Victor Lind", "title": "COO", "email": executive.user.email}
    review, client = _published(account, (asked,)), signed_in(executive)
    assert "Waiting for your sign-off" in client.get(_url("value_review", review)).content.decode()
    for _ in range(2):
        answer = client.post(_url("sign_review", review), {"title": ""}, headers={"HX-Request": "true"})
        assert answer.status_code == 200
    assert 'id="sign-off"' in answer.content.decode()
    enter(staff_of(account.organization))
    signature = ReviewSignature.objects.get(review=review)
    assert (signature.title, signature.hash) == ("COO", review.hash)
    csm = signed_in(make_member(account.organization, Role.CSM))
    text = csm.get(_url("value_review", review)).content.decode()
    assert "Sign-off: 1 of 1 done" in text
    assert _url("sign_review", review) not in text


def test_who_may_not_sign_reads_who_can() -> None:
    account = _account()
    owner = make_member(account, Role.PORTAL_OWNER)
    engineer = make_member(account, Role.PORTAL_ENGINEER)
    review, client = _published(account), signed_in(engineer)
    answer = client.get(_url("value_review", review))
    assert answer.status_code == 200
    assert f"{owner.user.name or owner.user.email} can sign it off" in " ".join(answer.content.decode().split())
    assert client.post(_url("sign_review", review), {"title": ""}).status_code == 403


def test_a_request_for_a_correction_is_kept_and_a_note_stands_above_the_review() -> None:
    account = _account()
    review, customer = _published(account), signed_in(make_member(account, Role.PORTAL_OWNER))
    assert customer.post(_url("comment_review", review), {"kind": "request", "text": " "}).status_code == 422
    customer.post(_url("comment_review", review), {"kind": "request", "text": "July was <b>lower</b>."})
    enter(staff_of(account.organization))
    assert ReviewComment.objects.get(review=review).text == "July was <b>lower</b>."
    assert customer.post(_url("correct_review", review), {"text": "We say otherwise."}).status_code in (403, 404)
    csm = signed_in(make_member(account.organization, Role.CSM))
    csm.post(_url("correct_review", review), {"text": "July includes a backfill."})
    text = customer.get(_url("value_review", review)).content.decode()
    assert "Correction 1" in text
    assert "July includes a backfill." in text
    assert "July was &lt;b&gt;lower" in text
    assert text.index("July includes a backfill.") < text.index('<h1 id="h">')


def test_a_review_that_does_not_match_its_hash_says_so_and_cannot_be_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    account = _account()
    review, client = _published(account), signed_in(make_member(account, Role.PORTAL_OWNER))
    assert "Sign off review 1" in client.get(_url("value_review", review)).content.decode()
    monkeypatch.setattr("reviews.actions.value_reviews.digest", lambda content: "0" * 64)
    text = client.get(_url("value_review", review)).content.decode()
    assert "Does not match its hash" in text
    assert "Sign off review 1" not in text
    client.post(_url("sign_review", review), {"title": ""})
    enter(staff_of(account.organization))
    assert not ReviewSignature.objects.filter(review=review).exists()
    assert client.get(_url("check_review", review)).status_code == 200


def test_each_printed_page_bears_number_and_hash_and_a_name_cannot_end_the_rule() -> None:
    account = _account()
    account.name = 'Nord"; } body { display: none } \\'
    enter(staff_of(account.organization))
    account.save(update_fields=["name"])
    review = _published(account)
    client = signed_in(make_member(account, Role.PORTAL_OWNER))
    answer = client.get(_url("review_margin", review))
    css = answer.content.decode()
    assert answer["Content-Type"].startswith("text/css")
    assert "Value review 1 · " in css
    assert f"hash {review.hash[:8]}" in css
    assert css.count('"') == 2
    assert css.count("{") == css.count("}") == 2
    assert (
        f'href="{_url("review_margin", review)}" media="print"'
        in client.get(_url("value_review", review)).content.decode()
    )


def _content(hidden: tuple[str, ...] = (), **figures: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "account": {"currency": "USD"},
        "next": [],
        "objectives": [],
        "savings": [],
        "success": [],
    }
    return {"hidden": list(hidden), "figures": {**empty, **figures}}


def test_what_the_review_before_named_is_compared_with_what_came() -> None:
    named = {"next_gate": "30 runs", "rung": "pilot"}
    goal = {"title": "Cheaper invoices", "state": "behind", "value": "$60.00", "share": "0.4"}
    saving = {"title": "Small model", "workflow": "Claims", "saving": "610.00"}
    before = _content(
        next=[{"title": name, **named} for name in ("Invoice OCR", "Claims", "Search")],
        objectives=[goal, {**goal, "title": "Second"}], savings=[saving, {**saving, "title": "Fewer retries"}],
    )  # fmt: skip
    content = _content(
        next=[{"title": "Claims", **named}], success=[{"name": "Invoice OCR", "attempts": 4000, "rate": "0.981"}],
        objectives=[{**goal, "state": "reached", "value": "$50.00", "share": "1"}],
        savings=[{**saving, "saving": "580.00"}],
    )  # fmt: skip
    rows = since(before, content)
    assert [(row.title, row.state) for row in rows] == [
        ("Invoice OCR", "In use"), ("Claims", "Ahead"), ("Search", "No use"), ("Cheaper invoices", "Reached"),
        ("Second", "Left out"), ("Small model", "Open"), ("Fewer retries", "Closed"),
    ]  # fmt: skip
    assert rows[0].came == "4,000 attempts, 98.1% successful"
    assert rows[3].came == "Reached: $50.00, 100% of the way"


def test_a_new_name_changes_nothing_in_the_comparison() -> None:
    named = {"next_gate": "30 runs", "rung": "pilot"}
    goal = {"state": "behind", "value": "$60.00", "share": "0.4"}
    saving = {"workflow": "Claims", "saving": "610.00"}
    before = _content(
        next=[
            {"id": "c1", "workflow_id": "w1", "title": "Claims into production", **named},
            {"id": "c2", "workflow_id": None, "title": "Contract search", **named},
            {"id": "c3", "workflow_id": None, "title": "Lead scoring", **named},
        ],
        objectives=[{"id": "o1", "title": "Cheaper invoices", **goal}],
        savings=[{"id": "s1", "title": "Small model", **saving}],
    )
    content = _content(
        next=[
            {"id": "c2", "workflow_id": "w2", "title": "Search in contracts", **named},
            {"id": "c3", "workflow_id": "w3", "title": "Scores of leads", **named},
        ],
        success=[
            {"id": "w1", "name": "Claims triage", "attempts": 400, "rate": "0.9"},
            {"id": "w3", "name": "Leads", "attempts": 40, "rate": None},
            {"id": "w9", "name": "Claims into production", "attempts": 7, "rate": None},  # another, by the same name
        ],
        objectives=[{"id": "o1", "title": "Invoices under $50", **goal}],
        savings=[{"id": "s1", "title": "A smaller model", **saving, "workflow": "Claims triage"}],
    )
    assert [(row.title, row.state, row.came) for row in since(before, content)] == [
        ("Claims into production", "In use", "As Claims triage: 400 attempts, 90.0% successful"),
        ("Contract search, now Search in contracts", "Ahead", "Still among the next workflows"),
        ("Lead scoring", "In use", "As Leads: 40 attempts"),
        ("Cheaper invoices, now Invoices under $50", "Behind", "Behind: $60.00, 40% of the way"),
        ("Small model, now A smaller model", "Open", "$610 a month at this volume"),
    ]


def test_an_objective_made_anew_under_its_title_is_still_compared_and_none_is_compared_twice() -> None:
    goal = {"state": "behind", "value": "$60.00", "share": "0.4"}
    before = _content(objectives=[{"id": "o1", "title": "Faster", **goal}, {"id": "o2", "title": "Cheaper", **goal}])
    content = _content(objectives=[{"id": "o2", "title": "Faster", **goal}, {"id": "o3", "title": "Better", **goal}])
    assert [(row.title, row.state) for row in since(before, content)] == [
        ("Faster", "Left out"), ("Cheaper, now Faster", "Behind"),
    ]  # fmt: skip
    anew = _content(objectives=[{"id": "o8", "title": "faster ", **goal}])
    assert [row.state for row in since(before, anew)] == ["Behind", "Left out"]


def test_a_draft_keeps_the_ids_that_the_next_review_is_compared_by() -> None:
    account = _account()
    enter(staff_of(account.organization))
    own: dict[str, Any] = {"organization_id": account.organization_id, "account": account}
    flow = Workflow.objects.get(account=account)
    candidate = Candidate.objects.create(**own, title="Invoices", is_shared=True, workflow=flow, currency="USD")
    figures = _published(account).content["figures"]
    assert [(row["id"], row["workflow_id"]) for row in figures["next"]] == [(str(candidate.pk), str(flow.pk))]


def test_a_section_left_out_of_either_review_is_not_compared() -> None:
    row = {"title": "Small model", "workflow": "Claims", "saving": "610.00"}
    assert since(_content(savings=[row]), _content(("savings",), savings=[row])) == []
    assert since(_content(("savings",), savings=[row]), _content(savings=[row])) == []
