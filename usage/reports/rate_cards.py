"""Rate cards as people read them: what each meter costs on a day, what comes next, and what each version changed."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from accounts.models import Account, Organization
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.calc.price_text import matrix_lines, price_words
from usage.models import Meter, Price, RateCard, RateCardVersion

DRAFT, PUBLISHED = RateCardVersion.Status.DRAFT, RateCardVersion.Status.PUBLISHED
SHOWN_METERS = 3


class PriceSaid(NamedTuple):
    """A price in words; `cells` are those of a price by dimension, (values, words) each."""

    price: Price
    text: str
    cells: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class CardLine:
    """One meter of a card on a day: what it costs, and what it will cost next. None: it has no price."""

    card: RateCard
    meter: Meter
    now: PriceSaid | None
    following: PriceSaid | None


class Change(NamedTuple):
    """What a version does to one meter; `before` empty: it had no price."""

    meter: Meter
    before: str
    after: PriceSaid

    @property
    def is_same(self) -> bool:
        """Whether it only says again what holds already."""
        return self.before == self.after.text


@dataclass(slots=True)
class VersionSaid:
    """One version of a card and what it changed against the version before it."""

    version: RateCardVersion
    changes: list[Change] = field(default_factory=list)

    @property
    def changed(self) -> list[Change]:
        return [change for change in self.changes if not change.is_same]


class OwnCard(NamedTuple):
    """The own prices of one account, as a row of a list."""

    card: RateCard
    meters: int
    texts: list[tuple[str, str]]  # meter, words; the first few
    drafts: int
    since: date | None


def today_of(organization: Organization, now: datetime) -> date:
    """Return the date on the organization's calendar."""
    return day_of(now, zone_of(organization.timezone))


def said(price: Price) -> PriceSaid:
    """Return a price, its meter at hand, in words."""
    meter = price.meter
    cells = matrix_lines(price.terms, price.currency, meter.unit) if _is_readable(price) else []
    return PriceSaid(price, price_words(price.terms, price.currency, meter.unit), cells)


def _said(price: Price | None) -> PriceSaid | None:
    return said(price) if price else None


def taken_words(meter: Meter, account: Account | None, currency: str, effective_on: date) -> str:
    """Say that there is a price of that meter and day already."""
    whose = f"for {account.name}" if account else "for all accounts"
    return f"{meter.name} already has a price in {currency} {whose} from {effective_on} on."


def cards(viewer: Viewer) -> QuerySet[RateCard]:
    """Return the cards that the viewer may see: a customer sees the price lists and its own."""
    rows: QuerySet[RateCard] = RateCard.objects.filter(organization_id=viewer.organization_id)
    rows = rows.select_related("account")
    if viewer.is_portal:
        rows = rows.filter(Q(account=None) | Q(account_id=viewer.account_id))
    return rows.order_by("account__name", "currency", "pk")


def meters_shown(viewer: Viewer, words: str = "") -> list[Meter]:
    """Return the meters by name, those whose name or key has all of the words."""
    found = Meter.objects.visible_to(viewer).order_by("name", "pk")
    return [meter for meter in found if _has(f"{meter.name} {meter.key}", words)]


def card_lines(
    viewer: Viewer, shown: Sequence[RateCard], meters: Sequence[Meter], day: date, *, all_meters: bool = True
) -> list[CardLine]:
    """Return each card's meters with their price on `day` and the next, in the order given.

    Without `all_meters` only those that have a price then or later; switched-off meters without one are left out.
    """
    prices = _in_force(viewer, shown)
    lines = []
    for card in shown:
        for meter in meters:
            steps = prices.get((card.pk, meter.pk), [])
            now, following = _around(steps, day)
            if now or following or (all_meters and meter.is_active):
                lines.append(CardLine(card, meter, _said(now), _said(following)))
    return lines


def own_cards(viewer: Viewer, shown: Sequence[RateCard], day: date) -> list[OwnCard]:
    """Return rows for the cards of accounts: how many meters have an own price on `day`, and the first few."""
    prices = _in_force(viewer, shown)
    drafts = dict(
        RateCardVersion.objects.visible_to(viewer)
        .filter(card__in=shown, status=DRAFT)
        .values_list("card")
        .annotate(count=Count("pk"))
    )
    rows = []
    for card in shown:
        steps = [found for (card_id, _), found in prices.items() if card_id == card.pk]
        now = sorted(filter(None, (_around(step, day)[0] for step in steps)), key=lambda price: price.meter.name)
        texts = [(price.meter.name, said(price).text) for price in now[:SHOWN_METERS]]
        since = max((price.effective_on for price in now), default=None)
        rows.append(OwnCard(card, len(now), texts, drafts.get(card.pk, 0), since))
    return rows


def unpriced_meters(viewer: Viewer, day: date) -> list[tuple[Meter, list[str]]]:
    """Return active meters without a price on `day` in a price list, with the currencies that lack one.

    Without any price list: all active meters, for no currency in particular.
    """
    lists = list(cards(viewer).filter(account=None))
    lines = card_lines(viewer, lists, meters_shown(viewer), day)
    if not lists:
        return [(meter, []) for meter in meters_shown(viewer) if meter.is_active]
    missing: dict[UUID, list[str]] = defaultdict(list)
    for line in lines:
        if line.now is None and line.meter.is_active:
            missing[line.meter.pk].append(line.card.currency)
    by_id = {line.meter.pk: line.meter for line in lines}
    return [(by_id[pk], currencies) for pk, currencies in missing.items()]


def history(viewer: Viewer, card: RateCard) -> list[VersionSaid]:
    """Return the card's versions, newest first, each with what it changed against the prices before it."""
    versions = card.versions.select_related("created_by", "published_by").order_by("-number")
    found = [VersionSaid(version) for version in versions]
    prices = list(_prices(viewer, [card]))
    by_version: dict[UUID, list[Price]] = defaultdict(list)
    for price in prices:
        by_version[price.version_id].append(price)
    steps = _by_meter(price for price in prices if price.in_force)
    for one in found:
        for price in sorted(by_version[one.version.pk], key=lambda price: price.meter.name):
            one.changes.append(_change(price, steps.get(price.meter_id, [])))
    return found


def version_changes(viewer: Viewer, version: RateCardVersion) -> list[Change]:
    """Return what one version changes, by the name of the meter."""
    steps = _by_meter(price for price in _prices(viewer, [version.card]) if price.in_force)
    own = version.prices.select_related("meter", "account").order_by("meter__name", "pk")
    return [_change(price, steps.get(price.meter_id, [])) for price in own]


class Effective(NamedTuple):
    """What a meter costs one account: its own price, or the price list's. `is_own`: agreed with it."""

    meter: Meter
    now: PriceSaid | None
    following: PriceSaid | None
    is_own: bool
    following_is_own: bool


def effective_prices(viewer: Viewer, account: Account, day: date) -> list[Effective]:
    """Return what each meter costs the account on `day` and next, its own prices before the organization's."""
    shown = list(cards(viewer).filter(Q(account=None) | Q(account=account), currency=account.currency))
    prices = _in_force(viewer, shown)
    by_meter: dict[UUID, list[Price]] = defaultdict(list)
    for (_, meter_id), steps in prices.items():
        by_meter[meter_id] += steps
    found = []
    for steps in by_meter.values():
        now, following = _effective(steps, day)
        if now or following:
            meter = steps[0].meter
            own = bool(now and now.account_id)
            next_own = bool(following and following.account_id)
            found.append(Effective(meter, _said(now), _said(following), own, next_own))
    return sorted(found, key=lambda one: one.meter.name.lower())


def prices_on(viewer: Viewer, card: RateCard, day: date) -> dict[UUID, Price]:
    """Return the card's price in force on `day` of each meter that has one."""
    found = {meter: _around(steps, day)[0] for (_, meter), steps in _in_force(viewer, [card]).items()}
    return {meter: price for meter, price in found.items() if price}


def prices_of_cards(viewer: Viewer, shown: Sequence[RateCard], day: date) -> dict[UUID, list[Price]]:
    """Return each card's prices in force on `day`, by the name of the meter."""
    found: dict[UUID, list[Price]] = {card.pk: [] for card in shown}
    for (card_id, _), steps in _in_force(viewer, shown).items():
        now, _following = _around(steps, day)
        if now:
            found[card_id].append(now)
    return {pk: sorted(prices, key=lambda price: price.meter.name) for pk, prices in found.items()}


def _effective(steps: Sequence[Price], day: date) -> tuple[Price | None, Price | None]:
    own = [price for price in steps if price.account_id]
    shared = [price for price in steps if not price.account_id]
    now, following = _around(own, day)
    if now:
        return now, following
    listed_now, listed_next = _around(shared, day)
    ahead = [price for price in (following, listed_next) if price]
    return listed_now, min(ahead, key=lambda price: (price.effective_on, price.account_id is None), default=None)


def _change(price: Price, steps: Sequence[Price]) -> Change:
    earlier = [one for one in steps if one.effective_on <= price.effective_on and one.pk != price.pk]
    return Change(price.meter, said(earlier[-1]).text if earlier else "", said(price))


def _around(steps: Sequence[Price], day: date) -> tuple[Price | None, Price | None]:
    """The price on `day` and the one after it, of one meter's prices in order."""
    before = [price for price in steps if price.effective_on <= day]
    after = [price for price in steps if price.effective_on > day]
    return (before[-1] if before else None), (after[0] if after else None)


def _in_force(viewer: Viewer, shown: Sequence[RateCard]) -> dict[tuple[UUID, UUID], list[Price]]:
    found: dict[tuple[UUID, UUID], list[Price]] = defaultdict(list)
    for price in _prices(viewer, shown).filter(in_force=True):
        found[price.version.card_id, price.meter_id].append(price)
    return found


def _prices(viewer: Viewer, shown: Sequence[RateCard]) -> QuerySet[Price]:
    rows: QuerySet[Price] = Price.objects.visible_to(viewer) if viewer.is_staff else _prices_of_customer(viewer)
    rows = rows.filter(version__card__in=list(shown)).select_related("meter", "version")
    return rows.order_by("effective_on", "version__number", "pk")


def _prices_of_customer(viewer: Viewer) -> QuerySet[Price]:
    """A customer sees the price list too, which belongs to no account."""
    rows: QuerySet[Price] = Price.objects.filter(organization_id=viewer.organization_id, in_force=True)
    return rows.filter(Q(account=None) | Q(account_id=viewer.account_id))


def _by_meter(prices: Iterable[Price]) -> dict[UUID, list[Price]]:
    found: dict[UUID, list[Price]] = defaultdict(list)
    for price in prices:
        found[price.meter_id].append(price)
    return found


def _is_readable(price: Price) -> bool:
    return not price_words(price.terms, price.currency, price.meter.unit).startswith("Not a price")


def _has(text: str, words: str) -> bool:
    return all(word in text.lower() for word in words.lower().split())
