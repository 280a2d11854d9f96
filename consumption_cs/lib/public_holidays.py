"""Public holidays by country, from the `holidays` package, whose modules are read when one is first asked for."""

from datetime import date
from functools import lru_cache

_SMALL_WORDS = {"And": "and", "Of": "of", "The": "the"}


@lru_cache(maxsize=1)
def countries() -> tuple[tuple[str, str], ...]:
    """Return the code (ISO 3166-1 alpha-2) and the English name of every country known, by name."""
    from holidays.registry import COUNTRIES  # late: few processes need it

    return tuple(sorted(((names[1], _name(module)) for module, names in COUNTRIES.items()), key=lambda pair: pair[1]))


def _name(module: str) -> str:
    words = (word.capitalize() for word in module.split("_"))
    return " ".join(_SMALL_WORDS.get(word, word) for word in words)


@lru_cache(maxsize=2048)
def holidays_of(country: str, year: int) -> frozenset[date]:
    """Return the country's public holidays of a year, as observed, that do not fall on its weekend.

    A holiday on a day of rest changes nothing. Empty for a country that is not known.
    """
    from holidays import country_holidays  # late: few processes need it

    try:
        found = country_holidays(country, years=year)
    except NotImplementedError:
        return frozenset()
    # Observed days of one year may lie in the next, and asking for a day of another year would add that year.
    return frozenset(day for day in list(found) if day.year == year and day.weekday() not in found.weekend)
