"""The ingest endpoint as a client meets it: keys, limits, headers, and what happens when a part is down."""

import gzip
import http.client
import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client

from accounts import credentials
from accounts.models import ApiKey, Organization, Scope
from consumption_cs.lib.tenancy import Viewer, act_as
from tests.factories import make_account, make_key, make_meter, make_organization
from usage import wakeup
from usage.actions.directory import forget_directories
from usage.api import events as events_view
from usage.api import keys
from usage.models import Event, RejectedEvent

PATH = "/api/v1/events"
pytestmark = pytest.mark.django_db(transaction=True)


class Sender:
    """An organization with an account, a meter and a key, and a client that sends with it."""

    def __init__(self) -> None:
        forget_directories()
        with transaction.atomic():
            self.organization: Organization = make_organization()
            make_account(self.organization, key="cust-1")
            make_meter(self.organization, "api.call")
            self.key, self.secret = make_key(self.organization)
        self.client = Client()

    def post(self, body: Any, content_type: str = "application/json", **headers: str) -> Any:
        headers = {"authorization": f"Bearer {self.secret}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post(PATH, raw, content_type=content_type, headers=headers)

    def count(self) -> int:
        with act_as(Viewer(self.organization.pk)):
            return Event.objects.count()


@pytest.fixture
def sender() -> Sender:
    return Sender()


def item(number: int = 1, **changes: Any) -> dict[str, Any]:
    event = {"specversion": "1.0", "id": f"e-{number}", "source": "/prod", "type": "api.call", "subject": "cust-1"}
    return event | {"data": {"quantity": 1}} | changes


def test_each_item_of_a_batch_gets_its_result_in_order(sender: Sender) -> None:
    sender.post(item(2))
    response = sender.post([item(1), item(2), item(3, subject="nobody"), item(4, id="")])
    assert response.status_code == 200
    content = response.json()
    assert [content[name] for name in ("accepted", "duplicate", "quarantined", "rejected")] == [1, 1, 1, 1]
    assert [(result["index"], result["status"], result.get("code")) for result in content["results"]] == [
        (0, "accepted", None),
        (1, "duplicate", "duplicate"),
        (2, "quarantined", "unknown_subject"),
        (3, "rejected", "invalid_id"),
    ]


def test_when_all_are_rejected_the_problem_points_at_each(sender: Sender) -> None:
    response = sender.post([item(1, id=""), item(2, data={})])
    assert response.status_code == 422
    assert response["Content-Type"] == "application/problem+json"
    content = response.json()
    assert (content["status"], content["title"], content["rejected"]) == (422, "Unprocessable Entity", 2)
    assert [(error["pointer"], error["code"]) for error in content["errors"]] == [
        ("/0/id", "invalid_id"),
        ("/1/data/quantity", "invalid_quantity"),
    ]


def test_answers_have_the_headers_of_an_api(sender: Sender) -> None:
    for response in (sender.post(item()), sender.post(b"{"), sender.client.get(PATH), sender.client.post(PATH)):
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
        assert response["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in response


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer ccs_live_nobody", "Bearer \x00", "Basic eDo=", "Token x", "Bearer é" * 300],
)
def test_every_bad_key_gets_the_same_answer(sender: Sender, authorization: str) -> None:
    answers = [
        sender.client.post(PATH, b"{}", content_type="text/csv", headers={"authorization": authorization}),
        sender.client.post(PATH, headers={"authorization": f"Bearer {sender.secret[:-1]}x"}),
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].content == answers[1].content
    assert answers[0]["WWW-Authenticate"] == "Bearer"


def test_a_revoked_key_ends_at_once(sender: Sender) -> None:
    assert sender.post(item()).status_code == 202
    with act_as(Viewer(sender.organization.pk)):
        ApiKey.objects.update(revoked_at=datetime.now(UTC))
    assert sender.post(item()).status_code == 401


def test_keys_are_compared_in_constant_time_also_when_there_is_none(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[str, str]] = []

    def spy(one: str, other: str) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(keys.hmac, "compare_digest", spy)
    with act_as(Viewer(sender.organization.pk)):
        ApiKey.objects.update(expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    for secret in (sender.secret, sender.secret[:-1] + "?", "ccs_live_unknown" + "x" * 40, ""):
        compared.clear()
        assert sender.post(item(), authorization=f"Bearer {secret}").status_code == 401
        assert len(compared) == 1
        assert {len(text) for text in compared[0]} == {64}


def test_the_prefix_is_the_one_that_keys_are_made_with() -> None:
    assert len(credentials.new_key()[1]) == keys.KEY_PREFIX_LENGTH


def test_the_body_is_not_read_without_a_key(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: Any) -> bytes:
        raise AssertionError("the body was read")

    monkeypatch.setattr(events_view, "read_body", read)
    assert sender.post(item(), authorization="Bearer nobody").status_code == 401


def test_a_session_or_a_key_in_the_url_opens_nothing(sender: Sender) -> None:
    response = sender.client.post(f"{PATH}?api_key={sender.secret}", b"{}", content_type="application/json")
    assert response.status_code == 401


def test_scopes_decide_what_a_key_may_send(sender: Sender) -> None:
    old = item(1, time="2020-02-29T00:00:00Z")
    assert sender.post(old).json()["code"] == "time_too_old"
    with transaction.atomic():
        _, backfill = make_key(sender.organization, (Scope.EVENTS_BACKFILL,))
        _, read = make_key(sender.organization, (Scope.READ,))
    assert sender.post(old, authorization=f"Bearer {backfill}").status_code == 202
    refused = sender.post(item(), authorization=f"Bearer {read}")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


def test_the_last_use_of_a_key_is_noted(sender: Sender) -> None:
    sender.post(item())
    with act_as(Viewer(sender.organization.pk)):
        assert ApiKey.objects.get(pk=sender.key.pk).last_used_at is not None


def test_an_unreadable_request_is_in_the_event_log(sender: Sender) -> None:
    response = sender.post(b'{"id": "\xff\x00"}')
    assert (response.status_code, response.json()["code"]) == (400, "not_utf8")
    with act_as(Viewer(sender.organization.pk)):
        noted = RejectedEvent.objects.get()
    assert (noted.code, noted.api_key_id) == ("not_utf8", sender.key.pk)
    assert noted.excerpt.startswith('{"id": "')


def test_a_key_that_sends_too_much_is_told_when_to_come_back(sender: Sender, settings: Any) -> None:
    settings.INGEST_EVENTS_PER_MINUTE = 60
    assert sender.post([item(n) for n in range(59)]).status_code == 202
    refused = sender.post([item(n) for n in range(100, 110)])
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused["Retry-After"]) <= 10
    assert refused["RateLimit-Policy"] == '"events";q=60;w=60'
    assert sender.count() == 59


def test_without_the_database_the_answer_is_503_and_to_try_again(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    for name in ("find_key", "accept_events", "record_unreadable"):
        with monkeypatch.context() as patch:
            patch.setattr(events_view, name, broken)
            response = sender.post(item() if name != "record_unreadable" else b"{")
        assert response.status_code == 503
        assert int(response["Retry-After"]) > 0
    assert sender.count() == 0


def test_a_database_that_is_gone_answers_503_quickly(server: str, sender: Sender) -> None:
    """The real thing: connections of this database are refused and cut, as when PostgreSQL restarts."""
    address = urlsplit(server)
    name = connection.settings_dict["NAME"]

    def post(number: int) -> tuple[int, str | None, float]:
        started = time.perf_counter()
        client = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
        headers = {"Authorization": f"Bearer {sender.secret}", "Content-Type": "application/json"}
        client.request("POST", PATH, json.dumps(item(number)), headers)
        response = client.getresponse()
        client.close()
        return response.status, response.getheader("Retry-After"), time.perf_counter() - started

    from psycopg2 import sql

    from consumption_cs.provision import administering
    from tests import services

    assert post(1)[0] == 202
    with administering(services.ensure()["admin"]) as cursor:
        cursor.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
        try:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            status, retry_after, took = post(2)
        finally:
            cursor.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(name)))
    assert (status, retry_after) == (503, "5")
    assert took < 3
    connection.close()
    assert post(2)[0] == 202


def test_a_dead_or_silent_broker_costs_nothing_that_matters(
    sender: Sender, settings: Any, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for port in (1, silent_port):
        monkeypatch.setattr(wakeup, "_waker", wakeup._Waker())
        settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{port}/0"
        started = time.perf_counter()
        for number in range(3):
            assert sender.post(item(port + number)).status_code == 202
        assert time.perf_counter() - started < 2


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that takes connections and never says a word, like a stopped process."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_wake_ups_are_few_and_stop_for_a_while_after_a_failure(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, ...]] = []
    waker = wakeup._Waker()
    hint = (wakeup.ROLL_UP, str(sender.organization.pk))
    monkeypatch.setattr(waker, "_publish", lambda *hint: sent.append(hint))
    assert [waker.wake(*hint) for _ in range(5)] == [True, False, False, False, False]
    assert sent == [hint]
    assert waker.wake(wakeup.DELIVERY)

    def fail(*_: str) -> None:
        raise OSError("refused")

    monkeypatch.setattr(waker, "_publish", fail)
    waker._last.clear()
    assert waker.wake(*hint) is False
    waker._last.clear()
    monkeypatch.setattr(waker, "_publish", lambda *hint: sent.append(hint))
    assert waker.wake(*hint) is False


def test_a_live_server_takes_chunked_and_compressed_bodies(server: str, sender: Sender) -> None:
    address = urlsplit(server)
    body = gzip.compress(json.dumps([item(n) for n in range(50)]).encode())
    client = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    headers = {
        "Authorization": f"Bearer {sender.secret}",
        "Content-Type": "application/cloudevents-batch+json",
        "Content-Encoding": "gzip",
        "Transfer-Encoding": "chunked",
    }
    client.request("POST", PATH, iter([body[:100], body[100:]]), headers, encode_chunked=True)
    response = client.getresponse()
    assert (response.status, json.loads(response.read())["accepted"]) == (202, 50)
    client.request("POST", PATH, iter([b" " * 600_000, b" " * 600_000]), headers | {"Content-Encoding": ""},
                   encode_chunked=True)  # fmt: skip
    assert client.getresponse().status == 413
    client.close()


def test_the_endpoint_is_in_the_schema_with_every_answer_it_gives() -> None:
    document = Client().get("/api/v1/schema/?format=json")
    assert document.status_code == 200
    operation = json.loads(document.content)["paths"][PATH]["post"]
    assert set(operation["responses"]) == {
        "200", "202", "400", "401", "403", "405", "413", "415", "422", "429", "503",
    }  # fmt: skip
