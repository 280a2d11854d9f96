"""The audit log as people read it: who did what, when, and what it was before and after."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Q

from accounts.models import Account, AuditEvent, Role
from consumption_cs.lib.periods import day_start
from consumption_cs.lib.tenancy import TenantQuerySet, Viewer

MOST_CHOICES = 300
_LONGEST = 200
# Nouns that are not their own label. The rest is read from the action itself: "meter.changed" is "Meter changed".
_NOUNS = {"key": "API key", "csm": "CSM", "mfa": "Two-step sign-in"}
_ROLES: dict[str, str] = {role.value: role.label for role in Role}
_LABELS = {"csm": "CSM", "field_cto": "Field CTO", "ip": "IP address", "timezone": "Time zone"}
_LABELS |= {"brand_color": "Brand colour", "currency": "Currency", "email": "E-mail", "key": "Key"}


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What the reader asked for. Days are on `zone`'s calendar, `until` included; empty means any."""

    zone: ZoneInfo
    person: str = ""
    action: str = ""
    since: date | None = None
    until: date | None = None

    @property
    def narrows(self) -> bool:
        return bool(self.person or self.action or self.since or self.until)


@dataclass(frozen=True, slots=True)
class Change:
    """One detail of an act. `before` is None when there was nothing to compare with."""

    label: str
    before: str | None
    after: str

    def __str__(self) -> str:
        return f"{self.label}: {self.after}" if self.before is None else f"{self.label}: {self.before} → {self.after}"


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One row of the log, in words."""

    event: AuditEvent
    action: str
    changes: list[Change]


def audit_events(viewer: Viewer, account: Account | None, query: AuditQuery) -> TenantQuerySet:
    """Return the rows that fit, newest first.

    With an account: what was done to it and to what is its own. Acts on the account's own record are the vendor's
    notes (segment, CSM), so a customer does not see those; nor, ever, rows of the organization as a whole.
    """
    rows = _in_reach(viewer, account).select_related("account")
    if query.person:
        rows = rows.filter(_by_person(query.person))
    if query.action:
        rows = rows.filter(action=query.action)
    if query.since:
        rows = rows.filter(created_at__gte=day_start(query.since, query.zone))
    if query.until:
        rows = rows.filter(created_at__lt=day_start(query.until + timedelta(days=1), query.zone))
    return rows.order_by("-created_at", "-pk")


def audit_lines(events: Iterable[AuditEvent]) -> list[AuditLine]:
    """Return the rows in words."""
    return [AuditLine(event, action_words(event.action), changes_of(event.details)) for event in events]


def people_in(viewer: Viewer, account: Account | None) -> list[tuple[str, str]]:
    """Return who acted, as choices: a person by id, what is no person (a job, the console) by its name."""
    found = _in_reach(viewer, account).order_by("actor_name").values_list("actor_id", "actor_name").distinct()
    names = {str(actor or f"name:{name}"): name for actor, name in found[:MOST_CHOICES]}
    return sorted(names.items(), key=lambda one: one[1].casefold())


def actions_in(viewer: Viewer, account: Account | None) -> list[tuple[str, str]]:
    """Return which acts there are, as choices."""
    found = _in_reach(viewer, account).order_by("action").values_list("action", flat=True).distinct()
    return sorted(((name, action_words(name)) for name in found[:MOST_CHOICES]), key=lambda one: one[1])


def action_words(action: str) -> str:
    """Return "API key rotated" for "key.rotated"."""
    noun, _, verb = action.partition(".")
    noun = _NOUNS.get(noun, noun.replace("_", " ").capitalize())
    return f"{noun} {verb.replace('_', ' ').replace('.', ' ')}".strip()


def changes_of(details: Any) -> list[Change]:
    """Return the details of an act in words. Whatever an action wrote is shown, in the worst case as it is."""
    if not isinstance(details, dict):
        return [Change("Details", None, value_words(details))] if details else []
    return [_change(name, value) for name, value in details.items()]


def value_words(value: Any) -> str:
    """Return a stored value as people write it, at most 200 characters of it."""
    if value is None or value == "" or value == [] or value == {}:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        text = ", ".join(value_words(one) for one in value)
    else:
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _change(name: str, value: Any) -> Change:
    label = _LABELS.get(name, name.replace("_", " ").capitalize())
    if isinstance(value, dict) and set(value) == {"from", "to"}:
        return Change(label, _told(name, value["from"]), _told(name, value["to"]))
    return Change(label, None, _told(name, value))


def _told(name: str, value: Any) -> str:
    return _ROLES[value] if name == "role" and isinstance(value, str) and value in _ROLES else value_words(value)


def _in_reach(viewer: Viewer, account: Account | None) -> TenantQuerySet:
    rows = AuditEvent.objects.visible_to(viewer)
    if account is None:
        return rows
    own = Q(account=account)
    return rows.filter(own if viewer.is_portal else own | Q(target_type="account", target_id=str(account.pk)))


def _by_person(person: str) -> Q:
    if person.startswith("name:"):
        return Q(actor=None, actor_name=person.removeprefix("name:"))
    try:
        return Q(actor=UUID(person))
    except ValueError:
        return Q(pk=None)
