"""Who sends events: the API key of a request, read from the database each time, so that revoking works at once."""

import hmac
import logging
import time
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import DatabaseError, connection

from accounts.credentials import hash_secret
from accounts.models import Scope

KEY_PREFIX_LENGTH = 19
NOTED_EVERY = 60.0  # seconds between two updates of a key's last use
_MOST_KEY_CHARS = 200
_NO_HASH = hash_secret("no such key")

# One round trip: statements sent together share a transaction, so the setting ends with the answer.
_FIND = """SET LOCAL app.key_prefix = %s;
SELECT id, organization_id, secret_hash, scopes, revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()),
    now(), account_id, name
FROM accounts_apikey WHERE prefix = %s"""

_NOTE_USE = """SET LOCAL app.organization = %s; SET LOCAL app.account = 'all';
UPDATE accounts_apikey SET last_used_at = now() WHERE id IN (
    SELECT id FROM accounts_apikey WHERE organization_id = %s AND id = %s FOR UPDATE SKIP LOCKED)"""

logger = logging.getLogger(__name__)


class Key(msgspec.Struct, frozen=True):
    """A usable key as routes of machines need it. `now` is the database's clock when it was read."""

    id: UUID
    organization_id: UUID
    scopes: frozenset[str]
    now: datetime
    account_id: UUID | None = None
    name: str = ""

    @property
    def may_write(self) -> bool:
        return Scope.EVENTS_WRITE in self.scopes or self.may_backfill

    @property
    def may_backfill(self) -> bool:
        return Scope.EVENTS_BACKFILL in self.scopes


def find_key(presented: str) -> Key | None:
    """The usable key that was presented, or None. One look-up and one comparison whether or not it exists."""
    prefix = presented[:KEY_PREFIX_LENGTH]
    if not (prefix.isascii() and prefix.isprintable()) or len(presented) > _MOST_KEY_CHARS:
        prefix = ""
    with connection.cursor() as cursor:
        cursor.execute(_FIND, [prefix, prefix])
        row = cursor.fetchone() if prefix else None
    same = hmac.compare_digest(row[2] if row else _NO_HASH, hash_secret(presented))
    if row is None or not same or not row[4]:
        return None
    return Key(row[0], row[1], frozenset(row[3]), *row[5:])


class _LastUse:
    """When this process last noted the use of each key."""

    def __init__(self) -> None:
        self._noted: dict[UUID, float] = {}

    def is_due(self, key_id: UUID) -> bool:
        now = time.monotonic()
        if now - self._noted.get(key_id, -NOTED_EVERY) < NOTED_EVERY:
            return False
        self._noted[key_id] = now
        return True


_last_use = _LastUse()


def note_use(key: Key) -> None:
    """Write when a key was last used, at most once a minute and process; a row that is locked is left alone.

    Never fails: the events are stored, and their sender must be told so.
    """
    if not _last_use.is_due(key.id):
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute(_NOTE_USE, [str(key.organization_id), key.organization_id, key.id])
    except DatabaseError as error:
        logger.warning("key.use_not_noted error=%s", error)


class _Bucket(msgspec.Struct):
    tokens: float
    at: float


class RateLimit:
    """A token bucket per key, in the memory of this process: with N web processes a key may send N times as much.

    Cheap on purpose; the limit protects the service from a runaway client, it does not bill.
    """

    def __init__(self) -> None:
        self._buckets: dict[UUID, _Bucket] = {}

    def take(self, key_id: UUID, events: int) -> tuple[float, Mapping[str, str]]:
        """Take tokens for some events. Returns how many seconds to wait (0: go on) and the RateLimit headers."""
        quota = max(settings.INGEST_EVENTS_PER_MINUTE, 1)
        per_second = quota / 60
        now = time.monotonic()
        bucket = self._buckets.setdefault(key_id, _Bucket(quota, now))
        bucket.tokens = min(quota, bucket.tokens + (now - bucket.at) * per_second)
        bucket.at = now
        # A batch larger than the whole quota would never pass; it takes what there is when the bucket is full.
        needed = min(events, quota)
        wait = max(0.0, (needed - bucket.tokens) / per_second)
        if not wait:
            bucket.tokens -= needed
        reset = int((quota - bucket.tokens) / per_second) + 1
        return wait, {
            "RateLimit-Policy": f'"events";q={quota};w=60',
            "RateLimit": f'"events";r={int(bucket.tokens)};t={reset}',
        }


rate_limit = RateLimit()
