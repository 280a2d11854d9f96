"""Idempotency-Key: one effect however often a creating request is sent, and the first answer again."""

import json
import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import include, path
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.http import viewer_of
from accounts.idempotency import idempotent
from accounts.models import Account, IdempotencyKey, Organization, Role, Scope
from consumption_cs.lib.tenancy import enter, leave
from tests.factories import make_key, make_member, make_organization, signed_in, staff_of
from tests.threads import in_threads
from usage.actions.retention import forget_old_rows

pytestmark = pytest.mark.django_db
_gate = threading.Event()


class MakeAccountView(APIView):
    """Creates an account, and misbehaves when asked to."""

    capability = "account.list"

    @idempotent
    def post(self, request: Request) -> Response:
        wanted: Any = request.data
        Account.objects.create(organization_id=viewer_of(request).organization_id, key=uuid4().hex, name="Made")
        if wanted.get("refuse"):
            raise ValidationError({"name": ["Give another name."]})
        if wanted.get("status"):
            return Response({"code": "asked"}, status=wanted["status"])
        if wanted.get("crash"):
            raise RuntimeError("crash")
        if wanted.get("wait"):
            _gate.wait(5)
        made = Account.objects.order_by("-pk").values_list("pk", flat=True)[0]
        return Response({"zulu": made, "alpha": "1.50"}, status=201, headers={"Location": f"/x/{made}"})


urlpatterns = [
    path("api/v1/made", MakeAccountView.as_view()),
    path("api/v1/other", MakeAccountView.as_view()),
    path("", include("consumption_cs.urls")),
]


@pytest.fixture(autouse=True)
def _routes() -> Any:
    with override_settings(ROOT_URLCONF=__name__):
        yield


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def secret(organization: Organization) -> str:
    with transaction.atomic():  # some of these tests have no transaction around them
        _, secret = make_key(organization, (Scope.READ,))
        leave()
    return secret


def post(secret: str, key: str | None = "k-1", body: Any = None, url: str = "/api/v1/made") -> HttpResponse:
    headers = {"Authorization": f"Bearer {secret}"} | ({} if key is None else {"Idempotency-Key": key})
    client: Any = Client(raise_request_exception=False)
    response: HttpResponse = client.post(url, json.dumps(body or {}), content_type="application/json", headers=headers)
    return response


def made(organization: Organization) -> int:
    with transaction.atomic():
        enter(staff_of(organization))
        count = Account.objects.count()
        leave()
    return count


def code(response: HttpResponse) -> str:
    assert response["Content-Type"] == "application/problem+json"
    return str(json.loads(response.content)["code"])


def test_the_same_request_again_has_no_second_effect_and_the_same_answer(
    organization: Organization, secret: str
) -> None:
    first, again = post(secret), post(secret)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert (again["Idempotency-Replayed"], again["Location"]) == ("true", first["Location"])
    assert again["Content-Type"] == first["Content-Type"]
    assert not first.has_header("Idempotency-Replayed")
    assert made(organization) == 1


def test_without_a_key_or_with_another_one_each_request_counts(organization: Organization, secret: str) -> None:
    for key in (None, None, "a", "b", "~" * 255, "with space"):
        assert post(secret, key).status_code == 201
    assert made(organization) == 6


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "grün", "\x7f"])
def test_a_key_that_cannot_be_used_is_refused(organization: Organization, secret: str, key: str) -> None:
    response = post(secret, key)
    assert (response.status_code, code(response)) == (400, "invalid_idempotency_key")
    assert made(organization) == 0


def test_the_same_key_for_another_body_or_path_is_refused(organization: Organization, secret: str) -> None:
    post(secret)
    for response in (
        post(secret, body={"name": "x"}),
        post(secret, url="/api/v1/other"),
        post(secret, url="/api/v1/made?x"),
    ):
        assert (response.status_code, code(response)) == (422, "idempotency_key_reused")
    assert made(organization) == 1


def test_a_refusal_is_kept_and_what_it_began_is_undone(organization: Organization, secret: str) -> None:
    first = post(secret, body={"refuse": True})
    again = post(secret, body={"refuse": True})
    assert (first.status_code, again.status_code, again.content) == (400, 400, first.content)
    assert (code(again), again["Idempotency-Replayed"]) == ("invalid", "true")
    assert made(organization) == 0


@pytest.mark.parametrize("body", [{"crash": True}, {"status": 503}, {"status": 409}, {"status": 429}])
def test_an_answer_that_another_attempt_may_not_get_is_not_kept(
    organization: Organization, secret: str, body: dict[str, Any]
) -> None:
    first, again = post(secret, body=body), post(secret, body=body)
    assert first.status_code == again.status_code >= 400
    assert not again.has_header("Idempotency-Replayed")
    enter(staff_of(organization))
    assert not IdempotencyKey.objects.exists()


def test_each_sender_has_keys_of_their_own(organization: Organization, secret: str) -> None:
    _, other = make_key(organization, (Scope.READ,), name="Other")
    _, foreign = make_key(make_organization(), (Scope.READ,))
    member = make_member(organization, Role.CSM)
    leave()
    for one in (secret, other, foreign):
        assert not post(one).has_header("Idempotency-Replayed")
    people = [signed_in(member), signed_in(member)]
    answers = [
        client.post("/api/v1/made", "{}", content_type="application/json", headers={"Idempotency-Key": "k-1"})
        for client in people
    ]
    assert [response.has_header("Idempotency-Replayed") for response in answers] == [False, True]
    assert made(organization) == 3


def test_after_a_day_a_key_is_forgotten(organization: Organization, secret: str) -> None:
    post(secret)
    enter(staff_of(organization))
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=25))
    leave()
    assert not post(secret).has_header("Idempotency-Replayed")
    assert made(organization) == 2
    assert post(secret).has_header("Idempotency-Replayed")


def test_housekeeping_removes_old_keys_only(organization: Organization, secret: str) -> None:
    post(secret, "old")
    enter(staff_of(organization))
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=25))
    leave()
    post(secret, "new")
    assert forget_old_rows(timezone.now())["accounts_idempotencykey"] == 1
    enter(staff_of(organization))
    assert [row.key for row in IdempotencyKey.objects.all()] == ["new"]


@pytest.mark.django_db(transaction=True)
def test_of_many_requests_at_once_one_acts(organization: Organization, secret: str) -> None:
    answers = in_threads(4, lambda: post(secret))
    assert {response.status_code for response in answers} == {201}
    assert len({response.content for response in answers}) == 1
    assert sum(response.has_header("Idempotency-Replayed") for response in answers) == 3
    assert made(organization) == 1


@pytest.mark.django_db(transaction=True)
def test_while_the_first_is_worked_on_the_second_is_told_to_wait(organization: Organization, secret: str) -> None:
    _gate.clear()
    answers: list[HttpResponse] = []

    def first() -> HttpResponse:
        return post(secret, body={"wait": True})

    def second() -> HttpResponse:
        threading.Event().wait(0.3)
        answers.append(post(secret, body={"wait": True}))
        _gate.set()
        return answers[0]

    work = iter([first, second])
    results = in_threads(2, lambda: next(work)())
    refused = answers[0]
    assert (refused.status_code, code(refused), refused["Retry-After"]) == (409, "idempotency_key_in_use", "1")
    assert sorted(response.status_code for response in results) == [201, 409]
    assert made(organization) == 1


def test_every_route_that_creates_says_so_in_the_schema() -> None:
    with override_settings(ROOT_URLCONF="consumption_cs.urls"):
        schema = json.loads(Client().get("/api/v1/schema/?format=json").content)
    operation = schema["paths"]["/api/v1/quarantined-events/replay"]["post"]
    (parameter,) = [each for each in operation["parameters"] if each["name"] == "Idempotency-Key"]
    assert parameter["in"] == "header"
    assert {"400", "409", "422"} <= set(operation["responses"])
    assert "Idempotency-Replayed" in operation["responses"]["200"]["headers"]
