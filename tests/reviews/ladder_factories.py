"""Workflows on their ladder: with use, with a step that waits, and what tests ask of them."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import uuid4

from accounts.models import Account, Role
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions import ladder
from reviews.models import LadderCard, RungMove
from tests.factories import (
    make_account,
    make_meter,
    make_usage_day,
    make_user,
    make_workflow,
    staff_of,
)
from usage.models import Workflow

NOW = datetime(2026, 6, 15, 12, tzinfo=timezone.utc)
TODAY = NOW.date()
DAY = timedelta(days=1)
State, Kind = RungMove.State, RungMove.Kind


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
