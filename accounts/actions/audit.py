"""One audit row for each act."""

from typing import Any

from accounts.models import AuditEvent, User
from consumption_cs.lib.tenancy import Viewer


def audit(viewer: Viewer, action: str, target: Any, name: str, details: dict[str, Any] | None = None) -> None:
    """Write who did what to which row. In the transaction of the act, so that neither is there without the other."""
    person = User.objects.filter(pk=viewer.user_id).first() if viewer.user_id else None
    AuditEvent.objects.create(
        organization_id=viewer.organization_id,
        account_id=getattr(target, "account_id", None),
        actor=person,
        actor_name=str(person) if person else viewer.role,
        action=action,
        target_type=target._meta.model_name,
        target_id=str(target.pk),
        target_name=name[:300],
        details=details or {},
    )
