"""Retention month by month: by looking back, by quarter and year on year, committed; and the walk as a waterfall."""

import csv
import io
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Account, Organization, Role
from budgets.models import Commit, Contract
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import enter
from reviews.actions.renewals import add_evidence, approve_evidence
from reviews.calc.retention import net_and_gross, retention
from reviews.calc.walk import Walk, axis_start, chained_walks, together
from reviews.charts.retention import rolling_chart, walk_chart, walk_headline
from reviews.reports.retention_words import facts, loss_bar, loss_rows, ways, ways_headline
from tests.factories import make_account, make_member, make_organization, signed_in, staff_of
from tests.reviews.test_retention_page import (
    NOW,
    THIS_MONTH,
    as_viewer,
    people,
    seen_by,
    spend,
    two_years,
)

D = Decimal
BASE, CURRENT = [100, 50, 30, 20], [130, 40, 30, 0]


def steady(organization: Organization, months: int, amount: int = 100, name: str = "Steady") -> Account:
    """An account that used the same in each of the last closed months."""
    account = make_account(organization, name)
    enter(staff_of(organization))
    for back in range(1, months + 1):
        spend(account, add_months(THIS_MONTH, -back), amount)
    return account


def a_year_apart(organization: Organization) -> list[Account]:
    """The example of the metric list: the last quarter against the same one a year before, and nothing between."""
    made = []
    for number, (before, now) in enumerate(zip(BASE, CURRENT, strict=True)):
        account = make_account(organization, f"Customer {number}")
        enter(staff_of(organization))
        spend(account, add_months(THIS_MONTH, -15), before)
        if now:
            spend(account, add_months(THIS_MONTH, -1), now)
            spend(account, add_months(THIS_MONTH, -5), now * 7)  # the season before: none of it counts
        made.append(account)
    return made


def promise(account: Account, starts: date, ends: date, value: int) -> None:
    enter(staff_of(account))
    own: dict[str, Any] = {"organization": account.organization, "account": account}
    contract = Contract.objects.create(**own, name="Contract", starts_on=starts, ends_on=ends)
    Commit.objects.create(
        **own, contract=contract, name="Commit", unit="USD", amount=value, value=value, effective_on=starts,
        expires_on=ends,
    )  # fmt: skip


def test_net_and_gross_are_those_of_the_metric_list() -> None:
    base, current = ({str(n): D(x) for n, x in enumerate(xs)} for xs in (BASE, CURRENT))
    assert net_and_gross(base, current) == (100, 85)
    assert net_and_gross({}, current) == (None, None)


@given(st.lists(st.tuples(st.decimals(0, 10**6, places=2), st.decimals(0, 10**6, places=2)), max_size=6))
def test_the_short_way_and_the_long_way_tell_the_same(pairs: list[tuple[Decimal, Decimal]]) -> None:
    base, current = ({str(n): pair[side] for n, pair in enumerate(pairs)} for side in (0, 1))
    found = retention(base, current)
    assert net_and_gross(base, current) == (found.net_percent, found.gross_percent)


@pytest.mark.django_db
def test_year_on_year_is_the_example_of_the_metric_list_whatever_the_season_was() -> None:
    organization = make_organization()
    a_year_apart(organization)
    seen = seen_by(organization)
    assert seen.months_known == 15
    assert seen.year_on_year is not None
    assert (seen.year_on_year.net_percent, seen.year_on_year.gross_percent) == (100, 85)
    assert seen.rolling[-1].year_net is None  # a line begins a month later: the first month may have only begun
    spend(make_account(organization, "Before"), add_months(THIS_MONTH, -16), 1)
    seen = seen_by(organization)
    assert (seen.rolling[-1].year_net, seen.rolling[-1].year_gross) == (100, 85)
    assert seen.quarter.net_percent is not None
    assert seen.quarter.net_percent < 20


@pytest.mark.django_db
def test_year_on_year_needs_fifteen_months_and_says_so() -> None:
    organization = make_organization()
    steady(organization, 14)
    seen = seen_by(organization)
    assert seen.year_on_year is None
    assert seen.year_why_not == "needs 15 closed months, has 14"
    (fact,) = [one for one in facts(seen) if one.label == "Net retention, year on year"]
    assert (fact.none, fact.value, fact.note) == (True, "Not known yet", "needs 15 closed months, has 14")
    assert all(row.year_net is None for row in seen.rolling)
    chart = rolling_chart(seen)
    assert chart is not None
    assert "NRR year on year" not in [one.name for one in chart.series]
    assert {row[3] for row in chart.numbers.rows} == {"needs 16 months"}


@pytest.mark.django_db
def test_a_quarter_that_used_nothing_a_year_before_is_no_base() -> None:
    organization = make_organization()
    account = steady(organization, 6)
    spend(account, add_months(THIS_MONTH, -20), 10)
    seen = seen_by(organization)
    assert seen.year_on_year is None
    assert seen.year_why_not == "nothing was used in that quarter a year before"


@pytest.mark.django_db
def test_looking_back_rolls_where_two_years_are_known() -> None:
    organization = make_organization()
    account = steady(organization, 26)
    spend(account, THIS_MONTH - timedelta(days=1), 120)  # more in the last month alone
    seen = seen_by(organization)
    assert [row.back_net for row in seen.rolling[-4:]] == [None, 100, 100, 110]
    chart = rolling_chart(seen)
    assert chart is not None
    assert [one.name for one in chart.series] == ["NRR look-back", "NRR year on year", "GRR consumed"]
    assert [float(y or 0) for y in chart.series[0].y] == [1, 1, 1.1]
    assert chart.numbers.rows[-1][1:] == ["110.0%", "140.0%", "140.0%", "100%", "no commit ended"]


@pytest.mark.django_db
def test_the_last_point_of_each_line_is_what_the_page_tells() -> None:
    organization = make_organization()
    accounts = two_years(organization, BASE, CURRENT)
    for back in (1, 2, 4, 5, 13, 14, 27):
        spend(accounts[2], add_months(THIS_MONTH, -back), 17 + back)
    author, other = people(organization)
    enter(staff_of(organization))
    left = add_evidence(as_viewer(author), accounts[1], "churn", THIS_MONTH - timedelta(days=3), None, None, "Letter")
    approve_evidence(as_viewer(other), left.pk, NOW)
    seen = seen_by(organization)
    last = seen.rolling[-1]
    assert seen.look_back is not None
    assert seen.year_on_year is not None
    assert (last.back_net, last.back_gross) == (seen.look_back.net_percent, seen.look_back.gross_percent)
    assert (last.year_net, last.year_gross) == (seen.year_on_year.net_percent, seen.year_on_year.gross_percent)
    assert (last.net, last.gross) == (seen.quarter.net_percent, seen.quarter.gross_percent)
    assert last.committed == seen.committed


@pytest.mark.django_db
def test_who_was_silent_then_had_left_then_and_who_is_back_has_not_left() -> None:
    organization = make_organization()
    steady(organization, 14)
    away = steady(organization, 14, name="Away")
    enter(staff_of(organization))
    for back in (4, 5, 6):
        away.accountday_set.filter(day=add_months(THIS_MONTH, -back)).delete()
    by_month = {row.month: row.net for row in seen_by(organization).rolling}
    assert by_month[add_months(THIS_MONTH, -5)] == 50  # silent for two months: nothing of the quarter counts
    assert by_month[add_months(THIS_MONTH, -4)] == 50  # it used nothing, and is back the month after
    assert by_month[add_months(THIS_MONTH, -7)] == 100


@pytest.mark.django_db
def test_committed_gross_is_what_was_renewed_of_what_ended_in_the_year_before() -> None:
    organization = make_organization()
    account = steady(organization, 12)
    promise(account, add_months(THIS_MONTH, -14), add_months(THIS_MONTH, -2), 1000)
    promise(account, add_months(THIS_MONTH, -2), add_months(THIS_MONTH, 10), 850)
    seen = seen_by(organization)
    assert (seen.committed, seen.committed_net, seen.expired, seen.contracts) == (85, 85, 1000, 1)
    assert [row.committed for row in seen.rolling[-3:]] == [None, 85, 85]  # it ended with the first day of a month
    chart = rolling_chart(seen)
    assert chart is not None
    (line,) = [one for one in chart.series if one.name == "GRR committed"]
    assert line.tone == "second-dash"
    assert list(line.y)[-3:] == [None, 0.85, 0.85]
    assert chart.numbers.rows[-3][5] == "no commit ended"


@pytest.mark.django_db
def test_every_way_to_count_is_told_with_what_it_stands_on() -> None:
    organization = make_organization()
    account = steady(organization, 15)
    promise(account, add_months(THIS_MONTH, -14), add_months(THIS_MONTH, -2), 1000)
    promise(account, add_months(THIS_MONTH, -2), add_months(THIS_MONTH, 10), 850)
    seen = seen_by(organization)
    told = {one.name: one for one in ways(seen)}
    assert told["Consumed, look-back"].gross is None
    assert told["Consumed, look-back"].why_not == "needs 24 closed months, has 15"
    assert told["Consumed, year on year: net 100.0%"].gross == 100
    assert told["Committed: net 85.0%"].words == "Contracts that ended in 12 months: $1k, 1 commit"
    assert ways_headline(seen) == "Renewals hold 15.0 points worse than use does"


@pytest.mark.django_db
def test_the_loss_is_told_by_reason_with_how_many_accounts_and_as_a_bar() -> None:
    organization = make_organization()
    accounts = two_years(organization, BASE, CURRENT)
    author, other = people(organization)
    enter(staff_of(organization))
    made = add_evidence(as_viewer(author), accounts[1], "assisted", add_months(THIS_MONTH, -12), None, D(4), "Tuned")
    approve_evidence(as_viewer(other), made.pk, NOW)
    seen = seen_by(organization)
    rows = {row.name: row for row in loss_rows(seen)}
    assert (rows["Churn"].accounts, rows["Churn"].amount, rows["Churn"].evidence) == (1, 20, "no use")
    assert (rows["Assisted hygiene"].accounts, rows["Assisted hygiene"].evidence) == (1, "1 piece of evidence")
    assert rows["Unexplained"].accounts == (1 if rows["Unexplained"].amount else 0)
    assert (rows["Price"].accounts, rows["Price"].evidence) == (0, "none")
    bar = loss_bar(seen)
    assert bar is not None
    assert bar.start == 80
    assert [swatch for swatch, _, _ in bar.parts] == ["used", "proj", "lost"]
    assert sum(float(width.rstrip("%")) for _, _, width in bar.parts) == pytest.approx(100, abs=0.05)
    assert bar.parts[0] == ("used", "0.00%", "25.00%")


@pytest.mark.django_db
def test_nothing_lost_is_no_bar() -> None:
    organization = make_organization()
    steady(organization, 8)
    assert loss_bar(seen_by(organization)) is None


@pytest.mark.django_db
def test_the_file_of_months_leaves_empty_what_is_not_known() -> None:
    organization = make_organization()
    account = make_account(organization)
    enter(staff_of(organization))
    today = timezone.now().date().replace(day=1)
    for back in range(1, 10):
        spend(account, add_months(today, -back), 50)
    text = signed_in(make_member(organization, Role.LEADER)).get("/retention/months.csv").content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 9
    assert rows[-1]["nrr_run_rate_percent"] == "100.0000"
    assert {row["nrr_look_back_percent"] for row in rows} == {""}
    assert {row["grr_committed_percent"] for row in rows} == {""}
    assert rows[0]["nrr_run_rate_percent"] == ""


# ---- the walk


def test_where_the_axis_of_a_waterfall_begins() -> None:
    assert axis_start([D(100), D(10), D(90)]) == 0
    assert axis_start([D(500), D(500)]) == 0
    start = axis_start([D("1237000"), D("1368000"), D("1334000")])
    assert 0 < start < 1237000
    assert start == D(1200000)


@given(
    st.lists(
        st.dictionaries(st.sampled_from("abc"), st.decimals(0, 10**5, places=4), max_size=3), min_size=3, max_size=6
    )
)
def test_walks_that_follow_each_other_add_up_to_one(months: list[dict[str, Decimal]]) -> None:
    walks = chained_walks(months)
    whole = together(walks)
    assert (whole.opening, whole.closing) == (walks[0].opening, walks[-1].closing)
    assert whole.difference == 0
    assert all(one.difference == 0 for one in walks)


def test_walks_that_do_not_follow_each_other_are_no_whole() -> None:
    one, other, third = chained_walks([{"a": D(1)}, {"a": D(2)}, {"a": D(3)}, {"a": D(4)}])
    with pytest.raises(ValueError, match="opens with 3"):
        together([one, third])
    assert together([one, other]).closing == 3


@pytest.mark.django_db
def test_the_waterfall_stands_on_what_came_before_it() -> None:
    organization = make_organization()
    accounts = [make_account(organization, name) for name in ("Grows", "Shrinks", "New", "Leaves")]
    enter(staff_of(organization))
    for account, before, now in zip(accounts, ("900.10", "800", "0", "50.05"), ("950.20", "780.40", "33.33", "0"),
                                    strict=True):  # fmt: skip
        for day, amount in ((add_months(THIS_MONTH, -4), before), (add_months(THIS_MONTH, -1), now)):
            if D(amount):
                spend(account, day, amount)
    seen = seen_by(organization)
    chart = walk_chart(seen)
    assert chart is not None
    totals, gained, lost = chart.series
    assert (totals.kind, totals.y[0], totals.y[-1]) == ("level", D("1750.15"), D("1763.93"))
    assert list(gained.y) == [None, D("33.33"), D("50.10"), None, None, None]
    assert list(gained.base)[1:3] == [D("1750.15"), D("1783.48")]
    assert list(lost.y) == [None, None, None, D("-19.60"), D("-50.05"), None]
    assert list(lost.base)[3:5] == [D("1833.58"), D("1813.98")]
    assert chart.links == [D("1750.15"), D("1783.48"), D("1833.58"), D("1813.98"), D("1763.93")]
    assert chart.axis_from == 1720
    assert chart.sub.endswith("Axis starts at $1.72k.")
    assert [mark.text for mark in chart.marks] == ["$1.75k", "$1.76k", "+$33", "+$50", "−$20", "−$50"]
    assert chart.numbers.rows == [
        ["Jul 2026 to Oct 2026", "$1,750.15", "$33.33", "$50.10", "−$19.60", "−$50.05", "$1,763.93"]
    ]


@pytest.mark.django_db
def test_the_table_of_the_walk_chains_quarters_to_the_year() -> None:
    organization = make_organization()
    account = make_account(organization)
    enter(staff_of(organization))
    for back, amount in ((13, "10.01"), (10, "20.02"), (7, "15.00"), (4, "18.88"), (1, "0.03")):
        spend(account, add_months(THIS_MONTH, -back), amount)
    chart = walk_chart(seen_by(organization))
    assert chart is not None
    rows = chart.numbers.rows
    assert [row[0] for row in rows] == [
        "Oct 2025 to Jan 2026", "Jan 2026 to Apr 2026", "Apr 2026 to Jul 2026", "Jul 2026 to Oct 2026", "12 months",
    ]  # fmt: skip
    assert [row[1] for row in rows[1:4]] == [row[-1] for row in rows[:3]]
    assert rows[-1][1:] == ["$10.01", "$0.00", "$13.89", "−$23.87", "$0.00", "$0.03"]


def test_a_walk_that_does_not_add_up_says_so_in_place_of_its_headline() -> None:
    walk = Walk(D(10), D(1), D(0), D(0), D(0), D(12), ())
    assert walk.difference == -1
    told = walk_headline(date(2026, 7, 1), date(2026, 10, 1), walk, "USD")
    assert told == "The walk does not add up: −$1.00 is left open"


@pytest.mark.django_db
def test_the_walk_between_two_months_is_a_file_that_adds_up() -> None:
    organization = make_organization()
    accounts = [make_account(organization, name) for name in ("Helios", "Vertex")]
    enter(staff_of(organization))
    today = timezone.now().date().replace(day=1)
    for account, before, now in zip(accounts, ("100.10", "70.20"), ("90.05", "95.55"), strict=True):
        spend(account, add_months(today, -3), before)
        spend(account, add_months(today, -1), now)
    client = signed_in(make_member(organization, Role.LEADER))
    first, last = add_months(today, -3), add_months(today, -1)
    text = client.get(f"/retention/walk.csv?from={first:%Y-%m}&to={last:%Y-%m}").content.decode("utf-8-sig")
    *rows, total = csv.DictReader(io.StringIO(text))
    assert [(row["account"], row["kind"], row["change"]) for row in rows] == [
        ("Helios", "contraction", "-10.05"), ("Vertex", "expansion", "25.35"),
    ]  # fmt: skip
    assert D(total["change"]) == sum(D(row["change"]) for row in rows) == D("15.30")
    page = client.get(f"/retention/walk/?from={first:%Y-%m}&to={last:%Y-%m}").content.decode()
    assert "Every closed month opens with what the one before closed with" in page
