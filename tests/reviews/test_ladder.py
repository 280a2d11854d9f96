"""The look at the ladder: gates ticked by data, steps proposed, withdrawn and told."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from budgets.models import Alert, Delivery, Destination
from consumption_cs.lib.sealed import seal
from consumption_cs.lib.tenancy import enter
from reviews.actions import ladder
from reviews.models import RungMove
from reviews.reports.timeline import timeline
from tests.budgets.budget_factories import make_budget
from tests.factories import (
    make_account,
    make_meter,
    make_partition,
    make_usage_day,
    make_workflow,
    staff_of,
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
from usage.models import Event, Meter

pytestmark = pytest.mark.django_db


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


def test_a_look_takes_as_many_queries_for_twenty_accounts_as_for_one() -> None:
    flow = make_flow(days=9)
    look(flow.account)
    with CaptureQueriesContext(connection) as one:
        ladder.check_ladders(flow.account.organization_id, NOW)
    enter(staff_of(flow.account))
    meter = Meter.objects.get()
    for number in range(20):
        make_flow(days=1, meter=meter, account=make_account(flow.account.organization, f"A{number}"))
    ladder.check_ladders(flow.account.organization_id, NOW)
    with CaptureQueriesContext(connection) as many:
        assert ladder.check_ladders(flow.account.organization_id, NOW) == 21
    assert len(many) <= len(one)
