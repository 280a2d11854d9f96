"""The burndown as a chart: commits as layers until today, the fan ahead, and how the date moved."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import numpy as np

from budgets.models import Commit
from budgets.reports import burndown_words as words
from budgets.reports.burndown import Burndown
from consumption_cs.lib.display import money_text
from consumption_cs.lib.figures import Figure, Mark, Numbers, Rule, Series, Tone

_TONES: dict[str, Tone] = {
    Commit.Kind.PREPAID: "weak",
    Commit.Kind.ROLLOVER: "third",
    Commit.Kind.CREDIT: "second",
    Commit.Kind.PROMOTIONAL: "main",
}
_ROWS = 60  # the table shows each day of a short term, and each week of a long one


def burndown_chart(seen: Burndown, csv_url: str = "", more: tuple[str, str] | None = None) -> Figure:
    """Money left by day: layers of commits to yesterday, then P10 to P90 of what is left until the term ends."""
    currency = seen.account.currency
    series = [
        Series(layer.commit.name, seen.days, [float(left) for left in layer.left], "layer", _TONES[layer.commit.kind])
        for layer in seen.layers
    ]
    if seen.ahead:
        ahead = seen.ahead
        low, high = ahead.low.round(2).tolist(), ahead.high.round(2).tolist()
        series += [
            Series("", ahead.days, low, "fan", "band"),
            Series("8 in 10 outcomes", ahead.days, high, "fan", "band"),
            Series("Most likely", ahead.days, ahead.middle.round(2).tolist(), "line", "dash"),
        ]
        straight = _straight(seen)
        if straight:
            series.append(straight)
    rules = [Rule("Today" if seen.asof is None else f"Known on {seen.asof:%b} {seen.asof.day}", x=_now(seen))]
    if seen.run and seen.run.term_ends_on:
        rules.append(Rule("Term ends", x=seen.run.term_ends_on))
    finding = _finding(seen)
    return Figure(
        id="burndown",
        headline=finding,
        sub=f"Money left in {currency}, by commit. {words.straight_text(seen)}".strip(),
        summary=f"{finding}. A table below has the numbers.",
        series=series,
        marks=_marks(seen),
        rules=rules,
        currency=currency,
        numbers=_numbers(seen),
        csv_url=csv_url,
        more=more,
        size="tall",
    )


def _now(seen: Burndown) -> date:
    return seen.run.as_of if seen.run else seen.today


def _straight(seen: Burndown) -> Series | None:
    run = seen.run
    if run is None or seen.ahead is None or run.remaining is None or run.burn_rate is None:
        return None
    left = np.maximum(float(run.remaining) - float(run.burn_rate) * np.arange(1, len(seen.ahead.days) + 1), 0.0)
    return Series("Straight line", seen.ahead.days, left.round(2).tolist(), "line", "ref")


def _finding(seen: Burndown) -> str:
    run = seen.run
    if run is None or run.remaining is None:
        return "What was committed, and what is left of it"
    if run.exhausted_on:
        return "Every commit is used up"
    if run.exhaust_p50:
        return f"The money lasts until about {words.short_day(run.exhaust_p50, seen.today)}"
    return "The money lasts the term"


def _marks(seen: Burndown) -> list[Mark]:
    """Number the events on the line; their key stands below the chart."""
    marks = []
    total = dict(zip(seen.days, _totals(seen), strict=True))
    if seen.ahead:
        total |= dict(zip(seen.ahead.days, seen.ahead.middle.tolist(), strict=True))
    for number, event in enumerate(seen.events, start=1):
        if event.day in total:
            marks.append(Mark(event.day, float(total[event.day]), str(number), "ink"))
    return marks


def _totals(seen: Burndown) -> list[float]:
    columns = [[float(left) for left in layer.left] for layer in seen.layers]
    return [sum(column) for column in zip(*columns, strict=True)] if columns else [0.0] * len(seen.days)


def _numbers(seen: Burndown) -> Numbers:
    currency = seen.account.currency
    names = [layer.commit.name for layer in seen.layers]
    rows: list[list[str]] = []
    totals = _totals(seen)
    step = 1 if len(seen.days) <= _ROWS else 7
    for at in range(len(seen.days) - 1, -1, -step):
        each = [money_text(layer.left[at], currency) for layer in seen.layers]
        rows.append([f"{seen.days[at]:%b %-d, %Y}", *each, _money(totals[at], currency), "", ""])
    if seen.ahead:
        ahead, blank = seen.ahead, [""] * len(names)
        step = 7 if len(ahead.days) > _ROWS else 1
        later = [
            [
                f"{ahead.days[at]:%b %-d, %Y}",
                *blank,
                _money(ahead.middle[at], currency),
                _money(ahead.low[at], currency),
                _money(ahead.high[at], currency),
            ]
            for at in range(0, len(ahead.days), step)
        ]
        rows = later[::-1] + rows
    return Numbers(["Day", *names, "Left in all", "Low (P10)", "High (P90)"], rows)


def _money(amount: float, currency: str) -> str:
    return money_text(Decimal(repr(float(amount))), currency, places=0)


def moved_chart(seen: Burndown) -> Figure | None:
    """The date as it was known on past days; None with fewer than two runs that have one."""
    runs = [run for run in reversed(seen.moved) if run.exhaust_p50]
    if len(runs) < 2:
        return None
    known = [run.as_of for run in runs]
    start = min(run.exhaust_p10 or run.as_of for run in runs) - timedelta(days=7)
    late = [run.exhaust_p90 or run.term_ends_on or run.exhaust_p50 for run in runs]

    def ahead(days: Sequence[date | None]) -> list[float | None]:
        return [None if day is None else float((day - seen.today).days) for day in days]

    rows = [
        [
            words.short_day(run.as_of, seen.today),
            money_text(run.remaining, run.currency, places=0) if run.remaining is not None else "",
            words.short_day(run.exhaust_p50, seen.today) if run.exhaust_p50 else "lasts the term",
            words.range_text(run, seen.today),
            words.chance_text(run.p_exhausted) if run.p_exhausted is not None else "",
        ]
        for run in reversed(runs)
    ]
    hover = [
        f"Known on {words.short_day(run.as_of, seen.today)}\nMost likely {row[2]}\n8 in 10: {row[3]}"
        for run, row in zip(runs, reversed(rows), strict=True)
    ]
    return Figure(
        id="moved",
        headline=words.moved_text(seen),
        sub="Days from today until the money runs out, as it was known on each date.",
        summary=f"{words.moved_text(seen)}. A table below has the numbers.",
        series=[
            Series("", known, ahead([run.exhaust_p10 for run in runs]), "fan", "band"),
            Series("8 in 10 outcomes", known, ahead(late), "fan", "band"),
            Series("Most likely", known, ahead([run.exhaust_p50 for run in runs]), "line", hover=hover),
        ],
        value="count",
        unit="days",
        from_zero=start <= seen.today,
        numbers=Numbers(["Known on", "Money left", "Most likely", "8 in 10", "Before the term ends"], rows),
    )
