"""Adoption plans: objectives on their way, milestones that wait, are ticked and shared, links that end."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Account, Role
from budgets.models import Budget
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions.plan_links import MOST_FAILURES, end_link, make_link, open_link
from reviews.actions.plan_templates import keep_template, remove_template
from reviews.actions.plans import (
    Goal,
    Step,
    finish_milestone,
    make_plan,
    remove_item,
    reopen_milestone,
    save_milestone,
    save_objective,
    say,
    tick_plans,
)
from reviews.calc.milestones import makes_a_circle, timeliness
from reviews.calc.objectives import progress
from reviews.calc.plan_templates import TEMPLATES, outline_from, template_for
from reviews.exports.plan_pdf import on_paper, plan_pdf
from reviews.models import AdoptionPlan, Milestone, Objective, PlanComment, PlanLink, PlanTemplate
from reviews.reports.plan_outlines import outline_for, outlines
from reviews.reports.plans import active_plan
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

D = Decimal
NOW = datetime(2026, 10, 4, 12, tzinfo=UTC)
START, END = date(2026, 7, 1), date(2027, 6, 30)
days = st.dates(date(2026, 1, 1), date(2027, 12, 31))
amounts = st.decimals(0, 10**6, places=2)

# ---- pure


@pytest.mark.parametrize(
    ("start", "target", "value", "share", "state"),
    [
        ("2", "5", "4", "0.67", "on_track"),
        ("2", "5", "2", "0", "behind"),
        ("4", "3", "4", "1", "reached"),
        ("95", "95", "94.5", "0.99", "on_track"),
        (None, "10", "5", "0.5", "on_track"),
    ],
)
def test_an_objective_goes_from_its_start_to_its_target(
    start: str | None, target: str, value: str, share: str, state: str
) -> None:
    found = progress(D(start) if start else None, D(target), D(value), START, END, date(2026, 12, 30))
    assert found.share is not None
    assert (round(found.share, 2), found.state) == (D(share), state)


def test_a_cost_comes_down_to_its_target() -> None:
    found = progress(D("0.42"), D("0.33"), D("0.348"), START, END, date(2026, 12, 30), comes_down=True)
    assert found.share == D("0.8")
    assert progress(None, D(2), D(4), START, END, START, comes_down=True).share == D("0.5")
    assert progress(D(1), D(2), D("1.5"), START, END, START, comes_down=True).state == "reached"


@given(start=st.none() | amounts, target=amounts, value=st.none() | amounts, first=days, due=days, today=days,
       down=st.booleans())  # fmt: skip
def test_progress_is_a_share_and_reached_only_at_the_target(
    start: D | None, target: D, value: D | None, first: date, due: date, today: date, down: bool
) -> None:
    found = progress(start, target, value, first, due, today, comes_down=down)
    assert 0 <= found.expected <= 1
    assert found.share is None or 0 <= found.share <= 1
    if value is not None:
        assert (found.state == "reached") == (value <= target if down else value >= target)


def test_milestones_that_wait_for_each_other_are_a_circle() -> None:
    a, b, c = uuid4(), uuid4(), uuid4()
    assert makes_a_circle([(a, b), (b, c)], c, [a])
    assert makes_a_circle([], a, [a])
    assert not makes_a_circle([(a, b), (b, c)], a, [b, c])


def test_timeliness_is_told_by_the_date_first_agreed() -> None:
    assert timeliness(date(2026, 10, 14), date(2026, 10, 12)) == "2 days late"
    assert timeliness(date(2026, 10, 11), date(2026, 10, 12)) == "1 day early"
    assert timeliness(date(2026, 10, 12), date(2026, 10, 12)) == "on time"


def test_every_segment_has_an_outline_within_its_days() -> None:
    for segment in Account.Segment.values:
        outline = template_for(segment)
        assert outline in TEMPLATES
        dues = [one.due for one in outline.objectives] + [one.due for one in outline.milestones]
        assert all(0 < due <= outline.days for due in dues)


# ---- kept


@pytest.fixture
def account(db: None) -> Account:
    account = make_account(make_organization())
    make_workflow(account)
    return account


def _staff(account: Account) -> Viewer:
    member = make_member(account.organization, Role.CSM)
    enter(staff_of(account))
    return Viewer(account.organization_id, None, Role.CSM, member.user_id)


def _portal(account: Account, role: str = Role.PORTAL_OWNER) -> Viewer:
    member = make_member(account, role)
    enter(Viewer(account.organization_id, account.pk, role, member.user_id))
    return Viewer(account.organization_id, account.pk, role, member.user_id)


def _plan(account: Account, viewer: Viewer) -> AdoptionPlan:
    enter(viewer)
    return make_plan(viewer, account, "Plan", START, END, NOW)


def test_a_plan_from_an_outline_replaces_the_active_one(account: Account) -> None:
    viewer = _staff(account)
    first = _plan(account, viewer)
    second = make_plan(viewer, account, "Next", START, END, NOW, TEMPLATES[2])
    first.refresh_from_db()
    assert first.state == AdoptionPlan.State.CLOSED
    shown = active_plan(viewer, account, NOW)
    assert shown is not None
    assert shown.plan == second
    assert len(shown.objectives) == len(TEMPLATES[2].objectives)
    assert shown.shared_items == (10, 11)


def test_bad_items_are_refused_in_words(account: Account) -> None:
    viewer = _staff(account)
    plan = _plan(account, viewer)
    for act, words in (
        (lambda: make_plan(viewer, account, " ", START, END, NOW), "name"),
        (lambda: make_plan(viewer, account, "X", END, START, NOW), "must end after"),
        (lambda: save_objective(viewer, plan, Goal("X", END, "production_workflows"), NOW), "needs its target"),
        (lambda: save_objective(viewer, plan, Goal("X", date(2030, 1, 1)), NOW), "within the plan"),
        (lambda: save_milestone(viewer, plan, Step("X", END, condition={"kind": "budget"}), NOW), "choose which"),
        (lambda: save_milestone(viewer, plan, Step("", END), NOW), "what is to be done"),
        (lambda: save_milestone(viewer, plan, Step("X", END, needs=[uuid4()]), NOW), "of its plan"),
    ):
        enter(viewer)
        with pytest.raises(ValidationError, match=words):
            act()


def test_a_moved_milestone_keeps_the_date_first_agreed_and_waits_for_others(account: Account) -> None:
    viewer = _staff(account)
    plan = _plan(account, viewer)
    before = save_milestone(viewer, plan, Step("Access", date(2026, 11, 1)), NOW)
    row = save_milestone(viewer, plan, Step("Pilot", date(2026, 11, 2), needs=[before.pk]), NOW)
    save_milestone(viewer, plan, Step("Pilot", date(2026, 11, 30), moved_because="legal", needs=[before.pk]), NOW, row)
    shown = active_plan(viewer, account, NOW)
    assert shown is not None
    pilot = shown.milestones[1]
    assert pilot.when == "Due Mon, Nov 30, moved from Nov 2: legal"
    assert (pilot.state, list(pilot.waits_for)) == ("waits", ["Access"])
    with pytest.raises(ValidationError, match="wait for each other"):
        save_milestone(viewer, plan, Step("Access", date(2026, 11, 1), needs=[row.pk]), NOW, before)


def test_each_side_completes_its_own_and_again_changes_nothing(account: Account) -> None:
    viewer = _staff(account)
    plan = _plan(account, viewer)
    theirs = save_milestone(viewer, plan, Step("Send samples", date(2026, 10, 9), "customer"), NOW)
    ours = save_milestone(viewer, plan, Step("Review", date(2026, 10, 9), "us"), NOW)
    owner = _portal(account)
    finish_milestone(owner, theirs, NOW)
    finish_milestone(owner, theirs, NOW + timedelta(days=3))
    theirs.refresh_from_db()
    assert (theirs.done_on, theirs.done_by_id) == (date(2026, 10, 4), owner.user_id)
    with pytest.raises(PermissionDenied):
        finish_milestone(owner, ours, NOW)
    other = _portal(account, Role.PORTAL_FINANCE)
    with pytest.raises(PermissionDenied):
        reopen_milestone(other, theirs, NOW)
    with pytest.raises(PermissionDenied):
        finish_milestone(_portal(account, Role.PORTAL_VIEWER), theirs, NOW)


def test_data_tick_milestones_once_and_people_cannot(account: Account) -> None:
    viewer = _staff(account)
    plan = _plan(account, viewer)
    flow = account.workflow_set.get()
    row = save_milestone(
        viewer, plan, Step("Budget", date(2026, 11, 1), workflow=flow, condition={"kind": "budget", "need": None}), NOW
    )
    first = save_milestone(
        viewer, plan, Step("First", date(2026, 11, 1), workflow=flow, condition={"kind": "first_event", "need": None}),
        NOW,
    )  # fmt: skip
    with pytest.raises(ValidationError, match="Data tick"):
        finish_milestone(viewer, row, NOW)
    assert tick_plans(account.organization_id, NOW) == 0
    enter(staff_of(account))
    Budget.objects.create(
        organization=account.organization, account=account, name="B", scope="workflow", workflow=flow
    )
    make_usage_day(account, make_meter(account.organization), date(2026, 10, 2), flow)
    assert tick_plans(account.organization_id, NOW) == 2
    assert tick_plans(account.organization_id, NOW) == 0
    enter(staff_of(account))
    for one in (row, first):
        one.refresh_from_db()
        assert (one.done_on, one.done_by_id) == (date(2026, 10, 4), None)


def test_the_customer_sees_what_is_shared_and_nothing_internal(account: Account) -> None:
    viewer = _staff(account)
    plan = _plan(account, viewer)
    save_milestone(viewer, plan, Step("Shared step", END), NOW)
    hidden = save_milestone(viewer, plan, Step("Secret step", END, is_shared=False, internal_because="Ours"), NOW)
    save_objective(viewer, plan, Goal("Secret goal", END, is_shared=False), NOW)
    say(viewer, plan, "Secret words", NOW, is_shared=False)
    client = signed_in(make_member(account, Role.PORTAL_OWNER))
    text = client.get(reverse("reviews:plan", args=[account.pk])).content.decode()
    assert "Shared step" in text
    assert "Secret" not in text
    assert "plan items" not in text
    done = reverse("reviews:milestone_done", args=[account.pk, hidden.pk])
    assert client.post(done).status_code == 404
    _portal(account)
    assert (Objective.objects.count(), Milestone.objects.count(), PlanComment.objects.count()) == (0, 1, 0)


def test_a_customers_comment_is_always_shared(account: Account) -> None:
    viewer = _staff(account)
    plan = _plan(account, viewer)
    client = signed_in(make_member(account, Role.PORTAL_VIEWER))
    url = reverse("reviews:plan_comment", args=[account.pk, plan.pk])
    client.post(url, {"text": "When is the pilot?", "internal": "on"})
    enter(staff_of(account))
    assert PlanComment.objects.get().is_shared


def test_staff_make_a_plan_and_change_its_items_in_the_browser(account: Account) -> None:
    client = signed_in(make_member(account.organization, Role.CSM))
    page = reverse("reviews:plan", args=[account.pk])
    assert "No adoption plan yet" in client.get(page).content.decode()
    today = timezone.now().date()
    made = client.post(reverse("reviews:plan_new", args=[account.pk]), {
        "title": "Plan", "starts_on": today, "ends_on": today + timedelta(days=200), "template": "breadth",
    })  # fmt: skip
    assert made.status_code == 302
    due = today + timedelta(days=50)
    goal = {"title": "All at 97%", "metric": "success_percent", "target": "97", "due_on": due, "is_shared": "on"}
    assert client.post(reverse("reviews:objective_new", args=[account.pk]), goal).status_code == 302
    goal["target"] = ""
    refused = client.post(reverse("reviews:objective_new", args=[account.pk]), goal)
    assert refused.status_code == 422
    assert "needs its target" in refused.content.decode()
    step = {"title": "A step", "due_on": due, "side": "customer", "is_shared": "on", "ticked_by": "", "rung": "pilot"}
    assert client.post(reverse("reviews:milestone_new", args=[account.pk]), step).status_code == 302
    enter(staff_of(account))
    row = Milestone.objects.get(title="A step")
    url = reverse("reviews:milestone", args=[account.pk, row.pk])
    assert "A step" in client.get(url).content.decode()
    client.post(url, step | {"title": "Another"})
    client.post(reverse("reviews:milestone_done", args=[account.pk, row.pk]))
    text = client.get(page).content.decode()
    assert "Another" in text
    assert "1 of 8 milestones done" in text
    client.post(reverse("reviews:milestone_remove", args=[account.pk, row.pk]))
    assert "Another" not in client.get(page).content.decode().split("What was said")[0].split("messages")[-1][-9000:]


def test_a_removed_item_is_gone_for_everybody(account: Account) -> None:
    viewer = _staff(account)
    plan = _plan(account, viewer)
    row = save_objective(viewer, plan, Goal("Goal", END), NOW)
    remove_item(viewer, row, NOW)
    shown = active_plan(viewer, account, NOW)
    assert shown is not None
    assert not shown.objectives


# ---- links


def _link(account: Account, passcode: str = "") -> tuple[PlanLink, str, Viewer]:
    viewer = _staff(account)
    plan = _plan(account, viewer)
    save_milestone(viewer, plan, Step("Shared step", END), NOW)
    save_milestone(viewer, plan, Step("Secret step", END, is_shared=False), NOW)
    link, token = make_link(viewer, plan, 14, passcode, timezone.now())
    return link, token, viewer


def test_a_link_shows_the_shared_part_without_signing_in(account: Account, client: object) -> None:
    link, token, _ = _link(account)
    answer = client.get(reverse("reviews:shared_plan", args=[token]))  # type: ignore[attr-defined]
    text = answer.content.decode()
    assert "Shared step" in text
    assert "Secret step" not in text
    assert "noindex" in answer["X-Robots-Tag"]
    assert answer["Referrer-Policy"] == "no-referrer"
    enter(staff_of(account))
    link.refresh_from_db()
    assert link.opened == 1


def test_links_end_by_time_by_hand_and_are_unknown_to_others(account: Account, client: object) -> None:
    link, token, viewer = _link(account)
    url = reverse("reviews:shared_plan", args=[token])
    assert open_link(token, timezone.now() + timedelta(days=15)) is None
    assert client.get(reverse("reviews:shared_plan", args=["x" * 40])).status_code == 404  # type: ignore[attr-defined]
    enter(viewer)
    end_link(viewer, link, timezone.now())
    assert client.get(url).status_code == 404  # type: ignore[attr-defined]


def test_a_passcode_is_asked_and_ten_wrong_ones_end_the_link(account: Account, client: object) -> None:
    _, token, _ = _link(account, "open-sesame")
    url = reverse("reviews:shared_plan", args=[token])
    assert "passcode" in client.get(url).content.decode()  # type: ignore[attr-defined]
    assert client.post(url, {"passcode": "wrong"}).status_code == 422  # type: ignore[attr-defined]
    assert "Shared step" in client.post(url, {"passcode": "open-sesame"}).content.decode()  # type: ignore[attr-defined]
    assert "Shared step" in client.get(url).content.decode()  # type: ignore[attr-defined]
    client.cookies.clear()  # type: ignore[attr-defined]
    for _ in range(MOST_FAILURES):
        client.post(url, {"passcode": "wrong"})  # type: ignore[attr-defined]
    assert client.post(url, {"passcode": "open-sesame"}).status_code == 404  # type: ignore[attr-defined]


def test_short_passcodes_and_long_links_are_refused(account: Account) -> None:
    viewer = _staff(account)
    plan = _plan(account, viewer)
    with pytest.raises(ValidationError, match="6 characters"):
        make_link(viewer, plan, 14, "short", NOW)
    with pytest.raises(ValidationError, match="90"):
        make_link(viewer, plan, 91, "", NOW)


# ---- on paper


def test_the_plan_on_paper_tells_what_is_shared_whoever_prints_it(account: Account, client: object) -> None:
    viewer = _staff(account)
    plan = make_plan(viewer, account, "Year one", START, END, NOW, TEMPLATES[2])
    save_milestone(viewer, plan, Step("Shared step", END, detail="#strong [*no* markup]"), NOW)
    save_milestone(viewer, plan, Step("Secret step", END, is_shared=False), NOW)
    said = on_paper(account, plan, NOW)
    steps = [one["title"] for one in said["milestones"]]
    assert "Shared step" in steps
    assert "The commit is used" in [one["title"] for one in said["objectives"]]
    assert "Secret step" not in str(said)
    assert "top-up talk" not in str(said)
    for paper in ("a4", "letter"):
        assert plan_pdf(account, plan, NOW, paper).startswith(b"%PDF")
    with pytest.raises(KeyError):
        plan_pdf(account, plan, NOW, "a5")


def test_a_viewer_of_the_customer_gets_the_pdf_once_there_is_a_plan(account: Account) -> None:
    client = signed_in(make_member(account, Role.PORTAL_VIEWER))
    url = reverse("reviews:plan_pdf", args=[account.pk])
    assert client.get(url).status_code == 404
    _plan(account, _staff(account))
    answer = client.get(url)
    assert answer["Content-Type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF")


# ---- templates of the organization


def test_a_plan_is_kept_as_a_template_and_begins_another(account: Account) -> None:
    viewer = _staff(account)
    plan = make_plan(viewer, account, "Year one", START, END, NOW, TEMPLATES[2])
    save_milestone(viewer, plan, Step("Private step", END, detail="Names", is_shared=False), NOW)
    row = keep_template(viewer, plan, " Our year ", account.segment, NOW)
    kept = outlines(viewer)[0]
    assert (kept.name, kept.key, kept.days) == ("Our year", str(row.pk), (END - START).days)
    assert kept.objectives == TEMPLATES[2].objectives
    assert outline_for(account, outlines(viewer)) == kept
    again = make_plan(viewer, account, "Year two", END, END + timedelta(days=364), NOW, kept)
    titles = set(Milestone.objects.filter(plan=again).values_list("title", "is_shared"))
    assert ("Private step", False) in titles
    assert len(titles) == len(TEMPLATES[2].milestones) + 1
    assert outline_from("k", "n", "", {"objectives": [{"title": "t", "metric": "gone", "target": None, "due": 1}]})
    remove_template(viewer, row)
    assert outlines(viewer) == list(TEMPLATES)


def test_an_empty_plan_is_no_template_and_the_customer_keeps_none(account: Account) -> None:
    viewer = _staff(account)
    plan = _plan(account, viewer)
    with pytest.raises(ValidationError, match="empty"):
        keep_template(viewer, plan, "Nothing", "", NOW)
    with pytest.raises(ValidationError, match="name"):
        keep_template(viewer, plan, " ", "", NOW)
    with pytest.raises(PermissionDenied):
        keep_template(_portal(account), plan, "Theirs", "", NOW)


def test_staff_keep_and_remove_a_template_in_the_browser(account: Account) -> None:
    viewer = _staff(account)
    plan = make_plan(viewer, account, "Year one", START, END, NOW, TEMPLATES[1])
    client = signed_in(make_member(account.organization, Role.CSM))
    kept = client.post(reverse("reviews:template_keep", args=[account.pk, plan.pk]), {"name": "Ours", "segment": ""})
    assert kept["Location"] == reverse("reviews:plan_templates")
    assert "Ours" in client.get(reverse("reviews:plan_templates")).content.decode()
    assert "Ours" in client.get(reverse("reviews:plan_new", args=[account.pk])).content.decode()
    enter(viewer)
    row = PlanTemplate.objects.get()
    client.post(reverse("reviews:template_remove", args=[row.pk]))
    enter(viewer)
    assert not PlanTemplate.objects.exists()
