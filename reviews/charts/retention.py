"""Figures of the retention page: rolling retention, the consumption walk, and when renewals fall due."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from consumption_cs.lib.display import money_short, money_text, percent_text
from consumption_cs.lib.figures import Figure, Mark, Numbers, Rule, Series
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


def walk_chart(seen: RetentionSeen, first: int = 0) -> Figure | None:
    """Return the consumption walk over the last three months as steps; None below two closed months."""
    walks = seen.walks[-3:]
    if not walks:
        return None
    opening, closing = walks[0][1].opening, walks[-1][1].closing
    gains = {
        "New": sum((walk.new for _, walk in walks), ZERO),
        "Expansion": sum((walk.expansion for _, walk in walks), ZERO),
    }
    losses = {
        "Contraction": sum((walk.contraction for _, walk in walks), ZERO),
        "Churn": sum((walk.churn for _, walk in walks), ZERO),
    }
    names = ["Open", *gains, *losses, "Close"]
    ghost, up, down, ends = [0.0], [0.0], [0.0], [float(opening)]
    level = opening
    for amount in gains.values():
        ghost.append(float(level))
        up.append(float(amount))
        down.append(0.0)
        ends.append(0.0)
        level += amount
    for amount in losses.values():
        level -= amount
        ghost.append(float(level))
        up.append(0.0)
        down.append(float(amount))
        ends.append(0.0)
    for row, value in ((ghost, 0.0), (up, 0.0), (down, 0.0), (ends, float(closing))):
        row.append(value)
    change = closing - opening
    verb = "grew" if change > 0 else "fell"
    share = f", {percent_text(abs(change) / opening)}" if opening > 0 else ""
    before = f"{walks[0][0]:%b}"
    return Figure(
        id="walk",
        headline=f"Monthly consumption {verb} {money_text(abs(change), seen.currency, places=0)}{share}",
        sub=f"From the month before {before} to {walks[-1][0]:%B %Y}, account by account, to the cent.",
        summary=f"Consumption went from {money_text(opening, seen.currency)} to {money_text(closing, seen.currency)}.",
        series=[
            Series("", names, ghost, tone="band"),
            Series("Month", names, ends, tone="line"),
            Series("Gained", names, up),
            Series("Lost", names, down, tone="flag"),
        ],
        currency=seen.currency,
        legend_off=True,
        marks=[Mark("Open", float(opening), money_short(opening, seen.currency)),
               Mark("Close", float(closing), money_short(closing, seen.currency))],
        numbers=Numbers(
            ["Month", "Opening", "New", "Expansion", "Contraction", "Churn", "Closing"],
            [
                [f"{month:%b %Y}", *(money_text(amount, seen.currency) for amount in (
                    walk.opening, walk.new, walk.expansion, -walk.contraction, -walk.churn, walk.closing))]
                for month, walk in reversed(seen.walks)
            ],
        ),
    )  # fmt: skip


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
