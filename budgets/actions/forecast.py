"""Makes forecast runs: when commits run out, and what the open billing period will cost. Each run is kept for ever."""

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from math import inf
from uuid import UUID

import numpy as np

from accounts.models import Account
from budgets.actions.evaluate import evaluate
from budgets.actions.forecast_rows import Drawn, period_of, run_of, tell_run_out
from budgets.actions.forecast_store import store_runs
from budgets.calc.burn_rate import burn_rate
from budgets.calc.forecast import forecast_cumulative
from budgets.calc.holidays import bent
from budgets.calc.period_end import LineForecast
from budgets.calc.run_out import NEVER, Layers, chance, daily, fan, mean, run_out, widened
from budgets.calc.usage_windows import Floats
from budgets.models import ForecastRun
from budgets.reports.forecast_inputs import Inputs, inputs_of
from budgets.reports.forecast_scale import Scale, scale_of
from budgets.reports.forecasts_due import forecasts_due
from budgets.reports.period_inputs import PeriodLine, period_lines, spent_so_far
from budgets.reports.spend_history import HORIZON_DAYS, matrix
from consumption_cs.lib.tenancy import Viewer, act_as
from usage.actions.rated_rows import read_prices
from usage.calc.price_book import PriceBook

BLOCK = 250  # accounts at once: their paths fit into memory, and their rows into one statement


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
        scale = scale_of(organization_id, now)
    made = 0
    for first in range(0, len(wanted), block):
        with act_as(Viewer(organization_id)):
            made += _make_block(organization_id, now, wanted[first : first + block], cause, rebuilt, scale)
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


def _make_block(
    organization_id: UUID, now: datetime, names: list[str], cause: str, rebuilt: bool, scale: Scale
) -> int:
    inputs = inputs_of(organization_id, now, names, from_ledger=rebuilt, usual=scale.usual)
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
    runs, spend = _runs(organization_id, now, new, cause, scale)
    for run in runs:
        run.inputs_hash = hashes[str(run.account_id)]
        run.details["rebuilt"] = rebuilt
    store_runs(runs, spend)
    if not rebuilt:
        evaluate(organization_id, now, [str(run.account_id) for run in runs], {}, after_forecast=True)
    return len(runs)


def _runs(
    organization_id: UUID, now: datetime, inputs: Sequence[Inputs], cause: str, scale: Scale
) -> tuple[list[ForecastRun], Floats]:
    """Return the runs, and their cumulative paths [accounts, 3, days]."""
    widen = np.array([scale.of(one.account.pk) for one in inputs])
    quantiles = _ahead([(one, one.history) for one in inputs], HORIZON_DAYS)
    quantiles = widened(quantiles, widen[:, 0], widen[:, 1])
    spend = planned(daily(quantiles.transpose(1, 0, 2)), inputs).cumsum(axis=2)
    periods = _periods(organization_id, inputs)
    rates = [burn_rate(one.history, excused=one.excused) for one in inputs]
    runs = [
        run_of(one, now, cause, rate, periods[str(one.account.pk)], scale.of(one.account.pk))
        for one, rate in zip(inputs, rates, strict=True)
    ]
    _draw(runs, inputs, quantiles, rates)
    return runs, spend


def _ahead(use: Sequence[tuple[Inputs, Floats]], horizon: int) -> Floats:
    """Forecast daily use, each with its account: learnt from days as they would be without holidays, with those ahead.

    Returns cumulative quantiles [3, use, horizon].
    """
    quantiles = forecast_cumulative(matrix([one.ordinary(days) for one, days in use]), horizon)
    if not any(one.holidays for one, _ in use):
        return quantiles
    return bent(quantiles, np.stack([one.holiday_factors(horizon) for one, _ in use]))


def _draw(
    runs: Sequence[ForecastRun], inputs: Sequence[Inputs], quantiles: Floats, rates: Sequence[float | None]
) -> None:
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
    drawn = Drawn(found, chance(found.day < term[:, None]), amounts)
    for number, row in enumerate(rows):
        tell_run_out(runs[row], inputs[row], number, drawn, rates[row])


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
    quantities = _ahead([(one, line.days) for one, line in flat], max(longest, 1))
    forecasts: dict[str, list[LineForecast]] = {name: [] for name in today}
    for number, (one, line) in enumerate(flat):
        ahead = quantities[:, number, (one.period.end - one.today).days - 1]
        forecasts[str(one.account.pk)].append(_line_forecast(one, line, ahead, book))
    return {
        str(one.account.pk): period_of(one, spent[str(one.account.pk)], forecasts[str(one.account.pk)])
        for one in inputs
    }


def _line_forecast(one: Inputs, line: PeriodLine, ahead: Floats, book: PriceBook) -> LineForecast:
    in_force = book.on(one.today, line.meter, str(one.account.pk), one.account.currency)
    price = in_force.price_of(line.cell) if in_force and not in_force.needs_events else None
    known = float(line.days.sum())
    return LineForecast(price, line.quantity, line.events, line.amount, tuple(float(q) for q in ahead), known)
