"""Health recipes: a new one is written, tried on the last twelve months, and switched on."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Max

from accounts.actions.audit import audit
from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.actions.health import recipe_in_force
from reviews.actions.measure import measure_days
from reviews.calc.back_test import WHOLE, Tally, Week, back_test
from reviews.calc.health import Recipe, health, measure_scores
from reviews.calc.recipes import RecipeError, facts_of, inputs_of, labels_of, recipe_from
from reviews.models import AccountMetrics, HealthRecipe, RecipeTrial
from usage.calc.intervals import wilson

WEEKS = 52
BLOCK = 100  # accounts whose weeks are held in memory at once
STUCK = timedelta(minutes=20)


def save_recipe(viewer: Viewer, body: Mapping[str, Any], note: str, now: datetime) -> HealthRecipe:
    """Keep a new recipe that is not in force yet. Raises ValidationError with everything that is wrong with it."""
    try:
        recipe_from(body)
    except RecipeError as problem:
        raise ValidationError(problem.problems) from problem
    recipe_in_force(viewer.organization_id, now)  # the first number is the default's
    rows = HealthRecipe.objects.filter(organization_id=viewer.organization_id)
    rows.select_for_update().order_by("pk").first()
    number = (rows.aggregate(last=Max("number"))["last"] or 0) + 1
    recipe = HealthRecipe.objects.create(
        organization_id=viewer.organization_id,
        number=number,
        body=dict(body),
        note=note.strip()[:500],
        created_by_id=viewer.user_id,
    )
    audit(viewer, "recipe.created", recipe, f"Recipe {number}", {"note": recipe.note})
    return recipe


def ask_for_trial(viewer: Viewer, recipe: HealthRecipe) -> RecipeTrial:
    """Have the recipe tried; while a trial waits or runs, that one is returned."""
    under_way = RecipeTrial.objects.filter(
        organization_id=viewer.organization_id, recipe=recipe, state__in=("waiting", "running")
    ).first()
    if under_way is not None:
        return under_way
    return RecipeTrial.objects.create(
        organization_id=viewer.organization_id, recipe=recipe, asked_by_id=viewer.user_id
    )


def switch_on(viewer: Viewer, recipe: HealthRecipe, now: datetime) -> None:
    """Score by this recipe from now on. Raises ValidationError before it was tried, and if it is in force."""
    if recipe_in_force(viewer.organization_id, now).pk == recipe.pk:
        raise ValidationError("This recipe is in force already.")
    if not recipe.trials.filter(state=RecipeTrial.State.DONE).exists():
        raise ValidationError("Try it on the last twelve months first.")
    recipe.in_force_from = now
    recipe.save(update_fields=["in_force_from"])
    audit(viewer, "recipe.switched_on", recipe, f"Recipe {recipe.number}", {})


def run_waiting_trials(organization_id: UUID, now: datetime) -> int:
    """Run the trials that wait, and those that stopped on their way; return how many."""
    done = 0
    while (trial := _take(organization_id, now)) is not None:
        try:
            result = _tried(organization_id, trial, now)
        except Exception as problem:
            _finish(organization_id, trial, RecipeTrial.State.FAILED, now, problem=str(problem)[:500])
            raise
        _finish(organization_id, trial, RecipeTrial.State.DONE, now, result=result)
        done += 1
    return done


def _take(organization_id: UUID, now: datetime) -> RecipeTrial | None:
    """Mark the oldest trial that nobody works on as running."""
    with act_as(Viewer(organization_id)):
        rows = RecipeTrial.objects.select_for_update(skip_locked=True, of=("self",)).filter(
            organization_id=organization_id
        )
        waiting = rows.filter(state=RecipeTrial.State.WAITING).order_by("asked_at").first()
        stuck = rows.filter(state=RecipeTrial.State.RUNNING, asked_at__lt=now - STUCK).order_by("asked_at").first()
        trial = waiting or stuck
        if trial is None:
            return None
        trial.state, trial.asked_at = RecipeTrial.State.RUNNING, now
        trial.todo = Account.objects.filter(organization_id=organization_id).count()
        trial.done = 0
        trial.save(update_fields=["state", "asked_at", "todo", "done"])
        return trial


def _finish(organization_id: UUID, trial: RecipeTrial, state: str, now: datetime, **fields: Any) -> None:
    with act_as(Viewer(organization_id)):
        RecipeTrial.objects.filter(pk=trial.pk, organization_id=organization_id).update(
            state=state, finished_at=now, **fields
        )


def _tried(organization_id: UUID, trial: RecipeTrial, now: datetime) -> dict[str, Any]:
    """Score every account week by week with this recipe and with the one in force, and compare with what happened."""
    last = now.date() - timedelta(days=2)  # closed in every zone
    days = [last - timedelta(weeks=ago) for ago in range(WEEKS - 1, -1, -1)]
    with act_as(Viewer(organization_id)):
        asked = HealthRecipe.objects.get(pk=trial.recipe_id, organization_id=organization_id)
        present = recipe_in_force(organization_id, now)
        recipes = {"asked": recipe_from(asked.body), "present": recipe_from(present.body)}
        labels = labels_of(asked.body) | labels_of(present.body)
        ids = list(Account.objects.filter(organization_id=organization_id).order_by("pk").values_list("pk", flat=True))
    seen: dict[str, list[list[Week]]] = {name: [] for name in recipes}
    for first in range(0, len(ids), BLOCK):
        block = ids[first : first + BLOCK]
        for pk, missing in _missing(organization_id, block, days).items():
            measure_days(organization_id, missing, [pk])
        with act_as(Viewer(organization_id)):
            kept = _kept(organization_id, block, days)
            RecipeTrial.objects.filter(pk=trial.pk).update(done=first + len(block))
        for name, recipe in recipes.items():
            seen[name] += [[_week(recipe, day, numbers) for day, numbers in rows] for rows in kept.values()]
    return {
        "weeks": WEEKS,
        "accounts": len(ids),
        "present_number": present.number,
        **{
            name: [
                _row(measure, labels.get(measure, "The whole score"), tally)
                for measure, tally in back_test(seen[name], [measure.name for measure in recipe.measures]).items()
            ]
            for name, recipe in recipes.items()
        },
    }


def _missing(organization_id: UUID, ids: list[UUID], days: list[date]) -> dict[UUID, list[date]]:
    """Return for each account the wanted days that were never measured."""
    with act_as(Viewer(organization_id)):
        kept = set(
            AccountMetrics.objects.filter(organization_id=organization_id, account__in=ids, day__in=days).values_list(
                "account_id", "day"
            )
        )
    return {pk: missing for pk in ids if (missing := [day for day in days if (pk, day) not in kept])}


def _kept(
    organization_id: UUID, ids: list[UUID], days: list[date]
) -> dict[UUID, list[tuple[date, dict[str, Decimal]]]]:
    found: dict[UUID, list[tuple[date, dict[str, Decimal]]]] = {pk: [] for pk in ids}
    rows = AccountMetrics.objects.filter(organization_id=organization_id, account__in=ids, day__in=days)
    for account, day, numbers in rows.order_by("account_id", "day").values_list("account_id", "day", "numbers"):
        found[account].append((day, {name: Decimal(text) for name, text in numbers.items()}))
    return found


def _week(recipe: Recipe, day: date, numbers: Mapping[str, Decimal | None]) -> Week:
    # How old an account was is not asked of its past: a young one is scored as soon as enough is known.
    inputs = inputs_of(recipe, numbers, {})
    whole = health(recipe, inputs, facts_of(numbers)).score
    return Week(day, measure_scores(recipe, inputs) | {WHOLE: whole}, numbers.get("change_28"))


def _row(measure: str, label: str, tally: Tally) -> dict[str, Any]:
    return {
        "measure": measure,
        "label": label,
        "warnings": tally.warnings,
        "followed": tally.followed,
        "losses": tally.losses,
        "warned": tally.warned,
        "lead_days": tally.lead,
        "precision": _interval(tally.followed, tally.warnings),
        "recall": _interval(tally.warned, tally.losses),
    }


def _interval(part: int, whole: int) -> list[float] | None:
    """[low, rate, high], each a ratio; None without any."""
    if not whole:
        return None
    ends = wilson(part, whole)
    return [float(ends[0]), part / whole, float(ends[1])] if ends else None
