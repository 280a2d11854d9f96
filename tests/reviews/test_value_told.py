"""Outcomes and value reviews are told to the vendor's webhooks in the transaction of the act, whoever acts."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts.models import Account, Role
from budgets.forms.notifications import DestinationForm
from budgets.models import Delivery, Destination
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions.outcomes import Proposal, answer, propose, propose_another
from reviews.actions.value_reviews import comment, correct, make_draft, publish, sign
from reviews.models import OutcomeTerms, ValueReview
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_usage_day,
    make_workflow,
    staff_of,
)
from usage.models import Workflow

pytestmark = pytest.mark.django_db

WORTH = Proposal("A page read without a correction", 2, Decimal("0.42"), "A minute of a clerk")


@pytest.fixture
def account() -> Account:
    account = make_account(make_organization())
    meter, workflow = make_meter(account.organization), make_workflow(account)
    today = timezone.now().date()
    for ago in range(1, 62):
        make_usage_day(account, meter, today - timedelta(days=ago), workflow)
    enter(staff_of(account))
    place: dict[str, Any] = {"organization": account.organization, "address": b"x", "shown": "x", "kind": "webhook"}
    Destination.objects.create(**place, name="Vendor")
    Destination.objects.create(**place, name="Customer", account=account, by_customer=True)
    Destination.objects.create(**place | {"kind": "slack"}, name="All alerts")
    return account


def _staff(account: Account) -> Viewer:
    member = make_member(account.organization, Role.CSM)
    return Viewer(account.organization_id, None, Role.CSM, member.user_id)


def _owner(account: Account) -> Viewer:
    member = make_member(account, Role.PORTAL_OWNER)
    return Viewer(account.organization_id, account.pk, Role.PORTAL_OWNER, member.user_id)


def _flow(account: Account) -> Workflow:
    enter(staff_of(account))
    found: Workflow = Workflow.objects.select_related("account").get(account=account)
    return found


def _proposed(account: Account) -> OutcomeTerms:
    viewer, flow = _staff(account), _flow(account)
    enter(viewer)
    return propose(viewer, flow, WORTH, timezone.now())


def _published(account: Account) -> ValueReview:
    viewer, today = _staff(account), timezone.now().date()
    enter(viewer)
    draft = make_draft(viewer, account, today - timedelta(days=30), today, timezone.now())
    return publish(viewer, draft, timezone.now())


def _told(account: Account, topic: str) -> dict[str, Any]:
    """The one body for `topic`: it went to the vendor's webhook alone."""
    enter(staff_of(account))
    row = Delivery.objects.get(topic=topic)
    assert row.destination is not None
    assert row.destination.name == "Vendor"
    assert row.is_internal
    assert row.payload["type"] == topic
    data: dict[str, Any] = row.payload["data"]
    assert data["account"]["key"] == account.key
    return data


def test_a_proposal_and_the_customers_answer_are_told(account: Account) -> None:
    terms, owner = _proposed(account), _owner(account)
    told = _told(account, "outcome.proposed")
    assert (told["workflow"], told["lag_days"], Decimal(told["value_each"])) == ("Invoice OCR", 2, Decimal("0.42"))
    enter(owner)
    answer(owner, terms, "confirmed", timezone.now(), title="Operations")
    assert OutcomeTerms.objects.get().pk == terms.pk  # the customer's own rights are back
    assert not Delivery.objects.visible_to(owner).filter(is_internal=False).exists()
    told = _told(account, "outcome.confirmed")
    assert (told["proposal_id"], told["title"]) == (str(terms.pk), "Operations")
    enter(owner)
    answer(owner, terms, "declined", timezone.now(), note="Too much")
    assert _told(account, "outcome.declined")["note"] == "Too much"


def test_a_value_that_the_customer_says_itself_is_told_as_proposed_and_confirmed(account: Account) -> None:
    flow, owner = _flow(account), _owner(account)
    enter(owner)
    propose_another(owner, flow, Proposal("A page", 0, None), timezone.now())
    assert _told(account, "outcome.proposed")["value_each"] is None
    assert _told(account, "outcome.confirmed")["workflow_id"] == str(flow.pk)


def test_what_is_refused_or_rolled_back_is_not_told(account: Account) -> None:
    terms, owner = _proposed(account), _owner(account)
    enter(owner)
    with pytest.raises(ValidationError):
        answer(owner, terms, "declined", timezone.now())
    with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012
        answer(owner, terms, "confirmed", timezone.now())
        raise RuntimeError
    enter(staff_of(account))
    assert [row.topic for row in Delivery.objects.all()] == ["outcome.proposed"]


def test_a_review_is_told_when_it_is_published_signed_discussed_and_corrected(account: Account) -> None:
    review, owner = _published(account), _owner(account)
    told = _told(account, "review.published")
    assert (told["number"], told["hash"], told["ends_on"]) == (1, review.hash, review.ends_on.isoformat())
    enter(owner)
    for _ in range(2):  # signing again changes nothing and says nothing
        sign(owner, review, "Chief operating officer", timezone.now())
    told = _told(account, "review.signed")
    assert (told["id"], told["title"]) == (str(review.pk), "Chief operating officer")
    enter(owner)
    comment(owner, review, "comment", "Thank you", timezone.now())
    comment(owner, review, "request", "September is too high", timezone.now())
    assert _told(account, "review.commented")["text"] == "Thank you"
    told = _told(account, "review.correction_asked")
    assert (told["text"], told["by_customer"]) == ("September is too high", True)
    staff = _staff(account)
    enter(staff)
    correct(staff, review, "September was 9,100.", timezone.now())
    assert _told(account, "review.corrected")["correction"] == 1


def test_staff_choose_these_for_a_channel_and_customers_do_not_see_them() -> None:
    for for_staff in (True, False):
        shown = str(DestinationForm(for_staff=for_staff)["topics"])
        assert ("outcome.confirmed" in shown) is for_staff
        assert ("review.correction_asked" in shown) is for_staff


def test_a_channel_that_chose_it_reads_a_sentence(account: Account) -> None:
    enter(staff_of(account))
    Destination.objects.create(
        organization=account.organization, address=b"x", shown="x", kind="slack", name="Value",
        topics=["outcome.declined"],
    )  # fmt: skip
    terms, owner = _proposed(account), _owner(account)
    enter(owner)
    answer(owner, terms, "declined", timezone.now(), note="Too much")
    enter(staff_of(account))
    row = Delivery.objects.get(destination__name="Value")
    assert row.payload["heading"] == "Northwind: Invoice OCR: one outcome at $0.42 is declined"
    assert row.payload["text"] == "Too much"
