"""Retention: the example of the metric list on real rows, a walk that adds up to the cent, evidence by two people."""

import csv
import io
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Account, AuditEvent, Membership, Organization, Role
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions.renewals import add_evidence, approve_evidence, withdraw_evidence
from reviews.models import LossEvidence
from reviews.reports.retention import RetentionSeen, retention_seen
from tests.factories import make_account, make_member, make_organization, signed_in, staff_of
from usage.models import AccountDay

D = Decimal
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
THIS_MONTH = date(2026, 11, 1)


def spend(account: Account, day: date, amount: Decimal | str | int) -> None:
    AccountDay.objects.create(
        organization_id=account.organization_id, account=account, day=day, currency=account.currency, spend=D(amount),
        events=1, last_event_at=datetime(day.year, day.month, day.day, 12, tzinfo=UTC),
    )  # fmt: skip


def two_years(organization: Organization, base: list[int], current: list[int], **fields: Any) -> list[Account]:
    """Accounts that used `base` in the first of 24 months, and `current` in the last."""
    made = []
    for number, (before, now) in enumerate(zip(base, current, strict=True)):
        account = make_account(organization, f"Customer {number}", **fields)
        enter(staff_of(organization))
        spend(account, add_months(THIS_MONTH, -24), before)
        if now:
            spend(account, add_months(THIS_MONTH, -1) + timedelta(days=20), now)
        made.append(account)
    return made


def seen_by(organization: Organization, currency: str = "") -> RetentionSeen:
    enter(staff_of(organization))
    return retention_seen(staff_of(organization), NOW, currency)


def people(organization: Organization) -> tuple[Membership, Membership]:
    return make_member(organization, Role.LEADER), make_member(organization, Role.FINANCE)


def as_viewer(member: Membership) -> Viewer:
    return Viewer(member.organization_id, None, member.role, user_id=member.user_id)


@pytest.mark.django_db
def test_the_example_of_the_metric_list() -> None:
    organization = make_organization()
    two_years(organization, [100, 50, 30, 20], [130, 40, 30, 0])
    found = seen_by(organization).look_back
    assert found is not None
    assert (found.net_percent, found.gross_percent) == (100, 85)
    assert found.loss["churn"] == 20
    assert found.loss["unexplained"] == 10


@pytest.mark.django_db
def test_a_fall_that_we_helped_is_no_real_loss_once_somebody_else_approved_it() -> None:
    organization = make_organization()
    accounts = two_years(organization, [100, 50, 30, 20], [130, 40, 30, 0])
    author, other = people(organization)
    enter(staff_of(organization))
    made = add_evidence(as_viewer(author), accounts[1], "assisted", add_months(THIS_MONTH, -12), None, None, "Tuned")
    before = seen_by(organization).look_back
    assert before is not None
    assert before.gross_without_explained == 85
    approve_evidence(as_viewer(other), made.pk, NOW)
    after = seen_by(organization)
    assert after.look_back is not None
    assert (after.look_back.gross_percent, after.look_back.gross_without_explained) == (85, 90)
    assert after.look_back.loss["assisted"] == 10
    assert after.look_back.loss["unexplained"] == 0
    assert after.real_loss == 10


@pytest.mark.django_db
def test_what_was_lost_is_told_to_the_cent_whatever_the_reasons() -> None:
    organization = make_organization()
    accounts = two_years(organization, [100, 50, 30, 20], [93, 17, 30, 0])
    author, other = people(organization)
    for account, kind, amount in [(accounts[0], "price", D("0.35")), (accounts[1], "assisted", D(1)),
                                  (accounts[2], "price", D(5)), (accounts[3], "churn", None)]:  # fmt: skip
        enter(staff_of(organization))
        made = add_evidence(as_viewer(author), account, kind, add_months(THIS_MONTH, -12), None, amount, "Seen")
        approve_evidence(as_viewer(other), made.pk, NOW)
    found = seen_by(organization).shown
    assert sum(found.loss.values()) == 60
    assert found.loss["churn"] == 20
    assert found.loss["price"] > 0
    assert found.loss["assisted"] > 0


@pytest.mark.django_db
def test_who_has_not_used_anything_for_sixty_days_has_left() -> None:
    organization = make_organization()
    _, silent = two_years(organization, [100, 100], [100, 0])
    enter(staff_of(organization))
    spend(silent, add_months(THIS_MONTH, -11), 90)
    found = seen_by(organization).look_back
    assert found is not None
    assert found.loss["churn"] == 100
    assert found.gross_percent == 50


@pytest.mark.django_db
def test_who_gave_notice_counts_as_zero_at_once() -> None:
    organization = make_organization()
    accounts = two_years(organization, [100, 100], [100, 100])
    author, other = people(organization)
    enter(staff_of(organization))
    made = add_evidence(as_viewer(author), accounts[0], "churn", THIS_MONTH - timedelta(days=3), None, None, "Letter")
    approve_evidence(as_viewer(other), made.pk, NOW)
    found = seen_by(organization)
    assert found.look_back is not None
    assert found.look_back.net_percent == 50


@pytest.mark.django_db
def test_only_who_used_it_in_the_first_month_is_looked_back_on() -> None:
    organization = make_organization()
    two_years(organization, [100], [120])
    newer = make_account(organization, "Newer")
    enter(staff_of(organization))
    spend(newer, add_months(THIS_MONTH, -20), 500)
    found = seen_by(organization).look_back
    assert found is not None
    assert (found.accounts, found.net_percent) == (1, 120)


@pytest.mark.django_db
def test_without_two_years_it_says_how_many_months_are_missing() -> None:
    organization = make_organization()
    account = make_account(organization)
    enter(staff_of(organization))
    for back in range(1, 8):
        spend(account, add_months(THIS_MONTH, -back), 100)
    found = seen_by(organization)
    assert found.look_back is None
    assert found.why_not == "needs 24 closed months, has 7"
    assert found.quarter.net_percent == 100


@pytest.mark.django_db
def test_nothing_is_compared_where_there_is_nothing(client: Any) -> None:
    organization = make_organization()
    leader = make_member(organization, Role.LEADER)
    page = signed_in(leader).get("/retention/")
    assert page.status_code == 200
    assert "There are not enough closed months" in page.content.decode()


@pytest.mark.django_db
def test_currencies_are_told_one_at_a_time() -> None:
    organization = make_organization()
    two_years(organization, [100, 100], [100, 100])
    two_years(organization, [80], [40], currency="EUR")
    dollars, euros = seen_by(organization), seen_by(organization, "EUR")
    assert dollars.currencies == ["USD", "EUR"]
    assert dollars.look_back is not None
    assert dollars.look_back.base == 200
    assert euros.look_back is not None
    assert (euros.look_back.base, euros.look_back.net_percent) == (80, 50)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    months=st.lists(
        st.dictionaries(st.sampled_from([0, 1, 2]), st.decimals(0, 10**6, places=2), min_size=1),
        min_size=2,
        max_size=5,
    )
)
@pytest.mark.django_db
def test_the_walk_chains_and_adds_up_to_the_cent(months: list[dict[int, Decimal]]) -> None:
    organization = make_organization()
    accounts = [make_account(organization, f"Customer {number}") for number in range(3)]
    enter(staff_of(organization))
    totals: dict[date, Decimal] = defaultdict(lambda: D(0))
    for back, spent in enumerate(reversed(months), start=1):
        for number, amount in spent.items():
            day = add_months(THIS_MONTH, -back)
            spend(accounts[number], day, amount)
            totals[day] += amount
    walks = seen_by(organization).walks
    for (month, one), (after, other) in pairwise(walks):
        assert one.closing == other.opening
        assert month < after
    for month, walk in walks:
        assert walk.opening + walk.new + walk.expansion - walk.contraction - walk.churn == walk.closing
        assert walk.closing == totals[month]
        assert sum(step.change for step in walk.steps) == walk.closing - walk.opening


@pytest.mark.django_db
def test_the_file_has_the_walk_by_account() -> None:
    organization = make_organization()
    account = make_account(organization, "Helios")
    enter(staff_of(organization))
    today = timezone.now().date().replace(day=1)
    for back, amount in ((3, "100.10"), (2, "90.05"), (1, "120.25")):
        spend(account, add_months(today, -back), amount)
    text = signed_in(make_member(organization, Role.LEADER)).get("/retention/walk.csv").content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["account"], row["kind"], D(row["change"])) for row in rows] == [
        ("Helios", "contraction", D("-10.05")), ("Helios", "expansion", D("30.20")),
    ]  # fmt: skip


# ---- evidence


@pytest.mark.django_db
def test_nobody_approves_their_own_evidence() -> None:
    organization = make_organization()
    account = make_account(organization)
    author, other = people(organization)
    enter(staff_of(organization))
    made = add_evidence(as_viewer(author), account, "price", THIS_MONTH, None, D(10), "Order form 7")
    with pytest.raises(ValidationError, match="Somebody else"):
        approve_evidence(as_viewer(author), made.pk, NOW)
    assert LossEvidence.objects.get(pk=made.pk).approved_at is None
    approve_evidence(as_viewer(other), made.pk, NOW)
    kept = LossEvidence.objects.get(pk=made.pk)
    assert (kept.approved_by_id, kept.approved_at) == (other.user_id, NOW)
    with pytest.raises(ValidationError, match="It is approved"):
        withdraw_evidence(as_viewer(author), made.pk)
    assert AuditEvent.objects.filter(action="evidence.approved").count() == 1


@pytest.mark.django_db
def test_evidence_is_written_down_and_approved_on_its_page() -> None:
    organization = make_organization()
    account = make_account(organization, "Helios")
    author, other = people(organization)
    said = {
        "account": account.pk,
        "kind": "assisted",
        "starts_on": "2026-08-01",
        "amount_a_month": "12",
        "note": "New cache",
    }
    assert signed_in(author).post("/retention/evidence/", said).status_code == 302
    enter(staff_of(organization))
    made = LossEvidence.objects.get()
    assert made.entered_by_id == author.user_id
    own = signed_in(author)
    assert 'value="approve"' not in own.get("/retention/evidence/").content.decode()
    own.post(f"/retention/evidence/{made.pk}/", {"do": "approve"})
    enter(staff_of(organization))
    assert LossEvidence.objects.get().approved_at is None
    theirs = signed_in(other)
    assert 'value="approve"' in theirs.get("/retention/evidence/").content.decode()
    theirs.post(f"/retention/evidence/{made.pk}/", {"do": "approve"})
    enter(staff_of(organization))
    assert LossEvidence.objects.get().approved_by_id == other.user_id


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong", [{"ends_on": "2026-07-01"}, {"amount_a_month": "-1"}, {"note": " "}, {"kind": "luck"}]
)
def test_what_is_wrong_with_evidence_is_said(wrong: dict[str, str]) -> None:
    organization = make_organization()
    account = make_account(organization)
    said = {"account": account.pk, "kind": "price", "starts_on": "2026-08-01", "note": "Order form"} | wrong
    page = signed_in(make_member(organization, Role.LEADER)).post("/retention/evidence/", said)
    assert page.status_code == 422
    assert 'role="alert"' in page.content.decode()


@pytest.mark.django_db
def test_who_does_not_lead_sees_no_retention() -> None:
    organization = make_organization()
    assert signed_in(make_member(organization, Role.CSM)).get("/retention/").status_code == 403


@pytest.mark.django_db
def test_the_number_of_queries_does_not_depend_on_the_number_of_accounts() -> None:
    organization = make_organization()
    viewer = staff_of(organization)

    def asked() -> int:
        enter(viewer)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            retention_seen(viewer, NOW)
        return len(queries)

    two_years(organization, [100, 50], [90, 50])
    few = asked()
    two_years(organization, [100] * 12, [90] * 12)
    assert asked() == few


@pytest.mark.django_db
def test_the_walk_by_account_is_between_the_months_that_are_asked_for() -> None:
    organization = make_organization()
    account = make_account(organization, "Helios")
    enter(staff_of(organization))
    today = timezone.now().date().replace(day=1)
    for back, amount in ((4, "100.10"), (3, "60.05"), (2, "90.05"), (1, "120.25")):
        spend(account, add_months(today, -back), amount)
    client = signed_in(make_member(organization, Role.LEADER))
    first, last = add_months(today, -3), add_months(today, -2)
    page = client.get(f"/retention/walk/?from={first:%Y-%m}&to={last:%Y-%m}").content.decode()
    assert "$60.05 became $90.05" in page
    assert "$30.00" in page
    turned = client.get(f"/retention/walk/?from={last:%Y-%m}&to={first:%Y-%m}").content.decode()
    assert "$100.10 became $60.05" in turned
    assert client.get("/retention/walk/?from=soon&to=2026-13").status_code == 200
    assert client.get("/retention/").status_code == 200
