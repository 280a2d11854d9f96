"""The burndown in sentences: when the money runs out, how sure that is, and what to do by when."""

from datetime import date
from decimal import Decimal

from budgets.models import ForecastRun
from budgets.reports import allowance_words
from budgets.reports.allowance_words import chance_text, short_day
from budgets.reports.burndown import Burndown
from consumption_cs.lib.display import counted, money_text
from usage.reports.overview_words import Fact, Words, whole

EVEN = 0.5


def range_text(run: ForecastRun, today: date) -> str:
    """ "Apr 27 to Jun 14"; an open end is "after the term"."""
    early = short_day(run.exhaust_p10, today) if run.exhaust_p10 else "after the term ends"
    late = short_day(run.exhaust_p90, today) if run.exhaust_p90 else "after the term ends"
    return early if early == late else f"{early} to {late}"


def status(seen: Burndown) -> tuple[str, str]:
    """Return the pill's words and tone."""
    run = seen.run
    if run is None or run.basis == ForecastRun.Basis.NONE:
        return "No forecast yet", "none"
    if seen.days_behind > 1:
        return f"Forecast of {short_day(run.as_of, seen.today)}", "warn"
    if run.remaining is None:
        return "Pay as you go", "info"
    if seen.allowance:
        return ("Over the allowance", "warn") if (seen.allowance.p_over or 0) >= EVEN else ("Within it", "good")
    return _commit_status(run)


def _commit_status(run: ForecastRun) -> tuple[str, str]:
    """The same for commits that do not refill."""
    if run.exhausted_on:
        return "Used up", "bad"
    if run.p_exhausted is not None and run.p_exhausted >= EVEN:
        return "Runs out early", "warn"
    if run.details.get("held_back"):
        return "Looks held back", "warn"
    if run.unused_mean is not None and run.remaining and run.unused_mean > run.remaining / 4:
        return "Will be left over", "info"
    return "Lasts the term", "good"


def headline(seen: Burndown) -> list[Words]:
    """The one sentence on top."""
    run, today = seen.run, seen.today
    if run is None or run.basis == ForecastRun.Basis.NONE:
        return [Words("There is no use yet to forecast from.")]
    if run.remaining is None:
        return [Words("No commit: you pay as you go.")]
    if seen.allowance:
        return allowance_words.headline(seen.allowance, run)
    if run.exhausted_on:
        on = f" on {short_day(seen.used_up_on, today)}" if seen.used_up_on else ""
        return [Words("Your commits were "), Words(f"used up{on}", strong=True), Words(": use is overage now.")]
    if run.exhaust_p50 is None:
        end = f" on {short_day(run.term_ends_on, today)}" if run.term_ends_on else ""
        return [Words("Your commit most likely "), Words("lasts the term", strong=True), Words(f", which ends{end}.")]
    before = f", {before_text(run.exhaust_p50, run.term_ends_on)}" if run.term_ends_on else ""
    return [
        Words("Your commit most likely runs out on "),
        Words(short_day(run.exhaust_p50, today), strong=True),
        Words(f"{before}."),
    ]


def before_text(day: date, term_ends_on: date) -> str:
    """ "six weeks before the term ends" in plain numbers."""
    days = (term_ends_on - day).days
    if days < 14:
        return f"{counted(days, 'day')} before the term ends"
    return f"{counted(round(days / 7), 'week')} before the term ends"


def lead(seen: Burndown) -> str:
    """How sure it is, what covering the rest would take, and by when to decide."""
    run = seen.run
    if run is None or run.basis == ForecastRun.Basis.NONE:
        return "The forecast starts with the first closed day that has spend."
    parts = []
    if seen.days_behind:
        parts.append(f"Today's forecast is not made yet: this is the one of {short_day(run.as_of, seen.today)}.")
    if run.basis == ForecastRun.Basis.NAIVE:
        parts.append("A plain average of the few days known: a forecast needs 14 days.")
    if run.remaining is None:
        parts.append(_period_text(run) if run.period_p50 is not None else "")
    elif seen.allowance:
        parts.append(allowance_words.lead(seen.allowance, run, seen.today))
    elif run.exhausted_on:
        parts += [_overage_rate(run), _used_up(run)]
    else:
        parts += [_range(seen, run), _held_back(run), _money_ahead(run), _decision(seen)]
    return " ".join(part for part in parts if part)


def _range(seen: Burndown, run: ForecastRun) -> str:
    if run.exhaust_p10 is None or run.basis != ForecastRun.Basis.MODEL:
        return ""
    return f"8 in 10 outcomes fall in {range_text(run, seen.today)}."


def _held_back(run: ForecastRun) -> str:
    found = run.details.get("held_back")
    if not found:
        return ""
    level = whole(Decimal(str(found["level"])), run.currency)
    return (
        f"Use has been flat at about {level} a day for {found['days']} days, as if a cap held it back:"
        " what is wanted may be more than this forecast shows."
    )


def _factor(run: ForecastRun) -> Decimal:
    return Decimal(str(run.details.get("overage_factor", 1)))


def _overage_rate(run: ForecastRun) -> str:
    factor = _factor(run)
    if factor == 1:
        return "Use costs the contract rate until there is a new commit."
    return f"Use costs {factor.normalize():f} times the contract rate until there is a new commit."


def _used_up(run: ForecastRun) -> str:
    if not run.overage_mean:
        return "A top-up or a new commit ends that."
    owed = (run.overage_mean, run.overage_p10 or Decimal(0), run.overage_p90 or Decimal(0))
    amount, low, high = (whole(one * _factor(run), run.currency) for one in owed)
    return f"Until the term ends that would be about {amount} ({low} to {high}). A top-up or a new commit ends it."


def _money_ahead(run: ForecastRun) -> str:
    if run.overage_mean and run.p_exhausted and run.p_exhausted >= EVEN:
        return f"Covering the rest of the term would take about {whole(run.overage_mean, run.currency)}."
    if run.unused_mean:
        return f"About {whole(run.unused_mean, run.currency)} would be left unused at its end."
    return ""


def _decision(seen: Burndown) -> str:
    if seen.decide_by is None:
        return ""
    if seen.decide_by > seen.today:
        return f"Nothing has to be approved before {short_day(seen.decide_by, seen.today)}."
    return "A top-up should be in approval now."


def _period_text(run: ForecastRun) -> str:
    low, high = (whole(amount, run.currency) for amount in (run.period_p10, run.period_p90))
    return f"The open period will most likely cost {whole(run.period_p50, run.currency)} ({low} to {high})."


def facts(seen: Burndown) -> list[Fact]:
    """The four facts under the headline."""
    run, today = seen.run, seen.today
    if run is None:
        return []
    if seen.allowance:
        return allowance_words.facts(seen.allowance, run)
    found = []
    if run.remaining is not None:
        given = sum((layer.commit.value for layer in seen.layers), Decimal(0))
        note = f"of {whole(given, run.currency)}" if given else ""
        found.append(Fact("Left at the start of the day", whole(run.remaining, run.currency), note))
    pace = f"{whole(run.burn_rate, run.currency)} a day" if run.burn_rate is not None else "needs a closed day"
    found.append(Fact("Pace, weekday-adjusted", pace, "half-life of 14 days", none=run.burn_rate is None))
    if seen.is_used_up:
        found += _used_up_facts(seen, run)
    elif run.p_exhausted is not None and run.term_ends_on:
        found.append(Fact(f"Chance before {short_day(run.term_ends_on, today)}", chance_text(run.p_exhausted)))
    if run.remaining is not None and not seen.is_used_up:
        found.append(_approval(seen))
    if run.period_p50 is not None and len(found) < 4:
        low, high = (whole(amount, run.currency) for amount in (run.period_p10, run.period_p90))
        found.append(Fact("Open period at its end", whole(run.period_p50, run.currency), f"{low} to {high}"))
    return found


def _used_up_facts(seen: Burndown, run: ForecastRun) -> list[Fact]:
    """What use above the commits has cost, and what it would until the term ends."""
    found = []
    if seen.overage is not None:
        since = f"since {short_day(seen.used_up_on, seen.today)}" if seen.used_up_on else ""
        found.append(Fact("Overage so far", whole(seen.overage, run.currency), since, "bad" if seen.overage else ""))
    if run.overage_mean is not None and run.term_ends_on:
        note = f"most likely, until {short_day(run.term_ends_on, seen.today)}"
        found.append(Fact("Overage ahead", whole(run.overage_mean * _factor(run), run.currency), note))
    return found


def _approval(seen: Burndown) -> Fact:
    if seen.decide_by is None or seen.run is None or seen.run.exhaust_p10 is None:
        return Fact("Start approval by", "not needed this term", none=True)
    note = f"{counted(seen.approval_days, 'day')} before {short_day(seen.run.exhaust_p10, seen.today)}"
    late = seen.decide_by <= seen.today
    return Fact("Start approval by", short_day(seen.decide_by, seen.today), note, "bad" if late else "")


def straight_text(seen: Burndown) -> str:
    """What the straight line that everybody knows would say, beside the forecast."""
    run = seen.run
    if run is None or run.remaining is None or run.burn_rate is None or run.exhausted_on or seen.allowance:
        return ""
    pace = money_text(run.burn_rate, run.currency, places=0)
    if run.straight_on is None:
        return f"A straight line at {pace} a day does not reach zero within ten years."
    return f"A straight line at {pace} a day reaches zero on {short_day(run.straight_on, seen.today)}."


def moved_text(seen: Burndown) -> str:
    """The finding of the chart of past forecasts."""
    known = [run for run in seen.moved if run.exhaust_p50 and not run.exhausted_on]
    if len(seen.moved) < 2:
        return "What was known before: this is the first forecast"
    if len(known) < 2:
        return "Since the first forecast the answer has been: it lasts the term"
    newest, oldest = known[0], known[-1]
    if newest.exhaust_p50 is None or oldest.exhaust_p50 is None:
        return "How the date has moved"
    days = (newest.exhaust_p50 - oldest.exhaust_p50).days
    since = short_day(oldest.as_of, seen.today)
    if days == 0:
        return f"Since {since} the date has not moved"
    return f"Since {since} the date moved {counted(abs(days), 'day')} {'later' if days > 0 else 'earlier'}"
