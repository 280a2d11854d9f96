"""A replay in sentences."""

from collections.abc import Iterable
from datetime import date

from budgets.calc.budget_rules import FORECAST, PACES
from usage.reports.overview_words import short_date


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
