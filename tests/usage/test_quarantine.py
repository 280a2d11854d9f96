"""Events of unknown accounts or meters are kept, and count once when they are replayed after the cause is fixed."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import Account, Organization
from budgets.actions.catch_up import catch_up
from consumption_cs.lib.tenancy import act_as, enter
from tests.factories import NOW, make_account, make_meter, make_organization, staff_of
from tests.threads import in_threads
from usage.actions.accept import Accepted, Sender, accept_events
from usage.actions.directory import forget_directories
from usage.actions.quarantine import Replayed, replay
from usage.calc.cloudevents import Window
from usage.calc.parsing import parse_items
from usage.models import Event, EventKey, QuarantinedEvent, UsageDay, Workflow

pytestmark = pytest.mark.django_db(transaction=True)


def send(organization: Organization, *items: dict[str, Any]) -> Accepted:
    forget_directories()
    events = parse_items(list(items), Window.around(NOW))
    return accept_events(Sender(organization.pk), events, NOW)


def event(number: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"e-{number}",
        "source": "app",
        "type": "page",
        "subject": "globex",
        "time": (NOW - timedelta(hours=1)).isoformat(),
        "data": {"quantity": Decimal("1234567.123456789012"), "workflow": "ocr", "success": True},
    } | fields


def with_meter_and_account(organization: Organization) -> Account:
    with act_as(staff_of(organization)):
        make_meter(organization, "page")
        return make_account(organization, key="globex")


def replay_as_staff(organization: Organization, *ids: Any) -> Replayed:
    with act_as(staff_of(organization)) as viewer:
        return replay(viewer, list(ids) or None, NOW)


def days(organization: Organization) -> list[tuple[Decimal, int]]:
    catch_up(organization.pk, NOW)
    with act_as(staff_of(organization)):
        return list(UsageDay.objects.values_list("quantity", "events"))


def test_after_the_cause_is_fixed_the_event_counts_to_the_last_digit() -> None:
    organization = make_organization()
    assert send(organization, event()).quarantined == 1
    assert days(organization) == []
    with_meter_and_account(organization)
    assert replay_as_staff(organization) == Replayed(1, 0)
    assert days(organization) == [(Decimal("1234567.123456789012"), 1)]
    with act_as(staff_of(organization)):
        stored = Event.objects.get()
        assert (stored.event_id, stored.occurred_at, stored.succeeded) == ("e-1", NOW - timedelta(hours=1), True)
        assert stored.workflow_id == Workflow.objects.get(key="ocr").pk
        assert QuarantinedEvent.objects.get().replayed_at == NOW


def test_an_event_is_replayed_once() -> None:
    organization = make_organization()
    send(organization, event())
    with_meter_and_account(organization)
    assert replay_as_staff(organization) == Replayed(1, 0)
    assert replay_as_staff(organization) == Replayed(0, 0)
    assert [count for _, count in days(organization)] == [1]


def test_replays_at_once_count_each_event_once() -> None:
    organization = make_organization()
    send(organization, *(event(n) for n in range(20)))
    with_meter_and_account(organization)
    done = in_threads(4, lambda: replay_as_staff(organization))
    assert sum(result.replayed for result in done) == 20
    assert [count for _, count in days(organization)] == [20]


@pytest.mark.parametrize("timed", [True, False])
def test_a_retry_after_the_replay_is_a_plain_duplicate(timed: bool) -> None:
    organization = make_organization()
    sent = event() if timed else event(time=None)
    send(organization, sent)
    with_meter_and_account(organization)
    replay_as_staff(organization)
    answer = send(organization, sent)
    assert (answer.duplicate, answer.remarkable[0]["payload_mismatch"]) == (1, False)
    assert [count for _, count in days(organization)] == [1]
    with act_as(staff_of(organization)):
        assert EventKey.objects.count() == 1


def test_an_event_without_a_time_happened_when_it_came() -> None:
    organization = make_organization()
    send(organization, event(time=None))
    with_meter_and_account(organization)
    with act_as(staff_of(organization)) as viewer:
        replay(viewer, None, NOW + timedelta(days=3))
        assert Event.objects.get().occurred_at == NOW


def test_what_is_still_unknown_stays_with_the_cause_of_now() -> None:
    organization = make_organization()
    send(organization, event())
    with act_as(staff_of(organization)):
        make_meter(organization, "page")
        assert QuarantinedEvent.objects.get().reason == "unknown_type"
    assert replay_as_staff(organization) == Replayed(0, 1)
    with act_as(staff_of(organization)):
        row = QuarantinedEvent.objects.get()
        assert (row.reason, row.replayed_at) == ("unknown_subject", None)
        assert "globex" in row.detail


def test_what_turns_out_to_be_unreadable_stays_too() -> None:
    organization = make_organization()
    send(organization, event(data={"quantity": "many"}))
    with_meter_and_account(organization)
    assert replay_as_staff(organization) == Replayed(0, 1)
    with act_as(staff_of(organization)):
        assert QuarantinedEvent.objects.get().reason == "invalid_quantity"


def test_only_the_chosen_events_are_replayed() -> None:
    organization = make_organization()
    send(organization, event(1), event(2))
    with_meter_and_account(organization)
    with act_as(staff_of(organization)):
        chosen = QuarantinedEvent.objects.values_list("pk", flat=True)[0]
    assert replay_as_staff(organization, chosen) == Replayed(1, 0)
    with act_as(staff_of(organization)):
        assert QuarantinedEvent.objects.filter(replayed_at=None).count() == 1


def test_a_stranger_replays_nothing() -> None:
    organization, stranger = make_organization(), make_organization()
    send(organization, event())
    with_meter_and_account(organization)
    with act_as(staff_of(organization)):
        chosen = QuarantinedEvent.objects.get().pk
    assert replay_as_staff(stranger, chosen) == Replayed(0, 0)


def test_a_sandbox_event_is_kept_but_not_counted() -> None:
    organization = make_organization()
    send(organization, event(data={"quantity": 1, "environment": "sandbox"}))
    with_meter_and_account(organization)
    assert replay_as_staff(organization) == Replayed(1, 0)
    assert days(organization) == []
    enter(staff_of(organization))
