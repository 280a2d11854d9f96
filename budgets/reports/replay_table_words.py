"""What a limit does, other limits, and what could not be replayed, in words."""

from collections.abc import Iterable
from datetime import date

from budgets.calc.budget_rules import FORECAST, PACES
from budgets.reports.replay_words import whole_money
from budgets.reports.replayed import Proposal, Replay, SweepRow
from consumption_cs.lib.display import counted, quantity_text
from usage.reports.overview_words import short_date


def limit_text(proposal: Proposal) -> str:
    """Return what the limit does, after which grace, and who is exempt."""
    limit = proposal.limit
    if limit is None:
        return ""
    does = {
        "stop": "Stops what is not exempt",
        "throttle": f"Slows what is not exempt to {quantity_text(limit.throttle_percent)}% of its usual pace",
    }.get(limit.action, "Only tells")
    grace = [f"{limit.grace_minutes} minutes"] if limit.grace_minutes else []
    grace += [f"{quantity_text(limit.grace_percent)}% more"] if limit.grace_percent else []
    after = f" after {' or '.join(grace)} of grace" if grace and limit.action != "notify" else ""
    exempt = len(limit.exempt_workflows)
    return f"{does}{after}" + (f"; {counted(exempt, 'workflow')} exempt" if exempt else "") + "."


def sweep_headline(replay: Replay) -> str:
    """Name the best of the limits compared."""
    best, currency = replay.best, replay.account.currency
    if best is None:
        return ""
    amount = whole_money(best.amount, currency)
    if not best.acts:
        return f"{amount} would never have acted"
    if not best.loop_stopped:
        return f"{amount} holds back least"
    if not best.held_back:
        return f"{amount} stops the loop and nothing else"
    return f"{amount} stops most for what it holds back"


def sweep_note(row: SweepRow) -> str:
    """Return what a row of the comparison is: "trying", "in force, best"."""
    names = [(row.is_tried, "trying"), (row.is_in_force, "in force"), (row.is_best, "best")]
    return ", ".join(name for holds, name in names if holds)


def loop_note(replay: Replay) -> str:
    """Say what loops cost beyond what the limit stops."""
    if replay.loop_cost <= replay.loop_stopped or not replay.sweep:
        return ""
    cost = whole_money(replay.loop_cost, replay.account.currency)
    return f"Loops cost {cost} in all. A limit comes after their first hours; a pace alert comes sooner."


def not_replayed(
    kinds: Iterable[str], first: date, forecast_from: date | None, hours_from: date, *, is_whole: bool
) -> list[str]:
    """Say which rules could not be replayed, or only from some day on."""
    asked, told = set(kinds), []
    if asked & set(FORECAST):
        if not is_whole:
            told.append("Forecast rules are not replayed: forecasts of a part of the account are not kept.")
        elif forecast_from is None:
            told.append("Forecast rules are not replayed: no forecast of these days is kept.")
        elif forecast_from > first:
            told.append(f"Forecast rules are not replayed before {short_date(forecast_from)}: no forecast is kept.")
    if asked & set(PACES) and hours_from > first:
        told.append(f"Pace rules are not replayed before {short_date(hours_from)}: hours are kept for 60 days.")
    if asked & {"balance_below", "days_below"}:
        told.append("What was left on commits is not replayed.")
    return told
