"""The public holidays around a day, at each account's place, and what they did to its use."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from uuid import UUID

import numpy as np

from accounts.models import Account, Organization
from budgets.calc.holidays import Usual, effects, shrunk_effect
from budgets.calc.usage_windows import Flags, Floats
from budgets.reports.spend_history import HISTORY_DAYS, HORIZON_DAYS, histories
from consumption_cs.lib.periods import as_utc, day_of, zone_of
from consumption_cs.lib.public_holidays import holidays_of

_AT_ONCE = 500  # histories


@dataclass(frozen=True, slots=True)
class HolidayDays:
    """Which days are holidays of a country: `past` ends with yesterday, `ahead` starts with today."""

    country: str
    past: Flags
    ahead: Flags

    def before(self, days: int) -> Flags:
        """The last `days` of `past`."""
        return self.past[len(self.past) - days :]


@dataclass(frozen=True, slots=True)
class Holidays:
    """The account's public holidays, the share of a usual day that it uses on one, and how many of them told it."""

    days: HolidayDays
    effect: float
    seen: int

    def told(self) -> dict[str, object]:
        """Return them as a run keeps them."""
        return {"country": self.days.country, "effect": round(self.effect, 4), "seen": self.seen}


@lru_cache(maxsize=256)
def holiday_days(country: str, today: date) -> HolidayDays:
    """Return the holidays of the days that a forecast made on `today` knows, and of those that it tells."""
    first = today - timedelta(days=HISTORY_DAYS)
    years = range(first.year, (today + timedelta(days=HORIZON_DAYS)).year + 1)
    found = np.zeros(HISTORY_DAYS + HORIZON_DAYS, dtype=bool)
    places = [(day - first).days for year in years for day in holidays_of(country, year)]
    found[[place for place in places if 0 <= place < len(found)]] = True
    found.flags.writeable = False  # shared by all who ask
    return HolidayDays(country, found[:HISTORY_DAYS], found[HISTORY_DAYS:])


def countries_of(organization_id: UUID, accounts: Iterable[Account]) -> dict[str, str]:
    """Return the country of each account by id: its own, or else its organization's; without one it is left out."""
    usual = Organization.objects.values_list("country", flat=True).get(pk=organization_id)
    found = {str(account.pk): account.country or usual for account in accounts}
    return {name: country for name, country in found.items() if country}


def holidays_of_accounts(
    organization_id: UUID,
    accounts: Mapping[str, Account],
    today: Mapping[str, date],
    history: Mapping[str, Floats],
    usual: Usual,
) -> dict[str, Holidays]:
    """Return the holidays of each account that has a country; `history` is its spend up to yesterday."""
    found: dict[str, Holidays] = {}
    for name, country in countries_of(organization_id, accounts.values()).items():
        days = holiday_days(country, today[name])
        past = history.get(name, np.empty(0))
        seen = effects(past, days.before(len(past)))
        found[name] = Holidays(days, shrunk_effect(seen, usual), len(seen))
    return found


def holidays_seen(organization_id: UUID, now: datetime) -> list[Floats]:
    """Return, for each account of the organization with a country, what it used on past holidays ÷ a usual day."""
    accounts = {str(one.pk): one for one in Account.objects.filter(organization_id=organization_id)}
    countries = countries_of(organization_id, accounts.values())
    today = {name: day_of(as_utc(now), zone_of(accounts[name].timezone)) for name in sorted(countries)}
    names, seen = list(today), []
    for first in range(0, len(names), _AT_ONCE):
        part = {name: today[name] for name in names[first : first + _AT_ONCE]}
        for name, days in histories(organization_id, accounts, part).items():
            past = holiday_days(countries[name], part[name])
            seen.append(effects(days, past.before(len(days))))
    return seen
