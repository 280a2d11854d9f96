"""Nobody sees, changes or learns of another organization's or customer's rows, whatever route they try.

Every URL of the project is tried by every kind of actor, with the ids of another organization, with ids that do not
exist, and, for customers, with those of their vendor's other customer. A route whose argument has no recipe fails.
"""

import re
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.db import ProgrammingError, connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.models import PORTAL_ROLES, Role
from consumption_cs.lib.tenancy import Viewer, enter, leave
from tests.factories import signed_in
from tests.routes import ROUTES
from tests.world import World, make_world
from usage.models import Meter

pytestmark = pytest.mark.django_db

# Staff with the most, the usual and the least capabilities: who may open what is tried by every role in
# tests/test_permissions.py, and whose rows there are does not depend on it.
STAFF = [Role.ADMIN, Role.CSM, Role.ANALYST]
ACTORS = ["stranger", "key", "account key", *STAFF, *PORTAL_ROLES]
# The names under which forms and filters take an id; every one is tried on every route.
FIELDS = ("account", "account_id", "workflow", "meter", "price", "member", "key", "invitation", "membership", "csm")


NAMING = [route for route in ROUTES if route.arguments]


@dataclass
class Actor:
    """Somebody of `world`; `customer` when they may see its first account only."""

    client: Client
    headers: dict[str, str]
    customer: bool

    def ask(self, method: str, url: str, data: dict[str, str] | None = None) -> HttpResponse:
        response: HttpResponse = getattr(self.client, method)(url, data or {}, headers=self.headers)
        return response


def _actor(label: str, world: World) -> Actor:
    if label == "stranger":
        return Actor(Client(), {}, customer=True)
    if label == "key":
        return Actor(Client(), {"Authorization": f"Bearer {world.secret}"}, customer=False)
    if label == "account key":
        return Actor(Client(), {"Authorization": f"Bearer {world.accounts[0].secret}"}, customer=True)
    if label in STAFF:
        return Actor(signed_in(world.staff[label]), {}, customer=False)
    return Actor(signed_in(world.accounts[0].members[label]), {}, customer=True)


def _unknown(ids: dict[str, Any]) -> dict[str, Any]:
    """The same kinds of ids, naming nothing."""
    return {name: _another(value) for name, value in ids.items()}


def _another(value: Any) -> Any:
    if isinstance(value, int):
        return value  # the number of a thing whose own id is another
    return uuid4() if isinstance(value, UUID) else f"ZZ{uuid4().hex[:12]}-1"


def _said(response: HttpResponse, *asked: dict[str, Any]) -> tuple[int, str]:
    """Status and body, without what differs between any two requests: the ids asked for, tokens, addresses."""
    body = b"".join(response) if response.streaming else response.content
    text = body.decode(errors="replace")
    for value in (value for ids in asked for value in ids.values()):
        text = text.replace(str(value), "ID")
    text = re.sub(r'(csrfmiddlewaretoken" value|X-CSRFToken|csrf-token" content)[^>]*', "TOKEN", text)
    return response.status_code, re.sub(r"\d\d:\d\d(:\d\d)?", "TIME", text)


def _everything(response: HttpResponse) -> str:
    body = b"" if response.streaming else response.content
    return f"{dict(response.items())} {body.decode(errors='replace')}"


def _fingerprint(world: World) -> dict[str, str]:
    """A checksum of every row of the organization, table by table."""
    tables = {
        model._meta.db_table
        for model in apps.get_models()
        if any(column.attname == "organization_id" for column in model._meta.concrete_fields)
    }
    enter(Viewer(world.organization.pk))
    sums = {}
    with connection.cursor() as cursor:
        for table in sorted(tables):
            cursor.execute(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t")  # noqa: S608  our tables
            sums[table] = cursor.fetchone()[0]
    leave()
    return sums


@pytest.fixture
def worlds() -> tuple[World, World]:
    """Ours and theirs."""
    now = timezone.now()
    pair = make_world(now), make_world(now)
    leave()
    return pair


def test_there_are_routes_to_try() -> None:
    assert len(ROUTES) > 20
    assert len(NAMING) > 10


@pytest.mark.parametrize("label", ACTORS)
def test_foreign_ids_in_the_path_answer_like_unknown_ones(label: str, worlds: tuple[World, World]) -> None:
    ours, theirs = worlds
    actor, before = _actor(label, ours), _fingerprint(theirs)
    targets = [(theirs.ids(), theirs.canary)]
    if actor.customer:
        targets.append((ours.ids(account=1), f"{ours.canary}-2"))
    for ids, canary in targets:
        unknown = _unknown(ids)
        for route in NAMING:
            if (
                ids is not targets[0][0]
                and "account_id" not in route.arguments
                and "account_key" not in route.arguments
            ):
                continue  # it names something of the organization, which this customer shares
            for method in ("get", "post", "delete") if "api" in route.name else ("get", "post"):
                foreign = actor.ask(method, route.url(ids))
                nobody = actor.ask(method, route.url(unknown))
                assert canary not in _everything(foreign), f"{label} {method} {route.name} shows a stranger's name"
                same = _said(foreign, ids, unknown) == _said(nobody, ids, unknown)
                assert same, f"{label} {method} {route.name} tells them apart"
    assert _fingerprint(theirs) == before


@pytest.mark.parametrize("label", ACTORS)
def test_own_pages_show_nothing_of_others_whatever_the_query_names(label: str, worlds: tuple[World, World]) -> None:
    ours, theirs = worlds
    actor, before = _actor(label, ours), _fingerprint(theirs)
    ids = theirs.ids()
    for route in ROUTES:
        url = route.url(ours.ids())
        query = {name: str(ids.get(f"{name}_id", ids["account_id"])) for name in FIELDS}
        query["csm"] = str(theirs.staff["csm"].user_id)
        for data in ({}, query):
            seen = _everything(actor.ask("get", url, data))
            assert theirs.canary not in seen, f"{label} {route.name} shows another organization"
            if actor.customer:
                assert f"{ours.canary}-2" not in seen, f"{label} {route.name} shows another customer"
    assert _fingerprint(theirs) == before


@pytest.mark.parametrize("label", ACTORS)
def test_foreign_ids_in_the_body_change_nothing_of_theirs(label: str, worlds: tuple[World, World]) -> None:
    ours, theirs = worlds
    actor, before = _actor(label, ours), _fingerprint(theirs)
    ids = theirs.ids()
    body = {name: str(ids.get(f"{name}_id", ids["account_id"])) for name in FIELDS}
    body |= {"csm": str(theirs.staff["csm"].user_id), "organization": str(theirs.organization.pk)}
    for route in ROUTES:
        response = actor.ask("post", route.url(ours.ids()), body)
        assert response.status_code < 500, f"{label} {route.name}"
        assert theirs.canary not in _everything(response), f"{label} {route.name} shows another organization"
        actor = replace(actor, client=_actor(label, ours).client) if _signed_out(actor) else actor
    assert _fingerprint(theirs) == before


def _signed_out(actor: Actor) -> bool:
    return not actor.headers and "_auth_user_id" not in actor.client.session


def test_every_table_of_an_organization_forces_row_level_security() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE a.attname = 'organization_id' AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
              AND c.relpersistence = 'p' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
            """
        )
        assert cursor.fetchall() == []


def test_without_a_viewer_no_row_exists(worlds: tuple[World, World]) -> None:
    for model in apps.get_models():
        if any(column.attname == "organization_id" for column in model._meta.concrete_fields):
            assert model._default_manager.count() == 0, model


def test_a_row_cannot_be_written_into_another_organization(worlds: tuple[World, World]) -> None:
    ours, theirs = worlds
    enter(Viewer(ours.organization.pk))
    with pytest.raises(ProgrammingError, match="row-level security"):
        Meter.objects.create(organization=theirs.organization, key="x", name="x", event_type="x")
