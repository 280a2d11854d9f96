"""What was wasted in 28 closed days, by account and workflow, from the events and the money of their days. Metric 18.

What events tell: `succeeded` (failed), `attempt` (a retry), and in their data an input's hash (the same work again)
and whose fault a failure was. A day's money is shared by quantity, or by events where the quantity is no sum; where
the events are no longer kept, failures are shared by their number. Use outside of production is not billed, so none
of it is wasted.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from consumption_cs.lib.money import exactly
from reviews.calc.waste import Use, Waste, waste
from usage.models import Meter

ZERO = Decimal(0)
DAYS = 28
INPUT_HASHES = ("input_hash", "content_hash", "fingerprint")  # in an event's data: equal ones are the same work

# A status of 500 and more, or a word for whose fault it was, tells that the vendor failed: a candidate for a credit.
VENDOR_FAULT = """(lower(coalesce(events.properties->>'fault', '')) IN ('vendor', 'provider')
    OR (coalesce(events.properties->>'fault', '') = '' AND
        coalesce(events.properties->>'status_code', events.properties->>'status', '') ~ '^5[0-9][0-9]$'))"""
FAULT_TOLD = "events.properties ?| array['fault', 'status_code', 'status']"

# `since` and `until` hold for all accounts at once, so that the planner leaves out months that no account asks for.
# Days and what was wasted on them are brought together by grouping, not by a join: a join of two sums has no
# statistics, and the planner may compare each row with each.
_ROWS = f"""
WITH wanted AS (
    SELECT asked.account_id, asked.today, account.timezone AS zone
    FROM unnest(%(accounts)s::uuid[], %(today)s::date[]) AS asked(account_id, today)
    JOIN accounts_account AS account ON account.id = asked.account_id
), marked AS (
    SELECT events.account_id, events.workflow_id, events.meter_id, events.quantity, local.day,
        local.day >= wanted.today - %(days)s AS is_now,
        CASE WHEN events.quantity < 0 THEN -1 ELSE 1 END AS one,
        events.succeeded IS FALSE AS failed, coalesce(events.attempt > 1, false) AS retried,
        events.succeeded IS FALSE AND {VENDOR_FAULT} AS vendor, hashed.input IS NOT NULL AS hashed,
        events.succeeded IS FALSE AND {FAULT_TOLD} AS told,
        CASE WHEN hashed.input IS NOT NULL AND events.quantity >= 0 AND events.succeeded IS NOT FALSE
            THEN row_number() OVER (
                PARTITION BY events.account_id, events.workflow_id, events.meter_id, hashed.input,
                    events.quantity >= 0 AND events.succeeded IS NOT FALSE, local.day >= wanted.today - %(days)s
                ORDER BY events.occurred_at, events.key) > 1
            ELSE false END AS repeated
    FROM wanted
    JOIN usage_event AS events ON events.organization_id = %(organization)s AND events.account_id = wanted.account_id
        AND events.occurred_at >= (wanted.today - %(reach)s)::timestamp AT TIME ZONE wanted.zone
        AND events.occurred_at < wanted.today::timestamp AT TIME ZONE wanted.zone
        AND events.occurred_at >= %(since)s::date - 1 AND events.occurred_at < %(until)s::date + 1
    CROSS JOIN LATERAL (SELECT coalesce({", ".join(f"events.properties->>'{name}'" for name in INPUT_HASHES)})
        AS input) AS hashed
    CROSS JOIN LATERAL (SELECT (events.occurred_at AT TIME ZONE wanted.zone)::date AS day) AS local
    WHERE events.counted AND (events.succeeded IS FALSE OR events.attempt > 1 OR hashed.input IS NOT NULL)
), parts AS (
    SELECT account_id, workflow_id, meter_id, day, is_now, true AS is_seen,
        0::numeric AS quantity, 0::bigint AS events, 0::bigint AS finished, 0::bigint AS successes,
        0::numeric AS spend, 0::bigint AS unpriced,
        sum(quantity) FILTER (WHERE failed AND NOT vendor) AS failed, sum(quantity) FILTER (WHERE vendor) AS vendor,
        sum(quantity) FILTER (WHERE retried AND NOT failed) AS retried,
        sum(quantity) FILTER (WHERE repeated AND NOT retried AND NOT failed) AS repeated,
        sum(one) FILTER (WHERE failed AND NOT vendor) AS failed_n, sum(one) FILTER (WHERE vendor) AS vendor_n,
        sum(one) FILTER (WHERE retried AND NOT failed) AS retried_n,
        sum(one) FILTER (WHERE repeated AND NOT retried AND NOT failed) AS repeated_n,
        count(*) FILTER (WHERE hashed) AS hashed, count(*) FILTER (WHERE told) AS told
    FROM marked GROUP BY 1, 2, 3, 4, 5
    UNION ALL
    SELECT used.account_id, used.workflow_id, used.meter_id, used.day, used.day >= wanted.today - %(days)s, false,
        used.quantity, used.events, used.finished, used.successes, coalesce(used.spend, 0),
        CASE WHEN used.spend IS NULL THEN used.events ELSE 0 END,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0
    FROM wanted JOIN usage_day AS used ON used.organization_id = %(organization)s
        AND used.account_id = wanted.account_id
        AND used.day >= %(since)s AND used.day < %(until)s
        AND used.day >= wanted.today - %(reach)s AND used.day < wanted.today
), lines AS (
    SELECT account_id, workflow_id, meter_id, is_now, bool_or(is_seen) AS is_seen,
        sum(quantity) AS quantity, sum(events) AS events, sum(finished) AS finished, sum(successes) AS successes,
        sum(spend) AS spend, sum(unpriced) AS unpriced,
        sum(failed) AS failed, sum(vendor) AS vendor, sum(retried) AS retried, sum(repeated) AS repeated,
        sum(failed_n) AS failed_n, sum(vendor_n) AS vendor_n, sum(retried_n) AS retried_n,
        sum(repeated_n) AS repeated_n, sum(hashed) AS hashed, sum(told) AS told
    FROM parts GROUP BY account_id, workflow_id, meter_id, is_now, day
), shared AS (
    SELECT lines.*, by_sum.yes AS by_sum,
        CASE WHEN by_sum.yes THEN lines.spend / nullif(lines.quantity, 0)
            ELSE lines.spend / nullif(lines.events, 0) END AS each
    FROM lines CROSS JOIN LATERAL (SELECT lines.quantity <> 0
        AND lines.meter_id = ANY(%(adding)s::uuid[]) AS yes) AS by_sum
)
SELECT account_id, workflow_id, is_now, sum(events)::bigint, sum(finished)::bigint, sum(successes)::bigint,
    sum(spend), coalesce(sum(unpriced), 0)::bigint,
    coalesce(sum(CASE WHEN NOT is_seen THEN greatest(finished - successes, 0) * spend / nullif(events, 0)
        ELSE coalesce(CASE WHEN by_sum THEN failed ELSE failed_n END, 0) * each END), 0),
    coalesce(sum(coalesce(CASE WHEN by_sum THEN vendor ELSE vendor_n END, 0) * each), 0),
    coalesce(sum(coalesce(CASE WHEN by_sum THEN retried ELSE retried_n END, 0) * each), 0),
    coalesce(sum(coalesce(CASE WHEN by_sum THEN repeated ELSE repeated_n END, 0) * each), 0),
    coalesce(sum(retried_n), 0)::bigint, coalesce(sum(repeated_n), 0)::bigint,
    coalesce(sum(hashed), 0)::bigint, coalesce(sum(told), 0)::bigint
FROM shared GROUP BY 1, 2, 3
"""  # noqa: S608  constants of this module

# A minimum that was not used up: what the last day of a period is charged beyond what its use comes to.
_MINIMUMS = """
SELECT rated.account_id, rated.day >= wanted.today - %(days)s, sum(least(rated.amount,
        rated.total_amount - rated.total_due)),
    sum(least(rated.amount, rated.total_amount - rated.total_due)) FILTER (WHERE rated.events > 0)
FROM unnest(%(accounts)s::uuid[], %(today)s::date[]) AS wanted(account_id, today)
JOIN usage_rated_day AS rated ON rated.organization_id = %(organization)s AND rated.account_id = wanted.account_id
    AND rated.day >= %(since)s AND rated.day < %(until)s
    AND rated.day >= wanted.today - %(reach)s AND rated.day < wanted.today
WHERE rated.amount > 0 AND rated.total_amount - rated.total_due > 1
GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Used:
    """What one workflow of an account did in 28 days, and the money of it that bought nothing; currency of the
    account. `failed` is without the failures that the vendor caused, which are in `vendor`."""

    account_id: UUID
    workflow_id: UUID | None
    events: int
    finished: int
    successes: int
    spend: Decimal
    unpriced: int
    failed: Decimal
    vendor: Decimal
    retries: Decimal
    duplicates: Decimal
    retried: int
    repeated: int
    hashed: int  # events that carry their input's hash: without any, duplicates cannot be told
    told: int  # failures that say whose fault they were

    @exactly
    def uses(self) -> list[Use]:
        """The same as uses of the waste calculation. No reason is more than what was spent."""
        left, found = max(self.spend, ZERO), []
        for amount, marks in (
            (self.vendor, {"is_failed": True, "is_vendor_fault": True}),
            (self.failed, {"is_failed": True}),
            (self.retries, {"is_retry": True}),
            (self.duplicates, {"is_duplicate": True}),
        ):
            part = min(max(amount, ZERO), left)
            left -= part
            found.append(Use(part, **marks))
        return [*found, Use(left)]


@dataclass(frozen=True, slots=True)
class Minimum:
    """What minimum spends asked for beyond use. `within_use` of it stands in the money of days with use."""

    amount: Decimal = ZERO
    within_use: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Window:
    """The workflows and minimums of accounts in 28 days."""

    used: dict[UUID, list[Used]]
    minimums: dict[UUID, Minimum]

    def waste_of(self, account_id: UUID) -> Waste:
        """Return the account's waste, each amount once."""
        uses = [use for row in self.used.get(account_id, ()) for use in row.uses()]
        minimum = self.minimums.get(account_id, Minimum())
        uses.append(Use(-minimum.within_use))
        return waste(uses, idle_minimum=minimum.amount)


def waste_then(organization_id: UUID, today_by_account: Mapping[UUID, date]) -> dict[UUID, Waste]:
    """Return what each account wasted in the 28 closed local days before its `today`; three queries for any number.

    Amounts are in the account's currency, exact and not rounded. An account without use has a total of 0 and no
    percent.
    """
    window = windows(organization_id, today_by_account, before=False)[0]
    return {account: window.waste_of(account) for account in today_by_account}


def windows(
    organization_id: UUID, today: Mapping[UUID, date], *, before: bool = True, days: int = DAYS
) -> tuple[Window, Window]:
    """Return the last 28 (or `days`) closed days of the accounts, and as many before them (empty unless asked for)."""
    reach = 2 * days if before else days
    asked: dict[str, Any] = {
        "organization": organization_id,
        "accounts": [str(account) for account in today],
        "today": list(today.values()),
        "days": days,
        "adding": [str(pk) for pk in _adding_meters(organization_id)],
        "reach": reach,
        "since": min(today.values(), default=date.max) - timedelta(days=reach),
        "until": max(today.values(), default=date.max),
    }
    used: dict[bool, dict[UUID, list[Used]]] = {True: defaultdict(list), False: defaultdict(list)}
    for account, workflow, is_now, *figures in _fetch(_ROWS, asked):
        used[is_now][account].append(Used(account, workflow, *figures))
    minimums: dict[bool, dict[UUID, Minimum]] = {True: {}, False: {}}
    for account, is_now, amount, within in _fetch(_MINIMUMS, asked):
        minimums[is_now][account] = Minimum(amount, within or ZERO)
    return Window(dict(used[True]), minimums[True]), Window(dict(used[False]), minimums[False])


def _adding_meters(organization_id: UUID) -> list[UUID]:
    """Meters whose quantities add up, so that an event's share of a day is its share of the quantity."""
    adding = (Meter.Aggregation.SUM, Meter.Aggregation.COUNT)
    return list(
        Meter.objects.filter(organization_id=organization_id, aggregation__in=adding).values_list("pk", flat=True)
    )


def _fetch(query: str, asked: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, asked)
        return cursor.fetchall()
