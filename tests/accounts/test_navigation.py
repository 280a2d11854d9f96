"""The tabs say where one can go, and nothing else."""

import pytest
from django.urls import resolve, reverse

from accounts.models import PORTAL_ROLES, STAFF_ROLES, Role
from accounts.navigation import ACCOUNT, STAFF, account_places, staff_places
from accounts.permissions import CAPABILITIES
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import Viewer

ORGANIZATION_ID, ACCOUNT_ID = uuid7(), uuid7()


def _labels(role: str, path: str = "/") -> list[str]:
    if role in PORTAL_ROLES:
        return [tab["label"] for tab in account_places(Viewer(ORGANIZATION_ID, ACCOUNT_ID, role), ACCOUNT_ID, path)]
    return [tab["label"] for tab in staff_places(Viewer(ORGANIZATION_ID, None, role), path)]


@pytest.mark.parametrize("role", [*STAFF_ROLES, *PORTAL_ROLES])
def test_a_role_gets_the_tabs_of_the_pages_that_it_may_open(role: str) -> None:
    places, arguments = (ACCOUNT, [ACCOUNT_ID]) if role in PORTAL_ROLES else (STAFF, [])
    rights = {place: resolve(reverse(place.name, args=arguments)).func.capability for place in places}  # type: ignore[attr-defined]
    assert _labels(role) == [place.label for place, right in rights.items() if right in CAPABILITIES[role]]


def test_an_admin_gets_every_tab() -> None:
    assert _labels(Role.ADMIN) == [place.label for place in STAFF]
    assert _labels(Role.PORTAL_OWNER) == [place.label for place in ACCOUNT]


def test_a_viewer_of_a_customer_sees_numbers_alone() -> None:
    tabs = set(_labels(Role.PORTAL_VIEWER))
    assert {"Overview", "Workflows", "Prices"} <= tabs
    assert not {"Events", "Members", "Keys", "Audit log"} & tabs


def test_one_tab_is_current_the_one_whose_page_is_open() -> None:
    viewer = Viewer(ORGANIZATION_ID, None, Role.ADMIN)
    path = reverse("usage:workflows", args=[ACCOUNT_ID])
    inside = [tab["label"] for tab in account_places(viewer, ACCOUNT_ID, path) if tab["current"]]
    assert inside == ["Workflows"]
    assert [tab["label"] for tab in staff_places(viewer, path) if tab["current"]] == ["Accounts"]
