"""The outbox: what is to be told is written in the transaction of what happened, and sent by workers.

A worker is woken once that transaction is over. That is a hint only: workers and the sweeper look by themselves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urljoin
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.urls import NoReverseMatch, reverse

from accounts.models import Account, Membership
from budgets.models import Alert, Delivery, Destination, LimitEvent
from budgets.reports.alert_words import alert_facts
from budgets.reports.receivers import Receivers, held_until, receivers, wants
from consumption_cs.lib.display import moment_text, money_text
from consumption_cs.lib.periods import zone_of
from usage.wakeup import wake_delivery

_LEADS = {"alert.recovered": "Recovered: ", "alert.reopened": "Again: ", "alert.escalated": "Nobody answered: "}
_LIMIT_WORDS = {
    LimitEvent.Kind.WARNED: "is close to its limit",
    LimitEvent.Kind.REACHED: "has reached its limit; the grace time runs",
    LimitEvent.Kind.ACTING: "is over its limit, which is in force now",
    LimitEvent.Kind.WOULD_ACT: "would be stopped by its limit, if that were not a dry run",
    LimitEvent.Kind.LIFTED: "goes on: its limit was lifted",
    LimitEvent.Kind.CLEARED: "is below its limit again",
    LimitEvent.Kind.TESTED: "had a rehearsal of its limit: nothing was stopped",
}
_LIMIT_SEVERITY = {
    LimitEvent.Kind.WARNED: Alert.Severity.WARNING,
    LimitEvent.Kind.REACHED: Alert.Severity.CRITICAL,
    LimitEvent.Kind.ACTING: Alert.Severity.CRITICAL,
}


@dataclass(frozen=True, slots=True)
class _News:
    """One thing to be told: in words for people, as data for programs."""

    account: Account
    budget_id: UUID | None
    topic: str
    key: str  # unique, with the receiver behind it
    severity: str
    message: dict[str, Any]
    data: dict[str, Any]
    alert: Alert | None = None

    @property
    def is_critical(self) -> bool:
        return self.severity == Alert.Severity.CRITICAL


def tell(organization_id: UUID, now: datetime, topic: str, alerts: Sequence[Alert]) -> None:
    """Write a delivery for each receiver of each alert. `topic`: alert.raised, .reopened, .recovered or .escalated.

    In the caller's transaction (`act_as`). A raised alert is told to each receiver once, however often this is called;
    the others once for each `now`.
    """
    if not alerts:
        return
    hears = receivers(organization_id, {alert.account_id for alert in alerts})
    _write(now, hears, [_alert_news(topic, alert, hears.accounts[alert.account_id], now) for alert in alerts])


def tell_limit(organization_id: UUID, now: datetime, limit_events: Sequence[LimitEvent]) -> None:
    """Write a delivery for each receiver of each step of a limit, once; topics are limit.<kind>."""
    if not limit_events:
        return
    hears = receivers(organization_id, {event.account_id for event in limit_events})
    _write(now, hears, [_limit_news(event, hears.accounts[event.account_id]) for event in limit_events])


def _write(now: datetime, hears: Receivers, news: Sequence[_News]) -> None:
    rows = [row for one in news for row in (*_to_people(now, hears, one), *_to_places(now, hears, one))]
    if rows:
        Delivery.objects.bulk_create(rows, ignore_conflicts=True)
        transaction.on_commit(wake_delivery, robust=True)


def _to_people(now: datetime, hears: Receivers, news: _News) -> Iterator[Delivery]:
    for seat in hears.people(news.account.pk, news.budget_id, news.topic == "alert.escalated"):
        wishes = hears.wishes.get(seat.pk)
        if not wants(wishes, news.severity):
            continue
        until = held_until(wishes, now, news.is_critical)
        note = (
            f"Held until {until.astimezone(zone_of(wishes.timezone)):%H:%M}: quiet hours." if until and wishes else ""
        )
        yield _delivery(news, news.message, f"m:{seat.user_id}", until or now, note, seat=seat)


def _to_places(now: datetime, hears: Receivers, news: _News) -> Iterator[Delivery]:
    for place in hears.places(news.account.pk, news.budget_id, news.topic, news.topic == "alert.escalated"):
        body = {"type": news.topic, "timestamp": now.isoformat(), "data": news.data}
        payload = body if place.kind == Destination.Kind.WEBHOOK else news.message
        yield _delivery(news, payload, f"d:{place.pk}", now, place=place)


def _delivery(
    news: _News,
    payload: dict[str, Any],
    receiver: str,
    next_at: datetime,
    note: str = "",
    *,
    seat: Membership | None = None,
    place: Destination | None = None,
) -> Delivery:
    internal = seat.account_id is None if seat else not (place and place.by_customer)
    return Delivery(
        organization_id=news.account.organization_id,
        account_id=news.account.pk,
        alert=news.alert,
        destination=place,
        membership=seat,
        email=seat.user.email if seat else "",
        topic=news.topic,
        key=f"{news.key}:{receiver}",
        payload=payload,
        is_critical=news.is_critical,
        is_internal=internal,
        note=note,
        next_at=next_at,
    )


def _alert_news(topic: str, alert: Alert, account: Account, now: datetime) -> _News:
    url = site_url("budgets:alert", account.pk, alert.pk)
    again = "" if topic == "alert.raised" else f":{now.timestamp():.6f}"
    budget = {"id": str(alert.budget_id), "name": alert.budget.name} if alert.budget else None
    message: dict[str, Any] = {
        "subject": f"{account.name}: {_LEADS.get(topic, '')}{alert.headline}",
        "heading": f"{_LEADS.get(topic, '')}{alert.headline}",
        "text": _belonging(alert, account, now),
        "facts": [[fact.label, fact.value] for fact in alert_facts(alert, account)],
        "severity": alert.severity,
        "url": url,
        "action": "Open the alert",
    }
    data = {
        "alert_id": str(alert.pk),
        "number": alert.number,
        "kind": alert.kind,
        "severity": alert.severity,
        "headline": alert.headline,
        "account": _account_data(account),
        "budget": budget,
        "threshold": None if alert.threshold is None else str(alert.threshold),
        "period_start": _moment(alert.period_start),
        "period_end": _moment(alert.period_end),
        "raised_at": _moment(alert.raised_at),
        "numbers": alert.numbers,
        "url": url,
    }
    return _News(account, alert.budget_id, topic, f"{topic}:{alert.pk}{again}", alert.severity, message, data, alert)


def _belonging(alert: Alert, account: Account, now: datetime) -> str:
    of_budget = f" · Budget “{alert.budget.name}”" if alert.budget else ""
    return f"{account.name}{of_budget} · {moment_text(alert.raised_at, zone_of(account.timezone), now=now)}"


def _limit_news(event: LimitEvent, account: Account) -> _News:
    kind = LimitEvent.Kind(event.kind)
    words = f"“{event.budget.name}” {_LIMIT_WORDS[kind]}"
    url = site_url("budgets:budget", account.pk, event.budget_id) or site_url("budgets:account_alerts", account.pk)
    used, amount = (money_text(value, account.currency) for value in (event.used, event.amount))
    message: dict[str, Any] = {
        "subject": f"{account.name}: {words}",
        "heading": words,
        "text": f"{account.name} used {used} of {amount}.",
        "facts": [["Used", used], ["Budget", amount]],
        "severity": _LIMIT_SEVERITY.get(kind, Alert.Severity.INFO),
        "url": url,
        "action": "Open the budget",
    }
    data = {
        "limit_event_id": str(event.pk),
        "kind": event.kind,
        "account": _account_data(account),
        "budget": {"id": str(event.budget_id), "name": event.budget.name},
        "used": str(event.used),
        "amount": str(event.amount),
        "currency": account.currency,
        "period_start": _moment(event.period_start),
        "at": _moment(event.at),
        "url": url,
    }
    topic = f"limit.{event.kind}"
    return _News(account, event.budget_id, topic, f"{topic}:{event.pk}", message["severity"], message, data)


def _account_data(account: Account) -> dict[str, str]:
    return {"id": str(account.pk), "key": account.key, "name": account.name}


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def site_url(name: str, *arguments: object) -> str:
    """Return the full address of a page; nothing if this installation has no such page."""
    try:
        return urljoin(settings.SITE_URL, reverse(name, args=arguments))
    except NoReverseMatch:
        return ""
