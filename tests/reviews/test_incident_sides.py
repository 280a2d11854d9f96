"""What went wrong in a value review says what its cause card found, and whose side caused it where records say so."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import Account
from budgets.models import Alert, Anomaly
from consumption_cs.lib.tenancy import enter
from reviews.models import ValueReview
from reviews.reports.incident_sides import Faults, side_of
from reviews.reports.review_page import shown
from reviews.reports.review_tables import review_document
from reviews.reports.value_review import Asked, find_figures
from reviews.reports.value_review_words import first_text
from tests.factories import make_account, make_meter, make_organization, make_usage_day, make_workflow, staff_of
from tests.reviews.test_reliability import make_event
from usage.models import Meter, Workflow

NOW = datetime(2026, 10, 4, 12, tzinfo=UTC)
AT = datetime(2026, 9, 10, 8, tzinfo=UTC)


def make_card(kind: str = "loop", agreeing: int = 4, **parts: str) -> dict[str, Any]:
    amounts = {"price": "0", "volume": "0", "efficiency": "0", "reliability": "0"} | parts
    difference = sum(map(Decimal, amounts.values()), Decimal(0))
    return {
        "currency": "USD", "opening": "10.00", "closing": f"{difference + 10}", "difference": f"{difference}",
        "parts": [{"name": name, "label": name, "words": "", "amount": amount} for name, amount in amounts.items()],
        "verdict": {"kind": kind, "words": kind, "agreeing": agreeing, "signs": [{}] * 5},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("card", "faults", "side"),
    [
        (make_card(reliability="100"), Faults(40, 30, 5), "vendor"),
        (make_card(reliability="100"), Faults(40, 5, 30), "customer"),
        (make_card(reliability="100"), Faults(40, 20, 20), "unknown"),  # neither has more than half
        (make_card(reliability="100"), Faults(9, 9, 0), "unknown"),  # too few to tell by
        (make_card(reliability="100"), Faults(40, 0, 0), "unknown"),  # events that name nobody's fault
        (make_card("unclear", reliability="100"), Faults(40, 40, 0), "unknown"),
        (make_card("growth", volume="80", price="20"), Faults(), "customer"),
        (make_card("growth", volume="40", efficiency="60"), Faults(), "unknown"),  # more units are no more work
        (make_card("unclear", price="80", volume="20"), Faults(), "vendor"),
        ({}, Faults(40, 40, 0), "unknown"),
    ],
)
def test_a_side_is_told_only_where_the_records_say_so(card: dict[str, Any], faults: Faults, side: str) -> None:
    assert side_of(card, faults).side == side


def _spike(account: Account, workflow: Workflow, number: int, card: dict[str, Any] | None) -> Alert:
    enter(staff_of(account))
    own: dict[str, Any] = {"organization_id": account.organization_id, "account": account}
    at = AT + timedelta(days=number)
    anomaly = Anomaly.objects.create(
        **own, kind="spike", workflow=workflow, started_at=at, detected_at=at, seen_until=at + timedelta(hours=4),
        window_hours=4, score=9, expected=10, actual=90, impact=Decimal(100 - number),
    )  # fmt: skip
    return Alert.objects.create(
        **own, number=number, kind="spike", crossing=f"anomaly:{anomaly.pk}", anomaly=anomaly, workflow=workflow,
        headline=f"Spike {number}", numbers={}, raised_at=at, cause=card,
    )  # fmt: skip


@pytest.fixture
def account() -> Account:
    return make_account(make_organization())


def _figures(account: Account) -> dict[str, Any]:
    viewer = staff_of(account)
    enter(viewer)
    return find_figures(
        Asked(viewer, account, date(2026, 7, 1), date(2026, 10, 1), date(2026, 4, 1), date(2026, 7, 1), NOW)
    )


def _content(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        "figures": figures, "narrative": first_text(figures), "hidden": [], "signers": [], "number": 1,
        "before_number": None, "published_by": "", "published_at": NOW.isoformat(),
    }  # fmt: skip


@pytest.mark.django_db
def test_a_review_says_what_was_found_and_whose_fault_the_events_name(account: Account) -> None:
    meter: Meter = make_meter(account.organization)
    workflow = make_workflow(account)
    make_usage_day(account, meter, date(2026, 9, 10), workflow)
    _spike(account, workflow, 1, make_card(reliability="90"))
    _spike(account, workflow, 2, make_card(reliability="90"))
    _spike(account, workflow, 3, None)
    for number in range(12):
        at = AT + timedelta(days=1, minutes=number)
        fault = {"fault": "vendor"} if number < 9 else {"status_code": 422}
        make_event(account, meter, workflow, succeeded=False, occurred_at=at, properties=fault)
    make_event(account, meter, workflow, succeeded=False, occurred_at=AT + timedelta(days=2), properties={})
    figures = _figures(account)
    assert [(row["title"], row["side"]) for row in figures["incidents"]] == [
        ("Spike 1", "vendor"), ("Spike 2", "unknown"), ("Spike 3", "unknown"),
    ]  # fmt: skip
    content = _content(figures)
    rows = shown(content, "0" * 64)["sections"]["incidents"]["rows"]
    assert rows[0]["detail"] == (
        "When it was told: $90.00 of the extra $90.00 paid for repeat attempts."
        f" On the side of {account.organization.name}: 9 of 12 failed attempts say so."
    )
    assert rows[2]["detail"] == "Whose side caused it is not told apart."


@pytest.mark.django_db
def test_the_figures_as_a_file_name_the_side_and_an_older_file_has_no_such_column(account: Account) -> None:
    _spike(account, make_workflow(account), 1, make_card("growth", volume="90"))
    figures = _figures(account)
    review = ValueReview(content=_content(figures), hash="0" * 64)
    (table,) = [one for one in review_document(review).tables if one.name == "Incidents"]
    assert table.rows[0][table.at("Side")] == account.name
    del figures["incidents"][0]["side_why"]
    (table,) = [one for one in review_document(review).tables if one.name == "Incidents"]
    assert [column.label for column in table.columns] == ["On", "What", "Cost", "Credited"]


@pytest.mark.django_db
def test_a_review_from_before_sides_were_looked_at_reads_as_it_did(account: Account) -> None:
    _spike(account, make_workflow(account), 1, make_card(reliability="90"))
    figures = _figures(account)
    for row in figures["incidents"]:
        del row["side_why"]
    row = shown(_content(figures), "0" * 64)["sections"]["incidents"]["rows"][0]
    assert "side" not in row["detail"]
