"""Pages of health: all accounts and one, a word over the score, recipes and trials, warnings, what metrics mean."""

import re
from datetime import date, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Account, Role, User
from consumption_cs.lib.tenancy import enter
from reviews.actions.health import recipe_in_force
from reviews.calc.metrics import DEFINITIONS
from reviews.calc.recipes import DEFAULT
from reviews.forms.health import RecipeForm
from reviews.models import AccountMetrics, HealthDay, HealthOverride, HealthRecipe, RecipeTrial, Signal
from reviews.reports.health import shown_health
from reviews.reports.health_list import fill, health_lines
from reviews.reports.signal_quality import quality_headline, signal_quality
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    made = factories.make_account(factories.make_organization(), timezone="UTC")
    enter(factories.staff_of(made))
    return made


def score(account: Account, ago: int, score: int | None, **points: int) -> HealthDay:
    """A scored day, `ago` days before yesterday, with the points of measures."""
    now = timezone.now()
    parts = [
        {"measure": name, "label": name.title(), "weight": "25.00", "points": str(value), "value": "1", "reason": ""}
        for name, value in points.items()
    ]
    return HealthDay.objects.create(
        organization_id=account.organization_id,
        account=account,
        day=now.date() - timedelta(days=1 + ago),
        recipe=recipe_in_force(account.organization_id, now),
        score=None if score is None else D(score),
        reason="" if score is not None else "Not scored yet: 12 of 30 days.",
        parts=parts,
        computed_at=now,
    )


def warn(account: Account, kind: str = "falling", **fields: Any) -> Signal:
    now: datetime = timezone.now()
    own = {"organization_id": account.organization_id, "account": account, "opened_at": now, "seen_on": now.date()}
    given = {"headline": f"{kind} it is", "opened_on": now.date(), "evidence": {"metric": "change_28", "value": "-30"}}
    return Signal.objects.create(**own, kind=kind, **(given | fields))


def keep(account: Account, day: date, **numbers: float) -> None:
    """Metrics of a day."""
    values = {name: str(value) for name, value in numbers.items()}
    own = {"organization_id": account.organization_id, "account": account}
    AccountMetrics.objects.create(**own, day=day, numbers=values, computed_at=timezone.now())


def client(account: Account, role: str = Role.CSM) -> Client:
    return factories.signed_in(factories.make_member(account.organization, role))


# What is shown -------------------------------------------------------------------------------------------------------


def test_what_moved_adds_up_to_the_change_of_the_score(account: Account) -> None:
    score(account, 7, 80, pacing=25, trend=20, waste=35)
    score(account, 0, 62, pacing=7, trend=20, waste=35)
    found = shown_health(account.organization_id, [account.pk], timezone.now())[account.pk]
    assert (found.score, found.moved, found.band) == (62, -18, "fair")
    assert sum(part.moved for part in found.parts) == found.moved
    assert sum(part.points or 0 for part in found.parts) == found.score
    assert found.most_words == "Pacing −18"


def test_a_person_s_word_holds_until_its_end_and_leaves_the_measured_days_alone(account: Account) -> None:
    now, by = timezone.now(), factories.make_member(account.organization).user
    enter(factories.staff_of(account))
    score(account, 0, 90, pacing=25)
    own: dict[str, Any] = {"organization_id": account.organization_id, "account": account, "by": by, "reason": "Calm"}
    HealthOverride.objects.create(**own, score=30, starts_at=now - timedelta(days=9), ends_at=now - timedelta(days=1))
    organization, accounts = account.organization_id, [account.pk]
    assert shown_health(organization, accounts, now)[account.pk].score == 90
    HealthOverride.objects.create(**own, score=40, starts_at=now - timedelta(hours=1), ends_at=now + timedelta(days=1))
    assert shown_health(organization, accounts, now)[account.pk].score == 40
    assert shown_health(organization, accounts, now + timedelta(days=2))[account.pk].score == 90
    assert HealthDay.objects.get().score == 90


def test_many_accounts_take_as_many_queries_as_one(account: Account, django_assert_num_queries: Any) -> None:
    for number in range(12):
        score(factories.make_account(account.organization, f"Customer {number}", timezone="UTC"), 0, 50 + number)
    viewer, now = factories.staff_of(account), timezone.now()
    with django_assert_num_queries(5):
        lines = health_lines(viewer, now)
        fill(viewer, now, lines)
    assert [line.score for line in lines] == [*range(50, 62), None]


def test_precision_is_of_those_judged_with_its_range(account: Account) -> None:
    for number, said in enumerate(["useful", "useful", "useful", "wrong", ""]):
        warn(account, subject=str(number), feedback=said)
    (row,) = signal_quality(factories.staff_of(account), timezone.now())
    assert (row.raised, row.open, row.useful, row.judged, row.usefulness) == (5, 5, 3, 4, 0.75)
    assert row.usefulness_interval is not None
    low, high = row.usefulness_interval
    assert 0.3 < low < 0.31
    assert 0.95 < high < 0.96


def test_precision_is_measured_by_the_losses_that_followed_within_90_days(
    account: Account, django_assert_num_queries: Any
) -> None:
    end = timezone.now().date() - timedelta(days=2)
    for weeks, change in ((40, -5), (30, -35), (29, -40), (20, -10), (8, -31), (0, -31)):
        keep(account, end - timedelta(weeks=weeks), change_28=change)
    for weeks, kind in ((32, "falling"), (22, "falling"), (4, "falling"), (31, "silence")):
        warn(account, kind=kind, subject=str(weeks), opened_on=end - timedelta(weeks=weeks))
    calm = factories.make_account(account.organization, "Calm")
    warn(calm, kind="silence", opened_on=end - timedelta(weeks=20))
    with django_assert_num_queries(3):
        falling, silence = signal_quality(factories.staff_of(account), timezone.now())
    told = falling.tally
    assert (told.warnings, told.followed, told.young, told.losses, told.warned) == (2, 1, 1, 2, 1)
    assert (told.lead, falling.precision, falling.recall) == (14, 0.5, 0.5)
    told = silence.tally
    assert (told.warnings, told.followed, told.warned, told.lead) == (2, 1, 1, 7)
    assert quality_headline([falling, silence]) == "“Use is falling” was right most often: 1 of 2 came before a loss"
    page = client(account).get("/signals/precision/").content.decode()
    assert "1 of 2" in page
    assert (
        "Use is falling" in client(account).get("/signals/precision/", headers={"HX-Request": "true"}).content.decode()
    )


def test_without_warnings_or_before_90_days_precision_is_told_in_words(account: Account) -> None:
    assert "No warning was raised yet" in client(account).get("/signals/precision/").content.decode()
    enter(factories.staff_of(account))
    warn(account, opened_on=timezone.now().date() - timedelta(weeks=2))
    page = client(account).get("/signals/precision/").content.decode()
    assert "Too early to tell what follows a warning" in page
    assert "none is 90 days old" in page


def test_a_forced_red_is_a_line_of_its_own_and_lines_add_up_to_what_moved(account: Account) -> None:
    score(account, 7, 80, pacing=25, trend=20, waste=35)
    red = score(account, 0, 39, pacing=20, trend=20, waste=35)
    HealthDay.objects.filter(pk=red.pk).update(forced=["sentiment_red"])
    found = shown_health(account.organization_id, [account.pk], timezone.now())[account.pk]
    (line,) = found.laid_over
    assert (line.label, line.points, line.moved, line.reason) == ("Forced red", -36, -36, "They were last negative")
    assert (found.score, found.moved, found.most) == (39, -41, line)
    page = client(account).get(f"/accounts/{account.pk}/health/").content.decode()
    assert "Forced red" in page
    assert "−36" in page


def test_a_word_over_the_score_and_its_end_are_lines_of_their_own(account: Account) -> None:
    score(account, 7, 60, pacing=25, trend=35)
    score(account, 0, 60, pacing=25, trend=35)
    now = timezone.now()
    by = factories.make_member(account.organization).user
    enter(factories.staff_of(account))
    own = {"organization_id": account.organization_id, "account": account, "reason": "They told me.", "by": by}
    word = HealthOverride.objects.create(
        **own, score=80, starts_at=now - timedelta(hours=1), ends_at=now + timedelta(days=9)
    )
    found = shown_health(account.organization_id, [account.pk], now)[account.pk]
    (line,) = found.laid_over
    assert (line.label, line.points, line.moved, line.reason) == (f"Set by {by}", 20, 20, "They told me.")
    assert (found.score, found.moved) == (80, 20)
    HealthOverride.objects.filter(pk=word.pk).update(
        starts_at=now - timedelta(days=12), ended_at=now - timedelta(days=1), ends_at=now + timedelta(days=9)
    )
    found = shown_health(account.organization_id, [account.pk], now)[account.pk]
    assert [(line.label, line.points, line.moved) for line in found.laid_over] == [("A person’s word", 0, -20)]
    assert (found.score, found.moved) == (60, -20)


MEASURES = ("pacing", "trend", "waste")


@given(
    then=st.dictionaries(st.sampled_from(MEASURES), st.integers(0, 33)),
    now=st.dictionaries(st.sampled_from(MEASURES), st.integers(0, 33)),
    red_then=st.booleans(), red_now=st.booleans(),
    word_then=st.none() | st.integers(0, 100), word_now=st.none() | st.integers(0, 100),
)  # fmt: skip
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_points_and_what_moved_always_add_up_to_what_is_shown(
    account: Account, then: dict[str, int], now: dict[str, int], red_then: bool, red_now: bool,
    word_then: int | None, word_now: int | None,
) -> None:  # fmt: skip
    HealthDay.objects.all().delete()
    HealthOverride.objects.all().delete()
    at, by = timezone.now(), User.objects.first() or factories.make_user()
    for ago, points, is_red in ((7, then, red_then), (0, now, red_now)):
        total = sum(points.values())
        score(account, ago, min(total, 39) if is_red else total, **points)
    for word, starts, ends in (
        (word_then, at - timedelta(days=12), at - timedelta(days=2)),
        (word_now, at - timedelta(hours=1), at + timedelta(days=1)),
    ):
        if word is not None:
            own = {"organization_id": account.organization_id, "account": account, "reason": "Said.", "by": by}
            HealthOverride.objects.create(**own, score=word, starts_at=starts, ends_at=ends)
    found = shown_health(account.organization_id, [account.pk], at)[account.pk]
    lines = (*found.parts, *found.laid_over)
    assert sum(line.points or 0 for line in lines) == found.score
    assert sum(line.moved for line in lines) == found.moved
    assert found.score == (min(sum(now.values()), 39 if red_now else 99) if word_now is None else word_now)


# Pages ---------------------------------------------------------------------------------------------------------------


def test_accounts_stand_by_score_with_bands_and_search(account: Account) -> None:
    other = factories.make_account(account.organization, "Southwind", timezone="UTC")
    score(account, 7, 90, pacing=25)
    score(account, 0, 70, pacing=5)
    score(other, 0, 95, pacing=25)
    staff = client(account)
    page = staff.get("/health/").content.decode()
    assert page.index("Northwind</a>") < page.index("Southwind</a>")
    assert "Pacing −20" in page
    assert "lost 5 points or more in a week" in page
    good = staff.get("/health/?band=good").content.decode()
    assert "Southwind</a>" in good
    assert "Northwind</a>" not in good
    assert "No account fits" in staff.get("/health/?q=nothing").content.decode()
    rows = staff.get("/health/health.csv").content.decode().splitlines()
    assert len(rows) == 3
    assert "points_pacing" in rows[0]


def test_an_account_without_a_score_says_why(account: Account) -> None:
    staff = client(account)
    assert "Not scored yet" in staff.get(f"/accounts/{account.pk}/health/").content.decode()
    enter(factories.staff_of(account))
    score(account, 0, None)
    assert "12 of 30 days" in staff.get(f"/accounts/{account.pk}/health/").content.decode()


def test_a_word_is_set_shown_and_taken_back(account: Account) -> None:
    score(account, 0, 90, pacing=25)
    staff, address = client(account), f"/accounts/{account.pk}/health/"
    assert staff.post(address, {"score": 20, "days": 31, "reason": "x"}).status_code == 422
    assert staff.post(address, {"score": 20, "days": 9, "reason": "  "}).status_code == 422
    assert staff.post(address, {"score": 20, "days": 9, "reason": "Their sponsor left"}).status_code == 302
    page = staff.get(address).content.decode()
    assert "Their sponsor left" in page
    assert "Health is <b>20</b>" in page
    assert staff.post(f"{address}end-override/").status_code == 302
    assert "Health is <b>90</b>" in staff.get(address).content.decode()
    enter(factories.staff_of(account))
    assert HealthOverride.objects.get().ended_at is not None


def test_analysts_read_but_set_no_score(account: Account) -> None:
    staff, address = client(account, Role.ANALYST), f"/accounts/{account.pk}/health/"
    page = staff.get(address)
    assert page.status_code == 200
    assert "Set the score" not in page.content.decode()
    staff.post(address, {"score": 20, "days": 9, "reason": "x"})
    assert staff.post(f"{address}end-override/").status_code == 403
    enter(factories.staff_of(account))
    assert not HealthOverride.objects.exists()


def recipe_data(**changes: str) -> dict[str, Any]:
    form = RecipeForm(body=DEFAULT)
    data = {name: form[name].value() for name in form.fields}
    return {name: "" if value is None else value for name, value in data.items()} | changes


def test_a_recipe_is_written_tried_and_switched_on(account: Account) -> None:
    staff = client(account, Role.LEADER)
    page = staff.get("/health/recipe/").content.decode()
    assert "0.85 to below 1.15: 100" in page
    wrong = staff.post("/health/recipe/new/", recipe_data(**{"bands-pacing": "about one: 100"}))
    assert wrong.status_code == 422
    assert "is no band" in wrong.content.decode()
    assert staff.post("/health/recipe/new/", recipe_data(**{"weight-pacing": "40"})).status_code == 302
    enter(factories.staff_of(account))
    made = HealthRecipe.objects.get(number=2)
    assert RecipeTrial.objects.get().state == "waiting"
    assert "Waiting for a worker" in staff.get("/health/recipe/").content.decode()
    refused = staff.post(f"/health/recipe/{made.pk}/switch/", follow=True).content.decode()
    assert "last twelve months first" in refused
    enter(factories.staff_of(account))
    row = {"measure": "", "label": "The whole score", "warnings": 8, "followed": 6, "losses": 9, "warned": 6,
           "lead_days": 21.0, "precision": [0.41, 0.75, 0.93], "recall": [0.35, 0.67, 0.88]}  # fmt: skip
    result = {"weeks": 52, "accounts": 4, "asked": [row], "present": [row]}
    RecipeTrial.objects.update(state="done", finished_at=timezone.now(), result=result)
    page = staff.get("/health/recipe/").content.decode()
    assert "41% to 93%" in page
    assert "21 days" in page
    staff.post(f"/health/recipe/{made.pk}/switch/")
    assert "Recipe 2 is in force" in staff.get("/health/recipe/").content.decode()


def test_who_may_not_edit_recipes_reads_them(account: Account) -> None:
    staff = client(account, Role.ANALYST)
    assert "Change the recipe" not in staff.get("/health/recipe/").content.decode()
    assert staff.get("/health/recipe/new/").status_code == 403
    assert staff.post("/health/recipe/new/", recipe_data()).status_code == 403


def test_warnings_are_filtered_and_judged_where_they_stand(account: Account) -> None:
    signal = warn(account)
    warn(account, "silence", closed_at=timezone.now())
    staff = client(account)
    page = staff.get("/signals/").content.decode()
    assert "falling it is" in page
    assert "silence it is" not in page
    assert "silence it is" in staff.get("/signals/?state=all").content.decode()
    assert "No warning" in staff.get("/signals/?kind=waste").content.decode()
    staff.post(f"/signals/{signal.pk}/judge/", {"feedback": "odd"})
    back = staff.post(f"/signals/{signal.pk}/judge/", {"feedback": "wrong", "back": "account"})
    assert back["Location"] == f"/accounts/{account.pk}/health/"
    enter(factories.staff_of(account))
    signal.refresh_from_db()
    assert signal.feedback == "wrong"
    assert (
        client(account, Role.ANALYST).post(f"/signals/{signal.pk}/judge/", {"feedback": "useful"}).status_code == 403
    )


def test_every_metric_is_told_with_its_formula(account: Account) -> None:
    page = client(account, Role.ADMIN).get("/metrics/").content.decode()
    assert all(f'id="{name}"' in page for name in DEFINITIONS)
    assert 'id="margin_percent"' not in client(account, Role.CSM).get("/metrics/").content.decode()
    found = client(account).get("/metrics/?q=run-out likely").content.decode()
    assert re.findall(r'<tr id="(\w+)"', found) == ["run_out_p50"]


def test_customers_see_none_of_it(account: Account) -> None:
    theirs = factories.signed_in(factories.make_member(account, Role.PORTAL_OWNER))
    for path in ("/health/", "/health/recipe/", "/signals/", "/metrics/", f"/accounts/{account.pk}/health/"):
        assert theirs.get(path).status_code == 403, path


# Labels --------------------------------------------------------------------------------------------------------------


def label(viewer: Any, text: str) -> str:
    given = {"viewer": viewer, "request": RequestFactory().get("/"), "words": "<Luck>"}
    return str(Template(text).render(Context(given)))


def test_a_label_tells_what_it_means_without_a_script(account: Account) -> None:
    page = label(factories.staff_of(account), '{% metric_label "pacing" %}{% metric_label "trend" "Usage trend" %}')
    assert re.findall(r'popovertarget="([\w-]+)"', page) == re.findall(r'id="([\w-]+)" popover', page)
    assert len(set(re.findall(r'id="([\w-]+)"', page))) == 2
    assert 'aria-label="What Usage trend means"' in page
    assert DEFINITIONS["change_28"].formula.replace("'", "&#x27;") in page
    assert "<script" not in page


def test_customers_read_the_label_alone_and_what_is_no_metric_stays_as_it_is(account: Account) -> None:
    assert label(factories.portal_of(account), '{% metric_label "at_risk" %}') == DEFINITIONS["at_risk"].label
    assert label(factories.staff_of(account), '{% metric_label "luck" words %}') == "&lt;Luck&gt;"
