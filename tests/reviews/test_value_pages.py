"""The pages of outcomes and value reviews, as both sides use them."""

import io
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from openpyxl import load_workbook

from accounts.models import Account, Membership, Role
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions.outcomes import Proposal, propose
from reviews.actions.value_reviews import correct, edit_draft, make_draft, publish
from reviews.models import OutcomeAnswer, OutcomeTerms, ReviewComment, ReviewDraft, ReviewSignature, ValueReview
from reviews.reports.outcomes import waiting
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


@pytest.fixture
def account() -> Account:
    account = make_account(make_organization())
    meter, workflow = make_meter(account.organization), make_workflow(account)
    today = timezone.now().date()
    for ago in range(1, 130):
        make_usage_day(account, meter, today - timedelta(days=ago), workflow, outcomes=Decimal(9 + (ago < 60)))
    return account


def _staff(account: Account, role: str = Role.CSM) -> tuple[Membership, Viewer]:
    member = make_member(account.organization, role)
    return member, Viewer(account.organization_id, None, role, member.user_id)


def _flow(account: Account) -> Workflow:
    enter(staff_of(account))
    found: Workflow = Workflow.objects.select_related("account").get(account=account)
    return found


def _proposed(account: Account) -> OutcomeTerms:
    _, viewer = _staff(account)
    flow = _flow(account)
    return propose(viewer, flow, Proposal("A page read without a correction", 0, Decimal("0.42")), timezone.now())


def _draft(account: Account) -> ReviewDraft:
    _, viewer = _staff(account)
    enter(viewer)
    today = timezone.now().date()
    return make_draft(viewer, account, today - timedelta(days=60), today, timezone.now())


def _review(account: Account, *signers: Membership) -> ValueReview:
    draft, (_, viewer) = _draft(account), _staff(account)
    enter(viewer)
    asked = [{"name": str(one.user.name), "title": "", "email": one.user.email} for one in signers]
    edit_draft(viewer, draft, draft.narrative, [], asked, timezone.now())
    return publish(viewer, draft, timezone.now())


# ---- outcomes


def test_staff_propose_a_value_and_the_customer_confirms_it(account: Account) -> None:
    staff = signed_in(_staff(account)[0])
    owner = signed_in(make_member(account, Role.PORTAL_OWNER))
    page = reverse("reviews:outcomes", args=[account.pk])
    asked = {"definition": "A page read", "value_each": "0.42", "lag_days": "0", "basis": "A minute of a clerk"}
    staff.post(reverse("reviews:outcome_terms", args=[account.pk, _flow(account).pk]), asked)
    text = owner.get(page).content.decode()
    assert "Not counted yet" in text
    assert "worth $0.42?" in text
    enter(staff_of(account))
    terms = OutcomeTerms.objects.get()
    assert [one.pk for one in waiting(staff_of(account), [account.pk])] == [terms.pk]
    owner.post(reverse("reviews:outcome_answer", args=[account.pk, terms.pk]), {"answer": "confirmed"})
    text = owner.get(page).content.decode()
    assert "of value is confirmed" in text
    assert "worth $0.42?" not in text
    enter(staff_of(account))
    assert waiting(staff_of(account), [account.pk]) == []


def test_another_value_of_the_customer_is_confirmed_at_once_and_history_is_kept(account: Account) -> None:
    _proposed(account)
    owner = signed_in(make_member(account, Role.PORTAL_FINANCE))
    url = reverse("reviews:outcome_terms", args=[account.pk, _flow(account).pk])
    owner.post(url, {"definition": "A page read", "value_each": "0.30", "lag_days": "2", "basis": ""})
    enter(staff_of(account))
    assert [str(one.value_each.normalize()) for one in OutcomeTerms.objects.order_by("proposed_at")] == ["0.42", "0.3"]
    assert OutcomeAnswer.objects.get().terms.value_each == Decimal("0.30")
    assert "Not answered yet" in owner.get(url).content.decode()


def test_declining_needs_a_reason(account: Account) -> None:
    terms, owner = _proposed(account), signed_in(make_member(account, Role.PORTAL_OWNER))
    url = reverse("reviews:outcome_answer", args=[account.pk, terms.pk])
    assert "Say what is wrong" in owner.post(url, {"answer": "declined"}, follow=True).content.decode()
    owner.post(url, {"answer": "declined", "note": "Too much"})
    enter(staff_of(account))
    assert OutcomeAnswer.objects.get().note == "Too much"


@pytest.mark.parametrize("role", [Role.PORTAL_ENGINEER, Role.PORTAL_VIEWER])
def test_others_of_the_customer_read_who_can_confirm(account: Account, role: str) -> None:
    terms = _proposed(account)
    owner = make_member(account, Role.PORTAL_OWNER)
    client = signed_in(make_member(account, role))
    text = client.get(reverse("reviews:outcomes", args=[account.pk])).content.decode()
    assert f"{owner.user.name or owner.user.email} can confirm it" in text
    answer = reverse("reviews:outcome_answer", args=[account.pk, terms.pk])
    assert client.post(answer, {"answer": "confirmed"}).status_code == 403


def test_a_value_of_nothing_is_refused_in_words(account: Account) -> None:
    staff = signed_in(_staff(account)[0])
    url = reverse("reviews:outcome_terms", args=[account.pk, _flow(account).pk])
    for value in ("0", "-1", "NaN", "many"):
        answer = staff.post(url, {"definition": "A page", "value_each": value, "lag_days": "0"})
        assert answer.status_code == 422
    enter(staff_of(account))
    assert not OutcomeTerms.objects.exists()


def test_outcomes_are_downloaded_as_csv_with_what_is_not_known_empty(account: Account) -> None:
    _proposed(account)
    staff = signed_in(_staff(account)[0])
    month = f"{timezone.now() - timedelta(days=40):%Y-%m}"
    lines = (
        staff.get(reverse("reviews:outcomes_csv", args=[account.pk]), {"month": month}).content.decode().splitlines()
    )
    assert lines[0].startswith("\ufeffworkflow") or lines[0].startswith("workflow")
    assert ",proposed," in lines[1]


# ---- making a review


def test_a_draft_is_made_of_last_quarter_put_in_words_and_published_once(account: Account) -> None:
    staff = signed_in(_staff(account)[0])
    made = staff.post(reverse("reviews:new_review", args=[account.pk]), {"preset": "days"})
    assert made.status_code == 302
    url = made["Location"]
    text = staff.get(url).content.decode()
    assert "Your words" in text
    assert "{per_money}" in text
    enter(staff_of(account))
    draft = ReviewDraft.objects.get()
    said = {**draft.narrative, "lead": "Well done: {spend}.", "show_bridge": "on", "show_spend": "on"}
    assert staff.post(url, said).status_code == 302
    publish_url = reverse("reviews:publish_review", args=[account.pk, draft.pk])
    for _ in range(2):
        assert staff.post(publish_url).status_code == 302
    enter(staff_of(account))
    review = ValueReview.objects.get()
    assert review.content["narrative"]["lead"].startswith("Well done: $")
    assert "savings" in review.content["hidden"]
    assert staff.get(url)["Location"] == reverse("reviews:value_review", args=[account.pk, review.pk])


def test_typed_figures_are_refused_beside_their_section(account: Account) -> None:
    staff, draft = signed_in(_staff(account)[0]), _draft(account)
    url = reverse("reviews:review_draft", args=[account.pk, draft.pk])
    answer = staff.post(url, {"lead": "You saved $9,000.", "headline": "{nothing}"})
    assert answer.status_code == 422
    assert "typed by hand" in answer.content.decode()
    assert "no figure called" in answer.content.decode()


def test_days_that_have_not_ended_are_refused_in_words(account: Account) -> None:
    staff = signed_in(_staff(account)[0])
    today = timezone.now().date()
    url = reverse("reviews:new_review", args=[account.pk])
    answer = staff.post(url, {"first": today - timedelta(days=3), "last": today + timedelta(days=3)})
    assert answer.status_code == 422
    assert "has not ended" in answer.content.decode()
    assert staff.post(url, {}).status_code == 422


def test_a_dropped_draft_is_gone_and_reading_again_says_what_changed(account: Account) -> None:
    staff, draft = signed_in(_staff(account)[0]), _draft(account)
    again = staff.post(reverse("reviews:refresh_review", args=[account.pk, draft.pk]), follow=True)
    assert "nothing changed" in again.content.decode()
    staff.post(reverse("reviews:drop_review", args=[account.pk, draft.pk]))
    assert staff.get(reverse("reviews:review_draft", args=[account.pk, draft.pk])).status_code == 404


# ---- a published one


def test_an_executive_reads_signs_and_sees_it_signed(account: Account) -> None:
    member = make_member(account, Role.PORTAL_VIEWER)
    review, client = _review(account, member), signed_in(member)
    url = reverse("reviews:value_review", args=[account.pk, review.pk])
    assert "Waiting for your sign-off" in client.get(url).content.decode()
    answer = client.post(
        reverse("reviews:sign_review", args=[account.pk, review.pk]), {"title": "COO"}, headers={"HX-Request": "true"}
    )
    assert "Signed off" in answer.content.decode()
    enter(staff_of(account))
    assert ReviewSignature.objects.get().title == "COO"
    text = client.get(url).content.decode()
    assert "You signed it off" in text
    assert "Waiting for your sign-off" not in text


def test_a_request_for_a_correction_and_the_note_stand_beside_the_review(account: Account) -> None:
    review = _review(account)
    engineer, staff = signed_in(make_member(account, Role.PORTAL_ENGINEER)), signed_in(_staff(account)[0])
    url = reverse("reviews:value_review", args=[account.pk, review.pk])
    comment = reverse("reviews:comment_review", args=[account.pk, review.pk])
    assert engineer.post(comment, {"kind": "request", "text": ""}).status_code == 422
    engineer.post(comment, {"kind": "request", "text": "<b>Look</b> at May"})
    staff.post(reverse("reviews:correct_review", args=[account.pk, review.pk]), {"text": "May came late."})
    text = engineer.get(url).content.decode()
    assert "&lt;b&gt;Look&lt;/b&gt; at May" in text
    assert "Correction 1" in text
    enter(staff_of(account))
    assert ReviewComment.objects.get().kind == "request"


def test_the_hash_can_be_checked_and_a_broken_one_is_told(account: Account) -> None:
    review, staff = _review(account), signed_in(_staff(account)[0])
    url = reverse("reviews:check_review", args=[account.pk, review.pk])
    assert "is as it was published" in staff.get(url).content.decode()
    assert review.hash in staff.get(url).content.decode()


def test_the_foot_of_printed_pages_names_the_review_and_cannot_break_out_of_its_rule() -> None:
    account = make_account(make_organization(), name='"; } body { display: none } /*')
    meter, workflow = make_meter(account.organization), make_workflow(account)
    for ago in range(1, 70):
        make_usage_day(account, meter, timezone.now().date() - timedelta(days=ago), workflow)
    review, staff = _review(account), signed_in(_staff(account)[0])
    answer = staff.get(reverse("reviews:review_margin", args=[account.pk, review.pk]))
    rule = answer.content.decode()
    assert answer["Content-Type"].startswith("text/css")
    assert rule.count('"') == 2
    assert f"hash {review.hash[:8]}" in rule


def test_the_list_has_a_line_for_each_review_and_an_empty_state(account: Account) -> None:
    url = reverse("reviews:value_reviews", args=[account.pk])
    owner = signed_in(make_member(account, Role.PORTAL_OWNER))
    assert "First review after 30 days of billable use" in owner.get(url).content.decode()
    first = _review(account)
    _review(account)
    _, viewer = _staff(account)
    enter(viewer)
    correct(viewer, first, "One event came late.", timezone.now())
    text = owner.get(url).content.decode()
    assert "Value review 2" in text
    assert "1 correction" in text


def test_a_customer_never_opens_a_draft(account: Account) -> None:
    draft = _draft(account)
    for role in (Role.PORTAL_OWNER, Role.PORTAL_VIEWER):
        client: Any = signed_in(make_member(account, role))
        assert client.get(reverse("reviews:review_draft", args=[account.pk, draft.pk])).status_code in (403, 404)
        assert "In the making" not in client.get(reverse("reviews:value_reviews", args=[account.pk])).content.decode()


def test_a_review_is_downloaded_as_the_same_bytes_again_and_on_two_papers(account: Account) -> None:
    review, owner = _review(account), signed_in(make_member(account, Role.PORTAL_VIEWER))
    pdf = reverse("reviews:review_pdf", args=[account.pk, review.pk])
    first = owner.get(pdf)
    assert first["Content-Type"] == "application/pdf"
    assert first.content.startswith(b"%PDF")
    assert owner.get(pdf).content == first.content
    assert owner.get(pdf, {"paper": "letter"}).content != first.content


def test_the_workbook_holds_the_figures_of_the_review_and_its_bridge_adds_up(account: Account) -> None:
    review, owner = _review(account), signed_in(make_member(account, Role.PORTAL_OWNER))
    answer = owner.get(reverse("reviews:review_xlsx", args=[account.pk, review.pk]))
    book = load_workbook(io.BytesIO(answer.content), data_only=True)
    bridge = review.content["figures"]["bridge"]
    amounts = [row[1] for row in book["Bridge"].iter_rows(values_only=True) if isinstance(row[1], int | float)]
    assert round(sum(amounts[:-1]), 2) == round(amounts[-1], 2) == float(bridge["closing"])
