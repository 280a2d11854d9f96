"""What people do on the ladder: confirm, decline, set a rung, tick gates, change the rules."""

from datetime import timedelta
from itertools import count

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from accounts.models import AuditEvent, Role
from consumption_cs.lib.tenancy import act_as, enter
from reviews.actions import ladder
from reviews.actions.ladder import CardWanted
from reviews.calc.ladder import DEFAULT_RULES
from reviews.models import GateTick, LadderCard, LadderRules, RungMove
from tests.factories import (
    make_account,
    make_usage_day,
    portal_of,
)
from tests.reviews.ladder_factories import (
    DAY,
    NOW,
    TODAY,
    Kind,
    State,
    card_of,
    gate,
    look,
    make_flow,
    moves,
    person,
    ready,
)
from tests.threads import in_threads
from usage.models import Meter, Workflow

pytestmark = pytest.mark.django_db


# ---- people


def test_a_confirmed_step_changes_the_rung_and_is_audited() -> None:
    flow, move = ready()
    csm = person(flow.account)
    ladder.confirm(csm, flow.account, move, NOW)
    flow.refresh_from_db()
    move.refresh_from_db()
    assert (flow.stage, move.state, move.decided_by_id) == ("production", State.CONFIRMED, csm.user_id)
    assert card_of(flow).holds_since is None  # a new rung, a new count
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"rung.confirmed", "workflow.changed", "gate.confirmed"} <= actions


def test_a_proposal_is_decided_once() -> None:
    flow, move = ready()
    ladder.confirm(person(flow.account), flow.account, move, NOW)
    with pytest.raises(ValidationError, match="Somebody has decided"):
        ladder.confirm(person(flow.account), flow.account, move, NOW)
    with pytest.raises(ValidationError, match="Somebody has decided"):
        ladder.decline(person(flow.account), flow.account, move, "No", NOW)


def test_a_rung_that_was_changed_meanwhile_is_not_confirmed_over() -> None:
    flow, move = ready()
    Workflow.objects.filter(pk=flow.pk).update(stage="building")
    with pytest.raises(ValidationError, match="another rung"):
        ladder.confirm(person(flow.account), flow.account, move, NOW)


def test_what_was_declined_is_on_the_vendors_record_alone() -> None:
    flow, move = ready()
    ladder.decline(person(flow.account), flow.account, move, "Their sponsor is leaving.", NOW)
    declined = AuditEvent.objects.get(action="rung.declined")
    assert (declined.account_id, declined.details["workflow"]) == (None, "Invoice OCR")


def test_a_declined_step_needs_a_reason_and_rests_for_four_weeks() -> None:
    flow, move = ready()
    with pytest.raises(ValidationError, match="Say why"):
        ladder.decline(person(flow.account), flow.account, move, " ", NOW)
    ladder.decline(person(flow.account), flow.account, move, "Their team is not ready.", NOW)
    look(flow.account, NOW + 2 * DAY)
    assert moves(flow) == [(Kind.PROMOTION, "production", State.DECLINED)]
    meter = Meter.objects.get()
    for ago in range(28):
        make_usage_day(flow.account, meter, TODAY + timedelta(days=ago), flow, finished=50, successes=50, events=50)
    look(flow.account, NOW + 28 * DAY)
    assert moves(flow)[-1] == (Kind.PROMOTION, "production", State.PROPOSED)


def test_a_rung_set_by_hand_holds_until_its_end() -> None:
    flow = make_flow("pilot", days=30, until=TODAY - 34 * DAY)
    csm = person(flow.account)
    move = ladder.set_rung(csm, flow.account, flow, "production", "They go live on Monday.", TODAY + 30 * DAY, NOW)
    flow.refresh_from_db()
    assert (flow.stage, move.state, move.kind) == ("production", State.CONFIRMED, Kind.OVERRIDE)
    look(flow.account, NOW + 29 * DAY)
    assert len(moves(flow)) == 1
    look(flow.account, NOW + 30 * DAY)
    assert moves(flow)[-1] == (Kind.DEMOTION, "pilot", State.PROPOSED)


def test_a_rung_set_by_hand_takes_the_place_of_a_proposal() -> None:
    flow, move = ready()
    ladder.set_rung(person(flow.account), flow.account, flow, "building", "It was rebuilt.", TODAY + DAY, NOW)
    move.refresh_from_db()
    assert move.state == State.WITHDRAWN


def test_an_override_can_end_early() -> None:
    flow = make_flow("pilot", days=30, until=TODAY - 34 * DAY)
    csm = person(flow.account)
    move = ladder.set_rung(csm, flow.account, flow, "production", "A test", TODAY + 30 * DAY, NOW)
    ladder.end_override(csm, flow.account, move, NOW)
    assert moves(flow)[-1] == (Kind.DEMOTION, "pilot", State.PROPOSED)
    with pytest.raises(ValidationError, match="ended already"):
        ladder.end_override(csm, flow.account, move, NOW)


@pytest.mark.parametrize(
    ("stage", "reason", "days", "words"),
    [
        ("top", "Because", 5, "Choose a rung"),
        ("production", " ", 5, "Say why"),
        ("production", "Because", 0, "Say until when"),
        ("production", "Because", 91, "Say until when"),
        ("production", "Because", None, "Say until when"),
        ("pilot", "Because", 5, "stands on that rung"),
    ],
)
def test_a_rung_set_by_hand_needs_a_reason_and_an_end(stage: str, reason: str, days: int | None, words: str) -> None:
    flow = make_flow("pilot", days=0)
    until = None if days is None else TODAY + timedelta(days=days)
    with pytest.raises(ValidationError, match=words):
        ladder.set_rung(person(flow.account), flow.account, flow, stage, reason, until, NOW)


def test_a_person_ticks_what_no_data_can() -> None:
    flow = make_flow(days=0)
    csm = person(flow.account)
    ladder.tick(csm, flow.account, flow, "runbook", "Leo", NOW)
    ladder.tick(csm, flow.account, flow, "runbook", "Lea", NOW)
    assert GateTick.objects.filter(revoked_at=None).count() == 1
    assert gate(flow, "runbook") == {
        "key": "runbook", "label": "Runbook", "by": "person", "is_met": True, "value": "Lea", "need": None,
    }  # fmt: skip
    assert ladder.untick(csm, flow.account, flow, "runbook", NOW)
    assert not ladder.untick(csm, flow.account, flow, "runbook", NOW)
    assert GateTick.objects.count() == 2  # nothing is forgotten
    assert gate(flow, "runbook")["value"] == "open"


@pytest.mark.parametrize("key", ["runs", "luck"])
def test_nobody_ticks_what_data_tell(key: str) -> None:
    flow = make_flow(days=0)
    with pytest.raises(ValidationError, match="Data tick this gate"):
        ladder.tick(person(flow.account), flow.account, flow, key, "", NOW)


def test_an_owner_on_the_card_is_the_owner_named() -> None:
    flow = make_flow("idea", days=0)
    csm = person(flow.account)
    wanted = CardWanted(csm.user_id, "Dana Wolff", TODAY + 30 * DAY, "Waits on photo access")
    ladder.edit_card(csm, flow.account, flow, wanted, NOW)
    card = card_of(flow)
    assert (card.our_owner_id, card.their_owner, card.remark) == (csm.user_id, "Dana Wolff", "Waits on photo access")
    assert (gate(flow, "owner")["is_met"], gate(flow, "owner")["value"]) == (True, "Dana")


@pytest.mark.parametrize("role", [Role.FINANCE, Role.ANALYST])
def test_who_only_reads_changes_nothing(role: str) -> None:
    flow, move = ready()
    reader, account = person(flow.account, role), flow.account
    for act in (
        lambda: ladder.confirm(reader, account, move, NOW),
        lambda: ladder.decline(reader, account, move, "No", NOW),
        lambda: ladder.tick(reader, account, flow, "legal", "", NOW),
        lambda: ladder.set_rung(reader, account, flow, "scaled", "x", TODAY + DAY, NOW),
        lambda: ladder.save_rules(reader, DEFAULT_RULES, "", NOW),
        lambda: ladder.edit_card(reader, account, flow, CardWanted(), NOW),
        lambda: ladder.check_now(reader, account, NOW),
    ):
        with pytest.raises(PermissionDenied):
            act()


def test_a_customer_sees_their_own_cards_alone() -> None:
    flow, _ = ready()
    other = make_flow(account=make_account(flow.account.organization, "Other"))
    look(flow.account)
    enter(portal_of(other.account))
    assert [card.workflow_id for card in LadderCard.objects.all()] == [other.pk]
    assert RungMove.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_looks_and_decisions_at_the_same_moment_leave_one_step() -> None:
    with transaction.atomic():
        flow = make_flow()
        csm, organization_id = person(flow.account), flow.account.organization_id
        ladder.tick(csm, flow.account, flow, "runbook", "Leo", NOW - 2 * DAY)
    in_threads(3, lambda: ladder.check_ladders(organization_id, NOW))
    with act_as(csm):
        move = RungMove.objects.get()

    turns = count()

    def act() -> None:
        if next(turns) % 2:
            ladder.check_ladders(organization_id, NOW)
            return
        with act_as(csm):
            ladder.confirm(csm, flow.account, move, NOW)

    in_threads(2, act)
    with act_as(csm):
        assert moves(flow) == [(Kind.PROMOTION, "production", State.CONFIRMED)]
        assert Workflow.objects.get().stage == "production"


# ---- rules


def test_rules_are_versions_and_the_newest_is_in_force() -> None:
    flow = make_flow()
    admin = person(flow.account, Role.ADMIN)
    rules = {**DEFAULT_RULES, "production": [{"key": "runs", "need": "2000"}]}
    made = ladder.save_rules(admin, rules, "Ours is a busy business.", NOW)
    assert made is not None
    assert made.number == 1
    assert ladder.save_rules(admin, rules, "", NOW) is None
    look(flow.account)
    assert [(row["label"], row["is_met"]) for row in card_of(flow).gates] == [("Runs ≥ 2,000", False)]
    ladder.save_rules(admin, DEFAULT_RULES, "Back again.", NOW)
    assert list(LadderRules.objects.order_by("number").values_list("number", flat=True)) == [1, 2]


def test_rules_that_cannot_be_used_are_refused_in_words() -> None:
    flow = make_flow(days=0)
    with pytest.raises(ValidationError, match="at least one gate"):
        ladder.save_rules(person(flow.account, Role.ADMIN), {**DEFAULT_RULES, "pilot": []}, "", NOW)
