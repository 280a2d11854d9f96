"""Secrets and addresses in the database: encrypted with keys made of a setting, the first writes, all read."""

from base64 import urlsafe_b64encode
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class SealError(Exception):
    """What was sealed cannot be read with any of the keys."""


def seal(text: str) -> bytes:
    """Return the text encrypted with the first of `settings.FIELD_KEYS`."""
    return _keys().encrypt(text.encode())


def unseal(sealed: bytes | memoryview) -> str:
    """Return the text again. Raises SealError if none of the keys made it."""
    try:
        return _keys().decrypt(bytes(sealed)).decode()
    except InvalidToken as error:
        raise SealError("FIELD_KEYS has no key that this was encrypted with.") from error


def _keys() -> MultiFernet:
    """Fernet keys of 32 bytes made of each setting, told apart from other uses of the same secret."""
    made = (
        urlsafe_b64encode(sha256(b"consumption_cs.sealed:" + key.encode()).digest()) for key in settings.FIELD_KEYS
    )
    return MultiFernet([Fernet(key) for key in made])
