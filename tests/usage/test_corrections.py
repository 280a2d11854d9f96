"""Corrections: what is taken back no longer counts, nothing that was accepted is edited, and no digit is lost."""

import json
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test import Client
from django.utils import timezone

from accounts.models import Organization
from consumption_cs.lib.tenancy import Viewer, act_as
from tests.factories import make_account, make_key, make_meter, make_organization
from tests.usage.test_crash_points import Crash, CrashAt
from usage.actions.accept import Accepted, Sender, accept_events
from usage.actions.directory import forget_directories
from usage.actions.quarantine import replay
from usage.actions.roll_up import roll_up
from usage.calc.cloudevents import Window
from usage.calc.event_reasons import rejection_reason
from usage.calc.parsing import parse_items
from usage.models import (
    Correction,
    Event,
    EventKey,
    IngestBatch,
    Meter,
    RejectedEvent,
    TouchedDay,
    UniqueValue,
    UsageDay,
    UsageHour,
)
from usage.reports.conservation import differences

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
FLOOR = datetime(2000, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def organization() -> Organization:
    forget_directories()
    with transaction.atomic():
        organization = make_organization()
        for key in ("cust-1", "cust-2"):
            make_account(organization, key=key, timezone="Asia/Kolkata")
        for kind in Meter.Aggregation.values:
            make_meter(organization, kind, aggregation=kind, dimensions=["region"] if kind in ("sum", "max") else [])
    return organization


def item(number: Any = 1, **changes: Any) -> dict[str, Any]:
    data = changes.pop("data", {"quantity": 5})
    event = {"specversion": "1.0", "id": f"e-{number}", "source": "/prod", "type": "sum", "subject": "cust-1"}
    return event | {"time": NOW.isoformat(), "data": data} | changes


def void(original: Any = 1, own: Any = None, **changes: Any) -> dict[str, Any]:
    data = {"id": f"e-{original}", "reason": "sent by mistake"} | changes.pop("data", {})
    return item(own or f"{original}-void", type="consumption.void", data=data, **changes)


def instead(original: Any, data: dict[str, Any], own: Any = None, **changes: Any) -> dict[str, Any]:
    whole = {"id": f"e-{original}", "reason": "wrong number", "data": data} | changes.pop("more", {})
    return item(own or f"{original}-new", type="consumption.replace", data=whole, **changes)


def send(organization: Organization, *items: Any, floor: datetime | None = FLOOR) -> Accepted:
    return accept_events(Sender(organization.pk), parse_items(list(items), Window.around(NOW, floor)), NOW)


def see(organization: Organization, read: Callable[[], Any]) -> Any:
    with act_as(Viewer(organization.pk)):
        return read()


def tick(organization: Organization) -> None:
    while roll_up(organization.pk, NOW).found_work:
        pass
    with act_as(Viewer(organization.pk)) as viewer:
        assert not [str(one) for one in differences(viewer, NOW) if "rated" not in one.step]


def codes(accepted: Accepted) -> list[str]:
    assert accepted.accepted == accepted.items - len(accepted.remarkable)
    return [result["code"] for _, result in sorted(accepted.remarkable.items())]


def days(organization: Organization, table: Any = UsageDay) -> list[tuple[Any, ...]]:
    """Every row of the days that says anything, without when the last event came."""
    start = "day" if table is UsageDay else "starts_at"
    names = ("account__key", start, "meter__key", "workflow__key", "group")
    numbers = ("quantity", "events", "finished", "successes", "outcomes")
    rows = see(organization, lambda: list(table.objects.values_list(*names, *numbers)))
    return sorted((row for row in rows if any(row[5:])), key=str)


def test_a_void_gives_back_everything_that_the_event_counted(organization: Organization) -> None:
    full = {"quantity": "0.000000000001", "workflow": "ocr", "success": True, "outcome": 3, "region": "eu"}
    send(organization, item(1, data=full), item(2, data=full | {"quantity": "12345678901234567890.5"}))
    tick(organization)
    assert codes(send(organization, void(2))) == []
    tick(organization)
    ((*_, group, quantity, events, finished, successes, outcomes),) = days(organization)
    assert (group, quantity, events) == ('{"region":"eu"}', Decimal("0.000000000001"), 1)
    assert (finished, successes, outcomes) == (1, 1, 3)
    assert [row[5] for row in days(organization, UsageHour)] == [Decimal("0.000000000001")]


def test_the_original_stays_as_it_was_and_the_reversal_stands_beside_it(organization: Organization) -> None:
    send(organization, item(1, time="2026-06-01T10:00:00Z", data={"quantity": 7, "outcome": 2, "attempt": 3}))
    before = see(organization, lambda: Event.objects.values().get())
    send(organization, void(1))
    rows = see(organization, lambda: list(Event.objects.order_by("-quantity").values()))
    assert rows[0] == before
    assert (rows[1]["quantity"], rows[1]["outcomes"], rows[1]["attempt"]) == (-7, -2, 3)
    same = ("account_id", "meter_id", "workflow_id", "occurred_at", "environment", "counted")
    assert [rows[1][name] for name in same] == [before[name] for name in same]
    told = see(organization, lambda: Correction.objects.get())
    assert (told.kind, told.original_key, told.reversal_key) == ("void", before["key"], rows[1]["key"])
    assert (told.reason, told.replacement_key) == ("sent by mistake", None)
    assert see(organization, EventKey.objects.count) == 2


def test_the_day_is_marked_with_the_reason(organization: Organization) -> None:
    send(organization, item(1))
    tick(organization)
    see(organization, lambda: TouchedDay.objects.all().delete())
    send(organization, void(1), item(2))
    tick(organization)
    mark = see(organization, TouchedDay.objects.get)
    assert mark.reason == "Event e-1 was voided: sent by mistake"
    send(organization, item(3))
    tick(organization)
    assert see(organization, TouchedDay.objects.get).reason == mark.reason


def test_a_replacement_counts_instead_at_the_same_or_another_time(organization: Organization) -> None:
    send(organization, item(1), item(2))
    data = {"quantity": 1, "workflow": "new", "region": "us"}
    send(organization, instead(1, data), instead(2, data, more={"time": "2026-06-01T00:00:00+05:30"}))
    tick(organization)
    found = [(str(row[1]), row[3], row[4], row[5], row[6]) for row in days(organization)]
    assert found == [
        ("2026-06-01", "new", '{"region":"us"}', 1, 1),
        ("2026-06-15", "new", '{"region":"us"}', 1, 1),
    ]


def test_a_replacement_can_be_corrected_in_turn_but_not_the_original_again(organization: Organization) -> None:
    send(organization, item(1), instead(1, {"quantity": 6}))
    told = send(organization, void(1)).remarkable[0]
    assert told["code"] == "already_corrected"
    assert "replaced already by the event e-1-new from /prod. Correct that one instead" in told["detail"]
    assert codes(send(organization, instead("1-new", {"quantity": 8}, own="third"))) == []
    assert codes(send(organization, void("third"))) == []
    told = send(organization, void("third", own="again")).remarkable[0]
    assert "voided already by the event e-third-void" in told["detail"]
    tick(organization)
    assert days(organization) == []


def test_corrections_apply_in_their_order_within_a_batch(organization: Organization) -> None:
    told = send(organization, void(1, own="early"), item(1), void(1), void(1, own="late"), *map(item, range(2, 20)))
    assert codes(told) == ["unknown_original", "already_corrected"]
    tick(organization)
    assert [row[5:7] for row in days(organization)] == [(90, 18)]


def test_sent_twice_a_correction_is_a_duplicate_and_a_success(organization: Organization) -> None:
    send(organization, item(1))
    for _ in range(2):
        told = send(organization, void(1), void(1))
    assert codes(told) == ["duplicate", "duplicate"]
    assert not told.remarkable[0]["payload_mismatch"]
    other = send(organization, void(1, data={"reason": "another"}))
    assert other.remarkable[0]["payload_mismatch"]
    tick(organization)
    assert days(organization) == []


@pytest.mark.parametrize(
    ("correction", "code"),
    [
        (void("none"), "unknown_original"),
        (void(1, subject="cust-2"), "unknown_original"),
        (void(1, subject="nobody"), "unknown_original"),
        (void(1, source="/other"), "unknown_original"),
        (void("gone-void"), "is_a_correction"),
        (void("gone", own="again"), "already_corrected"),
        (void("stray", subject="nobody"), "original_quarantined"),
        (void(1, data={"id": None}), "invalid_correction"),
        (void(1, data={"id": 7}), "invalid_correction"),
        (void(1, data={"id": "x" * 257}), "invalid_correction"),
        (void(1, data={"id": "e-1\x01"}), "invalid_correction"),
        (void(1, data={"id": "e-1\x00"}), "unsupported_character"),
        (void(1, data={"source": ["/prod"]}), "invalid_correction"),
        (void(1, data={"source": ""}), "invalid_correction"),
        (void(1, data={"reason": {"a": 1}}), "invalid_correction"),
        (void(1, data={"reason": "x" * 501}), "invalid_correction"),
        (void(1, data={"quantity": 1}), "invalid_correction"),
        (void(1, data={"data": {"quantity": 1}}), "invalid_correction"),
        (void(1) | {"data": []}, "invalid_data"),
        (instead(1, {"quantity": -1}), "negative_quantity"),
        (instead(1, {}), "invalid_quantity"),
        (instead(1, {"quantity": "1e400"}), "quantity_too_large"),
        (instead(1, []), "invalid_correction"),  # type: ignore[arg-type]
        (instead(1, {str(n): n for n in range(101)}), "too_many_keys"),
        (instead(1, {"quantity": 1}, more={"time": "yesterday"}), "invalid_time"),
        (instead(1, {"quantity": 1}, more={"time": 7}), "invalid_time"),
        (instead(1, {"quantity": 1}, more={"time": "2030-01-01T00:00:00Z"}), "time_in_future"),
    ],
)
def test_what_cannot_be_corrected_is_refused_in_words_and_changes_nothing(
    organization: Organization, correction: dict[str, Any], code: str
) -> None:
    send(organization, item(1), item("gone"), void("gone"), item("stray", subject="nobody"))
    tick(organization)
    before = days(organization), see(organization, EventKey.objects.count)
    told = send(organization, correction)
    assert codes(told) == [code]
    assert told.remarkable[0]["status"] == "rejected"
    assert told.remarkable[0]["detail"].endswith((".", "id."))
    tick(organization)
    assert (days(organization), see(organization, EventKey.objects.count)) == before
    assert codes(send(organization, void(1, own="good"))) == []


def test_another_organizations_event_is_unknown(organization: Organization) -> None:
    with transaction.atomic():
        other = make_organization()
        make_account(other, key="cust-1")
        make_meter(other, "sum")
    send(organization, item(1))
    assert codes(send(other, void(1))) == ["unknown_original"]


def test_a_plain_key_corrects_only_what_it_may_still_send(organization: Organization) -> None:
    old = (NOW - timedelta(days=36)).isoformat()
    send(organization, item(1, time=old), item(2))
    told = send(organization, void(1), instead(2, {"quantity": 1}, more={"time": old}), floor=None)
    assert codes(told) == ["time_too_old", "time_too_old"]
    assert "events:backfill" in told.remarkable[0]["detail"]
    assert codes(send(organization, void(1))) == []


def test_what_was_quarantined_is_corrected_after_its_replay(organization: Organization) -> None:
    send(organization, item(1, subject="cust-3"))
    assert "replay it first" in send(organization, void(1, subject="cust-3")).remarkable[0]["detail"]
    with act_as(Viewer(organization.pk)) as viewer:
        make_account(organization, key="cust-3")
        assert replay(viewer, None, NOW).replayed == 1
    assert codes(send(organization, void(1, subject="cust-3"))) == []
    tick(organization)
    assert days(organization) == []


def test_a_sandbox_event_is_voided_without_a_trace_in_the_sums(organization: Organization) -> None:
    send(organization, item(1, data={"quantity": 1, "environment": "test"}), void(1))
    tick(organization)
    assert days(organization) == []
    send(organization, item(2, data={"quantity": 1, "environment": "test"}), instead(2, {"quantity": 3}))
    tick(organization)
    assert [row[5] for row in days(organization)] == [3]


@pytest.mark.parametrize(("kind", "left"), [("max", 4), ("latest", 4), ("unique", 1)])
def test_meters_that_do_not_add_up_fall_back_to_what_stands(organization: Organization, kind: str, left: int) -> None:
    early, late = (NOW - timedelta(hours=2)).isoformat(), NOW.isoformat()
    send(organization, item(1, type=kind, time=early, data={"quantity": 4}))
    send(organization, item(2, type=kind, time=late, data={"quantity": 9}))
    tick(organization)
    send(organization, void(2))
    tick(organization)
    assert [row[5:7] for row in days(organization)] == [(left, 1)]
    send(organization, void(1))
    tick(organization)
    assert days(organization) == []
    assert see(organization, UniqueValue.objects.count) == 0
    between = (NOW - timedelta(hours=1)).isoformat()
    send(organization, item(3, type=kind, time=between, data={"quantity": 2}))
    tick(organization)
    assert [row[5:7] for row in days(organization)] == [(1 if kind == "unique" else 2, 1)]


def test_a_different_value_is_released_only_with_its_last_event_of_the_month(organization: Organization) -> None:
    def use(number: int, day: int) -> dict[str, Any]:
        return item(number, type="unique", time=f"2026-06-{day:02d}T06:00:00Z", data={"quantity": "ann"})

    send(organization, use(1, 3), use(2, 9))
    tick(organization)
    send(organization, void(1))
    tick(organization)
    assert [(row[1].day, row[5], row[6]) for row in days(organization)] == [(9, 1, 1)]
    marks = see(organization, lambda: dict(TouchedDay.objects.values_list("day", "reason")))
    assert set(marks.values()) == {"Event e-1 was voided: sent by mistake"}


def test_a_batch_that_is_merged_late_does_not_bring_back_what_was_voided(organization: Organization) -> None:
    for kind in Meter.Aggregation.values:
        send(organization, item(f"{kind}-1", type=kind, data={"quantity": 3}))
        send(organization, item(f"{kind}-2", type=kind, data={"quantity": 8}))
    with transaction.atomic():
        see_all = "UPDATE usage_ingestbatch SET failures = %s WHERE organization_id = %s"
        with connections["default"].cursor() as cursor:
            cursor.execute("SET LOCAL app.organization = %s; SET LOCAL app.account = 'all'", [str(organization.pk)])
            cursor.execute(see_all, [3, organization.pk])  # not merged in this tick
    send(organization, *(void(f"{kind}-2") for kind in Meter.Aggregation.values))
    roll_up(organization.pk, NOW)
    with transaction.atomic(), connections["default"].cursor() as cursor:
        cursor.execute("SET LOCAL app.organization = %s; SET LOCAL app.account = 'all'", [str(organization.pk)])
        cursor.execute(see_all + " AND rolled_at IS NULL", [1, organization.pk])
    tick(organization)
    assert {row[2]: row[5:7] for row in days(organization)} == {
        "count": (1, 1), "latest": (3, 1), "max": (3, 1), "sum": (3, 1), "unique": (1, 1),
    }  # fmt: skip


def test_two_voids_of_one_event_at_once_have_one_effect(organization: Organization) -> None:
    send(organization, item(1), item(2, type="max"))
    barrier = threading.Barrier(4)
    told: list[list[str]] = []

    def work(number: int) -> None:
        try:
            barrier.wait(10)
            own = "same" if number < 2 else f"void-{number}"
            told.append(codes(send(organization, void(1, own=own), void(2, own=f"{own}-max"))))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(told) == 4
    assert sum(not one for one in told) == 1
    assert {code for one in told for code in one} <= {"already_corrected", "duplicate"}
    tick(organization)
    assert days(organization) == []
    assert see(organization, Correction.objects.count) == 2


class _Story:
    """Random events and corrections, and the list of what is left of them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - test data
        self.standing: dict[str, dict[str, Any]] = {}
        self.sent: list[dict[str, Any]] = []

    def step(self, number: int) -> None:
        pick = self.random
        choice = pick.random()
        if choice < 0.55 or not self.standing:
            event = item(number, type=pick.choice(Meter.Aggregation.values), time=self.time(), data=self.data())
            event["subject"] = pick.choice(["cust-1", "cust-2"])
            self.standing[event["id"]] = event
        elif choice < 0.75:
            original = self.standing.pop(pick.choice(list(self.standing)))
            event = void(0, own=number, subject=original["subject"], data={"id": original["id"]})
        elif choice < 0.9:
            original = self.standing.pop(pick.choice(list(self.standing)))
            more: dict[str, Any] = {"id": original["id"]} | ({"time": self.time()} if pick.random() < 0.5 else {})
            event = instead(0, self.data(), own=number, subject=original["subject"], more=more)
            new = original | {"id": event["id"], "data": event["data"]["data"]}
            self.standing[event["id"]] = new | {"time": more.get("time", original["time"])}
        else:
            event = pick.choice(self.sent)
        self.sent.append(event)

    def time(self) -> str:
        return (NOW - timedelta(minutes=self.random.randrange(0, 3 * 24 * 60, 7))).isoformat()

    def data(self) -> dict[str, Any]:
        pick = self.random
        data: dict[str, Any] = {"quantity": Decimal(pick.choice(["0", "1", "2.5", "7.000000000001", "1E+2"]))}
        data["quantity"] = pick.choice([data["quantity"], str(data["quantity"])])
        choices: dict[str, list[Any]] = {
            "workflow": ["a", "b"],
            "success": [True, False],
            "outcome": [1, "0.5"],
            "region": ["eu", "us", Decimal("1E+2")],
            "environment": ["production", "production", "test"],
        }
        for name, values in choices.items():
            if pick.random() < 0.7:
                data[name] = pick.choice(values)
        return data


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_order_and_batches_the_days_are_those_of_the_surviving_events(
    organization: Organization, seed: int
) -> None:
    story = _Story(seed)
    for number in range(120):
        story.step(number)
    left = story.sent
    while left:
        size = story.random.choice([1, 2, 5, 30, 80])
        send(organization, *left[:size])
        left = left[size:]
        if story.random.random() < 0.5:
            tick(organization)
    tick(organization)
    forget_directories()
    with transaction.atomic():
        plain = make_organization()
        for key in ("cust-1", "cust-2"):
            make_account(plain, key=key, timezone="Asia/Kolkata")
        for kind in Meter.Aggregation.values:
            make_meter(plain, kind, aggregation=kind, dimensions=["region"] if kind in ("sum", "max") else [])
    survivors = sorted(story.standing.values(), key=lambda event: event["time"])
    send(plain, *survivors)
    tick(plain)
    assert _comparable(days(organization)) == _comparable(days(plain))
    assert _comparable(days(organization, UsageHour)) == _comparable(days(plain, UsageHour))


def _comparable(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Which of two events of a month brought a value first depends on when they came: of those only the totals."""
    unique = [row for row in rows if row[2] == "unique"]
    total = sum((row[5] for row in unique), Decimal(0)), sum(row[6] for row in unique)
    return [row for row in rows if row[2] != "unique"] + [total]


def test_over_http_a_correction_is_answered_like_any_event(organization: Organization, client: Client) -> None:
    with transaction.atomic():
        _, secret = make_key(organization)
    now = timezone.now()
    original = item(1, time=now.isoformat())
    batch = [original, void(1, time=None), void("none", time=None)]
    response = client.post(
        "/api/v1/events",
        json.dumps(batch),
        content_type="application/cloudevents-batch+json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert response.status_code == 200
    told = response.json()
    assert [result["status"] for result in told["results"]] == ["accepted", "accepted", "rejected"]
    assert (told["accepted"], told["rejected"]) == (2, 1)
    noted = see(organization, RejectedEvent.objects.get)
    assert rejection_reason(noted.code).title == "A correction names an event that was never accepted"


def test_breaking_off_while_correcting_changes_nothing(organization: Organization) -> None:
    send(organization, item(1), item(2, type="unique"), *map(item, range(10, 20)))
    tick(organization)
    before = days(organization)
    corrections = [void(1), instead(10, {"quantity": 1, "workflow": "new"}), void(2), item(30)]
    crashes = 0
    while True:
        try:
            with connection.execute_wrapper(CrashAt(crashes + 1)):
                send(organization, *corrections)
                roll_up(organization.pk, NOW)
        except Crash:
            crashes += 1
            stored = see(organization, Correction.objects.count)
            waits = see(organization, lambda: IngestBatch.objects.filter(rolled_at=None).count())
            assert (stored, waits, days(organization)) in [(0, 0, before), (3, 2, before)]
            if stored:
                break
        else:
            raise AssertionError("the batch was stored before the last statement")
    assert crashes > 10
    while True:
        try:
            with connection.execute_wrapper(CrashAt(crashes + 1)):
                assert codes(send(organization, *corrections)) == ["duplicate"] * 4
                roll_up(organization.pk, NOW)
        except Crash:
            crashes += 1
        else:
            break
    tick(organization)
    assert sorted(row[5:7] for row in days(organization)) == [(1, 1), (50, 10)]
