"""Who hears of an alert, once each, and what quiet hours hold back."""

from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from accounts.models import Account, Role
from budgets.actions.outbox import tell, tell_limit
from budgets.calc.delivery_times import quiet_until, retry_at
from budgets.models import Alert, Budget, Delivery, Destination, Limit, LimitEvent, NotificationWishes, Route
from consumption_cs.lib.sealed import seal, unseal
from consumption_cs.lib.tenancy import enter
from tests.factories import make_account, make_member, portal_of, staff_of

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 15, 22, tzinfo=UTC)


def make_alert(account: Account, number: int = 1, **fields: Any) -> Alert:
    enter(staff_of(account))
    given: dict[str, Any] = {"kind": "spike", "headline": "Spend doubled", "raised_at": NOW} | fields
    own = {"organization": account.organization, "account": account}
    return Alert.objects.create(**own, number=number, crossing=f"c{number}", **given)


def make_place(account: Account, /, **fields: Any) -> Destination:
    given: dict[str, Any] = {"kind": "webhook", "name": "Hook", "address": seal("https://example.com/h"), "shown": "x"}
    own = {"organization": account.organization, "account": account}
    return Destination.objects.create(**(own | given | fields))


def raised(account: Account, *alerts: Alert, topic: str = "alert.raised") -> list[Delivery]:
    tell(account.organization_id, NOW, topic, alerts)
    return list(Delivery.objects.order_by("pk"))


def test_owners_and_the_csm_hear_by_default_once_however_often_it_is_told() -> None:
    account = make_account()
    owner, csm = make_member(account), make_member(account.organization, Role.CSM)
    make_member(account, Role.PORTAL_VIEWER)
    account.csm = csm.user
    account.save()
    alert = make_alert(account)
    raised(account, alert)
    rows = raised(account, alert)
    assert {(row.email, row.is_internal) for row in rows} == {(owner.user.email, False), (csm.user.email, True)}
    assert rows[0].payload["subject"] == "Northwind: Spend doubled"


def test_a_route_names_who_hears_of_a_budget_and_the_others_do_not() -> None:
    account = make_account()
    make_member(account)
    engineer = make_member(account, Role.PORTAL_ENGINEER)
    alert = make_alert(account)
    Route.objects.create(organization=account.organization, account=account, membership=engineer)
    assert [row.email for row in raised(account, alert)] == [engineer.user.email]


def test_a_customer_never_sees_what_went_to_staff() -> None:
    account = make_account()
    make_member(account)
    csm = make_member(account.organization, Role.CSM)
    account.csm = csm.user
    account.save()
    raised(account, make_alert(account))
    enter(portal_of(account))
    assert Delivery.objects.count() == 1


def test_an_organization_s_webhook_hears_of_all_accounts_until_a_route_narrows_it() -> None:
    account = make_account()
    enter(staff_of(account))
    place = make_place(account, account=None)
    assert [row.destination_id for row in raised(account, make_alert(account))] == [place.pk]
    other = make_account(account.organization, "Other")
    Route.objects.create(organization=account.organization, account=other, destination=place)
    assert len(raised(account, make_alert(account, 2))) == 1


def test_a_destination_hears_only_its_topics_and_not_when_it_is_off() -> None:
    account = make_account()
    enter(staff_of(account))
    for fields in ({"topics": ["limit.reached"]}, {"disabled_at": NOW}, {"removed_at": NOW}):
        place = make_place(account, **fields)
        Route.objects.create(organization=account.organization, account=account, destination=place)
    assert raised(account, make_alert(account)) == []


def test_quiet_hours_hold_a_warning_with_a_note_and_let_a_critical_one_through() -> None:
    account = make_account()
    owner = make_member(account)
    NotificationWishes.objects.create(
        organization=account.organization, account=account, membership=owner, timezone="Europe/Vienna",
        quiet_from=time(22), quiet_to=time(7),
    )  # fmt: skip
    rows = raised(account, make_alert(account), make_alert(account, 2, severity="critical"))
    through, held = sorted(rows, key=lambda row: row.next_at)
    assert held.next_at == datetime(2026, 6, 16, 5, tzinfo=UTC)
    assert held.note == "Held until 07:00: quiet hours."
    assert through.next_at == NOW


def test_less_severe_than_wished_is_not_sent() -> None:
    account = make_account()
    owner = make_member(account)
    NotificationWishes.objects.create(
        organization=account.organization, account=account, membership=owner, least_severity="critical"
    )
    assert raised(account, make_alert(account)) == []


def test_each_step_of_a_limit_is_told_once() -> None:
    account = make_account()
    make_member(account)
    own: dict[str, Any] = {"organization": account.organization, "account": account}
    budget = Budget.objects.create(**own, name="Monthly")
    limit = Limit.objects.create(**own, budget=budget, number=1, action=Limit.Action.STOP, lift_roles=["admin"])
    event = LimitEvent.objects.create(
        **own, budget=budget, limit=limit, kind="acting", period_start=NOW, at=NOW, used=Decimal(120),
        amount=Decimal(100),
    )  # fmt: skip
    for _ in range(2):
        tell_limit(account.organization_id, NOW, [event])
    row = Delivery.objects.get()
    assert (row.topic, row.is_critical) == ("limit.acting", True)
    assert row.payload["subject"] == "Northwind: “Monthly” is over its limit, which is in force now"


VIENNA = ZoneInfo("Europe/Vienna")


@pytest.mark.parametrize(
    ("now", "end"),
    [
        (datetime(2026, 3, 28, 22, tzinfo=UTC), datetime(2026, 3, 29, 5, tzinfo=UTC)),  # the night the clock skips 2
        (datetime(2026, 10, 24, 21, tzinfo=UTC), datetime(2026, 10, 25, 6, tzinfo=UTC)),  # and shows it twice
        (datetime(2026, 6, 15, 12, tzinfo=UTC), None),
    ],
)
def test_quiet_hours_are_of_the_person_s_clock(now: datetime, end: datetime | None) -> None:
    assert quiet_until(now, VIENNA, time(22), time(7), False) == end


def test_a_quiet_weekend_runs_into_the_quiet_night_before_monday() -> None:
    saturday = datetime(2026, 6, 13, 12, tzinfo=UTC)
    assert quiet_until(saturday, VIENNA, None, None, True) == datetime(2026, 6, 14, 22, tzinfo=UTC)
    assert quiet_until(saturday, VIENNA, time(22), time(7), True) == datetime(2026, 6, 15, 5, tzinfo=UTC)


def test_retries_take_three_days_and_then_end() -> None:
    waits = [(retry_at(n, NOW, 0.5) or NOW) - NOW for n in range(1, 10)]
    assert [wait.total_seconds() for wait in waits] == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert retry_at(10, NOW, 0.5) is None
    assert ((retry_at(1, NOW, 0.0) or NOW) - NOW).total_seconds() == 4


def test_what_is_sealed_is_read_with_an_older_key_too(settings: Any) -> None:
    settings.FIELD_KEYS = ["old"]
    sealed = seal("whsec_secret")
    settings.FIELD_KEYS = ["new", "old"]
    assert b"whsec" not in sealed
    assert unseal(sealed) == "whsec_secret"
