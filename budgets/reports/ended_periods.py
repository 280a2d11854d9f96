"""Billing periods of all accounts: those that have ended and wait to be closed, and those that were."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import Count, Min, Q, QuerySet, Sum
from django.db.models.fields.json import KT

from accounts.models import Account
from consumption_cs.lib.periods import DAY, day_of, day_start, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.calc.billing_periods import Span, billing_span, billing_spans
from usage.models import AccountDay, BillingPeriod, QuarantinedEvent, Settlement, TouchedDay


@dataclass(slots=True)
class EndedPeriod:
    """The oldest billing period of an account that has ended and is not closed; `more` ended ones come after it.

    `closes_on`: the local day on which it closes by itself. `amount` so far, None until `with_amounts` has read it;
    `settling`: days of the account that are being settled; `quarantined`: its events that wait in quarantine.
    """

    account: Account
    span: Span
    closes_on: date
    more: int
    amount: Decimal | None = None
    settling: int = 0
    quarantined: int = 0

    @property
    def value(self) -> str:
        """What a form names it by."""
        return f"{self.account.pk}:{self.span.start}"

    @property
    def last(self) -> date:
        return self.span.end - DAY


def ended_periods(viewer: Viewer, now: datetime, close_after_days: int, words: str = "") -> list[EndedPeriod]:
    """Return what is to be closed, the one that closes by itself first on top; without amounts."""
    closed = dict(Settlement.objects.visible_to(viewer).values_list("account_id", "closed_until"))
    first_days = dict(
        AccountDay.objects.visible_to(viewer).values("account_id").annotate(first=Min("day")).values_list(
            "account_id", "first"
        )
    )  # fmt: skip
    found = []
    for account in Account.objects.visible_to(viewer).order_by("name"):
        if not all(word in f"{account.name} {account.key}".lower() for word in words.lower().split()):
            continue
        spans = _ended(account, closed.get(account.pk), first_days.get(account.pk), now)
        if spans:
            closes_on = spans[0].end + timedelta(days=close_after_days)
            found.append(EndedPeriod(account, spans[0], closes_on, len(spans) - 1))
    return sorted(found, key=lambda one: (one.closes_on, one.account.name.lower()))


def with_amounts(viewer: Viewer, ended: Sequence[EndedPeriod]) -> Sequence[EndedPeriod]:
    """Fill in what each period has cost so far, and what waits."""
    by_account = {one.account.pk: one for one in ended}
    amounts = AccountDay.objects.visible_to(viewer).filter(_any_of(ended, "account_id", "day"))
    for pk, amount in amounts.values("account_id").annotate(sum=Sum("spend")).values_list("account_id", "sum"):
        by_account[pk].amount = amount
    marks = TouchedDay.objects.visible_to(viewer).filter(account_id__in=by_account)
    for pk, count in marks.values("account_id").annotate(count=Count("day")).values_list("account_id", "count"):
        by_account[pk].settling = count
    keys = {one.account.key: one for one in ended}
    waiting = QuarantinedEvent.objects.visible_to(viewer).filter(replayed_at=None).filter(_happened_in(ended))
    counted = waiting.annotate(subject=KT("payload__subject")).values("subject").annotate(count=Count("pk"))
    for subject, count in counted.order_by().values_list("subject", "count"):
        keys[subject].quarantined = count
    return ended


def closed_periods(viewer: Viewer, words: str = "", account: UUID | None = None) -> QuerySet[BillingPeriod]:
    """Return closed periods, the latest closed first."""
    rows: QuerySet[BillingPeriod] = BillingPeriod.objects.visible_to(viewer).select_related("account", "closed_by")
    for word in words.split():
        rows = rows.filter(Q(account__name__icontains=word) | Q(account__key__icontains=word))
    if account:
        rows = rows.filter(account_id=account)
    return rows.order_by("-closed_at", "-starts_on", "-pk")


def _ended(account: Account, closed: date | None, first_day: date | None, now: datetime) -> list[Span]:
    today = day_of(now, zone_of(account.timezone))
    first = closed or first_day
    if first is None or not billing_span(first, account.billing_day, closed).has_ended(today):
        return []
    return [one for one in billing_spans(first, today, account.billing_day, closed) if one.has_ended(today)]


def _any_of(ended: Iterable[EndedPeriod], account: str, day: str) -> Q:
    found = Q(pk__in=[])
    for one in ended:
        found |= Q(**{account: one.account.pk, f"{day}__gte": one.span.start, f"{day}__lt": one.span.end})
    return found


def _happened_in(ended: Iterable[EndedPeriod]) -> Q:
    found = Q(pk__in=[])
    for one in ended:
        zone = zone_of(one.account.timezone)
        start, end = day_start(one.span.start, zone), day_start(one.span.end, zone)
        found |= Q(payload__subject=one.account.key, occurred_at__gte=start, occurred_at__lt=end)
    return found
