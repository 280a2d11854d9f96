"""The bars say where one can go, and nothing else."""

from typing import Any

import pytest
from django.urls import resolve, reverse

from accounts.models import PORTAL_ROLES, STAFF_ROLES, Role
from accounts.navigation import ACCOUNT, STAFF, account_places, staff_places
from accounts.permissions import CAPABILITIES
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import Viewer

ORGANIZATION_ID, ACCOUNT_ID = uuid7(), uuid7()
WHOLE_AT_ONCE = 7  # entries that fit beside the name and the buttons


def _bar(role: str, path: str = "/") -> list[dict[str, Any]]:
    if role in PORTAL_ROLES:
        return account_places(Viewer(ORGANIZATION_ID, ACCOUNT_ID, role), ACCOUNT_ID, path)
    return staff_places(Viewer(ORGANIZATION_ID, None, role), path)


def _pages(bar: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [page for entry in bar for page in entry.get("places", [entry])]


def _labels(role: str) -> list[str]:
    return [page["label"] for page in _pages(_bar(role))]


@pytest.mark.parametrize("role", [*STAFF_ROLES, *PORTAL_ROLES])
def test_a_role_gets_the_pages_that_it_may_open(role: str) -> None:
    groups, arguments = (ACCOUNT, [ACCOUNT_ID]) if role in PORTAL_ROLES else (STAFF, [])
    places = [place for group in groups for place in group.places]
    rights = {place: resolve(reverse(place.name, args=arguments)).func.capability for place in places}  # type: ignore[attr-defined]
    assert _labels(role) == [place.label for place, right in rights.items() if right in CAPABILITIES[role]]


@pytest.mark.parametrize("role", [*STAFF_ROLES, *PORTAL_ROLES])
def test_a_bar_stays_whole_and_a_menu_of_one_page_is_a_link(role: str) -> None:
    bar = _bar(role)
    assert len(bar) <= WHOLE_AT_ONCE
    assert all(len(entry["places"]) > 1 for entry in bar if "places" in entry)


def test_an_admin_gets_every_page() -> None:
    assert _labels(Role.ADMIN) == [place.label for group in STAFF for place in group.places]
    places = [place for group in ACCOUNT for place in group.places]
    views = [resolve(reverse(place.name, args=[ACCOUNT_ID])).func for place in places]
    theirs = [place.label for place, view in zip(places, views, strict=True) if not view.staff_only]  # type: ignore[attr-defined]
    assert _labels(Role.PORTAL_OWNER) == theirs


def test_a_viewer_of_a_customer_sees_numbers_alone() -> None:
    tabs = set(_labels(Role.PORTAL_VIEWER))
    assert {"Overview", "Workflows", "Prices"} <= tabs
    assert not {"Events", "Members", "Keys", "Audit log"} & tabs


def test_one_page_is_current_the_one_that_is_open_and_so_is_its_menu() -> None:
    viewer = Viewer(ORGANIZATION_ID, None, Role.ADMIN)
    path = reverse("usage:workflows", args=[ACCOUNT_ID])
    bar = account_places(viewer, ACCOUNT_ID, path)
    assert [page["label"] for page in _pages(bar) if page["current"]] == ["Workflows"]
    assert [entry["label"] for entry in bar if entry["current"]] == ["Usage"]
    assert [entry["label"] for entry in staff_places(viewer, path) if entry["current"]] == ["Accounts"]
