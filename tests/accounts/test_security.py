"""What every answer must have and must not have: tokens asked for, headers, errors that say nothing of the inside."""

from typing import Any

import pytest
from django.apps import apps
from django.db import ProgrammingError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils import timezone

from accounts.models import AuditEvent, Role
from consumption_cs.lib.tenancy import Viewer, enter, leave
from consumption_cs.urls import urlpatterns as real_urls
from tests.factories import signed_in
from tests.routes import ROUTES
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
LOGIN = "/sign-in/login/"


def fail(request: HttpRequest) -> HttpResponse:
    """A view that breaks in the middle of SQL."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret_column FROM no_such_table")
    return HttpResponse()


urlpatterns = [path("fail/", fail), *real_urls]


@pytest.fixture
def world() -> World:
    made = make_world(timezone.now())
    leave()
    return made


def test_no_act_is_done_without_the_token_of_its_form(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.staff[Role.ADMIN].user)
    for route in ROUTES:
        if not route.name.startswith(("accounts:", "usage:")):
            continue
        for method in ("post", "put", "patch", "delete"):
            response = getattr(client, method)(route.url(world.ids()))
            assert response.status_code == 403, f"{method} {route.name}: {response.status_code}"


def test_a_session_never_sends_events(world: World) -> None:
    client = signed_in(world.staff[Role.ADMIN])
    response = client.post("/api/v1/events", data="{}", content_type="application/cloudevents+json")
    assert response.status_code == 401


def test_looking_at_pages_changes_nothing(world: World) -> None:
    client = signed_in(world.staff[Role.ADMIN])
    client.get("/")  # notes the visit
    client.get("/plays/")  # makes the ten standard plays, once for each organization
    before = _rows(world)
    for route in ROUTES:
        client.get(route.url(world.ids()))
    assert _rows(world) == before


def _rows(world: World) -> dict[str, str]:
    """A checksum of each of the organization's tables."""
    enter(Viewer(world.organization.pk))
    sums = {}
    with connection.cursor() as cursor:
        for model in apps.get_models():
            if any(column.attname == "organization_id" for column in model._meta.concrete_fields):
                table = model._meta.db_table
                cursor.execute(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t")  # noqa: S608  ours
                sums[table] = cursor.fetchone()[0]
    leave()
    return sums


@pytest.fixture
def answers(world: World) -> dict[str, Any]:
    """One response of each kind."""
    admin = Client(raise_request_exception=False)
    admin.force_login(world.staff[Role.ADMIN].user)
    analyst, stranger = signed_in(world.staff[Role.ANALYST]), Client()
    for _ in range(6):
        guess = Client().post(LOGIN, {"login": "nobody@example.com", "password": "wrong"})
    return {
        "page": admin.get("/members/"),
        "redirect": stranger.get("/members/"),
        "sign-in": stranger.get(LOGIN),
        "400": stranger.get("/", HTTP_HOST="evil.example"),
        "403": analyst.get("/settings/"),
        "csrf": Client(enforce_csrf_checks=True).post(LOGIN, {"login": "a@b.c"}),
        "404": admin.get("/no-such-page/"),
        "405": admin.put("/members/"),
        "429": guess,
        "500": admin.get("/fail/"),
        "css": admin.get(f"/branding/{world.organization.pk}.css"),
        "api": stranger.get("/api/v1/accounts"),
    }


STATUS = {"400": 400, "403": 403, "csrf": 403, "404": 404, "405": 405, "429": 429, "500": 500, "api": 401}


@pytest.mark.urls(__name__)
def test_every_answer_carries_the_headers_that_browsers_need(answers: dict[str, Any]) -> None:
    for label, response in answers.items():
        assert response.status_code == STATUS.get(label, response.status_code), label
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy, label
        assert "frame-ancestors 'none'" in policy, label
        assert "unsafe" not in policy, label
        assert response.headers["X-Frame-Options"] == "DENY", label
        assert response.headers["X-Content-Type-Options"] == "nosniff", label
        assert response.headers["Referrer-Policy"] == "same-origin", label
        assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin", label
        assert "Access-Control-Allow-Origin" not in response.headers, label


@pytest.mark.urls(__name__)
def test_errors_say_nothing_about_the_inside(answers: dict[str, Any]) -> None:
    for label in ("400", "403", "csrf", "404", "429", "500", "api"):
        text = answers[label].content.decode()
        for word in ("Traceback", "psycopg2", "SELECT ", "no_such_table", "secret_column", "Django", "site-packages"):
            assert word not in text, f"{label} shows {word}"


@pytest.mark.urls(__name__)
def test_pages_of_people_are_kept_by_no_cache(answers: dict[str, Any]) -> None:
    for label in ("page", "403", "404", "sign-in"):
        assert "no-store" in answers[label].headers["Cache-Control"], label
        assert "Cookie" in answers[label].headers.get("Vary", ""), label


def test_the_audit_log_cannot_be_changed_by_the_application(world: World) -> None:
    enter(Viewer(world.organization.pk))
    for change in (AuditEvent.objects.all().update, AuditEvent.objects.all()._raw_delete):
        arguments: tuple[Any, ...] = ("default",) if change.__name__ == "_raw_delete" else ()
        fields = {} if arguments else {"action": "never.happened"}
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            change(*arguments, **fields)
