"""The effect of a draft before it is published: every account's last month, rated as it is and as it would be."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db import connection

from accounts.models import Account
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer, act_as
from usage.actions.publishing import NewPrice
from usage.actions.rating_input import Owner, owners_of, rating_of
from usage.calc.billing_periods import Span, billing_span
from usage.calc.day_rating import Use, rate_days
from usage.calc.price_book import Dated, PriceBook
from usage.models import BillingPeriod, Price, RateCardVersion
from usage.reports.drafts import FAILED, READY, RUNNING, fingerprint, unchanged

CHUNK = 50  # accounts a transaction; progress is told after each
ZERO = Decimal(0)
_ALWAYS = date(1, 1, 1)

_USAGE = """
SELECT account_id::text, meter_id::text, "group", day, sum(quantity), sum(events)::bigint
FROM usage_day JOIN unnest(%s::uuid[], %s::date[], %s::date[]) AS span(account_id, starts_on, ends_on)
    USING (account_id)
WHERE organization_id = %s AND day >= starts_on AND day < ends_on
GROUP BY account_id, meter_id, "group", day ORDER BY account_id, meter_id, day
"""


@dataclass(frozen=True, slots=True)
class Month:
    """The month of an account that is rated again; `is_closed`: its invoice stands."""

    span: Span
    is_closed: bool


class Amount(NamedTuple):
    """A month's amount in currency, and the events that no price was found for."""

    amount: Decimal
    unpriced: int


def start_shadow(viewer: Viewer, version: RateCardVersion, now: datetime) -> str:
    """Note that the effect of a draft is being computed; return the name of the run, for `compute_shadow`."""
    run = str(uuid7())
    version.shadow = {"state": RUNNING, "run": run, "done": 0, "of": 0, "started_at": now.isoformat()}
    version.shadow_at = None
    version.save(update_fields=["shadow", "shadow_at"])
    return run


def compute_shadow(organization_id: UUID, version_id: UUID, run: str, now: datetime) -> bool:
    """Compute the effect of a draft and store it with the draft; return False if the run is not wanted any more.

    In transactions of `CHUNK` accounts each. A change of the draft, or a newer run, ends it.
    """
    viewer = Viewer(organization_id)
    with act_as(viewer):
        version = RateCardVersion.objects.select_related("card").filter(pk=version_id).first()
        if version is None or (version.shadow or {}).get("run") != run:
            return False
        told = fingerprint(viewer, version)
        books = _books(viewer, version)
        accounts = accounts_on(viewer, version)
    rows: list[dict[str, Any]] = []
    for start in range(0, len(accounts), CHUNK):
        with act_as(viewer):
            rows += shadow_rows(viewer, accounts[start : start + CHUNK], books, now)
            progress = {"state": RUNNING, "run": run, "done": min(start + CHUNK, len(accounts)), "of": len(accounts)}
            if not _store(version_id, run, progress | {"started_at": now.isoformat()}, None):
                return False
    with act_as(viewer):
        result = {"state": READY, "run": run, "fingerprint": told, **summary(rows, version.card.currency)}
        return _store(version_id, run, result, now)


def fail_shadow(organization_id: UUID, version_id: UUID, run: str, words: str) -> None:
    """Say on the draft that its effect could not be computed."""
    with act_as(Viewer(organization_id)):
        _store(version_id, run, {"state": FAILED, "run": run, "words": words}, None)


def preview_of(viewer: Viewer, new: Sequence[NewPrice], now: datetime) -> dict[str, Any]:
    """Return at once what new prices, all of one currency, would do to the last month of the accounts they are for.

    In the shape of a shadow. Of several prices of one series the last one counts.
    """
    currency = new[0].currency
    latest = {
        (one.meter.pk, one.account and one.account.pk): one for one in sorted(new, key=lambda one: one.effective_on)
    }
    changed = [_new_dated(one) for one in latest.values()]
    named = {one.account.pk for one in new if one.account}
    is_shared = any(one.account is None for one in new)
    whose = {"currency": currency} if is_shared else {"pk__in": named}
    accounts = list(Account.objects.visible_to(viewer).filter(**whose).order_by("name", "pk"))
    books = _Books(_dated(viewer, currency), changed)
    return summary(list(shadow_rows(viewer, accounts, books, now)), currency)


def _new_dated(new: NewPrice) -> Dated:
    account = str(new.account.pk) if new.account else None
    terms = orjson.dumps(new.terms).decode()
    return Dated(str(uuid7()), str(new.meter.pk), account, new.currency, new.effective_on, terms)


def accounts_on(viewer: Viewer, version: RateCardVersion) -> list[Account]:
    """Return the accounts whose prices a version's card sets: one, or all that pay in its currency."""
    whose = {"pk": version.account_id} if version.account_id else {"currency": version.card.currency}
    return list(Account.objects.visible_to(viewer).filter(**whose).order_by("name", "pk"))


class _Books:
    """Prices in force, and the same with the changed ones as if they had been in force all the time."""

    def __init__(self, in_force: list[Dated], changed: list[Dated]) -> None:
        replaced = {(one.meter, one.account) for one in changed}
        kept = [one for one in in_force if (one.meter, one.account) not in replaced]
        self.old = PriceBook(in_force)
        self.new = PriceBook([*kept, *(one._replace(effective_on=_ALWAYS) for one in changed)])
        self.meters = {one.meter for one in changed}
        self.is_shared = any(one.account is None for one in changed)

    def own_of(self, account: Account) -> int:
        """How many of the changed meters the account has a price of its own for, that stays as it is."""
        return len(self.meters & self.old.own_meters(str(account.pk), account.currency)) if self.is_shared else 0


def shadow_rows(viewer: Viewer, accounts: Sequence[Account], books: _Books, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield for each account its month, and what it costs with the old and with the new prices."""
    months = _months(viewer, accounts, now)
    usage = _usage(viewer, {account: months[account.pk].span for account in accounts})
    owners = owners_of(viewer.organization_id, [str(account.pk) for account in accounts])
    for account in accounts:
        days, month, owner = usage.get(str(account.pk), []), months[account.pk], owners[str(account.pk)]
        old, new = (_rated(viewer, days, book, owner, month.span) for book in (books.old, books.new))
        yield {
            "id": str(account.pk),
            "key": account.key,
            "name": account.name,
            "from": month.span.start.isoformat(),
            "to": month.span.end.isoformat(),
            "closed": month.is_closed,
            "used": bool(days),
            "own": books.own_of(account),
            "old": f"{old.amount:f}",
            "new": f"{new.amount:f}",
            "unpriced_old": old.unpriced,
            "unpriced_new": new.unpriced,
        }


def summary(rows: Sequence[Mapping[str, Any]], currency: str) -> dict[str, Any]:
    """Return the rows of accounts with use, those whose amount moves most first, and their totals; amounts as text."""
    used = [row for row in rows if row["used"]]
    moved = sorted(used, key=lambda row: (-abs(Decimal(row["new"]) - Decimal(row["old"])), row["name"]))
    return {
        "currency": currency,
        "old": f"{sum((Decimal(row['old']) for row in used), ZERO):f}",
        "new": f"{sum((Decimal(row['new']) for row in used), ZERO):f}",
        "accounts": len(rows),
        "unused": len(rows) - len(used),
        "closed": sum(row["closed"] for row in used),
        "untouched": sum(bool(row["own"]) for row in used),
        "rows": moved,
    }


def _store(version_id: UUID, run: str, shadow: dict[str, Any], at: datetime | None) -> bool:
    mine = RateCardVersion.objects.filter(pk=version_id, status=RateCardVersion.Status.DRAFT, shadow__run=run)
    return bool(mine.update(shadow=shadow, shadow_at=at))


def _books(viewer: Viewer, version: RateCardVersion) -> _Books:
    left_out = {line.pk for line in unchanged(viewer, version)}
    changed = [_as_dated(price) for price in version.prices.all() if price.pk not in left_out]
    return _Books(_dated(viewer, version.card.currency), changed)


def _dated(viewer: Viewer, currency: str) -> list[Dated]:
    in_force = Price.objects.visible_to(viewer).filter(in_force=True, currency=currency)
    return [_as_dated(price) for price in in_force]


def _as_dated(price: Price) -> Dated:
    account = str(price.account_id) if price.account_id else None
    terms = orjson.dumps(price.terms).decode()
    return Dated(str(price.pk), str(price.meter_id), account, price.currency, price.effective_on, terms)


def _months(viewer: Viewer, accounts: Sequence[Account], now: datetime) -> dict[UUID, Month]:
    """The last closed billing period of each account, or the last full month of one that closed none."""
    closed: dict[UUID, Span] = {}
    periods = BillingPeriod.objects.visible_to(viewer).filter(account__in=accounts).order_by("ends_on")
    for account_id, start, end in periods.values_list("account_id", "starts_on", "ends_on"):
        closed[account_id] = Span(start, end)
    months = {}
    for account in accounts:
        today = day_of(now, zone_of(account.timezone))
        current = billing_span(today, account.billing_day)
        before = billing_span(date.fromordinal(current.start.toordinal() - 1), account.billing_day)
        months[account.pk] = Month(closed.get(account.pk, before), account.pk in closed)
    return months


def _usage(viewer: Viewer, spans: Mapping[Account, Span]) -> dict[str, list[Use]]:
    """The use of all those accounts in their months, in one query."""
    accounts = list(spans)
    ids, starts = [account.pk for account in accounts], [spans[account].start for account in accounts]
    ends = [spans[account].end for account in accounts]
    found: dict[str, list[Use]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_USAGE, [ids, starts, ends, viewer.organization_id])
        for account, meter, group, day, quantity, events in cursor.fetchall():
            found[account].append(Use(0, account, day, meter, group, quantity, events, None))
    return found


def _rated(viewer: Viewer, uses: Sequence[Use], book: PriceBook, owner: Owner, span: Span) -> Amount:
    """Rate a month as settlement does when it closes one."""
    rating = rating_of(viewer.organization_id, owner, book, span)
    by_events = book.events_needed(owner.id, owner.currency)
    last_day = date.fromordinal(span.end.toordinal() - 1)
    outcome = rate_days(rating, _stretches(uses, book, owner, set(by_events)), {}, last_day)
    amount = sum((row.amount for row in outcome.days if row.amount is not None), ZERO)
    return Amount(amount, sum(row.events for row in outcome.days if row.amount is None))


def _stretches(uses: Sequence[Use], book: PriceBook, owner: Owner, apart: set[str]) -> list[Use]:
    """Put the days of one price together: they cost what they cost one by one. Meters in `apart` keep their days."""
    found: dict[tuple[object, ...], Use] = {}
    for use in uses:
        in_force = book.on(use.day, use.meter, owner.id, owner.currency)
        price = in_force.id if in_force else None
        key = (use.meter, use.group, use.day if use.meter in apart else price)
        before = found.get(key)
        if before is None:
            found[key] = use
        else:
            quantity, events = before.quantity + use.quantity, before.events + use.events
            found[key] = before._replace(quantity=quantity, events=events)
    return list(found.values())
