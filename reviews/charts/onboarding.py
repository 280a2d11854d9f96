"""The cohort's curve: which share had its first billable event by each day of the contract, with its 95 % range."""

from collections.abc import Sequence

from consumption_cs.lib.display import counted, percent_text
from consumption_cs.lib.figures import Figure, Numbers, Rule, Series
from reviews.calc.onboarding import FirstValue, Step, cohort_curve, median_days

LONGEST = 120  # days drawn; the table has all steps


def cohort_figure(cohort: Sequence[FirstValue], target: int, csv_url: str) -> Figure | None:
    """Return the share that began by day, as Kaplan and Meier estimate it; None for a cohort of nobody."""
    if not cohort:
        return None
    steps = cohort_curve(cohort)
    last = max([target + 2, *(step.day for step in steps), *(one.waiting or 0 for one in cohort)])
    days = range(min(last, max(LONGEST, target + 2)) + 1)
    by_day = {step.day: (1 - step.waiting, 1 - step.high, 1 - step.low) for step in steps}
    x: list[str] = []
    points: list[tuple[float, float, float]] = []
    now = (0.0, 0.0, 0.0)
    for day in days:
        after = by_day.get(day, now)
        for point in [now, after] if after != now else [now]:  # both ends of a step stand on its day
            x.append(str(day))
            points.append(point)
        now = after
    headline = _headline(cohort, target)
    return Figure(
        id="cohort",
        headline=headline,
        sub="Share with a first billable event, by days since the contract began. Who still waits counts until today.",
        summary=f"Step chart of the share that has begun by day. {headline}. A table below has the numbers.",
        series=[
            Series("", x, [low for _, low, _ in points], "fan", "band"),
            Series("95% range", x, [high for _, _, high in points], "fan", "band"),
            Series("Have begun", x, [share for share, _, _ in points], "line"),
        ],
        rules=[Rule(f"Target: day {target}", x=str(target))],
        value="percent",
        csv_url=csv_url,
        numbers=Numbers(
            ["By day", "Have begun", "95% range"],
            [
                [
                    f"Day {step.day}",
                    percent_text(1 - step.waiting),
                    range_text(step),
                ]
                for step in steps
            ],
        ),
    )


def range_text(step: Step, places: int = 1) -> str:
    """The 95 % range of who has begun; none where all have, since then nothing is left to vary."""
    if step.low == step.high:
        return "all have begun"
    return f"{percent_text(1 - step.high, places=places)} to {percent_text(1 - step.low, places=places)}"


def _headline(cohort: Sequence[FirstValue], target: int) -> str:
    median = median_days(cohort)
    by_target = [step for step in cohort_curve(cohort) if step.day <= target]
    if median is None:
        return f"Fewer than half of {counted(len(cohort), 'account')} have begun"
    begun = percent_text(1 - by_target[-1].waiting, places=0) if by_target else "none"
    return f"Half began by day {median}; {begun} by the target of {target} days"
