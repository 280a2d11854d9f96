"""Where a viewer can go from here: the top bar and, for staff inside an account, a second bar.

A bar has few entries, named as people think; most open a menu of pages. A new page is one line in its group.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.urls import NoReverseMatch, resolve, reverse

from accounts.permissions import can
from consumption_cs.lib.tenancy import Viewer


@dataclass(frozen=True, slots=True)
class Place:
    """One page: its words, URL name and icon."""

    label: str
    name: str
    icon: str


@dataclass(frozen=True, slots=True)
class Group:
    """One entry of a bar: a menu of pages, or a link if the viewer may open only one of them."""

    label: str
    places: tuple[Place, ...]


STAFF = (
    Group(
        "Book",
        (
            Place("Book", "reviews:book", "users"),
            Place("Tasks", "reviews:tasks", "check-circle"),
            Place("Plays", "reviews:plays", "zap"),
            Place("Renewals", "reviews:renewals", "calendar"),
            Place("Expansion", "reviews:portfolio", "trending-up"),
            Place("Ladder", "reviews:ladders", "layers"),
            Place("Retention", "reviews:retention", "trending-up"),
            Place("Team", "reviews:team", "users"),
            Place("Incentives", "reviews:incentives", "wallet"),
        ),
    ),
    Group("Accounts", (Place("Accounts", "usage:accounts", "building"),)),
    Group(
        "Health",
        (
            Place("Health", "reviews:health", "activity"),
            Place("Early warnings", "reviews:signals", "alert"),
            Place("Reliability", "reviews:reliability", "check-circle"),
            Place("Onboarding", "reviews:onboarding", "key"),
            Place("How health works", "reviews:recipe", "scale"),
            Place("What metrics mean", "reviews:metrics", "info"),
        ),
    ),
    Group(
        "Usage",
        (
            Place("Events", "usage:events", "activity"),
            Place("Meters", "usage:meters", "meter"),
            Place("Imports", "usage:imports", "download"),
        ),
    ),
    Group(
        "Money",
        (
            Place("Run-outs", "budgets:run_outs", "calendar"),
            Place("Forecast accuracy", "budgets:accuracy", "target"),
            Place("Rate cards", "usage:rate_cards", "receipt"),
            Place("Finance", "budgets:finance", "scale"),
            Place("Forgiveness", "budgets:forgiveness", "wallet"),
            Place("Reports", "budgets:reports", "file"),
        ),
    ),
    Group(
        "Alerts",
        (
            Place("Alerts", "budgets:alerts", "alert"),
            Place("Notifications", "budgets:notifications", "bell"),
            Place("Quality of alerts", "budgets:alert_quality", "check-circle"),
        ),
    ),
    Group(
        "More",
        (
            Place("Members", "accounts:members", "users"),
            Place("Keys", "accounts:keys", "key"),
            Place("Exchange", "reviews:exchange", "upload"),
            Place("Plan templates", "reviews:plan_templates", "target"),
            Place("Audit log", "accounts:audit", "book"),
            Place("Settings", "accounts:settings", "settings"),
        ),
    ),
)
ACCOUNT = (
    Group(
        "Brief",
        (
            Place("Brief", "reviews:brief", "users"),
            Place("Health", "reviews:account_health", "activity"),
            Place("Timeline", "reviews:timeline", "clock"),
            Place("People", "reviews:contacts", "user"),
        ),
    ),
    Group("Overview", (Place("Overview", "usage:overview", "chart"),)),
    Group(
        "Usage",
        (
            Place("Workflows", "usage:workflows", "layers"),
            Place("Events", "usage:account_events", "activity"),
        ),
    ),
    Group(
        "Money",
        (
            Place("Burndown", "budgets:burndown", "trending-down"),
            Place("Commits", "budgets:commits", "wallet"),
            Place("Ledger", "budgets:ledger", "book"),
            Place("Statements", "budgets:statements", "receipt"),
            Place("Prices", "usage:account_prices", "meter"),
            Place("Reports", "budgets:account_reports", "file"),
        ),
    ),
    Group(
        "Alerts",
        (
            Place("Alerts", "budgets:account_alerts", "alert"),
            Place("Budgets", "budgets:budgets", "target"),
            Place("Notifications", "budgets:account_notifications", "bell"),
        ),
    ),
    Group(
        "Value",
        (
            Place("Ladder", "reviews:ladder", "layers"),
            Place("Adoption plan", "reviews:plan", "target"),
            Place("Outcomes", "reviews:outcomes", "check-circle"),
            Place("Value reviews", "reviews:value_reviews", "file"),
            Place("Expansion", "reviews:expansion", "trending-up"),
        ),
    ),
    Group(
        "Plan",
        (
            Place("What if", "budgets:planner", "trending-up"),
            Place("Size of the next commit", "budgets:right_sizing", "scale"),
            Place("Planned activity", "budgets:planned", "calendar"),
            Place("Tasks", "reviews:account_tasks", "check-circle"),
            Place("Savings", "reviews:savings", "trending-down"),
            Place("Plays", "reviews:account_plays", "zap"),
        ),
    ),
    Group(
        "More",
        (
            Place("Members", "accounts:account_members", "users"),
            Place("Keys", "accounts:account_keys", "key"),
            Place("Audit log", "accounts:account_audit", "book"),
        ),
    ),
)


def staff_places(viewer: Viewer, path: str) -> list[dict[str, Any]]:
    """Return the organization's groups with the pages that the viewer may open; where `path` is is current."""
    return _bar(viewer, STAFF, path, [])


def account_places(viewer: Viewer, account_id: UUID, path: str) -> list[dict[str, Any]]:
    """Return the groups of one account with the pages that the viewer may open."""
    return _bar(viewer, ACCOUNT, path, [account_id])


def _bar(viewer: Viewer, groups: Iterable[Group], path: str, arguments: list[Any]) -> list[dict[str, Any]]:
    shown = [(group.label, _open_to(viewer, group.places, arguments)) for group in groups]
    under = [tab for _, tabs in shown for tab in tabs if path.startswith(tab["url"])]
    if under:  # the account's overview is the start of every other page's path: the longest one is meant
        max(under, key=lambda tab: len(tab["url"]))["current"] = True
    return [_entry(label, tabs) for label, tabs in shown if tabs]


def _entry(label: str, tabs: list[dict[str, Any]]) -> dict[str, Any]:
    """A link if there is one page only, otherwise a menu that says whether the open page is in it."""
    if len(tabs) == 1:
        return tabs[0]
    return {"label": label, "places": tabs, "current": any(tab["current"] for tab in tabs)}


def _open_to(viewer: Viewer, places: Iterable[Place], arguments: list[Any]) -> list[dict[str, Any]]:
    tabs: list[dict[str, Any]] = []
    for place in places:
        try:
            url = reverse(place.name, args=arguments)
        except NoReverseMatch:
            continue
        # The page itself says what opens it, so that an entry and the page behind it never disagree.
        if can(viewer, resolve(url).func.capability):  # type: ignore[attr-defined]
            tabs.append({"label": place.label, "url": url, "icon": place.icon, "current": False})
    return tabs
