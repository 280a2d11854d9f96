"""Expansion: the cleanest path to value, what similar accounts run, moving candidates on, the plan of a quarter."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Account, Role
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions.expansion import (
    Estimate,
    accept_suggestion,
    add_candidate,
    estimate,
    move,
    set_weeks,
    share,
    win_what_runs,
)
from reviews.calc.expansion import Load, Ready, days_earlier, evidence_of, expected, funnel, path_to_value
from reviews.models import Candidate, CandidateStep
from reviews.reports.expansion import expansion_of, next_candidates, portfolio, suggestions
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_usage_day,
    make_workflow,
    signed_in,
    staff_of,
)
from usage.models import Workflow

D = Decimal
NOW = datetime(2026, 10, 4, 12, tzinfo=UTC)
amounts = st.decimals("0.01", 10**7, places=2)

# ---- pure


@pytest.mark.parametrize(
    ("value", "evidence", "weeks", "obstacles", "path"),
    [("5200", "0.8", "2", 1, 1040), ("2600", "0.7", "2", 0, 910), ("7400", "0.6", "5", 1, 444),
     ("9800", "0.4", "6", 2, "217.78")],
)  # fmt: skip
def test_the_path_to_value_of_the_known_candidates(
    value: str, evidence: str, weeks: str, obstacles: int, path: object
) -> None:
    found = path_to_value(D(value), D(evidence), D(weeks), obstacles)
    assert found is not None
    assert round(found, 2) == D(str(path))


def test_what_is_not_estimated_has_no_path() -> None:
    assert path_to_value(None, D(1), D(1), 0) is None
    assert path_to_value(D(1), D(1), None, 0) is None
    assert path_to_value(D(1), D(1), D(0), 0) is None


@given(value=amounts, weeks=amounts, obstacles=st.integers(0, 9))
def test_more_in_the_way_is_never_a_cleaner_path(value: D, weeks: D, obstacles: int) -> None:
    one, other = (path_to_value(value, D("0.5"), weeks, count) for count in (obstacles, obstacles + 1))
    assert one is not None
    assert other is not None
    assert other < one


@given(shares=st.lists(st.decimals(0, 1, places=4), min_size=2), size=amounts)
def test_a_range_is_in_order_and_within_what_neighbours_do(shares: list[D], size: D) -> None:
    found = expected(shares, size)
    assert found is not None
    assert min(shares) * size <= found.low <= found.likely <= found.high <= max(shares) * size


def test_one_neighbour_is_no_range() -> None:
    assert expected([D("0.1")], D(100)) is None
    assert expected([D("0.1"), D("0.3")], D(0)) is None


def test_evidence_grows_with_data_an_owner_and_how_peers_do() -> None:
    assert evidence_of(Ready(False, False, None)) == D("0.3")
    assert evidence_of(Ready(True, True, D(1))) == 1


def test_a_quarter_holds_what_there_are_weeks_for() -> None:
    assert Load(D(7), D(5)).over == 2
    assert Load(D(3), D(5)).over == 0


def test_the_funnel_counts_skipped_states_as_passed() -> None:
    told = [([("found", 1), ("agreed", 11)], D(400)), ([("found", 5), ("lost", 9)], None)]
    lines = {one.state: one for one in funnel(told)}
    assert [lines[state].count for state in ("found", "proposed", "agreed", "building")] == [2, 1, 1, 0]
    assert lines["agreed"].days == 10
    assert lines["won"].days is None
    assert [(lines[state].value, lines[state].valued) for state in ("found", "agreed", "won")] == [
        (400, 1), (400, 1), (0, 0),
    ]  # fmt: skip


def test_the_days_a_funnel_takes_are_the_median() -> None:
    told = [([("found", 0), ("proposed", days)], None) for days in (2, 4, 9, 30)]
    assert funnel(told)[1].days == 6  # between 4 and 9, to the even day


@pytest.mark.parametrize(
    ("remaining", "days", "more", "sooner"),
    [("12000", 120, "3043.75", 60), ("12000", 120, "0", 0), ("0", 120, "10", None), ("12000", 0, "10", None)],
)
def test_how_many_days_sooner_a_commit_runs_out(remaining: str, days: int, more: str, sooner: int | None) -> None:
    assert days_earlier(D(remaining), days, D(more)) == sooner


@given(remaining=amounts, days=st.integers(1, 2000), one=amounts, other=amounts)
def test_more_spend_never_makes_a_commit_last_longer(remaining: D, days: int, one: D, other: D) -> None:
    less, more = (days_earlier(remaining, days, spend) for spend in sorted((one, other)))
    assert less is not None
    assert more is not None
    assert 0 <= less <= more <= days


# ---- kept


@pytest.fixture
def account(db: None) -> Account:
    return make_account(make_organization(), segment="enterprise")


def _staff(account: Account, role: str = Role.LEADER) -> Viewer:
    member = make_member(account.organization, role)
    enter(staff_of(account))
    return Viewer(account.organization_id, None, role, member.user_id)


def _peers(account: Account, count: int) -> None:
    meter = make_meter(account.organization)
    for number in range(count):
        peer = make_account(account.organization, f"Peer {number}", segment="enterprise")
        flow, other = make_workflow(peer, "Claims triage"), make_workflow(peer, f"Own {number}")
        for ago in range(1, 29):
            day = date(2026, 10, 4) - timedelta(days=ago)
            make_usage_day(peer, meter, day, flow, spend=D(1))
            make_usage_day(peer, meter, day, other, spend=D(3))
    own = make_workflow(account, "Invoice OCR")
    for ago in range(1, 29):
        make_usage_day(account, meter, date(2026, 10, 4) - timedelta(days=ago), own, spend=D(10))


def test_what_two_similar_accounts_run_is_suggested_without_naming_them(account: Account) -> None:
    _peers(account, 2)
    viewer = _staff(account)
    (found,) = suggestions(viewer, account, NOW)
    assert (found.key, found.accounts) == ("claims-triage", 2)
    assert found.spend is not None
    assert round(found.spend.likely, 2) == D("76.09")  # a quarter of 304.38 a month
    assert "Peer" not in found.why
    made = accept_suggestion(viewer, account, "claims-triage", NOW)
    assert made is not None
    assert made.spend_likely == D("76.09")
    assert suggestions(viewer, account, NOW) == []
    assert accept_suggestion(viewer, account, "claims-triage", NOW) is None


def test_what_one_account_runs_is_not_suggested(account: Account) -> None:
    _peers(account, 1)
    assert suggestions(_staff(account), account, NOW) == []


def test_a_candidate_moves_on_becomes_an_idea_and_is_won_by_itself(account: Account) -> None:
    viewer = _staff(account)
    row = add_candidate(viewer, account, Estimate("Lead enrichment", D(5200), D("0.8"), D(2)), "requested", NOW)
    for state in ("proposed", "agreed", "building"):
        row = move(viewer, row, state, "", NOW)
    flow = Workflow.objects.get(account=account, key="lead-enrichment")
    assert (flow.stage, row.workflow_id) == ("idea", flow.pk)
    assert win_what_runs(account.organization_id, NOW) == 0
    enter(staff_of(account))
    Workflow.objects.filter(pk=flow.pk).update(stage="production")
    assert win_what_runs(account.organization_id, NOW) == 1
    assert win_what_runs(account.organization_id, NOW) == 0
    enter(staff_of(account))
    steps = list(CandidateStep.objects.order_by("at", "pk").values_list("to_state", flat=True))
    assert steps == ["found", "proposed", "agreed", "building", "won"]


def test_not_now_needs_a_reason_and_bad_estimates_are_refused(account: Account) -> None:
    viewer = _staff(account)
    row = add_candidate(viewer, account, Estimate("X"), "idea", NOW)
    with pytest.raises(ValidationError, match="why not now"):
        move(viewer, row, "lost", " ", NOW)
    with pytest.raises(ValidationError, match="where it goes"):
        move(viewer, row, "nowhere", "", NOW)
    for wanted in (Estimate(" "), Estimate("X", D(-1)), Estimate("X", evidence=D(2)), Estimate("X", D("NaN"))):
        with pytest.raises(ValidationError):
            estimate(viewer, row, wanted)
    with pytest.raises(ValidationError, match="13 weeks"):
        set_weeks(viewer, viewer.user_id, date(2026, 10, 1), D(14))  # type: ignore[arg-type]


def test_a_workflow_is_a_candidate_once(account: Account) -> None:
    flow, viewer = make_workflow(account), _staff(account)
    add_candidate(viewer, account, Estimate("One"), "idea", NOW, flow)
    with pytest.raises(ValidationError, match="candidate already"):
        add_candidate(viewer, account, Estimate("Two"), "idea", NOW, flow)


def test_the_portfolio_ranks_plans_and_counts_what_was_won(account: Account) -> None:
    viewer = _staff(account)
    quarter = date(2026, 10, 1)
    add_candidate(viewer, account, Estimate("A", D(5200), D("0.8"), D(2), ["x"], quarter=quarter), "idea", NOW)
    add_candidate(viewer, account, Estimate("B", D(2600), D("0.7"), D(2), quarter=quarter), "idea", NOW)
    lost = add_candidate(viewer, account, Estimate("C"), "idea", NOW)
    move(viewer, lost, "lost", "no budget", NOW)
    set_weeks(viewer, viewer.user_id, quarter, D(3))  # type: ignore[arg-type]
    seen = portfolio(viewer)
    assert [line.row.title for line in seen.lines] == ["A", "B"]
    assert (seen.won, seen.decided, seen.value) == (0, 1, D("5980.0"))
    (plan,) = seen.quarters
    assert (plan.load.planned, plan.load.weeks, plan.over) == (4, 3, 0)
    assert plan.problems == ["Nobody answers for 2 candidates."]
    assert [line.row.title for line in portfolio(viewer, words="b").lines] == ["B"]


def test_the_weeks_of_each_person_are_counted_whatever_is_filtered(account: Account) -> None:
    viewer = _staff(account)
    other = make_member(account.organization, Role.CSM)
    enter(staff_of(account))
    quarter, me = date(2026, 10, 1), viewer.user_id
    assert me is not None
    for title, owner in (("A", me), ("B", me), ("C", me), ("D", other.user_id)):
        wanted = Estimate(title, D(100), D(1), D("2.5"), quarter=quarter, owner_id=owner)
        add_candidate(viewer, account, wanted, "idea", NOW)
    set_weeks(viewer, me, quarter, D(5))
    set_weeks(viewer, other.user_id, quarter, D(13))
    (plan,) = portfolio(viewer, words="nothing like it", state="lost").quarters
    assert plan.over == D("2.5")  # the other's spare weeks do not do it
    first, second = plan.problems
    assert first.endswith("has 5 weeks and 7.5 weeks planned: 2.5 weeks too many.")
    assert second == f"{account.name} plans 4 workflows: two or three a quarter are what a team brings in."


def test_leaders_see_in_words_what_does_not_fit_a_quarter(account: Account) -> None:
    client = signed_in(make_member(account.organization, Role.LEADER))
    page = reverse("reviews:portfolio")
    assert "No quarter is planned" in client.get(page).content.decode()
    viewer = _staff(account)
    quarter, me = date(2026, 10, 1), viewer.user_id
    assert me is not None
    wanted = Estimate("A", D(100), D(1), D(4), quarter=quarter, owner_id=me)
    row = add_candidate(viewer, account, wanted, "idea", NOW)
    assert "has open questions" in client.get(page).content.decode()
    enter(staff_of(account))
    set_weeks(viewer, me, quarter, D(3))
    text = client.get(page).content.decode()
    assert "Q4 2026 is 1 week over what there is" in text
    assert "No candidate is decided yet" in text
    enter(staff_of(account))
    set_weeks(viewer, me, quarter, D(4))
    assert "What is planned fits" in client.get(page).content.decode()
    enter(staff_of(account))
    move(viewer, row, "lost", "no budget", NOW)
    assert "0 won of 1 decided: a small sample" in client.get(page).content.decode()


def test_the_ladder_alone_says_what_is_won(account: Account) -> None:
    viewer = _staff(account, Role.CSM)
    row = add_candidate(viewer, account, Estimate("Lead enrichment"), "idea", NOW)
    for _ in range(2):
        with pytest.raises(ValidationError, match="won by itself"):
            move(viewer, row, "won", "", NOW)
        row = move(viewer, row, "agreed", "", NOW)
    Workflow.objects.filter(account=account).update(stage="production")
    move(viewer, row, "won", "", NOW)
    with pytest.raises(ValidationError, match="It is in production"):
        move(viewer, row, "found", "", NOW)


def test_two_candidates_do_not_share_a_workflow(account: Account) -> None:
    viewer = _staff(account)
    first, second = (add_candidate(viewer, account, Estimate("Lead enrichment"), "idea", NOW) for _ in range(2))
    move(viewer, first, "agreed", "", NOW)
    with pytest.raises(ValidationError, match="Rename"):
        move(viewer, second, "agreed", "", NOW)


def test_what_was_put_off_says_why_and_can_be_taken_up_again(account: Account) -> None:
    viewer = _staff(account)
    row = add_candidate(viewer, account, Estimate("X"), "idea", NOW)
    move(viewer, row, "lost", "No budget before spring", NOW)
    (closed,) = expansion_of(viewer, account, NOW).closed
    assert (closed.reason, closed.on) == ("No budget before spring", date(2026, 10, 4))
    assert move(viewer, row, "found", "", NOW).state == "found"
    assert portfolio(viewer, state="found").decided == 0


def test_readiness_says_what_is_there_and_what_is_missing(account: Account) -> None:
    _peers(account, 2)
    own = make_workflow(account, "Claims triage", stage="pilot")
    viewer = _staff(account)
    bare = add_candidate(viewer, account, Estimate("Bare"), "idea", NOW)
    wired = add_candidate(viewer, account, Estimate("Claims triage", owner_id=viewer.user_id), "idea", NOW, own)
    make_usage_day(account, make_meter(account.organization, "two"), date(2026, 10, 1), own)
    ready = {line.row.pk: line.ready for line in expansion_of(viewer, account, NOW).lines}
    missing, there = ready[bare.pk], ready[wired.pk]
    assert missing is not None
    assert there is not None
    assert missing.words == "No events yet; nobody answers for it"
    assert there.words.startswith("Events came; ")
    assert "2 similar accounts run it" in there.words
    assert "Peer" not in there.words
    assert there.evidence > missing.evidence == D("0.3")


def test_a_review_tells_shared_candidates_alone(account: Account) -> None:
    viewer = _staff(account)
    for title, value in (("Ours", "9000"), ("Small", "100"), ("Theirs", "5200")):
        row = add_candidate(viewer, account, Estimate(title, D(value), D("0.8"), D(2)), "idea", NOW)
        share(viewer, row, title != "Ours")
    assert [one["title"] for one in next_candidates(viewer, account)] == ["Theirs", "Small"]
    assert [one["title"] for one in next_candidates(viewer, account, limit=1)] == ["Theirs"]


def test_pilots_without_use_stand_still(account: Account) -> None:
    old = timezone.now() - timedelta(days=90)
    meter = make_meter(account.organization)
    for name, stage, age in (("Old pilot", "pilot", None), ("Live", "production", None), ("Left", "building", 40),
                             ("Busy", "pilot", 2)):  # fmt: skip
        flow = make_workflow(account, name, stage=stage)
        Workflow.objects.filter(pk=flow.pk).update(created_at=old)
        if age:
            make_usage_day(account, meter, (timezone.now() - timedelta(days=age)).date(), flow)
    viewer = _staff(account)
    found = {one.workflow.name: one.why for one in expansion_of(viewer, account, timezone.now()).stalled}
    assert found["Old pilot"] == "never used"
    assert found["Left"].startswith("not used since")
    assert set(found) == {"Old pilot", "Left"}
    late = expansion_of(viewer, account, timezone.now() + timedelta(days=10)).stalled
    assert next(one.why for one in late if one.workflow.name == "Busy").startswith("used, but no step up since")


def test_staff_add_move_and_share_in_the_browser_and_customers_never_open_it(account: Account) -> None:
    client = signed_in(make_member(account.organization, Role.CSM))
    page = reverse("reviews:expansion", args=[account.pk])
    assert "No candidate yet" in client.get(page).content.decode()
    said = {"title": "Lead enrichment", "source": "requested", "value_a_month": "5200", "evidence": "80",
            "effort_weeks": "2", "obstacles": "Success is short", "spend_likely": "700"}  # fmt: skip
    assert client.post(reverse("reviews:candidate_new", args=[account.pk]), said).status_code == 302
    text = client.get(page).content.decode()
    assert "$1,040" in text
    enter(staff_of(account))
    row = Candidate.objects.get()
    url = reverse("reviews:candidate", args=[account.pk, row.pk])
    assert client.post(url, said | {"evidence": "120"}).status_code == 422
    client.post(reverse("reviews:candidate_move", args=[account.pk, row.pk]), {"state": "proposed"})
    client.post(reverse("reviews:candidate_share", args=[account.pk, row.pk]), {"shared": "yes"})
    enter(staff_of(account))
    row.refresh_from_db()
    assert (row.state, row.is_shared) == ("proposed", True)
    assert "Lead enrichment" in client.get(reverse("reviews:portfolio")).content.decode()
    assert "Lead enrichment" in client.get(reverse("reviews:portfolio_csv")).content.decode()
    owner = signed_in(make_member(account, Role.PORTAL_OWNER))
    assert owner.get(page).status_code in (403, 404)
