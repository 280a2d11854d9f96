"""Make, rotate and revoke API keys. The secret is returned once and never stored."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from accounts.actions.audit import audit
from accounts.actions.members import Refused
from accounts.credentials import new_key
from accounts.models import Account, ApiKey, Scope
from consumption_cs.lib.tenancy import Viewer

LONGEST_OVERLAP = timedelta(days=30)


def create_key(
    viewer: Viewer, account: Account | None, name: str, scopes: Sequence[str], expires_at: datetime | None
) -> tuple[ApiKey, str]:
    """Return the new key's row and its secret. A key of an account only reads."""
    chosen = [Scope.READ.value] if account else [scope for scope in Scope.values if scope in scopes]
    secret, prefix, secret_hash = new_key()
    key = ApiKey.objects.create(
        organization_id=viewer.organization_id,
        account=account,
        name=name,
        prefix=prefix,
        secret_hash=secret_hash,
        scopes=chosen,
        created_by_id=viewer.user_id,
        expires_at=expires_at,
    )
    audit(viewer, "key.created", key, str(key), {"scopes": chosen, "expires_at": _iso(expires_at)})
    return key, secret


def rotate_key(
    viewer: Viewer, key_id: UUID, account: Account | None, overlap: timedelta, now: datetime
) -> tuple[ApiKey, str]:
    """Return a new key with the same rights and its secret; the old one works for `overlap` more.

    Raises ApiKey.DoesNotExist, or Refused when the key is no longer usable.
    """
    old = _locked(viewer, key_id, account)
    if old.revoked_at or (old.expires_at and old.expires_at <= now):
        raise Refused("This key is no longer in use. Make a new one.")
    secret, prefix, secret_hash = new_key()
    key = ApiKey.objects.create(
        organization_id=viewer.organization_id,
        account=account,
        name=old.name,
        prefix=prefix,
        secret_hash=secret_hash,
        scopes=old.scopes,
        created_by_id=viewer.user_id,
        expires_at=old.expires_at and now + (old.expires_at - old.created_at),
        replaces=old.pk,
    )
    ends_at = now + min(max(overlap, timedelta(0)), LONGEST_OVERLAP)
    old.expires_at = min(old.expires_at, ends_at) if old.expires_at else ends_at
    old.save(update_fields=["expires_at"])
    details = {"replaces": str(old.pk), "old_prefix": old.prefix, "old_ends_at": _iso(old.expires_at)}
    audit(viewer, "key.rotated", key, str(key), details)
    return key, secret


def revoke_key(viewer: Viewer, key_id: UUID, account: Account | None, now: datetime) -> ApiKey:
    """End a key at once; doing it twice changes nothing. Raises ApiKey.DoesNotExist."""
    key = _locked(viewer, key_id, account)
    if key.revoked_at is None:
        key.revoked_at = now
        key.save(update_fields=["revoked_at"])
        audit(viewer, "key.revoked", key, str(key))
    return key


def _locked(viewer: Viewer, key_id: UUID, account: Account | None) -> ApiKey:
    rows = ApiKey.objects.visible_to(viewer).filter(account=account)
    return cast(ApiKey, rows.select_for_update(of=("self",)).get(pk=key_id))


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
