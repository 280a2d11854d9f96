"""The editor of a draft: what is written is seen at once, nothing is lost, two who publish make one review."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, Role
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions.value_reviews import edit_draft, make_draft, publish
from reviews.models import ReviewDraft, ValueReview
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
from usage.models import Meter

pytestmark = pytest.mark.django_db


def _account() -> Account:
    account = make_account(make_organization())
    meter, workflow = make_meter(account.organization), make_workflow(account)
    today = timezone.now().date()
    for ago in range(1, 100):
        make_usage_day(account, meter, today - timedelta(days=ago), workflow, outcomes=Decimal(9 + (ago < 40)))
    return account


def _made(account: Account) -> tuple[Viewer, ReviewDraft, Client]:
    member = make_member(account.organization, Role.CSM)
    viewer = Viewer(account.organization_id, None, Role.CSM, member.user_id)
    enter(viewer)
    today = timezone.now().date()
    draft = make_draft(viewer, account, today - timedelta(days=40), today, timezone.now())
    return viewer, draft, signed_in(member)


def _url(name: str, account: Account, draft: ReviewDraft) -> str:
    return reverse(f"reviews:{name}", args=[account.pk, draft.pk])


def _posted(draft: ReviewDraft, **said: str) -> dict[str, Any]:
    shown = {f"show_{name}": "on" for name in ("goals", "bridge", "success", "spend", "incidents", "values")}
    return {**draft.narrative, **shown, "show_savings": "on", "show_next": "on", "show_closing": "on", **said}


def test_what_is_written_is_seen_at_once_and_not_kept() -> None:
    account = _account()
    _, draft, client = _made(account)
    kept = draft.narrative["lead"]
    answer = client.post(
        _url("review_draft", account, draft), _posted(draft, lead="It cost {spend}."), headers={"HX-Request": "true"}
    )
    text = answer.content.decode()
    assert f"It cost {draft.figures['named']['spend']}." in text
    assert "<html" not in text
    assert "cannot be kept" not in text
    enter(staff_of(account))
    assert ReviewDraft.objects.get().narrative["lead"] == kept


def test_the_preview_says_what_cannot_be_kept_and_leaves_out_hidden_sections() -> None:
    account = _account()
    _, draft, client = _made(account)
    said = _posted(draft, lead="You saved 9000 {nothing}")
    del said["show_bridge"]
    text = client.post(_url("review_draft", account, draft), said, headers={"HX-Request": "true"}).content.decode()
    assert "This cannot be kept yet" in text
    assert "Lead: There is no figure called “nothing”" in text
    assert "“9000” is typed by hand" in text
    assert 'id="s-bridge"' not in text
    assert 'id="s-spend"' in text


def test_a_refused_text_stays_in_the_form() -> None:
    account = _account()
    _, draft, client = _made(account)
    answer = client.post(_url("review_draft", account, draft), _posted(draft, lead="We wrote 77 words"))
    assert answer.status_code == 422
    assert "We wrote 77 words" in answer.content.decode()


def test_what_is_on_the_page_is_what_is_published() -> None:
    account = _account()
    _, draft, client = _made(account)
    url = _url("publish_review", account, draft)
    refused = client.post(url, _posted(draft, lead="We saved 77."))
    assert refused.status_code == 422
    assert "It is not published" in refused.content.decode()
    assert f'action="{_url("review_draft", account, draft)}"' in refused.content.decode()  # Keep does not publish
    client.post(url, _posted(draft, lead="It cost {spend}, all told."))
    enter(staff_of(account))
    review = ValueReview.objects.get()
    assert review.content["narrative"]["lead"] == f"It cost {draft.figures['named']['spend']}, all told."


def test_words_of_somebody_else_are_not_written_over() -> None:
    account = _account()
    viewer, draft, client = _made(account)
    seen = draft.changed_at.isoformat()
    enter(viewer)
    edit_draft(viewer, draft, {**draft.narrative, "lead": "Theirs."}, [], [], timezone.now())
    answer = client.post(_url("review_draft", account, draft), _posted(draft, lead="Mine.", seen=seen))
    assert answer.status_code == 422
    assert "Somebody changed this draft" in answer.content.decode()
    assert "Mine." in answer.content.decode()
    enter(staff_of(account))
    assert ReviewDraft.objects.get().narrative["lead"] == "Theirs."


def test_reading_again_says_from_what_to_what_a_figure_changed() -> None:
    account = _account()
    _, draft, client = _made(account)
    before = draft.figures["named"]
    enter(staff_of(account))
    day = timezone.now().date() - timedelta(days=3)
    meter, workflow = Meter.objects.get(), make_workflow(account, key="more", name="More")
    make_usage_day(account, meter, day, workflow, outcomes=Decimal(500))
    text = client.post(_url("refresh_review", account, draft), follow=True).content.decode()
    enter(staff_of(account))
    after = ReviewDraft.objects.get().figures["named"]
    name = next(name for name in sorted({*before, *after}) if before.get(name) != after.get(name))
    assert f"{before.get(name) or 'not there'} → {after.get(name) or 'gone'}" in text


def test_the_function_of_a_signer_is_typed_in_the_draft_and_stands_under_the_review() -> None:
    account = _account()
    _, draft, client = _made(account)
    owner = make_member(account, Role.PORTAL_OWNER)
    email = owner.user.email.lower()
    title = {f"title-{email}": " Chief operating officer "}
    client.post(_url("review_draft", account, draft), {**_posted(draft, **title), "signers": [email]})
    assert 'value="Chief operating officer"' in client.get(_url("review_draft", account, draft)).content.decode()
    client.post(_url("publish_review", account, draft))
    enter(staff_of(account))
    review = ValueReview.objects.get()
    assert review.content["signers"] == [
        {"name": owner.user.name or email, "title": "Chief operating officer", "email": email}
    ]
    url = reverse("reviews:value_review", args=[account.pk, review.pk])
    customer = signed_in(owner)
    page = customer.get(url).content.decode()
    assert "Chief operating officer, Northwind" in page
    assert 'value="Chief operating officer"' in page  # where the owner signs
    customer.post(reverse("reviews:sign_review", args=[account.pk, review.pk]), {"title": "CFO"})
    assert ", CFO, Northwind" in customer.get(url).content.decode()  # as they signed, not as they were asked


@pytest.mark.django_db(transaction=True)
def test_two_who_publish_at_the_same_moment_make_one_review() -> None:
    with transaction.atomic():
        account = _account()
        viewer, draft, _ = _made(account)
    start = Barrier(2)

    def one(_: int) -> Any:
        try:
            start.wait(timeout=10)
            with transaction.atomic():
                enter(viewer)
                return publish(viewer, draft, timezone.now()).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as both:
        first, second = both.map(one, range(2))
    assert first == second
    with transaction.atomic():
        enter(viewer)
        assert ValueReview.objects.count() == 1
