"""Where a viewer can go from here: the tabs of the top bar and, for staff inside an account, of the second bar."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.urls import NoReverseMatch, reverse

from accounts.permissions import can
from consumption_cs.lib.tenancy import Viewer


@dataclass(frozen=True, slots=True)
class Place:
    """One tab: its words, URL name, icon and the capability that opens it."""

    label: str
    name: str
    icon: str
    capability: str


STAFF = (
    Place("Accounts", "usage:accounts", "building", "account.list"),
    Place("Events", "usage:events", "activity", "event.view"),
    Place("Meters", "usage:meters", "meter", "meter.view"),
    Place("Prices", "usage:prices", "receipt", "price.view"),
    Place("Members", "accounts:members", "users", "member.view"),
    Place("Keys", "accounts:keys", "key", "key.view"),
    Place("Audit log", "accounts:audit", "book", "audit.view"),
    Place("Settings", "accounts:settings", "settings", "organization.edit"),
)
ACCOUNT = (
    Place("Overview", "usage:overview", "chart", "money.view"),
    Place("Workflows", "usage:workflows", "layers", "workflow.view"),
    Place("Events", "usage:account_events", "activity", "event.view"),
    Place("Members", "accounts:account_members", "users", "member.view"),
    Place("Keys", "accounts:account_keys", "key", "key.view"),
    Place("Audit log", "accounts:account_audit", "book", "audit.view"),
)


def staff_places(viewer: Viewer, path: str) -> list[dict[str, Any]]:
    """Return the tabs of the organization that the viewer may open; the one that `path` is under is current."""
    return _tabs(viewer, STAFF, path, [])


def account_places(viewer: Viewer, account_id: UUID, path: str) -> list[dict[str, Any]]:
    """Return the tabs of one account that the viewer may open."""
    return _tabs(viewer, ACCOUNT, path, [account_id])


def _tabs(viewer: Viewer, places: Iterable[Place], path: str, arguments: list[Any]) -> list[dict[str, Any]]:
    tabs = []
    for place in places:
        if not can(viewer, place.capability):
            continue
        try:
            url = reverse(place.name, args=arguments)
        except NoReverseMatch:
            continue
        tabs.append({"label": place.label, "url": url, "icon": place.icon, "current": False})
    under = [tab for tab in tabs if path.startswith(tab["url"])]
    if under:  # the account's overview is the start of every other tab's path: the longest one is meant
        max(under, key=lambda tab: len(tab["url"]))["current"] = True
    return tabs
