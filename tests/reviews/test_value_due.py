"""What waits for somebody in the value of accounts, as Monday's digest counts it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import Account, Role
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions.outcomes import Proposal, answer, propose
from reviews.actions.plans import Step, make_plan, save_milestone
from reviews.actions.value_reviews import edit_draft, make_draft, publish, sign
from reviews.models import OutcomeTerms, RungMove
from reviews.reports.book_digest import lines, weeks_of
from reviews.reports.value_due import value_due
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_usage_day,
    make_workflow,
    staff_of,
)

pytestmark = pytest.mark.django_db
NOW = timezone.now()
TODAY = NOW.date()


@pytest.fixture
def account() -> Account:
    return make_account(make_organization())


def _kinds(account: Account) -> list[str]:
    enter(staff_of(account))
    return [one.kind for one in value_due(staff_of(account), TODAY).get(account.pk, [])]


def _staff(account: Account) -> Viewer:
    member = make_member(account.organization, Role.CSM)
    enter(staff_of(account))
    return Viewer(account.organization_id, None, Role.CSM, member.user_id)


def test_a_step_is_told_from_a_week_before_its_day_until_it_is_done(account: Account) -> None:
    staff = _staff(account)
    plan = make_plan(staff, account, "Plan", TODAY - timedelta(days=30), TODAY + timedelta(days=90), NOW)
    save_milestone(staff, plan, Step("Far", TODAY + timedelta(days=8)), NOW)
    assert _kinds(account) == []
    save_milestone(staff, plan, Step("Soon", TODAY + timedelta(days=6)), NOW)
    save_milestone(staff, plan, Step("Late", TODAY - timedelta(days=6)), NOW)
    assert _kinds(account) == ["step", "step"]


def test_a_value_is_told_after_a_week_without_an_answer(account: Account) -> None:
    flow, staff = make_workflow(account), _staff(account)
    owner = make_member(account, Role.PORTAL_OWNER)
    flow.account = account
    enter(staff)
    terms = propose(staff, flow, Proposal("Done", 0, Decimal(1)), NOW - timedelta(days=9))
    propose(staff, flow, Proposal("Done well", 0, Decimal(2)), NOW - timedelta(days=8))
    assert _kinds(account) == ["value"]  # once, however often it was proposed
    theirs = Viewer(account.organization_id, account.pk, Role.PORTAL_OWNER, owner.user_id)
    enter(theirs)
    newest = OutcomeTerms.objects.order_by("-proposed_at")[0]
    for one in (terms, newest):
        answer(theirs, one, "confirmed", NOW)
    assert _kinds(account) == []


def test_a_signature_is_told_after_a_week_and_a_step_of_the_ladder_at_once(account: Account) -> None:
    meter, flow = make_meter(account.organization), make_workflow(account)
    for ago in range(1, 60):
        make_usage_day(account, meter, TODAY - timedelta(days=ago), flow)
    staff, member = _staff(account), make_member(account, Role.PORTAL_VIEWER)
    at = NOW - timedelta(days=9)
    enter(staff)
    draft = make_draft(staff, account, TODAY - timedelta(days=40), TODAY - timedelta(days=10), at)
    edit_draft(staff, draft, draft.narrative, [], [{"name": "M", "email": member.user.email}], at)
    review = publish(staff, draft, at)
    RungMove.objects.create(
        organization=account.organization, account=account, workflow=flow, kind="promotion",
        from_stage="production", to_stage="hardened", happened_on=TODAY, proposed_at=NOW,
    )  # fmt: skip
    assert sorted(_kinds(account)) == ["move", "signature"]
    weeks = weeks_of(staff_of(account), TODAY, [])
    first = lines(weeks[None])[0]
    assert (first.value, first.note) == ("2", "1 signature and 1 move on the ladder")
    theirs = Viewer(account.organization_id, account.pk, Role.PORTAL_VIEWER, member.user_id)
    enter(theirs)
    sign(theirs, review, "", NOW)
    assert _kinds(account) == ["move"]
