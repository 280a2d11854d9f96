"""The frames, the style guide and the pages for when something is wrong."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.template.loader import get_template, render_to_string
from django.test import Client, RequestFactory

TEMPLATES = sorted((settings.BASE_DIR / "templates").rglob("*.html"))
# Mail programs read inline styles only, and no policy of ours applies there.
PAGES = [path for path in TEMPLATES if "email" not in path.relative_to(settings.BASE_DIR / "templates").parts[:-1]]


def test_the_style_guide_shows_every_component_in_the_demo(
    client: Client, settings: SimpleNamespace, db: None
) -> None:
    settings.DEMO = True
    for frame in ("portal", "staff"):
        response = client.get("/styleguide/", {"frame": frame})
        assert response.status_code == 200
        assert b"Invoice OCR" in response.content


def test_outside_the_demo_there_is_no_style_guide(client: Client, settings: SimpleNamespace, db: None) -> None:
    settings.DEMO = settings.DEBUG = False
    assert client.get("/styleguide/").status_code == 404


@pytest.mark.parametrize("name", ["400.html", "403.html", "403_csrf.html", "404.html", "429.html", "500.html"])
def test_pages_of_errors_need_nothing_but_themselves(name: str) -> None:
    html = render_to_string(name)
    assert "<h1" in html
    assert "Traceback" not in html


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(settings.BASE_DIR)))
def test_no_page_has_script_or_style_that_the_policy_would_block(path: Path) -> None:
    text = re.sub(r"\{#.*?#\}|\{% comment %\}.*?\{% endcomment %\}", "", path.read_text(), flags=re.DOTALL)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|\shx-on|javascript:", text)
    assert all(" src=" in tag or 'type="application/json"' in tag for tag in re.findall(r"<script\b[^>]*>", text))
    assert "|safe" not in text


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(settings.BASE_DIR)))
def test_every_template_compiles(path: Path) -> None:
    get_template(str(path.relative_to(settings.BASE_DIR / "templates")))


def test_sign_in_is_in_our_frame_and_policy(client: Client, db: None) -> None:
    response = client.get("/sign-in/login/")
    assert response.status_code == 200
    assert b'class="entrance"' in response.content
    assert b"Keep me signed in" in response.content
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]


def test_an_invitation_says_who_where_and_until_when_in_text_and_html() -> None:
    context = {
        "inviter_name": "Priya <b>",
        "organization_name": "Acme AI",
        "account_name": "Northwind & Sons",
        "role_name": "finance",
        "accept_url": "https://usage.acme.example/invitations/abc?x=1&y=2",
        "email": "dana@northwind.example",
        "expires_text": "Nov 25, 14:10 UTC",
    }
    text = render_to_string("email/invitation.txt", context)
    assert "Priya <b> invites you to the usage portal of Northwind & Sons at Acme AI" in text
    assert "abc?x=1&y=2" in text
    html = render_to_string("email/invitation.html", context)
    assert "Priya &lt;b&gt;" in html
    assert 'href="https://usage.acme.example/invitations/abc?x=1&amp;y=2"' in html


def test_tabs_of_the_second_bar_appear_for_staff_inside_an_account() -> None:
    request = RequestFactory().get("/")
    context = {
        "account": SimpleNamespace(name="Northwind <3", csm=None),
        "nav": [{"label": "Accounts", "url": "/accounts/", "current": True}],
        "account_nav": [{"label": "Workflows", "url": "/w/", "current": False}],
    }
    html = render_to_string("staff.html", context, request)
    assert 'aria-current="page">Accounts' in html
    assert "Workflows" in html
    assert "Northwind &lt;3" in html
