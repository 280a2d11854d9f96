"""One audit row for each act."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from accounts.models import AuditEvent, User
from consumption_cs.lib.tenancy import Viewer

Act = tuple[str, Any, str, dict[str, Any]]  # action, target, name, details
_address: ContextVar[str | None] = ContextVar("address", default=None)


@contextmanager
def from_address(ip: str | None) -> Iterator[None]:
    """Acts inside come from this IP address: the middleware says so once, instead of every action."""
    token = _address.set(ip or None)
    try:
        yield
    finally:
        _address.reset(token)


def audit(viewer: Viewer, action: str, target: Any, name: str, details: dict[str, Any] | None = None) -> None:
    """Write who did what to which row. In the transaction of the act, so that neither is there without the other."""
    audit_many(viewer, [(action, target, name, details or {})])


def audit_many(viewer: Viewer, acts: Iterable[Act]) -> None:
    """Write one row for each of many acts of the same person, in two queries."""
    person = User.objects.filter(pk=viewer.user_id).first() if viewer.user_id else None
    AuditEvent.objects.bulk_create(
        AuditEvent(
            organization_id=viewer.organization_id,
            account_id=getattr(target, "account_id", None),
            actor=person,
            actor_name=str(person) if person else viewer.name or viewer.role,
            action=action,
            target_type=target._meta.model_name,
            target_id=str(target.pk),
            target_name=name[:300],
            details=details,
            ip=_address.get(),
        )
        for action, target, name, details in acts
    )
