"""Figures of the retention page: rolling retention, the consumption walk, and when renewals fall due."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from django.urls import reverse

from consumption_cs.lib.display import money_short, money_text, percent_text
from consumption_cs.lib.figures import Figure, Mark, Numbers, Rule, Series
from reviews.calc.walk import Walk
from reviews.reports.renewals import RenewalLine
from reviews.reports.retention import RetentionSeen

ZERO, HUNDRED = Decimal(0), Decimal(100)


def rolling_chart(seen: RetentionSeen) -> Figure | None:
    """Return net and gross retention of each quarter against the one before; None below two known."""
    known = [row for row in seen.rolling if row.net is not None and row.gross is not None]
    if len(known) < 2:
        return None
    months = [row.month for row in known]
    net = [float((row.net or ZERO) / HUNDRED) for row in known]
    gross = [float((row.gross or ZERO) / HUNDRED) for row in known]
    moved = Decimal(repr(net[-1] - net[0])) * 100
    verb = "rose" if moved > 0 else "slipped"
    return Figure(
        id="rolling",
        headline=f"Net retention {verb} {abs(moved):.1f} points since {months[0]:%b %Y}",
        sub="Each quarter of months against the quarter before, the same accounts.",
        summary=f"Net retention is {percent_text(net[-1])}, gross {percent_text(gross[-1])}.",
        series=[
            Series("Net", months, net, kind="line"),
            Series("Gross", months, gross, kind="line", tone="second"),
        ],
        rules=[Rule("As much as before", y=1.0)],
        value="percent",
        from_zero=False,
        numbers=Numbers(
            ["Quarter to", "Net", "Gross"],
            [
                [f"{month:%b %Y}", percent_text(one), percent_text(other)]
                for month, one, other in zip(months, net, gross, strict=True)
            ],
        ),
    )


def walk_chart(seen: RetentionSeen, first: date | None = None, last: date | None = None) -> Figure | None:
    """Return the consumption walk between two months as steps; None below two closed months."""
    found = seen.walk_between(first, last)
    if found is None:
        return None
    begin, end, walk = found
    floors, ups, downs, ends = _steps(walk)
    change, code = walk.closing - walk.opening, seen.currency
    verb = "grew" if change > 0 else "fell" if change < 0 else "stayed the same:"
    share = f", {percent_text(abs(change) / walk.opening)}" if walk.opening > 0 else ""
    names = [f"Open, {begin:%b}", "New", "Expansion", "Contraction", "Churn", f"Close, {end:%b}"]
    moved = (None, walk.new, walk.expansion, -walk.contraction, -walk.churn, None)
    tops = [floor + up + down + whole for floor, up, down, whole in zip(floors, ups, downs, ends, strict=True)]
    marks = [
        Mark(name, top, money_short(amount, code) if amount is not None else money_short(total, code))
        for name, top, amount, total in zip(names, tops, moved, (walk.opening, *[ZERO] * 4, walk.closing), strict=True)
        if amount is None or amount
    ]
    return Figure(
        id="walk",
        headline=f"Monthly consumption {verb} {money_text(abs(change), code, places=0)} "
        f"from {begin:%B} to {end:%B}{share}",
        sub=f"A month’s consumption, {begin:%B %Y} against {end:%B %Y}, account by account, to the cent.",
        summary=f"Open {money_text(walk.opening, code)}, new {money_text(walk.new, code)}, expansion "
        f"{money_text(walk.expansion, code)}, contraction {money_text(-walk.contraction, code)}, churn "
        f"{money_text(-walk.churn, code)}, close {money_text(walk.closing, code)}.",
        series=[
            Series("", names, floors, tone="clear"),
            Series("Open and close", names, ends, tone="line"),
            Series("Gained", names, ups),
            Series("Lost", names, downs, tone="flag"),
        ],
        currency=code,
        marks=marks,
        more=("By account", f"{reverse('reviews:walk')}?currency={code}&from={begin:%Y-%m}&to={end:%Y-%m}"),
        numbers=Numbers(
            ["Month", "Opening", "New", "Expansion", "Contraction", "Churn", "Closing"],
            [
                [f"{month:%b %Y}", *(money_text(amount, code) for amount in (
                    one.opening, one.new, one.expansion, -one.contraction, -one.churn, one.closing))]
                for month, one in reversed(seen.walks)
            ],
        ),
    )  # fmt: skip


def _steps(walk: Walk) -> tuple[list[float], list[float], list[float], list[float]]:
    """Return for open, new, expansion, contraction, churn and close: what is below, gained, lost, and the whole."""
    gained = walk.opening + walk.new
    high = gained + walk.expansion
    low = high - walk.contraction
    floors = [ZERO, walk.opening, gained, low, walk.closing, ZERO]
    ups = [ZERO, walk.new, walk.expansion, ZERO, ZERO, ZERO]
    downs = [ZERO, ZERO, ZERO, walk.contraction, walk.churn, ZERO]
    ends = [walk.opening, ZERO, ZERO, ZERO, ZERO, walk.closing]
    return ([float(x) for x in floors], [float(x) for x in ups], [float(x) for x in downs], [float(x) for x in ends])


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
