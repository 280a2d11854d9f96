"""The cause card of a spike, from stored hours: exact, with a verdict, frozen as JSON and shown as it is."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.template.loader import render_to_string

from accounts.models import Account
from budgets.reports.cause import cause_card, group_words
from budgets.reports.cause_shown import cause_shown
from budgets.reports.cause_sums import same_hours_before
from consumption_cs.lib.tenancy import enter
from tests.factories import make_account, make_meter, make_workflow, staff_of
from usage.models import Meter, UsageDay, UsageHour, Workflow

D = Decimal
START = datetime(2026, 6, 17, 14, tzinfo=timezone.utc)
END = START + timedelta(hours=2)


@pytest.fixture
def account(db: None) -> Account:
    return make_account(timezone="UTC")


def use(
    account: Account, meter: Meter, workflow: Workflow, hour: datetime, attempts: int, done: int, key: str
) -> None:
    """One hour, alone on its day, at 0.10 for each attempt."""
    enter(staff_of(account))
    own: dict[str, Any] = {"organization_id": account.organization_id, "account": account, "meter": meter}
    own |= {"workflow": workflow, "group": json.dumps({"key": key}), "last_event_at": hour}
    counts = {"quantity": D(attempts), "events": attempts, "finished": attempts, "successes": done}
    UsageHour.objects.create(**own, **counts, starts_at=hour)
    day, made = UsageDay.objects.get_or_create(
        **own | {"last_event_at": START}, day=hour.date(), defaults=counts | {"spend": D(attempts) / 10}
    )
    if not made:
        for name, value in counts.items():
            setattr(day, name, getattr(day, name) + value)
        day.spend = (day.spend or 0) + D(attempts) / 10
        day.save()


def test_a_loop_is_split_to_the_cent_and_called_a_loop(
    account: Account, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    meter = make_meter(account.organization)
    triage, search = make_workflow(account, "Claims triage"), make_workflow(account, "Search")
    for week in range(1, 9):
        for hour in (0, 1):
            at = START - timedelta(days=7 * week) + timedelta(hours=hour)
            use(account, meter, triage, at, 20 + week, 19 + week, "prod-1")
            use(account, meter, search, at, 10, 10, "prod-2")
    for hour in (0, 1):
        use(account, meter, triage, START + timedelta(hours=hour), 400, 2, "prod-1")
        use(account, meter, search, START + timedelta(hours=hour), 10, 10, "prod-2")
    with django_assert_max_num_queries(8):
        card = cause_card(staff_of(account), account, START, END)
    parts = {part["name"]: D(part["amount"]) for part in card["parts"]}
    assert D(card["opening"]) + sum(parts.values()) == D(card["closing"]) == D("82.00")
    assert D(card["opening"]) == D("6.80")  # week 4 of eight, the lower of the two in the middle
    assert parts["reliability"] > 75
    assert card["verdict"]["kind"] == "loop"
    assert sum(D(row["difference"]) for row in card["rows"]) == D(card["difference"])
    assert (card["rows"][0]["workflow"], card["rows"][0]["group"]) == ("Claims triage", "key prod-1")
    frozen = json.loads(json.dumps(card))
    page = render_to_string("budgets/_cause_card.html", {"card": cause_shown(frozen)})
    for words in ("a loop, not growth", "n too small", "+$75.20"):
        assert words in page


def test_an_account_without_history_is_all_started(account: Account) -> None:
    meter, workflow = make_meter(account.organization), make_workflow(account)
    use(account, meter, workflow, START, 10, 10, "k")
    card = cause_card(staff_of(account), account, START, END)
    assert {part["name"]: part["amount"] for part in card["parts"]}["started"] == "1.00"
    assert (card["baseline"]["start"], card["verdict"]["kind"]) == (None, "too_little")


def test_a_window_without_use_has_a_card_too(account: Account) -> None:
    assert cause_card(staff_of(account), account, START, END)["difference"] == "0.00"


def test_the_usual_hours_keep_the_wall_clock() -> None:
    account = Account(timezone="Europe/Berlin")
    after_change = datetime(2026, 4, 1, 12, tzinfo=timezone.utc)  # 14:00 in summer
    start, _ = same_hours_before(account, after_change, after_change + timedelta(hours=1))[0]
    assert start == datetime(2026, 3, 25, 13, tzinfo=timezone.utc)


def test_groups_are_told_by_their_dimensions() -> None:
    assert group_words('{"key": "prod-1", "version": "4.3"}') == "key prod-1 · version 4.3"
    assert group_words("") == group_words("x") == ""
