"""The weeks of one line of the incentive ledger, against the band that they are to lie in."""

from decimal import Decimal

from consumption_cs.lib.display import counted, money_text
from consumption_cs.lib.figures import Figure, Numbers, Rule, Series
from reviews.calc.concentration import BAND
from reviews.reports.incentive_lines import LedgerLine

ONE = Decimal(1)


def weeks_chart(line: LedgerLine, *, csv_url: str = "") -> Figure | None:
    """Return what each whole week drew against the band; None without a target or a week."""
    if line.target is None or not line.weeks:
        return None
    code, target = line.account.currency, line.target
    low, high = target * (ONE - BAND), target * (ONE + BAND)
    names = [f"{week.start:%b} {week.start.day}" for week in line.weeks]
    states = ["excused" if week.is_excused else "in band" if week.is_inside(target) else "out" for week in line.weeks]
    told = [f"{money_text(week.drawn, code)}, {state}" for week, state in zip(line.weeks, states, strict=True)]

    def bars(name: str, state: str, tone: str) -> Series:
        drawn = [week.drawn if own == state else None for week, own in zip(line.weeks, states, strict=True)]
        return Series(name, names, drawn, "bar", tone, told)  # type: ignore[arg-type]

    series = [
        bars("In band", "in band", "main"),
        bars("Out of band", "out", "flag"),
        bars("Excused", "excused", "weak"),
    ]
    return Figure(
        id="weeks",
        headline=f"{line.inside} of {counted(len(line.counted), 'week')} in band",
        sub=f"Whole weeks of {line.quarter}, counted back from its last day. Planned is "
        f"{money_text(target, code, places=0)} a week; in band is {money_text(low, code, places=0)} to "
        f"{money_text(high, code, places=0)}.",
        summary=f"Bars by week. {line.inside} of {len(line.counted)} weeks are in band, "
        f"{len(line.weeks) - len(line.counted)} excused.",
        series=[one for one in series if any(y is not None for y in one.y)],
        currency=code,
        rules=[Rule("Band, ±20% of planned", y=low), Rule("", y=high)],
        numbers=Numbers(
            ["Week from", "Drawn", "Against planned", "Counts as"],
            [
                [f"{week.start:%b} {week.start.day}, {week.start.year}", money_text(week.drawn, code),
                 f"{week.drawn * 100 / target:.0f}%", state]
                for week, state in zip(line.weeks, states, strict=True)
            ],
        ),
        csv_url=csv_url,
    )  # fmt: skip
