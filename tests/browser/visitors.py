"""Who visits in the browser tests, and the program that sends their events."""

import json
import urllib.request
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.utils import timezone
from playwright.sync_api import Page

from accounts.models import Account, Membership
from tests import factories

EVENT_TYPE = "page.read"


def seat(place: Any, role: str = "") -> Membership:
    with transaction.atomic():
        return factories.make_member(place, role)


def sign_in(page: Page, member: Membership) -> None:
    page.goto("/")
    page.get_by_label("E-mail").fill(member.user.email)
    page.get_by_label("Password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def send(server: str, secret: str, account: Account, quantity: int = 1) -> None:
    """Send one event as a program of the vendor would."""
    event: dict[str, Any] = {"specversion": "1.0", "id": uuid4().hex, "source": "/reader", "type": EVENT_TYPE}
    event |= {"subject": account.key, "time": timezone.now().isoformat(), "data": {"quantity": quantity}}
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/cloudevents+json"}
    request = urllib.request.Request(f"{server}/api/v1/events", json.dumps(event).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status in (200, 202)
