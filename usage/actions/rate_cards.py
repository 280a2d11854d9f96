"""Drafts of rate card versions: begun, changed line by line, and thrown away. Publishing is in `publishing`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from django.db import transaction

from accounts.actions.audit import audit
from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from usage.actions.publishing import card_of, next_number
from usage.calc.price_check import Fault, faults
from usage.models import Meter, Price, RateCard, RateCardVersion
from usage.reports.rate_cards import prices_on

FIRST_YEAR, LAST_YEAR = 2000, 2099


class NotADraft(ValueError):
    """A version that is published or withdrawn does not change any more."""


@dataclass
class BadLine(ValueError):
    """Terms that are no price; `faults` says what is wrong with which."""

    meter: Meter
    faults: list[Fault] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.meter.name}: {' '.join(fault.words for fault in self.faults)}"


def open_card(viewer: Viewer, account: Account | None, currency: str) -> RateCard:
    """Return the card in that currency, made if there is none."""
    with transaction.atomic():
        return card_of(viewer, account, currency)


def start_draft(
    viewer: Viewer, card: RateCard, effective_on: date, *, note: str = "", with_current: bool = False
) -> RateCardVersion:
    """Return a new draft of the card, from `effective_on`; `with_current`: with the prices in force then."""
    with transaction.atomic():
        RateCard.objects.select_for_update().get(pk=card.pk, organization_id=viewer.organization_id)
        draft: RateCardVersion = RateCardVersion.objects.create(
            organization_id=viewer.organization_id,
            account=card.account,
            card=card,
            number=next_number(card),
            effective_on=effective_on,
            note=note,
            created_by_id=viewer.user_id,
        )
        if with_current:
            current = prices_on(viewer, card, effective_on).values()
            Price.objects.bulk_create(_line(draft, price.meter, price.terms) for price in current)
        audit(viewer, "rate_card.drafted", draft, f"{card.name}, version {draft.number}")
        return draft


def change_draft(viewer: Viewer, version: RateCardVersion, effective_on: date, note: str) -> RateCardVersion:
    """Move a draft to another day, or change its note. Raises NotADraft."""
    with transaction.atomic():
        draft = _hold(viewer, version)
        if draft.effective_on != effective_on:
            draft.prices.update(effective_on=effective_on)
            draft.shadow, draft.shadow_at = None, None
        draft.effective_on, draft.note = effective_on, note
        draft.save(update_fields=["effective_on", "note", "shadow", "shadow_at"])
        return draft


def save_line(viewer: Viewer, version: RateCardVersion, meter: Meter, terms: Mapping[str, object]) -> Price:
    """Put a meter's price into a draft, in place of the one that is there. Raises BadLine and NotADraft."""
    return save_lines(viewer, version, [(meter, terms)])[0]


def save_lines(
    viewer: Viewer, version: RateCardVersion, lines: Sequence[tuple[Meter, Mapping[str, object]]]
) -> list[Price]:
    """Put the prices of meters into a draft, all or none. Raises BadLine and NotADraft."""
    for meter, terms in lines:
        found = faults(terms, meter.dimensions)
        if found:
            raise BadLine(meter, found)
    with transaction.atomic():
        draft = _hold(viewer, version)
        draft.prices.filter(meter__in=[meter for meter, _ in lines]).delete()
        made: list[Price] = Price.objects.bulk_create(_line(draft, meter, terms) for meter, terms in lines)
        _forget_shadow(draft)
        return made


def remove_line(viewer: Viewer, version: RateCardVersion, meter: Meter) -> None:
    """Take a meter's price out of a draft: it keeps the one in force. Raises NotADraft."""
    with transaction.atomic():
        draft = _hold(viewer, version)
        draft.prices.filter(meter=meter).delete()
        _forget_shadow(draft)


def discard_draft(viewer: Viewer, version: RateCardVersion) -> None:
    """Throw a draft away, and its card if nothing else is in it. Raises NotADraft."""
    with transaction.atomic():
        draft = _hold(viewer, version)
        card = draft.card
        audit(viewer, "rate_card.discarded", draft, f"{card.name}, version {draft.number}")
        draft.prices.all().delete()
        draft.delete()
        if not card.versions.exists():
            card.delete()


def _hold(viewer: Viewer, version: RateCardVersion) -> RateCardVersion:
    held: RateCardVersion = RateCardVersion.objects.select_for_update().get(
        pk=version.pk, organization_id=viewer.organization_id
    )
    if held.status != RateCardVersion.Status.DRAFT:
        raise NotADraft(f"Version {held.number} is {held.status}: it never changes again. Make a new version.")
    return held


def _line(draft: RateCardVersion, meter: Meter, terms: Mapping[str, object]) -> Price:
    return Price(
        organization_id=draft.organization_id,
        account_id=draft.account_id,
        version=draft,
        meter=meter,
        currency=draft.card.currency,
        terms=dict(terms),
        effective_on=draft.effective_on,
    )


def _forget_shadow(draft: RateCardVersion) -> None:
    draft.shadow, draft.shadow_at = None, None
    draft.save(update_fields=["shadow", "shadow_at"])
