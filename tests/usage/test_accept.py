"""Accepting events: once each, whole or not at all, and sums that the tick can trust."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError, connection, connections, transaction

from accounts.models import Account, Organization
from consumption_cs.lib.tenancy import Viewer, act_as, enter
from tests.factories import make_account, make_meter, make_organization, make_workflow
from usage.actions import accept
from usage.actions.accept import Accepted, Sender, accept_events
from usage.actions.directory import forget_directories
from usage.calc.cloudevents import Window
from usage.calc.parsing import parse_items
from usage.models import Event, EventKey, IngestBatch, Meter, QuarantinedEvent, RejectedEvent, Workflow

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def organization() -> Organization:
    forget_directories()
    with transaction.atomic():
        organization = make_organization()
        make_account(organization, key="cust-1", timezone="Asia/Kolkata")
        make_meter(organization, "api.call")
    return organization


def item(number: int = 1, **changes: Any) -> dict[str, Any]:
    data = changes.pop("data", {"quantity": 1})
    event = {"specversion": "1.0", "id": f"e-{number}", "source": "/prod", "type": "api.call", "subject": "cust-1"}
    return event | {"time": NOW.isoformat(), "data": data} | changes


def send(organization: Organization, *items: dict[str, Any], now: datetime = NOW) -> Accepted:
    floor = datetime(2000, 1, 1, tzinfo=UTC)
    return accept_events(Sender(organization.pk), parse_items(list(items), Window.around(now, floor)), now)


def counts(accepted: Accepted) -> tuple[int, int, int, int]:
    return accepted.accepted, accepted.duplicate, accepted.quarantined, accepted.rejected


def see(organization: Organization, read: Callable[[], Any]) -> Any:
    with act_as(Viewer(organization.pk)):
        return read()


def sums_of(organization: Organization) -> list[dict[str, Any]]:
    batches = see(organization, lambda: list(IngestBatch.objects.order_by("id")))
    return [part for batch in batches for part in batch.sums]


@pytest.mark.parametrize("size", [1, 30])
def test_events_are_stored_as_sent_whether_few_or_many(organization: Organization, size: int) -> None:
    data = {
        "quantity": Decimal("0.000000000001"),
        "note": "tab\tline\nback\\slash \\N '\"",
        "success": True,
        "attempt": 2,
    }
    events = [item(number, data=data | {"workflow": "Invoice\\OCR"}, source="/a\\b") for number in range(size)]
    assert counts(send(organization, *events)) == (size, 0, 0, 0)
    stored = see(organization, lambda: list(Event.objects.all()))
    assert len(stored) == size
    assert {event.quantity for event in stored} == {Decimal("0.000000000001")}
    assert {event.properties["note"] for event in stored} == {data["note"]}
    assert {(event.source, event.succeeded, event.attempt) for event in stored} == {("/a\\b", True, 2)}
    assert see(organization, lambda: Workflow.objects.get().key) == "Invoice\\OCR"
    (part,) = sums_of(organization)
    assert Decimal(part["q"]) == size * Decimal("0.000000000001")


def test_a_full_retry_changes_nothing_and_is_a_success(organization: Organization) -> None:
    events = [item(number) for number in range(20)]
    send(organization, *events)
    again = send(organization, *events)
    assert counts(again) == (0, 20, 0, 0)
    assert not any(result["payload_mismatch"] for result in again.remarkable.values())
    assert see(organization, Event.objects.count) == 20
    assert len(see(organization, lambda: list(IngestBatch.objects.all()))) == 1


def test_a_retry_with_another_time_or_none_is_still_a_duplicate(organization: Organization) -> None:
    send(organization, item())
    later = send(organization, item(time=(NOW - timedelta(days=90)).isoformat()))
    without = send(organization, item(time=None))
    assert (counts(later), counts(without)) == ((0, 1, 0, 0), (0, 1, 0, 0))
    assert later.remarkable[0]["payload_mismatch"] is True
    assert see(organization, Event.objects.count) == 1


def test_the_order_of_keys_in_the_data_makes_no_other_payload(organization: Organization) -> None:
    send(organization, item(data={"quantity": 1, "a": {"x": 1, "y": 2}}))
    again = send(organization, item(data={"a": {"y": 2, "x": 1}, "quantity": 1}))
    assert again.remarkable[0]["payload_mismatch"] is False


def test_another_payload_under_a_known_id_is_told_and_noted(organization: Organization) -> None:
    send(organization, item())
    again = send(organization, item(data={"quantity": 500}))
    assert again.remarkable[0] == {"index": 0, "status": "duplicate", "code": "duplicate", "payload_mismatch": True}
    noted = see(organization, RejectedEvent.objects.get)
    assert (noted.code, json.loads(noted.excerpt)) == ("payload_mismatch", {"quantity": 500})
    assert see(organization, lambda: Event.objects.get().quantity) == 1


def test_the_first_of_two_with_one_id_in_a_batch_wins(organization: Organization) -> None:
    accepted = send(organization, item(1), item(2), item(1, data={"quantity": 7}), item(2))
    assert counts(accepted) == (2, 2, 0, 0)
    assert [accepted.remarkable[index]["payload_mismatch"] for index in (2, 3)] == [True, False]
    assert sum(Decimal(part["q"]) for part in sums_of(organization)) == 2


def test_partly_new_batches_hand_only_what_is_new_to_the_tick(organization: Organization) -> None:
    send(organization, *(item(number) for number in range(10)))
    assert counts(send(organization, *(item(number) for number in range(5, 25)))) == (15, 5, 0, 0)
    assert sum(Decimal(part["q"]) for part in sums_of(organization)) == 25
    assert see(organization, Event.objects.count) == 25
    assert see(organization, EventKey.objects.count) == 25


def test_unknown_names_are_quarantined_once_with_the_whole_event(organization: Organization) -> None:
    stray = item(
        1, subject="nobody", data={"quantity": Decimal("12345678901234567890.123456789012")}, traceparent="00-a"
    )
    accepted = send(organization, stray, item(2, type="no.such"), item(3))
    assert counts(accepted) == (1, 0, 2, 0)
    assert [accepted.remarkable[index]["code"] for index in (0, 1)] == ["unknown_subject", "unknown_type"]
    assert counts(send(organization, stray)) == (0, 1, 0, 0)
    with act_as(Viewer(organization.pk)), connection.cursor() as cursor:
        cursor.execute("SELECT payload->'data'->>'quantity', payload->>'traceparent' FROM usage_quarantinedevent"
                       " WHERE reason = 'unknown_subject'")  # fmt: skip
        assert cursor.fetchall() == [("12345678901234567890.123456789012", "00-a")]


def test_a_new_account_or_meter_counts_from_its_first_event_on(organization: Organization) -> None:
    assert counts(send(organization, item(1, subject="cust-2", type="new"))) == (0, 0, 1, 0)
    with transaction.atomic():
        make_account(organization, key="cust-2")
        make_meter(organization, "new")
    assert counts(send(organization, item(2, subject="cust-2", type="new"))) == (1, 0, 0, 0)


def test_rejected_items_are_kept_for_the_event_log_and_stop_nobody(organization: Organization) -> None:
    accepted = send(organization, item(1), item(2, data={"quantity": -1}), item(3, id="\x00"), item(4, data={}))
    assert counts(accepted) == (1, 0, 0, 3)
    noted = see(organization, lambda: set(RejectedEvent.objects.values_list("code", "pointer")))
    assert noted == {
        ("negative_quantity", "/data/quantity"),
        ("unsupported_character", "/id"),
        ("invalid_quantity", "/data/quantity"),
    }


def test_a_value_that_only_the_database_refuses_is_rejected_alone(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = accept.store_new

    def refuse_poison(organization_id: Any, api_key_id: Any, staged: Any, zone_of: Any) -> dict[str, bool]:
        if any(one.event.id == "e-3" for one in staged):
            raise DataError("value overflows")
        return store(organization_id, api_key_id, staged, zone_of)

    monkeypatch.setattr(accept, "store_new", refuse_poison)
    accepted = send(organization, *(item(number) for number in range(8)))
    assert counts(accepted) == (7, 0, 0, 1)
    assert accepted.remarkable[3]["code"] == "unstorable"
    assert see(organization, Event.objects.count) == 7


def test_sandboxes_and_what_filters_keep_out_are_stored_but_not_counted(organization: Organization) -> None:
    with transaction.atomic():
        make_meter(organization, "tokens", filters={"model": ["large", 2]}, dimensions=["region"])
    data = {"quantity": 1, "model": "large", "region": "eu"}
    send(
        organization,
        item(1, type="tokens", data=data),
        item(2, type="tokens", data=data | {"model": 2, "region": "us"}),
        item(3, type="tokens", data=data | {"model": "small"}),
        item(4, type="tokens", data=data | {"environment": "Sandbox"}),
        item(5, type="tokens", data=data | {"environment": "Production"}),
    )
    flags = see(organization, lambda: dict(Event.objects.values_list("event_id", "counted")))
    assert flags == {"e-1": True, "e-2": True, "e-3": False, "e-4": False, "e-5": True}
    assert [(part["g"], part["q"]) for part in sums_of(organization)] == [
        ('{"region":"eu"}', "2"),
        ('{"region":"us"}', "1"),
    ]


def test_sums_are_by_the_accounts_own_hours_and_days(organization: Organization) -> None:
    times = ["2026-06-14T18:29:59Z", "2026-06-14T18:30:00Z", "2026-06-14T18:59:00Z"]
    send(organization, *(item(number, time=moment) for number, moment in enumerate(times)))
    parts = [(part["h"], part["d"], part["q"], part["n"], part["l"]) for part in sums_of(organization)]
    assert parts == [  # Kolkata is 5:30 ahead: its day ends at 18:30 UTC
        ("2026-06-14T17:30:00+00:00", "2026-06-14", "1", 1, "2026-06-14T18:29:59+00:00"),
        ("2026-06-14T18:30:00+00:00", "2026-06-15", "2", 2, "2026-06-14T18:59:00+00:00"),
    ]


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        (Meter.Aggregation.SUM, {"q": "13.5"}),
        (Meter.Aggregation.COUNT, {"q": "3"}),
        (Meter.Aggregation.MAX, {"q": "10"}),
        (Meter.Aggregation.LATEST, {"q": "3.5", "lt": "2026-06-15T11:50:00+00:00"}),
        (Meter.Aggregation.UNIQUE, {"u": ["0", "10", "3.5"]}),
    ],
)
def test_each_kind_of_meter_sums_in_its_own_way(
    organization: Organization, aggregation: str, expected: dict[str, Any]
) -> None:
    with transaction.atomic():
        make_meter(organization, "kind", aggregation=aggregation)
    values = {"2026-06-15T11:35:00Z": 0, "2026-06-15T11:50:00Z": Decimal("3.50"), "2026-06-15T11:40:00Z": 10}
    send(
        organization,
        *(
            item(number, type="kind", time=time, data={"quantity": value, "success": number > 0, "outcome": 2})
            for number, (time, value) in enumerate(values.items())
        ),
    )
    (part,) = sums_of(organization)
    if "u" in part:
        part["u"].sort()
    assert expected.items() <= part.items()
    assert (part["n"], part["f"], part["s"], part["o"]) == (3, 3, 2, "6")


def test_workflows_come_to_be_with_their_first_event_and_are_found_after(organization: Organization) -> None:
    with transaction.atomic():
        enter(Viewer(organization.pk))
        known = make_workflow(Account.objects.get(key="cust-1"), key="known")
    names = ["known", "new\r\nBcc: x@example.com", "new\r\nBcc: x@example.com", " ", None, 7, {"a": 1}, "x" * 300]
    send(organization, *(item(n, data={"quantity": 1, "workflow": name}) for n, name in enumerate(names)))
    keys = see(organization, lambda: set(Workflow.objects.values_list("key", flat=True)))
    assert keys == {"known", "new Bcc: x@example.com", "7", "x" * 200}
    first = see(organization, lambda: Event.objects.get(event_id="e-0"))
    assert first.workflow_id == known.pk
    assert first.properties["workflow"] == "known"


def test_months_get_their_partition_when_an_event_needs_it(organization: Organization) -> None:
    old = ["2003-02-01T00:00:00Z", "2003-01-31T23:59:59.999999Z", "2026-06-15T12:00:00Z"]
    assert counts(send(organization, *(item(n, time=time) for n, time in enumerate(old)))) == (3, 0, 0, 0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT usage_drop_partition('2003-01-01'), usage_drop_partition('2003-02-01')")
    # This process believes that the partitions are there; retention dropped them.
    assert counts(send(organization, item(9, time="2003-01-05T00:00:00Z"))) == (1, 0, 0, 0)


def test_overlapping_batches_at_once_count_each_event_once(organization: Organization) -> None:
    barrier = threading.Barrier(4)
    results: list[Accepted] = []
    errors: list[BaseException] = []

    def work(offset: int) -> None:
        numbers = [(number * 7 + offset) % 300 for number in range(300)]
        try:
            barrier.wait()
            results.append(
                send(organization, *(item(n, data={"quantity": 1, "workflow": f"w{n % 5}"}) for n in numbers))
            )
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sum(result.accepted for result in results) == 300
    assert sum(result.duplicate for result in results) == 900
    assert see(organization, Event.objects.count) == 300
    assert sum(Decimal(part["q"]) for part in sums_of(organization)) == 300


def test_a_transaction_that_fails_leaves_no_trace(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the power went out")

    monkeypatch.setattr(accept, "store_quarantined", fail)
    with pytest.raises(RuntimeError):
        send(organization, item(1, data={"quantity": 1, "workflow": "gone"}), item(2, subject="nobody"))
    monkeypatch.undo()
    assert see(organization, Event.objects.count) == 0
    assert see(organization, EventKey.objects.count) == 0
    assert counts(send(organization, item(1, data={"quantity": 1, "workflow": "gone"}))) == (1, 0, 0, 0)
    assert see(organization, lambda: Event.objects.values_list("workflow__key", flat=True).get()) == "gone"


def test_organizations_share_no_ids_and_see_none_of_each_others_rows(organization: Organization) -> None:
    with transaction.atomic():
        other = make_organization("Other")
        make_account(other, key="cust-1")
        make_meter(other, "api.call")
    assert counts(send(organization, item())) == (1, 0, 0, 0)
    assert counts(send(other, item())) == (1, 0, 0, 0)
    assert see(other, Event.objects.count) == 1
    assert see(organization, QuarantinedEvent.objects.count) == 0
