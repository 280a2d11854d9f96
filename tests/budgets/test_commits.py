"""Commits and contracts are made and changed; what cannot be is refused in words, and then nothing changes."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import Account, AuditEvent
from budgets.actions.commits import (
    CommitError,
    DrawOrder,
    NewCommit,
    Rollover,
    amend_commit,
    cancel_commit,
    create_commit,
    extend_commit,
    reorder_commit,
    roll_over_commit,
)
from budgets.actions.contracts import ContractError, NewContract, change_contract, create_contract
from budgets.models import Commit, CommitChange, Contract, LedgerEntry
from budgets.reports.balances import commits_of
from consumption_cs.lib.tenancy import Viewer, enter
from tests.budgets.ledger_factories import MADE_AT, D, draw, make_commit, make_contract, net, rate
from tests.factories import NOW, make_account, make_member, make_meter, staff_of
from usage.models import Meter, Settlement, TouchedDay

pytestmark = pytest.mark.django_db

TODAY = NOW.date()  # 15 June 2026


def june(day: int) -> date:
    return date(2026, 6, day)


@pytest.fixture
def account() -> Account:
    return make_account()


@pytest.fixture
def viewer(account: Account) -> Viewer:
    return staff_of(account)


@pytest.fixture
def calls(account: Account) -> Meter:
    return make_meter(account.organization, name="Calls")


def new_commit(account: Account, **fields: Any) -> NewCommit:
    contract = Contract.objects.filter(account=account).first() or make_contract(account)
    found: dict[str, Any] = {
        "contract": contract,
        "name": "Prepaid",
        "kind": "prepaid",
        "unit": "USD",
        "amount": D(100),
        "effective_on": june(1),
    }
    return NewCommit(**found | fields)


def close_until(account: Account, day: date) -> None:
    Settlement.objects.update_or_create(
        organization_id=account.organization_id, account=account, defaults={"closed_until": day, "due_at": NOW}
    )


def test_a_commit_is_kept_audited_and_drawn(account: Account, viewer: Viewer) -> None:
    commit = create_commit(viewer, account, new_commit(account), NOW)
    assert (commit.value, commit.rate) == (D(100), D(1))
    assert AuditEvent.objects.filter(action="commit.created", target_id=str(commit.pk)).exists()
    mark = TouchedDay.objects.get(account=account, day=june(1))
    assert mark.reason == "Prepaid was added"
    assert Settlement.objects.get(account=account).due_at <= NOW


def test_credits_and_other_currencies_are_worth_their_rate(account: Account, viewer: Viewer) -> None:
    credits = create_commit(
        viewer, account, new_commit(account, unit="credits", amount=D("1000.5"), rate=D("0.0123")), NOW
    )
    assert credits.value == D("12.31")
    euros = create_commit(viewer, account, new_commit(account, unit="EUR", rate=D("1.1")), NOW)
    assert (euros.amount, euros.unit, euros.value) == (D(100), "EUR", D("110.00"))


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "another currency": (
        {"unit": "EUR"},
        "rate",
        "The commit is in EUR and the account in USD: give the rate of one EUR in USD.",
    ),
    "credits": ({"unit": "credits"}, "rate", "what one credit is worth in USD"),
    "no currency": ({"unit": "dollars"}, "unit", "three capital letters"),
    "a rate that is not needed": ({"rate": D("1.2")}, "rate", "leave the rate empty"),
    "a rate of zero": ({"unit": "EUR", "rate": D(0)}, "rate", "above zero"),
    "13 decimals of a rate": ({"unit": "EUR", "rate": D("0.1234567890123")}, "rate", "12 after the point"),
    "a third decimal": ({"amount": D("1.005")}, "amount", "Amounts in USD have 2 decimals at most: round 1.005."),
    "too much": ({"amount": D(10) ** 14}, "amount", "more than the ledger can hold"),
    "too much in dollars": (
        {"unit": "credits", "amount": D(10) ** 12, "rate": D(1000)},
        "amount",
        "more than the ledger can hold",
    ),
    "below zero": ({"amount": D(-1)}, "amount", "zero or more"),
    "not a number": ({"amount": D("NaN")}, "amount", "plain digits"),
    "expiry before the start": ({"expires_on": june(1)}, "expires_on", "give a day after 1 June 2026"),
    "no name": ({"name": " "}, "name", "Give the commit a name"),
    "an odd recurrence": ({"recurs_months": 5}, "", "recurrence"),
    "rollover out of order": (
        {"rollover_least": D(5), "rollover_most": D(3)},
        "rollover_least",
        "cannot be above the most",
    ),
    "rollover without an end": ({"rollover_months": 2, "rollover_most": D(3)}, "expires_on", "It never ends"),
    "a priority beyond the column": ({"priority": 40_000}, "priority", "0 to 32,000"),
    "a day that is frozen": (
        {"effective_on": date(2026, 5, 31)},
        "effective_on",
        "The ledger is frozen before 1 June 2026",
    ),
}


@pytest.mark.parametrize(("fields", "field", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_refused_and_nothing_changes(
    account: Account, viewer: Viewer, fields: dict[str, Any], field: str, words: str
) -> None:
    new = new_commit(account, **fields)
    close_until(account, june(1))
    TouchedDay.objects.all().delete()
    with pytest.raises(CommitError) as refused:
        create_commit(viewer, account, new, NOW)
    assert refused.value.field == field
    assert words in str(refused.value)
    assert not Commit.objects.exists()
    assert not TouchedDay.objects.exists()
    assert not AuditEvent.objects.filter(action="commit.created").exists()


def test_meters_must_be_known_and_leave_something_to_pay_for(account: Account, viewer: Viewer, calls: Meter) -> None:
    with pytest.raises(CommitError, match="every meter that it is for is excepted"):
        create_commit(viewer, account, new_commit(account, only_meters=(calls.pk,), except_meters=(calls.pk,)), NOW)
    stranger = make_meter(make_account().organization)
    enter(viewer)
    with pytest.raises(CommitError, match="One of the meters is not known"):
        create_commit(viewer, account, new_commit(account, only_meters=(stranger.pk,)), NOW)


def test_an_amendment_counts_from_its_day_and_is_told(account: Account, calls: Meter) -> None:
    member = make_member(account.organization)
    commit = make_commit(account, "100")
    rate(account, calls, june(3), "130")
    draw(account, june(1))
    viewer = replace(staff_of(account), user_id=member.user_id)
    amend_commit(viewer, commit, D(50), june(10), "Upsell", NOW)
    draw(account, TODAY)
    found = net(account)
    assert found["Prepaid", "amended", june(10), ""] == D(50)
    assert found["Prepaid", "drawn", june(10), "Calls"] == D(-30)
    change = CommitChange.objects.get()
    assert (change.value_change, change.reason, change.actor_name) == (D(50), "Upsell", str(member.user))
    assert AuditEvent.objects.filter(action="commit.amended").exists()
    own = LedgerEntry.objects.get(kind="amended")
    assert (own.reason, own.actor) == ("Upsell", member.user)
    late = LedgerEntry.objects.get(kind="drawn", day=june(10))
    assert (late.reason, late.actor) == (f"Prepaid was amended by {member.user}: Upsell", member.user)


def test_an_amendment_below_what_is_drawn_is_refused(account: Account, viewer: Viewer, calls: Meter) -> None:
    commit = make_commit(account, "100")
    rate(account, calls, june(3), "70")
    rate(account, calls, TODAY, "10")
    draw(account, june(1))
    with pytest.raises(CommitError) as refused:
        amend_commit(viewer, commit, D("-20.01"), june(5), "Less", NOW)
    assert str(refused.value) == "$80.00 of it is drawn already: at most $20.00 can be taken back."
    assert not CommitChange.objects.exists()
    amend_commit(viewer, commit, D(-20), june(5), "Less", NOW)
    draw(account, TODAY)
    assert net(account)["Prepaid", "amended", june(5), ""] == D(-20)
    assert commits_of(viewer, account, NOW).commits[0].state == "used_up"


def test_an_amendment_needs_a_reason_a_day_of_the_commit_and_an_amount(account: Account, viewer: Viewer) -> None:
    commit = make_commit(account, expires_on=june(20))
    cases = [
        ((D(0), june(5), "Why"), "other than zero"),
        ((D(5), june(5), " "), "Say why"),
        ((D(5), date(2026, 5, 1), "Why"), "It takes effect on 1 June 2026"),
        ((D(5), june(20), "Why"), "It expires on 20 June 2026"),
        ((D("0.001"), june(5), "Why"), "2 decimals at most"),
    ]
    for (change, day, reason), words in cases:
        with pytest.raises(CommitError, match=words):
            amend_commit(viewer, commit, change, day, reason, NOW)
    close_until(account, june(8))
    with pytest.raises(CommitError, match="frozen before 8 June 2026"):
        amend_commit(viewer, commit, D(5), june(5), "Why", NOW)


def test_a_recurring_commit_gives_the_amended_amount_from_then_on(account: Account, viewer: Viewer) -> None:
    commit = make_commit(account, "100", effective_on=date(2026, 4, 1), recurs_months=1, name="Monthly")
    amend_commit(viewer, commit, D(20), date(2026, 5, 10), "More", NOW)
    draw(account, date(2026, 4, 1))
    found = net(account)
    assert found["Monthly", "granted", date(2026, 5, 1), ""] == D(100)
    assert found["Monthly", "amended", date(2026, 5, 10), ""] == D(20)
    assert found["Monthly", "granted", june(1), ""] == D(120)


def test_a_later_expiry_takes_the_expiry_back_with_the_reason(account: Account, viewer: Viewer) -> None:
    commit = make_commit(account, expires_on=june(10))
    draw(account, june(1))
    assert net(account)["Prepaid", "expired", june(10), ""] == D(-100)
    extend_commit(viewer, commit, june(30), "Goodwill", NOW)
    draw(account, TODAY)
    assert ("Prepaid", "expired", june(10), "") not in net(account)
    reversal = LedgerEntry.objects.exclude(reverses=None).get()
    assert reversal.reason == "Prepaid expires on another day by admin: Goodwill"


def test_what_expired_in_a_closed_period_is_not_brought_back(account: Account, viewer: Viewer) -> None:
    commit = make_commit(account, expires_on=june(10))
    close_until(account, june(11))
    with pytest.raises(CommitError, match="roll the rest over into a new commit"):
        extend_commit(viewer, commit, june(30), "Goodwill", NOW)


def test_a_cancelled_commit_falls_to_zero_and_stays(account: Account, viewer: Viewer) -> None:
    commit = make_commit(account)
    cancel_commit(viewer, commit, june(10), "Contract ended", NOW)
    draw(account, june(1))
    assert net(account)["Prepaid", "voided", june(10), ""] == D(-100)
    assert commits_of(viewer, account, NOW).commits[0].state == "cancelled"
    with pytest.raises(CommitError, match="It was cancelled as of 10 June 2026"):
        amend_commit(viewer, commit, D(5), june(11), "More", NOW)


def test_the_draw_order_changes_for_all_open_days(account: Account, viewer: Viewer, calls: Meter) -> None:
    make_commit(account, "100", name="First")
    second = make_commit(account, "100", name="Second", priority=2)
    rate(account, calls, june(3), "10")
    draw(account, june(1))
    reorder_commit(viewer, second, DrawOrder(priority=0), "As agreed", NOW)
    draw(account, TODAY)
    found = net(account)
    assert found["Second", "drawn", june(3), "Calls"] == D(-10)
    assert ("First", "drawn", june(3), "Calls") not in found
    with pytest.raises(CommitError, match="how it is drawn already"):
        reorder_commit(viewer, second, DrawOrder(priority=0), "Again", NOW)


def test_the_rest_of_an_expired_commit_rolls_over_once(account: Account, viewer: Viewer, calls: Meter) -> None:
    commit = make_commit(account, "100", expires_on=june(10))
    rate(account, calls, june(3), "30")
    with pytest.raises(CommitError, match="Nothing of it has expired"):
        roll_over_commit(viewer, commit, Rollover("Rest", june(12), None), "Goodwill", NOW)
    draw(account, june(1))
    rest = roll_over_commit(viewer, commit, Rollover("Rest", june(12), None, most=D(50)), "Goodwill", NOW)
    assert (rest.kind, rest.value, rest.rolled_from) == ("rollover", D(50), commit)
    with pytest.raises(CommitError, match="rolled over already"):
        roll_over_commit(viewer, commit, Rollover("Rest", june(12), None), "Goodwill", NOW)


def test_what_is_left_drawn_and_about_to_expire(account: Account, viewer: Viewer, calls: Meter) -> None:
    make_commit(account, "100", expires_on=date(2026, 7, 1))
    make_commit(account, "40", name="Later", effective_on=date(2026, 7, 1))
    rate(account, calls, june(3), "30")
    rate(account, calls, TODAY, "20")
    draw(account, june(1))
    found = commits_of(viewer, account, NOW)
    prepaid, later = found.commits
    assert (prepaid.settled, prepaid.ongoing, prepaid.drawn, prepaid.share) == (D(70), D(50), D(50), Decimal("0.5"))
    assert (prepaid.expiring, prepaid.expires_on, prepaid.state) == (D(50), date(2026, 7, 1), "active")
    assert (later.state, later.granted) == ("upcoming", D(40))
    assert (found.ongoing, found.expiring, found.overage) == (D(50), D(50), D(0))


def test_the_contract_in_force_is_the_accounts_term(account: Account, viewer: Viewer) -> None:
    create_contract(viewer, account, NewContract("Old", date(2025, 1, 1), date(2026, 1, 1)), NOW)
    contract = create_contract(viewer, account, NewContract("New", date(2026, 1, 1), date(2027, 1, 1)), NOW)
    account.refresh_from_db()
    assert (account.contract_starts_on, account.contract_ends_on) == (date(2026, 1, 1), date(2027, 1, 1))
    terms = NewContract("New", date(2026, 1, 1), None, "expiry_first", D("1.5"))
    changed = change_contract(viewer, contract, terms, NOW)
    account.refresh_from_db()
    assert (changed.draw_policy, account.contract_ends_on) == ("expiry_first", None)


@pytest.mark.parametrize(
    ("terms", "field", "words"),
    [
        (NewContract("", date(2027, 1, 1)), "name", "Give the contract a name"),
        (NewContract("B", date(2027, 1, 1), date(2027, 1, 1)), "ends_on", "must end after it starts"),
        (NewContract("B", date(2026, 6, 1)), "starts_on", "Another contract covers a part of this term"),
        (NewContract("B", date(2027, 1, 1), None, "by luck"), "draw_policy", "by luck"),
        (NewContract("B", date(2027, 1, 1), overage_factor=D(-1)), "overage_factor", "zero or more"),
    ],
)
def test_a_contract_that_cannot_be_is_refused(
    account: Account, viewer: Viewer, terms: NewContract, field: str, words: str
) -> None:
    make_contract(account, ends_on=date(2027, 1, 1))
    with pytest.raises(ContractError) as refused:
        create_contract(viewer, account, terms, NOW)
    assert words in str(refused.value)
    assert refused.value.field == field
    assert Contract.objects.count() == 1


def test_the_start_of_a_contract_stays(account: Account, viewer: Viewer) -> None:
    contract = make_contract(account)
    with pytest.raises(ContractError, match="cannot be moved"):
        change_contract(viewer, contract, NewContract("X", date(2026, 2, 1)), MADE_AT)


def test_what_overage_cost_in_closed_periods_stays(account: Account, viewer: Viewer) -> None:
    contract = make_contract(account, overage_factor=D("1.5"))
    close_until(account, june(1))
    same = NewContract("Order form", date(2026, 1, 1), None, overage_factor=D("1.5"))
    for new, field in (
        (replace(same, overage_factor=D(2)), "overage_factor"),
        (replace(same, ends_on=date(2026, 5, 1)), "ends_on"),
    ):
        with pytest.raises(ContractError, match="Billing periods before 1 June 2026 are closed") as refused:
            change_contract(viewer, contract, new, NOW)
        assert refused.value.field == field
    change_contract(viewer, contract, replace(same, ends_on=june(1), name="Until May"), NOW)
    create_contract(viewer, account, NewContract("June on", june(1), overage_factor=D(2)), NOW)
