"""The mails that a demo would have sent, read from where Django's file backend puts them."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timezone
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

FILES = "django.core.mail.backends.filebased.EmailBackend"  # the backend that a demo is started with
_LINE = b"\n" + b"-" * 79 + b"\n"
MOST_FILES = 300


@dataclass(frozen=True, slots=True)
class CaughtMail:
    """One mail; `key` names it in addresses."""

    key: str
    sender: str
    to: str
    subject: str
    at: datetime | None
    text: str
    html: str


def caught_mails(folder: Path) -> list[CaughtMail]:
    """Return the mails of the newest 300 files, newest first. A file holds those of one connection."""
    files = sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime, reverse=True)[:MOST_FILES]
    found = []
    for path in files:
        parts = path.read_bytes().split(_LINE)
        found += [_read(part.lstrip(b"\n"), f"{path.name}:{n}") for n, part in enumerate(parts) if part.strip()][::-1]
    return found


def _read(source: bytes, name: str) -> CaughtMail:
    message = cast(EmailMessage, message_from_bytes(source, policy=policy.default))
    date = message["Date"]
    return CaughtMail(
        hashlib.sha256(name.encode()).hexdigest()[:20],
        str(message["From"] or ""),
        str(message["To"] or ""),
        str(message["Subject"] or ""),
        _moment(date.datetime) if date is not None else None,
        _body(message, "plain"),
        _body(message, "html"),
    )


def _moment(at: datetime) -> datetime:
    """The library reads `-0000`, which says UTC without a place, as no zone at all."""
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()) if part is not None else ""
