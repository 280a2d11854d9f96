"""Prices come into force and go out of it: in the same transaction the days on which the money changes are marked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.db.models.functions import Now

from accounts.actions.audit import audit
from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from usage.actions.rate import touch_days
from usage.models import Meter, Price, RateCard, RateCardVersion
from usage.reports.drafts import draft_problems, has_current_shadow, unchanged
from usage.reports.rate_cards import taken_words


class PriceTaken(ValueError):
    """This meter already has a price of this currency from that day on, for the same customers."""


class CannotPublish(ValueError):
    """What is missing before a draft can be published, in words."""


class CannotWithdraw(ValueError):
    """Why a version cannot be withdrawn, in words."""


@dataclass(frozen=True, slots=True)
class NewPrice:
    """A price to publish: for one account, or for all that have none of their own. A Decimal is that much a unit."""

    meter: Meter
    account: Account | None
    currency: str
    price: Decimal | Mapping[str, object]
    effective_on: date

    @property
    def terms(self) -> dict[str, object]:
        """The terms as they are stored."""
        if isinstance(self.price, Decimal):
            return {"model": "unit", "params": {"unit": f"{self.price:f}"}}
        return dict(self.price)


def add_prices(viewer: Viewer, new: Sequence[NewPrice]) -> int:
    """Publish all of the prices or none, one version for each card and day; return how many days are rated again.

    Raises PriceTaken.
    """
    with transaction.atomic():
        return sum(_publish_new(viewer, list(group)) for _, group in groupby(sorted(new, key=_card), key=_card))


def publish(viewer: Viewer, version: RateCardVersion, now: datetime) -> int:
    """Put a draft's prices into force; return how many days are rated again.

    Lines that only say again what holds already are left out, so that the history shows what changed. Raises
    CannotPublish when the draft has problems, or when its effect was not computed since it last changed.
    """
    with transaction.atomic():
        draft = RateCardVersion.objects.select_for_update().get(pk=version.pk, organization_id=viewer.organization_id)
        if draft.status != RateCardVersion.Status.DRAFT:
            raise CannotPublish(f"Version {draft.number} is not a draft any more.")
        problems = draft_problems(viewer, draft)
        if problems:
            raise CannotPublish(" ".join(problems))
        if not has_current_shadow(viewer, draft):
            raise CannotPublish("Compute the effect first: the draft, or the prices before it, changed since then.")
        draft.prices.filter(pk__in=[line.pk for line in unchanged(viewer, draft)]).delete()
        draft.status = RateCardVersion.Status.PUBLISHED
        draft.published_at, draft.published_by_id = now, viewer.user_id
        draft.save(update_fields=["status", "published_at", "published_by"])
        try:
            with transaction.atomic():
                draft.prices.update(in_force=True)
        except IntegrityError as error:
            raise CannotPublish("Somebody published a price for the same day just now: look at it first.") from error
        audit(viewer, "rate_card.published", draft, _name_of(draft), _details(draft))
        return _touch(viewer, draft, f"Version {draft.number} of {draft.card.name} was published")


def withdraw(viewer: Viewer, version: RateCardVersion, reason: str, now: datetime) -> int:
    """Take a published version back, as if it had never been; return how many days are rated again.

    Raises CannotWithdraw without a reason, and for a version that is not published.
    """
    if not reason.strip():
        raise CannotWithdraw("Say why the version is withdrawn: customers' amounts change with it.")
    with transaction.atomic():
        held = RateCardVersion.objects.select_for_update().get(pk=version.pk, organization_id=viewer.organization_id)
        if held.status != RateCardVersion.Status.PUBLISHED:
            raise CannotWithdraw(f"Version {held.number} is not published, so there is nothing to withdraw.")
        held.status = RateCardVersion.Status.WITHDRAWN
        held.withdrawn_at, held.withdrawn_reason = now, reason.strip()
        held.save(update_fields=["status", "withdrawn_at", "withdrawn_reason"])
        held.prices.update(in_force=False)
        # The reason is the vendor's own and stays on the version: customers read the audit log and the ledger.
        audit(viewer, "rate_card.withdrawn", held, _name_of(held), _details(held))
        return _touch(viewer, held, f"Version {held.number} of {held.card.name} was withdrawn")


def card_of(viewer: Viewer, account: Account | None, currency: str) -> RateCard:
    """Return the organization's card in that currency, or the account's own; it is made if there is none."""
    whose = f"Own prices of {account.name}" if account else f"Price list {currency}"
    card, _ = RateCard.objects.get_or_create(
        organization_id=viewer.organization_id, account=account, currency=currency, defaults={"name": whose[:100]}
    )
    made: RateCard = card
    return made


def next_number(card: RateCard) -> int:
    """Return the number of the card's next version."""
    last: int | None = card.versions.aggregate(last=Max("number"))["last"]
    return (last or 0) + 1


def published_version(
    viewer: Viewer, account: Account | None, currency: str, effective_on: date, note: str = ""
) -> RateCardVersion:
    """Return a new published version, still without prices, of the card in that currency."""
    card = card_of(viewer, account, currency)
    version: RateCardVersion = RateCardVersion.objects.create(
        organization_id=viewer.organization_id,
        account=account,
        card=card,
        number=next_number(card),
        effective_on=effective_on,
        status=RateCardVersion.Status.PUBLISHED,
        note=note,
        created_by_id=viewer.user_id,
        published_by_id=viewer.user_id,
        published_at=Now(),
    )
    return version


def _card(new: NewPrice) -> tuple[str, str, date]:
    return str(new.account.pk) if new.account else "", new.currency, new.effective_on


def _publish_new(viewer: Viewer, group: list[NewPrice]) -> int:
    first = group[0]
    version = published_version(viewer, first.account, first.currency, first.effective_on)
    rows = [
        Price(
            organization_id=viewer.organization_id,
            version=version,
            meter=new.meter,
            account=new.account,
            currency=new.currency,
            terms=new.terms,
            effective_on=new.effective_on,
            in_force=True,
        )
        for new in group
    ]
    try:
        with transaction.atomic():
            Price.objects.bulk_create(rows)
    except IntegrityError as error:
        raise PriceTaken(_which_is_taken(viewer, group)) from error
    audit(viewer, "rate_card.published", version, _name_of(version), _details(version))
    return _touch(viewer, version, f"Version {version.number} of {version.card.name} was published")


def _which_is_taken(viewer: Viewer, group: list[NewPrice]) -> str:
    """Name the price that is in the way, once the attempt was undone."""
    first = group[0]
    whose = {"account": first.account, "currency": first.currency, "effective_on": first.effective_on}
    stored = set(Price.objects.visible_to(viewer).filter(in_force=True, **whose).values_list("meter", flat=True))
    meter = next((new.meter for new in group if new.meter.pk in stored), first.meter)
    return taken_words(meter, first.account, first.currency, first.effective_on)


def _touch(viewer: Viewer, version: RateCardVersion, reason: str) -> int:
    """Mark the days of its one meter, or of all when there are more: a day whose money stays costs little."""
    meters = list(Meter.objects.filter(pk__in=version.prices.values("meter"))[:2])
    return touch_days(viewer, meters[0] if len(meters) == 1 else None, version.account, version.effective_on, reason)


def _name_of(version: RateCardVersion) -> str:
    return f"{version.card.name}, version {version.number}"


def _details(version: RateCardVersion) -> dict[str, object]:
    prices = {price.meter.key: price.terms for price in version.prices.select_related("meter")}
    return {
        "card": version.card.name,
        "version": version.number,
        "currency": version.card.currency,
        "effective_on": version.effective_on.isoformat(),
        "prices": prices,
    }
