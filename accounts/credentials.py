"""Secrets of machines and invitations: made once, kept as SHA-256 because they are long and random."""

import hashlib
import hmac
import secrets
from datetime import datetime

from accounts.models import ApiKey
from consumption_cs.lib.tenancy import present

KEY_START = "ccs_live_"
_PREFIX_LENGTH = len(KEY_START) + 10
_NO_HASH = hashlib.sha256(b"no such key").hexdigest()


def new_key() -> tuple[str, str, str]:
    """Return (secret to show once, prefix to find it by, hash to keep)."""
    secret = KEY_START + secrets.token_urlsafe(40).replace("-", "x").replace("_", "y")
    return secret, secret[:_PREFIX_LENGTH], hash_secret(secret)


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a secret in hex. No salt or stretching: the secret has over 200 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def find_key(presented: str, now: datetime) -> ApiKey | None:
    """Return the usable key that `presented` is, or None. Inside a transaction; one comparison on every path."""
    prefix = presented[:_PREFIX_LENGTH]
    plain = prefix.isascii() and prefix.isprintable()
    present(key_prefix=prefix if plain else "")
    key = ApiKey.objects.filter(prefix=prefix).usable_at(now).first() if plain else None
    same = hmac.compare_digest(key.secret_hash if key else _NO_HASH, hash_secret(presented))
    return key if key and same else None
