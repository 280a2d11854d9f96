"""Who has a seat: inviting, accepting, changing roles and removing. Each act with its audit row in one transaction."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urljoin
from uuid import UUID

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import IntegrityError, transaction
from django.db.models import F
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.actions.audit import audit
from accounts.credentials import hash_secret
from accounts.models import (
    INVITATION_LIFETIME,
    Account,
    Invitation,
    Membership,
    Organization,
    Role,
    User,
)
from accounts.permissions import can
from consumption_cs.lib.display import moment_text
from consumption_cs.lib.tenancy import Viewer, enter, present

KEEPERS = (Role.ADMIN, Role.PORTAL_OWNER)  # an organization or account never loses the last of these


class Refused(Exception):
    """What was asked for is not possible now; the message says why, in words for the person who asked."""


@dataclass(frozen=True, slots=True)
class NewPerson:
    """What somebody without a sign-in types when they accept."""

    name: str
    password: str


def invite(viewer: Viewer, account: Account | None, email: str, role: str, now: datetime) -> Invitation:
    """Offer a seat among the staff or, with `account`, among a customer's people; the mail goes out after commit.

    Raises Refused when the address has a seat or an open invitation there already.
    """
    email = email.strip().lower()
    place = {"organization_id": viewer.organization_id, "account": account}
    if Membership.objects.visible_to(viewer).filter(account=account, user__email=email).exists():
        raise Refused(f"{email} is a member already.")
    before = Invitation.objects.visible_to(viewer).filter(
        account=account, email=email, accepted_at=None, revoked_at=None
    )
    before.filter(expires_at__lte=now).update(revoked_at=now)
    token = secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            invitation = Invitation.objects.create(
                email=email,
                role=role,
                token_hash=hash_secret(token),
                invited_by_id=_person(viewer),
                expires_at=now + INVITATION_LIFETIME,
                **place,
            )
    except IntegrityError as error:
        raise Refused(f"{email} was invited already. Send that invitation again, or take it back first.") from error
    audit(viewer, "member.invited", invitation, email, {"role": role})
    _send(invitation, token, now)
    return invitation


def resend(viewer: Viewer, invitation: Invitation, now: datetime) -> None:
    """Send a new link with a new term; the old one stops working. Raises Refused if it was accepted or taken back."""
    invitation = _lock(viewer, invitation)
    token = secrets.token_urlsafe(32)
    invitation.token_hash = hash_secret(token)
    invitation.invited_by_id = _person(viewer)
    invitation.expires_at = now + INVITATION_LIFETIME
    invitation.save(update_fields=["token_hash", "invited_by", "expires_at"])
    audit(viewer, "invitation.resent", invitation, invitation.email)
    _send(invitation, token, now)


def revoke(viewer: Viewer, invitation: Invitation, now: datetime) -> None:
    """Take an invitation back; its link stops working. Raises Refused if it was accepted or taken back already."""
    invitation = _lock(viewer, invitation)
    invitation.revoked_at = now
    invitation.save(update_fields=["revoked_at"])
    audit(viewer, "invitation.revoked", invitation, invitation.email)


def find_invitation(token: str, *, lock: bool = False) -> Invitation | None:
    """Return the invitation that the link names and act for its organization from here on; None for a bad link.

    With `lock` a second request waits until the first is done, and then sees what it did.
    """
    present(token_hash=hash_secret(token))
    rows = Invitation.objects.select_related("organization", "invited_by").filter(token_hash=hash_secret(token))
    found: Invitation | None = (rows.select_for_update(of=("self",)) if lock else rows).first()
    present()
    if found is not None:
        enter(Viewer(found.organization_id, found.account_id))
    return found


def refusal(invitation: Invitation, now: datetime) -> str:
    """Say why an invitation cannot be accepted now; empty when it can."""
    inviter = invitation.invited_by
    if invitation.accepted_at:
        return "It was used already. If that was you, sign in."
    if invitation.revoked_at:
        return f"It was taken back. Ask {inviter} if you think that is a mistake."
    if invitation.expires_at <= now:
        return f"It was good for 72 hours. Ask {inviter} to send it again."
    return ""


def accept(invitation: Invitation, person: User | NewPerson, now: datetime) -> Membership:
    """Seat the person; `invitation` is locked by `find_invitation` and what it says about e-mail and role counts.

    Raises Refused when it cannot be accepted (any more), or not by them.
    """
    if why := refusal(invitation, now):
        raise Refused(why)
    user = _new_user(invitation, person) if isinstance(person, NewPerson) else person
    if user.email.lower() != invitation.email:
        raise Refused(f"This invitation is for {invitation.email}, and you are signed in as {user.email}.")
    member, _ = Membership.objects.get_or_create(
        organization=invitation.organization,
        account=invitation.account,
        user=user,
        defaults={"role": invitation.role},
    )
    invitation.accepted_at = now
    invitation.save(update_fields=["accepted_at"])
    viewer = Viewer(invitation.organization_id, invitation.account_id, invitation.role, user.pk)
    audit(viewer, "member.joined", member, str(user), {"role": member.role, "invited_by": str(invitation.invited_by)})
    return member


def change_role(viewer: Viewer, member: Membership, role: str, now: datetime) -> None:
    """Give a member another role, from their next request on.

    Raises Refused for one's own role, the last admin or owner, and roles of the other side.
    """
    member = _changeable(viewer, member)
    before = member.role
    if role == before:
        return
    if role.startswith("portal_") != (member.account_id is not None) or role not in Role.values:
        raise Refused("That role is not one of theirs.")
    _check_not_last(viewer, member)
    member.role = role
    member.save(update_fields=["role"])
    withdrawn = 0 if may_invite(member) else _withdraw(viewer, member, now)
    details = {"role": {"from": before, "to": role}, "invitations_revoked": withdrawn}
    audit(viewer, "member.role_changed", member, str(member.user), details)


def remove(viewer: Viewer, member: Membership, now: datetime) -> int:
    """Take a seat away, with what they offered to others; they see nothing from their next request on.

    Returns how many accounts lost their CSM or field CTO. Raises Refused for oneself and the last admin or owner.
    """
    member = _changeable(viewer, member)
    _check_not_last(viewer, member)
    withdrawn = _withdraw(viewer, member, now)
    orphaned = 0
    if member.account_id is None:
        accounts = Account.objects.visible_to(viewer)
        orphaned = accounts.filter(csm=member.user_id).update(csm=None)
        orphaned += accounts.filter(field_cto=member.user_id).update(field_cto=None)
    details = {"role": member.role, "invitations_revoked": withdrawn, "accounts_without_them": orphaned}
    audit(viewer, "member.removed", member, str(member.user), details)
    member.delete()
    return orphaned


def end_sessions(user: User) -> None:
    """End every session of a person, wherever they are signed in."""
    User.objects.filter(pk=user.pk).update(sessions_ended=F("sessions_ended") + 1)
    user.refresh_from_db(fields=["sessions_ended"])


def may_invite(member: Membership) -> bool:
    """Whether the member's role lets them offer seats where they are."""
    viewer = Viewer(member.organization_id, member.account_id, member.role)
    return can(viewer, "portal_member.manage") or can(viewer, "member.manage")


def _person(viewer: Viewer) -> UUID:
    """Who acts. A job offers no seats."""
    if viewer.user_id is None:
        raise Refused("Only people invite people.")
    return viewer.user_id


def _new_user(invitation: Invitation, person: NewPerson) -> User:
    try:
        with transaction.atomic():
            user = User.objects.create_user(invitation.email, person.password, name=person.name)
            EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    except IntegrityError as error:
        raise Refused("This address has a sign-in already. Sign in first, then open the link again.") from error
    return user


def _lock(viewer: Viewer, invitation: Invitation) -> Invitation:
    rows = Invitation.objects.visible_to(viewer).select_for_update(of=("self",))
    locked: Invitation = rows.select_related("account", "organization").get(pk=invitation.pk)
    if locked.accepted_at or locked.revoked_at:
        done = "accepted" if locked.accepted_at else "taken back"
        raise Refused(f"The invitation of {locked.email} was {done} in the meantime.")
    return locked


def _changeable(viewer: Viewer, member: Membership) -> Membership:
    if member.user_id == viewer.user_id:
        raise Refused("You cannot change your own seat. Ask another admin or owner to.")
    rows = Membership.objects.visible_to(viewer).filter(account=member.account_id)
    # Everybody's rows in one order: two people who demote each other wait for one another instead of both passing.
    seated: list[Membership] = list(rows.select_for_update(of=("self",)).select_related("user").order_by("pk"))
    for row in seated:
        if row.pk == member.pk:
            return row
    raise Refused(f"{member.user} was removed in the meantime.")


def _check_not_last(viewer: Viewer, member: Membership) -> None:
    others = Membership.objects.visible_to(viewer).filter(account=member.account_id, role=member.role)
    if member.role in KEEPERS and not others.exclude(pk=member.pk).exists():
        name = member.get_role_display().lower()
        raise Refused(f"{member.user} is the last {name}. Give somebody else that role first.")


def _withdraw(viewer: Viewer, member: Membership, now: datetime) -> int:
    """Nobody joins on the word of somebody who may no longer give it."""
    rows = Invitation.objects.visible_to(viewer).filter(invited_by=member.user_id, accepted_at=None, revoked_at=None)
    if member.account_id is not None:
        rows = rows.filter(account=member.account_id)
    return rows.update(revoked_at=now)


def _send(invitation: Invitation, token: str, now: datetime) -> None:
    """Write the mail now, while the viewer's rows can be read; send it once the invitation is really there."""
    organization: Organization = invitation.organization
    context = {
        "inviter_name": str(User.objects.get(pk=invitation.invited_by_id)),
        "organization_name": organization.name,
        "account_name": invitation.account.name if invitation.account else "",
        "role_name": invitation.get_role_display(),
        "accept_url": urljoin(settings.SITE_URL, reverse("accounts:invitation", args=[token])),
        "email": invitation.email,
        "expires_text": moment_text(invitation.expires_at, now=now),
    }
    subject = " ".join(render_to_string("email/invitation_subject.txt", context).split())
    mail = EmailMultiAlternatives(subject, render_to_string("email/invitation.txt", context), to=[invitation.email])
    mail.attach_alternative(render_to_string("email/invitation.html", context), "text/html")
    transaction.on_commit(mail.send, robust=True)
