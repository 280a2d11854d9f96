"""Whose side caused what went wrong, where the records say so. Nothing is guessed: what they do not say is unknown.

Three things are told: extra spend that is price is the vendor's; extra work that the signs call growth is the
customer's; and a loop is of the side whose fault most of its failed attempts were, by the words of their events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Account
from budgets.models import Alert
from consumption_cs.lib.display import quantity_text
from reviews.reports.waste_then import VENDOR_FAULT

ZERO = Decimal(0)
VENDOR, CUSTOMER, UNKNOWN = "vendor", "customer", "unknown"
LEAST_FAILED = 10  # failed attempts that a side may be told by

_FAULTS = f"""
SELECT wanted.number, count(*), count(*) FILTER (WHERE {VENDOR_FAULT}),
    count(*) FILTER (WHERE lower(events.properties->>'fault') = 'customer')
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[], %(workflows)s::uuid[])
    WITH ORDINALITY AS wanted(starts_at, ends_at, workflow_id, number)
JOIN usage_event AS events ON events.organization_id = %(organization)s AND events.account_id = %(account)s
    AND events.occurred_at >= wanted.starts_at AND events.occurred_at < wanted.ends_at
    AND (wanted.workflow_id IS NULL OR events.workflow_id = wanted.workflow_id)
WHERE events.counted AND events.succeeded IS FALSE AND events.quantity >= 0
GROUP BY 1
"""  # noqa: S608  a constant of another module


@dataclass(frozen=True, slots=True)
class Side:
    """VENDOR, CUSTOMER or UNKNOWN, and what says so."""

    side: str
    why: str


@dataclass(frozen=True, slots=True)
class Faults:
    """Failed attempts of a stretch of time, and how many of them say that they were the vendor's or the customer's."""

    failed: int = 0
    vendor: int = 0
    customer: int = 0


def sides_of(account: Account, alerts: Sequence[Alert]) -> dict[UUID, Side]:
    """Return the side of each alert of an anomaly. One query, and none without a loop among them."""
    loops = [alert for alert in alerts if alert.anomaly and _verdict(alert.cause or {}).get("kind") == "loop"]
    faults = _faults(account, loops) if loops else {}
    return {alert.pk: side_of(alert.cause or {}, faults.get(alert.pk, Faults())) for alert in alerts}


def side_of(card: Mapping[str, Any], faults: Faults) -> Side:
    """Return the side that a cause card, and the faults that its events name, speak for."""
    verdict, difference = _verdict(card), Decimal(card.get("difference") or 0)
    parts = {part["name"]: Decimal(part["amount"]) for part in card.get("parts", ())}
    if difference > 0 and 2 * parts.get("price", ZERO) > difference:
        return Side(VENDOR, "most of the extra is price")
    work = parts.get("volume", ZERO) + parts.get("started", ZERO)
    if verdict.get("kind") == "growth" and difference > 0 and 2 * work > difference:
        return Side(CUSTOMER, f"more work, {verdict['agreeing']} of {len(verdict['signs'])} signs speak for growth")
    if verdict.get("kind") != "loop" or faults.failed < LEAST_FAILED:
        return Side(UNKNOWN, "")
    for side, own in ((VENDOR, faults.vendor), (CUSTOMER, faults.customer)):
        if 2 * own > faults.failed:
            counts = f"{quantity_text(own)} of {quantity_text(faults.failed)}"
            return Side(side, f"{counts} failed attempts say so")
    return Side(UNKNOWN, "")


def _verdict(card: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = card.get("verdict") or {}
    return found


def _faults(account: Account, alerts: Sequence[Alert]) -> dict[UUID, Faults]:
    anomalies = [alert.anomaly for alert in alerts if alert.anomaly]
    with connection.cursor() as cursor:
        cursor.execute(
            _FAULTS,
            {
                "organization": account.organization_id, "account": account.pk,
                "starts": [one.started_at for one in anomalies], "ends": [one.seen_until for one in anomalies],
                "workflows": [one.workflow_id for one in anomalies],
            },
        )  # fmt: skip
        return {alerts[number - 1].pk: Faults(*counts) for number, *counts in cursor.fetchall()}
