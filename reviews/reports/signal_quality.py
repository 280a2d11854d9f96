"""How good early warnings are, by kind: what people said of them, and what happened after them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import Count, Q
from django.db.models.fields.json import KeyTextTransform

from consumption_cs.lib.display import counted
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.back_test import Tally, Week, count, losses
from reviews.calc.signals import KINDS
from reviews.models import AccountMetrics, Signal
from usage.calc.intervals import wilson

YEAR = timedelta(weeks=52)
CLOSED = timedelta(days=2)  # by then a day is over in every zone


@dataclass(frozen=True, slots=True)
class SignalQuality:
    """Warnings of one kind: `raised` ever and `open` now; useful ÷ judged by people; `tally` of the last 52 weeks.

    Ratios come with their Wilson intervals; None without anything to divide by.
    """

    kind: str
    label: str
    open: int
    raised: int
    useful: int
    judged: int
    tally: Tally

    @property
    def usefulness(self) -> float | None:
        """Useful ÷ judged."""
        return self.useful / self.judged if self.judged else None

    @property
    def usefulness_interval(self) -> tuple[float, float] | None:
        return wilson(self.useful, self.judged) if self.judged else None

    @property
    def precision(self) -> float | None:
        """Warnings that a loss followed within 90 days ÷ those old enough to tell."""
        return self.tally.followed / self.tally.warnings if self.tally.warnings else None

    @property
    def precision_interval(self) -> tuple[float, float] | None:
        return wilson(self.tally.followed, self.tally.warnings) if self.tally.warnings else None

    @property
    def recall(self) -> float | None:
        """Losses that a warning preceded by up to 90 days ÷ all losses."""
        return self.tally.warned / self.tally.losses if self.tally.losses else None


def signal_quality(viewer: Viewer, now: datetime) -> list[SignalQuality]:
    """Return the kinds of warning that were ever raised, the most precise first. Three queries.

    Losses and how a warning is judged by them are those of a recipe's trial (`reviews.calc.back_test`).
    """
    end = now.date() - CLOSED
    warnings = _warnings(viewer, end - YEAR)
    began = _losses(viewer, end)
    tallies: dict[str, Tally] = defaultdict(Tally)
    rows = Signal.objects.visible_to(viewer).values("kind").annotate(
        raised=Count("pk"),
        open=Count("pk", filter=Q(closed_at=None)),
        judged=Count("pk", filter=~Q(feedback="")),
        useful=Count("pk", filter=Q(feedback=Signal.Feedback.USEFUL)),
    )  # fmt: skip
    found = []
    for row in rows:
        kind = row["kind"]
        for account in warnings[kind].keys() | began.keys():
            count(tallies[kind], warnings[kind].get(account, []), began.get(account, []), end)
        label = KINDS[kind].label if kind in KINDS else kind
        told = row["open"], row["raised"], row["useful"], row["judged"]
        found.append(SignalQuality(kind, label, *told, tallies[kind]))
    return sorted(found, key=lambda one: (-(one.precision or 0), -one.tally.warnings, -one.raised, one.label))


def quality_headline(quality: Sequence[SignalQuality]) -> str:
    """What they come to, in a sentence."""
    told = [one for one in quality if one.tally.warnings]
    if not quality:
        return "No warning was raised yet"
    if not told:
        return "Too early to tell what follows a warning"
    best = told[0]
    if not best.tally.followed:
        return f"No loss followed any of {counted(sum(one.tally.warnings for one in told), 'warning')}"
    return f"“{best.label}” was right most often: {best.tally.followed} of {best.tally.warnings} came before a loss"


def _warnings(viewer: Viewer, since: date) -> dict[str, dict[UUID, list[date]]]:
    """Return {kind: {account: days on which one began}}."""
    found: dict[str, dict[UUID, list[date]]] = defaultdict(lambda: defaultdict(list))
    rows = Signal.objects.visible_to(viewer).filter(opened_on__gte=since).order_by("opened_on")
    for kind, account, day in rows.values_list("kind", "account_id", "opened_on"):
        found[kind][account].append(day)
    return found


def _losses(viewer: Viewer, end: date) -> dict[UUID, list[date]]:
    """Return the days on which a loss began, for each account that had one, looking at it week by week."""
    days = [end - timedelta(weeks=ago) for ago in range(YEAR // timedelta(weeks=1) + 1)]
    rows = AccountMetrics.objects.visible_to(viewer).filter(day__in=days, numbers__has_key="change_28")
    weeks: dict[UUID, list[Week]] = defaultdict(list)
    changes = rows.order_by("account_id", "day").values_list(
        "account_id", "day", KeyTextTransform("change_28", "numbers")
    )
    for account, day, change in changes:
        weeks[account].append(Week(day, {}, Decimal(change)))
    found = {account: losses(own) for account, own in weeks.items()}
    return {account: began for account, began in found.items() if began}
