"""Add and remove prices. Days on which the money changes are marked in the same transaction and rated again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.db.models.functions import Now

from accounts.actions.audit import audit
from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from usage.actions.settle import touch_days
from usage.models import Meter, Price, RateCard, RateCardVersion


class PriceTaken(ValueError):
    """This meter already has a price of this currency from that day on, for the same customers."""


@dataclass(frozen=True, slots=True)
class NewPrice:
    """A price to add: for one account, or for all that have none of their own."""

    meter: Meter
    account: Account | None
    currency: str
    unit_price: Decimal
    effective_on: date


def add_prices(viewer: Viewer, new: Sequence[NewPrice]) -> int:
    """Store all of the prices or none; return how many days will be rated again. Raises PriceTaken."""
    with transaction.atomic():
        rows = [_add(viewer, one) for one in new]
        for row in rows:
            audit(viewer, "price.created", row, _name_of(row), _details(row))
        return _touch(viewer, rows)


def remove_price(viewer: Viewer, price: Price) -> int:
    """Take back a price, as if it had never been; return how many days will be rated again."""
    with transaction.atomic():
        audit(viewer, "price.removed", price, _name_of(price), _details(price))
        price.delete()
        return touch_days(viewer, price.meter, price.account, price.effective_on)


def _add(viewer: Viewer, new: NewPrice) -> Price:
    try:
        with transaction.atomic():
            return Price.objects.create(
                organization_id=viewer.organization_id,
                version=published_version(viewer, new.account, new.currency, new.effective_on),
                meter=new.meter,
                account=new.account,
                currency=new.currency,
                terms={"model": "unit", "params": {"unit": f"{new.unit_price:f}"}},
                effective_on=new.effective_on,
                in_force=True,
            )
    except IntegrityError as error:
        raise PriceTaken(taken_words(new)) from error


def published_version(viewer: Viewer, account: Account | None, currency: str, effective_on: date) -> RateCardVersion:
    """Return a new published version of the card in that currency, which is made if there is none."""
    card, _ = RateCard.objects.get_or_create(
        organization_id=viewer.organization_id,
        account=account,
        currency=currency,
        defaults={"name": f"{account.name if account else 'Price list'} {currency}"[:100]},
    )
    last = card.versions.aggregate(last=Max("number"))["last"]
    version: RateCardVersion = RateCardVersion.objects.create(
        organization_id=viewer.organization_id,
        account=account,
        card=card,
        number=(last or 0) + 1,
        effective_on=effective_on,
        status=RateCardVersion.Status.PUBLISHED,
        published_at=Now(),
    )
    return version


def taken_words(new: NewPrice) -> str:
    """Say that there is such a price already."""
    whose = f"for {new.account.name}" if new.account else "for all accounts"
    return f"{new.meter.name} already has a price in {new.currency} {whose} from {new.effective_on} on."


def _touch(viewer: Viewer, prices: Sequence[Price]) -> int:
    """Mark once per meter and customer, from the earliest day: a thousand rows of a file touch the same days."""
    first: dict[tuple[Meter, Account | None], date] = {}
    for price in prices:
        whose = (price.meter, price.account)
        first[whose] = min(first.get(whose, price.effective_on), price.effective_on)
    return sum(touch_days(viewer, meter, account, day) for (meter, account), day in first.items())


def _name_of(price: Price) -> str:
    whose = price.account.name if price.account else "all accounts"
    return f"{price.meter.name}, {whose}: {price}"


def _details(price: Price) -> dict[str, str]:
    return {
        "meter": price.meter.key,
        "account": price.account.key if price.account else "",
        "currency": price.currency,
        "unit_price": f"{price.unit_price:f}",
        "effective_on": price.effective_on.isoformat(),
    }
