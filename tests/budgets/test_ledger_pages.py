"""The ledger and the statements as finance and the customer read them."""

from datetime import date, datetime, timezone

import pytest

from accounts.models import Account, Organization, Role
from budgets.actions.commits import cancel_commit
from budgets.models import Commit
from budgets.reports.statements import periods_of, statement
from consumption_cs.lib.tenancy import enter
from tests.budgets.ledger_factories import draw, make_commit, rate
from tests.factories import make_account, make_member, make_meter, make_organization, signed_in, staff_of
from usage.models import Meter

Story = tuple[Organization, Account, Meter, Commit]
pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 15, 12, tzinfo=timezone.utc)


@pytest.fixture
def story() -> Story:
    """An account that drew 30 of a commit of 100 in June, 5 of it on the last day."""
    organization = make_organization()
    account = make_account(organization, contract_starts_on=date(2026, 1, 1))
    meter = make_meter(organization)
    commit = make_commit(account, "100")
    for day, amount in ((date(2026, 6, 2), "25"), (date(2026, 6, 14), "5")):
        rate(account, meter, day, amount)
    draw(account, date(2026, 6, 1), NOW)
    enter(staff_of(account))
    return organization, account, meter, commit


class TestLedger:
    def test_it_shows_every_booking_with_the_balance_after_it(self, story: Story) -> None:
        organization, account, meter, commit = story
        finance = signed_in(make_member(organization, Role.FINANCE))
        page = finance.get(f"/accounts/{account.pk}/ledger/").content.decode()
        assert "$70.00" in page
        assert "−$25.00" in page
        assert "$75.00" in page
        assert commit.name in page
        assert f"/accounts/{account.pk}/rated/?day=2026-06-02&amp;meter={meter.pk}" in page

    def test_filters_narrow_and_the_totals_follow(self, story: Story) -> None:
        organization, account, _, _ = story
        finance = signed_in(make_member(organization, Role.FINANCE))
        page = finance.get(f"/accounts/{account.pk}/ledger/?from=2026-06-10&to=2026-06-14").content.decode()
        assert "−$5.00" in page
        assert "−$25.00" not in page
        assert "1 entry" in page
        nothing = finance.get(f"/accounts/{account.pk}/ledger/?kind=expired").content.decode()
        assert "No entry fits" in nothing

    def test_a_filter_that_cannot_be_read_narrows_nothing(self, story: Story) -> None:
        organization, account, _, _ = story
        finance = signed_in(make_member(organization, Role.FINANCE))
        answer = finance.get(f"/accounts/{account.pk}/ledger/?from=soon&commit=x&meter=y&kind=z&to=9999-99-99")
        assert "−$25.00" in answer.content.decode()
        assert finance.get(f"/accounts/{account.pk}/ledger/?after=nonsense").status_code == 404

    def test_the_customer_reads_the_same_and_downloads_it(self, story: Story) -> None:
        _, account, _, _ = story
        customer = signed_in(make_member(account))
        assert "−$25.00" in customer.get(f"/accounts/{account.pk}/ledger/").content.decode()
        lines = customer.get(f"/accounts/{account.pk}/ledger/ledger.csv").content.decode().splitlines()
        assert lines[0].startswith("\ufeffday,kind,commit") or lines[0].startswith("day,kind,commit")
        assert len(lines) == 4

    def test_an_account_without_any_booking_says_so(self) -> None:
        account = make_account()
        customer = signed_in(make_member(account))
        assert "Nothing is booked yet" in customer.get(f"/accounts/{account.pk}/ledger/").content.decode()


class TestStatements:
    def test_opening_and_moves_add_up_to_closing(self, story: Story) -> None:
        organization, account, _, _ = story
        finance = signed_in(make_member(organization, Role.FINANCE))
        page = finance.get(f"/accounts/{account.pk}/statements/2026-06-01/").content.decode()
        assert "$30.00</b> drawn, nothing due" in page
        assert "$70.00 closing" in page
        listed = finance.get(f"/accounts/{account.pk}/statements/").content.decode()
        assert "June 2026" in listed

    def test_the_table_has_a_total_line(self, story: Story) -> None:
        _, account, _, _ = story
        customer = signed_in(make_member(account))
        text = customer.get(f"/accounts/{account.pk}/statements/2026-06-01/statement.csv").content.decode()
        total = next(line for line in text.splitlines() if ",total,Due," in line)
        assert ",30.00" in total or ",30," in total or ",30.000000" in total

    def test_each_row_of_the_list_adds_up(self, story: Story) -> None:
        organization, account, _, _ = story
        enter(staff_of(account))
        extra = make_commit(account, "60", name="Pilot", effective_on=date(2026, 6, 3))
        cancel_commit(staff_of(account), extra, date(2026, 6, 10), "Became part of the order form", NOW)
        draw(account, date(2026, 6, 1), NOW)
        enter(staff_of(account))
        for period in periods_of(staff_of(account), account, NOW):
            total = statement(staff_of(account), account, period).total
            moves = total.granted + total.drawn + total.expired + total.otherwise
            assert total.opening + moves == total.closing
        finance = signed_in(make_member(organization, Role.FINANCE))
        assert "−$60.00" in finance.get(f"/accounts/{account.pk}/statements/").content.decode()

    def test_a_period_that_is_none_is_not_found(self, story: Story) -> None:
        _, account, _, _ = story
        customer = signed_in(make_member(account))
        for wrong in ("2026-06-02", "yesterday"):
            assert customer.get(f"/accounts/{account.pk}/statements/{wrong}/").status_code == 404
