"""Prices as a list: what is in force on a day, what was, what will be; and which days a price would rate again."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db.models import Count, Max, Min

from accounts.models import Account, Organization
from consumption_cs.lib.display import exponent, money_text
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.models import Meter, Price, UsageDay


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One price and how long it holds. `until` is the first day on which the next one does."""

    price: Price
    until: date | None
    state: str  # "in force", "ahead" or "past"
    text: str


@dataclass(frozen=True, slots=True)
class MeterPrices:
    """A meter with its prices: everybody's first, then those of single accounts; the newest of each on top."""

    meter: Meter
    lines: list[PriceLine]

    @property
    def is_priced(self) -> bool:
        """Whether accounts without a price of their own pay one today, in some currency."""
        return any(line.state == "in force" and line.price.account_id is None for line in self.lines)


@dataclass(frozen=True, slots=True)
class Rerated:
    """Days with use of a meter on which a new price would change the money."""

    days: int
    accounts: int
    first: date | None
    last: date | None


def today_of(organization: Organization, now: datetime) -> date:
    """Return the date on the organization's calendar."""
    return day_of(now, zone_of(organization.timezone))


def price_list(viewer: Viewer, today: date, words: str = "", *, with_past: bool = True) -> list[MeterPrices]:
    """Return every meter with its prices; `words` narrows to accounts and meters whose name or key has them."""
    prices = Price.objects.visible_to(viewer).filter(in_force=True).select_related("meter", "account")
    series: dict[tuple[object, ...], list[Price]] = {}
    for price in prices.order_by("effective_on", "pk"):
        series.setdefault((price.meter_id, price.account_id, price.currency), []).append(price)
    lines: dict[object, list[PriceLine]] = {}
    for steps in series.values():
        for line in _lines(steps, today):
            if (with_past or line.state != "past") and _has(line.price, words):
                lines.setdefault(line.price.meter_id, []).append(line)
    meters = Meter.objects.visible_to(viewer).order_by("name", "pk")
    found = [MeterPrices(meter, sorted(lines.get(meter.pk, []), key=_order)) for meter in meters]
    return [one for one in found if one.lines or not words]


def exact_price(amount: Decimal, currency: str) -> str:
    """Return a price with all of its decimals, and at least those of the currency."""
    decimals = -int(amount.normalize().as_tuple().exponent)
    return money_text(amount, currency, places=max(decimals, exponent(currency)))


def rerated_by(viewer: Viewer, meter: Meter, account: Account | None, currency: str, from_day: date) -> Rerated:
    """Return on which days, with use, a price from `from_day` on would apply: until the next price of its kind."""
    own = Price.objects.visible_to(viewer).filter(meter=meter, account=account, currency=currency)
    until = own.filter(effective_on__gt=from_day).aggregate(day=Min("effective_on"))["day"]
    days = UsageDay.objects.visible_to(viewer).filter(meter=meter, day__gte=from_day, account__currency=currency)
    days = days.filter(account=account) if account else days
    days = days.filter(day__lt=until) if until else days
    found = days.aggregate(
        days=Count("day", distinct=True),
        accounts=Count("account", distinct=True),
        first=Min("day"),
        last=Max("day"),
    )
    return Rerated(**found)


def _lines(steps: list[Price], today: date) -> Iterable[PriceLine]:
    for index, price in enumerate(steps):
        until = steps[index + 1].effective_on if index + 1 < len(steps) else None
        state = "ahead" if price.effective_on > today else "past" if until and until <= today else "in force"
        each = price.unit_price
        text = exact_price(each, price.currency) if each is not None else "in tiers or packages"
        yield PriceLine(price, until, state, text)


def _has(price: Price, words: str) -> bool:
    names = [price.meter.name, price.meter.key]
    names += [price.account.name, price.account.key] if price.account else []
    text = " ".join(names).lower()
    return all(word in text for word in words.lower().split())


def _order(line: PriceLine) -> tuple[object, ...]:
    account = line.price.account
    return (
        account is not None,
        account.name.lower() if account else "",
        line.price.currency,
        -line.price.effective_on.toordinal(),
    )
