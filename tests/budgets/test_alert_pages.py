"""One alert as people see it: what stops it, what it comes to by now, and parts that follow while it is open."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import Account
from budgets.models import Alert, Anomaly, Limit
from budgets.reports.alert_now import covering, facts_now, stop_words, stops
from consumption_cs.lib.tenancy import enter
from tests.budgets.budget_factories import make_budget, make_paying_account, use
from tests.factories import make_account, make_member, signed_in, staff_of

D = Decimal
NOW = datetime(2026, 6, 17, 12, 30, tzinfo=timezone.utc)
CARD: dict[str, Any] = {
    "currency": "USD", "opening": "127.00", "closing": "254.00", "difference": "127.00", "more_rows": 0,
    "baseline": {"weeks": 8, "start": "2026-06-10T10:00:00+00:00", "end": "2026-06-10T12:00:00+00:00"},
    "parts": [
        {"name": "volume", "label": "Volume", "words": "More work", "amount": "5.60"},
        {"name": "reliability", "label": "Reliability", "words": "369 repeat attempts", "amount": "121.40"},
    ],
    "rows": [
        {"workflow": "Claims triage", "group": "key prod-2", "usual": "127.00", "spent": "254.00",
         "difference": "127.00", "finished": 378, "successes": 2, "success_rate": "0.0053"},
    ],
    "verdict": {"kind": "loop", "words": "A loop", "agreeing": 1, "signs": [
        {"label": "Attempts per task", "now": "42.0", "usual": "1.1", "says": "loop"}]},
}  # fmt: skip


def make_spike(account: Account, **fields: Any) -> Alert:
    enter(staff_of(account))
    own: dict[str, Any] = {"organization_id": account.organization_id, "account": account}
    anomaly = Anomaly.objects.create(
        **own, kind="spike", started_at=NOW - timedelta(hours=3), detected_at=NOW,
        seen_until=NOW - timedelta(minutes=30), window_hours=2, score=5, expected=20, actual=254, impact=234,
    )  # fmt: skip
    alert = Alert.objects.create(
        **own, number=7, kind="spike", crossing="a", anomaly=anomaly, headline="Claims triage doubled", raised_at=NOW,
        numbers={"impact": "234"}, cause=CARD, **fields,
    )  # fmt: skip
    return Alert.objects.select_related("anomaly").get(pk=alert.pk)


@pytest.fixture
def account(db: None) -> Account:
    return make_account(timezone="UTC")


def test_the_page_shows_the_split_the_verdict_and_who_carries_it(account: Account) -> None:
    alert = make_spike(account)
    page = signed_in(make_member(account)).get(f"/accounts/{account.pk}/alerts/{alert.pk}/").content.decode()
    for words in (
        "$121.40 of the extra $127.00 paid for repeat attempts",
        "Verdict: a loop, not growth",
        "Claims triage and key prod-2 carries 100% of the extra",
        "Nothing would stop it",
        "The alert was raised on +$234.00",
        "Still running",
        'hx-trigger="every 15s"',
    ):
        assert words in page


def test_the_parts_that_follow_leave_menus_and_forms_alone(account: Account) -> None:
    alert = make_spike(account)
    client = signed_in(make_member(account))
    part = client.get(f"/accounts/{account.pk}/alerts/{alert.pk}/?live=1").content.decode()
    for name in ("alert-meta", "alert-facts", "alert-chart", "alert-log"):
        assert f'id="{name}"' in part
    assert "<form" not in part
    assert "<h1" not in part


def test_a_closed_alert_does_not_ask_again(account: Account) -> None:
    alert = make_spike(account, state="resolved", resolved_at=NOW)
    page = signed_in(make_member(account)).get(f"/accounts/{account.pk}/alerts/{alert.pk}/").content.decode()
    assert "every 15s" not in page
    assert "What each action does" not in page


def test_who_carries_it_can_be_downloaded_and_adds_up(account: Account) -> None:
    alert = make_spike(account)
    client = signed_in(make_member(account))
    lines = client.get(f"/accounts/{account.pk}/alerts/{alert.pk}/cause.csv").content.decode().splitlines()
    assert lines[-1].startswith("total,,,127.00,254.00,127.00")
    enter(staff_of(account))
    Alert.objects.filter(pk=alert.pk).update(cause=None)
    assert client.get(f"/accounts/{account.pk}/alerts/{alert.pk}/cause.csv").status_code == 404


@pytest.fixture
def limited(db: None) -> tuple[Account, Alert]:
    """An account that spent 40 of 100 today, with a stop at 100 after 30 minutes, and a spike at 10 an hour."""
    account, meter = make_paying_account(timezone="UTC")
    budget = make_budget(account, period="day", name="Daily guard")
    use(account, meter, NOW - timedelta(minutes=10), "40")
    enter(staff_of(account))
    Limit.objects.create(
        organization_id=account.organization_id, account=account, budget=budget, number=9, action="stop",
        grace_minutes=30, grace_percent=0,
    )  # fmt: skip
    return account, make_spike(account)


def test_a_limit_says_what_it_does_and_when(limited: tuple[Account, Alert]) -> None:
    account, alert = limited
    viewer = staff_of(account)
    enter(viewer)
    uses = covering(viewer, account, alert, NOW)
    (stop,) = stops(viewer, account, alert, uses, D(10), NOW)
    assert (stop.at, stop.more, stop.is_reached) == (D(100), D(60), False)
    assert stop.reached_at == NOW + timedelta(hours=6)
    assert stop.acts_at == NOW + timedelta(hours=6, minutes=30)
    words = stop_words(stop, account)
    assert words.startswith("At $100.00 it stops all use, after 30 minutes.")
    facts = facts_now(account, alert, uses, [stop], D(10), NOW)
    assert [fact.label for fact in facts] == ["Extra so far", "Pace now", "If nobody acts", "Daily guard so far"]
    assert facts[2].value == "+$60.00 more"
    assert "“Daily guard” stops it" in facts[2].note


def test_a_limit_that_is_too_far_promises_nothing(limited: tuple[Account, Alert]) -> None:
    account, alert = limited
    viewer = staff_of(account)
    enter(viewer)
    uses = covering(viewer, account, alert, NOW)
    (stop,) = stops(viewer, account, alert, uses, D(1), NOW)
    assert (stop.reached_at, stop.acts_at) == (None, None)
    assert "not reached in this period" in stop_words(stop, account)
    facts = facts_now(account, alert, uses, [stop], D(30), NOW)
    assert facts[2].note == "no limit stops it in this period"


def test_another_customer_finds_no_alert(account: Account) -> None:
    alert = make_spike(account)
    other = make_account(account.organization, "Other", key="other")
    client = signed_in(make_member(other))
    assert client.get(f"/accounts/{account.pk}/alerts/{alert.pk}/cause.csv").status_code == 404
    assert client.get(f"/accounts/{other.pk}/alerts/{alert.pk}/?live=1").status_code == 404
