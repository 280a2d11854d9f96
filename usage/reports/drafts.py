"""A draft before it is published: what is missing, what it would rate again, and whether its effect is known."""

from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any

import orjson
from django.db.models import Count, Max, Min, Q, QuerySet

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from usage.calc.price_book import read_terms
from usage.calc.price_check import faults
from usage.calc.prices import PriceError
from usage.models import BillingPeriod, Meter, Price, RateCardVersion, UsageDay
from usage.reports.rate_cards import prices_on, taken_words

READY, RUNNING, FAILED = "ready", "running", "failed"


@dataclass(frozen=True, slots=True)
class Rerated:
    """Days with use on which new prices would change the money, and the closed periods among them."""

    days: int
    accounts: int
    first: date | None
    last: date | None
    closed_periods: int = 0


def draft_problems(viewer: Viewer, version: RateCardVersion) -> list[str]:
    """Return in words what keeps a draft from being published; nothing if it is whole."""
    lines = list(version.prices.select_related("meter"))
    if not lines:
        return ["Add at least one price."]
    problems = [
        f"{line.meter.name}: {fault.words}" for line in lines for fault in faults(line.terms, line.meter.dimensions)
    ]
    if not problems and len(unchanged(viewer, version)) == len(lines):
        problems.append("Nothing changes: every price is the one that holds already. Change at least one.")
    for other in same_day(viewer, version).select_related("meter", "version"):
        words = taken_words(other.meter, version.account, other.currency, other.effective_on)
        problems.append(
            f"{words} It is in version {other.version.number}: choose another day, remove the line here, or withdraw"
            " that version."
        )
    return problems


def unchanged(viewer: Viewer, version: RateCardVersion) -> list[Price]:
    """Return the lines of a draft that only say what the card says already: publishing leaves them out."""
    current = prices_on(viewer, version.card, version.effective_on)
    lines = version.prices.select_related("meter")
    return [line for line in lines if line.meter_id in current and _is_same(line.terms, current[line.meter_id].terms)]


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    try:
        return read_terms(one) == read_terms(other)
    except PriceError:
        return False


def same_day(viewer: Viewer, version: RateCardVersion) -> QuerySet[Price]:
    """Return prices in force of the same meters, customers, currency and day as the version's."""
    rows: QuerySet[Price] = Price.objects.visible_to(viewer).filter(
        in_force=True,
        account=version.account,
        currency=version.card.currency,
        effective_on=version.effective_on,
        meter__in=version.prices.values("meter"),
    )
    left_out = [line.meter_id for line in unchanged(viewer, version)]
    return rows.exclude(version=version).exclude(meter__in=left_out).order_by("meter__name")


def fingerprint(viewer: Viewer, version: RateCardVersion) -> str:
    """Return a text that changes whenever the draft does, or the prices in force that it is compared with."""
    lines = [[str(line.meter_id), line.terms] for line in version.prices.order_by("meter_id")]
    in_force = Price.objects.visible_to(viewer).filter(in_force=True, currency=version.card.currency)
    ids = sorted(map(str, in_force.values_list("pk", flat=True)))
    told = orjson.dumps([version.effective_on.isoformat(), lines, ids], option=orjson.OPT_SORT_KEYS)
    return sha256(told).hexdigest()


def has_current_shadow(viewer: Viewer, version: RateCardVersion) -> bool:
    """Return whether the effect of the draft was computed, as it is now."""
    shadow: dict[str, Any] = version.shadow or {}
    return shadow.get("state") == READY and shadow.get("fingerprint") == fingerprint(viewer, version)


def rerated_by(viewer: Viewer, meter: Meter, account: Account | None, currency: str, from_day: date) -> Rerated:
    """Return on which days, with use, a price from `from_day` on would apply: until the next price of its kind."""
    return _rerated(viewer, [meter], account, currency, from_day)


def rerated_by_version(viewer: Viewer, version: RateCardVersion) -> Rerated:
    """Return on which days, with use, the prices of a version apply."""
    left_out = {line.pk for line in unchanged(viewer, version)}
    meters = [price.meter for price in version.prices.select_related("meter") if price.pk not in left_out]
    return _rerated(viewer, meters, version.account, version.card.currency, version.effective_on)


def _rerated(viewer: Viewer, meters: list[Meter], account: Account | None, currency: str, from_day: date) -> Rerated:
    own = Price.objects.visible_to(viewer).filter(in_force=True, account=account, currency=currency)
    ends = dict(
        own.filter(effective_on__gt=from_day, meter__in=meters).values_list("meter").annotate(day=Min("effective_on"))
    )
    applies = Q(pk__in=[])
    for meter in meters:
        until = ends.get(meter.pk)
        applies |= Q(meter=meter, day__lt=until) if until else Q(meter=meter)
    whose = {"account": account} if account else {"account__currency": currency}
    days = UsageDay.objects.visible_to(viewer).filter(applies, day__gte=from_day, **whose)
    found = days.aggregate(
        days=Count("day", distinct=True),
        accounts=Count("account", distinct=True),
        first=Min("day"),
        last=Max("day"),
    )
    closed = BillingPeriod.objects.visible_to(viewer).filter(ends_on__gt=from_day, **whose)
    return Rerated(**found, closed_periods=closed.count() if found["days"] else 0)
