"""The brief in sentences: what changed, what each health measure says, and the facts of the contract."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from consumption_cs.lib.display import counted, money_text, percent_text, quantity_text
from reviews.calc.changed import Move
from reviews.reports.brief import Brief
from reviews.reports.health import PartShown
from reviews.reports.measured import Measured
from reviews.reports.queue_words import run_out_shown
from usage.reports.overview_words import Fact, Words, short_date

ZERO = Decimal(0)
ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Change:
    """One line of what changed: the figure, a title, a sentence, and whether it is good or bad (or neither, "")."""

    figure: str
    title: str
    words: str
    tone: str = ""


def status(found: Brief) -> tuple[str, str]:
    """Return the pill's words and tone."""
    health = found.health
    if health.score is None:
        return "Not scored yet", "none"
    if health.forced:
        return "Red", "bad"
    if health.moved is not None and health.moved <= -5:
        return "Slipping", "warn"
    return {"good": ("Healthy", "good"), "fair": ("Watch", "warn")}.get(health.band, ("At risk", "bad"))


def headline(found: Brief) -> list[Words]:
    """Since you last spoke 12 days ago, health fell 8 points to 87 and the commit now ends May 18."""
    if found.touch:
        days = (found.today - found.since).days
        start = f"Since you last spoke {counted(days, 'day')} ago, "
    else:
        start = "Nobody has spoken to them yet; in 14 days "
    score, moved = found.health.score, found.health.moved
    if score is None:
        said = [Words(f"{start}health is "), Words("not scored yet", strong=True)]
    elif not moved:
        said = [Words(f"{start}health stayed at "), Words(f"{score:.0f}", strong=True)]
    else:
        verb = "rose" if moved > 0 else "fell"
        said = [
            Words(f"{start}health {verb} "),
            Words(f"{counted(abs(moved), 'point')} to {score:.0f}", strong=True),
        ]
    return [*said, *_ending(found), Words(".")]


def _ending(found: Brief) -> list[Words]:
    shown = run_out_shown(found.found, found.today, found.account.currency)
    if shown.drawn is None:
        return []
    if shown.main == "Used up":
        return [Words(" and the commit "), Words("is used up", strong=True)]
    if shown.main in ("Not this term", "Too early to say"):
        ends = found.seen.term
        words = f"lasts to {short_date(ends[1])}" if ends else "lasts"
        return [Words(" and the commit "), Words(words, strong=True)] if shown.main == "Not this term" else []
    return [Words(" and the commit now ends "), Words(shown.main, strong=True)]


def facts(found: Brief) -> list[Fact]:
    """The strip: health, what is left, when it runs out, what is at risk."""
    health, metrics, currency = found.health, found.found, found.account.currency
    left, granted = metrics.number("commit_left"), metrics.number("commit_granted")
    shown = run_out_shown(metrics, found.today, currency)
    at_risk = metrics.number("at_risk")
    return [
        Fact(
            "Health",
            f"{health.score:.0f}" if health.score is not None else "Not scored yet",
            _moved(found) if health.score is not None else health.why_not,
            none=health.score is None,
            tone="bad" if (health.moved or ZERO) < 0 else "",
        ),
        Fact("Commit left", money_text(left, currency, places=0), f"of {money_text(granted, currency, places=0)}")
        if left is not None and granted is not None
        else Fact("Commit left", "No commit", "pay as you go", none=True),
        Fact("Runs out, most likely", shown.main, shown.note, none=shown.drawn is None),
        Fact("At risk", money_text(at_risk, currency, places=0), metrics.inputs("at_risk").get("words", ""))
        if at_risk is not None
        else Fact("At risk", "Nothing", metrics.reason("at_risk").rstrip(".").lower(), none=True),
    ]


def _moved(found: Brief) -> str:
    moved = found.health.moved
    if found.health.override:
        return f"set by {found.health.override.by}"
    if not moved:
        return f"as on {short_date(found.since)}"
    return f"{'▲' if moved > 0 else '▼'} {abs(moved):.0f} since {short_date(found.since)}"


def changes(found: Brief) -> list[Change]:
    """What moved since the last touch, in words, the most telling first."""
    return [_change(move, found) for move in found.moves[:6]]


_IN_POINTS = {
    "success_percent": ("Success", 1),
    "waste_percent": ("Waste of spend", -1),
    "top_share_percent": ("Share of the largest workflow", -1),
    "change_28": ("Use against the 28 days before", 1),
}
_IN_MONEY = {
    "burn_rate": ("Spend a day", 0),
    "unit_cost": ("Cost of one outcome", -1),
    "month_end_p50": ("Expected month end", 0),
    "at_risk": ("Money at risk", -1),
    "shelfware": ("Expected unused commit", -1),
}


def _change(move: Move, found: Brief) -> Change:
    if move.metric in _IN_POINTS:
        return _in_points(move)
    if move.metric in _IN_MONEY:
        return _in_money(move, found.account.currency)
    if move.metric == "run_out_on":
        return _run_out(move)
    return _counted(move)


def _in_points(move: Move) -> Change:
    title, better = _IN_POINTS[move.metric]
    figure = f"{_sign(move)}{quantity_text(abs(move.difference), places=1)} pt"
    return Change(figure, title, f"{_points(move.before)} to {_points(move.after)}.", _tone(move, better))


def _in_money(move: Move, currency: str) -> Change:
    title, better = _IN_MONEY[move.metric]
    figure = percent_text(move.share, places=0, signed=True) if move.share is not None else "new"
    words = f"{money_text(move.before, currency)} to {money_text(move.after, currency)}."
    return Change(figure, title, words, _tone(move, better))


def _run_out(move: Move) -> Change:
    before, after = (short_date(date.fromordinal(int(day))) for day in (move.before, move.after))
    title = "Run-out moved closer" if move.difference < 0 else "Run-out moved away"
    return Change(counted(abs(move.difference), "day"), title, f"From {before} to {after}.", _tone(move, 1))


def _counted(move: Move) -> Change:
    """Production workflows, and days since a visit."""
    gained = move.difference > 0
    if move.metric == "seen_days":
        title = "Nobody signed in" if gained else "They signed in again"
        return Change(counted(move.after, "day"), title, f"{quantity_text(move.before)} days before.", _tone(move, -1))
    title = "In production" if gained else "No longer in production"
    words = f"{counted(move.after, 'workflow')} now, {quantity_text(move.before)} before."
    return Change(f"{_sign(move)}{quantity_text(abs(move.difference))}", title, words, _tone(move, 1))


def _sign(move: Move) -> str:
    return "+" if move.difference > 0 else "−"


def _tone(move: Move, better: int) -> str:
    """Good or bad, where more is better (1) or worse (-1)."""
    if not better:
        return ""
    return "good" if (move.difference > 0) == (better > 0) else "bad"


def part_words(part: PartShown, found: Measured) -> str:
    """What a health measure is made of, in words: the line under its name."""
    if part.points is None:
        return part.reason
    number = found.number
    workflow = found.inputs("reliability_gap")
    said = {
        "pacing": lambda: f"{_points(number('commit_used_percent'))} drawn, {_planned(found)} planned by today",
        "trend": lambda: f"{percent_text((number('change_28') or ZERO) / 100, signed=True)} on the 28 days before",
        "breadth": lambda: (
            f"{counted(number('production_workflows') or ZERO, 'workflow')} in production; "
            f"the largest is {_points(number('top_share_percent'))} of spend"
        ),
        "reliability": lambda: _reliability(workflow),
        "predictability": lambda: (
            f"{_points(number('in_band_percent'))} of {found.inputs('in_band_percent').get('weeks', 13)} weeks in band"
        ),
        "waste": lambda: f"{_points(number('waste_percent'))} of spend on failed or repeated work; 5% is allowed",
        "engagement": lambda: _engagement(found),
    }
    return said[part.measure]() if part.measure in said else quantity_text(part.value or ZERO, places=2)


def _reliability(inputs: dict[str, object]) -> str:
    if not inputs.get("name"):
        return "Every production workflow is at its target"
    target = f", target {_points(Decimal(str(inputs['target'])) * 100)}" if inputs.get("target") else ""
    return f"{inputs['name']} {_points(Decimal(str(inputs['success'])))}{target}"


def _planned(found: Measured) -> str:
    share = found.inputs("pacing").get("planned")
    return _points(Decimal(share) * 100) if share else "not"


def _engagement(found: Measured) -> str:
    said = found.inputs("sentiment").get("said")
    seen = found.number("seen_days")
    visit = f"last visit {counted(seen, 'day')} ago" if seen is not None else "nobody has signed in"
    return f"Last {said}; {visit}" if said else visit[0].upper() + visit[1:]


def _points(percent: Decimal | None) -> str:
    return percent_text((percent or ZERO) / 100)


def contract_facts(found: Brief) -> list[tuple[str, str, str]]:
    """Return (label, note, value) of the contract in force; empty without one."""
    seen, metrics, currency = found.seen, found.found, found.account.currency
    contract = seen.contract
    rows: list[tuple[str, str, str]] = []
    granted, used = metrics.number("commit_granted"), metrics.number("commit_used_percent")
    if granted is not None and seen.term:
        term = f"{short_date(seen.term[0])}, {seen.term[0].year} – {short_date(seen.term[1])}, {seen.term[1].year}"
        rows.append(("Commit", term, money_text(granted, currency, places=0)))
    if granted is not None and used is not None:
        drawn = granted * used / 100
        rows.append(("Drawn", f"{_points(used)}; plan {_planned(found.found)}", money_text(drawn, currency, places=0)))
    if contract is not None:
        factor = quantity_text(contract.overage_factor, places=2)
        rows.append(
            ("Overage rate", "", f"{factor} × contract rate" if contract.overage_factor != 1 else "contract rate")
        )
    rows.append(("Top-up approval", _decide(found), counted(seen.approval_days, "day")))
    if seen.term:
        left = (seen.term[1] - found.today).days
        rows.append(("Term ends", f"in {counted(left, 'day')}" if left >= 0 else "over", short_date(seen.term[1])))
    if found.opinion:
        said = found.opinion.get_opinion_display()
        by = f"{found.opinion.by or 'imported'}, {short_date(found.opinion.at.date())}"
        rows.append(("Renewal opinion", by, said))
    return rows


def _decide(found: Brief) -> str:
    by = found.seen.decide_by
    return f"decide by {short_date(by)}" if by else ""


def margin_facts(found: Brief) -> tuple[str, list[tuple[str, str, str]]] | None:
    """Return a headline and (label, note, value) of the month's margin; None where no cost is known."""
    margin, inputs = found.found.number("margin_percent"), found.found.inputs("margin_percent")
    if margin is None:
        return None
    currency = found.account.currency
    revenue, cost = Decimal(inputs["revenue"]), Decimal(inputs["cost"])
    coverage = _points(Decimal(inputs["coverage"]) * 100)
    before = found.before.number("margin_percent")
    moved = (
        f", {'up' if margin > before else 'down'} {quantity_text(abs(margin - before), places=1)} points"
        if (before is not None and abs(margin - before) >= Decimal("0.05"))
        else ""
    )
    rows = [
        ("Revenue", "month to date", money_text(revenue, currency)),
        ("Cost to serve", f"{coverage} of revenue has a cost", money_text(cost, currency)),
        ("Margin", "of what has a cost", _points(margin)),
    ]
    return f"Margin is {_points(margin)}{moved}", rows
