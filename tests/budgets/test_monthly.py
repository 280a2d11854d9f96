"""Monthly reports are due on the wall clock of the account, in months of every length, and about the month before."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from budgets.calc.monthly import last_due, month_end, month_told, next_due
from consumption_cs.lib.periods import PeriodError

VIENNA, NEW_YORK, KIRITIMATI = ZoneInfo("Europe/Vienna"), ZoneInfo("America/New_York"), ZoneInfo("Pacific/Kiritimati")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("after", "day", "due"),
    [
        ("2026-01-31T12:00", 31, "2026-02-28T05:00"),
        ("2028-02-01T00:00", 30, "2028-02-29T05:00"),
        ("2026-02-28T05:00", 31, "2026-03-31T04:00"),
        ("2026-04-02T00:00", 31, "2026-04-30T04:00"),
        ("2026-12-31T05:00", 31, "2027-01-31T05:00"),
        ("2026-11-30T22:59", 1, "2026-12-01T05:00"),
        ("2026-03-29T00:30", 29, "2026-03-29T04:00"),  # the clocks go forward that night
        ("2026-10-25T00:30", 25, "2026-10-25T05:00"),  # and back
    ],
)
def test_the_next_is_at_six_in_the_morning_of_its_day(after: str, day: int, due: str) -> None:
    found = next_due(utc(after), day, VIENNA)
    assert found == utc(due)
    assert found.astimezone(VIENNA).hour == 6


def test_every_month_has_exactly_one_whatever_the_day_and_the_zone() -> None:
    for zone in (VIENNA, NEW_YORK, KIRITIMATI, ZoneInfo("Australia/Lord_Howe")):
        for day in (1, 15, 28, 29, 30, 31):
            moment, told = utc("2027-01-01T12:00"), list[date]()
            while len(told) < 26:
                moment = next_due(moment, day, zone)
                assert last_due(moment, day, zone) == moment
                assert last_due(moment + timedelta(days=20), day, zone) == moment
                told.append(month_told(month_end(moment, zone), zone))
            assert len(set(told)) == 26
            assert all(later > earlier for earlier, later in pairwise(told))


def test_it_is_about_the_month_before_with_its_last_day_booked() -> None:
    as_of = month_end(utc("2026-11-03T05:00"), VIENNA)
    assert as_of.astimezone(VIENNA) == datetime(2026, 11, 1, 3, tzinfo=VIENNA)
    assert month_told(as_of, VIENNA) == date(2026, 10, 1)


def test_it_is_due_after_its_as_of_even_on_the_first() -> None:
    for zone in (VIENNA, NEW_YORK, KIRITIMATI):
        due = next_due(utc("2026-05-20T00:00"), 1, zone)
        assert month_end(due, zone) < due


def test_a_day_that_no_month_has_is_refused() -> None:
    with pytest.raises(PeriodError, match="1 to 31"):
        next_due(utc("2026-01-01T00:00"), 32, VIENNA)
