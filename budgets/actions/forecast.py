"""Makes forecast runs: when commits run out, and what the open billing period will cost. Each run is kept for ever."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import inf
from typing import Any
from uuid import UUID

import numpy as np

from accounts.models import Account
from budgets.calc.burn_rate import ENOUGH_DAYS, burn_rate, month_end, straight_days
from budgets.calc.forecast import forecast_cumulative
from budgets.calc.period_end import LineForecast, period_end
from budgets.calc.run_out import LEVELS, NEVER, Layers, RunOut, at_level, chance, daily, fan, mean, run_out, widened
from budgets.calc.suppressed import suppressed
from budgets.calc.usage_windows import Floats
from budgets.models import ForecastCalibration, ForecastRun
from budgets.reports.forecast_inputs import HORIZON_DAYS, Inputs, inputs_of, matrix
from budgets.reports.forecasts_due import forecasts_due
from budgets.reports.period_inputs import PeriodLine, period_lines, spent_so_far
from consumption_cs.lib.money import exponent, round_to
from consumption_cs.lib.tenancy import Viewer, act_as
from usage.actions.rated_rows import read_prices
from usage.calc.price_book import PriceBook

BLOCK = 250  # accounts at once: their paths fit into memory, and their rows into one statement
MOST = Decimal(10) ** 13  # what a column of money holds; more is no forecast


def make_runs(
    organization_id: UUID,
    now: datetime,
    account_ids: Iterable[str] | None = None,
    *,
    cause: str = ForecastRun.Cause.NIGHTLY,
    block: int = BLOCK,
    rebuilt: bool = False,
) -> int:
    """Forecast the organization's accounts, or those named, and keep the runs; return how many were made.

    In transactions of `block` accounts. An account whose inputs are those of its last run of the same day gets no
    other one, so a second call changes nothing. `rebuilt`: `now` has passed, and the run shows what the forecast
    would have been with all that is known of the time before it today; it says so.
    """
    with act_as(Viewer(organization_id)):
        named = account_ids if account_ids is not None else _all_accounts(organization_id)
        wanted = sorted(str(one) for one in named)
    made = 0
    for first in range(0, len(wanted), block):
        with act_as(Viewer(organization_id)):
            made += _make_block(organization_id, now, wanted[first : first + block], cause, rebuilt)
    return made


def refresh(organization_id: UUID, now: datetime, seconds: float = inf) -> int:
    """Forecast every account whose latest run is not up to date any more; return how many runs were made.

    Stops when `seconds` have passed, after the block under way; the next call goes on.
    """
    start = time.monotonic()
    with act_as(Viewer(organization_id)):
        due = forecasts_due(organization_id, now)
    made = 0
    for cause in sorted({one.cause for one in due}):
        wanted = [one.account for one in due if one.cause == cause]
        for first in range(0, len(wanted), BLOCK):
            if time.monotonic() - start > seconds:
                return made
            made += make_runs(organization_id, now, wanted[first : first + BLOCK], cause=cause)
    return made


def _all_accounts(organization_id: UUID) -> list[str]:
    return [str(pk) for pk in Account.objects.filter(organization_id=organization_id).values_list("pk", flat=True)]


def _make_block(organization_id: UUID, now: datetime, names: list[str], cause: str, rebuilt: bool) -> int:
    inputs = inputs_of(organization_id, now, names, from_ledger=rebuilt)
    hashes = {str(one.account.pk): one.hash() for one in inputs}
    known = set(
        ForecastRun.objects.filter(
            organization_id=organization_id, account_id__in=names, as_of__gte=min(one.today for one in inputs)
        ).values_list("account_id", "inputs_hash")
        if inputs
        else ()
    )
    new = [one for one in inputs if (one.account.pk, hashes[str(one.account.pk)]) not in known]
    if not new:
        return 0
    runs = _runs(organization_id, now, new, cause)
    for run in runs:
        run.inputs_hash = hashes[str(run.account_id)]
        run.details["rebuilt"] = rebuilt
    ForecastRun.objects.bulk_create(runs)
    return len(runs)


def _runs(organization_id: UUID, now: datetime, inputs: Sequence[Inputs], cause: str) -> list[ForecastRun]:
    low, high = calibration(organization_id)
    quantiles = forecast_cumulative(matrix([one.history for one in inputs]), HORIZON_DAYS)
    ones = np.ones(len(inputs))
    quantiles = widened(quantiles, low * ones, high * ones)
    spend = planned(daily(quantiles.transpose(1, 0, 2)), inputs).cumsum(axis=2)
    periods = _periods(organization_id, inputs)
    runs = [
        _run(one, now, cause, spend[row], periods[str(one.account.pk)], (low, high)) for row, one in enumerate(inputs)
    ]
    _draw(runs, inputs, quantiles)
    return runs


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What became of the paths of several accounts: `amounts` are fields of a run, each [accounts]."""

    found: RunOut
    exhausted: Floats
    amounts: dict[str, Floats]


def _draw(runs: Sequence[ForecastRun], inputs: Sequence[Inputs], quantiles: Floats) -> None:
    """Draw the fans of the accounts that have commits, and tell their runs."""
    rows = [row for row, one in enumerate(inputs) if one.has_commits]
    if not rows:
        return
    funded = [inputs[row] for row in rows]
    term = np.array([min(one.term, HORIZON_DAYS) for one in funded])
    found = run_out(planned(daily(fan(quantiles[:, rows])), funded), layers_of(funded), term)
    amounts: dict[str, Floats] = {}
    for name, values in (("overage", found.overage), ("unused", found.unused)):
        amounts[f"{name}_p10"], amounts[f"{name}_p90"] = np.quantile(values, [0.1, 0.9], axis=1)
        amounts[f"{name}_mean"] = mean(values)
    drawn = _Drawn(found, chance(found.day < term[:, None]), amounts)
    for number, row in enumerate(rows):
        _tell_run_out(runs[row], inputs[row], number, drawn)


def calibration(organization_id: UUID) -> tuple[float, float]:
    """Return what the organization's intervals are scaled by, below and above; (1, 1) until enough is scored."""
    latest = ForecastCalibration.objects.filter(organization_id=organization_id).order_by("-made_at").first()
    return (latest.widen_low, latest.widen_high) if latest else (1.0, 1.0)


def layers_of(inputs: Sequence[Inputs]) -> Layers:
    """Return the commits of the accounts as arrays [accounts, layers], filled up with empty ones."""
    most = max((len(one.layers) for one in inputs), default=0) or 1
    left = np.zeros((len(inputs), most))
    starts = np.zeros((len(inputs), most), dtype=np.int64)
    ends = np.full((len(inputs), most), NEVER, dtype=np.int64)
    for row, one in enumerate(inputs):
        for number, layer in enumerate(one.layers):
            left[row, number], starts[row, number], ends[row, number] = layer.left, layer.starts, layer.ends
    return Layers(left, starts, ends)


def planned(paths: Floats, inputs: Sequence[Inputs]) -> Floats:
    """Bend daily paths [accounts, levels, days] by what is planned: a percentage, or an amount over its days."""
    for row, one in enumerate(inputs):
        for plan in one.plans:
            first = max((plan.starts_on - one.today).days, 0)
            last = min((plan.ends_on - one.today).days, paths.shape[2])
            if plan.change_percent is not None:
                paths[row, :, first:last] *= 1 + float(plan.change_percent) / 100
            elif plan.extra_spend is not None and last > first:
                days = (plan.ends_on - plan.starts_on).days  # what lies in the past has happened
                paths[row, :, first:last] += float(plan.extra_spend) / days
    return np.maximum(paths, 0.0)


def _periods(organization_id: UUID, inputs: Sequence[Inputs]) -> dict[str, dict[str, Decimal | None]]:
    """Return P10, P50, P90 and the straight line of each account's open period."""
    today = {str(one.account.pk): one.today for one in inputs}
    spans = {str(one.account.pk): one.period for one in inputs}
    lines = period_lines(organization_id, today, spans)
    spent = spent_so_far(organization_id, today, spans)
    book = read_prices(organization_id, list(today))
    flat = [(one, line) for one in inputs for line in lines[str(one.account.pk)]]
    longest = max(((one.period.end - one.today).days for one in inputs), default=1)
    quantities = forecast_cumulative(matrix([line.days for _, line in flat]), max(longest, 1))
    forecasts: dict[str, list[LineForecast]] = {name: [] for name in today}
    for number, (one, line) in enumerate(flat):
        ahead = quantities[:, number, (one.period.end - one.today).days - 1]
        forecasts[str(one.account.pk)].append(_line_forecast(one, line, ahead, book))
    return {
        str(one.account.pk): _period(one, spent[str(one.account.pk)], forecasts[str(one.account.pk)]) for one in inputs
    }


def _line_forecast(one: Inputs, line: PeriodLine, ahead: Floats, book: PriceBook) -> LineForecast:
    in_force = book.on(one.today, line.meter, str(one.account.pk), one.account.currency)
    price = in_force.price_of(line.cell) if in_force and not in_force.needs_events else None
    known = float(line.days.sum())
    return LineForecast(price, line.quantity, line.events, line.amount, tuple(float(q) for q in ahead), known)


def _period(one: Inputs, spent: Decimal, lines: Sequence[LineForecast]) -> dict[str, Decimal | None]:
    if not one.known_days:
        return dict.fromkeys(("period_p10", "period_p50", "period_p90", "period_straight"))
    low, middle, high = period_end(spent, lines)
    day, days = (one.today - one.period.start).days, (one.period.end - one.period.start).days
    straight = None
    if day > 0:
        straight = month_end(float(spent), day, days, None)
    if one.known_days < ENOUGH_DAYS and straight is not None:
        low = middle = high = Decimal(straight)
    values = {"period_p10": low, "period_p50": middle, "period_p90": high}
    told: dict[str, Decimal | None] = {name: _money(float(value), one) for name, value in values.items()}
    told["period_straight"] = None if straight is None else _money(straight, one)
    return told


def _run(
    one: Inputs,
    now: datetime,
    cause: str,
    spend: Floats,
    period: dict[str, Decimal | None],
    widen: tuple[float, float],
) -> ForecastRun:
    rate = burn_rate(one.history)
    basis = ForecastRun.Basis
    run = ForecastRun(
        organization_id=one.account.organization_id,
        account=one.account,
        as_of=one.today,
        made_at=now,
        cause=cause,
        basis=basis.NONE if not one.known_days else basis.NAIVE if one.known_days < ENOUGH_DAYS else basis.MODEL,
        currency=one.account.currency,
        term_ends_on=one.term_ends_on,
        period_ends_on=one.period.end,
        burn_rate=None if rate is None else _money(rate, one),
        details={
            "overage_factor": one.overage_factor,
            "widened": list(widen),
            "planned": [str(plan.pk) for plan in one.plans],
            "spent_28": float(one.history[-28:].sum()),
            "held_back": _held_back(one),
        },
        **period,
    )
    for name, path in zip(("spend_p10", "spend_p50", "spend_p90"), spend, strict=True):
        setattr(run, name, _literal(path if one.known_days else np.empty(0)))
    return run


def _literal(path: Floats) -> str:
    """Return an array as PostgreSQL reads it, to seven digits, which is more than a forecast knows.

    A list would be written as hundreds of expressions, which cost the database more than all the rest of the run.
    """
    return "{" + ",".join(["%.7g"] * len(path)) % tuple(path.tolist()) + "}"


def _held_back(one: Inputs) -> dict[str, float] | None:
    """Return since how many days use runs flat as if it were capped, and where; None if it does not."""
    found = suppressed(one.history)
    return {"days": found.days, "level": round(found.level, 6)} if found else None


def _tell_run_out(run: ForecastRun, one: Inputs, row: int, drawn: _Drawn) -> None:
    found = drawn.found
    remaining = sum(layer.left for layer in one.layers if layer.starts <= 0)
    run.remaining = _money(remaining, one)
    run.commits = [
        {
            "id": layer.commit,
            "name": layer.name,
            "kind": layer.kind,
            "left": layer.left,
            "starts_on": _day(one, max(layer.starts, 0)),
            "expires_on": None if layer.ends == NEVER else _day(one, layer.ends),
            "empty_p50": _day(one, int(found.empty[row, _level(0.5), number])),
        }
        for number, layer in enumerate(one.layers)
    ]
    if not one.known_days:
        return
    if remaining <= 0:
        run.exhausted_on = one.today
    run.exhaust_p10, run.exhaust_p50, run.exhaust_p90 = (
        _date(one, int(at_level(found.day, level)[row])) for level in (0.9, 0.5, 0.1)
    )
    run.p_exhausted = float(drawn.exhausted[row])
    for name, values in drawn.amounts.items():
        setattr(run, name, _money(float(values[row]), one))
    days = straight_days(remaining, burn_rate(one.history))
    run.straight_on = one.today + timedelta(days=int(days)) if days is not None and days < 3650 else None


def _level(probability: float) -> int:
    return int(np.argmin(np.abs(LEVELS - probability)))


def _date(one: Inputs, day: int) -> date | None:
    """A day from the term's end on is none: what lapses then did not run out."""
    return None if day >= min(one.term, HORIZON_DAYS) else one.today + timedelta(days=day)


def _day(one: Inputs, day: int) -> str | None:
    return None if day > 36500 else (one.today + timedelta(days=day)).isoformat()


def _money(value: float, one: Inputs) -> Decimal:
    """Round an estimate to the currency's places; one too large to keep becomes the largest that can be."""
    exact: Any = min(max(Decimal(value), -MOST), MOST)
    return round_to(exact, exponent(one.account.currency))
