"""Health over weeks as a figure."""

from consumption_cs.lib.figures import Figure, Numbers, Series
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
