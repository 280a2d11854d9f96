"""The overview in sentences: the headline, what explains it, the status, the facts and what changed this week."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from consumption_cs.lib.display import counted, listed, money_text, percent_text, quantity_text, unit_price_text
from consumption_cs.lib.money import exponent, round_lines
from usage.calc.pace import LastDays, Month
from usage.reports.overview import Figures, Overview, WorkflowLine

CALM = Decimal("0.10")
LOUD = Decimal("0.25")


@dataclass(frozen=True, slots=True)
class Words:
    """Part of a sentence; `strong` parts are the figures that the eye should find."""

    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact under the headline, in the shape that the facts component reads."""

    label: str
    value: str
    note: str = ""
    tone: str = ""
    none: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """One line of "what changed this week"."""

    amount: str
    title: str
    detail: str
    tone: str


def whole(amount: Decimal | None, currency: str) -> str:
    """Money without its cents, but with them below ten: nothing that was spent is shown as nothing."""
    if amount is None:
        return "not priced yet"
    small = 0 < abs(amount) < 10
    return money_text(amount, currency) if small else money_text(amount, currency, places=0)


def short_date(day: date) -> str:
    return f"{day:%b} {day.day}"


def month_name(month: Month) -> str:
    """ "November", with the year when it is not this one; "the last 90 days", "the 90 days before"."""
    if isinstance(month, LastDays):
        return "the last 90 days" if month.end == month.today else "the 90 days before"
    year = "" if month.first.year == month.today.year else f" {month.first.year}"
    return f"{month.first:%B}{year}"


def period_label(month: Month) -> str:
    """The days that the numbers cover: "November 2026 · day 22 of 30", "Aug 24 to Nov 21"."""
    if isinstance(month, LastDays):
        return f"{short_date(month.first)} to {short_date(month.last)}"
    running = f" · day {month.today.day} of {month.length}" if month.is_running else ""
    return f"{month.first:%B %Y}{running}"


def headline(seen: Overview, who: str) -> list[Words]:
    """What was used and where it is going. `who` is "You" or the account's name."""
    currency, month = seen.account.currency, seen.month
    spent = Words(whole(seen.total.spend, currency), strong=True)
    if seen.total.events == 0:
        tense = "nothing so far in" if month.is_running else "nothing in"
        return [Words(f"{who} used {tense} {month_name(month)}.")]
    if seen.total.spend is None:
        events = Words(counted(seen.total.events, "event"), strong=True)
        return [Words(f"{who} sent "), events, Words(f" in {month_name(month)}; they have no price yet.")]
    if not seen.total.spend:
        events = Words(counted(seen.total.events, "event"), strong=True)
        so_far = " so far" if month.is_running else ""
        return [Words(f"{who} sent "), events, Words(f"{so_far} in {month_name(month)}; none of them cost anything.")]
    if not month.is_running:
        return [Words(f"{who} used "), spent, Words(f" in {month_name(month)}.")]
    start = [Words(f"{who} used "), spent, Words(f" so far in {month_name(month)}")]
    if seen.projection is None:
        return [*start, Words(".")]
    ahead = Words(whole(seen.projection, currency), strong=True)
    return [*start, Words("; at this pace "), ahead, Words(f" by {short_date(month.last)}.")]


def lead(seen: Overview) -> str:
    """What the headline rests on, and what is different from the month before."""
    sentences = [
        sentence for sentence in (_against_before(seen), _pace(seen), _failures(seen), _usual(seen)) if sentence
    ]
    return " ".join(sentences)


def _pace(seen: Overview) -> str:
    if not seen.month.is_running or not seen.total.spend:
        return ""
    if seen.projection is None:
        return "The pace is known once the first day of the month is over."
    days = counted(seen.month.closed, "day")
    if seen.first_day is not None and seen.first_day > seen.month.first:
        began = f"the line counts the days before usage began on {short_date(seen.first_day)} too"
        return f"The pace is a straight line through the {days} that are over, not a forecast; {began}."
    return f"The pace is a straight line through the {days} that are over, not a forecast."


def _failures(seen: Overview) -> str:
    """Said when nothing worked at all: the one thing that somebody has to look at."""
    finished = seen.total.finished
    if not finished or seen.total.successes:
        return ""
    return "The one finished run failed." if finished == 1 else f"All {quantity_text(finished)} finished runs failed."


def _against_before(seen: Overview) -> str:
    if seen.change is None:
        return ""
    currency = seen.account.currency
    days, before = counted(seen.month.compared, "day"), month_name(seen.month.before)
    period = f"the same {days} of {before}" if seen.month.is_running else before
    if abs(seen.change) < Decimal("0.005"):
        return f"That is level with {period}."
    more = "more" if seen.change > 0 else "less"
    because = f", mostly because of {seen.driver.name}" if seen.driver else ""
    percent = percent_text(abs(seen.change), places=0)
    return f"{percent} {more} than {period} ({whole(seen.before.spend, currency)}){because}."


def _usual(seen: Overview) -> str:
    trend, currency = seen.trend, seen.account.currency
    if not trend.weekday or trend.shape == "too early":
        return ""
    weekend = f" and a weekend day {whole(trend.weekend, currency)}" if trend.weekend else ""
    return f"A usual weekday costs {whole(trend.weekday, currency)}{weekend}."


def status(seen: Overview) -> tuple[str, str]:
    """Return the words and tone of the status light. Without a budget nothing is "on track": none is claimed."""
    if seen.total.unpriced:
        return "Prices missing", "warn"
    if seen.total.finished and not seen.total.successes:
        return "Every run failed", "bad"
    if seen.month.closed == seen.month.length and not isinstance(seen.month, LastDays):
        return "Month closed", ""
    if seen.change is None or seen.month.closed < 3:
        return "Too early to compare", "info"
    if abs(seen.change) <= CALM:
        return "Steady", "good"
    percent = percent_text(abs(seen.change), places=0)
    tone = "warn" if abs(seen.change) > LOUD else "info"
    return (f"Up {percent}" if seen.change > 0 else f"Down {percent}"), tone


def facts(seen: Overview) -> list[Fact]:
    return [_projection(seen), _same_days(seen), _success(seen), _outcomes(seen)]


def _projection(seen: Overview) -> Fact:
    currency, month = seen.account.currency, seen.month
    if not month.is_running:
        return Fact(
            "All 90 days" if isinstance(month, LastDays) else "Whole month",
            whole(seen.total.spend, currency),
            none=seen.total.spend is None,
        )
    label = f"Straight projection, {short_date(month.last)}"
    if seen.projection is None:
        return Fact(label, "needs one full day", none=True)
    if not seen.projection:
        return Fact(label, "nothing to project", none=True)
    note = ""
    if seen.whole_before.spend:
        note = f"{month_name(month.before)} was {whole(seen.whole_before.spend, currency)}"
    return Fact(label, whole(seen.projection, currency), note)


def _same_days(seen: Overview) -> Fact:
    before = month_name(seen.month.before)
    label = f"Against the same {counted(seen.month.compared, 'day')} of {before}"
    if not seen.month.is_running:
        label = f"Against {before}"
    if seen.change is None:
        return Fact(label, "nothing to compare with", none=True)
    return Fact(
        label, percent_text(seen.change, places=1, signed=True), whole(seen.before.spend, seen.account.currency)
    )


def _success(seen: Overview) -> Fact:
    total = seen.total
    if total.success_rate is None:
        return Fact("Success rate", "no run said how it ended", none=True)
    if not total.is_sure:
        return Fact("Success rate", f"needs 30 finished runs, has {total.finished}", none=True)
    low, high = total.interval or (0.0, 0.0)
    label, points = f"Success rate, likely {percent_text(low)} to {percent_text(high)}", seen.success_change
    if points is None:
        return Fact(label, percent_text(total.success_rate))
    arrow = "level with" if abs(points) < Decimal("0.05") else f"{'▲' if points > 0 else '▼'} {abs(points):.1f} pt on"
    tone = "" if abs(points) < Decimal("0.05") else "good" if points > 0 else "bad"
    return Fact(label, percent_text(total.success_rate), f"{arrow} {month_name(seen.month.before)}", tone)


def _outcomes(seen: Overview) -> Fact:
    total = seen.total
    if total.outcomes:
        each = total.unit_cost
        note = "" if each is None else f"{unit_price_text(each, seen.account.currency)} each on average"
        return Fact("Outcomes", quantity_text(total.outcomes, places=0), note)
    if not seen.total.events:
        return Fact("Events", "none yet", none=True)
    used = sum(1 for line in seen.workflows if line.id and line.month.events)
    return Fact("Events", quantity_text(seen.total.events), f"in {counted(used, 'workflow')}" if used else "")


def moves(seen: Overview, most: int = 4) -> list[Move]:
    """This week against the week before, workflow by workflow; the rest in one line, so that all adds up."""
    changed = seen.changed
    shown, rest = (changed[: most - 1], changed[most - 1 :]) if len(changed) > most else (changed, [])
    amounts = [line.week_change for line in shown]
    if rest:
        amounts.append(sum((line.week_change for line in rest), Decimal(0)))
    texts = _amounts(amounts, seen.account.currency)
    lines = [
        Move(text, line.name, _why(line, seen), "good" if line.week_change < 0 else "")
        for text, line in zip(texts, shown, strict=False)
    ]
    if rest:
        lines.append(Move(texts[-1], f"{len(rest)} more workflows", listed([line.name for line in rest[:3]]), ""))
    return lines


def _amounts(amounts: list[Decimal], currency: str) -> list[str]:
    """Signed money, all with or all without cents, rounded so that what is shown adds up to the total shown."""
    places = exponent(currency) if any(abs(amount) < 10 for amount in amounts) else 0
    return [money_text(line, currency, places=places, signed=True) for line in round_lines(amounts, places)]


def week_total(seen: Overview, shown: list[Move]) -> str:
    """The total under the moves, with as many decimals as they have."""
    places = exponent(seen.account.currency) if any("." in move.amount for move in shown) else 0
    return money_text(seen.week_change, seen.account.currency, places=places, signed=True)


def _why(line: WorkflowLine, seen: Overview) -> str:
    """The plainest difference between the two weeks: how much was run, what a run costs, how often it works."""
    now, then = line.this_week, line.last_week
    if then.events == 0:
        return "New this week."
    if now.events == 0:
        return "Nothing this week."
    return " ".join(filter(None, [_volume(now, then), _reliability(now, then)]))


def _volume(now: Figures, then: Figures) -> str:
    more = Decimal(now.events) / then.events - 1
    if abs(more) >= Decimal("0.05"):
        words = "more" if more > 0 else "fewer"
        return f"{percent_text(abs(more), places=0)} {words} events ({quantity_text(now.events)})."
    per_event = (now.spend or Decimal(0)) / now.events, (then.spend or Decimal(0)) / then.events
    if per_event[1] and abs(per_event[0] / per_event[1] - 1) >= Decimal("0.02"):
        words = "more" if per_event[0] > per_event[1] else "less"
        return f"An event costs {percent_text(abs(per_event[0] / per_event[1] - 1), places=0)} {words}."
    return "About as many events as the week before."


def _reliability(now: Figures, then: Figures) -> str:
    if not (now.is_sure and then.is_sure and now.success_rate is not None and then.success_rate is not None):
        return ""
    if abs(now.success_rate - then.success_rate) < Decimal("0.02"):
        return ""
    words = "fell" if now.success_rate < then.success_rate else "rose"
    return f"Success {words} from {percent_text(then.success_rate)} to {percent_text(now.success_rate)}."
