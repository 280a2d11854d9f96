"""Health over weeks as a figure."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise

from consumption_cs.lib.figures import Figure, Numbers, Rule, Series
from reviews.reports.health import HealthShown
from usage.reports.overview_words import short_date


def weeks_chart(health: HealthShown) -> Figure | None:
    """Return the last eight weeks, or None below two known scores."""
    known = [(day, score) for day, score in health.weeks if score is not None]
    if len(known) < 2:
        return None
    first, last = known[0][1], known[-1][1]
    moved = last - first
    verb = "rose" if moved > 0 else "fell"
    headline = f"Health {verb} by {abs(moved):.0f} in eight weeks" if moved else f"Health held at {last:.0f}"
    days = [day for day, _ in known]
    return Figure(
        id="health-weeks",
        headline=headline,
        sub="One score a week, of 100.",
        summary=f"Health was {first:.0f} on {short_date(days[0])} and is {last:.0f}.",
        series=[Series("Health", days, [float(score) for _, score in known], kind="line")],
        value="count",
        unit="points",
        numbers=Numbers(["Week", "Health"], [[short_date(day), f"{score:.0f}"] for day, score in known]),
    )


def year_chart(days: Sequence[tuple[date, Decimal | None, int]]) -> Figure | None:
    """Return a year of (day, score, recipe's number) as a line; None below two known scores."""
    known = [row for row in days if row[1] is not None]
    if len(known) < 2:
        return None
    scores = [float(score or 0) for _, score, _ in known]
    low, high = min(scores), max(scores)
    changed = [Rule(f"Recipe {after[2]}", x=after[0]) for before, after in pairwise(known) if before[2] != after[2]]
    return Figure(
        id="health-year",
        headline=f"Health was between {low:.0f} and {high:.0f}, now {scores[-1]:.0f}"
        if low != high
        else f"Health has been {low:.0f} since {short_date(known[0][0])}",
        sub="Measured every night, of 100; without what people said over it.",
        summary=f"From {short_date(known[0][0])} on: lowest {low:.0f}, highest {high:.0f}, now {scores[-1]:.0f}.",
        series=[Series("Health", [day for day, _, _ in known], scores, kind="line")],
        value="count",
        unit="points",
        rules=changed,
        numbers=Numbers(
            ["Day", "Health", "Recipe"],
            [[short_date(day), f"{score:.0f}", str(number)] for day, score, number in reversed(known)],
        ),
    )
