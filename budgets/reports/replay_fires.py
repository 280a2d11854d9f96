"""The alerts of a replay: when each rule would have told, and whether rightly."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from budgets.calc.budget_rules import FORECAST, PACES, Fan
from budgets.calc.replay import Hour, Span
from budgets.calc.replay_hours import Counted
from budgets.calc.replay_rules import Crossing, Signs, Windows, crossings
from budgets.models import BudgetRule
from budgets.reports.budget_figures import OLD_DAYS
from budgets.reports.budget_use import WINDOWS
from budgets.reports.replay_days import Days
from budgets.reports.replay_inputs import Run, forecasts, new_workflows
from budgets.reports.replay_judged import NEW_SOURCE, judge
from budgets.reports.replay_table_words import not_replayed
from budgets.reports.replayed import Fire, Proposal
from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import DAY, HOUR, day_start

ZERO = Decimal(0)


def fires(
    days: Days, spans: Sequence[Span], hours: Sequence[Hour], counts: Sequence[Counted], proposal: Proposal
) -> tuple[list[Fire], list[str]]:
    """Return the alerts, oldest first, and sentences about rules that could not be replayed, or not on all days."""
    kinds = {kind for kind, _ in proposal.rules}
    windows = _windows(hours, days, max((PACES[kind][1] for kind in kinds & set(PACES)), default=0))
    runs = _runs(days, spans) if kinds & set(FORECAST) else []
    found: list[tuple[Crossing, Span]] = []
    first = 0
    for span in spans:
        after = first + len(span.hours)
        signs = Signs(windows[first:after], _fans(span, runs), _counted(span, counts[first:after], days))
        found += [(one, span) for one in crossings(span, proposal.rules, proposal.amount, signs)]
        first = after
    found += _new_sources(days, spans, proposal)
    told = [
        Fire(one.at, one.day, one.kind, one.value, one.is_told, *judge(one, span, proposal.amount, days.known))
        for one, span in sorted(found, key=lambda pair: (pair[0].at, pair[0].kind, pair[0].value))
    ]
    forecast_from = max(min(one.as_of for one in runs), days.first) if runs else None
    return told, not_replayed(kinds, days.first, forecast_from, days.known_from, is_whole=days.wanted.is_whole)


@exactly
def _windows(hours: Sequence[Hour], days: Days, longest: int) -> list[Windows]:
    """What was spent in the last 1, 6 and 72 hours at the end of each hour, where `longest` hours back are known."""
    if not longest:
        return [{}] * len(hours)
    known_from = day_start(days.known_from, days.zone) if days.known_from > days.first else None
    sums = dict.fromkeys(WINDOWS, ZERO)
    found: list[Windows] = []
    for index, hour in enumerate(hours):
        for width in WINDOWS:
            sums[width] += hour.spent - (hours[index - width].spent if index >= width else ZERO)
        is_known = known_from is None or hour.end - known_from >= longest * HOUR
        found.append(dict(sums) if is_known else {})
    return found


def _runs(days: Days, spans: Sequence[Span]) -> list[Run]:
    longest = max(((span.after - max(span.first, days.first)).days for span in spans), default=0)
    return forecasts(days.wanted, days.first, days.today, longest)


@exactly
def _fans(span: Span, runs: Sequence[Run]) -> list[Fan | None]:
    """What the period was forecast to cost in all, at the end of each hour, by the latest run made by then."""
    found: list[Fan | None] = []
    today, before, used = None, span.before, span.before
    run: Run | None = None
    fan: Fan | None = None
    in_force: list[Run] = []
    for hour, used_after in zip(span.hours, span.sums, strict=True):
        if hour.day != today:
            today, before, run, fan = hour.day, used, None, None
            in_force = [one for one in runs if hour.day - OLD_DAYS * DAY < one.as_of <= hour.day]
        made = next((one for one in reversed(in_force) if one.made_at < hour.end), None)
        if made is not run and made is not None:
            run, ahead = made, made.ahead(hour.day, span.after)
            fan = None if ahead is None else Fan(*(before + one for one in ahead))
        found.append(fan)
        used = used_after
    return found


def _counted(span: Span, counts: Sequence[Counted], days: Days) -> list[tuple[Decimal, int, int]]:
    earlier = [used for part in days.used.values() for day, used in part.items() if span.first <= day < days.first]
    outcomes = sum((used.outcomes for used in earlier), ZERO)
    finished, successes = sum(used.finished for used in earlier), sum(used.successes for used in earlier)
    found = []
    for one in counts:
        outcomes, finished, successes = outcomes + one.outcomes, finished + one.finished, successes + one.successes
        found.append((outcomes, finished, successes))
    return found


def _new_sources(days: Days, spans: Sequence[Span], proposal: Proposal) -> list[tuple[Crossing, Span]]:
    """A workflow's first day ever, looked at when it is over; the highest mark that it reached is told."""
    values = sorted((value for kind, value in proposal.rules if kind == BudgetRule.Kind.NEW_SOURCE), reverse=True)
    if not values:
        return []
    found = []
    for day, spent in new_workflows(days.wanted, days.first, days.today):
        span = next((one for one in spans if one.first <= day < one.after), None)
        reached = [value for value in values if spent >= value]
        at = day_start(day + DAY, days.zone) - timedelta(microseconds=1)
        if span is not None:
            found += [(Crossing(at, day, NEW_SOURCE, value, value == reached[0]), span) for value in reached]
    return found
