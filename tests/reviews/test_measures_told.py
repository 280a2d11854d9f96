"""Programs of the vendor hear when health changes its band and when a warning opens or is over; customers never."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from accounts.models import Account
from budgets.models import Delivery, Destination
from consumption_cs.lib.tenancy import enter
from reviews.actions.health import recipe_in_force
from reviews.actions.measure import measure_accounts, measure_days
from reviews.actions.overrides import end_override, set_override
from reviews.actions.signals import look
from reviews.calc.metrics import Value
from reviews.models import HealthDay, Signal
from reviews.reports.health import bands
from tests.factories import make_account, make_member, staff_of

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
YESTERDAY = date(2026, 6, 14)


@pytest.fixture
def account() -> Account:
    made = make_account(timezone="UTC")
    own: dict[str, Any] = {"organization": made.organization, "address": b"x", "shown": "x"}
    Destination.objects.create(**own, kind="webhook", name="All")
    Destination.objects.create(**own, kind="slack", name="Alerts", topics=["alert.raised"])
    Destination.objects.create(**own, account=made, kind="webhook", name="Theirs", by_customer=True)
    return made


def scored(account: Account, score: int | None, day: date = YESTERDAY - timedelta(days=1)) -> None:
    HealthDay.objects.create(
        organization_id=account.organization_id,
        account=account,
        day=day,
        recipe=recipe_in_force(account.organization_id, NOW),
        score=None if score is None else D(score),
        reason="" if score is not None else "Too young",
        computed_at=NOW - timedelta(days=1),
    )


def told(account: Account, topic: str = "health.changed") -> list[dict[str, Any]]:
    enter(staff_of(account))
    return [row.payload["data"] for row in Delivery.objects.filter(topic=topic).order_by("pk")]


def test_a_band_that_changes_is_told_once_to_the_vendors_programs(account: Account) -> None:
    scored(account, 91)
    measure_accounts(account.organization_id, NOW)
    (data,) = told(account)
    assert (data["previous_band"], data["band"], data["previous_score"], data["score"]) == (
        "good", "none", "91.00", None,
    )  # fmt: skip
    assert data["account"]["key"] == account.key
    assert data["reason"]
    measure_accounts(account.organization_id, NOW + timedelta(hours=7))
    assert len(told(account)) == 1


def test_the_first_look_and_an_unchanged_band_tell_nothing(account: Account) -> None:
    measure_accounts(account.organization_id, NOW)
    measure_accounts(account.organization_id, NOW + timedelta(days=1))
    assert told(account) == []


def test_what_has_passed_is_not_told(account: Account) -> None:
    scored(account, 91, YESTERDAY - timedelta(days=4))
    measure_days(account.organization_id, [YESTERDAY - timedelta(days=2)], acts=True)
    assert told(account) == []


def test_the_word_of_a_person_counts_at_each_look_and_is_told_when_given_and_when_over(account: Account) -> None:
    viewer = staff_of(account)
    viewer = type(viewer)(viewer.organization_id, None, viewer.role, make_member(account.organization).user_id)
    scored(account, None)
    enter(viewer)
    set_override(viewer, account, 95, "They told us all is well", timedelta(days=3), NOW - timedelta(hours=1))
    measure_accounts(account.organization_id, NOW)
    assert [(row["previous_band"], row["band"], row["is_overridden"]) for row in told(account)] == [
        ("none", "good", True)
    ]
    end_override(viewer, account, NOW + timedelta(hours=1))
    assert bands(account.organization_id, [account.pk])[account.pk].band == "good"
    measure_accounts(account.organization_id, NOW + timedelta(hours=7))
    assert [row["band"] for row in told(account)] == ["good", "none"]


def test_a_warning_is_told_when_it_opens_and_when_it_is_over(account: Account) -> None:
    enter(staff_of(account))
    for days, change in ((0, -30), (1, -31), (2, 4)):
        then = NOW + timedelta(days=days)
        look(account.organization_id, then, [(account.pk, then.date(), {"change_28": Value(D(change))})])
    (opened,), (closed,) = told(account, "signal.opened"), told(account, "signal.closed")
    assert (opened["headline"], opened["closed_at"]) == ("Use fell by 30% in 28 days", None)
    assert opened["signal_id"] == closed["signal_id"] == str(Signal.objects.get().pk)
    assert (closed["headline"], closed["closed_at"]) == (
        "Use fell by 31% in 28 days", (NOW + timedelta(days=2)).isoformat(),
    )  # fmt: skip


def test_a_warning_of_the_past_is_kept_but_not_told(account: Account) -> None:
    enter(staff_of(account))
    look(account.organization_id, NOW, [(account.pk, YESTERDAY, {"silent_days": Value(D(9))})], is_told=False)
    assert Signal.objects.get().kind == "silence"
    assert told(account, "signal.opened") == []


def test_looking_at_many_accounts_takes_a_handful_of_queries(
    account: Account, django_assert_max_num_queries: Any
) -> None:
    rows = [
        (make_account(account.organization, f"Customer {number}").pk, YESTERDAY, {"silent_days": Value(D(9))})
        for number in range(40)
    ]
    enter(staff_of(account))
    with django_assert_max_num_queries(4):
        look(account.organization_id, NOW, rows, is_told=False)
    with django_assert_max_num_queries(4):
        look(account.organization_id, NOW, rows)
