"""The table of capabilities is the whole truth: every page asks it, and every role gets exactly what it says."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import PORTAL_ROLES, STAFF_ROLES, Scope
from accounts.permissions import CAPABILITIES
from consumption_cs.lib.tenancy import leave
from tests.factories import make_key, signed_in
from tests.routes import ROUTES
from tests.world import World, make_world

# Pages that ask for no role: health, documentation, what one sees before a membership, and one's own things.
PUBLIC = {
    "healthz",
    "readyz",
    "schema",
    "api-docs",
    "styleguide",
    "accounts:home",
    "accounts:switch",
    "accounts:profile",
    "accounts:sign_out_everywhere",
    "accounts:invitation",
    "accounts:branding_css",
    "accounts:branding_logo",
}
# Each kind of API key, by the role it acts in, with the scopes that give it.
KEY_SCOPES: dict[str, tuple[str, ...]] = {"key": (Scope.READ,), "manager_key": (Scope.MANAGE,)}
GUARDED = [route for route in ROUTES if route.capability]


@pytest.fixture
def world(db: None) -> World:
    made = make_world(timezone.now())
    leave()
    return made


def unknown(ids: dict[str, Any]) -> dict[str, Any]:
    """Ids that name nothing; a number of something that does not exist stays one."""
    return {name: value if isinstance(value, int) else uuid4() for name, value in ids.items()}


def test_every_route_names_a_capability_or_is_public() -> None:
    ours = {route.name for route in ROUTES if route.name.startswith(("accounts:", "usage:"))}
    unguarded = {route.name for route in ROUTES if not route.capability and route.name in ours}
    assert unguarded - PUBLIC == set()


def test_the_public_list_names_only_routes_that_exist() -> None:
    assert {name for name in PUBLIC if name.startswith("accounts:")} <= {route.name for route in ROUTES}


def test_every_capability_of_a_route_is_in_the_table() -> None:
    known = frozenset().union(*CAPABILITIES.values())
    assert {route.capability for route in GUARDED} <= known


def test_every_role_has_an_entry_and_the_last_word_is_no() -> None:
    assert set(CAPABILITIES) == {*STAFF_ROLES, *PORTAL_ROLES, *KEY_SCOPES}


@pytest.mark.parametrize("role", KEY_SCOPES)
def test_a_key_is_refused_exactly_when_the_table_says_so(role: str, world: World) -> None:
    """With ids that name nothing, so that nothing happens: what is allowed is found missing or wrong, not refused."""
    _, secret = make_key(world.organization, KEY_SCOPES[role], name=role)
    leave()
    headers = {"Authorization": f"Bearer {secret}"}
    ids = unknown(world.ids())
    asked = 0
    for route in (route for route in GUARDED if "api" in route.name):
        for method in ("get", "post"):
            response = getattr(Client(), method)(route.url(ids), headers=headers)
            denied = route.capability_to(method) not in CAPABILITIES[role]
            if response.status_code == 405:
                continue
            asked += 1
            assert (response.status_code == 403) == denied, f"{role} {method} {route.name}: {response.status_code}"
            assert response.status_code < 500, f"{role} {method} {route.name}"
    assert asked >= 9


def test_what_a_managing_key_may_a_reading_one_may_not() -> None:
    assert CAPABILITIES["key"] < CAPABILITIES["manager_key"]
    assert not any(name.endswith((".manage", ".close")) for name in CAPABILITIES["key"])


@pytest.mark.parametrize("role", [*STAFF_ROLES, *PORTAL_ROLES])
def test_a_page_is_refused_exactly_when_the_table_says_so(role: str, world: World) -> None:
    is_portal = role in PORTAL_ROLES
    client = signed_in(world.accounts[0].members[role] if is_portal else world.staff[role])
    ids = world.ids()
    for route in GUARDED:
        denied = route.capability not in CAPABILITIES[role] or (route.staff_only and is_portal)
        status = client.get(route.url(ids)).status_code
        if status != 405:  # takes POST alone; the next test asks it
            assert (status == 403) == denied, f"{role} GET {route.name}: {status}"


@pytest.mark.parametrize("role", [*STAFF_ROLES, *PORTAL_ROLES])
def test_an_act_is_refused_when_the_table_says_so_and_found_missing_when_it_does_not(role: str, world: World) -> None:
    """With ids that name nothing (but the account), so that nothing happens whatever the answer is."""
    is_portal = role in PORTAL_ROLES
    client = signed_in(world.accounts[0].members[role] if is_portal else world.staff[role])
    ids = unknown(world.ids()) | {"account_id": world.accounts[0].account.pk}
    acts = [route for route in GUARDED if set(route.arguments) - {"account_id"}]
    for route in (route for route in acts if client.get(route.url(ids)).status_code == 405):
        denied = route.capability not in CAPABILITIES[role] or (route.staff_only and is_portal)
        expected = {403} if denied else {404, 405}  # 405: takes PUT or DELETE alone
        assert client.post(route.url(ids)).status_code in expected, f"{role} POST {route.name}"


def test_strangers_are_sent_to_sign_in(world: World) -> None:
    for route in GUARDED:
        if route.name.startswith(("accounts:", "usage:")) and "api" not in route.name:
            response = Client().get(route.url(world.ids()))
            if response.status_code != 405:
                assert response.status_code in (302, 401, 403), route.name
                if response.status_code == 302:
                    assert response["Location"].startswith("/sign-in/login/"), route.name
