"""What accounts were called and where they belonged at a past moment, from the audit log."""

import copy
from datetime import datetime

from accounts.models import Account, AuditEvent
from consumption_cs.lib.tenancy import Viewer

_TOLD = ("name", "key")  # what a report says about an account, and people may change


def was(viewer: Viewer, field: str, as_of: datetime) -> dict[str, str]:
    """Return by account id what `field` was called then, for the accounts that changed it since."""
    later = AuditEvent.objects.visible_to(viewer).filter(
        created_at__gt=as_of, action="account.changed", target_type="account", details__has_key=field
    )
    # The first change after the moment says what it was at the moment.
    found = later.order_by("-created_at", "-pk").values_list("target_id", f"details__{field}__from")
    return {account_id: str(before) for account_id, before in found}


class Then:
    """Gives accounts the names that they had at `as_of`, so that a report of it stays the same. One query a field."""

    def __init__(self, viewer: Viewer, as_of: datetime) -> None:
        self.changed = {field: was(viewer, field, as_of) for field in _TOLD}

    def of(self, account: Account) -> Account:
        """Return a copy, not to be saved."""
        then = copy.copy(account)
        for field, values in self.changed.items():
            setattr(then, field, values.get(str(account.pk), getattr(account, field)))
        return then
