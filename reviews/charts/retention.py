"""Figures of the retention page: rolling retention, the consumption walk, and when renewals fall due."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Literal, cast

from django.urls import reverse

from consumption_cs.lib.display import money_short, money_text, percent_text
from consumption_cs.lib.figures import Figure, Mark, Numbers, Rule, Series, Tone
from consumption_cs.lib.periods import add_months
from reviews.calc.walk import Walk, axis_start, together
from reviews.reports.renewals import RenewalLine
from reviews.reports.retention import RetentionSeen
from reviews.reports.retention_months import LOOK_BACK_NEEDS, QUARTER_ROLLS, YEAR_ROLLS, Rolling

ZERO, HUNDRED = Decimal(0), Decimal(100)


def rolling_chart(seen: RetentionSeen, *, csv_url: str = "") -> Figure | None:
    """Return retention at the end of each month: by looking back where two such months are known, else by quarter.

    None below two months of either. What is not known is a gap, and its words in the table say why.
    """
    is_back = sum(row.back_net is not None for row in seen.rolling) > 1
    rows = [row for row in seen.rolling if (row.back_net if is_back else row.net) is not None]
    if len(rows) < 2:
        return None
    months = [row.month for row in rows]
    net = [row.back_net if is_back else row.net for row in rows]
    gross = [row.back_gross if is_back else row.gross for row in rows]
    basis = "look-back" if is_back else "run-rate"
    lines = [
        _line(f"NRR {basis}", months, net, "main"),
        _line("NRR year on year", months, [row.year_net for row in rows], "third"),
        _line("GRR consumed", months, gross, "second"),
        _line("GRR committed", months, [row.committed for row in rows], "second-dash"),
    ]
    against = "the last 12 months against the 12 before" if is_back else "each quarter against the one before"
    last = rows[-1]
    told = [f"{one.name} {percent_text(one.y[-1])}" for one in lines if one.y and one.y[-1] is not None]
    return Figure(
        id="rolling",
        headline=_moved(months, net, gross),
        sub=f"{basis.capitalize()}, {against}, at the end of each month to {last.month:%b %Y}.",
        summary=f"Lines by month. In {last.month:%B %Y}: {', '.join(told)}.",
        series=[one for one in lines if any(y is not None for y in one.y)],
        rules=[Rule("As much as before", y=1.0)],
        value="percent",
        from_zero=False,
        ends=True,
        marks=_peak(months, net),
        numbers=Numbers(
            ["Month", "NRR look-back", "NRR run-rate", "NRR year on year", "GRR consumed", "GRR committed"],
            [_told(row, is_back) for row in rows],
        ),
        csv_url=csv_url,
    )


def _line(name: str, months: Sequence[date], percents: Sequence[Decimal | None], tone: Tone) -> Series:
    return Series(name, months, [None if one is None else float(one / HUNDRED) for one in percents], "line", tone)


def _moved(months: Sequence[date], net: Sequence[Decimal | None], gross: Sequence[Decimal | None]) -> str:
    """Net retention slipped 2.7 points since June 2026; gross held."""
    moved, beside = ((ys[-1] or ZERO) - (ys[0] or ZERO) for ys in (net, gross))
    how = "rose" if beside > 0 else "fell"
    held = "gross held" if abs(beside) < Decimal("0.5") else f"gross {how} {abs(beside):.1f}"
    if abs(moved) < Decimal("0.05"):
        return f"Net retention is where it was in {months[0]:%b %Y}; {held}"
    verb = "rose" if moved > 0 else "slipped"
    return f"Net retention {verb} {abs(moved):.1f} points since {months[0]:%b %Y}; {held}"


def _peak(months: Sequence[date], net: Sequence[Decimal | None]) -> list[Mark]:
    """Name the highest month, unless it is at an end of the line."""
    top = max(range(len(net)), key=lambda number: net[number] or ZERO)
    if not 0 < top < len(net) - 1:
        return []
    value = net[top] or ZERO
    return [Mark(months[top], value / HUNDRED, f"{months[top]:%b} {value:.1f}%", "ink")]


def _told(row: Rolling, is_back: bool) -> list[str]:
    def cell(percent: Decimal | None, needs: int) -> str:
        if percent is not None:
            return percent_text(percent / HUNDRED)
        return f"needs {needs} months" if row.known < needs else "nothing to compare"

    return [
        f"{row.month:%b %Y}",
        cell(row.back_net, LOOK_BACK_NEEDS),
        cell(row.net, QUARTER_ROLLS),
        cell(row.year_net, YEAR_ROLLS),
        cell(row.back_gross, LOOK_BACK_NEEDS) if is_back else cell(row.gross, QUARTER_ROLLS),
        "no commit ended" if row.committed is None else percent_text(row.committed / HUNDRED),
    ]


_MOVES = ("New", "Expansion", "Contraction", "Churn")
_SMALL = ("Open", "New", "Expand", "Contract", "Churn", "Close")


def walk_chart(
    seen: RetentionSeen, first: date | None = None, last: date | None = None, *, csv_url: str = "", more: bool = True
) -> Figure | None:
    """Return the consumption walk between two months as a waterfall; None below two closed months.

    Where the months are large beside what moved, the axis is cut: then they are levels, not bars, and it says so.
    A walk that did not add up would tell the difference in place of its headline.
    """
    found = seen.walk_between(first, last)
    if found is None:
        return None
    begin, end, walk = found
    code = seen.currency
    names = [f"Open, {begin:%b}", *_MOVES, f"Close, {end:%b}"]
    levels = _levels(walk)
    start = axis_start(levels)
    cut = f" Axis starts at {money_short(start, code)}." if start else ""
    return Figure(
        id="walk",
        headline=walk_headline(begin, end, walk, code),
        sub=f"A month’s consumption, {begin:%B %Y} against {end:%B %Y}, at the rates of each contract.{cut}",
        summary=f"Waterfall: open {money_text(walk.opening, code)}, {_moves_told(walk, code)}, "
        f"close {money_text(walk.closing, code)}.",
        series=_bars(names, walk, levels, code, is_cut=bool(start)),
        currency=code,
        axis_from=start,
        links=levels,
        marks=_labels(names, walk, levels, code),
        names_small=_SMALL,
        more=("By account", f"{reverse('reviews:walk')}?currency={code}&from={begin:%Y-%m}&to={end:%Y-%m}")
        if more
        else None,
        numbers=_walk_numbers(seen, begin, end, walk),
        numbers_words="Show the numbers, to the cent",
        csv_url=csv_url,
    )


def walk_headline(begin: date, end: date, walk: Walk, code: str) -> str:
    if walk.difference:
        return f"The walk does not add up: {money_text(walk.difference, code)} is left open"
    change = walk.closing - walk.opening
    if not change:
        return f"Monthly consumption is the same in {end:%B} as in {begin:%B}"
    verb = "grew" if change > 0 else "fell"
    share = f", {percent_text(abs(change) / walk.opening)}" if walk.opening > 0 else ""
    return f"Monthly consumption {verb} {money_text(abs(change), code, places=0)} from {begin:%B} to {end:%B}{share}"


def _levels(walk: Walk) -> list[Decimal]:
    """Return how high the walk stands after opening, each of the four moves; the last is the closing."""
    levels = [walk.opening]
    for move in walk.moves:
        levels.append(levels[-1] + move)
    return levels


def _bars(names: Sequence[str], walk: Walk, levels: Sequence[Decimal], code: str, *, is_cut: bool) -> list[Series]:
    """Return the totals at both ends, and between them what was gained and lost, each floating where it began."""
    none: list[Decimal | None] = [None] * 4
    totals = [walk.opening, *none, walk.closing]
    hover = ["" if one is None else money_text(one, code) for one in totals]
    ends = Series("Open and close", names, totals, "level" if is_cut else "bar", "ink", hover)
    floats = []
    for words, tone, sign in (("Gained", "main", 1), ("Lost", "flag", -1)):
        moved = [None, *(move if move * sign > 0 else None for move in walk.moves), None]
        told = ["" if one is None else _signed(one, code) for one in moved]
        base = [None, *levels[:4], None]
        floats.append(Series(words, names, moved, "bar", cast("Tone", tone), told, base=base))
    return [ends, *floats]


def _labels(names: Sequence[str], walk: Walk, levels: Sequence[Decimal], code: str) -> list[Mark]:
    ends = [(names[0], walk.opening), (names[-1], walk.closing)]
    marks = [Mark(name, total, money_short(total, code), "ink") for name, total in ends]
    for name, move, before in zip(_MOVES, walk.moves, levels, strict=False):
        sign, tone = ("", "flag") if move < 0 else ("+", "ink")
        text = f"{sign}{money_short(move, code)}" if move else "none"
        marks.append(Mark(name, max(before, before + move), text, cast("Literal['flag', 'ink']", tone)))
    return marks


def _signed(amount: Decimal, code: str) -> str:
    return f"{'+' if amount > 0 else ''}{money_text(amount, code)}"


def _moves_told(walk: Walk, code: str) -> str:
    return ", ".join(f"{name.lower()} {money_text(move, code)}" for name, move in zip(_MOVES, walk.moves, strict=True))


def _walk_numbers(seen: RetentionSeen, begin: date, end: date, walk: Walk) -> Numbers:
    """Return the walk that is drawn and, where they end with it, the quarters that lead to it and all of them."""
    code = seen.currency
    quarters = seen.quarters_to(end) if begin == add_months(end, -3) else []
    rows = [(f"{since:%b %Y} to {to:%b %Y}", one) for since, to, one in quarters or [(begin, end, walk)]]
    if len(quarters) > 1:
        rows.append((f"{len(quarters) * 3} months", together([one for _, _, one in quarters])))
    return Numbers(
        ["From and to", "Open", *_MOVES, "Close"],
        [
            [name, *(money_text(amount, code) for amount in (one.opening, *one.moves, one.closing))]
            for name, one in rows
        ],
    )


def due_chart(lines: Sequence[RenewalLine], currency: str) -> Figure | None:
    """Return what falls due by month, agreed and not, in one currency; None without any."""
    own = [line for line in lines if line.account.currency == currency]
    if not own:
        return None
    agree: dict[date, Decimal] = defaultdict(lambda: ZERO)
    differ: dict[date, Decimal] = defaultdict(lambda: ZERO)
    for line in own:
        month = line.on.replace(day=1)
        (differ if line.disagrees else agree)[month] += line.stake
    months = sorted({*agree, *differ})
    total = sum((line.stake for line in own), ZERO)
    largest = max(months, key=lambda month: agree[month] + differ[month])
    share = (agree[largest] + differ[largest]) / total if total else ZERO
    return Figure(
        id="due",
        headline=f"{percent_text(share, places=0)} of it falls due in {largest:%B}",
        sub=f"Renewals and run-outs by month, {money_text(total, currency, places=0)} at contract value.",
        summary=f"{len(own)} dates worth {money_text(total, currency, places=0)}.",
        series=[
            Series(
                "Calls agree or are missing",
                [f"{month:%b}" for month in months],
                [float(agree[one]) for one in months],
            ),
            Series(
                "Disagree", [f"{month:%b}" for month in months], [float(differ[one]) for one in months], tone="flag"
            ),
        ],
        currency=currency,
        numbers=Numbers(
            ["Month", "Agree", "Disagree"],
            [
                [
                    f"{month:%b %Y}",
                    money_text(agree[month], currency, places=0),
                    money_text(differ[month], currency, places=0),
                ]
                for month in months
            ],
        ),
    )
