"""An allowance in sentences: it is given anew, so it never runs out; use goes over it or stays within."""

from datetime import date

from budgets.models import ForecastRun
from budgets.reports.allowance import Allowance
from consumption_cs.lib.display import counted
from usage.reports.overview_words import Fact, Words, whole

EVEN = 0.5


def short_day(day: date, today: date) -> str:
    """ "Mar 14", with the year when it is not this one."""
    year = "" if day.year == today.year else f", {day.year}"
    return f"{day:%b} {day.day}{year}"


def chance_text(share: float) -> str:
    """ "97 in 100"; never certain, since a forecast is not."""
    if share > 0.985:
        return "over 98 in 100"
    if share < 0.015:
        return "under 2 in 100"
    return f"{share * 100:.0f} in 100"


def headline(allowance: Allowance, run: ForecastRun) -> list[Words]:
    """The one sentence on top."""
    beyond = allowance.beyond
    if beyond is None or allowance.p_over is None:
        left = whole(allowance.left, run.currency)
        return [Words(left, strong=True), Words(f" of this {allowance.noun}'s allowance is left.")]
    if allowance.p_over >= EVEN and beyond > 0:
        over = f"{whole(beyond, run.currency)} over"
        return [
            Words("Use will most likely go "),
            Words(over, strong=True),
            Words(f" this {allowance.noun}'s allowance."),
        ]
    return [
        Words("Use most likely "),
        Words("stays within", strong=True),
        Words(f" this {allowance.noun}'s allowance."),
    ]


def lead(allowance: Allowance, run: ForecastRun, today: date) -> str:
    """What is left until when, what use will take until then, and how the last ones went."""
    ends = short_day(allowance.window.ends_on, today)
    left, given = whole(allowance.left, run.currency), whole(allowance.given, run.currency)
    parts = [f"{left} is left until {ends}, when {given} is given anew."]
    if allowance.middle is not None and allowance.low is not None and allowance.high is not None:
        middle, low, high = (whole(one, run.currency) for one in (allowance.middle, allowance.low, allowance.high))
        parts.append(f"Use until then is most likely {middle} (8 in 10: {low} to {high}).")
    if allowance.before:
        parts.append(_past(allowance))
    return " ".join(parts)


def _past(allowance: Allowance) -> str:
    count, times = counted(len(allowance.before), allowance.noun), allowance.times_over
    return f"It was used up early in {times or 'none'} of the last {count}."


def facts(allowance: Allowance, run: ForecastRun) -> list[Fact]:
    """The four facts under the headline."""
    used = f"{whole(allowance.used, run.currency)} used since it began"
    found = [Fact("Left", whole(allowance.left, run.currency), f"of {whole(allowance.given, run.currency)}; {used}")]
    if allowance.middle is not None and allowance.low is not None and allowance.high is not None:
        low, high = whole(allowance.low, run.currency), whole(allowance.high, run.currency)
        found.append(Fact("Use until it refills", whole(allowance.middle, run.currency), f"{low} to {high}"))
    if allowance.p_over is not None:
        tone = "bad" if allowance.p_over >= EVEN else ""
        found.append(Fact("Chance of going over", chance_text(allowance.p_over), "", tone))
    if allowance.before:
        past = f"{allowance.times_over} of {counted(len(allowance.before), allowance.noun)}"
        found.append(Fact("Used up early before", past))
    return found
