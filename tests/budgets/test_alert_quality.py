"""The quality of alerts: metrics 28 and 29, and their page."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import Account, Role
from budgets.calc.alert_quality import Invoice, ToldAlert, bill_shock_rate, is_shock, precision, quality
from budgets.models import Alert, Budget, BudgetVersion, Delivery
from budgets.reports.alert_quality import alert_quality
from consumption_cs.lib.tenancy import enter
from tests.factories import NOW, make_account, make_member, make_meter, make_usage_day, signed_in, staff_of
from usage.models import BillingPeriod

D = Decimal
END = datetime(2026, 6, 1, tzinfo=timezone.utc)


def invoice(amount: str, expected: str | None, warned_hours: int | None = None) -> Invoice:
    warned = None if warned_hours is None else END - timedelta(hours=warned_hours)
    return Invoice(D(amount), None if expected is None else D(expected), END, warned)


@pytest.mark.parametrize(
    ("amount", "expected", "warned", "shock"),
    [
        ("121", "100", None, True),
        ("120", "100", None, False),
        ("121", "100", 72, False),
        ("121", "100", 71, True),
        ("121", None, None, False),
    ],
)
def test_a_bill_shock_is_above_all_expectation_and_without_warning(
    amount: str, expected: str | None, warned: int | None, shock: bool
) -> None:
    assert is_shock(invoice(amount, expected, warned)) is shock


def test_rates_are_of_what_can_be_judged_and_null_has_a_reason() -> None:
    found = bill_shock_rate([invoice("200", "100"), *[invoice("90", "100")] * 3, invoice("1", None)])
    assert (found.value, found.count) == (D(250), 4)
    assert bill_shock_rate([]).reason == "No billing period was closed"
    assert (precision([]).value, precision([]).reason) == (None, "Nobody has judged an alert yet")
    judged = [ToldAlert("a", NOW, feedback) for feedback in ("useful", "useful", "wrong", "")]
    assert precision(judged).value == D(2) / 3


def test_lead_and_acknowledgement_are_medians() -> None:
    alerts = [
        ToldAlert("a", NOW, "", NOW + timedelta(hours=hours), NOW + timedelta(hours=10 * hours)) for hours in (1, 2, 9)
    ]
    found = quality(alerts, [], 3, D(7))
    assert (found.acknowledge.value, found.lead.value, found.per_week.value) == (D(2), D(20), D(1))
    assert quality([], [], 0, D(7)).per_week.value is None


@pytest.fixture
def account(db: None) -> Account:
    account = make_account(timezone="UTC")
    make_usage_day(account, make_meter(account.organization), date(2026, 5, 10))
    own: dict[str, Any] = {"organization_id": account.organization_id, "account": account}
    budget = Budget.objects.create(**own, name="Month", period="month")
    version = BudgetVersion.objects.create(
        **own,
        budget=budget,
        number=1,
        amount=100,
        currency="USD",
        created_at=datetime(2026, 4, 1, tzinfo=timezone.utc),
    )
    BillingPeriod.objects.create(
        **own, starts_on=date(2026, 5, 1), ends_on=date(2026, 6, 1), currency="USD", amount=150, closed_at=END
    )
    at = datetime(2026, 5, 20, tzinfo=timezone.utc)
    for number, (threshold, hours) in enumerate(((80, 0), (100, 48)), start=1):
        Alert.objects.create(
            **own, number=number, kind="actual_percent", crossing=f"{number}", budget=budget, version=version,
            threshold=threshold, headline="80 %", raised_at=at + timedelta(hours=hours), period_start=END,
            feedback="useful" if number == 1 else "",
        )  # fmt: skip
    return account


def test_the_months_of_an_organization(account: Account) -> None:
    viewer = staff_of(account)
    _, months = alert_quality(viewer, NOW)
    may = next(one for one in months if one.month == date(2026, 5, 1)).found
    assert (may.bill_shock.value, may.precision.value, may.lead.value) == (D(1000), D(1), D(48))
    alert = Alert.objects.get(number=1)
    Delivery.objects.create(
        organization_id=account.organization_id, account=account, alert=alert, topic="alert.raised", key="k",
        payload={}, next_at=NOW, state="delivered", delivered_at=alert.raised_at,
    )  # fmt: skip
    together, _ = alert_quality(viewer, NOW)
    assert together.bill_shock.value == 0


def test_the_page_and_its_file(account: Account) -> None:
    client = signed_in(make_member(account.organization, Role.LEADER))
    page = client.get("/alerts/quality/")
    assert page.status_code == 200
    assert "Bill shocks" in page.content.decode()
    assert client.get("/alerts/quality/quality.csv").content.decode().count("\n") == 7
    enter(staff_of(account))
    assert signed_in(make_member(account, Role.PORTAL_OWNER)).get("/alerts/quality/").status_code == 403
