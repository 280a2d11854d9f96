"""How django-allauth behaves here: invitations only, links that no Host header can bend, secrets kept encrypted."""

import base64
import hashlib
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal.ratelimit import respond_429
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.models import User


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Seats are offered by invitation only."""
        return False

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return the link of the reset mail, always on SITE_URL, whatever host the request names."""
        return settings.SITE_URL + urlsplit(super().get_reset_password_from_key_url(key)).path

    def is_safe_url(self, url: str) -> bool:
        """Accept `next` only when it stays on this site: a path that starts with one slash."""
        plain = url is not None and url.startswith("/") and not url.startswith(("//", "/\\"))
        return plain and url.isprintable() and url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count the attempt; too many answer 429, the same for addresses that exist and those that do not."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError as error:
            raise ImmediateHttpResponse(respond_429(request)) from error

    def reauthenticate(self, user: User, password: str) -> bool:
        """Whether the signed-in person knows their password; our people have one address, on the user itself."""
        return self.authenticate(self.request, email=user.email, password=password) == user


class MfaAdapter(DefaultMFAAdapter):
    """Secrets of second factors are encrypted with keys derived from SECRET_KEY and its fallbacks."""

    def encrypt(self, text: str) -> str:
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _cipher().decrypt(encrypted_text.encode()).decode()


def _cipher() -> MultiFernet:
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    derived = (hashlib.sha256(b"second factor:" + secret.encode()).digest() for secret in secrets)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in derived])
