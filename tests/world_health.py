"""What was measured of an account of the world, a warning about it, a person's word, and a recipe with its trial."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from accounts.models import Account, User
from reviews.calc.recipes import DEFAULT
from reviews.models import AccountMetrics, HealthDay, HealthOverride, HealthRecipe, RecipeTrial, Signal

MEASURED = {"pacing": "1.31", "change_28": "-38.0000", "at_risk": "86753.09", "silent_days": "8"}


@dataclass
class Scored:
    """Rows of one account by what they are; the recipe is its organization's."""

    recipe: HealthRecipe
    signal: Signal


def make_scored(account: Account, by: User, canary: str, now: datetime) -> Scored:
    """Write one of each, all of whose texts contain the canary; the recipe is made once for an organization."""
    own: dict[str, Any] = {"organization": account.organization, "account": account}
    recipe = _recipe(account, by, canary, now)
    day = (now - timedelta(days=1)).date()
    part = {"measure": "pacing", "label": canary, "weight": "25.00", "points": "7.5", "value": "1.31", "reason": ""}
    for ago, score in ((0, "58"), (7, "71")):
        then = {"day": day - timedelta(days=ago), "computed_at": now - timedelta(days=ago)}
        AccountMetrics.objects.create(
            **own, **then, numbers=MEASURED, reasons={"margin_percent": canary}, inputs={"at_risk": {"words": canary}}
        )
        HealthDay.objects.create(**own, **then, recipe=recipe, score=Decimal(score), parts=[part], forced=["silent"])
    HealthOverride.objects.create(
        **own, score=64, reason=canary, by=by, starts_at=now - timedelta(days=1), ends_at=now + timedelta(days=9)
    )
    signal = Signal.objects.create(
        **own, kind="falling", headline=f"{canary} fell", opened_on=day, opened_at=now, seen_on=day,
        evidence={"metric": "change_28", "value": "-38"},
    )  # fmt: skip
    return Scored(recipe, signal)


def _recipe(account: Account, by: User, canary: str, now: datetime) -> HealthRecipe:
    organization = account.organization
    found = HealthRecipe.objects.filter(organization=organization).first()
    if found is not None:
        return found
    first, *others = DEFAULT["measures"]
    body = DEFAULT | {"measures": [first | {"label": canary}, *others]}
    recipe = HealthRecipe.objects.create(
        organization=organization, number=1, body=body, note=canary, created_by=by, in_force_from=now
    )
    RecipeTrial.objects.create(organization=organization, recipe=recipe, state="failed", problem=canary, asked_by=by)
    return recipe
