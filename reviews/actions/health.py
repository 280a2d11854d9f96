"""Scores accounts by the recipe in force and keeps the score of each day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from accounts.models import Organization
from reviews.calc.health import Health, health
from reviews.calc.metrics import Values
from reviews.calc.recipes import DEFAULT, facts_of, inputs_of, labels_of, recipe_from
from reviews.models import HealthDay, HealthRecipe


@dataclass(frozen=True, slots=True)
class Scored:
    """What is scored: an account's metrics of a local day, and how many days old the account is."""

    account_id: UUID
    day: date
    values: Values
    age_days: int


def recipe_in_force(organization_id: UUID, now: datetime) -> HealthRecipe:
    """Return the recipe that scores at `now`: that with the latest `in_force_from`; the default is made if none is.

    Before the first came into force, the first.
    """
    made = HealthRecipe.objects.filter(organization_id=organization_id, in_force_from__isnull=False)
    found = made.filter(in_force_from__lte=now).order_by("-in_force_from").first() or made.order_by("number").first()
    if found is not None:
        return found
    began = Organization.objects.only("created_at").get(pk=organization_id).created_at
    recipe, _ = HealthRecipe.objects.get_or_create(
        organization_id=organization_id,
        number=1,
        defaults={"body": DEFAULT, "note": "The recipe every organization begins with.", "in_force_from": began},
    )
    return recipe


def score_day(organization_id: UUID, now: datetime, rows: Sequence[Scored]) -> dict[UUID, HealthDay]:
    """Score each account by the recipe in force at `now` and keep it for its day, in place of an earlier score.

    Within the caller's transaction; two statements beside the recipe.
    """
    recipe = recipe_in_force(organization_id, now)
    read, labels = recipe_from(recipe.body), labels_of(recipe.body)
    found = []
    for row in rows:
        numbers = {name: value.value for name, value in row.values.items()}
        reasons = {name: value.reason for name, value in row.values.items()}
        scored = health(read, inputs_of(read, numbers, reasons), facts_of(numbers), age_days=row.age_days)
        found.append(
            HealthDay(
                organization_id=organization_id,
                account_id=row.account_id,
                day=row.day,
                recipe=recipe,
                score=scored.score,
                reason=scored.reason,
                parts=parts_of(scored, labels),
                forced=list(scored.forced),
                computed_at=now,
            )
        )
    HealthDay.objects.bulk_create(
        found,
        update_conflicts=True,
        unique_fields=["organization", "account", "day"],
        update_fields=["recipe", "score", "reason", "parts", "forced", "computed_at"],
    )
    return {row.account_id: row for row in found}


def parts_of(scored: Health, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the parts as they are kept: texts for decimals, null where a measure is not known."""
    return [
        {
            "measure": part.measure,
            "label": labels.get(part.measure, part.measure),
            "weight": _text(part.weight.quantize(Decimal("0.01"))),
            "points": _text(part.points),
            "value": _text(part.value),
            "reason": part.reason,
        }
        for part in scored.parts
    ]


def _text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)
