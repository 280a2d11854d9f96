"""An organization's settings, colour and logo."""

import struct
import zlib
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from accounts.models import AuditEvent, Organization, Role
from consumption_cs.lib.branding import contrast
from consumption_cs.lib.images import BadImage, Image, read_image
from consumption_cs.lib.tenancy import enter
from tests.factories import make_account, make_member, make_organization, signed_in, staff_of

pytestmark = pytest.mark.django_db
FILLED = {"name": "Acme AI", "timezone": "Europe/Vienna", "currency": "EUR", "brand_color": "#0A7D32"}
JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    b"\xff\xc0\x00\x0b\x08\x00\x40\x00\x60\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00?\x00\x00\xff\xd9"
)


def png(width: int = 64, height: int = 64) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\x00" + b"\x80" * width) * height) if width * height < 10**6 else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def webp(kind: bytes, body: bytes) -> bytes:
    chunk = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


@pytest.fixture
def organization() -> Organization:
    return make_organization(name="Acme AI")


@pytest.fixture
def admin(organization: Organization) -> Client:
    return signed_in(make_member(organization))


def save(client: Client, logo: Any = None, **changes: str) -> HttpResponse:
    data: dict[str, Any] = {**FILLED, **changes}
    if logo is not None:
        data["logo_file"] = SimpleUploadedFile("logo.png", logo, content_type="image/png")
    return client.post("/settings/", data)  # type: ignore[return-value]


def acts(organization: Organization) -> list[str]:
    enter(staff_of(organization))
    return list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))


def test_what_differs_is_stored_and_audited_before_and_after(organization: Organization, admin: Client) -> None:
    assert save(admin).status_code == 302
    organization.refresh_from_db()
    assert (organization.timezone, organization.currency, organization.brand_color) == (
        "Europe/Vienna",
        "EUR",
        "#0a7d32",
    )
    enter(staff_of(organization))
    row = AuditEvent.objects.get(action="organization.changed")
    assert row.details["currency"] == {"from": "USD", "to": "EUR"}
    assert "name" not in row.details
    assert save(admin).status_code == 302
    assert acts(organization) == ["organization.changed"], "saving the same again is no act"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("timezone", "Mars/Olympus", "Select a valid choice"),
        ("currency", "eur", "three capital letters"),
        ("country", "ZZ", "Select a valid choice"),
        ("brand_color", "red;}body{", "at most 7 characters"),
        ("brand_color", "#zzzzzz", "Use a colour such as"),
        ("name", "", "This field is required."),
        ("name", "a\u202eb", "Use printable characters only."),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_stored(
    organization: Organization, admin: Client, name: str, value: str, words: str
) -> None:
    response = save(admin, **{name: value})
    assert response.status_code == 422
    assert words in response.content.decode()
    organization.refresh_from_db()
    assert organization.currency == "USD"
    assert acts(organization) == []


def test_a_country_is_chosen_and_stays_until_it_is_changed(organization: Organization, admin: Client) -> None:
    for told, kept in (({"country": "AT"}, "AT"), ({}, "AT"), ({"country": ""}, "")):
        save(admin, **told)
        organization.refresh_from_db()
        assert organization.country == kept


def test_fields_that_are_not_on_the_page_do_not_change(organization: Organization, admin: Client) -> None:
    key = organization.key
    admin.post("/settings/", FILLED | {"key": "stolen", "id": "0", "logo_type": "text/html", "logo": "x"})
    organization.refresh_from_db()
    assert (organization.key, organization.logo_type, organization.logo) == (key, "", None)


def test_a_logo_is_shown_to_members_as_what_it_is_and_can_be_removed(
    organization: Organization, admin: Client
) -> None:
    assert save(admin, png()).status_code == 302
    url = f"/branding/{organization.pk}/logo"
    seen = admin.get(url)
    assert (seen.status_code, seen["Content-Type"], seen.content) == (200, "image/png", png())
    assert seen["X-Content-Type-Options"] == "nosniff"
    assert "private" in seen["Cache-Control"]
    assert "sandbox" in seen["Content-Security-Policy"]
    assert admin.get(url, headers={"If-None-Match": seen["ETag"]}).status_code == 304
    assert url in admin.get("/settings/").content.decode()
    assert admin.post("/settings/logo/remove/").status_code == 302
    assert admin.get(url).status_code == 404
    admin.post("/settings/logo/remove/")
    assert acts(organization) == ["organization.changed", "organization.logo_changed", "organization.logo_removed"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "An SVG is a document"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><svg/>', "An SVG is a document"),
        (b"<html><script>alert(1)</script>", "no PNG, JPEG or WebP"),
        (b"GIF89a" + b"\x00" * 50, "no PNG, JPEG or WebP"),
        (png() + b"<script>alert(1)</script>", "something else behind it"),
        (png()[:40], "damaged"),
        (JPEG[:20], "damaged"),
        (JPEG + b"<?php", "something else behind it"),
        (webp(b"VP8L", b"\x2f" + b"\x00" * 20) + b"tail tail", "something else behind it"),
        (png(8, 64), "8 × 64 pixels"),
        (png(30_000, 30_000), "30,000 × 30,000 pixels"),
        (png() + b"\x00" * 200 * 1024, "larger than 200 KB"),
    ],
)
def test_a_file_that_is_no_fit_picture_is_refused_in_words(
    organization: Organization, admin: Client, content: bytes, words: str
) -> None:
    response = save(admin, content)
    assert response.status_code == 422
    assert words in response.content.decode()
    organization.refresh_from_db()
    assert organization.logo is None


@pytest.mark.parametrize(
    ("content", "image"),
    [
        (png(120, 40), Image("image/png", 120, 40)),
        (JPEG, Image("image/jpeg", 96, 64)),
        (webp(b"VP8X", b"\x00" * 4 + b"\x63\x00\x00\x31\x00\x00" + b"\x00" * 10), Image("image/webp", 100, 50)),
        (webp(b"VP8L", b"\x2f" + (99 | 49 << 14).to_bytes(4, "little") + b"\x00" * 9), Image("image/webp", 100, 50)),
        (webp(b"VP8 ", b"\x00" * 3 + b"\x9d\x01\x2a\x64\x00\x32\x00" + b"\x00" * 8), Image("image/webp", 100, 50)),
    ],
)
def test_kind_and_size_are_read_from_the_bytes(content: bytes, image: Image) -> None:
    assert read_image(content) == image


@pytest.mark.parametrize("length", range(0, len(JPEG)))
def test_no_part_of_a_picture_makes_the_reader_fail_otherwise(length: int) -> None:
    for whole in (JPEG, png(), webp(b"VP8 ", b"\x00" * 30)):
        with pytest.raises(BadImage):
            read_image(whole[: min(length, len(whole) - 2)])


def test_the_colour_is_a_style_sheet_with_readable_shades(organization: Organization, admin: Client) -> None:
    save(admin, brand_color="#ffee00")
    seen = admin.get(f"/branding/{organization.pk}.css")
    assert seen["Content-Type"].startswith("text/css")
    day = seen.content.decode().split("--accent: light-dark(")[1][:7]
    assert contrast(day, "#ffffff") >= 4.5
    assert admin.get(f"/branding/{organization.pk}.css", headers={"If-None-Match": seen["ETag"]}).status_code == 304


def test_customers_see_their_vendors_branding_and_nobody_anothers(organization: Organization) -> None:
    customer = signed_in(make_member(make_account(organization), Role.PORTAL_VIEWER))
    stranger = signed_in(make_member(make_organization("Globex")))
    for tail in (".css", "/logo"):
        foreign = stranger.get(f"/branding/{organization.pk}{tail}")
        unknown = stranger.get(f"/branding/019b0000-0000-7000-8000-000000000000{tail}")
        assert foreign.status_code == unknown.status_code == 404
    assert customer.get(f"/branding/{organization.pk}.css").status_code == 200
    assert Client().get(f"/branding/{organization.pk}.css").status_code == 302


@pytest.mark.parametrize("role", [Role.LEADER, Role.CSM, Role.FIELD_CTO, Role.FINANCE, Role.ANALYST])
def test_only_admins_change_settings(organization: Organization, role: Role) -> None:
    client = signed_in(make_member(organization, role))
    assert client.get("/settings/").status_code == 403
    assert save(client, name="Mine").status_code == 403
    assert client.post("/settings/logo/remove/").status_code == 403
    owner = signed_in(make_member(make_account(organization), Role.PORTAL_OWNER))
    assert save(owner).status_code == 403
    assert acts(organization) == []
