"""The incentive ledger by quarter: whole weeks in band, depth, what was excused by whom, and disputes."""

import csv
import io
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import InternalError, ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone as clock
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Account, AuditEvent, Membership, Role
from budgets.models import Delivery, LedgerEntry
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions.book import assign
from reviews.actions.incentives import answer_dispute, raise_dispute
from reviews.calc.quarters import Quarter, whole_weeks
from reviews.models import AccountMetrics, IncentiveDispute, LossEvidence
from reviews.reports.incentive_lines import LedgerLine, by_person
from reviews.reports.incentives import incentive_ledger, open_disputes, quarter_asked, quarters
from tests.budgets.ledger_factories import make_commit, make_contract
from tests.budgets.test_excused import make_credit
from tests.factories import make_account, make_member, make_organization, signed_in, staff_of
from usage.models import AccountDay

D = Decimal
NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
Q3, Q4 = Quarter(date(2026, 7, 1)), Quarter(date(2026, 10, 1))


def as_viewer(member: Membership) -> Viewer:
    return Viewer(member.organization_id, None, member.role, user_id=member.user_id)


def spend(account: Account, day: date, amount: Decimal | str | int) -> None:
    AccountDay.objects.create(
        organization_id=account.organization_id, account=account, day=day, currency=account.currency, spend=D(amount),
        events=1, last_event_at=datetime(day.year, day.month, day.day, 12, tzinfo=timezone.utc),
    )  # fmt: skip


def paid(amounts: dict[date, int], csm: Membership | None = None, **fields: Any) -> tuple[Account, Membership]:
    """An account whose commit plans 70 a week from 1 June 2026 on, and what it drew on some days."""
    seat = csm or make_member(make_organization(), Role.CSM)
    account = make_account(seat.organization, fields.pop("name", "Helios"), csm=seat.user, **fields)
    grant(account, "3650", date(2027, 6, 1))
    enter(staff_of(account))
    spend(account, date(2026, 6, 1), 1)
    for day, amount in amounts.items():
        spend(account, day, amount)
    return account, seat


def grant(account: Account, amount: str, ends_on: date | None) -> None:
    contract = make_contract(account, ends_on=ends_on)
    commit = make_commit(account, amount, contract=contract, expires_on=ends_on)
    enter(staff_of(account))
    own: dict[str, Any] = {"organization_id": account.organization_id, "account": account, "commit": commit}
    LedgerEntry.objects.create(**own, kind="granted", day=commit.effective_on, amount=commit.amount, why="Granted")


def weekly(until: date, *amounts: int) -> dict[date, int]:
    """What was drawn in the weeks that end with `until`, the oldest first, each on its last day."""
    return {until - timedelta(days=7 * back + 1): amount for back, amount in enumerate(reversed(amounts))}


def ledger(of: Membership | Account, quarter: Quarter = Q3, now: datetime = NOW) -> list[LedgerLine]:
    viewer = staff_of(of) if isinstance(of, Account) else as_viewer(of)
    enter(viewer)
    return incentive_ledger(viewer, now, quarter)


# ---- quarters


@given(st.dates(date(2000, 1, 1), date(2100, 12, 31)))
def test_every_day_lies_in_one_quarter_and_quarters_follow_each_other(day: date) -> None:
    quarter = Quarter.of(day)
    assert quarter.start <= day < quarter.end
    assert Quarter.of(quarter.end).back(1) == quarter
    assert Quarter.named(quarter.name) == quarter
    assert quarter.last_day + timedelta(days=1) == quarter.end


@pytest.mark.parametrize("name", ["", "2026-Q5", "2026-Q0", "Q4 2026", "0000-Q1", "2026-Q4 ", "²026-Q4"])
def test_what_names_no_quarter(name: str) -> None:
    assert Quarter.named(name) is None
    assert quarter_asked(name, NOW) == Q4


def test_the_running_quarter_and_two_years_before_can_be_asked_for() -> None:
    assert [str(one) for one in quarters(NOW)[:3]] == ["Q4 2026", "Q3 2026", "Q2 2026"]
    assert quarter_asked("2025-Q1", NOW).name == "2025-Q1"
    assert quarter_asked("2019-Q1", NOW) == Q4
    assert quarter_asked("2027-Q1", NOW) == Q4


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(0, 120))
def test_whole_weeks_never_leave_their_span_and_are_counted_back_from_its_end(first: date, length: int) -> None:
    until = first + timedelta(days=length)
    days = {first + timedelta(days=number): D(1) for number in range(-10, length + 10)}
    weeks = whole_weeks(first, until, days)
    assert len(weeks) == length // 7
    assert all(week.drawn == 7 for week in weeks)
    assert all(week.start >= first for week in weeks)
    if weeks:
        assert weeks[-1].last_day == until - timedelta(days=1)


# ---- weeks in band


@pytest.mark.django_db
def test_weeks_in_band_are_those_of_the_quarter_and_of_no_other() -> None:
    amounts = weekly(Q3.end, 0, 0, 0, 0, 0, 0, 0, 0, 55, 56, 84, 85, 70)
    account, _ = paid(amounts | {Q3.end: 70, Q3.start - timedelta(days=1): 70})
    (line,) = ledger(account)
    assert line.target == 70
    assert (line.inside, len(line.counted), line.day) == (3, 13, Q3.last_day)
    assert line.in_band is not None
    assert round(line.in_band, 2) == D("23.08")
    assert line.weeks[0].start == date(2026, 7, 2)
    (running,) = ledger(account, Q4)
    assert (running.day, len(running.weeks)) == (date(2026, 11, 22), 7)
    assert running.inside == 0  # 1 October itself is in no whole week that is counted back from 23 November
    assert running.weeks[0].start == date(2026, 10, 5)


@pytest.mark.django_db
def test_a_quarter_begins_with_the_local_day_of_the_account() -> None:
    account, _ = paid(weekly(Q3.end, 70, 70), timezone="America/Los_Angeles")
    night = datetime(2026, 10, 1, 3, tzinfo=timezone.utc)  # still 30 September where the customer is
    (running,) = ledger(account, Q4, night)
    assert (running.day, running.in_band, running.why_not) == (None, None, "The quarter has not begun.")
    (ending,) = ledger(account, Q3, night)
    assert ending.day == date(2026, 9, 29)
    (over,) = ledger(account, Q3, night + timedelta(hours=5))
    assert (over.day, over.inside) == (date(2026, 9, 30), 2)


@pytest.mark.django_db
def test_a_week_with_a_credited_spike_is_left_out_and_who_approved_it_is_told() -> None:
    account, _ = paid({}, timezone="UTC")
    leader = make_member(account.organization, Role.LEADER)
    make_credit(account, decided_by=leader.user)
    (line,) = ledger(account, Quarter(date(2026, 4, 1)))
    assert [week.is_excused for week in line.weeks] == [False, False, True, False]
    assert (line.in_band, line.why_not) == (None, "Too early to say: 3 of 4 whole weeks count.")
    (item,) = line.excused
    assert (item.words, item.by, item.at) == (
        "Spike, $6.00 credited",
        leader.user,
        datetime(2026, 6, 19, 20, tzinfo=timezone.utc),
    )
    assert line.excused_words == f"Spike, $6.00 credited, approved by {leader.user}"
    assert ledger(account, Q3)[0].items == ()


@pytest.mark.django_db
def test_evidence_bears_on_the_quarters_that_it_covers() -> None:
    account, seat = paid({})
    leader = make_member(account.organization, Role.LEADER)
    enter(staff_of(account))
    own: dict[str, Any] = {
        "organization": account.organization, "account": account, "currency": "USD", "note": "Seen",
        "entered_by": seat.user,
    }  # fmt: skip
    LossEvidence.objects.create(
        **own, kind="assisted", starts_on=date(2026, 5, 1), ends_on=Q3.start, approved_at=NOW, approved_by=leader.user
    )
    LossEvidence.objects.create(**own, kind="price", starts_on=Q3.last_day, approved_at=NOW, approved_by=leader.user)
    LossEvidence.objects.create(**own, kind="churn", starts_on=Q3.end)
    (line,) = ledger(account, Q3)
    assert [(one.words, one.by) for one in line.excused] == [("A lower price", leader.user)]
    assert line.waiting == []
    (after,) = ledger(account, Q4)
    assert [one.words for one in after.excused] == ["A lower price"]
    assert [one.words for one in after.waiting] == ["Notice given"]


@pytest.mark.django_db
def test_what_is_not_known_has_its_reason_and_is_never_zero() -> None:
    seat = make_member(make_organization(), Role.CSM)
    account = make_account(seat.organization, "No commit", csm=seat.user)
    (line,) = ledger(account)
    assert (line.in_band, line.why_not) == (None, "No commit was in force.")
    assert (line.workflows, line.ladder, line.top_share) == (None, None, None)
    endless = make_account(seat.organization, "Endless", csm=seat.user)
    grant(endless, "3650", None)
    (line,) = [one for one in ledger(endless) if one.account == endless]
    assert (line.in_band, line.why_not) == (None, "The commit has no end, so no plan.")
    (person,) = by_person(ledger(account))
    assert (person.in_band, person.workflows) == (None, None)


@pytest.mark.django_db
def test_depth_is_that_of_the_last_measure_in_the_quarter() -> None:
    account, _ = paid({})
    for day, flows in ((Q3.start - timedelta(days=1), 1), (Q3.last_day, 3), (Q3.end, 5)):
        AccountMetrics.objects.create(
            organization=account.organization, account=account, day=day, computed_at=NOW,
            numbers={"production_workflows": str(flows), "ladder_percent": "60", "top_share_percent": "41.5"},
        )  # fmt: skip
    (line,) = ledger(account, Q3)
    assert (line.workflows, line.ladder, line.top_share) == (3, 60, D("41.5"))
    (line,) = ledger(account, Q4)
    assert line.workflows == 5
    (line,) = ledger(account, Quarter(date(2026, 1, 1)))
    assert line.workflows is None


# ---- whose line it is


@pytest.mark.django_db
def test_who_had_the_account_when_the_quarter_ended_has_its_line() -> None:
    account, before = paid({})
    after, leader = (make_member(account.organization, role) for role in (Role.CSM, Role.LEADER))
    enter(as_viewer(leader))
    assign(as_viewer(leader), [account.pk], after.user_id)
    today = Quarter.of(clock.now().date())
    now = clock.now()
    assert [line.person for line in ledger(leader, today, now)] == [after.user]
    assert [line.person for line in ledger(leader, today.back(1), now)] == [before.user]
    assert [line.person for line in ledger(before, today.back(1), now)] == [before.user]
    assert ledger(before, today, now) == []


@pytest.mark.django_db
def test_a_change_on_the_page_of_the_account_is_taken_back_by_its_address() -> None:
    account, before = paid({})
    after = make_member(account.organization, Role.CSM)
    leader = signed_in(make_member(account.organization, Role.LEADER))
    enter(staff_of(account))
    AuditEvent.objects.create(
        organization=account.organization, account=account, actor_name="Somebody", action="account.changed",
        target_type="account", target_id=str(account.pk), target_name=account.name,
        details={"csm": {"from": f"{before.user} <{before.user.email}>", "to": f"{after.user} <{after.user.email}>"}},
    )  # fmt: skip
    Account.objects.filter(pk=account.pk).update(csm=after.user)
    last = Quarter.of(clock.now().date()).back(1)
    page = leader.get(f"/team/incentives/?quarter={last.name}").content.decode()
    assert str(before.user) in page
    assert f'<span class="stage">{after.user}</span>' not in page


@pytest.mark.django_db
def test_people_see_their_own_lines_and_leaders_all() -> None:
    account, own = paid({}, name="Mine")
    other = make_member(account.organization, Role.CSM)
    paid({}, csm=other, name="Theirs")
    assert [line.account.name for line in ledger(own)] == ["Mine"]
    leader = make_member(account.organization, Role.LEADER)
    assert {line.account.name for line in ledger(leader)} == {"Mine", "Theirs"}
    quarter = Quarter.of(clock.now().date()).name
    theirs = signed_in(other)
    assert theirs.get(f"/team/incentives/{account.pk}/{quarter}/").status_code == 404
    assert "Mine" not in theirs.get("/team/incentives/").content.decode()
    assert account.key not in theirs.get("/team/incentives.csv").content.decode()
    assert signed_in(own).get(f"/team/incentives/{account.pk}/{quarter}/").status_code == 200
    assert signed_in(own).get(f"/team/incentives/{account.pk}/2019-Q1/").status_code == 404
    analyst = signed_in(make_member(account.organization, Role.ANALYST)).get("/team/incentives/").content.decode()
    assert "No account was yours in this quarter" in analyst


# ---- disputes


@pytest.mark.django_db
def test_a_dispute_is_raised_answered_and_raised_again_and_all_of_it_stays() -> None:
    account, seat = paid(weekly(Q3.end, 70, 70, 0, 70))
    leader = make_member(account.organization, Role.LEADER)
    enter(as_viewer(seat))
    raised = raise_dispute(as_viewer(seat), account.pk, Q3, " The outage was ours. ", NOW)
    enter(as_viewer(seat))
    assert raised.text == "The outage was ours."
    assert raised.line["Weeks in band"] == "23%, 3 of 13 weeks"
    assert raised.told.startswith("weeks in band: 23%, 3 of 13 weeks; in production: not known; ladder: ")
    (line,) = ledger(seat)
    assert line.open_dispute == raised
    with pytest.raises(ValidationError, match="disputed already"):
        raise_dispute(as_viewer(seat), account.pk, Q3, "Again", NOW)
    enter(as_viewer(leader))
    answered = answer_dispute(as_viewer(leader), raised.pk, "Counts as 10 weeks", NOW, accept=True)
    enter(as_viewer(leader))
    (line,) = ledger(leader)
    assert (line.open_dispute, line.dispute) == (None, answered)
    assert (answered.by, answered.at, answered.step, answered.person) == (leader.user, NOW, "accepted", seat.user)
    with pytest.raises(ValidationError, match="answered already"):
        answer_dispute(as_viewer(leader), raised.pk, "No", NOW, accept=False)
    enter(as_viewer(seat))
    again = raise_dispute(as_viewer(seat), account.pk, Q3, "It was 11", NOW + timedelta(hours=1))
    (line,) = ledger(seat)
    assert list(line.disputes) == [raised, answered, again]
    assert ledger(seat, Q4)[0].disputes == ()
    assert list(AuditEvent.objects.filter(action__startswith="incentive.").values_list("action", flat=True)) == [
        "incentive.disputed", "incentive.answered", "incentive.disputed",
    ]  # fmt: skip


@pytest.mark.django_db
def test_disputes_of_other_quarters_are_told_where_somebody_looks() -> None:
    seat = make_member(make_organization(), Role.CSM)
    account, _ = paid({}, csm=seat)
    other = make_member(account.organization, Role.CSM)
    leader = make_member(account.organization, Role.LEADER)
    last = Quarter.of(clock.now().date()).back(1)
    enter(as_viewer(seat))
    raised = raise_dispute(as_viewer(seat), account.pk, last, "The outage was ours", clock.now())
    enter(as_viewer(seat))
    assert open_disputes(as_viewer(seat)) == open_disputes(as_viewer(leader)) == {last: 1}
    assert open_disputes(as_viewer(other)) == {}
    page = signed_in(leader).get("/team/incentives/").content.decode()
    assert f"1 dispute of {last}</a> waits for an answer" in page
    team = signed_in(leader).get("/team/").content.decode()
    assert "1 line of the incentive ledger waits for an answer" in team
    assert f"quarter={last.name}&amp;state=raised" in team
    enter(as_viewer(leader))
    answer_dispute(as_viewer(leader), raised.pk, "Yes", clock.now(), accept=True)
    enter(as_viewer(leader))
    assert open_disputes(as_viewer(leader)) == {}


@pytest.mark.django_db
def test_leaders_hear_of_a_dispute_and_the_person_of_its_answer() -> None:
    account, seat = paid({})
    leader, second = (make_member(account.organization, Role.LEADER) for _ in range(2))
    for role in (Role.ADMIN, Role.FINANCE):
        make_member(account.organization, role)
    enter(as_viewer(seat))
    raised = raise_dispute(as_viewer(seat), account.pk, Q3, "The outage was ours", NOW)
    enter(as_viewer(leader))
    mails = Delivery.objects.filter(topic="incentive.disputed")
    assert {mail.email for mail in mails} == {leader.user.email, second.user.email}
    assert "The outage was ours" in mails[0].payload["text"]
    assert mails[0].payload["url"].endswith(f"/team/incentives/{account.pk}/2026-Q3/")
    assert all(mail.is_internal for mail in mails)
    answer_dispute(as_viewer(leader), raised.pk, "Left out when it is paid", NOW, accept=True)
    enter(as_viewer(leader))
    (told,) = Delivery.objects.filter(topic="incentive.answered")
    assert told.email == seat.user.email
    assert told.payload["subject"] == "Helios in Q3 2026: your dispute is accepted"
    assert "Left out when it is paid" in told.payload["text"]


@pytest.mark.django_db
def test_without_another_leader_administrators_hear_of_it() -> None:
    leader = make_member(make_organization(), Role.LEADER)
    account, _ = paid({}, csm=leader)
    admin = make_member(account.organization, Role.ADMIN)
    enter(as_viewer(leader))
    raise_dispute(as_viewer(leader), account.pk, Q3, "Wrong", NOW)
    enter(as_viewer(leader))
    assert [mail.email for mail in Delivery.objects.filter(topic="incentive.disputed")] == [admin.user.email]


@pytest.mark.django_db
def test_who_may_dispute_and_who_may_answer() -> None:
    account, seat = paid({})
    other = make_member(account.organization, Role.CSM)
    leader = make_member(account.organization, Role.LEADER)
    for person in (other, leader):
        enter(as_viewer(person))
        with pytest.raises(ValidationError, match="Only who is paid"):
            raise_dispute(as_viewer(person), account.pk, Q3, "Not mine", NOW)
    enter(as_viewer(seat))
    with pytest.raises(ValidationError, match="Say why"):
        raise_dispute(as_viewer(seat), account.pk, Q3, "  ", NOW)
    raised = raise_dispute(as_viewer(seat), account.pk, Q3, "Wrong", NOW)
    enter(as_viewer(seat))
    with pytest.raises(PermissionDenied):
        answer_dispute(as_viewer(seat), raised.pk, "Right", NOW, accept=True)
    enter(as_viewer(leader))
    with pytest.raises(ValidationError, match="note"):
        answer_dispute(as_viewer(leader), raised.pk, " ", NOW, accept=True)
    assert IncentiveDispute.objects.count() == 1


@pytest.mark.django_db
def test_a_leader_with_accounts_does_not_answer_their_own_dispute() -> None:
    leader = make_member(make_organization(), Role.LEADER)
    account, _ = paid({}, csm=leader)
    enter(as_viewer(leader))
    raised = raise_dispute(as_viewer(leader), account.pk, Q3, "Wrong", NOW)
    enter(as_viewer(leader))
    with pytest.raises(ValidationError, match="Somebody else"):
        answer_dispute(as_viewer(leader), raised.pk, "Right", NOW, accept=True)


@pytest.mark.django_db
def test_nobody_changes_or_removes_what_was_said_and_no_customer_reads_it() -> None:
    account, seat = paid({})
    enter(as_viewer(seat))
    raised = raise_dispute(as_viewer(seat), account.pk, Q3, "Wrong", NOW)
    for change in ("UPDATE reviews_incentivedispute SET text = 'x'", "DELETE FROM reviews_incentivedispute"):
        enter(as_viewer(seat))
        with pytest.raises((ProgrammingError, InternalError)), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)
    owner = make_member(account, Role.PORTAL_OWNER)
    enter(Viewer(account.organization_id, account.pk, owner.role, user_id=owner.user_id))
    assert not IncentiveDispute.objects.filter(pk=raised.pk).exists()
    enter(staff_of(make_organization()))
    assert not IncentiveDispute.objects.filter(pk=raised.pk).exists()


@pytest.mark.django_db
def test_a_dispute_on_its_pages_and_in_the_file() -> None:
    seat = make_member(make_organization(), Role.CSM)
    account, _ = paid({}, csm=seat)
    leader = make_member(account.organization, Role.LEADER)
    name = Quarter.of(clock.now().date()).back(1).name
    own, leads = signed_in(seat), signed_in(leader)
    line = f"/team/incentives/{account.pk}/{name}/"
    assert "Dispute this line" in own.get(line).content.decode()
    assert "Dispute this line" not in leads.get(line).content.decode()
    empty = own.post(f"{line}dispute/", {"reason": ""})
    assert empty.status_code == 422
    assert "Say why the line is wrong." in empty.content.decode()
    assert own.post(f"{line}dispute/", {"reason": "The outage was ours"}).status_code == 302
    assert own.post(f"{line}dispute/", {"reason": "Again"}).status_code == 422
    enter(staff_of(account))
    raised = IncentiveDispute.objects.get()
    address = f"/team/incentives/disputes/{raised.pk}/"
    assert own.post(address, {"do": "accept", "note": "Yes"}).status_code == 403
    assert "Answer " in leads.get(line).content.decode()
    assert "Waits for an answer" in leads.get(f"/team/incentives/?quarter={name}").content.decode()
    assert leads.post(address, {"do": "accept", "note": ""}).status_code == 422
    assert leads.post(address, {"do": "maybe", "note": "Hm"}).status_code == 422
    assert leads.post(address, {"do": "decline", "note": "The outage was excused"}).status_code == 302
    assert leads.post(address, {"do": "accept", "note": "Twice"}).status_code == 422
    page = own.get(line).content.decode()
    assert "The outage was excused" in page
    assert str(leader.user) in page
    text = own.get(f"/team/incentives.csv?quarter={name}").content.decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["quarter"], row["account"], row["dispute"]) == (name, account.key, "declined")
    assert (row["dispute_reason"], row["answer"]) == ("The outage was ours", "The outage was excused")
    assert (row["answered_by"], row["weeks_in_band_percent"]) == (str(leader.user), "0.0000")
    shown = leads.get(f"/team/incentives/?quarter={name}&state=declined").content.decode()
    assert account.name in shown
    assert "No line fits" in leads.get(f"/team/incentives/?quarter={name}&state=raised").content.decode()


@pytest.mark.django_db
def test_the_number_of_queries_does_not_depend_on_the_number_of_lines() -> None:
    account, seat = paid(weekly(Q3.end, 70, 70, 0, 70))

    def asked() -> int:
        enter(staff_of(account))
        with CaptureQueriesContext(connection) as queries:
            incentive_ledger(staff_of(account), NOW, Q3)
        return len(queries)

    few = asked()
    for number in range(5):
        paid(weekly(Q3.end, 70), csm=seat, name=f"Account {number}")
    assert asked() == few
