"""Commits and contracts as finance changes them and the customer reads them."""

import re
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import Account, AuditEvent, Organization, Role
from budgets.models import Commit, CommitBalance, CommitChange, Contract
from consumption_cs.lib.tenancy import enter
from tests.budgets.ledger_factories import draw, make_commit, make_contract, rate
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_user,
    signed_in,
    staff_of,
)
from usage.models import TouchedDay

pytestmark = pytest.mark.django_db
TODAY = datetime.now(timezone.utc).date()


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def account(organization: Organization) -> Account:
    return make_account(organization)


@pytest.fixture
def finance(organization: Organization) -> Client:
    return signed_in(make_member(organization, Role.FINANCE))


def new_commit(account: Account, **changes: str) -> dict[str, str]:
    enter(staff_of(account))
    contract = Contract.objects.filter(account=account).first() or make_contract(account)
    form = {
        "contract": str(contract.pk),
        "name": "Prepaid 2026",
        "kind": "prepaid",
        "unit": "USD",
        "amount": "1000",
        "effective_on": TODAY.isoformat(),
        "priority": "1",
    }
    return form | changes


def save(client: Client, url: str, data: dict[str, str]) -> Any:
    """Look at what the change does, then save it, as the page's two steps do; return what came last."""
    answer = client.post(url, data)
    found = re.search(r'name="seen" value="(\w+)"', answer.content.decode())
    return client.post(url, data | {"seen": found[1]}, follow=True) if found else answer


def test_an_account_without_any_commit_says_so_to_both_sides(account: Account, finance: Client) -> None:
    for client in (finance, signed_in(make_member(account))):
        page = client.get(f"/accounts/{account.pk}/commits/").content.decode()
        assert "all use is paid as you go" in page


def test_the_first_commit_asks_for_its_contract_first(account: Account, finance: Client) -> None:
    answer = finance.get(f"/accounts/{account.pk}/commits/new/", follow=True)
    assert "make the contract first" in answer.content.decode()
    terms = {"name": "Order form", "starts_on": "2026-01-01", "draw_policy": "priority", "overage_factor": "1.25"}
    made = save(finance, f"/accounts/{account.pk}/contracts/new/", terms)
    assert "Order form is made" in made.content.decode()
    done = save(finance, f"/accounts/{account.pk}/commits/new/", new_commit(account)).content.decode()
    assert "Prepaid 2026 is made" in done
    enter(staff_of(account))
    assert Commit.objects.get().value == Decimal(1000)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"unit": "EUR"}, "give the rate"),
        ({"amount": "-1"}, "greater than or equal to 0"),
        ({"amount": "ten"}, "Enter a number"),
        ({"amount": "0.001"}, "decimals"),
        ({"expires_on": "2020-01-01"}, "expire"),
        ({"rollover_most": "5", "rollover_least": "9"}, "cannot be above the most"),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_nothing_is_stored(
    account: Account, finance: Client, changes: dict[str, str], says: str
) -> None:
    answer = finance.post(f"/accounts/{account.pk}/commits/new/", new_commit(account, **changes))
    assert answer.status_code == 422
    assert says in answer.content.decode()
    enter(staff_of(account))
    assert not Commit.objects.exists()


def test_credits_are_worth_their_rate(account: Account, finance: Client) -> None:
    form = new_commit(account, unit="credits", amount="5000", rate="0.02")
    page = save(finance, f"/accounts/{account.pk}/commits/new/", form).content.decode()
    assert "5,000 credits at 0.02, worth $100.00" in page


class TestChanges:
    @pytest.fixture
    def commit(self, account: Account) -> Commit:
        make_contract(account)
        return make_commit(account, "100", effective_on=TODAY, expires_on=TODAY + timedelta(days=300))

    def change(self, finance: Client, commit: Commit, what: str, **data: str) -> str:
        url = f"/accounts/{commit.account_id}/commits/{commit.pk}/{what}/"
        assert finance.get(url).status_code == 200
        return save(finance, url, data).content.decode()

    def test_an_amendment_is_kept_with_its_reason(self, finance: Client, commit: Commit) -> None:
        page = self.change(
            finance, commit, "amend", value_change="50", effective_on=TODAY.isoformat(), reason="Upsell in Q3"
        )
        assert "The amount of Prepaid is changed" in page
        assert "Upsell in Q3" in page
        assert "+$50.00" in page

    def test_an_expiry_moves_and_a_commit_can_be_cancelled(self, finance: Client, commit: Commit) -> None:
        later = TODAY + timedelta(days=400)
        assert "is moved" in self.change(
            finance, commit, "extend", expires_on=later.isoformat(), reason="Goodwill of ours"
        )
        day = (TODAY + timedelta(days=30)).isoformat()
        assert "is cancelled" in self.change(finance, commit, "cancel", on=day, reason="Contract ended early")
        enter(staff_of(commit.account))
        assert CommitChange.objects.count() == 2

    def test_the_order_changes_with_the_meters(self, finance: Client, commit: Commit) -> None:
        meter = make_meter(commit.organization)
        page = self.change(finance, commit, "reorder", priority="5", only_meters=str(meter.pk), reason="Agreed")
        assert f"Pays only for {meter.name}" in page
        assert "priority 5" in page

    def test_a_change_without_a_reason_is_refused(self, finance: Client, commit: Commit) -> None:
        url = f"/accounts/{commit.account_id}/commits/{commit.pk}/cancel/"
        assert finance.post(url, {"on": TODAY.isoformat(), "reason": ""}).status_code == 422

    def test_what_has_not_expired_cannot_be_rolled_over(self, finance: Client, commit: Commit) -> None:
        url = f"/accounts/{commit.account_id}/commits/{commit.pk}/roll-over/"
        answer = finance.post(url, {"name": "Rest", "effective_on": TODAY.isoformat(), "reason": "Agreed"})
        assert "nothing to roll over" in answer.content.decode()

    def test_a_way_to_change_that_is_none_is_not_found(self, finance: Client, commit: Commit) -> None:
        assert finance.get(f"/accounts/{commit.account_id}/commits/{commit.pk}/burn/").status_code == 404

    def test_customers_see_reasons_but_no_names_of_staff_and_change_nothing(
        self, finance: Client, commit: Commit
    ) -> None:
        self.change(finance, commit, "amend", value_change="50", effective_on=TODAY.isoformat(), reason="Upsell in Q3")
        customer = signed_in(make_member(commit.account))
        page = customer.get(f"/accounts/{commit.account_id}/commits/").content.decode()
        assert "Upsell in Q3" in page
        assert "New commit" not in page
        assert customer.get(f"/accounts/{commit.account_id}/commits/new/").status_code == 403


def test_the_internal_note_of_a_contract_never_reaches_the_customer(account: Account, finance: Client) -> None:
    make_contract(account, note="ZZB-internal")
    customer = signed_in(make_member(account))
    assert "ZZB-internal" not in customer.get(f"/accounts/{account.pk}/commits/").content.decode()


def test_two_contracts_cannot_cover_the_same_day(account: Account, finance: Client) -> None:
    make_contract(account)
    form = {"name": "Second", "starts_on": date(2026, 3, 1).isoformat(), "draw_policy": "priority"}
    answer = finance.post(f"/accounts/{account.pk}/contracts/new/", form | {"overage_factor": "1"})
    assert answer.status_code == 422
    assert "Another contract covers a part of this term" in answer.content.decode()


def test_round_amounts_have_no_exponent_in_the_download_or_on_the_page(account: Account, finance: Client) -> None:
    make_commit(account, "120000", contract=make_contract(account, overage_factor=Decimal(10)), effective_on=TODAY)
    assert ",USD,120000,1,USD," in finance.get(f"/accounts/{account.pk}/commits/commits.csv").content.decode()
    page = finance.get(f"/accounts/{account.pk}/commits/").content.decode()
    assert "costs 10 times the contract rate" in page
    assert "E+" not in page


def test_a_customer_reads_the_reason_of_a_change_and_not_who_of_the_vendor_made_it(account: Account) -> None:
    maker = make_member(account.organization, Role.FINANCE, make_user(name="Dana Vendorperson"))
    day = TODAY - timedelta(days=2)
    commit = make_commit(account, "100", effective_on=day)
    draw(account, day, datetime.now(timezone.utc))
    url = f"/accounts/{account.pk}/commits/{commit.pk}/amend/"
    save(signed_in(maker), url, {"value_change": "50", "effective_on": day.isoformat(), "reason": "A gift"})
    draw(account, day, datetime.now(timezone.utc))
    seen = {}
    for name, member in (("staff", maker), ("customer", make_member(account))):
        client = signed_in(member)
        paths = ("commits/", "ledger/?reversed=1", "ledger/ledger.csv")
        seen[name] = [client.get(f"/accounts/{account.pk}/{path}").content.decode() for path in paths]
    assert all("Dana Vendorperson" in page for page in seen["staff"])
    assert all("A gift" in page and "Vendorperson" not in page for page in seen["customer"])


class TestWhatAChangeDoes:
    """The step before saving, at an account that used 300 more than its commit of 100 holds."""

    @pytest.fixture
    def account(self, organization: Organization) -> Account:
        return make_account(organization, billing_day=min((TODAY - timedelta(days=5)).day, 28))

    @pytest.fixture
    def commit(self, account: Account) -> Commit:
        first = TODAY - timedelta(days=5)
        make_contract(account, overage_factor=Decimal("1.5"))
        commit = make_commit(account, "100", effective_on=first)
        rate(account, make_meter(account.organization), first, "400")
        draw(account, first, datetime.now(timezone.utc))
        return commit

    def url(self, commit: Commit, what: str = "amend") -> str:
        return f"/accounts/{commit.account_id}/commits/{commit.pk}/{what}/"

    def amendment(self, commit: Commit, value: str = "500") -> dict[str, str]:
        return {"value_change": value, "effective_on": commit.effective_on.isoformat(), "reason": "Upsell"}

    def test_balance_overage_and_days_are_shown_and_nothing_is_stored(self, finance: Client, commit: Commit) -> None:
        page = re.sub(r"<[^>]+>", " ", finance.post(self.url(commit), self.amendment(commit)).content.decode())
        words = " ".join(page.split())
        assert "Balance of Prepaid $0.00 $200.00" in words
        assert "Overage of the open period $300.00 $0.00" in words
        assert "Due for the open period $450.00 $0.00" in words
        enter(staff_of(commit.account))
        assert not CommitChange.objects.exists()
        assert not AuditEvent.objects.filter(action="commit.amended").exists()
        assert CommitBalance.objects.get().ongoing == 0
        assert not TouchedDay.objects.exists()

    def test_what_was_shown_is_what_settlement_does(self, finance: Client, commit: Commit) -> None:
        assert b"$200.00" in finance.post(self.url(commit), self.amendment(commit)).content
        save(finance, self.url(commit), self.amendment(commit))
        draw(commit.account, commit.effective_on, datetime.now(timezone.utc))
        assert CommitBalance.objects.get().ongoing == 200

    def test_answers_that_nobody_saw_the_effect_of_are_shown_first(self, finance: Client, commit: Commit) -> None:
        first = finance.post(self.url(commit), self.amendment(commit)).content.decode()
        seen = re.findall(r'name="seen" value="(\w+)"', first)[0]
        page = finance.post(self.url(commit), self.amendment(commit, "900") | {"seen": seen}).content.decode()
        assert "The form has changed since this was shown" in page
        assert "$600.00" in page
        enter(staff_of(commit.account))
        assert not CommitChange.objects.exists()

    def test_while_the_form_is_filled_in_only_the_effect_comes_back(self, finance: Client, commit: Commit) -> None:
        part = finance.post(self.url(commit), self.amendment(commit), headers={"HX-Request": "true"})
        assert b"<html" not in part.content
        assert b"$200.00" in part.content
        wrong = finance.post(self.url(commit), self.amendment(commit, "0"), headers={"HX-Request": "true"})
        assert wrong.status_code == 200
        assert b"other than zero" in wrong.content

    def test_credits_show_what_they_are_worth_before_the_form_is_complete(
        self, finance: Client, commit: Commit
    ) -> None:
        data = {"unit": "credits", "amount": "5000", "rate": "0.02"}
        url = f"/accounts/{commit.account_id}/commits/new/"
        part = finance.post(url, data, headers={"HX-Request": "true"}).content.decode()
        assert "5,000 credits at 0.02 are worth $100.00." in part

    def test_another_factor_changes_what_is_due(self, finance: Client, commit: Commit) -> None:
        form = {"name": "Order form", "starts_on": "2026-01-01", "draw_policy": "priority", "overage_factor": "1"}
        page = finance.post(f"/accounts/{commit.account_id}/contracts/{commit.contract_id}/", form).content.decode()
        assert "$450.00" in page
        assert "No ended day changes" in page


def test_a_commit_says_why_it_is_drawn_before_the_next_and_its_figures_lead_to_the_ledger(
    account: Account, finance: Client
) -> None:
    commit = make_commit(account, "100", effective_on=TODAY, priority=1)
    make_commit(account, "50", effective_on=TODAY, priority=2, name="Second")
    page = finance.get(f"/accounts/{account.pk}/commits/").content.decode()
    assert page.count("Drawn first: lower priority number, before Second.") == 1
    for kind in ("granted", "drawn"):
        assert f"/ledger/?commit={commit.pk}&amp;kind={kind}" in page


def test_what_a_commit_has_left_is_not_called_lost(account: Account, finance: Client) -> None:
    day = TODAY - timedelta(days=2)
    make_commit(account, "100", effective_on=day, expires_on=TODAY + timedelta(days=30))
    draw(account, day, datetime.now(timezone.utc))
    page = finance.get(f"/accounts/{account.pk}/commits/").content.decode()
    assert "At its end $100.00 would be left if nothing more is used" in page
    assert "lost" not in page
    assert "Drawn so far, over all commits" in page
