"""A recipe as data: the product's bands, every mistake in words; a new one is tried before it is switched on."""

import copy
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from accounts.models import Account, AuditEvent
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions import recipes
from reviews.actions.health import recipe_in_force
from reviews.calc.health import Input, health, measure_scores
from reviews.calc.metrics import DEFINITIONS
from reviews.calc.recipes import DEFAULT, FORCED_REDS, RecipeError, band_words, facts_of, inputs_of, recipe_from
from reviews.forms.health import RecipeForm
from reviews.models import AccountMetrics, HealthRecipe, RecipeTrial
from tests.factories import make_account, make_member, make_organization, staff_of

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
READ = recipe_from(DEFAULT)
BEST = {
    "pacing": D("1"), "change_28": D(0), "breadth": D(100), "reliability_gap": D(0), "in_band_percent": D(80),
    "waste_percent": D(2), "engagement": D(100),
}  # fmt: skip


def scores(**values: Any) -> dict[str, D | None]:
    """What each measure scores of 100 when everything else is at its best."""
    return measure_scores(READ, inputs_of(READ, BEST | values, {}))


def test_the_weights_are_those_of_the_product_and_all_metrics_exist() -> None:
    assert [(row["name"], row["weight"]) for row in DEFAULT["measures"]] == [
        ("pacing", "25"), ("trend", "20"), ("breadth", "15"), ("reliability", "15"), ("predictability", "10"),
        ("waste", "5"), ("engagement", "10"),
    ]  # fmt: skip
    assert all(row["metric"] in DEFINITIONS for row in DEFAULT["measures"])
    assert set(DEFAULT["forced_reds"]) == set(FORCED_REDS)


@pytest.mark.parametrize(
    ("ratio", "score"),
    [("0.4", 0), ("0.5", 30), ("0.69", 30), ("0.7", 60), ("0.85", 100), ("1", 100), ("1.1499", 100), ("1.15", 60),
     ("1.35", 30), ("1.6", 0), ("3", 0)],
)  # fmt: skip
def test_pacing_loses_on_both_sides(ratio: str, score: int) -> None:
    assert scores(pacing=D(ratio))["pacing"] == score


@pytest.mark.parametrize(
    ("measure", "metric", "value", "score"),
    [
        ("trend", "change_28", "-5", 100), ("trend", "change_28", "-19", 50), ("trend", "change_28", "-21", 0),
        ("breadth", "breadth", "70", 70), ("breadth", "breadth", "40", 40), ("breadth", "breadth", "0", 0),
        ("reliability", "reliability_gap", "0", 100), ("reliability", "reliability_gap", "2", 60),
        ("reliability", "reliability_gap", "2.1", 0), ("predictability", "in_band_percent", "75", 100),
        ("predictability", "in_band_percent", "50", 60), ("predictability", "in_band_percent", "49", 0),
        ("waste", "waste_percent", "4.9", 100), ("waste", "waste_percent", "14", 50),
        ("waste", "waste_percent", "15", 0),
    ],
)  # fmt: skip
def test_bands_of_the_product(measure: str, metric: str, value: str, score: int) -> None:
    assert scores(**{metric: D(value)})[measure] == score


def test_what_is_older_than_60_days_is_not_counted() -> None:
    stale = {metric: Input(value, "", 61) for metric, value in BEST.items()}
    assert health(READ, stale, []).score is None
    assert [name for name, score in measure_scores(READ, stale).items() if score is not None] == ["engagement"]


@pytest.mark.parametrize(
    ("numbers", "fact"),
    [
        ({"commit_granted": "1000", "commit_left": "0"}, "exhausted"),
        ({"payment_failed": "1"}, "payment_failed"),
        ({"sentiment": "0"}, "sentiment_red"),
        ({"silent_days": "7"}, "silent"),
    ],
)
def test_forced_reds_follow_from_the_metrics_of_the_day(numbers: dict[str, str], fact: str) -> None:
    known = {name: D(text) for name, text in numbers.items()}
    assert facts_of(known) == [fact]
    found = health(READ, inputs_of(READ, BEST, {}), facts_of(known))
    assert found.forced == (fact,)
    assert found.score is not None
    assert found.score < 60


def test_nothing_is_forced_by_what_is_not_known_or_just_short_of_it() -> None:
    assert facts_of({}) == []
    assert facts_of({"commit_granted": D(0), "commit_left": D(0), "silent_days": D(6), "sentiment": D(50)}) == []


def broken(**changes: Any) -> dict[str, Any]:
    body = copy.deepcopy(DEFAULT)
    body["measures"][0] |= changes
    return body


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (None, "one to 20 measures"),
        ({"measures": []}, "one to 20 measures"),
        ({"measures": ["x"]}, "needs a name"),
        (broken(metric="luck"), "“luck” is no metric"),
        (broken(metric="margin_percent"), "margin cannot count"),
        (broken(weight="-1"), "weight is a number from 0"),
        (broken(weight="NaN"), "weight is a number from 0"),
        (broken(weight=True), "weight is a number from 0"),
        (broken(stale_days=0), "stale after 1 to 365"),
        (broken(bands=[]), "one to 10 bands"),
        (broken(bands=[{"low": "2", "high": "1", "score": "50"}]), "must end above its start"),
        (broken(bands=[{"low": "a", "high": None, "score": "50"}]), "ends are numbers"),
        (broken(bands=[{"low": None, "high": None, "score": "101"}]), "scores 0 to 100"),
        (broken(name="trend"), "“trend” is there twice"),
        (DEFAULT | {"forced_reds": ["rain"]}, "Forced reds are some of"),
        ({"measures": [row | {"weight": "0"} for row in DEFAULT["measures"]]}, "weight above 0"),
    ],
)
def test_every_mistake_is_said_in_words(body: Any, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        recipe_from(body)


def test_all_mistakes_are_said_at_once() -> None:
    body = broken(weight="x", bands=[])
    body["measures"][1] |= {"metric": "luck"}
    with pytest.raises(RecipeError) as refused:
        recipe_from(body)
    assert len(refused.value.problems) == 3


def test_the_form_shows_the_recipe_and_gives_it_back_as_it_was() -> None:
    shown = RecipeForm(body=DEFAULT)
    data = {name: shown[name].value() for name in shown.fields}
    form = RecipeForm({name: "" if value is None else value for name, value in data.items()}, body=DEFAULT)
    assert form.is_valid(), form.errors
    assert recipe_from(form.body()) == READ


# In the database ------------------------------------------------------------------------------------------


@pytest.fixture
def account(db: None) -> Account:
    return make_account(make_organization(), contract_starts_on=NOW.date() - timedelta(days=400))


@pytest.fixture
def viewer(account: Account) -> Viewer:
    found = staff_of(account)
    member = make_member(account.organization)
    enter(found)
    return type(found)(found.organization_id, None, found.role, member.user_id)


def test_every_organization_begins_with_the_default(viewer: Viewer) -> None:
    first = recipe_in_force(viewer.organization_id, NOW)
    assert (first.number, first.body) == (1, DEFAULT)
    assert recipe_in_force(viewer.organization_id, NOW) == first
    assert HealthRecipe.objects.count() == 1


def test_a_new_recipe_waits_for_its_trial_and_is_then_switched_on(viewer: Viewer) -> None:
    body = broken(weight="40")
    made = recipes.save_recipe(viewer, body, "Pacing counts more", NOW)
    assert (made.number, made.in_force_from) == (2, None)
    with pytest.raises(ValidationError, match="last twelve months first"):
        recipes.switch_on(viewer, made, NOW)
    trial = recipes.ask_for_trial(viewer, made)
    assert recipes.ask_for_trial(viewer, made) == trial
    RecipeTrial.objects.update(state="done")
    recipes.switch_on(viewer, made, NOW)
    assert recipe_in_force(viewer.organization_id, NOW).number == 2
    assert recipe_in_force(viewer.organization_id, NOW - timedelta(days=1)).number == 1
    with pytest.raises(ValidationError, match="in force already"):
        recipes.switch_on(viewer, made, NOW)
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"recipe.created", "recipe.switched_on"} <= actions


def test_a_wrong_recipe_is_not_kept(viewer: Viewer) -> None:
    with pytest.raises(ValidationError, match="is no metric"):
        recipes.save_recipe(viewer, broken(metric="luck"), "", NOW)
    assert not HealthRecipe.objects.exists()


def test_a_trial_tells_what_each_measure_would_have_warned_of(account: Account, viewer: Viewer) -> None:
    last = NOW.date() - timedelta(days=2)
    for ago in range(52):
        numbers = BEST | {"change_28": D(-40) if ago == 20 else D(0), "pacing": D("0.4") if 20 <= ago <= 23 else D(1)}
        AccountMetrics.objects.create(
            organization_id=account.organization_id,
            account=account,
            day=last - timedelta(weeks=ago),
            numbers={name: str(value) for name, value in numbers.items()},
            computed_at=NOW,
        )
    trial = recipes.ask_for_trial(viewer, recipes.save_recipe(viewer, broken(weight="60"), "", NOW))
    assert recipes.run_waiting_trials(account.organization_id, NOW) == 1
    enter(viewer)
    trial.refresh_from_db()
    assert (trial.state, trial.done, trial.result["accounts"], trial.result["present_number"]) == ("done", 1, 1, 1)
    rows = {row["measure"]: row for row in trial.result["asked"]}
    pacing = rows["pacing"]
    assert (pacing["warnings"], pacing["followed"], pacing["losses"], pacing["warned"]) == (1, 1, 1, 1)
    assert pacing["lead_days"] == 21
    low, rate, high = pacing["precision"]
    assert (rate, high) == (1, 1)
    assert 0 < low < 1
    assert (rows["waste"]["warnings"], rows["waste"]["precision"], rows["waste"]["recall"][1]) == (0, None, 0)
    whole = {row["measure"]: row for row in trial.result["present"]}[""]
    assert rows[""]["warned"] == 1  # with 60 of 135 for pacing the whole score warns three weeks before
    assert rows[""]["lead_days"] == 21
    assert whole["lead_days"] == 0  # the recipe in force first sees the fall itself


def test_a_trial_that_stopped_on_its_way_is_taken_up_again(account: Account, viewer: Viewer) -> None:
    trial = recipes.ask_for_trial(viewer, recipes.save_recipe(viewer, DEFAULT, "", NOW))
    RecipeTrial.objects.filter(pk=trial.pk).update(state="running", asked_at=NOW - timedelta(minutes=5))
    Account.objects.filter(pk=account.pk).update(timezone="UTC")
    assert recipes.run_waiting_trials(account.organization_id, NOW) == 0
    assert recipes.run_waiting_trials(account.organization_id, NOW + timedelta(minutes=30)) == 1


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (None, "0.0001", "0% or less"),
        ("0.0001", "2.0001", "above 0%, up to 2%"),
        ("2.0001", None, "above 2%"),
        ("-20", "-5", "−20% to below −5%"),
        (None, "-20", "below −20%"),
        ("75", None, "75% or more"),
        ("0.70", "0.85", "0.7% to below 0.85%"),
        ("0.0001", "5", "above 0%, below 5%"),
        ("5", "15.0001", "5% to 15%"),
        ("0.1234", None, "0.1234% or more"),
        (None, None, "anything else"),
    ],
)
def test_a_band_is_told_as_people_say_it(low: str | None, high: str | None, words: str) -> None:
    assert band_words({"low": low, "high": high}, "percent") == words
    assert band_words({"low": low, "high": high}) == words.replace("%", "")
