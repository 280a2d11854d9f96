"""The order of batches, and ticks that race each other, do not change the sums."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import Account
from consumption_cs.lib.tenancy import act_as
from tests.factories import (
    NOW,
    make_account,
    make_batch,
    make_meter,
    make_organization,
    staff_of,
    usage_sum,
)
from tests.threads import in_threads
from usage.actions import roll_up as module
from usage.actions.roll_up import RolledUp, hold_roll_up, roll_up
from usage.calc.merging import Sum, day_key, hour_key, merge, read_sums
from usage.models import IngestBatch, Meter, TouchedDay, UniqueValue, UsageDay, UsageHour

HOUR = NOW - timedelta(hours=2)


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
        results.append(sums_of(account))
    assert results[0] == results[1]


def sums_of(account: Account) -> list[Any]:
    """All days; of different values only their number in the month, for they count on the day that came first."""
    with act_as(staff_of(account)):
        days = UsageDay.objects.exclude(meter__aggregation=Meter.Aggregation.UNIQUE)
        seen = UsageDay.objects.filter(meter__aggregation=Meter.Aggregation.UNIQUE)
        total = sum(day.quantity for day in seen)
        return [*sorted(days.values_list("meter", "day", "quantity", "events")), total]


def make_committed_account() -> Account:
    organization = make_organization()
    with act_as(staff_of(organization)):
        return make_account(organization)


def make_meters(account: Account) -> list[Meter]:
    with act_as(staff_of(account)):
        return [make_meter(account.organization, kind, aggregation=kind) for kind in Meter.Aggregation.values]


def one_of_each(account: Account, meters: list[Meter], hour: int, quantity: str) -> list[dict[str, Any]]:
    seen: dict[str, dict[str, Any]] = {Meter.Aggregation.UNIQUE: {"u": [quantity]}}
    return [
        usage_sum(account, meter, HOUR - timedelta(hours=hour), quantity, **seen.get(meter.aggregation, {}))
        for meter in meters
    ]


def clear_sums(account: Account) -> None:
    with act_as(staff_of(account)):
        for table in (UsageDay, UsageHour, UniqueValue, TouchedDay, IngestBatch):
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
