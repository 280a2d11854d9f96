"""Which rules of a budget hold for given figures, and which one of several is worth telling. Pure.

What was spent holds or does not. Every other figure goes up and down: once it holds, it is clear again only when it
has come back by a margin, so that a figure that trembles at its threshold is told once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from math import log
from statistics import NormalDist

from consumption_cs.lib.money import exactly

ZERO, HUNDRED = Decimal(0), Decimal(100)
UNDER_USE_FROM = Decimal("0.25")  # of the period: before, a straight line means little
ENOUGH = 30  # outcomes, or finished attempts: fewer say nothing about a cost or a rate
MARGIN = Decimal("0.05")  # of a threshold, by which a figure must come back
PACE_MARGIN = Decimal("0.2")  # a pace swings more
CHANCE_MARGIN = Decimal(10)  # percentage points
_Z90 = NormalDist().inv_cdf(0.9)

ACTUAL = ("actual_percent", "actual_amount")
FORECAST = ("forecast_over", "forecast_p50", "forecast_p90")
PACES = {"velocity_fast": (1, 6), "velocity_slow": (6, 72)}  # hours of the two windows, both of which must exceed
BELOW = ("balance_below", "days_below", "under_use", "success_below")  # these hold when the figure is below


class Verdict(Enum):
    """HOLDS: reached. CLEAR: not reached, and back by the margin. OPEN: between, or not known."""

    HOLDS = "holds"
    CLEAR = "clear"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Fan:
    """What the period will have cost at its end: P10, P50 and P90 of the total, in the account's currency."""

    p10: Decimal
    p50: Decimal
    p90: Decimal


@dataclass(frozen=True, slots=True)
class Figures:
    """What rules look at. Money in the account's currency; None: not known, and no rule about it holds or clears.

    `hours`: how long the period is; `elapsed`: the share of it that has passed; `windows`: what was spent in the last
    1, 6 and 72 hours, empty if not known.
    """

    amount: Decimal
    used: Decimal
    elapsed: Decimal
    hours: Decimal
    windows: dict[int, Decimal]
    fan: Fan | None = None
    remaining: Decimal | None = None
    days_left: int | None = None
    outcomes: Decimal = ZERO
    finished: int = 0
    successes: int = 0

    @property
    def p_over(self) -> float | None:
        """Probability that the period costs more than the budget."""
        return None if self.fan is None else chance_over(self.amount, self.fan)

    def pace(self, hours: int) -> Decimal:
        """Spend of the last `hours` in times of what the budget allows on average."""
        return self.windows[hours] * self.hours / (self.amount * hours)

    @property
    def unit_cost(self) -> Decimal | None:
        return self.used / self.outcomes if self.outcomes >= ENOUGH else None

    @property
    def success_percent(self) -> Decimal | None:
        return Decimal(self.successes) * HUNDRED / self.finished if self.finished >= ENOUGH else None

    @property
    def under_use_percent(self) -> Decimal | None:
        """Spent so far in percent of a straight line; None in the first quarter of the period."""
        return self.used * HUNDRED / (self.amount * self.elapsed) if self.elapsed >= UNDER_USE_FROM else None


def chance_over(amount: Decimal, fan: Fan) -> float:
    """Return the probability that a total exceeds `amount`: 0 to 1.

    On either side of P50 the logs are normal, with the width that P10 or P90 gives. A total without any width is over
    or not.
    """
    floor = float(max(fan.p50, fan.p90)) * 1e-6 + 1e-12
    low, middle, high = (log(max(float(one), 0.0) + floor) for one in (fan.p10, fan.p50, fan.p90))
    here = log(max(float(amount), 0.0) + floor)
    width = (high - middle if here >= middle else middle - low) / _Z90
    if width <= 1e-9:
        return 1.0 if here < middle else 0.0
    return 1.0 - NormalDist().cdf((here - middle) / width)


@exactly
def reached_at(kind: str, value: Decimal, amount: Decimal) -> Decimal:
    """Return the amount at which a rule on what was spent is reached."""
    return amount * value / HUNDRED if kind == "actual_percent" else value


@exactly
def verdict(kind: str, value: Decimal, figures: Figures) -> Verdict:
    """Say whether a rule holds. Reaching a threshold exactly counts, and so does a balance of zero at zero."""
    if kind in ACTUAL:
        return Verdict.HOLDS if figures.used >= reached_at(kind, value, figures.amount) else Verdict.CLEAR
    if kind in PACES:
        return _pace(kind, value, figures)
    if kind in FORECAST and figures.used >= figures.amount:
        return Verdict.OPEN  # it has happened: nothing is left to forecast
    figure = figure_of(kind, figures)
    if figure is None:
        return Verdict.OPEN
    if kind in BELOW:
        return _below(kind, figure, value)
    margin = CHANCE_MARGIN if kind == "forecast_over" else value * MARGIN
    return Verdict.HOLDS if figure >= value else Verdict.CLEAR if figure < value - margin else Verdict.OPEN


def figure_of(kind: str, figures: Figures) -> Decimal | None:
    """Return the figure that a rule of this kind compares with its value, in its unit; None: not known."""
    if kind in ACTUAL:
        return figures.used * HUNDRED / figures.amount if kind == "actual_percent" else figures.used
    if kind in PACES:
        return min(figures.pace(hours) for hours in PACES[kind]) if figures.windows else None
    if kind in FORECAST:
        return _forecast_figure(kind, figures)
    known: dict[str, Decimal | None] = {
        "balance_below": figures.remaining,
        "days_below": None if figures.days_left is None else Decimal(figures.days_left),
        "under_use": figures.under_use_percent,
        "unit_cost": figures.unit_cost,
        "success_below": figures.success_percent,
    }
    return known[kind]


def _forecast_figure(kind: str, figures: Figures) -> Decimal | None:
    if figures.fan is None:
        return None
    if kind == "forecast_over":
        return round(Decimal(chance_over(figures.amount, figures.fan)) * HUNDRED, 4)
    total = figures.fan.p50 if kind == "forecast_p50" else figures.fan.p90
    return total * HUNDRED / figures.amount


def _pace(kind: str, value: Decimal, figures: Figures) -> Verdict:
    if not figures.windows:
        return Verdict.OPEN
    short, long = (figures.pace(hours) for hours in PACES[kind])
    if short >= value and long >= value:
        return Verdict.HOLDS
    return Verdict.CLEAR if short < value * (1 - PACE_MARGIN) else Verdict.OPEN


def _below(kind: str, figure: Decimal, value: Decimal) -> Verdict:
    if figure < value or figure == value == 0:
        return Verdict.HOLDS
    return Verdict.CLEAR if figure > value * (1 + MARGIN) else Verdict.OPEN


@exactly
def loudest(crossed: Sequence[tuple[str, Decimal]], amount: Decimal) -> set[tuple[str, Decimal]]:
    """Return the crossings (kind, value) to tell of those that happened at once: the farthest of each family.

    Percentages and amounts of what was spent are one family, every other kind is one of its own.
    """
    best: dict[str, tuple[Decimal, tuple[str, Decimal]]] = {}
    for kind, value in crossed:
        family = "actual" if kind in ACTUAL else kind
        rank = reached_at(kind, value, amount) if kind in ACTUAL else -value if kind in BELOW else value
        if family not in best or rank > best[family][0]:
            best[family] = (rank, (kind, value))
    return {one for _, one in best.values()}


def severity_of(kind: str, value: Decimal, amount: Decimal) -> str:
    """Return how serious a rule is when it holds: info, warning or critical."""
    if kind in ACTUAL:
        percent = reached_at(kind, value, amount) * HUNDRED / amount
        return "critical" if percent >= HUNDRED else "warning" if percent >= 75 else "info"
    if kind == "balance_below":
        return "critical" if value == 0 else "warning"
    if kind == "days_below":
        return "critical" if value <= 7 else "warning"
    if kind in ("under_use", "new_source"):
        return "info"
    return "critical" if kind == "velocity_fast" else "warning"
