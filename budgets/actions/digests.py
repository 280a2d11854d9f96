"""Digests: each morning or on Mondays, once for each person and day, about the accounts that they look after."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Q

from accounts.models import Account, Membership
from budgets.actions.outbox import site_url
from budgets.models import Alert, Delivery, NotificationWishes
from budgets.reports.alerts import OPEN_STATES
from budgets.reports.run_outs import RunOutLine, run_outs
from consumption_cs.lib.display import counted
from consumption_cs.lib.periods import zone_of
from consumption_cs.lib.tenancy import Viewer, act_as

HOUR = 7  # of the person's clock
MOST_LINES = 15
MONDAY = 0
_URGENT = ("exhausted", "late", "soon")
Digest = NotificationWishes.Digest


@dataclass(frozen=True, slots=True)
class Week:
    """What Monday's digest says above its lines: a sentence, figures with their labels, and where to read on."""

    span: str
    text: str
    url: str
    facts: list[list[str]] = field(default_factory=list)


WeekOf = Callable[[Viewer, date, Sequence[Membership]], Mapping[UUID, Week]]


def write_digests(organization_id: UUID, now: datetime, week_of: WeekOf | None = None) -> int:
    """Put the digests that are due into the outbox; return how many. Called again, it writes none twice.

    At 7 in the morning of the person's own clock, and later that day if nothing ran at 7. Nothing to tell: no mail.
    `week_of` says what the week before a Monday did, for each of the vendor's seats that it knows something of.
    """
    with act_as(Viewer(organization_id)) as viewer:
        seats = Membership.objects.visible_to(viewer).filter(user__is_active=True)
        due = [
            one
            for seat in seats.select_related("user", "account", "organization", "wishes")
            if (one := _due(seat, now))
        ]
        told = Delivery.objects.visible_to(viewer).filter(key__in=[_key(*one) for one in due])
        done = set(told.values_list("key", flat=True))
        due = [one for one in due if _key(*one) not in done]
        if not due:
            return 0
        lines = {line.account.pk: line for line in run_outs(viewer, now.date())}
        alerts = _open_alerts(viewer)
        weeks = _weeks(viewer, due, week_of)
        rows = [row for one in due if (row := _row(*one, now, lines.values(), alerts, weeks)) is not None]
        Delivery.objects.bulk_create(rows, ignore_conflicts=True)
        return len(rows)


def _due(seat: Membership, now: datetime) -> tuple[Membership, str, date] | None:
    wishes: NotificationWishes | None = getattr(seat, "wishes", None)
    kind = wishes.digest if wishes else Digest.WEEKLY
    place = seat.account or seat.organization
    local = now.astimezone(zone_of(wishes.timezone if wishes else place.timezone))
    if kind == Digest.NONE or local.hour < HOUR or (kind == Digest.WEEKLY and local.weekday() != MONDAY):
        return None
    return seat, str(kind), local.date()


def _weeks(viewer: Viewer, due: Iterable[tuple[Membership, str, date]], week_of: WeekOf | None) -> dict[UUID, Week]:
    """Of the vendor's people for whom it is Monday: once for each day, as it is not everywhere the same."""
    mondays: dict[date, list[Membership]] = {}
    for seat, _, day in due:
        if seat.account_id is None and day.weekday() == MONDAY:
            mondays.setdefault(day, []).append(seat)
    found: dict[UUID, Week] = {}
    for day, seats in mondays.items():
        found |= week_of(viewer, day, seats) if week_of else {}
    return found


def _key(seat: Membership, kind: str, day: date) -> str:
    return f"digest:{seat.pk}:{day}"


def _open_alerts(viewer: Viewer) -> dict[UUID, tuple[int, int]]:
    """Account → open alerts that somebody was told of, and how many of those are critical."""
    rows = Alert.objects.visible_to(viewer).filter(is_silent=False, bundled_into=None, state__in=OPEN_STATES)
    critical = Count("pk", filter=Q(severity=Alert.Severity.CRITICAL))
    counts = rows.order_by().values("account_id").annotate(n=Count("pk"), critical=critical)
    return {row["account_id"]: (row["n"], row["critical"]) for row in counts}


def _row(
    seat: Membership,
    kind: str,
    day: date,
    now: datetime,
    lines: Iterable[RunOutLine],
    alerts: dict[UUID, tuple[int, int]],
    weeks: Mapping[UUID, Week],
) -> Delivery | None:
    told = []
    for line in lines:
        words = _words(line, alerts.get(line.account.pk, (0, 0))) if _is_theirs(seat, line.account) else ""
        if words:
            told.append([line.account.name, words])
    week = weeks.get(seat.pk)
    if not told and week is None:
        return None
    more = f"And {len(told) - MOST_LINES} more." if len(told) > MOST_LINES else ""
    of_account = seat.account is not None
    text = f"{counted(len(told), 'account')} of your book {'needs' if len(told) == 1 else 'need'} a look."
    message: dict[str, Any] = {
        "subject": f"{seat.account.name if seat.account else 'Your book'} on {day:%A, %B} {day.day}",
        "heading": f"{seat.account.name}: what is open" if seat.account else "What your book needs",
        "text": "Here is where it stands." if of_account else text,
        "facts": [],
        "lines": told[:MOST_LINES] + ([["", more]] if more else []),
        "url": site_url("budgets:account_alerts", seat.account_id) if of_account else site_url("budgets:alerts"),
        "action": "Open the alerts",
    }
    if week is not None:
        message |= {
            "subject": f"Your book, {week.span}", "heading": f"Your book, {week.span}", "text": week.text,
            "facts": week.facts, "url": week.url, "action": "Open your book",
        }  # fmt: skip
    return Delivery(
        organization_id=seat.organization_id, account_id=seat.account_id, membership=seat, email=seat.user.email,
        topic=f"digest.{kind}", key=_key(seat, kind, day), payload=message, next_at=now,
        is_internal=seat.account_id is None,
    )  # fmt: skip


def _is_theirs(seat: Membership, account: Account) -> bool:
    if seat.account_id is not None:
        return seat.account_id == account.pk
    return seat.user_id in (account.csm_id, account.field_cto_id)


def _words(line: RunOutLine, alerts: tuple[int, int]) -> str:
    """Return one line about an account, or nothing if nothing is open."""
    parts = []
    number, critical = alerts
    if number:
        parts.append(counted(number, "open alert") + (f", {critical} critical" if critical else ""))
    if line.state in _URGENT:
        day = line.decide_by
        parts.append(f"Commits: {line.state_name.lower()}" + (f", decide by {day:%B} {day.day}" if day else ""))
    return ". ".join(parts) + "." if parts else ""
