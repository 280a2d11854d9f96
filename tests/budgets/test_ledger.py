"""The ledger holds whatever happens, in any order and however often it is settled: rows are only ever added."""

from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from random import Random

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from budgets.actions.commits import CommitError, amend_commit, cancel_commit, extend_commit
from budgets.actions.settle import settle
from budgets.actions.verify import verify_ledger
from budgets.calc.drawn_days import Calendar, DayUse, EntryKey, draw_days
from budgets.calc.snapshots import Snapshot
from budgets.models import Commit, CommitBalance, LedgerEntry, LedgerState
from budgets.reports.grants import terms_of
from budgets.reports.ledger import CursorError, LedgerFilters
from budgets.reports.ledger import entries as page_of
from consumption_cs.lib.periods import zone_of
from consumption_cs.lib.tenancy import act_as, enter
from tests.budgets.ledger_factories import D, draw, make_commit, make_contract, rate
from tests.factories import NOW, make_account, make_batch, make_meter, make_price, portal_of, staff_of, usage_sum
from tests.threads import in_threads
from usage.actions.rate import touch_days
from usage.actions.roll_up import roll_up
from usage.models import Adjustment, BillingPeriod, Meter, RatedDay, Settlement

BEGIN = datetime.fromisoformat("2026-03-10T12:00:00+00:00")


def june(day: int) -> date:
    return date(2026, 6, day)


class Story:
    """An account to which things happen at random, day after day."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311  a story, no secret
        self.now = BEGIN
        zone = self.random.choice(["UTC", "Europe/Vienna", "Pacific/Auckland"])
        currency = self.random.choice(["USD", "JPY", "KWD"])
        self.account = make_account(timezone=zone, currency=currency, billing_day=self.random.choice([1, 12, 31]))
        self.viewer = staff_of(self.account)
        self.meters = [make_meter(self.account.organization, name) for name in ("calls", "pages")]
        for meter in self.meters:
            make_price(meter, "1.7", currency=currency)
        policy = self.random.choice(["priority", "expiry_first", "promotional_first"])
        self.contract = make_contract(self.account, draw_policy=policy)
        self.reversible: list[tuple[Meter, datetime, int]] = []

    def tell(self, steps: int) -> None:
        acts = [self.use, self.use, self.use, self.pass_time, self.pass_time]
        acts += [self.commit, self.change, self.take_back, self.price]
        for _ in range(steps):
            enter(self.viewer)
            self.random.choice(acts)()
            if self.random.random() < 0.5:
                self.settle()
        self.settle()

    def settle(self) -> None:
        roll_up(self.account.organization_id, self.now)
        settle(self.account.organization_id, self.now)
        enter(self.viewer)

    def today(self) -> date:
        return self.now.astimezone(zone_of(self.account.timezone)).date()

    def moment(self) -> datetime:
        return (self.now - timedelta(days=self.random.randint(0, 40))).replace(minute=0)

    def use(self) -> None:
        meter, hour, quantity = self.random.choice(self.meters), self.moment(), self.random.randint(1, 60)
        self.count(meter, hour, quantity)
        self.reversible.append((meter, hour, quantity))

    def take_back(self) -> None:
        if self.reversible:
            meter, hour, quantity = self.reversible.pop(self.random.randrange(len(self.reversible)))
            self.count(meter, hour, -quantity)

    def count(self, meter: Meter, hour: datetime, quantity: int) -> None:
        day = hour.astimezone(zone_of(self.account.timezone)).date().isoformat()
        make_batch(self.account.organization, usage_sum(self.account, meter, hour, str(quantity), d=day))

    def pass_time(self) -> None:
        self.now += timedelta(days=self.random.randint(1, 12))

    def price(self) -> None:
        """From some day on, also one that is closed, a meter costs something else."""
        meter, day = self.random.choice(self.meters), self.today() - timedelta(days=self.random.randint(0, 45))
        if not meter.price_set.filter(effective_on=day).exists():
            make_price(meter, str(self.random.randint(1, 400) / 100), currency=self.account.currency, effective_on=day)
            touch_days(self.viewer, meter, None, day, "Another price")

    def commit(self) -> None:
        begin = self.today() + timedelta(days=self.random.randint(-30, 15))
        recurs = self.random.choice([None, None, 1])
        ends = self.random.choice([None, begin + timedelta(days=self.random.randint(1, 90))])
        rolls = bool(ends or recurs) and self.random.random() < 0.4
        with transaction.atomic():
            try:
                make_commit(
                    self.account,
                    str(self.random.choice([0, 30, 100])),
                    self.now,
                    contract=self.contract,
                    name=f"Commit {self.random.randint(1, 9)}",
                    kind=self.random.choice(["prepaid", "promotional"]),
                    effective_on=begin,
                    expires_on=ends,
                    recurs_months=recurs,
                    rollover_most=D(20) if rolls else D(0),
                    rollover_months=1 if rolls else 0,
                    priority=self.random.randint(1, 2),
                    only_meters=self.random.choice([(), (self.meters[0].pk,)]),
                )
            except CommitError:
                pass  # its first day is frozen

    def change(self) -> None:
        commits = list(Commit.objects.filter(account=self.account))
        if not commits:
            return
        commit = self.random.choice(commits)
        day = max(commit.effective_on, self.today() - timedelta(days=self.random.randint(-10, 30)))
        try:
            match self.random.randrange(4):
                case 0:
                    cancel_commit(self.viewer, commit, day, "Cancelled", self.now)
                case 1:
                    extend_commit(self.viewer, commit, day + timedelta(days=1), "Moved", self.now)
                case _:
                    amount = D(self.random.choice([-20, 25]))
                    amend_commit(self.viewer, commit, amount, day, "Amended", self.now)
        except CommitError:
            pass  # refused in words; then nothing has changed, as the end of the story shows

    def use_of_all_days(self) -> list[DayUse]:
        amounts: dict[tuple[date, str], Decimal] = defaultdict(Decimal)
        for model in (RatedDay, Adjustment):
            for row in model.objects.filter(account=self.account, amount__isnull=False):
                amounts[row.day, str(row.meter_id)] += row.amount
        return [DayUse(day, meter, amount) for (day, meter), amount in sorted(amounts.items())]


@pytest.mark.django_db
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**9), steps=st.integers(5, 40))
def test_any_order_of_anything_gives_the_ledger_of_one_run_from_scratch(seed: int, steps: int) -> None:
    story = Story(seed)
    story.tell(steps)
    name, today = str(story.account.pk), story.today()
    zone = zone_of(story.account.timezone)
    terms, commits = terms_of(story.account.organization_id, {name: zone}, {name: today})
    use = story.use_of_all_days()
    first = min([commit.effective_on for commit in commits[name]] + [row.day for row in use] + [today])
    calendar = Calendar(zone, story.account.billing_day)
    whole = draw_days(terms[name], use, calendar, state=Snapshot({}), first_day=first, today=today)
    net: dict[EntryKey, Decimal] = defaultdict(Decimal)
    for row in LedgerEntry.objects.filter(account=story.account):
        key = EntryKey(row.commit_id and str(row.commit_id), row.kind, row.day, row.meter_id and str(row.meter_id))
        net[key] += row.amount
    assert {key: amount for key, amount in net.items() if amount} == {
        key: booking.amount for key, booking in whole.entries.items()
    }
    for balance in CommitBalance.objects.filter(account=story.account):
        assert balance.settled == whole.settled.get(str(balance.commit_id), 0)
        assert balance.ongoing == whole.left.get(str(balance.commit_id), 0)
    assert not LedgerEntry.objects.filter(account=story.account, reverses__isnull=False, reason="").exists()
    assert not LedgerEntry.objects.filter(account=story.account, amount=0).exists()


@pytest.mark.django_db
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**9))
def test_after_any_story_the_check_finds_nothing_but_the_missing_events(seed: int) -> None:
    story = Story(seed)
    story.tell(30)
    check = verify_ledger(story.account.organization_id, story.now)
    assert check.accounts == 1
    # The stories write sums, as ticks do, and no events.
    assert check.is_exact or "accepted and rolled up by day" in check.difference, check.difference


@pytest.mark.django_db
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**9))
def test_closed_days_never_change_any_more(seed: int) -> None:
    story = Story(seed)
    story.tell(25)
    periods = BillingPeriod.objects.filter(account=story.account)
    until = max((period.ends_on for period in periods), default=date.min)
    frozen = LedgerEntry.objects.filter(account=story.account, day__lt=until)
    before = sorted(frozen.values_list("pk", flat=True))
    story.tell(25)
    assert sorted(frozen.values_list("pk", flat=True)) == before


@pytest.mark.django_db
def test_a_new_commit_is_drawn_by_the_next_settlement_even_without_new_use() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    make_price(meter, "1")
    make_batch(account.organization, usage_sum(account, meter, NOW - timedelta(days=3), "30"))
    roll_up(account.organization_id, NOW)
    settle(account.organization_id, NOW)
    enter(staff_of(account))
    make_commit(account, "100", NOW)
    settle(account.organization_id, NOW)
    enter(staff_of(account))
    assert CommitBalance.objects.get(account=account).settled == D(70)
    assert Settlement.objects.get(account=account).due_at > NOW


@pytest.mark.django_db(transaction=True)
def test_the_application_can_neither_change_nor_remove_entries() -> None:
    with transaction.atomic():
        account = make_account()
        meter = make_meter(account.organization)
        rate(account, meter, june(3), "10")
        draw(account, june(3))
    for statement in ("UPDATE budgets_ledgerentry SET amount = 0", "DELETE FROM budgets_ledgerentry"):
        with act_as(staff_of(account)), connection.cursor() as cursor:
            assert LedgerEntry.objects.count() == 1
            with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
                cursor.execute(statement)


@pytest.mark.django_db(transaction=True)
def test_two_settlements_at_once_book_once() -> None:
    with transaction.atomic():
        account = make_account()
        meter = make_meter(account.organization)
        make_price(meter, "1")
        make_commit(account, "100")
        for day in range(1, 15):
            make_batch(account.organization, usage_sum(account, meter, NOW.replace(day=day), "10"))
    roll_up(account.organization_id, NOW)
    in_threads(4, lambda: settle(account.organization_id, NOW))
    with act_as(staff_of(account)):
        rows = LedgerEntry.objects.filter(kind="drawn")
        assert (rows.count(), sum(row.amount for row in rows)) == (10, D(-100))
        assert not LedgerEntry.objects.exclude(reverses=None).exists()
        assert LedgerState.objects.get().overage == D(40)


@pytest.mark.django_db(transaction=True)
def test_commits_that_are_made_while_settlements_run_are_drawn() -> None:
    with transaction.atomic():
        account = make_account()
        meter = make_meter(account.organization)
        make_price(meter, "1")
        make_contract(account)
        for day in range(1, 15):
            make_batch(account.organization, usage_sum(account, meter, NOW.replace(day=day), "10"))
    roll_up(account.organization_id, NOW)
    turns = count()

    def work() -> None:
        if next(turns) % 2:
            settle(account.organization_id, NOW)
            return
        with act_as(staff_of(account)):
            make_commit(account, "10", NOW)

    in_threads(6, work)
    settle(account.organization_id, NOW)
    with act_as(staff_of(account)):
        drawn = [row.amount for row in LedgerEntry.objects.filter(kind="drawn", reverses=None, reversed_by=None)]
        assert sum(drawn) == D(-30)
        assert set(CommitBalance.objects.values_list("settled", flat=True)) == {D(0)}
        assert LedgerState.objects.get().overage == D(110)


@pytest.mark.django_db
def test_the_page_of_the_ledger_runs_balances_newest_first() -> None:
    account = make_account()
    meter = make_meter(account.organization, name="Calls")
    first = make_commit(account, "100")
    make_commit(account, "50", name="Extra", priority=2)
    for day, amount in ((3, "30"), (4, "100"), (5, "40")):
        rate(account, meter, june(day), amount)
    draw(account, june(1))
    viewer = staff_of(account)
    page = page_of(viewer, account, LedgerFilters())
    assert [(line.day.day, line.commit_name, line.amount, line.balance, line.total) for line in page.lines] == [
        (5, "", D(20), None, D(0)),
        (5, "Extra", D(-20), D(0), D(0)),
        (4, "Extra", D(-30), D(20), D(20)),
        (4, "Prepaid", D(-70), D(0), D(50)),
        (3, "Prepaid", D(-30), D(70), D(120)),
        (1, "Extra", D(50), D(50), D(150)),
        (1, "Prepaid", D(100), D(100), D(100)),
    ]
    assert (page.totals.drawn, page.totals.overage, page.totals.entries) == (D(150), D(20), 7)
    only = page_of(viewer, account, LedgerFilters(commit=first.pk, kind="drawn", from_day=june(4)))
    assert [(line.amount, line.balance) for line in only.lines] == [(D(-70), D(0))]
    assert len(page_of(portal_of(account), account, LedgerFilters(meter=meter.pk)).lines) == 5


@pytest.mark.django_db
def test_pages_of_the_ledger_follow_each_other() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    for day in range(1, 8):
        rate(account, meter, june(day), "1")
    draw(account, june(1))
    found, cursor = [], ""
    while True:
        page = page_of(staff_of(account), account, LedgerFilters(), cursor, page_size=3)
        found += [line.day.day for line in page.lines]
        cursor = page.next_cursor
        if not cursor:
            break
    assert found == [7, 6, 5, 4, 3, 2, 1]
    with pytest.raises(CursorError, match="start from the first page"):
        page_of(staff_of(account), account, LedgerFilters(), "nonsense")


@pytest.mark.django_db
def test_reversed_entries_are_shown_when_asked_for_and_change_no_balance() -> None:
    account = make_account()
    meter = make_meter(account.organization)
    make_commit(account, "100")
    rate(account, meter, june(3), "30")
    draw(account, june(1))
    rate(account, meter, june(3), "45")
    draw(account, june(3))
    viewer = staff_of(account)
    current = page_of(viewer, account, LedgerFilters(kind="drawn"))
    assert [(line.amount, line.balance) for line in current.lines] == [(D(-45), D(55))]
    both = page_of(viewer, account, LedgerFilters(kind="drawn", current_only=False))
    assert [(line.amount, line.balance, line.is_current) for line in both.lines] == [
        (D(-45), D(55), True),
        (D(30), D(100), False),
        (D(-30), D(70), False),
    ]
    assert both.lines[1].reverses == both.lines[2].id
    assert both.lines[2].reversed_by == both.lines[1].id
