"""`manage.py demo --check`: sign in as every role, open every main page, find one event sent, verify the ledger."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import unescape
from io import StringIO
from typing import Any
from urllib.parse import urljoin, urlsplit
from uuid import UUID

import django
import httpx
from django.urls import URLPattern, get_resolver

from consumption_cs.bootstrap import say

SECONDS_TO_APPEAR = 20
MOST_PAGES = 200
IDENTIFIER = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/)\d+(?=/)")
LINK = re.compile(r"<a\b(?![^>]*\bdownload\b)[^>]*\bhref=\"([^\"#]+)")
HEADING = re.compile(r"<h1[^>]*>(.*?)</h1>", re.DOTALL)
NOT_PAGES = ("/static/", "/sign-in/", "/api/", "/compat/")
# A page that a role may not open, and one that only takes POST, are right answers to a visit by address.
FINE_WHEN_TYPED = {200, 204, 302, 403, 405}


@dataclass
class Visitor:
    """A signed-in browser without scripts. `problems` collects what went wrong, in words."""

    client: httpx.Client
    problems: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def visit(self, path: str, fine: frozenset[int] | set[int] = frozenset({200})) -> str:
        """Open a page, say what was seen, and return its HTML ("" when it is not a page)."""
        started = time.monotonic()
        answer = self.client.get(path)
        heading = HEADING.search(answer.text) if "html" in answer.headers.get("Content-Type", "") else None
        words = " ".join(unescape(re.sub(r"<[^>]+>", " ", heading[1])).split()) if heading else ""
        say(f"    {answer.status_code} {(time.monotonic() - started) * 1000:5.0f} ms  {path}  {words[:90]}")
        onward = urlsplit(answer.headers.get("Location", ""))
        if answer.status_code == 302 and 302 not in fine and not onward.netloc + onward.scheme:
            if not onward.path.startswith(NOT_PAGES):  # a section that opens on its first page, say
                return self.visit(onward.path)
        if answer.status_code not in fine:
            self.problems.append(f"{path} answered {answer.status_code}")
        return answer.text if answer.status_code == 200 and heading else ""

    def follow_links(self, path: str = "/") -> None:
        """Open every kind of page that can be reached by links from `path`, one of each kind."""
        waiting = [path]
        while waiting and len(self.seen) < MOST_PAGES:
            path = waiting.pop(0)
            kind = IDENTIFIER.sub("…", path)
            if kind in self.seen:
                continue
            self.seen.add(kind)
            html = self._open(path)
            waiting += [link for link in links(path, html) if IDENTIFIER.sub("…", link) not in self.seen]

    def _open(self, path: str) -> str:
        if path != "/":
            return self.visit(path)
        answer = self.client.get("/", follow_redirects=True)
        landed = urlsplit(str(answer.url)).path
        self.seen.add(IDENTIFIER.sub("…", landed))
        return self.visit(landed)


def main(url: str, logins: list[dict[str, str]], environment: dict[str, str]) -> int:
    """Try everything and say what was seen. Returns 0 only if all of it was right.

    `logins` is what the seed wrote, a person who may see everything first; `environment` is the web server's.
    """
    if not logins:
        say("There is no demo data to check with.")
        return 1
    os.environ.update(environment, DJANGO_SETTINGS_MODULE="consumption_cs.settings", LOG_LEVEL="WARNING")
    django.setup()
    problems: list[str] = []
    for login in logins:
        say(f"\n  {login['who']} ({login['email']})")
        visitor = sign_in(url, login)
        visitor.follow_links()
        problems += [f"{login['email']}: {problem}" for problem in visitor.problems]
    with real_key() as event:
        admin = sign_in(url, logins[0])
        problems += type_addresses(admin, event.account_id)
        problems += send_one_event(url, admin, event)
    problems += verify_ledger()
    say("\n" + ("\n".join(f"WRONG: {problem}" for problem in problems) or "All is right."))
    return 1 if problems else 0


def verify_ledger() -> list[str]:
    """Compare every step from event to ledger, as `manage.py verify_ledger` does."""
    from django.core.management import CommandError, call_command

    say("\n  The ledger")
    told = StringIO()
    try:
        call_command("verify_ledger", stdout=told, stderr=told)
    except CommandError as error:
        return [str(error), *told.getvalue().splitlines()]
    finally:
        say("".join(f"    {line}\n" for line in told.getvalue().splitlines()).rstrip())
    return []


@dataclass(frozen=True)
class Event:
    """What to send, with which key, and whose it is."""

    key: str
    account_id: UUID
    body: dict[str, Any]


@contextmanager
def real_key() -> Iterator[Event]:
    """A key of the demo's first organization, revoked afterwards, and an event of one of its accounts."""
    from accounts.credentials import new_key
    from accounts.models import ApiKey, Organization, Scope
    from consumption_cs.lib.tenancy import Viewer, act_as
    from usage.models import Meter, Workflow

    organization = Organization.objects.earliest("created_at")
    secret, prefix, secret_hash = new_key()
    with act_as(Viewer(organization.pk)):
        meter = Meter.objects.filter(organization=organization, aggregation=Meter.Aggregation.SUM).earliest(
            "created_at"
        )
        workflow = Workflow.objects.filter(organization=organization).select_related("account").earliest("pk")
        key = ApiKey.objects.create(
            organization=organization,
            name="manage.py demo --check",
            prefix=prefix,
            secret_hash=secret_hash,
            scopes=[Scope.EVENTS_WRITE],
        )
    body = {
        "specversion": "1.0",
        "id": f"demo-check-{int(time.time() * 1000)}",
        "source": "demo-check",
        "type": meter.event_type,
        "subject": workflow.account.key,
        "time": datetime.now(UTC).isoformat(),
        "data": {meter.value_property: 1, meter.workflow_property: workflow.key},
    }
    yield Event(secret, workflow.account_id, body)
    with act_as(Viewer(organization.pk)):
        ApiKey.objects.filter(organization=organization, pk=key.pk).update(revoked_at=datetime.now(UTC))


def addresses() -> list[str]:
    """The addresses of the URL list that need nothing, or only an account, which is `{account_id}` in them."""

    def walk(patterns: list[Any], before: str) -> Iterator[str]:
        for pattern in patterns:
            address = before + str(pattern.pattern)
            yield from [address] if isinstance(pattern, URLPattern) else walk(pattern.url_patterns, address)

    found = {path.replace("<uuid:account_id>", "{account_id}") for path in walk(get_resolver().url_patterns, "/")}
    return sorted(address for address in found if not set(address) & set("<^\\("))


def sign_in(url: str, login: dict[str, str]) -> Visitor:
    """A visitor with this person's session; its `problems` say when signing in did not work."""
    visitor = Visitor(httpx.Client(base_url=url, timeout=30))
    form = visitor.client.get("/sign-in/login/").text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    answer = visitor.client.post(
        "/sign-in/login/",
        data={
            "login": login["email"],
            "password": login["password"],
            "csrfmiddlewaretoken": token[1] if token else "",
        },
        headers={"Referer": f"{url}/sign-in/login/"},
    )
    if answer.status_code != 302:
        visitor.problems.append(f"signing in answered {answer.status_code}")
    return visitor


def links(path: str, html: str) -> Iterator[str]:
    """The pages of this site that a page links to, without their queries."""
    for found in LINK.findall(html):
        link = urlsplit(urljoin(path, unescape(found)))
        if not link.netloc and link.scheme == "" and link.path.startswith("/") and not link.path.startswith(NOT_PAGES):
            yield link.path


def type_addresses(visitor: Visitor, account_id: UUID) -> list[str]:
    """Open every address of the URL list, whether a link leads to it or not."""
    say("\n  Every address of the URL list")
    for address in addresses():
        if not address.startswith(NOT_PAGES):
            visitor.visit(address.format(account_id=account_id), FINE_WHEN_TYPED)
    return visitor.problems


def send_one_event(url: str, reader: Visitor, event: Event) -> list[str]:
    """Send an event with a real key, and wait until a page of its account shows it to `reader`."""
    started = time.monotonic()
    answer = httpx.post(
        f"{url}/api/v1/events",
        json=event.body,
        headers={"Authorization": f"Bearer {event.key}", "Content-Type": "application/cloudevents+json"},
    )
    say(f"\n  One event: {answer.status_code} {answer.text[:200]}")
    if answer.status_code != 202:
        return [f"the event was answered with {answer.status_code}"]
    pages = [address.format(account_id=event.account_id) for address in addresses() if "event" in address]
    pages = [page for page in pages if not page.startswith(NOT_PAGES)]
    while time.monotonic() - started < SECONDS_TO_APPEAR:
        for page in pages:
            if event.body["id"] in reader.client.get(page).text:
                say(f"  Seen on {page} after {time.monotonic() - started:.1f} s.")
                return []
        time.sleep(0.5)
    return [f"the event was not seen on {' or '.join(pages) or 'any page'} within {SECONDS_TO_APPEAR} s"]
