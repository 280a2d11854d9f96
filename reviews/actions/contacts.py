"""Who is who at the customer: added, corrected, tied to who signs in to the portal, and gone."""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.actions.audit import audit
from accounts.models import Account, Membership
from accounts.permissions import require
from consumption_cs.lib.tenancy import Viewer
from reviews.models import Contact

FIELDS = ("name", "email", "title", "role", "note", "external_id")
_UNTOUCHED = ["organization", "account", "user", "created_at"]


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of somebody. `user_id`: who they are in the portal; None: found by the e-mail, if they are."""

    name: str
    role: str = Contact.Role.USER
    email: str = ""
    title: str = ""
    note: str = ""
    user_id: UUID | None = None
    external_id: str = ""


def save_contact(viewer: Viewer, account: Account, person: Person, contact: Contact | None = None) -> Contact:
    """Add somebody, or correct `contact`. Raises ValidationError with words, also when the e-mail is taken."""
    require(viewer, "book.edit")
    held = contact or Contact(organization_id=viewer.organization_id, account=account)
    before = _texts(held) if contact else {}
    for name in FIELDS:
        setattr(held, name, getattr(person, name).strip())
    held.email = held.email.lower()
    held.user_id = _portal_person(viewer, account, person.user_id, held.email)
    _refuse_twins(viewer, held)
    held.full_clean(exclude=_UNTOUCHED, validate_constraints=False)
    with transaction.atomic():
        _store(held)
        after = _texts(held)
        changes: dict[str, Any] = {
            name: {"from": before[name], "to": after[name]} if before else after[name]
            for name in after
            if before.get(name, "") != after[name]
        }
        if changes:
            # On the account's own record: the customer's audit log never names internal contacts.
            verb = "changed" if contact else "added"
            audit(viewer, f"contact.{verb}", account, account.name, {"contact": held.name} | changes)
    return held


def contact_left(viewer: Viewer, contact: Contact, left_on: date | None, today: date) -> None:
    """Note that somebody left on a day, or with None that they are still there."""
    require(viewer, "book.edit")
    if left_on is not None and left_on > today:
        raise ValidationError("Choose today or a day before.")
    if contact.left_on == left_on:
        return
    with transaction.atomic():
        contact.left_on = left_on
        contact.save(update_fields=["left_on"])
        details = {"contact": contact.name} | ({"left_on": left_on.isoformat()} if left_on else {})
        audit(
            viewer, "contact.left" if left_on else "contact.returned", contact.account, contact.account.name, details
        )


def _store(held: Contact) -> None:
    try:
        with transaction.atomic():
            held.save()
    except IntegrityError as error:
        raise ValidationError("Somebody with this e-mail or id was added meanwhile.") from error


def _portal_person(viewer: Viewer, account: Account, user_id: UUID | None, email: str) -> UUID | None:
    seats = Membership.objects.visible_to(viewer).filter(account=account)
    if user_id is not None:
        if not seats.filter(user=user_id).exists():
            raise ValidationError({"user": "Choose a member of this account's portal."})
        return user_id
    return seats.filter(user__email=email).values_list("user_id", flat=True).first() if email else None


def _refuse_twins(viewer: Viewer, held: Contact) -> None:
    others = Contact.objects.visible_to(viewer).filter(account=held.account).exclude(pk=held.pk)
    if held.email and (twin := others.filter(email=held.email).first()):
        raise ValidationError({"email": f"{twin.name} has this e-mail already."})
    if held.external_id and others.filter(external_id=held.external_id).exists():
        raise ValidationError({"external_id": "Another contact of this account has this id."})


def _texts(contact: Contact) -> dict[str, str]:
    return {name: str(getattr(contact, name)) for name in FIELDS if name != "note"}
