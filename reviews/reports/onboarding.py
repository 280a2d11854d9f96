"""How accounts get from a key to their first billable event: where each stands, and what those wait for that do not.

Keys that send events are the organization's; an account's own key only reads. So the first step of an account is the
organization's first sending key, or the account's own where that came earlier. Rejected requests name no account,
so they are told only as what happened with the key.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, Min
from django.utils import timezone

from accounts.models import Account, ApiKey, Scope
from budgets.models import Contract
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.onboarding import FirstValue, first_value
from reviews.models import BookTerms
from reviews.reports.onboarding_words import Cause, words_of
from usage.calc.event_reasons import rejection_reason
from usage.models import RejectedEvent

STEPS = ("Key created", "First call", "First success", "Billable")
DEFAULT_TARGET = 14
SENDING = frozenset({Scope.EVENTS_WRITE.value, Scope.EVENTS_BACKFILL.value})

# A day that says nothing of success counts as one, as in the metric: not every meter knows how its work ended.
_FIRSTS = """
SELECT account_id, min(day), min(day) FILTER (WHERE successes > 0 OR finished = 0),
    min(day) FILTER (WHERE spend > 0 AND (successes > 0 OR finished = 0)), sum(events), sum(finished), sum(successes),
    sum(unpriced_events)
FROM account_day WHERE organization_id = %(organization)s AND account_id = ANY(%(accounts)s::uuid[]) AND events > 0
GROUP BY 1
"""

# What came at all of accounts that wait, outside of production too, and the key that the last of it came with.
_CALLS = """
SELECT wanted.account_id, calls.first, calls.events, calls.outside, calls.uncounted, calls.outside_names, last.key_id,
    last.at
FROM unnest(%(accounts)s::uuid[]) AS wanted(account_id)
CROSS JOIN LATERAL (
    SELECT min(occurred_at) AS first, count(*) AS events,
        count(*) FILTER (WHERE environment <> 'production') AS outside,
        count(*) FILTER (WHERE environment = 'production' AND NOT counted) AS uncounted,
        array_agg(DISTINCT environment) FILTER (WHERE environment <> 'production') AS outside_names
    FROM usage_event WHERE organization_id = %(organization)s AND account_id = wanted.account_id
) AS calls
CROSS JOIN LATERAL (
    SELECT batch.api_key_id AS key_id, newest.received_at AS at FROM (
        SELECT batch_id, received_at FROM usage_event
        WHERE organization_id = %(organization)s AND account_id = wanted.account_id
        ORDER BY occurred_at DESC LIMIT 1
    ) AS newest LEFT JOIN usage_ingestbatch AS batch
        ON batch.id = newest.batch_id AND batch.organization_id = %(organization)s
) AS last
WHERE calls.events > 0
"""

# Events set aside that name the account, or a subject that begins or ends like its key.
_ASIDE = """
SELECT wanted.account_id, aside.payload->>'subject', aside.reason, aside.payload->>'type', count(*),
    min(aside.occurred_at)
FROM unnest(%(accounts)s::uuid[], %(keys)s::text[]) AS wanted(account_id, key)
JOIN usage_quarantinedevent AS aside ON aside.organization_id = %(organization)s AND aside.replayed_at IS NULL
    AND (aside.payload->>'subject' = wanted.key OR (aside.reason = 'unknown_subject' AND length(wanted.key) >= 4 AND (
        starts_with(lower(aside.payload->>'subject'), lower(wanted.key) || '-')
        OR starts_with(lower(wanted.key), lower(aside.payload->>'subject') || '-')
        OR lower(aside.payload->>'subject') = lower(wanted.key))))
GROUP BY 1, 2, 3, 4
"""

_ERRORS = """
SELECT account_id, coalesce(nullif(properties->>'error_code', ''),
    CASE jsonb_typeof(properties->'error') WHEN 'string' THEN left(properties->>'error', 60)
        WHEN 'object' THEN left(coalesce(properties->'error'->>'code', properties->'error'->>'message'), 60) END,
    properties->>'status', ''), count(*)
FROM usage_event WHERE organization_id = %(organization)s AND account_id = ANY(%(accounts)s::uuid[])
    AND succeeded IS FALSE AND counted
GROUP BY 1, 2
"""


@dataclass(slots=True)
class Start:
    """One account on its way to a first billable event. Days are local to it; None: not yet, or not known.

    `first` None: the contract's start is not known, so nothing can be counted from it. `why` says what it waits for.
    """

    account: Account
    today: date
    contract_on: date | None
    key_on: date | None
    called_on: date | None
    success_on: date | None
    billable_on: date | None
    first: FirstValue | None
    target: int
    cause: Cause = field(default_factory=Cause)

    @property
    def why(self) -> str:
        return "" if self.billable_on else words_of(self.cause)

    @property
    def step(self) -> int:
        """How many of STEPS are reached, the last one counting for those before it."""
        days = (self.key_on, self.called_on, self.success_on, self.billable_on)
        return max((number for number, day in enumerate(days, 1) if day is not None), default=0)

    @property
    def days_by_step(self) -> list[tuple[str, date | None, bool]]:
        """Each step with its day and whether it is reached; a reached one may have no day that is known."""
        days = (self.key_on, self.called_on, self.success_on, self.billable_on)
        return [
            (name, day, number <= self.step) for number, (name, day) in enumerate(zip(STEPS, days, strict=True), 1)
        ]

    @property
    def shown_steps(self) -> list[tuple[str, date | None, bool]]:
        """All steps of one that waits; of the others the last alone."""
        return self.days_by_step if self.is_waiting else self.days_by_step[-1:]

    @property
    def waiting(self) -> int | None:
        return self.first.waiting if self.first else None

    @property
    def is_waiting(self) -> bool:
        return self.billable_on is None

    @property
    def is_stalled(self) -> bool:
        """It waits for as many days as there are to begin, or more."""
        return self.is_waiting and self.waiting is not None and self.waiting >= self.target

    @property
    def is_late_soon(self) -> bool:
        return self.is_waiting and not self.is_stalled and self.waiting is not None and 2 * self.waiting >= self.target

    @property
    def has_not_begun(self) -> bool:
        """Its contract begins later."""
        return self.is_waiting and self.contract_on is not None and self.contract_on > self.today

    @property
    def state(self) -> str:
        if not self.is_waiting:
            return "done"
        if self.has_not_begun:
            return "later"
        if self.contract_on is None:
            return "unknown"
        return "stalled" if self.is_stalled else "soon" if self.is_late_soon else "waiting"

    @property
    def owners(self) -> list[str]:
        return [one.name or one.email for one in (self.account.csm, self.account.field_cto) if one]


STATES = {
    "stalled": "Stalled",
    "soon": "Past half of the time",
    "waiting": "Waiting",
    "later": "Contract begins later",
    "unknown": "Start not known",
    "done": "Billable",
}
TONES = {"stalled": "bad", "soon": "warn", "waiting": "info", "done": "good"}


def starts(viewer: Viewer, now: datetime, account_ids: Collection[UUID] | None = None) -> list[Start]:
    """Return where each account stands, those that stalled first; at most nine queries for any number."""
    rows = Account.objects.visible_to(viewer).select_related("csm", "field_cto")
    if account_ids is not None:
        rows = rows.filter(pk__in=list(account_ids))
    accounts = {one.pk: one for one in rows}
    if not accounts:
        return []
    organization = viewer.organization_id
    terms = BookTerms.objects.filter(organization_id=organization).first()
    target = terms.onboarding_days if terms else DEFAULT_TARGET
    contracts = dict(
        Contract.objects.filter(organization_id=organization, account__in=accounts)
        .values("account_id").annotate(first=Min("starts_on")).values_list("account_id", "first")
    )  # fmt: skip
    firsts = {row[0]: row[1:] for row in _fetch(_FIRSTS, organization, accounts)}
    keys = list(ApiKey.objects.filter(organization_id=organization).order_by("created_at"))
    found = []
    for account in accounts.values():
        called, success, billable, *_ = firsts.get(account.pk, (None, None, None, 0, 0, 0, 0))
        today = day_of(now, zone_of(account.timezone))
        contract = account.contract_starts_on or contracts.get(account.pk)
        first = first_value(contract, billable, today) if contract else None
        made = _key_on(account, keys)
        found.append(Start(account, today, contract, made, called, success, billable, first, target))
    _explain([one for one in found if one.is_waiting], organization, firsts, keys, now)
    return sorted(found, key=_stalled_first)


def waiting_for(organization_id: UUID, account_ids: Collection[UUID], now: datetime | None = None) -> dict[UUID, str]:
    """Return what each account without billable use waits for, in words; accounts that have begun are left out."""
    found = starts(Viewer(organization_id), now or timezone.now(), account_ids)
    return {one.account.pk: one.why for one in found if one.is_waiting}


def _stalled_first(start: Start) -> tuple[Any, ...]:
    return (list(STATES).index(start.state), -(start.waiting or 0), start.account.name.lower())


def _may_send(key: ApiKey) -> bool:
    return bool(SENDING & set(key.scopes))


def _key_on(account: Account, keys: Sequence[ApiKey]) -> date | None:
    """The day of its own first key, or of the organization's first that sends events."""
    own = [key for key in keys if key.account_id == account.pk or (key.account_id is None and _may_send(key))]
    return day_of(own[0].created_at, zone_of(account.timezone)) if own else None


def _explain(
    waiting: Sequence[Start], organization: UUID, firsts: Mapping[UUID, Any], keys: Sequence[ApiKey], now: datetime
) -> None:
    """Fill what each of these waits for, and the first call where it was outside of production or set aside."""
    by_id = {one.account.pk: one for one in waiting}
    if not by_id:
        return
    calls = {row[0]: row[1:] for row in _fetch(_CALLS, organization, by_id)}
    aside: dict[UUID, list[tuple[str, str, str, int, datetime]]] = defaultdict(list)
    for account, *row in _fetch(_ASIDE, organization, by_id, keys=[one.account.key for one in waiting]):
        aside[account].append(tuple(row))
    rejected = _rejected(organization, now) if any(pk not in calls for pk in by_id) else (0, "")
    failed = [pk for pk in by_id if pk in firsts and firsts[pk][4] and not firsts[pk][5]]
    errors: dict[UUID, list[tuple[str, int]]] = defaultdict(list)
    for account, error, times in _fetch(_ERRORS, organization, failed) if failed else ():
        errors[account].append((error, times))
    for pk, start in by_id.items():
        _, _, _, events, finished, successes, unpriced = firsts.get(pk, (None, None, None, 0, 0, 0, 0))
        called_at, came, outside, uncounted, names, key_id, last_at = calls.get(pk, (None, 0, 0, 0, None, None, None))
        zone = zone_of(start.account.timezone)
        moments = [at for at in (called_at, *(row[4] for row in aside[pk])) if at is not None]
        if moments:
            first = day_of(min(moments), zone)
            start.called_on = min(start.called_on, first) if start.called_on else first
        start.cause = Cause(
            key=start.account.key,
            keys=_key_words(keys, now),
            dead_key=_dead_key(keys, key_id, last_at, now),
            aside=[(subject, reason, kind, times) for subject, reason, kind, times, _ in aside[pk]],
            came=came or int(events),
            outside=outside,
            environments=tuple(names or ()),
            uncounted=uncounted,
            counted=int(events),
            finished=int(finished),
            successes=int(successes),
            unpriced=int(unpriced),
            rejected=rejected,
            errors=sorted(errors[pk], key=lambda one: (-one[1], one[0])),
        )


def _rejected(organization: UUID, now: datetime) -> tuple[int, str]:
    """How many items were rejected in seven days, and what most of them lacked, in words."""
    rows = RejectedEvent.objects.filter(organization_id=organization, received_at__gt=now - timedelta(days=7))
    counts = list(rows.values_list("code").annotate(times=Count("pk")).order_by("-times", "code"))
    if not counts:
        return 0, ""
    return sum(times for _, times in counts), rejection_reason(counts[0][0]).title


def _key_words(keys: Iterable[ApiKey], now: datetime) -> str:
    """Why no key of the organization may send events now; "" when one may."""
    sending = [key for key in keys if key.account_id is None and _may_send(key)]
    if not sending:
        return "no key may send events yet"
    if any(_is_usable(key, now) for key in sending):
        return ""
    last = sending[-1]
    return f"no key may send events: the last one, “{last.name}”, {_ended(last)}"


def _dead_key(keys: Iterable[ApiKey], key_id: UUID | None, last_at: datetime | None, now: datetime) -> str:
    """What became of the key that the account's last event came with; "" while it works."""
    key = next((key for key in keys if key.pk == key_id), None)
    if key is None or last_at is None or _is_usable(key, now):
        return ""
    return f"its key “{key.name}” {_ended(key)}"


def _is_usable(key: ApiKey, now: datetime) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


def _ended(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return f"was revoked on {key.revoked_at:%b} {key.revoked_at.day}"
    return f"expired on {key.expires_at:%b} {key.expires_at.day}" if key.expires_at else "is no longer valid"


def _fetch(query: str, organization: UUID, accounts: Iterable[UUID], **more: object) -> list[Any]:
    with connection.cursor() as cursor:
        asked: dict[str, Any] = {"organization": organization, "accounts": [str(pk) for pk in accounts], **more}
        cursor.execute(query, asked)
        return cursor.fetchall()
