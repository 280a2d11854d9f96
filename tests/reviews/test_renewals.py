"""Renewals and run-outs ahead: what the data says, what people say, where they disagree, and who settles it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account, Organization, Role
from consumption_cs.lib.tenancy import enter
from reviews.calc.renewal_call import automated_call
from reviews.models import AccountMetrics, RenewalCall
from reviews.reports.renewals import RenewalLine, renewals
from reviews.views import leader
from tests.factories import make_account, make_member, make_organization, signed_in, staff_of

D = Decimal
SHRINKS: dict[str, Any] = {"pacing": "0.58"}


@pytest.mark.parametrize(
    ("numbers", "score", "opinion", "because"),
    [
        ({}, None, "flat", ()),
        ({"pacing": D("0.58")}, None, "at_risk", ("uses 58% of plan",)),
        ({"pacing": D("0.75")}, None, "flat", ()),
        ({"change_28": D(-20)}, None, "at_risk", ("use down 20%",)),
        ({"change_28": D(31)}, None, "grow", ("use up 31%",)),
        ({"change_28": D(31), "champion_gone": D(1)}, None, "at_risk", ("the champion left",)),
        ({"run_out_percent": D(80), "commit_granted": D(100)}, None, "grow", ("the commit runs out before its term",)),
        ({"run_out_percent": D(80)}, None, "flat", ()),
        ({"silent_days": D(7)}, None, "at_risk", ("no use for 7 days",)),
        ({}, D(59), "at_risk", ("health 59",)),
        ({}, D(60), "flat", ()),
    ],
)
def test_what_the_data_says_and_why(
    numbers: dict[str, Decimal], score: Decimal | None, opinion: str, because: tuple[str, ...]
) -> None:
    found = automated_call(numbers, score)
    assert (found.opinion, found.because) == (opinion, because)


def due(organization: Organization, name: str = "Halden", days: int = 60, **numbers: Any) -> Account:
    """An account whose term ends in so many days of its metrics' day."""
    account = make_account(organization, name, csm=make_member(organization, Role.CSM).user)
    enter(staff_of(organization))
    kept = {"term_days_left": days, "commit_granted": 240000} | numbers
    AccountMetrics.objects.create(
        organization=organization, account=account, day=timezone.now().date() - timedelta(days=1),
        numbers={key: str(value) for key, value in kept.items()}, computed_at=timezone.now(),
    )  # fmt: skip
    return account


def lines_of(organization: Organization) -> list[RenewalLine]:
    enter(staff_of(organization))
    return renewals(staff_of(organization), timezone.now())


def call(organization: Organization, account: Account, opinion: str, **more: str) -> Any:
    client = signed_in(make_member(organization, Role.LEADER))
    return client.post(f"/accounts/{account.pk}/renewal/", {"opinion": opinion} | more)


@pytest.mark.django_db
def test_a_disagreement_is_flagged_until_a_final_call_settles_it() -> None:
    organization = make_organization()
    account = due(organization, **SHRINKS)
    assert [line.flag for line in lines_of(organization)] == ["No opinion yet"]
    assert call(organization, account, "flat", reason="A verbal yes").status_code == 302
    (line,) = lines_of(organization)
    assert (line.flag, line.disagrees, line.stake) == ("Disagree", True, 240000)
    assert line.opinion is not None
    assert line.opinion.automated == "at_risk"
    assert call(organization, account, "flat", reason="Signed", is_final="on").status_code == 302
    assert [line.flag for line in lines_of(organization)] == ["Final"]
    assert RenewalCall.objects.count() == 2


@pytest.mark.django_db
def test_a_final_call_needs_its_reason() -> None:
    organization = make_organization()
    page = call(organization, due(organization), "flat", is_final="on")
    assert page.status_code == 422
    assert "A final call needs its reason." in page.content.decode()
    enter(staff_of(organization))
    assert not RenewalCall.objects.exists()


@pytest.mark.django_db
def test_an_opinion_after_a_final_one_does_not_replace_it() -> None:
    organization = make_organization()
    account = due(organization)
    call(organization, account, "grow", reason="Signed", is_final="on")
    call(organization, account, "at_risk", reason="A feeling")
    (line,) = lines_of(organization)
    assert (line.human, line.is_final) == ("grow", True)


@pytest.mark.django_db
def test_a_commit_that_runs_out_first_is_one_date_with_its_range() -> None:
    organization = make_organization()
    due(organization, "Renews", 90)
    due(organization, "Runs out", 170, run_out_p10=20, run_out_p50=30, run_out_p90=41, run_out_percent=90)
    due(organization, "Far", 181)
    found = lines_of(organization)
    assert [(line.account.name, line.kind, line.days) for line in found] == [
        ("Runs out", "run_out", 30), ("Renews", "renewal", 90),
    ]  # fmt: skip
    first = found[0]
    assert first.early is not None
    assert (first.on - first.early).days == 10


@pytest.mark.django_db
def test_the_board_is_filtered() -> None:
    organization = make_organization()
    at_risk = due(organization, "Halden", **SHRINKS)
    due(organization, "Orrin", 170, run_out_p10=20, run_out_p50=30, run_out_p90=41, run_out_percent=90)
    client = signed_in(make_member(organization, Role.CSM))

    def names(query: str) -> set[str]:
        page = client.get(f"/renewals/?{query}").content.decode()
        return {name for name in ("Halden", "Orrin") if f">{name}</a>" in page}

    assert names("") == {"Halden", "Orrin"}
    assert names("call=at_risk") == names("kind=renewal") == names(f"owner={at_risk.csm_id}") == {"Halden"}
    assert names("kind=run_out") == names("call=grow") == {"Orrin"}
    assert names("owner=me") == names("flag=disagree") == set()
    assert names("flag=missing&kind=nonsense") == {"Halden", "Orrin"}


@pytest.mark.django_db
def test_many_dates_are_on_several_pages_that_keep_the_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "PAGE_SIZE", 2)
    organization = make_organization()
    for number in range(3):
        due(organization, f"Customer {number}", 90 + number)
    client = signed_in(make_member(organization, Role.CSM))
    first = client.get("/renewals/?kind=renewal").content.decode()
    assert "Customer 1</a>" in first
    assert "Customer 2</a>" not in first
    assert "kind=renewal&amp;page=2" in first
    assert "Customer 2</a>" in client.get("/renewals/?kind=renewal&page=2").content.decode()


@pytest.mark.django_db
def test_dates_are_a_file_and_a_calendar() -> None:
    organization = make_organization()
    account = due(organization, "Halden, Inc; Freight", **SHRINKS)
    client = signed_in(make_member(organization, Role.CSM))
    assert "uses 58% of plan" in client.get("/renewals/renewals.csv").content.decode()
    answer = client.get("/renewals/renewals.ics")
    text = answer.content.decode().replace("\r\n ", "")
    (line,) = lines_of(organization)
    assert answer["Content-Type"].startswith("text/calendar")
    assert f"DTSTART;VALUE=DATE:{line.on:%Y%m%d}" in text
    assert "SUMMARY:Halden\\, Inc\\; Freight: term ends" in text
    assert f"/accounts/{account.pk}/brief/" in text


@pytest.mark.django_db
def test_a_reader_sees_the_board_but_gives_no_call() -> None:
    organization = make_organization()
    account = due(organization)
    client = signed_in(make_member(organization, Role.ANALYST))
    page = client.get("/renewals/")
    assert page.status_code == 200
    assert "Give a call" not in page.content.decode()
    assert client.get(f"/accounts/{account.pk}/renewal/").status_code == 403


@pytest.mark.django_db
def test_the_number_of_queries_does_not_depend_on_the_number_of_accounts() -> None:
    organization = make_organization()
    viewer, now = staff_of(organization), datetime.now(UTC)

    def asked() -> int:
        enter(viewer)
        with CaptureQueriesContext(connection) as queries:
            renewals(viewer, now)
        return len(queries)

    due(organization, "A")
    few = asked()
    for number in range(6):
        due(organization, f"B{number}")
    assert asked() == few
