"""API keys: making, replacing and revoking. The secret is returned once and kept nowhere."""

from datetime import datetime, timedelta

from accounts.actions.audit import audit
from accounts.actions.people import Refused
from accounts.credentials import new_key
from accounts.models import Account, ApiKey, Scope
from accounts.permissions import require
from consumption_cs.lib.tenancy import Viewer


def create_key(
    viewer: Viewer, account: Account | None, name: str, scopes: list[str], expires_at: datetime | None, now: datetime
) -> tuple[ApiKey, str]:
    """Make a key of the organization or, with `account`, one that only reads that account; return it and its secret.

    Raises Refused when a key that works has the same name there: nobody could tell the two apart. Raises
    PermissionDenied for the scope `manage` unless the viewer may hand it out.
    """
    _check_may_hand_out(viewer, scopes)
    same = ApiKey.objects.visible_to(viewer).filter(account=account, name=name).usable_at(now)
    if same.exists():
        raise Refused(f"A key named “{name}” works already. Give this one another name.")
    return _add(viewer, account, name, [Scope.READ.value] if account else sorted(scopes), expires_at)


def rotate_key(viewer: Viewer, key: ApiKey, overlap: timedelta, now: datetime) -> tuple[ApiKey, str]:
    """Make a key in the place of `key`, which goes on working for `overlap`; return the new one and its secret.

    A key that had a term gives the new one as long a term. Raises Refused for keys that ended or were replaced, and
    PermissionDenied for a key with the scope `manage` unless the viewer may hand that out.
    """
    old = _lock(viewer, key)
    _check_may_hand_out(viewer, old.scopes)
    if old.revoked_at or (old.expires_at and old.expires_at <= now):
        raise Refused(f"“{old.name}” does not work any more. Make a new key instead.")
    if ApiKey.objects.visible_to(viewer).filter(replaces=old.pk).exists():
        raise Refused(f"“{old.name}” was replaced already.")
    term = old.expires_at and now + (old.expires_at - old.created_at)
    made, secret = _add(viewer, old.account, old.name, old.scopes, term, replaces=old)
    ends = now + overlap
    old.expires_at = min(old.expires_at, ends) if old.expires_at else ends
    old.save(update_fields=["expires_at"])
    details = {"works_until": old.expires_at.isoformat(timespec="seconds"), "replaced_by": made.prefix}
    audit(viewer, "key.rotated", old, old.name, details)
    return made, secret


def revoke_key(viewer: Viewer, key: ApiKey, now: datetime) -> None:
    """End a key at once. Raises Refused when it was revoked already."""
    old = _lock(viewer, key)
    if old.revoked_at:
        raise Refused(f"“{old.name}” was revoked already.")
    old.revoked_at = now
    old.save(update_fields=["revoked_at"])
    audit(viewer, "key.revoked", old, old.name, {"prefix": old.prefix})


def _check_may_hand_out(viewer: Viewer, scopes: list[str]) -> None:
    """A key that sets prices is a right of its own: whoever only makes keys must not get it by making one."""
    if Scope.MANAGE in scopes:
        require(viewer, "manager_key.manage")


def _add(
    viewer: Viewer,
    account: Account | None,
    name: str,
    scopes: list[str],
    expires_at: datetime | None,
    replaces: ApiKey | None = None,
) -> tuple[ApiKey, str]:
    secret, prefix, secret_hash = new_key()
    made = ApiKey.objects.create(
        organization_id=viewer.organization_id,
        account=account,
        name=name,
        prefix=prefix,
        secret_hash=secret_hash,
        scopes=scopes,
        created_by_id=viewer.user_id,
        expires_at=expires_at,
        replaces=replaces.pk if replaces else None,
    )
    term = expires_at and expires_at.isoformat(timespec="seconds")
    audit(viewer, "key.created", made, name, {"prefix": prefix, "scopes": scopes, "expires_at": term})
    return made, secret


def _lock(viewer: Viewer, key: ApiKey) -> ApiKey:
    rows = ApiKey.objects.visible_to(viewer).select_related("account")
    locked: ApiKey = rows.select_for_update(of=("self",)).get(pk=key.pk)
    return locked
