"""Credits for spikes: through the tiers, asked for once, booked as a commit when approved."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import Account, AuditEvent, Role
from budgets.actions.forgiveness import ForgivenessError, approve, decline, request_forgiveness
from budgets.calc.forgiveness import not_eligible, spike_credit
from budgets.models import Alert, AlertEvent, Anomaly, Commit, Forgiveness
from budgets.reports.forgiveness import working
from consumption_cs.lib.tenancy import enter
from tests.budgets.ledger_factories import make_contract
from tests.factories import make_account, make_member, make_meter, make_price, portal_of, signed_in, staff_of
from usage.calc.price_terms import price_from
from usage.calc.prices import Usage
from usage.models import RatedDay, UsageDay, UsageHour

D = Decimal
NOW = datetime(2026, 6, 17, 18, 30, tzinfo=timezone.utc)
START = datetime(2026, 6, 17, 14, tzinfo=timezone.utc)
TIERS: dict[str, Any] = {
    "model": "graduated",
    "params": {
        "tiers": [
            {"up_to": "1000000", "unit": "0.0005"},
            {"up_to": "5000000", "unit": "0.0003"},
            {"up_to": None, "unit": "0.0002"},
        ]
    },
}


def test_the_golden_spike_refund() -> None:
    """Product list: 2,300 − 800 = 1,500, not the 1,900 of six million alone."""
    credit = spike_credit(price_from(TIERS), Usage(D(8_000_000), 8), Usage(D(6_000_000), 6))
    assert (credit.actual, credit.baseline, credit.amount) == (D("2300.00"), D("800.00"), D("1500.00"))
    assert spike_credit(price_from(TIERS), Usage(D(10)), Usage(D(-5))).amount == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"is_asked": True}, "already"),
        ({"is_spike": False}, "something else"),
        ({"started_at": NOW - timedelta(days=61)}, "60 days"),
        ({"verdict": "growth"}, "their staff can ask"),
        ({"verdict": "growth", "by_staff": True}, ""),
    ],
)
def test_who_may_ask_and_when(change: dict[str, Any], words: str) -> None:
    usual: dict[str, Any] = {"is_spike": True, "verdict": "loop", "by_staff": False, "started_at": START, "now": NOW}
    found = not_eligible(**usual | {"is_asked": False} | change)
    assert words in found if words else found == ""


@pytest.fixture
def account(db: None) -> Account:
    account = make_account(timezone="UTC")
    meter = make_meter(account.organization)
    make_price(meter, terms=TIERS)
    enter(staff_of(account))
    own: dict[str, Any] = {"organization_id": account.organization_id, "account": account, "meter": meter}
    for week, quantity in enumerate((7_000_000, 1_000_000, 1_000_000)):
        at = START - timedelta(days=7 * week)
        counts = {"quantity": D(quantity), "events": 100, "last_event_at": at}
        UsageHour.objects.create(**own, **counts, starts_at=at)
        UsageDay.objects.create(**own, **counts, day=at.date(), spend=D(quantity) / 1000)
    RatedDay.objects.create(
        **own, day=START.date(), quantity=7_000_000, events=100, amount=1, total_quantity=8_000_000, total_events=200
    )
    return account


def make_alert(account: Account, verdict: str = "loop") -> Alert:
    enter(staff_of(account))
    own: dict[str, Any] = {"organization_id": account.organization_id, "account": account}
    anomaly = Anomaly.objects.create(
        **own, kind="spike", started_at=START, detected_at=NOW, seen_until=START + timedelta(hours=1),
        window_hours=1, score=5, expected=1, actual=7, impact=6,
    )  # fmt: skip
    alert: Alert = Alert.objects.create(
        **own, number=1, kind="spike", crossing="a", anomaly=anomaly, headline="Spike", raised_at=NOW,
        cause={"verdict": {"kind": verdict}},
    )  # fmt: skip
    return alert


def test_the_working_goes_through_the_tiers_of_the_period(account: Account) -> None:
    found = working(staff_of(account), account, make_alert(account), NOW)
    assert (found.amount, found.problem) == (D("1500.00"), "")
    (line,) = found.lines
    assert (D(line["actual"]), D(line["baseline"])) == (8_000_000, 2_000_000)
    assert [part["what"] for part in line["parts"]] == ["tier 1", "tier 2", "tier 3"]


def test_a_credit_is_asked_for_once_and_booked_when_approved(account: Account) -> None:
    make_contract(account)
    alert, staff = make_alert(account), staff_of(account, Role.FINANCE)
    asked = request_forgiveness(staff, account, alert, "A loop in our client", NOW)
    with pytest.raises(ForgivenessError, match="already"):
        request_forgiveness(staff, account, alert, "again", NOW)
    approve(staff, asked, "Once, as agreed", NOW)
    commit = Commit.objects.get(account=account)
    assert (commit.name, commit.kind, commit.value) == ("Credit for the spike of Jun 17", "promotional", D(1500))
    kept = Forgiveness.objects.get(pk=asked.pk)
    assert (kept.state, kept.is_excused, kept.commit) == ("approved", True, commit)
    with pytest.raises(ForgivenessError, match="decided already"):
        decline(staff, asked, "no", NOW)
    assert AlertEvent.objects.filter(alert=alert).count() == 2
    assert AuditEvent.objects.filter(action__startswith="forgiveness.").count() == 2


def test_without_a_contract_nothing_is_booked_in_words(account: Account) -> None:
    asked = request_forgiveness(staff_of(account), account, make_alert(account), "A loop", NOW)
    with pytest.raises(ForgivenessError, match="no contract in force"):
        approve(staff_of(account), asked, "", NOW)
    assert decline(staff_of(account), asked, "It was growth", NOW).is_excused is False


def test_a_customer_asks_only_where_the_signs_speak_for_a_loop(account: Account) -> None:
    alert = make_alert(account, "growth")
    with pytest.raises(ForgivenessError, match="their staff can ask"):
        request_forgiveness(portal_of(account), account, alert, "please", NOW)


def test_the_page_shows_the_working_and_finance_decides(account: Account) -> None:
    make_contract(account)
    alert = make_alert(account)
    Anomaly.objects.update(started_at=START, seen_until=START + timedelta(hours=1))
    asked = request_forgiveness(staff_of(account), account, alert, "A loop", NOW)
    client = signed_in(make_member(account.organization, Role.FINANCE))
    page = client.get(f"/accounts/{account.pk}/alerts/{alert.pk}/forgiveness/").content.decode()
    for words in ("$1,500.00", "Tier 3", "was asked for"):
        assert words in page
    assert "1 credit waits for a decision" in client.get("/finance/forgiveness/").content.decode()
    answer = client.post(f"/finance/forgiveness/{asked.pk}/decide/", {"decision": "approve", "excused": "on"})
    assert answer.status_code == 302
    assert "was booked" in client.get(f"/accounts/{account.pk}/alerts/{alert.pk}/forgiveness/").content.decode()
