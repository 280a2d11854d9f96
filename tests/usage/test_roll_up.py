"""The tick merges every accepted batch into hours and days exactly once, in whatever order they come."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.db import OperationalError, connection
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer, act_as, enter
from tests.factories import (
    NOW,
    make_account,
    make_batch,
    make_meter,
    make_organization,
    make_workflow,
    staff_of,
    usage_sum,
)
from tests.threads import in_threads
from usage.actions import roll_up as module
from usage.actions.catch_up import catch_up, organizations_waiting
from usage.actions.quarantine import retry_failed_batches
from usage.actions.roll_up import RolledUp, hold_roll_up, roll_up
from usage.calc.merging import Sum, day_key, hour_key, merge, read_sums
from usage.models import IngestBatch, Meter, TouchedDay, UniqueValue, UsageDay, UsageHour

HOUR = NOW - timedelta(hours=2)


def quantities(table: type[UsageHour] | type[UsageDay], account: Account) -> list[Decimal]:
    enter(staff_of(account))
    order = "starts_at" if table is UsageHour else "day"
    return list(table.objects.order_by(order, "group").values_list("quantity", flat=True))


def as_decimals(*numbers: str | int) -> list[Decimal]:
    return [Decimal(number) for number in numbers]


@pytest.mark.django_db
def test_batches_of_one_hour_add_up() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    for quantity in ("1.5", "2.25"):
        make_batch(account.organization, usage_sum(account, meter, HOUR, quantity, o="0.5", n=3, f=2, s=1))
    assert roll_up(account.organization_id, NOW) == RolledUp(2, 0)
    assert quantities(UsageHour, account) == quantities(UsageDay, account) == as_decimals("3.75")
    day = UsageDay.objects.get()
    assert (day.events, day.finished, day.successes, day.outcomes) == (6, 4, 2, Decimal(1))
    assert day.last_event_at == HOUR + timedelta(minutes=30)
    assert TouchedDay.objects.get().day == HOUR.date()
    assert not IngestBatch.objects.filter(rolled_at=None).exists()


@pytest.mark.django_db
def test_a_later_batch_adds_to_what_is_there() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    for hour in (HOUR, HOUR + timedelta(hours=1), HOUR):
        make_batch(account.organization, usage_sum(account, meter, hour, "0.1"))
        roll_up(account.organization_id, NOW)
    assert quantities(UsageHour, account) == as_decimals("0.2", "0.1")
    assert quantities(UsageDay, account) == as_decimals("0.3")


@pytest.mark.django_db
def test_merging_again_changes_nothing() -> None:
    account = make_account()
    make_batch(account.organization, usage_sum(account, make_meter(account.organization), HOUR))
    roll_up(account.organization_id, NOW)
    assert roll_up(account.organization_id, NOW) == RolledUp()
    assert quantities(UsageDay, account) == as_decimals(1)


@pytest.mark.django_db
def test_38_digits_are_kept() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    large = "1234567890123456789012345.000000000001"
    make_batch(account.organization, usage_sum(account, meter, HOUR, large), usage_sum(account, meter, HOUR, "2e-12"))
    roll_up(account.organization_id, NOW)
    assert quantities(UsageDay, account) == as_decimals("1234567890123456789012345.000000000003")


@pytest.mark.django_db
def test_usage_is_kept_apart_by_workflow_and_group() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    workflow = str(make_workflow(account).pk)
    parts: list[dict[str, Any]] = [{"w": workflow}, {"w": None}, {"w": workflow, "g": '{"model":"a"}'}, {"w": workflow}]
    make_batch(account.organization, *(usage_sum(account, meter, HOUR, **part) for part in parts))
    roll_up(account.organization_id, NOW)
    enter(staff_of(account))
    rows = UsageDay.objects.order_by("workflow", "group").values_list("workflow", "group", "events")
    assert [(bool(workflow), group, events) for workflow, group, events in rows] == [
        (True, "", 2),
        (True, '{"model":"a"}', 1),
        (False, "", 1),
    ]


@pytest.mark.django_db
def test_a_maximum_keeps_the_greatest() -> None:
    account = make_account()
    meter = make_meter(account.organization, aggregation=Meter.Aggregation.MAX)
    for hour, quantity in ((HOUR, "5"), (HOUR + timedelta(hours=1), "9"), (HOUR, "7")):
        make_batch(account.organization, usage_sum(account, meter, hour, quantity))
        roll_up(account.organization_id, NOW)
    assert quantities(UsageHour, account) == as_decimals(7, 9)
    assert quantities(UsageDay, account) == as_decimals(9)


@pytest.mark.django_db
def test_a_latest_value_is_the_latest_by_its_own_time() -> None:
    account = make_account()
    meter = make_meter(account.organization, aggregation=Meter.Aggregation.LATEST)
    for minute, quantity in ((10, "5"), (40, "3"), (20, "8")):
        at = (HOUR + timedelta(minutes=minute)).isoformat()
        make_batch(account.organization, usage_sum(account, meter, HOUR, quantity, l=at, lt=at))
        roll_up(account.organization_id, NOW)
    assert quantities(UsageHour, account) == quantities(UsageDay, account) == as_decimals(3)


@pytest.mark.django_db
def test_a_value_counts_once_in_a_month() -> None:
    account = make_account()
    meter = make_meter(account.organization, aggregation=Meter.Aggregation.UNIQUE)
    yesterday, next_month = HOUR - timedelta(days=1), HOUR + timedelta(days=30)
    for hour, values in ((yesterday, ["ann", "bob"]), (HOUR, ["bob", "cid"]), (next_month, ["ann"])):
        make_batch(account.organization, usage_sum(account, meter, hour, u=values, n=len(values)))
        roll_up(account.organization_id, NOW)
    assert quantities(UsageDay, account) == quantities(UsageHour, account) == as_decimals(2, 1, 1)
    assert UniqueValue.objects.count() == 4


@pytest.mark.django_db
def test_values_of_one_tick_count_in_their_first_hour() -> None:
    account = make_account()
    meter = make_meter(account.organization, aggregation=Meter.Aggregation.UNIQUE)
    later = usage_sum(account, meter, HOUR + timedelta(hours=1), u=["ann", "bob"])
    make_batch(account.organization, later, usage_sum(account, meter, HOUR, u=["ann"]))
    roll_up(account.organization_id, NOW)
    assert quantities(UsageHour, account) == as_decimals(1, 1)


@pytest.mark.django_db
def test_an_hour_beyond_the_window_only_counts_in_its_day() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    make_batch(account.organization, usage_sum(account, meter, NOW - timedelta(days=61), "4"))
    roll_up(account.organization_id, NOW)
    assert quantities(UsageHour, account) == []
    assert quantities(UsageDay, account) == as_decimals(4)


@pytest.mark.django_db
def test_a_mark_keeps_when_its_oldest_batch_came() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    for minutes in (3, 8, 5):
        received_at = NOW - timedelta(minutes=minutes)
        make_batch(account.organization, usage_sum(account, meter, HOUR), received_at=received_at)
        roll_up(account.organization_id, NOW)
    enter(staff_of(account))
    assert TouchedDay.objects.get().received_at == NOW - timedelta(minutes=8)


@pytest.mark.django_db
def test_a_tick_takes_a_bounded_number_of_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    account = make_account()
    meter = make_meter(account.organization)
    for _ in range(5):
        make_batch(account.organization, usage_sum(account, meter, HOUR, n=10))
    assert roll_up(account.organization_id, NOW, max_batches=2).batches == 2
    monkeypatch.setattr(module, "MAX_EVENTS", 5)
    assert roll_up(account.organization_id, NOW).batches == 1
    monkeypatch.undo()
    assert catch_up(account.organization_id, NOW) == 2


@pytest.mark.django_db
def test_only_organizations_with_work_are_looked_at() -> None:
    idle, busy = make_organization(), make_account()
    touched = make_account()
    make_batch(busy.organization, usage_sum(busy, make_meter(busy.organization), HOUR))
    enter(staff_of(touched))
    TouchedDay.objects.create(organization=touched.organization, account=touched, day=NOW.date(), received_at=NOW)
    viewer = Viewer(idle.pk, touched.pk)
    enter(viewer)
    assert set(organizations_waiting()) == {busy.organization_id, touched.organization_id}
    assert current_scope() == (str(idle.pk), str(touched.pk))


def current_scope() -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('app.organization'), current_setting('app.account')")
        row: tuple[str, str] = cursor.fetchone()
        return row


@pytest.mark.django_db
class TestPoison:
    """A batch that cannot be merged never holds up the others, and is set aside for all to see."""

    def poisoned(self, count: int = 5) -> tuple[Account, IngestBatch]:
        account = make_account()
        meter = make_meter(account.organization)
        batches = [
            make_batch(account.organization, usage_sum(account, meter, HOUR), usage_sum(account, meter, HOUR))
            for _ in range(count)
        ]
        bad = batches[count // 2]
        bad.sums[1]["q"] = "9" * 27  # more than NUMERIC(38, 12) holds
        bad.save()
        return account, bad

    def test_the_others_are_merged(self) -> None:
        account, bad = self.poisoned()
        assert roll_up(account.organization_id, NOW) == RolledUp(4, 1)
        assert quantities(UsageDay, account) == as_decimals(8)
        bad.refresh_from_db()
        assert (bad.failures, bad.rolled_at) == (1, None)
        assert "overflow" in bad.error

    def test_at_the_third_attempt_all_but_the_bad_sum_is_merged(self) -> None:
        account, bad = self.poisoned()
        for _ in range(3):
            roll_up(account.organization_id, NOW)
        assert quantities(UsageDay, account) == as_decimals(9)
        bad.refresh_from_db()
        assert [part["q"] for part in bad.sums] == ["9" * 27]
        assert roll_up(account.organization_id, NOW) == RolledUp()
        assert account.organization_id in organizations_waiting()  # its day awaits settlement
        catch_up(account.organization_id, NOW)
        assert organizations_waiting() == []

    def test_it_can_be_tried_again_when_the_cause_is_gone(self) -> None:
        account, bad = self.poisoned()
        for _ in range(3):
            roll_up(account.organization_id, NOW)
        enter(staff_of(account))
        bad.refresh_from_db()
        bad.sums[0]["q"] = "1"
        bad.save()
        assert retry_failed_batches(staff_of(account)) == 1
        assert roll_up(account.organization_id, NOW) == RolledUp(1, 0)
        assert quantities(UsageDay, account) == as_decimals(10)
        bad.refresh_from_db()
        assert bad.error == ""

    @pytest.mark.parametrize(
        "field", [{"q": "NaN"}, {"q": "sNaN"}, {"h": "yesterday"}, {"a": "019757b0-0000-7000-8000-000000000000"}]
    )
    def test_whatever_is_wrong_it_fails_alone(self, field: dict[str, str]) -> None:
        account, bad = self.poisoned(3)
        bad.sums[1] |= field
        bad.save()
        assert roll_up(account.organization_id, NOW) == RolledUp(2, 1)
        assert quantities(UsageDay, account) == as_decimals(4)

    def test_a_database_that_goes_away_is_nobodys_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        account, _ = self.poisoned()
        monkeypatch.setattr(module.upserts, "add_days", raise_(OperationalError("server closed the connection")))
        with pytest.raises(OperationalError):
            roll_up(account.organization_id, NOW)
        enter(staff_of(account))
        assert not IngestBatch.objects.exclude(failures=0, rolled_at=None).exists()


def raise_(error: Exception) -> Any:
    def fail(*_args: object) -> None:
        raise error

    return fail


_parts = st.builds(
    Sum,
    account=st.sampled_from(["a", "b"]),
    meter=st.sampled_from(["sum", "max", "latest"]),
    workflow=st.sampled_from([None, "w"]),
    group=st.sampled_from(["", "g"]),
    hour=st.sampled_from([datetime(2026, 6, 1, hour, tzinfo=timezone.utc) for hour in (21, 22)]),
    day=st.just(datetime(2026, 6, 1, tzinfo=timezone.utc).date()),
    quantity=st.decimals(0, 10**26, allow_nan=False, places=12),
    events=st.integers(1, 9),
    finished=st.integers(0, 9),
    successes=st.integers(0, 9),
    outcomes=st.decimals(0, 100, allow_nan=False, places=2),
    last_at=st.sampled_from([datetime(2026, 6, 1, 21, minute, tzinfo=timezone.utc) for minute in (1, 2)]),
).map(lambda part: msgspec.structs.replace(part, value_at=part.last_at if part.meter == "latest" else None))


@given(st.data(), st.lists(_parts, max_size=12))
def test_the_order_and_the_grouping_of_batches_do_not_matter(data: st.DataObject, parts: Sequence[Sum]) -> None:
    greatest = frozenset({"max"})
    whole = merge(parts, hour_key, greatest)
    shuffled = data.draw(st.permutations(parts))
    cut = data.draw(st.integers(0, len(parts)))
    halves = [merge(half, hour_key, greatest) for half in (shuffled[:cut], shuffled[cut:])]
    assert merge(halves[0] + halves[1], hour_key, greatest) == whole
    days = merge(whole, day_key, greatest)
    assert sum(day.events for day in days) == sum(part.events for part in parts)
    assert sum(day.quantity for day in days if day.meter == "sum") == sum(
        part.quantity for part in parts if part.meter == "sum"
    )


def test_merging_leaves_the_given_sums_alone() -> None:
    text = '[{"a":"a","m":"m","w":null,"g":"","h":"2026-06-01T00:00:00+00:00","d":"2026-06-01","q":"1","n":1,"f":0,"s":0,"o":"0","l":"2026-06-01T00:00:00+00:00","u":["x"]}]'  # noqa: E501
    parts = read_sums(text)
    merge([*parts, *parts], hour_key)
    assert parts == read_sums(text)


@pytest.mark.django_db(transaction=True)
@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 47), st.sampled_from("0123")), min_size=1, max_size=10), st.randoms())
def test_the_database_holds_the_same_whatever_the_order(usage: list[tuple[int, str]], shuffle: Any) -> None:
    account = make_committed_account()
    meters = make_meters(account)
    results = []
    for order in (usage, shuffle.sample(usage, len(usage))):
        clear_sums(account)
        for hour, quantity in order:
            with act_as(staff_of(account)):
                make_batch(account.organization, *(one_of_each(account, meters, hour, quantity)))
            roll_up(account.organization_id, NOW)
        with act_as(staff_of(account)):
            results.append(sorted(UsageDay.objects.values_list("meter", "day", "quantity", "events")))
    assert results[0] == results[1]


def make_committed_account() -> Account:
    organization = make_organization()
    with act_as(staff_of(organization)):
        return make_account(organization)


def make_meters(account: Account) -> list[Meter]:
    with act_as(staff_of(account)):
        return [
            make_meter(account.organization, kind, aggregation=kind)
            for kind in (Meter.Aggregation.SUM, Meter.Aggregation.MAX, Meter.Aggregation.LATEST)
        ]


def one_of_each(account: Account, meters: list[Meter], hour: int, quantity: str) -> list[dict[str, Any]]:
    return [usage_sum(account, meter, HOUR - timedelta(hours=hour), quantity) for meter in meters]


def clear_sums(account: Account) -> None:
    with act_as(staff_of(account)):
        for table in (UsageDay, UsageHour, TouchedDay, IngestBatch):
            table.objects.all().delete()


@pytest.mark.django_db(transaction=True)
def test_ticks_racing_each_other_count_everything_once() -> None:
    account = make_committed_account()
    with act_as(staff_of(account)):
        meter = make_meter(account.organization)
        for _ in range(60):
            make_batch(account.organization, usage_sum(account, meter, HOUR))
    done = in_threads(6, lambda: [roll_up(account.organization_id, NOW, 7).batches for _ in range(12)])
    while roll_up(account.organization_id, NOW).batches:
        pass
    with act_as(staff_of(account)):
        assert UsageDay.objects.get().quantity == UsageHour.objects.get().quantity == 60
    assert sum(map(sum, done)) <= 60


@pytest.mark.django_db(transaction=True)
def test_claims_alone_keep_ticks_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also without the lock that spares them the attempt, a batch that one tick holds is skipped by the others."""
    account = make_committed_account()
    with act_as(staff_of(account)):
        meter = make_meter(account.organization)
        for _ in range(30):
            make_batch(account.organization, usage_sum(account, meter, HOUR))
    monkeypatch.setattr(module, "hold_roll_up", lambda *_args, **_options: True)
    done = in_threads(4, lambda: [roll_up(account.organization_id, NOW, 3).batches for _ in range(10)])
    assert sum(map(sum, done)) == 30
    with act_as(staff_of(account)):
        assert UsageDay.objects.get().quantity == 30


@pytest.mark.django_db(transaction=True)
def test_a_tick_gives_way_to_another() -> None:
    account = make_committed_account()
    with act_as(staff_of(account)):
        make_batch(account.organization, usage_sum(account, make_meter(account.organization), HOUR))
    with act_as(staff_of(account)):
        hold_roll_up(account.organization_id, wait=True)
        assert in_threads(1, lambda: roll_up(account.organization_id, NOW)) == [RolledUp()]
    assert roll_up(account.organization_id, NOW).batches == 1
