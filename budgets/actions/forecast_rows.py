"""The row of a forecast run: dates, amounts, the commits and the open period, from what was reckoned."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from budgets.calc.burn_rate import ENOUGH_DAYS, month_end, straight_days
from budgets.calc.period_end import LineForecast, period_end
from budgets.calc.run_out import NEVER, RunOut, at_level
from budgets.calc.suppressed import suppressed
from budgets.calc.usage_windows import Floats
from budgets.models import ForecastRun
from budgets.reports.forecast_inputs import Inputs
from budgets.reports.spend_history import HORIZON_DAYS
from consumption_cs.lib.money import exponent, round_to

MOST = Decimal(10) ** 13  # what a column of money holds; more is no forecast


@dataclass(frozen=True, slots=True)
class Drawn:
    """What became of the paths of several accounts: `amounts` are fields of a run, each [accounts]."""

    found: RunOut
    exhausted: Floats
    amounts: dict[str, Floats]


def period_of(one: Inputs, spent: Decimal, lines: Sequence[LineForecast]) -> dict[str, Decimal | None]:
    """Return the fields of a run that tell how the open period will end."""
    if not one.known_days:
        return dict.fromkeys(("period_p10", "period_p50", "period_p90", "period_straight"))
    low, middle, high = period_end(spent, lines)
    day, days = (one.today - one.period.start).days, (one.period.end - one.period.start).days
    straight = month_end(float(spent), day, days, None) if day > 0 else None
    known = min(day, one.known_days)  # who began within the period did not idle before
    if one.known_days < ENOUGH_DAYS and known > 0:
        low = middle = high = Decimal(month_end(float(spent), known, known + days - day, None))
    values = {"period_p10": low, "period_p50": middle, "period_p90": high}
    told: dict[str, Decimal | None] = {name: _money(float(value), one) for name, value in values.items()}
    told["period_straight"] = None if straight is None else _money(straight, one)
    return told


def run_of(
    one: Inputs,
    now: datetime,
    cause: str,
    rate: float | None,
    period: dict[str, Decimal | None],
    widen: tuple[float, float],
) -> ForecastRun:
    """Return the account's run without its paths and what becomes of commits; `rate` is its burn rate."""
    basis = ForecastRun.Basis
    return ForecastRun(
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
            **({"holidays": one.holidays.told()} if one.holidays else {}),
        },
        **period,
    )


def _held_back(one: Inputs) -> dict[str, float] | None:
    """Return since how many days use runs flat as if it were capped, and where; None if it does not."""
    found = suppressed(one.history)
    return {"days": found.days, "level": round(found.level, 6)} if found else None


def tell_run_out(run: ForecastRun, one: Inputs, row: int, drawn: Drawn, rate: float | None) -> None:
    """Tell a run what becomes of its commits: `row` is the account's in what was `drawn`."""
    found = drawn.found
    empty = at_level(found.empty, 0.5)[row]
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
            "empty_p50": _day(one, int(empty[number])),
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
    days = straight_days(remaining, rate)
    run.straight_on = one.today + timedelta(days=int(days)) if days is not None and days < 3650 else None


def _date(one: Inputs, day: int) -> date | None:
    """A day from the term's end on is none: what lapses then did not run out."""
    return None if day >= min(one.term, HORIZON_DAYS) else one.today + timedelta(days=day)


def _day(one: Inputs, day: int) -> str | None:
    return None if day > 36500 else (one.today + timedelta(days=day)).isoformat()


def _money(value: float, one: Inputs) -> Decimal:
    """Round an estimate to the currency's places; one too large to keep becomes the largest that can be."""
    exact: Any = min(max(Decimal(value), -MOST), MOST)
    return round_to(exact, exponent(one.account.currency))
