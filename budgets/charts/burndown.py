"""The burndown as a chart: commits as layers until today, the fan ahead, and how the date moved."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import numpy as np

from budgets.calc.usage_windows import Floats
from budgets.models import Commit, ForecastRun
from budgets.reports import burndown_words as words
from budgets.reports.burndown import Burndown, period_days
from budgets.reports.forecasts import quantiles_of
from consumption_cs.lib.display import money_text
from consumption_cs.lib.figures import Figure, Mark, Numbers, Rule, Series, Tone
from consumption_cs.lib.tenancy import Viewer

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
        if seen.run and seen.run.basis == ForecastRun.Basis.MODEL:  # few days give a line, not a range
            series += [
                Series("", ahead.days, low, "fan", "band"),
                Series("8 in 10 outcomes", ahead.days, high, "fan", "band"),
            ]
        series += [
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


def period_chart(viewer: Viewer, seen: Burndown, csv_url: str = "") -> Figure:
    """Spend of the open billing period, added up, and what is forecast until it ends: for who pays as they go."""
    run, currency = seen.run, seen.account.currency
    known = period_days(viewer, seen)
    so_far = known[-1][1] if known else Decimal(0)
    series = [Series("Spent so far", [day for day, _ in known], [spent for _, spent in known], "area")]
    rows = [[f"{day:%b %-d, %Y}", money_text(spent, currency), "", ""] for day, spent in known]
    finding = "There is no use yet to forecast from"
    if run and run.period_ends_on:
        paths = quantiles_of(run)[:, : max((run.period_ends_on - run.as_of).days, 0)] + float(so_far)
        ahead = [run.as_of + timedelta(days=number) for number in range(paths.shape[1])]
        ends = (run.period_p10, run.period_p50, run.period_p90)
        low, middle, high = (_through(path, so_far, end) for path, end in zip(paths, ends, strict=True))
        if run.basis == ForecastRun.Basis.MODEL:
            series += [Series("", ahead, low, "fan", "band"), Series("8 in 10 outcomes", ahead, high, "fan", "band")]
        series.append(Series("Most likely", ahead, middle, "line", "dash"))
        rows += [
            [f"{day:%b %-d, %Y}", _money(middle[at], currency), _money(low[at], currency), _money(high[at], currency)]
            for at, day in enumerate(ahead)
        ]
        if run.period_p50 is not None:
            finding = f"This period most likely ends at {money_text(run.period_p50, currency, places=0)}"
    return Figure(
        id="burndown",
        headline=finding,
        sub=f"Spend of the open billing period in {currency}, added up day by day.",
        summary=f"{finding}. A table below has the numbers.",
        series=series,
        rules=[Rule("Today" if seen.asof is None else f"Known on {seen.asof:%b} {seen.asof.day}", x=_now(seen))],
        currency=currency,
        numbers=Numbers(["Day", "Spent so far", "Low (P10)", "High (P90)"], rows[::-1]),
        csv_url=csv_url,
        size="tall",
    )


def _through(path: Floats, start: Decimal, end: Decimal | None) -> list[float]:
    """Return a path of spend led to where prices through the tiers end it, so that chart and words agree."""
    if end is None or not path.size or path[-1] <= float(start):
        return list(path.round(2).tolist())
    factor = (float(end) - float(start)) / (path[-1] - float(start))
    return list((float(start) + (path - float(start)) * factor).round(2).tolist())


def _now(seen: Burndown) -> date:
    return seen.run.as_of if seen.run else seen.today


def _straight(seen: Burndown) -> Series | None:
    run = seen.run
    if run is None or seen.ahead is None or run.remaining is None or run.burn_rate is None or seen.allowance:
        return None
    left = np.maximum(float(run.remaining) - float(run.burn_rate) * np.arange(1, len(seen.ahead.days) + 1), 0.0)
    return Series("Straight line", seen.ahead.days, left.round(2).tolist(), "line", "ref")


def _finding(seen: Burndown) -> str:
    run = seen.run
    if run is None or run.remaining is None:
        return "What was committed, and what is left of it"
    if seen.allowance:
        return f"What is left of each {seen.allowance.noun}'s allowance"
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
    runs = [run for run in reversed(seen.moved) if run.exhaust_p50 and not run.exhausted_on]
    if len(runs) < 2 or seen.allowance or seen.is_used_up:
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
