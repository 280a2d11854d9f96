"""`manage.py send_events`: a table becomes events over HTTP, each counted once, whatever happens on the way."""

import json
import os
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone as clock

from accounts.models import Account, ApiKey, AuditEvent, Membership, Organization
from budgets.actions.catch_up import catch_up
from consumption_cs.lib.tenancy import act_as
from tests.factories import make_account, make_key, make_meter, make_organization, staff_of
from usage.models import Event, Meter, Price, UsageDay
from usage.replay_client import Progress, Sender, Stopped
from usage.replay_file import BadTable, Columns, count_rows, events_of, find_columns, read_rows, summarize, weeks_until

COLUMNS = Columns("series", "time", "quantity")


def csv_of(path: Path, rows: int = 1500, series: int = 3) -> Path:
    """A table of hours in 2018, the quantities with all twelve decimals."""
    start = datetime(2018, 1, 1)  # noqa: DTZ001 - tables have no zones
    lines = ["series,time,quantity"]
    for number in range(rows):
        hour = start + timedelta(hours=number // series)
        lines.append(f"north_{number % series},{hour:%Y-%m-%d %H:%M:%S},{number}.{number:012d}")
    path.write_text("\n".join(lines) + "\n")
    return path


def send(server: str, path: Path, tmp_path: Path, **options: Any) -> str:
    out = StringIO()
    state = options.pop("state", tmp_path / "state.json")
    call_command("send_events", file=path, org="trial", url=server, state=state, stdout=out, stderr=out, **options)
    return out.getvalue()


def read(text: str, path: Path) -> list[Any]:
    path.write_text(text)
    return list(read_rows(path, find_columns(path)))


# The table ----------------------------------------------------------------------------------------------------------


def test_texts_are_read_to_the_last_digit_and_times_without_a_zone_are_utc(tmp_path: Path) -> None:
    rows = read("customer,ds,y\na,2018-01-01T10:00:00+02:00,0.123456789012\na,2018-01-01,7\n", tmp_path / "t.csv")
    assert rows == [
        ("a", datetime(2018, 1, 1, 8, tzinfo=timezone.utc), Decimal("0.123456789012")),
        ("a", datetime(2018, 1, 1, tzinfo=timezone.utc), Decimal(7)),
    ]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a,2018-01-01,0.1234567890123", "at most 12 decimal places"),
        ("a,2018-01-01,-1", "must not be negative"),
        ("a,2018-01-01,NaN", "must be a JSON number"),
        ("a,2018-01-01,x", "Row 2"),
        ("a,2018-01-01,", "Row 2"),
        ("a,soon,1", "Row 2"),
        (",2018-01-01,1", "no series is named"),
        ("a", "there is no time"),
    ],
)
def test_a_row_that_cannot_be_sent_exactly_is_named(tmp_path: Path, row: str, words: str) -> None:
    with pytest.raises(BadTable, match=words):
        read(f"series,time,quantity\na,2018-01-01,1\n{row}\n", tmp_path / "t.csv")


def test_single_precision_is_read_as_the_decimal_that_people_see(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    times = pa.array([datetime(2018, 1, 1, hour) for hour in range(4)], pa.timestamp("ns"))  # noqa: DTZ001
    single = pa.array(np.array([0.1, 16777216, 1e-5, 168094.5], dtype=np.float32))
    pq.write_table(pa.table({"unique_id": ["a"] * 4, "ds": times, "y": single}), path)
    found = [row.quantity for row in read_rows(path, find_columns(path))]
    assert found == [Decimal("0.1"), Decimal(16777216), Decimal("0.00001"), Decimal("168094.5")]
    double = pa.array([0.1 + 0.2, 1.0, 2.5, 1e-13])
    pq.write_table(pa.table({"unique_id": ["a"] * 4, "ds": times, "y": double}), path)
    found = [row.quantity for row in read_rows(path, find_columns(path))]
    assert found == [Decimal("0.3"), 1, Decimal("2.5"), 0]
    assert count_rows(path) == 4


def test_columns_are_found_by_their_usual_names_or_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("tenant,when,tokens\n")
    with pytest.raises(BadTable, match="Say --columns"):
        find_columns(path)
    assert find_columns(path, "tenant, when, tokens") == ("tenant", "when", "tokens")
    with pytest.raises(BadTable, match="not there: nope"):
        find_columns(path, "tenant,when,nope")


def test_ids_stay_the_same_for_a_table_that_grew_and_rows_that_look_alike_get_a_number(tmp_path: Path) -> None:
    text = "series,time,quantity\na,2018-01-01,1\na,2018-01-01,1\nb,2018-01-01,1\n"
    ids = [event["id"] for event in events_of(read(text, tmp_path / "t.csv"), "s", "t")]
    assert ids == ["a@2018-01-01T00:00:00Z", "a@2018-01-01T00:00:00Z#2", "b@2018-01-01T00:00:00Z"]
    grown = [event["id"] for event in events_of(read(text + "c,2018-01-02,1\n", tmp_path / "t.csv"), "s", "t")]
    assert grown[:3] == ids
    moved = list(events_of(read(text, tmp_path / "t.csv"), "s", "t", timedelta(weeks=1)))
    assert [event["id"] for event in moved] == ids
    assert moved[0]["time"] == "2018-01-08T00:00:00Z"


def test_a_table_is_moved_by_whole_weeks_into_the_past_week() -> None:
    last, now = datetime(2018, 1, 3, 5, tzinfo=timezone.utc), datetime(2026, 6, 15, 12, tzinfo=timezone.utc)
    moved = last + weeks_until(last, now)
    assert now - timedelta(weeks=1) < moved <= now
    assert (moved.weekday(), moved.hour) == (last.weekday(), last.hour)
    assert weeks_until(now + timedelta(days=30), now) == timedelta()


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadTable, match="no rows"):
        summarize(read("series,time,quantity\n", tmp_path / "t.csv"))


# Over HTTP ----------------------------------------------------------------------------------------------------------


def counted(organization: Organization) -> Decimal:
    catch_up(organization.pk, clock.now())
    with act_as(staff_of(organization)):
        return sum(UsageDay.objects.values_list("quantity", flat=True), Decimal(0))


def test_a_trial_makes_what_is_missing_and_counts_every_digit(server: str, tmp_path: Path) -> None:
    path = csv_of(tmp_path / "table.csv")
    said = send(server, path, tmp_path, create_accounts=True, admin="me@example.com")
    assert "1,500 accepted, 0 known already" in said
    assert "me@example.com signs in" in said
    organization = Organization.objects.get(key="trial")
    sent = sum((row.quantity for row in read_rows(path, COLUMNS)), Decimal(0))
    assert counted(organization) == sent
    assert "Sent = stored = counted for all 3 accounts, to the last digit" in send(
        server, path, tmp_path, create_accounts=True, check=True
    )
    with act_as(staff_of(organization)):
        assert set(Account.objects.values_list("key", flat=True)) == {"north_0", "north_1", "north_2"}
        assert UsageDay.objects.filter(spend=None).count() == 0
        assert (Meter.objects.count(), Price.objects.count(), Membership.objects.count()) == (1, 1, 1)
        assert AuditEvent.objects.filter(action="account.created").count() == 3
        assert ApiKey.objects.count() == 2


def test_what_was_interrupted_goes_on_and_nothing_counts_twice(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = csv_of(tmp_path / "table.csv", rows=3500)
    real = Progress.save

    def power_cut(progress: Progress, state: Path) -> None:
        if progress.rows >= 2000:
            raise KeyboardInterrupt  # the answer is there, the note is not
        real(progress, state)

    monkeypatch.setattr(Progress, "save", power_cut)
    with pytest.raises(CommandError, match="Run the same command"):
        send(server, path, tmp_path, create_accounts=True)
    monkeypatch.setattr(Progress, "save", real)
    assert json.loads((tmp_path / "state.json").read_text())["rows"] == 1000
    said = send(server, path, tmp_path, create_accounts=True)
    assert "Going on after 1,000 rows" in said
    assert "2,500 accepted, 1,000 known already" in said
    again = send(server, path, tmp_path, create_accounts=True, state=tmp_path / "lost.json")
    assert "0 accepted, 3,500 known already" in again
    organization = Organization.objects.get(key="trial")
    assert counted(organization) == sum((row.quantity for row in read_rows(path, COLUMNS)), Decimal(0))


def test_a_table_that_grew_sends_only_what_is_new(server: str, tmp_path: Path) -> None:
    path = csv_of(tmp_path / "table.csv", rows=30)
    send(server, path, tmp_path, create_accounts=True)
    with path.open("a") as file:
        file.write("north_0,2018-06-01 00:00:00,5\n")
    said = send(server, path, tmp_path, create_accounts=True)
    assert "1 accepted, 30 known already" in said


def test_old_events_need_a_key_that_may_send_them(server: str, tmp_path: Path, monkeypatch: Any) -> None:
    organization = make_organization(key="trial")
    with act_as(staff_of(organization)):
        make_meter(organization, "usage.quantity")
        make_account(organization, key="north_0")
        _, secret = make_key(organization, ("events:write",))
    path = csv_of(tmp_path / "table.csv", rows=3, series=1)
    monkeypatch.setenv("CCS_API_KEY", secret)
    with pytest.raises(CommandError, match="events:backfill"):
        send(server, path, tmp_path)
    said = send(server, path, tmp_path, to_today=True)
    assert "3 accepted" in said
    with act_as(staff_of(organization)):
        first = Event.objects.order_by("occurred_at").first()
        assert first is not None
        assert first.occurred_at > clock.now() - timedelta(days=9)


def test_events_of_unknown_accounts_wait_in_quarantine_and_are_reported(server: str, tmp_path: Path) -> None:
    organization = make_organization(key="trial")
    with act_as(staff_of(organization)):
        make_meter(organization, "usage.quantity")
        _, secret = make_key(organization, ("events:write", "events:backfill"))
    said = send(server, csv_of(tmp_path / "table.csv", rows=5), tmp_path, key=secret)
    assert "0 accepted, 0 known already, 5 quarantined" in said


def test_differing_sums_are_told_and_fail_the_command(server: str, tmp_path: Path) -> None:
    path = csv_of(tmp_path / "table.csv", rows=30)
    send(server, path, tmp_path, create_accounts=True)
    organization = Organization.objects.get(key="trial")
    counted(organization)
    with act_as(staff_of(organization)):
        UsageDay.objects.filter(account__key="north_1").update(quantity=Decimal("0.000000000001"))
    with pytest.raises(CommandError, match="1 of 3 accounts differ"):
        send(server, path, tmp_path, create_accounts=True, check=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "Give an API key"),
        ({"key": "ccs_live_wrong"}, "401"),
        ({"create_accounts": True, "unit_price": "0.1234567890123"}, "13 decimals"),
    ],
)
def test_what_is_missing_is_said(server: str, tmp_path: Path, options: dict[str, Any], words: str) -> None:
    os.environ.pop("CCS_API_KEY", None)
    path = csv_of(tmp_path / "table.csv", rows=3)
    with pytest.raises(Exception, match=words):
        send(server, path, tmp_path, **options)


def test_a_series_that_cannot_be_a_key_is_named(server: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("series,time,quantity\nan account,2018-01-01,1\n")
    with pytest.raises(CommandError, match="The series “an account” cannot be an account's key"):
        send(server, path, tmp_path, create_accounts=True)


def test_a_server_that_does_not_answer_is_given_up_on_in_words() -> None:
    sender = Sender("http://127.0.0.1:9", "key", patience=0)
    with pytest.raises(Stopped, match="Run the same command to go on"):
        sender.send([{"id": "1"}], Progress("d", "s"), lambda progress: None)
