"""What rating reads of an account: its calendar and currency, prices, and single events where a price needs them."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from consumption_cs.lib.money import exponent
from consumption_cs.lib.periods import day_of, day_start, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.actions import rated_rows
from usage.calc.billing_periods import Span, billing_span
from usage.calc.day_rating import Rating
from usage.calc.metering import group_of
from usage.calc.price_book import PriceBook
from usage.models import Meter


@dataclass(frozen=True, slots=True)
class Owner:
    """What rating knows of an account. Days before `closed_until` are frozen."""

    id: str
    currency: str
    zone: ZoneInfo
    billing_day: int
    closed_until: date | None

    def span(self, day: date) -> Span:
        return billing_span(day, self.billing_day, self.closed_until)

    def is_frozen(self, day: date) -> bool:
        return self.closed_until is not None and day < self.closed_until

    def today(self, now: datetime) -> date:
        """The local day on which something is booked at `now`: never one that is frozen."""
        today = day_of(now, self.zone)
        return today if self.closed_until is None else max(today, self.closed_until)


def owners_of(organization_id: UUID, accounts: Iterable[str]) -> dict[str, Owner]:
    """Return what rating knows of the accounts, by id."""
    rows = rated_rows.read_accounts(organization_id, accounts)
    return {
        account: Owner(account, currency, zone_of(zone), billing_day, closed_until)
        for account, currency, zone, billing_day, closed_until in rows
    }


def rating_of(organization_id: UUID, owner: Owner, book: PriceBook, span: Span) -> Rating:
    """Return with which prices, and which single events, an account's billing period is rated."""
    needed = book.events_needed(owner.id, owner.currency)
    events = _events(organization_id, owner, needed, span) if needed else {}
    return Rating(owner.id, owner.currency, exponent(owner.currency), book, events)


def _events(
    organization_id: UUID, owner: Owner, needed: dict[str, int], span: Span
) -> dict[tuple[date, str, str], list[Decimal]]:
    dimensions = {
        str(pk): tuple(names)
        for pk, names in Meter.objects.visible_to(Viewer(organization_id))
        .filter(pk__in=needed)
        .values_list("pk", "dimensions")
    }
    start, end = day_start(span.start, owner.zone), day_start(span.end, owner.zone)
    values: dict[tuple[date, str, str], list[Decimal]] = defaultdict(list)
    for meter, limit in needed.items():
        for moment, properties, quantity in rated_rows.read_events(
            organization_id, owner.id, meter, (start, end), limit
        ):
            group = ""
            if dimensions[meter]:
                group = group_of(dimensions[meter], json.loads(properties, parse_float=Decimal))
            values[day_of(moment, owner.zone), meter, group].append(quantity)
    return values
