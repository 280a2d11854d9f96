"""The ladder at work: gates ticked by data and people, proposals, decisions, rungs set by hand, rules."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from accounts.models import Account, AuditEvent, Role
from budgets.models import Alert, Delivery, Destination
from consumption_cs.lib.sealed import seal
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions import ladder
from reviews.actions.ladder import CardWanted
from reviews.calc.ladder import DEFAULT_RULES
from reviews.models import GateTick, LadderCard, LadderRules, RungMove
from reviews.reports.timeline import timeline
from tests.budgets.budget_factories import make_budget
from tests.factories import (
    make_account,
    make_meter,
    make_partition,
    make_usage_day,
    make_user,
    make_workflow,
    portal_of,
    staff_of,
)
from usage.models import Event, Meter, Workflow

NOW = datetime(2026, 6, 15, 12, tzinfo=timezone.utc)
TODAY = NOW.date()
DAY = timedelta(days=1)
State, Kind = RungMove.State, RungMove.Kind

pytestmark = pytest.mark.django_db


def make_flow(stage: str = "pilot", days: int = 56, good: int = 49, until: date = TODAY, **fields: Any) -> Workflow:
    """A workflow that ran 50 times on each of `days` days up to the day before `until`; `good` of them succeeded."""
    account = fields.pop("account", None) or make_account()
    meter = fields.pop("meter", None) or make_meter(account.organization, f"call.{uuid4()}")
    flow = make_workflow(account, fields.pop("name", "Invoice OCR"), stage=stage, **fields)
    for ago in range(days):
        make_usage_day(
            account, meter, until - timedelta(days=ago + 1), flow,
            events=50, finished=50, successes=good, outcomes=Decimal(good), spend=Decimal(10),
        )  # fmt: skip
    return flow


def person(account: Account, role: str = Role.CSM) -> Viewer:
    return Viewer(account.organization_id, None, role, make_user().pk)


def look(account: Account, now: datetime = NOW) -> None:
    ladder.check_ladders(account.organization_id, now)
    enter(staff_of(account))


def card_of(flow: Workflow) -> LadderCard:
    return LadderCard.objects.get(workflow=flow)


def gate(flow: Workflow, key: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in card_of(flow).gates if row["key"] == key)
    return found


def moves(flow: Workflow) -> list[tuple[str, str, str]]:
    rows = RungMove.objects.filter(workflow=flow).order_by("proposed_at")
    return [(row.kind, row.to_stage, row.state) for row in rows]


def ready(stage: str = "pilot", **fields: Any) -> tuple[Workflow, RungMove]:
    """A workflow whose step up is proposed."""
    flow = make_flow(stage, **fields)
    ladder.tick(person(flow.account), flow.account, flow, "runbook", "Leo", NOW - 2 * DAY)
    look(flow.account)
    return flow, RungMove.objects.get(workflow=flow)


# ---- the look


def test_data_tick_the_gates_of_the_next_rung() -> None:
    flow = make_flow()
    look(flow.account)
    card = card_of(flow)
    assert [(row["key"], row["is_met"], row["value"]) for row in card.gates] == [
        ("runs", True, "1,372"),
        ("days", True, "28"),
        ("success", True, "98.0%"),
        ("runbook", False, "open"),
    ]
    assert (card.checked_at, card.data_through, card.could_not_check) == (NOW, NOW, False)
    assert (card.holds_since, card.fails_since, moves(flow)) == (None, None, [])


def test_a_step_up_is_proposed_on_the_third_day_with_its_evidence() -> None:
    flow = make_flow()
    ladder.tick(person(flow.account), flow.account, flow, "runbook", "Leo", NOW - 2 * DAY)
    assert moves(flow) == []
    look(flow.account, NOW - DAY)
    assert moves(flow) == []
    look(flow.account)
    assert moves(flow) == [(Kind.PROMOTION, "production", State.PROPOSED)]
    move = RungMove.objects.get(workflow=flow)
    assert move.happened_on == TODAY - 2 * DAY
    assert [row["value"] for row in move.evidence] == ["1,372", "28", "98.0%", "Leo"]
    look(flow.account, NOW + DAY)
    assert RungMove.objects.count() == 1


def test_nothing_moves_by_itself() -> None:
    flow, _ = ready()
    flow.refresh_from_db()
    assert flow.stage == "pilot"


def test_a_proposal_that_no_longer_holds_is_withdrawn_and_kept() -> None:
    flow, move = ready()
    ladder.untick(person(flow.account), flow.account, flow, "runbook", NOW + DAY)
    move.refresh_from_db()
    assert (move.state, move.reason) == (State.WITHDRAWN, "No longer met: Runbook.")


def test_a_step_back_is_proposed_after_14_days_and_names_the_day_it_began() -> None:
    flow = make_flow("production", days=30, until=TODAY - 34 * DAY)
    look(flow.account, NOW)
    move = RungMove.objects.get(workflow=flow)
    assert (move.kind, move.to_stage) == (Kind.DEMOTION, "pilot")
    assert move.happened_on == TODAY - 14 * DAY
    assert not all(row["is_met"] for row in move.evidence)


def test_a_step_back_waits_for_14_days() -> None:
    flow = make_flow("production", days=30, until=TODAY - 33 * DAY)
    look(flow.account, NOW)
    assert moves(flow) == []
    assert card_of(flow).fails_since == TODAY - 13 * DAY


def test_a_step_back_that_recovers_is_withdrawn_but_stays_recorded() -> None:
    flow = make_flow("production", days=30, until=TODAY - 34 * DAY)
    look(flow.account)
    meter = Meter.objects.get()
    for ago in range(9):
        make_usage_day(flow.account, meter, TODAY + timedelta(days=ago), flow, finished=50, successes=50, events=50)
    look(flow.account, NOW + 9 * DAY)
    assert moves(flow) == [(Kind.DEMOTION, "pilot", State.WITHDRAWN)]


def test_a_monthly_workflow_is_not_stepped_back_between_its_cycles() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    flow = make_workflow(account, stage="production")
    for ago in (50, 20):
        make_usage_day(account, meter, TODAY - timedelta(days=ago), flow, events=60, finished=60, successes=60)
    look(account)
    assert moves(flow) == []
    assert card_of(flow).fails_since is None


def test_first_calls_outside_of_production_open_the_way_to_pilot() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    flow = make_workflow(account, stage="building")
    make_partition(NOW)
    for number in range(3):
        Event.objects.create(
            organization_id=account.organization_id, key=uuid4(), occurred_at=NOW - timedelta(days=3, minutes=number),
            received_at=NOW, batch_id=1, account=account, meter=meter, workflow=flow, quantity=1, counted=False,
            environment="staging", source="t", event_id=str(number), properties={},
        )  # fmt: skip
    look(account)
    assert (gate(flow, "test_call")["value"], gate(flow, "first_runs")["value"]) == ("Jun 12", "3")
    assert gate(flow, "first_billable")["is_met"] is False
    Event.objects.all().delete()
    look(account, NOW + timedelta(hours=1))
    assert gate(flow, "first_runs")["value"] == "3"  # what was found an hour ago is not searched for again


def test_a_budget_a_target_and_answered_alerts_harden_a_workflow() -> None:
    flow = make_flow("production", success_target=Decimal("0.95"))
    look(flow.account)
    assert (gate(flow, "budget_set")["value"], gate(flow, "alerts")["value"]) == ("none", "no alert")
    make_budget(flow.account, "3100", scope="workflow", workflow=flow)
    Alert.objects.create(
        organization_id=flow.account.organization_id, account=flow.account, number=1, kind="spike", crossing="x",
        workflow=flow, headline="Twice the usual", raised_at=NOW - DAY, acknowledged_at=NOW - DAY + timedelta(hours=5),
    )  # fmt: skip
    look(flow.account)
    assert gate(flow, "budget_set")["is_met"]
    assert (gate(flow, "alerts")["is_met"], gate(flow, "alerts")["value"]) == (False, "0 of 1")
    assert (gate(flow, "in_target")["value"], gate(flow, "target_set")["value"]) == ("28", "95%")


def test_teams_are_counted_by_what_events_name() -> None:
    account = make_account()
    meter = make_meter(account.organization, dimensions=["team", "model"])
    flow = make_workflow(account, stage="hardened")
    for team in ("sales", "claims"):
        make_usage_day(account, meter, TODAY - DAY, flow, group=f'{{"model": "large", "team": "{team}"}}')
    look(account)
    assert (gate(flow, "teams")["is_met"], gate(flow, "teams")["value"]) == (False, "2")


def test_an_account_that_cannot_be_checked_keeps_what_was_known(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = make_flow()
    other = make_flow(account=make_account(flow.account.organization, "Other"))
    look(flow.account)
    whole = ladder.check_ladders.__globals__["climbing"]

    def broken(organization_id: Any, rules: Any, now: Any, account_ids: Any) -> Any:
        if flow.account_id in account_ids:
            raise RuntimeError("The disk is full.")
        return whole(organization_id, rules, now, account_ids)

    monkeypatch.setitem(ladder.check_ladders.__globals__, "climbing", broken)
    look(flow.account, NOW + DAY)
    assert card_of(flow).could_not_check
    assert gate(flow, "runs")["is_met"]
    assert card_of(flow).checked_at == NOW
    assert card_of(other).checked_at == NOW + DAY
    monkeypatch.setitem(ladder.check_ladders.__globals__, "climbing", whole)
    look(flow.account, NOW + 2 * DAY)
    assert not card_of(flow).could_not_check


def test_what_is_proposed_and_decided_is_told_to_those_who_ask() -> None:
    flow = make_flow()
    enter(staff_of(flow.account))
    Destination.objects.create(
        organization=flow.account.organization, kind="slack", name="CS", address=seal("https://example.com/h"),
        shown="x", topics=["rung.proposed", "rung.decided"],
    )  # fmt: skip
    csm = person(flow.account)
    ladder.tick(csm, flow.account, flow, "runbook", "Leo", NOW - 2 * DAY)
    look(flow.account)
    look(flow.account)
    told = Delivery.objects.get(topic="rung.proposed")
    assert told.payload["heading"] == f"{flow.account.name}: Invoice OCR: Step up to Production proposed"
    ladder.confirm(csm, flow.account, RungMove.objects.get(), NOW)
    decided = Delivery.objects.get(topic="rung.decided")
    assert decided.payload["heading"] == f"{flow.account.name}: Invoice OCR: Moved up to Production"


def test_steps_are_lines_of_the_timeline() -> None:
    flow, _ = ready()
    page = timeline(staff_of(flow.account), flow.account)
    assert "Invoice OCR: Step up to Production proposed" in [item.title for item in page.items]


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
