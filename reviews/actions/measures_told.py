"""Changes of health bands and early warnings are told to the vendor's destinations, as the daily look finds them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from accounts.models import Account
from budgets.actions.outbox import site_url
from reviews.actions.telling import Happened, tell_events
from reviews.models import Signal
from reviews.reports.health import Band, shown_health

_BANDS = {"good": "healthy", "fair": "on watch", "poor": "at risk", "none": "not scored"}


def tell_bands(organization_id: UUID, now: datetime, before: Mapping[UUID, Band], after: Mapping[UUID, Band]) -> None:
    """Tell of each account whose band is another than at the look before; the first score ever is not a change.

    A person's word over the score counts while it holds, and is told by the first look after it was given.
    """
    changed = [pk for pk, was in before.items() if pk in after and after[pk].band != was.band]
    if not changed:
        return
    shown = shown_health(organization_id, changed, now)
    accounts = Account.objects.filter(organization_id=organization_id).in_bulk(changed)
    happened = []
    for pk, account in accounts.items():
        was, found = before[pk], shown[pk]
        data: dict[str, Any] = {
            "band": after[pk].band,
            "previous_band": was.band,
            "score": _text(found.score),
            "previous_score": _text(was.score),
            "day": found.day.isoformat() if found.day else None,
            "is_overridden": found.override is not None,
            "forced_reds": found.forced_words,
            "moved_most": found.most_words or None,
            "reason": found.reason if found.score is None else "",
            "url": site_url("reviews:account_health", pk),
        }
        heading = f"health is {_BANDS[after[pk].band]}, was {_BANDS[was.band]}"
        happened.append(
            Happened("health.changed", account, f"{pk}:{now.isoformat()}", data, heading, _why(data), data["url"])
        )
    tell_events(organization_id, now, happened)


def tell_signals(organization_id: UUID, now: datetime, opened: Sequence[Signal], closed: Sequence[Signal]) -> None:
    """Tell of the signals that have just opened and closed."""
    if not opened and not closed:
        return
    wanted = {signal.account_id for signal in (*opened, *closed)}
    accounts = Account.objects.filter(organization_id=organization_id).in_bulk(wanted)
    tell_events(
        organization_id,
        now,
        [*_signals("signal.opened", opened, accounts), *_signals("signal.closed", closed, accounts)],
    )


def _signals(topic: str, signals: Iterable[Signal], accounts: Mapping[UUID, Account]) -> Iterable[Happened]:
    for signal in signals:
        url = site_url("reviews:account_health", signal.account_id)
        data = {
            "signal_id": str(signal.pk),
            "kind": signal.kind,
            "severity": signal.severity,
            "headline": signal.headline,
            "evidence": signal.evidence,
            "opened_on": signal.opened_on.isoformat(),
            "closed_at": signal.closed_at.isoformat() if signal.closed_at else None,
            "url": url,
        }
        heading = signal.headline if signal.closed_at is None else f"over: {signal.headline}"
        text = f"Since {signal.opened_on:%b} {signal.opened_on.day}." if signal.closed_at else ""
        yield Happened(topic, accounts[signal.account_id], str(signal.pk), data, heading, text, url)


def _why(data: Mapping[str, Any]) -> str:
    said = [f"{words}." for words in data["forced_reds"]]
    if data["moved_most"]:
        said.append(f"Moved most in a week: {data['moved_most']}.")
    return " ".join([*said, data["reason"]]).strip()


def _text(score: Decimal | None) -> str | None:
    return None if score is None else str(score)
