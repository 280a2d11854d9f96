"""Monthly reports: each subscription gets one a month, whoever ticks; it ends with the seat or by the mail's link."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlparse
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.test import Client

from accounts.models import Account, Membership, Organization, Role
from budgets.actions.report_mails import mail_finished
from budgets.actions.report_subscriptions import make_due, subscribe
from budgets.actions.reports import ReportError, work
from budgets.actions.unsubscribing import token_of
from budgets.calc.monthly import last_due
from budgets.exports.report_files import render
from budgets.models import Report, ReportSubscription
from budgets.tasks import send_monthly_reports
from consumption_cs import schedule
from consumption_cs.lib.tenancy import Viewer, enter, leave
from tests.factories import make_account, make_member, make_organization, signed_in, staff_of
from tests.threads import in_threads

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
JULY_3 = datetime(2026, 7, 3, 4, tzinfo=UTC)  # 6:00 in Vienna


@pytest.fixture
def organization() -> Organization:
    return make_organization(timezone="Europe/Vienna")


@pytest.fixture
def account(organization: Organization) -> Account:
    return make_account(organization, timezone="Europe/Vienna")


def of(member: Membership) -> Viewer:
    return Viewer(member.organization_id, member.account_id, member.role, member.user_id)


def subscribed(member: Membership, account: Account | None, **fields: Any) -> ReportSubscription:
    enter(of(member))
    told: dict[str, Any] = {"kind": "burndown", "format": "csv", "day": 3, "now": NOW} | fields
    return subscribe(of(member), account, **told)


def reports(owner: Account | Organization) -> list[Report]:
    enter(staff_of(owner))
    return list(Report.objects.order_by("pk"))


def send(organization: Organization, now: datetime) -> list[str]:
    """Tick and work; return the subjects of the mails."""
    mail.outbox.clear()
    for report_id in make_due(organization.pk, now):
        work(organization.pk, report_id, lambda: now, render)
    return [str(sent.subject) for sent in mail.outbox]


class TestDue:
    def test_it_is_made_once_on_its_day_and_again_a_month_later(
        self, organization: Organization, account: Account
    ) -> None:
        subscribed(make_member(account), account)
        assert make_due(organization.pk, JULY_3 - timedelta(seconds=1)) == []
        assert len(make_due(organization.pk, JULY_3)) == 1
        assert make_due(organization.pk, JULY_3) == []
        assert make_due(organization.pk, JULY_3 + timedelta(days=30)) == []
        assert len(make_due(organization.pk, JULY_3 + timedelta(days=31))) == 1
        as_ofs = [report.as_of for report in reports(account)]
        assert as_ofs == [datetime(2026, 7, 1, 1, tzinfo=UTC), datetime(2026, 8, 1, 1, tzinfo=UTC)]

    def test_after_an_outage_of_months_only_the_last_month_comes(
        self, organization: Organization, account: Account
    ) -> None:
        one = subscribed(make_member(account), account)
        assert len(make_due(organization.pk, JULY_3 + timedelta(days=100))) == 1
        (report,) = reports(account)
        assert report.as_of == datetime(2026, 10, 1, 1, tzinfo=UTC)
        one.refresh_from_db()
        assert one.next_at == datetime(2026, 11, 3, 5, tzinfo=UTC)

    def test_many_that_are_due_at_once_come_in_portions(self, organization: Organization) -> None:
        for number in range(5):
            subscribed(make_member(organization), make_account(organization, f"Customer {number}"))
        assert [len(make_due(organization.pk, JULY_3 + timedelta(hours=2), most=2)) for _ in range(4)] == [2, 2, 1, 0]

    def test_a_time_zone_that_moves_does_not_send_a_month_twice(
        self, organization: Organization, account: Account
    ) -> None:
        subscribed(make_member(account), account)
        assert len(make_due(organization.pk, JULY_3)) == 1
        enter(staff_of(account))
        Account.objects.filter(pk=account.pk).update(timezone="Pacific/Honolulu")
        august = datetime(2026, 8, 3, 4, tzinfo=UTC)  # 6:00 in Vienna, still the evening of the 2nd in Honolulu
        assert make_due(organization.pk, august) == []
        assert len(make_due(organization.pk, august + timedelta(hours=12))) == 1

    def test_a_paused_one_rests_and_goes_on_without_what_it_missed(
        self, organization: Organization, account: Account
    ) -> None:
        member = make_member(account)
        one = subscribed(member, account)
        client = signed_in(member)
        assert client.post(f"/accounts/{account.pk}/reports/monthly/{one.pk}/pause/").status_code == 302
        assert make_due(organization.pk, JULY_3) == []
        client.post(f"/accounts/{account.pk}/reports/monthly/{one.pk}/resume/")
        enter(staff_of(account))
        one.refresh_from_db()
        assert one.paused_at is None
        assert one.next_at > datetime.now(UTC)

    @pytest.mark.parametrize("kind", ["burndown", "roll_forward", "exposure", "accuracy"])
    def test_every_kind_of_all_accounts_arrives_as_a_link(
        self, organization: Organization, account: Account, kind: str
    ) -> None:
        member = make_member(organization, Role.FINANCE)
        subscribed(member, None, kind=kind, format="xlsx")
        (subject,) = send(organization, JULY_3)
        assert subject.endswith("of all accounts for June 2026")
        sent = mail.outbox[0]
        assert (sent.to, sent.attachments) == ([member.user.email], [])
        assert "/reports/" in str(sent.body)


class TestMail:
    def test_a_mail_server_that_is_away_gets_the_mail_later_and_once(
        self, organization: Organization, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for member in (make_member(account), make_member(organization, Role.CSM)):
            subscribed(member, account)
        with monkeypatch.context() as patch:
            patch.setattr(EmailMultiAlternatives, "send", _away)
            for report_id in make_due(organization.pk, JULY_3):
                work(organization.pk, report_id, lambda: JULY_3, render)
        assert [report.state for report in reports(account)] == ["ready", "ready"]
        assert mail_finished(organization.pk, JULY_3) == 2
        assert mail_finished(organization.pk, JULY_3) == 0
        assert len(mail.outbox) == 2


def _away(_: object) -> None:
    raise ConnectionRefusedError


class TestSeat:
    def test_who_lost_the_seat_gets_nothing_more(self, organization: Organization, account: Account) -> None:
        member = make_member(account)
        one = subscribed(member, account)
        enter(staff_of(account))
        Membership.objects.filter(pk=member.pk).delete()
        assert send(organization, JULY_3) == []
        assert reports(account) == []
        one.refresh_from_db()
        assert one.ended_at == JULY_3

    def test_a_seat_lost_while_the_report_is_made_gets_no_mail(
        self, organization: Organization, account: Account
    ) -> None:
        member = make_member(account)
        subscribed(member, account)
        (report_id,) = make_due(organization.pk, JULY_3)
        enter(staff_of(account))
        Membership.objects.filter(pk=member.pk).delete()
        mail.outbox.clear()
        work(organization.pk, report_id, lambda: JULY_3, render)
        assert mail.outbox == []

    def test_a_seat_at_another_account_is_none_here(self, organization: Organization, account: Account) -> None:
        member = make_member(account)
        subscribed(member, account)
        make_member(make_account(organization, "Other"), user=member.user)
        enter(staff_of(account))
        Membership.objects.filter(pk=member.pk).delete()
        assert make_due(organization.pk, JULY_3) == []

    def test_a_role_without_reports_ends_it(self, organization: Organization, account: Account) -> None:
        member = make_member(organization, Role.FINANCE)
        subscribed(member, account)
        Membership.objects.filter(pk=member.pk).update(role=Role.ANALYST)
        assert make_due(organization.pk, JULY_3) == []


class TestUnsubscribing:
    def test_the_link_in_the_mail_ends_it_without_signing_in(
        self, organization: Organization, account: Account
    ) -> None:
        one = subscribed(make_member(account), account)
        send(organization, JULY_3)
        headers = mail.outbox[0].extra_headers
        assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        url = urlparse(headers["List-Unsubscribe"].strip("<>")).path
        assert url in str(mail.outbox[0].body)
        leave()
        client = Client(enforce_csrf_checks=True)
        page = client.get(url)
        assert "Stop this monthly report?" in page.content.decode()
        enter(staff_of(account))
        one.refresh_from_db()
        assert one.ended_at is None  # a program that only looks at links ends nothing
        leave()
        answer = client.post(url, {"List-Unsubscribe": "One-Click"})
        assert "You no longer get this report" in answer.content.decode()
        assert client.post(url).status_code == 200
        assert send(organization, JULY_3 + timedelta(days=31)) == []
        enter(staff_of(account))
        one.refresh_from_db()
        assert one.ended_at is not None

    def test_a_link_that_is_not_ours_is_not_found(self, account: Account) -> None:
        one = subscribed(make_member(account), account)
        token = token_of(one)
        leave()
        for bad in (token[:-2], f"{token}x", "a:b:c", re.sub("^.", "_", token)):
            assert Client().get(f"/reports/unsubscribe/{bad}/").status_code == 404

    def test_somebody_elses_link_opens_nothing_for_who_is_signed_in(self, account: Account) -> None:
        token = token_of(subscribed(make_member(account), account))
        stranger = signed_in(make_member(make_organization("Theirs")))
        leave()
        page = stranger.post(f"/reports/unsubscribe/{token}/")
        assert "You no longer get this report" in page.content.decode()
        assert stranger.get("/reports/").status_code == 200
        assert stranger.get(f"/accounts/{account.pk}/reports/").status_code == 404


class TestPages:
    def test_one_subscribes_on_the_page_and_only_once(self, account: Account) -> None:
        client = signed_in(make_member(account, Role.PORTAL_FINANCE))
        wish = {"kind": "roll_forward", "format": "pdf", "day_of_month": "5"}
        url = f"/accounts/{account.pk}/reports/monthly/"
        assert client.post(url, wish).status_code == 302
        page = client.get(f"/accounts/{account.pk}/reports/").content.decode()
        assert "Day 5" in page
        again = client.post(url, wish)
        assert again.status_code == 422
        assert "every month already" in again.content.decode()
        assert client.post(url, wish | {"day_of_month": "32"}).status_code == 422

    def test_one_sees_ones_own_and_an_admin_all(self, organization: Organization, account: Account) -> None:
        csm, admin = make_member(organization, Role.CSM), make_member(organization, Role.ADMIN)
        owner, finance = make_member(account), make_member(account, Role.PORTAL_FINANCE)
        for member in (csm, owner, finance):
            subscribed(member, account)

        def seen(member: Membership) -> set[str]:
            page = signed_in(member).get(f"/accounts/{account.pk}/reports/").content.decode()
            return {other.user.email for other in (csm, owner, finance) if other.user.email in page}

        assert seen(admin) == {csm.user.email, owner.user.email, finance.user.email}
        assert seen(owner) == {finance.user.email, owner.user.email}
        assert csm.user.email not in seen(finance)
        assert owner.user.email not in seen(finance)

    def test_what_one_does_not_see_one_cannot_end(self, organization: Organization, account: Account) -> None:
        one = subscribed(make_member(organization, Role.CSM), account)
        for member in (make_member(account), make_member(organization, Role.FINANCE)):
            client = signed_in(member)
            assert client.post(f"/accounts/{account.pk}/reports/monthly/{one.pk}/end/").status_code == 404
        admin = signed_in(make_member(organization))
        assert admin.post(f"/reports/monthly/{one.pk}/frobnicate/").status_code == 404
        assert admin.post(f"/reports/monthly/{one.pk}/end/").status_code == 302
        enter(staff_of(account))
        one.refresh_from_db()
        assert one.ended_at is not None

    def test_a_customer_cannot_subscribe_to_what_is_of_all(self, account: Account) -> None:
        member = make_member(account)
        for where, kind in ((None, "burndown"), (account, "accuracy")):
            with pytest.raises(ReportError):
                subscribed(member, where, kind=kind)


@pytest.mark.django_db(transaction=True)
def test_two_ticks_at_once_make_one_report_each() -> None:
    organization = make_organization(timezone="Europe/Vienna")
    account = _committed(lambda: make_account(organization, timezone="Europe/Vienna"))
    for _ in range(4):
        member = _committed(lambda: make_member(account))
        _committed(lambda member=member: subscribed(member, account))  # type: ignore[misc]
    made = in_threads(3, lambda: make_due(organization.pk, JULY_3))
    made += [make_due(organization.pk, JULY_3)]
    assert sum(len(one) for one in made) == 4
    assert _committed(lambda: len(reports(account))) == 4


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("eager_celery")
def test_the_beats_task_makes_what_is_due_and_mails_it() -> None:
    account = _committed(lambda: make_account(make_organization(timezone="Europe/Vienna"), timezone="Europe/Vienna"))
    member = _committed(lambda: make_member(account))
    due = last_due(datetime.now(UTC), 3, ZoneInfo("Europe/Vienna"))
    _committed(lambda: subscribed(member, account, now=due - timedelta(days=1)))
    for _ in range(2):
        send_monthly_reports()
    (report,) = _committed(lambda: reports(account))
    assert (report.state, report.as_of < due) == ("ready", True)
    assert len(mail.outbox) == 1
    assert schedule.BEAT["monthly reports"]["task"] == send_monthly_reports.name


def _committed(make: Callable[[], Any]) -> Any:
    with transaction.atomic():
        return make()
