"""`manage.py demo --check`: sign in as every role, open every main page, send one event and find it on a page."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from consumption_cs.bootstrap import say

SECONDS_TO_APPEAR = 20
MOST_PAGES = 60
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


def main(url: str, seeded: dict[str, Any], environment: dict[str, str]) -> int:
    """Try everything and say what was seen. Returns 0 only if all of it was right.

    `seeded` is what the seed wrote about log-ins, and `environment` that of the web server.
    """
    if not seeded.get("event"):
        say("There is no demo data to check with.")
        return 1
    routes = addresses(environment)
    problems: list[str] = []
    for login in seeded["logins"]:
        say(f"\n  {login['role']} ({login['email']})")
        visitor = sign_in(url, login)
        visitor.follow_links()
        problems += [f"{login['role']}: {problem}" for problem in visitor.problems]
        if login is seeded["logins"][0]:
            problems += type_addresses(visitor, routes, seeded["event"]["account_id"])
    problems += send_one_event(url, seeded, routes)
    say("\n" + ("\n".join(f"WRONG: {problem}" for problem in problems) or "All is right."))
    return 1 if problems else 0


def addresses(environment: dict[str, str]) -> list[str]:
    """The addresses of the URL list that need nothing, or only an account, which is `{account_id}` in them."""
    os.environ.update(environment, DJANGO_SETTINGS_MODULE="consumption_cs.settings")
    import django
    from django.urls import URLPattern, get_resolver

    def walk(patterns: list[Any], before: str) -> Iterator[str]:
        for pattern in patterns:
            address = before + str(pattern.pattern)
            yield from [address] if isinstance(pattern, URLPattern) else walk(pattern.url_patterns, address)

    django.setup()
    found = {path.replace("<uuid:account_id>", "{account_id}") for path in walk(get_resolver().url_patterns, "/")}
    return sorted(address for address in found if not set(address) & set("<^\\("))


def sign_in(url: str, login: dict[str, Any]) -> Visitor:
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


def type_addresses(visitor: Visitor, routes: list[str], account_id: str) -> list[str]:
    """Open every address of the URL list that the links did not lead to."""
    say("    by address:")
    before = len(visitor.problems)
    for route in routes:
        path = route.format(account_id=account_id)
        if IDENTIFIER.sub("…", path) not in visitor.seen and not path.startswith(NOT_PAGES):
            visitor.visit(path, FINE_WHEN_TYPED)
    return visitor.problems[before:]


def send_one_event(url: str, seeded: dict[str, Any], routes: list[str]) -> list[str]:
    """Send an event with a real key, and wait until a page of its account shows it."""
    event = seeded["event"]
    identifier = f"demo-check-{int(time.time() * 1000)}"
    body = {
        "specversion": "1.0",
        "id": identifier,
        "source": "demo-check",
        "type": event["type"],
        "subject": event["subject"],
        "time": datetime.now(UTC).isoformat(),
        "data": event["data"],
    }
    started = time.monotonic()
    answer = httpx.post(
        f"{url}/api/v1/events",
        json=body,
        headers={"Authorization": f"Bearer {event['key']}", "Content-Type": "application/cloudevents+json"},
    )
    say(f"\n  One event: {answer.status_code} {answer.text[:200]}")
    if answer.status_code != 202:
        return [f"the event was answered with {answer.status_code}"]
    reader = sign_in(url, next(login for login in seeded["logins"] if login["role"] == "admin"))
    pages = [route.format(account_id=event["account_id"]) for route in routes if "event" in route]
    while time.monotonic() - started < SECONDS_TO_APPEAR:
        for page in pages:
            if identifier in reader.client.get(page).text:
                say(f"  Seen on {page} after {time.monotonic() - started:.1f} s.")
                return []
        time.sleep(0.5)
    return [f"the event was not seen on {' or '.join(pages) or 'any page'} within {SECONDS_TO_APPEAR} s"]
