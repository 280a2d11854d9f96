"""One message over the wire: by mail, signed webhook, or to a chat. No database here; workers do this in threads."""

import json
import smtplib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parseaddr
from typing import Any
from urllib.parse import quote, urlsplit

import apprise
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from standardwebhooks import Webhook

from consumption_cs.lib.outgoing import AddressError, SendError, post

SECONDS = 15
GONE = 410
_EVENTS = {"critical": "failure", "warning": "warning", "info": "info"}


@dataclass(frozen=True, slots=True)
class Letter:
    """What a thread needs to send one delivery, read before it starts."""

    id: str
    kind: str  # of the destination, or "email" for a person
    address: str
    payload: dict[str, Any]
    secrets: Sequence[str] = ()
    organization_name: str = ""
    unsubscribe_url: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try. `error` is in words; empty: it was accepted. `is_final`: trying again is no use."""

    milliseconds: int
    status: int | None = None
    error: str = ""
    is_final: bool = False


def send(letter: Letter, now: datetime) -> Outcome:
    """Send it once; never raises for what the other side does."""
    started = time.monotonic()
    try:
        if letter.kind == "email":
            return _mail(letter, started)
        if letter.kind == "webhook":
            return _webhook(letter, now)
        return _chat(letter, started)
    except (SendError, AddressError) as error:
        return Outcome(_since(started), None, str(error))


def signed(letter: Letter, body: str, now: datetime) -> dict[str, str]:
    """Return the headers of Standard Webhooks, with a signature by each secret in force."""
    marks = " ".join(Webhook(secret).sign(letter.id, now, body) for secret in letter.secrets)
    moment = str(int(now.astimezone(timezone.utc).timestamp()))
    return {"webhook-id": letter.id, "webhook-timestamp": moment, "webhook-signature": marks}


def _webhook(letter: Letter, now: datetime) -> Outcome:
    body = json.dumps(letter.payload, separators=(",", ":"), ensure_ascii=False)
    more = {"Content-Type": "application/json", "User-Agent": "ConsumptionCS-Webhooks/1"}
    answer = post(letter.address, body.encode(), signed(letter, body, now) | more, SECONDS)
    if 200 <= answer.status < 300:
        return Outcome(answer.milliseconds, answer.status)
    words = "A redirect is not followed" if 300 <= answer.status < 400 else "The receiver refused it"
    return Outcome(answer.milliseconds, answer.status, f"{words} (status {answer.status}).", answer.status == GONE)


def _mail(letter: Letter, started: float) -> Outcome:
    context = {
        "message": letter.payload,
        "organization_name": letter.organization_name,
        "unsubscribe_url": letter.unsubscribe_url,
        "note": letter.note,
    }
    headers = {"Message-ID": f"<{letter.id}@{_mail_domain()}>"}  # the same each time: programs show it once
    if letter.unsubscribe_url:
        headers["List-Unsubscribe"] = f"<{letter.unsubscribe_url}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    subject = " ".join(str(letter.payload.get("subject", "")).split())
    text = render_to_string("email/notice.txt", context)
    mail = EmailMultiAlternatives(subject, text, to=[letter.address], headers=headers)
    mail.attach_alternative(render_to_string("email/notice.html", context), "text/html")
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused:
        return Outcome(_since(started), None, "The mail server does not take this address.", is_final=True)
    except (OSError, smtplib.SMTPException):
        return Outcome(_since(started), None, "The mail server could not be reached or did not take it.")
    return Outcome(_since(started))


def _mail_domain() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"


def _chat(letter: Letter, started: float) -> Outcome:
    """Slack, Teams and PagerDuty: the address is made of checked parts, the hosts are the makers' own."""
    url = apprise_url(letter.kind, letter.address)
    place = apprise.Apprise.instantiate(f"{url}{'&' if '?' in url else '?'}rto=10&cto=4")
    if place is None:
        return Outcome(_since(started), None, "The address of this channel is not complete.", is_final=True)
    payload = letter.payload
    facts = "\n".join(f"{label}: {value}" for label, value in payload.get("facts", []))
    body = "\n".join(part for part in (str(payload.get("text", "")), facts, str(payload.get("url", ""))) if part)
    kind = _EVENTS.get(str(payload.get("severity", "info")), "info")
    accepted = place.notify(title=str(payload.get("heading", payload.get("subject", ""))), body=body, notify_type=kind)
    return Outcome(_since(started)) if accepted else Outcome(_since(started), None, "The channel did not take it.")


def apprise_url(kind: str, address: str) -> str:
    """Return apprise's form of an address that the form has checked: every part quoted."""
    if kind == "pagerduty":
        return f"pagerduty://{quote(address, safe='')}@consumption-cs/Consumption%20CS/budget"
    parts = urlsplit(address)
    if kind == "slack":
        tokens = [part for part in parts.path.split("/") if part][1:]
        return "slack://" + "/".join(quote(token, safe="") for token in tokens)
    return address  # Teams: apprise reads the makers' own address


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
