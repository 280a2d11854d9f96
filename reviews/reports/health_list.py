"""Health over all accounts: how it is spread, and what moved in a week."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from reviews.models import HealthRecipe
from reviews.reports.health import HealthShown, scores, shown_health

BANDS = {"good": "80 and more", "fair": "60 to 79", "poor": "below 60", "none": "not scored"}


@dataclass(slots=True)
class HealthLine:
    """One account, its score now and a week ago. `health` is filled for the lines that are shown."""

    account: Account
    score: Decimal | None
    before: Decimal | None
    health: HealthShown = field(default_factory=HealthShown)

    @property
    def band(self) -> str:
        return HealthShown(self.score).band

    @property
    def moved(self) -> Decimal | None:
        """Points since a week ago; None where one of them is not known."""
        return None if self.score is None or self.before is None else self.score - self.before


def health_lines(viewer: Viewer, now: datetime, band: str = "", words: str = "") -> list[HealthLine]:
    """Return the accounts that the viewer sees, the lowest score first, those not scored last. Three queries."""
    accounts = list(Account.objects.visible_to(viewer).select_related("csm").order_by("name"))
    ids = [account.pk for account in accounts]
    found = scores(viewer.organization_id, ids, now)
    before = scores(viewer.organization_id, ids, now - timedelta(days=7), now.date() - timedelta(days=8))
    lines = [HealthLine(account, found.get(account.pk), before.get(account.pk)) for account in accounts]
    wanted = words.lower().split()
    chosen = [
        line
        for line in lines
        if (not band or line.band == band)
        and all(word in f"{line.account.name} {line.account.key}".lower() for word in wanted)
    ]
    return sorted(chosen, key=lambda line: (line.score is None, line.score or 0, line.account.name.lower()))


def fill(viewer: Viewer, now: datetime, lines: Sequence[HealthLine]) -> None:
    """Add what is told of these lines: two queries."""
    found = shown_health(viewer.organization_id, [line.account.pk for line in lines], now)
    for line in lines:
        line.health = found[line.account.pk]


def spread(lines: Sequence[HealthLine]) -> dict[str, int]:
    """Return how many accounts are in each band."""
    counts: dict[str, int] = defaultdict(int)
    for line in lines:
        counts[line.band] += 1
    return {band: counts[band] for band in BANDS}


def recipes(viewer: Viewer) -> list[HealthRecipe]:
    """Return the organization's recipes, the newest first, with their trials."""
    rows = HealthRecipe.objects.visible_to(viewer).select_related("created_by").prefetch_related("trials")
    return list(rows.order_by("-number"))
