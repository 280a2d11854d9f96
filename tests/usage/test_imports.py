"""A staged import from the file to the events: what is kept, what is refused with which words, what it changes."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Account, Organization
from consumption_cs.lib.tenancy import Viewer, enter, leave
from tests.factories import make_account, make_meter, make_organization, make_price, make_usage_day, staff_of
from tests.usage.import_files import closed, csv_file, finish, ndjson_file, packed, parquet_file, row, validated
from usage.actions.accept import Sender, accept_events
from usage.actions.imports import create
from usage.actions.imports.create import ImportRefused
from usage.actions.roll_up import roll_up
from usage.calc.cloudevents import Window
from usage.calc.parsing import parse_items
from usage.models import (
    BadRow,
    Correction,
    Event,
    EventKey,
    ImportChange,
    ImportChunk,
    ImportRow,
    Meter,
    Settlement,
    UsageDay,
    UsageImport,
    Workflow,
)

pytestmark = pytest.mark.django_db

State = UsageImport.State


@pytest.fixture
def now() -> datetime:
    return timezone.now().replace(microsecond=0)


@pytest.fixture
def vendor() -> Organization:
    return make_organization()


@pytest.fixture
def account(vendor: Organization) -> Account:
    return make_account(vendor, key="northwind")


@pytest.fixture
def meter(vendor: Organization, account: Account) -> Meter:
    return make_meter(vendor, "api.call")


def _quantity(account: Account) -> Decimal:
    enter(Viewer(account.organization_id))
    return sum((day.quantity for day in UsageDay.objects.filter(account=account)), Decimal(0))


def _count(account: Account, now: datetime) -> Decimal:
    """What the roll-up has once it is through."""
    while roll_up(account.organization_id, now).found_work:
        pass
    return _quantity(account)


def _send(account: Account, now: datetime, *rows: dict[str, Any]) -> None:
    """The same events, sent to the ingest."""
    items = [
        {
            "specversion": "1.0",
            "id": one["id"],
            "source": one["source"],
            "type": "api.call",
            "subject": one["account"],
            "time": one["time"],
            "data": {"quantity": int(one["quantity"])},
        }
        for one in rows
    ]
    leave()
    accept_events(Sender(account.organization_id), parse_items(items, Window.around(now)), now)
    enter(Viewer(account.organization_id))


def test_nothing_counts_before_the_import_is_closed(account: Account, meter: Meter, now: datetime) -> None:
    rows = [row(number, now - timedelta(hours=number), workflow="Claims") for number in range(5)]
    one = validated(account.organization, csv_file(rows))
    assert (one.state, one.rows, one.rows_new, one.rows_bad) == (State.READY, 5, 5, 0)
    assert not Event.objects.exists()
    assert not EventKey.objects.exists()
    assert not Workflow.objects.exists()
    roll_up(one.organization_id, now)
    assert not UsageDay.objects.exists()


def test_a_closed_import_counts_each_event_once(account: Account, meter: Meter, now: datetime) -> None:
    rows = [row(number, now - timedelta(hours=number), workflow="Claims") for number in range(5)]
    one = closed(validated(account.organization, csv_file(rows)))
    assert one.state == State.CLOSED
    roll_up(one.organization_id, now)
    enter(Viewer(one.organization_id))
    assert _quantity(account) == Decimal(10)
    assert Event.objects.filter(event_id="e3").values_list("workflow__key", flat=True).get() == "Claims"


def test_an_event_that_came_before_is_known_and_counts_once(account: Account, meter: Meter, now: datetime) -> None:
    rows = [row(number, now - timedelta(hours=number)) for number in range(4)]
    _send(account, now, *rows[:3])
    one = validated(account.organization, csv_file([*rows, rows[0]]))
    assert (one.rows, one.rows_new, one.rows_known, one.rows_differing, one.rows_repeated) == (5, 1, 3, 0, 1)
    closed(one)
    assert _count(account, now) == 8


def test_an_event_that_came_in_between_is_not_counted_twice(account: Account, meter: Meter, now: datetime) -> None:
    rows = [row(number, now - timedelta(hours=number)) for number in range(4)]
    one = validated(account.organization, csv_file(rows))
    _send(account, now, *rows[:2])
    one = closed(one)
    assert (one.rows_new, one.rows_known, one.state) == (2, 2, State.CLOSED)
    assert _count(account, now) == 8


def test_two_imports_of_one_file_count_it_once(account: Account, meter: Meter, now: datetime) -> None:
    content = csv_file([row(number, now - timedelta(hours=number)) for number in range(4)])
    first, second = validated(account.organization, content), validated(account.organization, content)
    closed(first)
    assert closed(second).rows_new == 0
    assert _count(account, now) == 8


def test_every_format_gives_the_same_events(account: Account, meter: Meter, now: datetime) -> None:
    times = [now - timedelta(hours=number) for number in range(3)]
    as_csv = csv_file([row(number, at, quantity="1.25", success="true") for number, at in enumerate(times)])
    events = [
        {
            "specversion": "1.0", "id": f"e{number}", "source": "/old", "type": "api.call", "subject": "northwind",
            "time": at.isoformat(), "data": {"quantity": 1.25, "success": True},
        }
        for number, at in enumerate(times)
    ]  # fmt: skip
    columns = {
        "id": [f"e{number}" for number in range(3)], "source": ["/old"] * 3, "time": times,
        "subject": ["northwind"] * 3, "type": ["api.call"] * 3, "quantity": [Decimal("1.25")] * 3,
        "success": [True] * 3,
    }  # fmt: skip
    contents = [
        (as_csv, "csv"),
        (packed(as_csv), "csv"),
        (ndjson_file(events), "ndjson"),
        (parquet_file(columns), "parquet"),
    ]
    seen = []
    for content, kind in contents:
        one = validated(account.organization, content, kind)
        assert one.state == State.READY, (kind, one.problem, one.reasons)
        seen.append(
            list(ImportRow.objects.filter(usage_import=one).order_by("key").values_list("key", "digest", "quantity"))
        )
    assert all(kept == seen[0] for kept in seen)


def test_columns_may_have_other_names_and_the_rest_become_properties(
    account: Account, meter: Meter, now: datetime
) -> None:
    Meter.objects.filter(pk=meter.pk).update(dimensions=["region"], value_property="tokens")
    head = "Ereignis;when;Kunde;meter;quantity;region;success\r\n"
    content = f"{head}a1;{now.isoformat()};northwind;api.call;7;eu;yes\r\n".encode()
    one = validated(account.organization, content, columns={"id": "Ereignis", "time": "when", "account": "Kunde"})
    kept = ImportRow.objects.get(usage_import=one)
    assert (kept.quantity, kept.group, kept.succeeded) == (7, '{"region":"eu"}', True)
    assert kept.properties == {"tokens": 7, "region": "eu", "success": True}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"account": "nobody"}, "unknown_subject"),
        ({"meter": "nothing"}, "unknown_type"),
        ({"quantity": ""}, "invalid_quantity"),
        ({"quantity": "1,000"}, "invalid_quantity"),
        ({"quantity": "-1"}, "negative_quantity"),
        ({"quantity": "1.0000000000001"}, "quantity_scale"),
        ({"quantity": "1" + "0" * 26}, "quantity_too_large"),
        ({"time": ""}, "no_time"),
        ({"time": "2026-03-01 09:30:00"}, "invalid_time"),
        ({"time": "1999-03-01T09:30:00Z"}, "time_too_old"),
        ({"time": "2099-03-01T09:30:00Z"}, "time_in_future"),
        ({"id": ""}, "invalid_id"),
        ({"id": "a\x00b"}, "unsupported_character"),
        ({"source": "s" * 257}, "invalid_source"),
    ],
)
def test_a_broken_row_is_told_by_line_and_reason_and_the_others_are_kept(
    account: Account, meter: Meter, now: datetime, fields: dict[str, Any], code: str
) -> None:
    rows = [row(1, now), row(2, now, **fields), row(3, now)]
    one = validated(account.organization, csv_file(rows))
    bad = BadRow.objects.get(usage_import=one)
    assert (bad.line, bad.code, one.reasons) == (3, code, {code: 1})
    assert (one.state, one.rows_new) == (State.REFUSED, 2)
    with pytest.raises(ImportRefused, match="left out"):
        create.start_closing(staff_of(account.organization), one, now)
    closed(one, leave_bad_out=True)
    assert _count(account, now) == 4


def test_broken_csv_rows_do_not_stop_the_rest(account: Account, meter: Meter, now: datetime) -> None:
    good = csv_file([row(1, now)])
    broken = good + b'"e2"x,/old,,,,,,\r\n' + b"\xff\xfe,/old\r\n" + b",".join([b"x"] * 20) + b"\r\n"
    one = validated(account.organization, broken + csv_file([row(3, now)]).split(b"\r\n", 1)[1])
    assert one.reasons == {"malformed_csv": 1, "not_utf8": 1, "too_many_cells": 1}
    assert one.rows_new == 2


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"id,time,account,meter\r\n", "csv", "no rows"),
        (b"id,time,quantity\r\n1,2,3\r\n", "csv", "account, meter"),
        (b"id,time,account,meter,id\r\n", "csv", "there twice"),
        (b"\n", "csv", "first line"),
        (b"\x00\x01,\x02\n", "csv", "control characters"),
        (b"x" * 300_000, "ndjson", "KiB"),
        (packed(b"id,time,account,meter\n" + b"0" * 40_000_000), "csv", ""),
        (packed(b"id,time,account,meter,quantity\n")[:-6], "csv", "too early"),
        (b"PAR1" + b"\x00" * 40 + b"PAR1", "parquet", "damaged"),
        (parquet_file({"id": [["a"]], "time": ["b"], "account": ["c"], "meter": ["d"]}), "parquet", "flat"),
        (parquet_file({"id": ["a"], "time": ["b"]}), "parquet", "Missing column"),
    ],
)
def test_a_file_that_cannot_be_imported_says_why(
    account: Account, meter: Meter, content: bytes, kind: str, words: str
) -> None:
    one = validated(account.organization, content, kind)
    assert one.state == State.REFUSED
    assert words in one.problem
    assert one.problem
    with pytest.raises(ImportRefused):
        create.start_closing(staff_of(account.organization), one, timezone.now(), leave_bad_out=True)


def test_a_gzip_bomb_is_refused_without_being_unpacked(account: Account, meter: Meter) -> None:
    bomb = packed(b"id,time,account,meter\n" + b"a,b,c,d\n" * 12_000_000)
    one = validated(account.organization, bomb)
    assert "far more than usage does" in one.problem


def test_a_text_bomb_in_parquet_is_refused(account: Account, meter: Meter, now: datetime) -> None:
    columns = {name: ["x"] * 5000 for name in ("id", "time", "account", "meter")} | {"note": ["z" * 1_000_000] * 5000}
    one = validated(account.organization, parquet_file(columns), "parquet")
    assert "No usage needs so much" in one.problem


def test_more_rows_than_allowed_are_refused(
    account: Account, meter: Meter, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usage.actions.imports.validate.MOST_ROWS", 2)
    one = validated(account.organization, csv_file([row(number, now) for number in range(3)]))
    assert "more than 2 rows" in one.problem


def test_the_first_thousand_errors_are_kept_and_all_are_counted(account: Account, meter: Meter, now: datetime) -> None:
    one = validated(account.organization, csv_file([row(number, now, quantity="x") for number in range(1_200)]))
    assert one.reasons == {"invalid_quantity": 1_200}
    assert BadRow.objects.filter(usage_import=one).count() == 1_000


def test_the_same_id_with_other_content_is_wrong(account: Account, meter: Meter, now: datetime) -> None:
    one = validated(account.organization, csv_file([row(1, now), row(2, now), row(1, now, quantity="9")]))
    assert one.reasons == {"same_id": 1}


def test_the_preview_shows_quantity_and_money_now_and_after(account: Account, meter: Meter, now: datetime) -> None:
    make_price(
        meter, terms={"model": "graduated", "params": {"tiers": [{"up_to": "100", "unit": "1"}, {"unit": "0.5"}]}}
    )
    make_usage_day(account, meter, now.date().replace(day=1), quantity=Decimal(90), events=9)
    at = now.replace(day=1) + timedelta(hours=1)
    one = validated(account.organization, csv_file([row(number, at, quantity="20") for number in range(2)]))
    change = ImportChange.objects.get(usage_import=one)
    assert (change.quantity_before, change.quantity_after) == (90, 130)
    assert (change.spend_before, change.spend_after) == (90, 115)
    assert one.preview["money"] == {"USD": {"before": "90.000000", "after": "115.000000", "late": "0.000000"}}


def test_what_falls_into_a_closed_period_is_shown_as_an_adjustment(
    account: Account, meter: Meter, now: datetime
) -> None:
    make_price(meter, "0.5")
    Settlement.objects.create(
        organization=account.organization, account=account, due_at=now, closed_until=now.date().replace(day=1)
    )
    late = now.replace(day=1) - timedelta(days=3)
    one = validated(account.organization, csv_file([row(1, late), row(2, now)]))
    change = ImportChange.objects.get(usage_import=one)
    assert (change.spend_after, change.adjustment) == (2, 1)


def test_without_a_price_the_money_is_not_known(account: Account, meter: Meter, now: datetime) -> None:
    one = validated(account.organization, csv_file([row(1, now)]))
    change = ImportChange.objects.get(usage_import=one)
    assert (change.spend_before, change.spend_after) == (None, None)
    assert one.preview["unpriced"] == 1


def test_reverting_drops_everything(account: Account, meter: Meter, now: datetime) -> None:
    one = validated(account.organization, csv_file([row(1, now), row(2, now, quantity="x")]))
    create.start_reverting(staff_of(account.organization), one, now)
    assert finish(one).state == State.REVERTED
    for model in (ImportRow, ImportChunk, ImportChange, BadRow):
        assert not model.objects.filter(usage_import=one).exists()
    with pytest.raises(ImportRefused, match="make a new import"):
        create.start_closing(staff_of(account.organization), one, now)


def test_undoing_takes_every_event_back(account: Account, meter: Meter, now: datetime) -> None:
    _send(account, now, row(1, now - timedelta(hours=1)))
    one = closed(
        validated(account.organization, csv_file([row(number, now - timedelta(hours=1)) for number in range(4)]))
    )
    assert _count(account, now) == 8
    with pytest.raises(ImportRefused, match="Say why"):
        create.start_undoing(staff_of(account.organization), one, " ", now)
    create.start_undoing(staff_of(account.organization), one, "Wrong month", now)
    assert finish(one).state == State.UNDONE
    assert _count(account, now) == 2  # what the ingest had taken stays
    assert Correction.objects.filter(kind="void").count() == 3
    again = validated(account.organization, csv_file([row(0, now - timedelta(hours=1))]))
    assert again.reasons == {"was_corrected": 1}


def test_a_window_is_replaced(account: Account, meter: Meter, now: datetime) -> None:
    make_price(meter, "1")
    other = make_account(account.organization, key="other")
    start = now - timedelta(days=3)
    sent = [row(number, start + timedelta(hours=number)) for number in range(10)]
    _send(account, now, *sent, row("other", start + timedelta(hours=1), account="other"))
    assert _count(account, now) == 20
    window = create.Window(meter, start, start + timedelta(hours=5), [account])
    content = csv_file([sent[0], row("new", start + timedelta(hours=2), quantity="5")])
    one = validated(account.organization, content, window=window)
    assert (one.rows_new, one.rows_known, one.events_voided) == (1, 1, 4)
    change = ImportChange.objects.get(usage_import=one)
    assert (change.quantity_before, change.quantity_after, change.rows_voided) == (20, 17, 4)
    assert _count(account, now) == 20
    closed(one)
    assert _count(account, now) == 17
    assert _count(other, now) == 2


def test_a_row_outside_the_window_is_refused(account: Account, meter: Meter, now: datetime) -> None:
    window = create.Window(meter, now - timedelta(days=2), now - timedelta(days=1))
    one = validated(account.organization, csv_file([row(1, now), row(2, now - timedelta(hours=30))]), window=window)
    assert one.reasons == {"outside_window": 1}


def test_a_window_can_be_cut_down_to_known_rows(account: Account, meter: Meter, now: datetime) -> None:
    sent = [row(number, now - timedelta(hours=number)) for number in range(3)]
    _send(account, now, *sent)
    window = create.Window(meter, now - timedelta(days=1), now + timedelta(minutes=1))
    one = closed(validated(account.organization, csv_file(sent[:1]), window=window))
    assert one.state == State.CLOSED
    assert _count(account, now) == 2


@pytest.mark.parametrize("aggregation", ["max", "latest", "unique", "count"])
def test_other_meters_count_as_the_ingest_does(account: Account, now: datetime, aggregation: str) -> None:
    kind = make_meter(account.organization, "seats", aggregation=aggregation, value_property="seat")
    make_price(kind, "1")
    at = now.replace(hour=12) - timedelta(days=1)
    rows = [row(number, at + timedelta(minutes=number), meter="seats", quantity=None, seat=value)
            for number, value in enumerate((5, 9, 5, 7))]  # fmt: skip
    one = validated(account.organization, csv_file(rows, ("id", "source", "time", "account", "meter", "seat")))
    change = ImportChange.objects.get(usage_import=one)
    expected = {"max": 9, "latest": 7, "unique": 3, "count": 4}[aggregation]
    assert change.quantity_after == expected
    closed(one)
    assert _count(account, now) == expected
