"""`verify_sums` finds the first digit by which accepted, rolled-up and rated usage differ, and no false ones."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.utils import timezone

from accounts.models import Account
from budgets.actions.catch_up import catch_up
from consumption_cs.lib.tenancy import act_as
from tests.factories import make_account, make_meter, make_organization, make_price, staff_of
from usage.actions.accept import Sender, accept_events
from usage.actions.directory import forget_directories
from usage.actions.roll_up import roll_up
from usage.calc.cloudevents import Window
from usage.calc.parsing import parse_items
from usage.models import AccountDay, IngestBatch, Meter, UsageDay, UsageHour
from usage.reports.conservation import differences

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def account() -> Account:
    """With a meter of each aggregation, one of them priced and one with a dimension."""
    organization = make_organization(key="acme")
    with act_as(staff_of(organization)):
        for kind in Meter.Aggregation.values:
            make_meter(organization, kind, aggregation=kind, dimensions=["model"] if kind == "max" else [])
        make_price(Meter.objects.get(key="sum"), "0.1")
        return make_account(organization, key="globex", timezone="Asia/Kolkata")


def send(account: Account, *numbers: int) -> None:
    """For each number one event of every meter, spread over hours and days."""
    forget_directories()
    now = timezone.now()
    items: list[dict[str, Any]] = [
        {
            "specversion": "1.0",
            "id": f"{kind}-{number}",
            "source": "app",
            "type": kind,
            "subject": "globex",
            "time": (now - timedelta(hours=7 * number % 90, minutes=number)).isoformat(),
            "data": {"quantity": f"{number}.000000000001", "workflow": f"w{number % 2}", "model": f"m{number % 3}"},
        }
        for number in numbers
        for kind in Meter.Aggregation.values
    ]
    accept_events(Sender(account.organization_id), parse_items(items, Window.around(now)), now)


def found(account: Account) -> list[str]:
    with act_as(staff_of(account)) as viewer:
        return [difference.step for difference in differences(viewer, timezone.now())]


def test_sums_of_every_aggregation_agree_whatever_the_batches(account: Account, capsys: Any) -> None:
    for start in (20, 0, 10):
        send(account, *range(start, start + 10))
        catch_up(account.organization_id, timezone.now())
    assert found(account) == []
    call_command("verify_sums")
    assert capsys.readouterr().out == "acme: all sums agree\n"


def test_what_waits_is_no_difference(account: Account) -> None:
    send(account, 1, 2)
    catch_up(account.organization_id, timezone.now())
    send(account, 3)
    assert found(account) == []
    roll_up(account.organization_id, timezone.now())
    assert found(account) == []


def test_a_batch_that_was_set_aside_is_a_difference(account: Account) -> None:
    send(account, 1)
    with act_as(staff_of(account)):
        IngestBatch.objects.update(failures=3)
    assert found(account) == ["accepted and rolled up by day"] * 5


@pytest.mark.parametrize(
    ("table", "change", "step"),
    [
        (UsageDay, {"quantity": Decimal("1.000000000002")}, "accepted and rolled up by day"),
        (UsageDay, {"events": 2}, "accepted and rolled up by day"),
        (UsageHour, {"quantity": Decimal(0)}, "rolled up by day and by hour"),
        (AccountDay, {"spend": Decimal("0.000001")}, "rated and totalled"),
    ],
)
def test_the_last_digit_matters(account: Account, table: Any, change: dict[str, Any], step: str) -> None:
    send(account, 1)
    catch_up(account.organization_id, timezone.now())
    with act_as(staff_of(account)):
        rows = table.objects.filter(meter__key="sum") if table is not AccountDay else table.objects.all()
        rows.update(**change)
    assert found(account)[0] == step
    with pytest.raises(CommandError, match=f"acme: {step}: account {account.pk}"):
        call_command("verify_sums", organization="acme")


def test_what_was_booked_for_a_closed_period_is_no_difference(account: Account) -> None:
    send(account, 1)
    catch_up(account.organization_id, timezone.now())
    with act_as(staff_of(account)):
        AccountDay.objects.update(spend=F("spend") + 5, adjustment=Decimal(5))
    assert found(account) == []


def test_an_unknown_organization_is_an_error() -> None:
    with pytest.raises(CommandError, match="no such organization"):
        call_command("verify_sums", organization="nobody")
