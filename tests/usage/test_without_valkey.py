"""Valkey gone, or there and silent: events are accepted as fast as ever, counted by the sweeper, and pages work."""

import json
import socket
import statistics
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from django.test import Client

from accounts.models import Account
from consumption_cs.embedded import free_port
from consumption_cs.lib.tenancy import act_as
from consumption_cs.processes import Running
from tests.conftest import wait_for_web
from tests.factories import make_account, make_key, make_member, make_meter, make_organization, make_price, staff_of
from usage.models import AccountDay

SECONDS_TO_COUNT = 30


@pytest.fixture
def refusing() -> str:
    return f"redis://127.0.0.1:{free_port(29000)}/0"


@pytest.fixture
def silent() -> Iterator[str]:
    """A broker that takes connections and never answers, as a stopped process does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def send(url: str, secret: str, account: Account, number: int) -> float:
    """Send one event; return how many seconds the answer took."""
    body = {"specversion": "1.0", "id": f"run-{number}", "source": "/test", "type": "api.call"}
    body |= {"subject": account.key, "data": {"quantity": 2}}  # type: ignore[dict-item]
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/cloudevents+json"}
    request = urllib.request.Request(f"{url}/api/v1/events", json.dumps(body).encode(), headers)
    started = time.monotonic()
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 202
    return time.monotonic() - started


@pytest.mark.parametrize("broker", ["refusing", "silent"])
def test_events_are_accepted_counted_and_shown(
    broker: str, request: pytest.FixtureRequest, run_process: Callable[..., Running]
) -> None:
    redis_url = request.getfixturevalue(broker)
    organization = make_organization()
    with act_as(staff_of(organization)):
        account = make_account(organization)
        make_price(make_meter(organization), "3")
        _, secret = make_key(organization)
        member = make_member(account)
    port = free_port(28000)
    url = f"http://127.0.0.1:{port}"
    web = run_process("web", REDIS_URL=redis_url, GRANIAN_PORT=str(port), GRANIAN_WORKERS="1", SITE_URL=url)
    run_process("sweeper", REDIS_URL=redis_url)
    wait_for_web(url, web)
    took = [send(url, secret, account, number) for number in range(12)]
    assert statistics.median(took) < 0.7
    assert max(took) < 3  # the one that found out that nobody answers
    assert counted(account) == 12 * 2 * 3
    client = Client()
    client.force_login(member.user)
    page = urllib.request.Request(
        f"{url}/accounts/{account.pk}/", headers={"Cookie": f"sessionid={client.cookies['sessionid'].value}"}
    )
    with urllib.request.urlopen(page, timeout=20) as answer:
        assert "$72" in answer.read().decode()


def counted(account: Account) -> int:
    """The account's spend once the sweeper has settled it, or what it is when patience ends."""
    deadline = time.monotonic() + SECONDS_TO_COUNT
    spend = 0
    while time.monotonic() < deadline and spend < 72:
        time.sleep(0.3)
        with act_as(staff_of(account)):
            day = AccountDay.objects.filter(account=account).first()
            spend = int(day.spend) if day else 0
    return spend
