"""What an import would change, account by account: quantity and money of the periods it touches, now and after."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db import connection
from django.db.models import Count, Sum

from accounts.models import Account
from consumption_cs.lib.money import exactly, exponent
from consumption_cs.lib.periods import day_of, zone_of
from usage.calc.billing_periods import Span, billing_span
from usage.calc.import_preview import Added, Payer, Place, Use, after, cost, total
from usage.calc.merging import hash_of
from usage.calc.price_book import Dated, PriceBook
from usage.models import ImportChange, ImportSum, Meter, Price, Settlement, UniqueValue, UsageDay, UsageImport

ACCOUNTS = 20  # a transaction
ZERO = Decimal(0)

_VALUES = """
SELECT DISTINCT ON (meter_id, month, value) meter_id::text, day, workflow_key, "group", value, month
FROM (
    SELECT meter_id, (occurred_at AT TIME ZONE %(zone)s)::date AS day, workflow_key, "group", value, occurred_at,
        date_trunc('month', occurred_at AT TIME ZONE %(zone)s)::date AS month
    FROM usage_import_row
    WHERE organization_id = %(organization)s AND usage_import_id = %(usage_import)s AND account_id = %(account)s
        AND NOT is_known AND counted AND value IS NOT NULL
) AS seen
ORDER BY meter_id, month, value, occurred_at
"""


class PreviewRun:
    """Prices and meters, read once for a run over many accounts."""

    def __init__(self, organization_id: UUID) -> None:
        self.organization_id = organization_id
        self.aggregations = {
            str(pk): aggregation
            for pk, aggregation in Meter.objects.filter(organization=organization_id).values_list("pk", "aggregation")
        }
        self._books: dict[str, PriceBook] = {}

    def book(self, currency: str) -> PriceBook:
        """The prices in force in a currency."""
        if currency not in self._books:
            rows = Price.objects.filter(organization=self.organization_id, in_force=True, currency=currency)
            self._books[currency] = PriceBook(_dated(price) for price in rows.iterator())
        return self._books[currency]


def _dated(price: Price) -> Dated:
    account = str(price.account_id) if price.account_id else None
    terms = orjson.dumps(price.terms).decode()
    return Dated(str(price.pk), str(price.meter_id), account, price.currency, price.effective_on, terms)


def preview_slice(one: UsageImport, run: PreviewRun, now: datetime) -> bool:
    """Work out the next accounts of an import that is locked; returns whether there are more."""
    after_id = one.position.get("account")
    sums = ImportSum.objects.filter(organization=one.organization_id, usage_import=one.pk)
    accounts = Account.objects.filter(organization=one.organization_id, pk__in=sums.values("account"))
    if after_id:
        accounts = accounts.filter(pk__gt=UUID(after_id))
    found = list(accounts.order_by("pk")[:ACCOUNTS])
    for account in found:
        changes = _Account(one, run, account, now).changes()
        ImportChange.objects.bulk_create(changes)
    one.done += len(found)
    if found:
        one.position = {"account": str(found[-1].pk)}
    return len(found) == ACCOUNTS


def count_accounts(one: UsageImport) -> int:
    """How many accounts the import touches."""
    sums = ImportSum.objects.filter(organization=one.organization_id, usage_import=one.pk)
    return int(sums.aggregate(accounts=Count("account", distinct=True))["accounts"])


def totals(one: UsageImport) -> dict[str, Any]:
    """The preview in short: the money by currency, as texts, and how many accounts and meters change."""
    rows = ImportChange.objects.filter(organization=one.organization_id, usage_import=one.pk)
    by_currency = rows.values("currency").annotate(
        before=Sum("spend_before", default=ZERO),
        after=Sum("spend_after", default=ZERO),
        late=Sum("adjustment", default=ZERO),
    )
    money = {
        row["currency"]: {
            "before": f"{row['before']:f}",
            "after": f"{row['after']:f}",
            "late": f"{row['late']:f}",
        }
        for row in by_currency.order_by("currency")
    }
    counts = rows.aggregate(accounts=Count("account", distinct=True), meters=Count("meter", distinct=True))
    unpriced = rows.filter(spend_after=None).count()
    return {"money": money, "accounts": counts["accounts"], "meters": counts["meters"], "unpriced": unpriced}


class _Rows(NamedTuple):
    new: int
    known: int
    voided: int


class _Account:
    """The preview of one account."""

    def __init__(self, one: UsageImport, run: PreviewRun, account: Account, now: datetime) -> None:
        self.one, self.run, self.account = one, run, account
        self.zone = zone_of(account.timezone)
        self.today = day_of(now, self.zone)
        settlement = Settlement.objects.filter(organization=one.organization_id, account=account).first()
        self.closed_until = settlement.closed_until if settlement else None
        self.added: dict[str, dict[Place, Added]] = defaultdict(dict)
        self.rows: dict[str, list[_Rows]] = defaultdict(list)

    def changes(self) -> list[ImportChange]:
        """One row for each meter that the import touches."""
        self._read_sums()
        self._read_values()
        spans = sorted({self._span(place.day) for places in self.added.values() for place in places})
        before = self._usage(spans)
        return [self._change(meter, before.get(meter, {}), spans) for meter in sorted(self.added)]

    def _span(self, day: date) -> Span:
        return billing_span(day, self.account.billing_day, self.closed_until)

    def _read_sums(self) -> None:
        rows = ImportSum.objects.filter(
            organization=self.one.organization_id, usage_import=self.one.pk, account=self.account
        )
        named = rows.values_list(
            "meter_id", "day", "workflow_key", "group", "quantity", "events", "last_event_at", "voided_quantity",
            "voided_events", "rows_new", "rows_known", "rows_voided",
        )  # fmt: skip
        for pk, day, workflow, group, quantity, events, last_at, less, fewer, *counts in named.iterator():
            meter = str(pk)
            self.added[meter][Place(day, workflow, group)] = Added(Use(quantity, events, last_at), less, fewer)
            self.rows[meter].append(_Rows(*counts))

    def _read_values(self) -> None:
        """Meters of different values count those that the local month has not seen yet, on their first day."""
        if not any(self.run.aggregations.get(meter) == Meter.Aggregation.UNIQUE for meter in self.added):
            return
        with connection.cursor() as cursor:
            cursor.execute(
                _VALUES,
                {
                    "zone": self.account.timezone,
                    "organization": self.one.organization_id,
                    "usage_import": self.one.pk,
                    "account": self.account.pk,
                },
            )
            while rows := cursor.fetchmany(10_000):
                self._count_values(rows)

    def _count_values(self, rows: list[tuple[Any, ...]]) -> None:
        hashes = {UUID(hash_of(row[4])) for row in rows}
        seen = set(
            UniqueValue.objects.filter(
                organization=self.one.organization_id, account=self.account, value_hash__in=hashes
            ).values_list("meter_id", "month", "value_hash")
        )
        for meter, day, workflow, group, value, month in rows:
            place = Place(day, workflow, group)
            added = self.added[meter].get(place)
            if added is not None and (UUID(meter), month, UUID(hash_of(value))) not in seen:
                use = added.use._replace(quantity=added.use.quantity + 1)
                self.added[meter][place] = added._replace(use=use)

    def _usage(self, spans: list[Span]) -> dict[str, dict[Place, Use]]:
        """What the account used in those periods, by meter."""
        found: dict[str, dict[Place, Use]] = defaultdict(dict)
        rows = UsageDay.objects.filter(
            organization=self.one.organization_id,
            account=self.account,
            meter__in=list(self.added),
            day__gte=min(span.start for span in spans),
            day__lt=max(span.end for span in spans),
        ).values_list("meter_id", "day", "workflow__key", "group", "quantity", "events", "last_event_at")
        for meter, day, workflow, group, *use in rows.iterator():
            if any(span.holds(day) for span in spans):
                found[str(meter)][Place(day, workflow or "", group)] = Use(*use)
        return found

    @exactly
    def _change(self, meter: str, before: Mapping[Place, Use], spans: list[Span]) -> ImportChange:
        added = self.added[meter]
        touched = [span for span in spans if any(span.holds(place.day) for place in added)]
        before = {place: use for place, use in before.items() if any(span.holds(place.day) for span in touched)}
        later = after(before, added, self.run.aggregations[meter])
        spend_before, spend_after, adjustment = self._money(meter, before, later, touched)
        rows = _Rows(*(sum(column) for column in zip(*self.rows[meter], strict=True)))
        return ImportChange(
            organization_id=self.one.organization_id,
            usage_import_id=self.one.pk,
            account=self.account,
            meter_id=meter,
            currency=self.account.currency,
            starts_on=touched[0].start,
            ends_on=touched[-1].end,
            rows_new=rows.new,
            rows_known=rows.known,
            rows_voided=rows.voided,
            quantity_before=total(before),
            quantity_after=total(later),
            spend_before=spend_before,
            spend_after=spend_after,
            adjustment=adjustment,
        )

    def _money(
        self, meter: str, before: Mapping[Place, Use], later: Mapping[Place, Use], spans: list[Span]
    ) -> tuple[Decimal | None, Decimal | None, Decimal]:
        """What the periods cost now and after, and the part of the difference that falls into closed ones."""
        book = self.run.book(self.account.currency)
        payer = Payer(str(self.account.pk), meter, self.account.currency, exponent(self.account.currency))
        sides: list[Decimal | None] = [None, None]
        adjustment = ZERO
        for span in spans:
            final = span.end <= self.today
            costs = [cost(use, span, book, payer, final=final) for use in (before, later)]
            for index, amount in enumerate(costs):
                if amount is not None:
                    sides[index] = (sides[index] or ZERO) + amount
            if self.closed_until is not None and span.end <= self.closed_until:
                adjustment += (costs[1] or ZERO) - (costs[0] or ZERO)
        if sides[1] is not None and sides[0] is None and not before:
            sides[0] = ZERO  # nothing was used, so it cost nothing
        return sides[0], sides[1], adjustment
