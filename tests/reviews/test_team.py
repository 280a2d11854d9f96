"""The team: capacity by tiers and plays, covers, what people are paid by, and concentration of the organization."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account, AuditEvent, Membership, Organization, Role
from consumption_cs.lib.tenancy import enter
from reviews.models import (
    AccountMetrics,
    BookTerms,
    Cover,
    Play,
    PlayRun,
    PlayVersion,
    StaffHours,
)
from reviews.reports.incentives import incentive_ledger
from reviews.reports.team import PersonLoad, Team
from reviews.reports.team import team as team_seen
from tests.factories import make_account, make_member, make_organization, signed_in, staff_of

D = Decimal
HOURS = {"high_touch": "3", "standard": "1.5", "self_serve": "0.25"}


def make_team(*hours: int | None) -> tuple[Organization, list[Membership]]:
    """An organization whose CSMs have these hours a week."""
    organization = make_organization()
    seats = [make_member(organization, Role.CSM) for _ in hours]
    enter(staff_of(organization))
    BookTerms.objects.create(organization=organization, tier_hours=HOURS, play_hours=2)
    for seat, some in zip(seats, hours, strict=True):
        if some is not None:
            StaffHours.objects.create(organization=organization, user=seat.user, hours_a_week=some)
    return organization, seats


def owned(
    seat: Membership, name: str, tier: str = "standard", numbers: dict[str, Any] | None = None, **fields: Any
) -> Account:
    account = make_account(seat.organization, name, csm=seat.user, tier=tier, **fields)
    enter(staff_of(account))
    AccountMetrics.objects.create(
        organization=seat.organization, account=account, day=timezone.now().date() - timedelta(days=1),
        numbers={key: str(value) for key, value in (numbers or {}).items()}, computed_at=timezone.now(),
    )  # fmt: skip
    return account


def start(account: Account, owner: Membership | None = None) -> PlayRun:
    key = f"play-{PlayRun.objects.count()}"
    play = Play.objects.create(organization=account.organization, key=key, name=key)
    version = PlayVersion.objects.create(organization=account.organization, play=play, number=1)
    now = timezone.now()
    return PlayRun.objects.create(
        organization=account.organization, account=account, play=play, version=version, started_at=now, due_at=now,
        owner=owner.user if owner else None, currency=account.currency,
    )  # fmt: skip


def seen(organization: Organization) -> Team:
    enter(staff_of(organization))
    return team_seen(staff_of(organization), timezone.now())


def load_of(organization: Organization, seat: Membership | None) -> PersonLoad:
    wanted = seat.user if seat else None
    return next(one for one in seen(organization).people if one.user == wanted)


@pytest.mark.django_db
def test_capacity_is_the_hours_of_tiers_and_plays_over_those_there_are() -> None:
    organization, (seat,) = make_team(10)
    first = owned(seat, "Helios", "high_touch", {"at_risk": 500})
    owned(seat, "Vertex", "standard", {"at_risk": 250})
    start(first, seat)
    load = load_of(organization, seat)
    assert (load.tier_hours, load.play_hours, load.percent) == (D("4.5"), 2, 65)
    assert load.at_risk == {"USD": 750}
    assert not load.is_over


@pytest.mark.django_db
def test_a_play_counts_with_whose_it_is() -> None:
    organization, (first, second) = make_team(10, 10)
    account = owned(first, "Helios")
    start(account, second)
    start(account)  # nobody's: the CSM's of the account
    assert (load_of(organization, first).plays, load_of(organization, second).plays) == (1, 1)


@pytest.mark.django_db
def test_accounts_of_who_is_away_count_with_who_covers() -> None:
    organization, (away, cover) = make_team(10, 10)
    start(owned(away, "Helios", "high_touch", {"at_risk": 500}), away)
    owned(cover, "Vertex")
    today = timezone.now().date()
    Cover.objects.create(
        organization=organization, absent=away.user, covered_by=cover.user, starts_on=today - timedelta(days=1),
        ends_on=today + timedelta(days=4),
    )  # fmt: skip
    gone, there = load_of(organization, away), load_of(organization, cover)
    assert (gone.accounts, gone.percent) == ([], None)
    assert gone.why_not.startswith("away until")
    assert (len(there.accounts), there.plays, there.percent) == (2, 1, 65)
    assert there.at_risk == {"USD": 500}
    assert [one.absent for one in there.covers_for] == [away.user]


@pytest.mark.django_db
def test_a_cover_that_has_not_begun_changes_nothing() -> None:
    organization, (away, cover) = make_team(10, 10)
    owned(away, "Helios")
    today = timezone.now().date()
    Cover.objects.create(
        organization=organization, absent=away.user, covered_by=cover.user, starts_on=today + timedelta(days=2),
        ends_on=today + timedelta(days=4),
    )  # fmt: skip
    assert load_of(organization, away).percent == 15
    assert len(seen(organization).covers) == 1


@pytest.mark.django_db
def test_without_hours_it_says_so_and_never_zero() -> None:
    organization, (seat,) = make_team(None)
    owned(seat, "Helios")
    load = load_of(organization, seat)
    assert (load.percent, load.why_not) == (None, "hours not entered")
    page = signed_in(make_member(organization, Role.LEADER)).get("/team/").content.decode()
    assert "hours not entered" in page
    assert "Say how many hours people have" in page


@pytest.mark.django_db
def test_accounts_that_nobody_has_are_told_last() -> None:
    organization, (seat,) = make_team(10)
    owned(seat, "Helios")
    make_account(organization, "Orphan")
    last = seen(organization).people[-1]
    assert last.user is None
    assert [one.name for one in last.accounts] == ["Orphan"]


@pytest.mark.django_db
def test_the_fullest_week_stands_first() -> None:
    organization, (light, heavy) = make_team(40, 2)
    owned(light, "Helios")
    owned(heavy, "Vertex", "high_touch")
    found = seen(organization)
    assert [one.user for one in found.people] == [heavy.user, light.user]
    assert [one.user for one in found.over] == [heavy.user]


@pytest.mark.django_db
def test_the_organization_rests_on_its_accounts_by_currency() -> None:
    organization, (seat,) = make_team(10)
    for name, spend in (("A", 600), ("B", 300), ("C", 100)):
        owned(seat, name, numbers={"spend_28": spend})
    owned(seat, "D", numbers={"spend_28": 5000}, currency="EUR")
    dollars, euros = seen(organization).spreads
    assert (dollars.top.name, dollars.found.top_share, dollars.found.hhi) == ("A", D("0.6"), D("0.46"))
    assert round(dollars.found.effective, 2) == D("2.17")
    assert euros.found.hhi == 1


@pytest.mark.django_db
def test_what_people_are_paid_by_is_told_by_person_with_the_way_to_every_line() -> None:
    organization, (seat,) = make_team(10)
    owned(seat, "Helios", numbers={"production_workflows": 3})
    page = signed_in(make_member(organization, Role.LEADER)).get("/team/").content.decode()
    assert "Incentive ledger: what people are paid by" in page
    assert f"/team/incentives/?person={seat.user_id}" in page


@pytest.mark.django_db
def test_terms_and_hours_are_kept_and_audited() -> None:
    organization, (seat,) = make_team(None)
    owned(seat, "Helios")
    leader = signed_in(make_member(organization, Role.LEADER))
    said = {
        "tier_high_touch": "4", "tier_standard": "2", "tier_self_serve": "0", "play_hours": "1.5", "review_days": "60",
        "approval_days": "20", "onboarding_days": "21", "gross_target": "90", "net_target": "108",
    }  # fmt: skip
    assert leader.get("/team/terms/").status_code == 200
    assert leader.post("/team/terms/", said).status_code == 302
    assert leader.post(f"/team/hours/{seat.user_id}/", {"hours": "20"}).status_code == 302
    assert load_of(organization, seat).percent == 10
    terms = BookTerms.objects.get()
    assert (terms.tier_hours["standard"], terms.play_hours, terms.review_days) == ("2", D("1.5"), 60)
    assert set(AuditEvent.objects.values_list("action", flat=True)) >= {"book_terms.changed", "staff_hours.changed"}
    leader.post(f"/team/hours/{seat.user_id}/", {"hours": ""})
    assert load_of(organization, seat).why_not == "hours not entered"


@pytest.mark.django_db
@pytest.mark.parametrize("hours", ["-1", "81", "many", "NaN", "1.234"])
def test_hours_of_a_week_are_0_to_80(hours: str) -> None:
    organization, (seat,) = make_team(7)
    leader = signed_in(make_member(organization, Role.LEADER))
    leader.post(f"/team/hours/{seat.user_id}/", {"hours": hours})
    enter(staff_of(organization))
    assert StaffHours.objects.get().hours_a_week == 7


@pytest.mark.django_db
def test_who_does_not_lead_sees_no_capacity_and_another_vendors_people_are_not_found() -> None:
    organization, (seat,) = make_team(7)
    _, (stranger,) = make_team(7)
    assert signed_in(seat).get("/team/").status_code == 403
    leader = signed_in(make_member(organization, Role.LEADER))
    assert leader.post(f"/team/hours/{stranger.user_id}/", {"hours": "5"}).status_code == 404


@pytest.mark.django_db
def test_the_number_of_queries_does_not_depend_on_the_size_of_the_team() -> None:
    organization, seats = make_team(10, 10)

    def asked() -> int:
        enter(staff_of(organization))
        with CaptureQueriesContext(connection) as queries:
            team_seen(staff_of(organization), timezone.now())
            incentive_ledger(staff_of(organization), timezone.now())
        return len(queries)

    start(owned(seats[0], "A"), seats[0])
    few = asked()
    for number in range(8):
        start(owned(seats[number % 2], f"B{number}"), seats[1])
    assert asked() == few
