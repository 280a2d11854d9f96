"""Who had an account when a quarter ended: today's CSM, with every change since then taken back by the audit log."""

import re
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

from django.db.models import Q

from accounts.models import Account, AuditEvent, User
from consumption_cs.lib.tenancy import Viewer

_EMAIL = re.compile(r"<([^<>]+)>$")


def owners_on(viewer: Viewer, end: date, now: datetime, account_id: UUID | None = None) -> dict[Account, User]:
    """Return who had each account just before `end`, today's CSM when that is ahead; none without any.

    At most three queries.
    """
    rows = Account.objects.visible_to(viewer).select_related("csm")
    accounts = {str(one.pk): one for one in (rows if account_id is None else rows.filter(pk=account_id))}
    owners: dict[str, str] = {name: str(one.csm_id) for name, one in accounts.items() if one.csm_id}
    people = {str(one.csm_id): one.csm for one in accounts.values() if one.csm}
    if end <= now.date():
        _take_back(viewer, end, owners)
        people |= _people({who for who in owners.values() if who not in people})
    return {accounts[name]: people[who] for name, who in owners.items() if name in accounts and who in people}


def _take_back(viewer: Viewer, end: date, owners: dict[str, str]) -> None:
    """Undo the changes of owners since `end`, the newest first; who is named by an address is kept as that."""
    since = datetime.combine(end, time(), UTC)
    changes = AuditEvent.objects.visible_to(viewer).filter(
        Q(details__has_key="csm") | Q(details__changes__has_key="csm"),
        created_at__gte=since, action__in=("account.changed", "account.created"),
    )  # fmt: skip
    for name, details in changes.order_by("-created_at", "-pk").values_list("target_id", "details"):
        before = _before(details)
        if before:
            owners[name] = before
        else:
            owners.pop(name, None)


def _before(details: dict[str, Any]) -> str:
    """Return the id or the address of who it was before; "" for nobody."""
    told = details.get("changes", details).get("csm")
    if isinstance(told, list):  # [id before, id after]
        return str(told[0] or "") if told else ""
    if not isinstance(told, dict):  # the account was created with an owner
        return ""
    named = _EMAIL.search(str(told.get("from", "")))
    return named[1].lower() if named else ""


def _people(wanted: set[str]) -> dict[str, User]:
    if not wanted:
        return {}
    found = User.objects.filter(Q(pk__in=[UUID(one) for one in wanted if "@" not in one]) | Q(email__in=wanted))
    return {key: person for person in found for key in (str(person.pk), person.email.lower())}
