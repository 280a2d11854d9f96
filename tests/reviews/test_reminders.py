"""Reminders: each person hears once a day what waits for them, and nothing of anybody else's."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.models import Account, Role
from budgets.models import Delivery
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions.outcomes import Proposal, propose
from reviews.actions.plans import Step, finish_milestone, make_plan, save_milestone
from reviews.actions.reminders import TOPIC, remind
from reviews.actions.value_reviews import edit_draft, make_draft, publish, sign
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
NOW = datetime(2026, 10, 5, 9, tzinfo=UTC)
TODAY = NOW.date()


@pytest.fixture
def account() -> Account:
    return make_account(make_organization(), timezone="UTC")


def _staff(account: Account) -> Viewer:
    member = make_member(account.organization, Role.CSM)
    enter(staff_of(account))
    return Viewer(account.organization_id, None, Role.CSM, member.user_id)


def _told(account: Account, now: datetime = NOW) -> list[tuple[str, list[str]]]:
    before = set(_rows(account).values_list("pk", flat=True))
    remind(account.organization_id, now)
    rows = _rows(account).exclude(pk__in=before).select_related("membership")
    return sorted((row.membership.role, [fact[0] for fact in row.payload["facts"]]) for row in rows if row.membership)


def _rows(account: Account):  # type: ignore[no-untyped-def]
    enter(staff_of(account))
    return Delivery.objects.filter(organization_id=account.organization_id, topic=TOPIC)


def test_a_step_is_told_three_days_before_on_its_day_and_every_week_after(account: Account) -> None:
    make_member(account, Role.PORTAL_OWNER)
    make_member(account, Role.PORTAL_VIEWER)
    staff = _staff(account)
    plan = make_plan(staff, account, "Plan", TODAY - timedelta(days=30), TODAY + timedelta(days=90), NOW)
    row = save_milestone(staff, plan, Step("Send samples", TODAY + timedelta(days=3), "customer"), NOW)
    told = {ago: bool(_told(account, NOW + timedelta(days=ago))) for ago in range(0, 12)}
    assert [day for day, is_told in told.items() if is_told] == [0, 3, 10]
    enter(staff)
    finish_milestone(staff, row, NOW)
    assert _told(account, NOW + timedelta(days=17)) == []


def test_the_same_day_tells_once_and_only_in_the_morning(account: Account) -> None:
    make_member(account, Role.PORTAL_OWNER)
    staff = _staff(account)
    plan = make_plan(staff, account, "Plan", TODAY - timedelta(days=30), TODAY + timedelta(days=90), NOW)
    save_milestone(staff, plan, Step("Send samples", TODAY, "customer"), NOW)
    assert _told(account, NOW.replace(hour=7)) == []
    assert _told(account) == [(Role.PORTAL_OWNER, ["Send samples"])]
    assert _told(account, NOW + timedelta(hours=1)) == []
    assert _told(account, NOW.replace(hour=12) + timedelta(days=7)) == []


def test_internal_steps_and_the_vendors_own_reach_their_owner_alone(account: Account) -> None:
    make_member(account, Role.PORTAL_OWNER)
    staff = _staff(account)
    plan = make_plan(staff, account, "Plan", TODAY - timedelta(days=30), TODAY + timedelta(days=90), NOW)
    for step in (
        Step("Secret", TODAY, "both", is_shared=False, our_owner_id=staff.user_id),
        Step("Ours", TODAY, "us", our_owner_id=staff.user_id),
    ):
        save_milestone(staff, plan, step, NOW)
    assert _told(account) == [(Role.CSM, ["Secret", "Ours"])]
    assert all(row.is_internal for row in _rows(account))


def test_a_value_and_a_signature_are_told_on_the_third_day_to_who_can_give_them(account: Account) -> None:
    flow, meter = make_workflow(account), make_meter(account.organization)
    for ago in range(4, 70):
        make_usage_day(account, meter, TODAY - timedelta(days=ago), flow)
    make_member(account, Role.PORTAL_OWNER)
    viewer, staff = make_member(account, Role.PORTAL_VIEWER), _staff(account)
    flow.account, at = account, NOW - timedelta(days=3)
    enter(staff)
    propose(staff, flow, Proposal("Done", 0, Decimal(1)), at)
    draft = make_draft(staff, account, date(2026, 9, 1), date(2026, 10, 1), at)
    edit_draft(staff, draft, draft.narrative, [], [{"name": "M", "email": viewer.user.email}], at)
    review = publish(staff, draft, at)
    assert _told(account) == [
        (Role.PORTAL_OWNER, ["Confirm what one outcome of Invoice OCR is worth"]),
        (Role.PORTAL_VIEWER, ["Sign off value review 1"]),
    ]
    theirs = Viewer(account.organization_id, account.pk, Role.PORTAL_VIEWER, viewer.user_id)
    enter(theirs)
    sign(theirs, review, "", NOW)
    assert [role for role, _ in _told(account, NOW + timedelta(days=7))] == [Role.PORTAL_OWNER]


def test_nobody_hears_of_another_customer(account: Account) -> None:
    other = make_account(account.organization, "Globex", timezone="UTC")
    make_member(other, Role.PORTAL_OWNER)
    staff = _staff(account)
    plan = make_plan(staff, account, "Plan", TODAY - timedelta(days=30), TODAY + timedelta(days=90), NOW)
    save_milestone(staff, plan, Step("Send samples", TODAY, "customer"), NOW)
    assert _told(account) == []
