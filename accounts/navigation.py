"""Where a viewer can go from here: the tabs of the top bar and, for staff inside an account, of the second bar."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.urls import NoReverseMatch, resolve, reverse

from accounts.permissions import can
from consumption_cs.lib.tenancy import Viewer


@dataclass(frozen=True, slots=True)
class Place:
    """One tab: its words, URL name and icon."""

    label: str
    name: str
    icon: str


STAFF = (
    Place("Accounts", "usage:accounts", "building"),
    Place("Events", "usage:events", "activity"),
    Place("Meters", "usage:meters", "meter"),
    Place("Rate cards", "usage:rate_cards", "receipt"),
    Place("Imports", "usage:imports", "download"),
    Place("Alerts", "budgets:alerts", "bell"),
    Place("Run-outs", "budgets:run_outs", "calendar"),
    Place("Finance", "budgets:finance", "scale"),
    Place("Reports", "budgets:reports", "file"),
    Place("Members", "accounts:members", "users"),
    Place("Keys", "accounts:keys", "key"),
    Place("Audit log", "accounts:audit", "book"),
    Place("Notifications", "budgets:notifications", "bell"),
    Place("Settings", "accounts:settings", "settings"),
)
ACCOUNT = (
    Place("Overview", "usage:overview", "chart"),
    Place("Workflows", "usage:workflows", "layers"),
    Place("Budgets", "budgets:budgets", "target"),
    Place("Alerts", "budgets:account_alerts", "bell"),
    Place("Notifications", "budgets:account_notifications", "bell"),
    Place("Burndown", "budgets:burndown", "trending-down"),
    Place("Commits", "budgets:commits", "wallet"),
    Place("Ledger", "budgets:ledger", "book"),
    Place("Statements", "budgets:statements", "receipt"),
    Place("Reports", "budgets:account_reports", "file"),
    Place("Prices", "usage:account_prices", "receipt"),
    Place("Events", "usage:account_events", "activity"),
    Place("Members", "accounts:account_members", "users"),
    Place("Keys", "accounts:account_keys", "key"),
    Place("Audit log", "accounts:account_audit", "book"),
)


def staff_places(viewer: Viewer, path: str) -> list[dict[str, Any]]:
    """Return the tabs of the organization that the viewer may open; the one that `path` is under is current."""
    return _tabs(viewer, STAFF, path, [])


def account_places(viewer: Viewer, account_id: UUID, path: str) -> list[dict[str, Any]]:
    """Return the tabs of one account that the viewer may open."""
    return _tabs(viewer, ACCOUNT, path, [account_id])


def _tabs(viewer: Viewer, places: Iterable[Place], path: str, arguments: list[Any]) -> list[dict[str, Any]]:
    tabs: list[dict[str, Any]] = []
    for place in places:
        try:
            url = reverse(place.name, args=arguments)
        except NoReverseMatch:
            continue
        # The page itself says what opens it, so that a tab and the page behind it never disagree.
        if not can(viewer, resolve(url).func.capability):  # type: ignore[attr-defined]
            continue
        tabs.append({"label": place.label, "url": url, "icon": place.icon, "current": False})
    under = [tab for tab in tabs if path.startswith(tab["url"])]
    if under:  # the account's overview is the start of every other tab's path: the longest one is meant
        max(under, key=lambda tab: len(tab["url"]))["current"] = True
    return tabs
