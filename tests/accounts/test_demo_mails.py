"""The demo's mail catcher: all mails of a demo, and nothing anywhere else."""

from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives
from django.test import Client

from consumption_cs.lib.demo_mails import FILES, caught_mails

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.DEMO, settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = True, FILES, str(tmp_path)
    mail = EmailMultiAlternatives("You are invited", "Come in — €5", to=["ada@example.com"])
    mail.attach_alternative("<p>Come <b>in</b></p><script>alert(1)</script>", "text/html")
    mail.send()
    return tmp_path


def test_mails_are_listed_with_their_words_and_shown_in_a_frame_without_rights(folder: Path) -> None:
    page = Client().get("/demo/mails/").content.decode()
    assert "You are invited" in page
    assert "Come in — €5" in page
    assert 'sandbox="allow-popups"' in page
    [one] = caught_mails(folder)
    answer = Client().get(f"/demo/mails/{one.key}/")
    assert "Come <b>in</b>" in answer.content.decode()
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert "script-src" not in answer["Content-Security-Policy"]


def test_no_other_installation_has_the_page(folder: Path, settings: Any) -> None:
    settings.DEMO = False
    assert Client().get("/demo/mails/").status_code == 404
    settings.DEMO, settings.EMAIL_BACKEND = True, "django.core.mail.backends.smtp.EmailBackend"
    assert Client().get("/demo/mails/").status_code == 404
