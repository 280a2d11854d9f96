"""The daily look at accounts: their metrics, health and signals are kept by day, and plays begin and end by them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db import connection

from accounts.models import Account
from consumption_cs.lib.periods import day_start, zone_of
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.actions.health import Scored, recipe_in_force, score_day
from reviews.actions.measures_told import tell_bands
from reviews.actions.play_catalog import ensure_plays
from reviews.actions.play_checks import check
from reviews.actions.signals import look
from reviews.calc.metrics import Values
from reviews.models import AccountMetrics
from reviews.reports.account_facts import AccountFacts, account_facts
from reviews.reports.health import bands
from reviews.reports.metric_values import at_risk_value, metric_values, waste_values
from reviews.reports.more_facts import MoreFacts, more_facts
from reviews.reports.waste_then import waste_then

BLOCK = 250  # accounts at once: their facts fit into memory, and their rows into one statement
AFTER_MIDNIGHT = timedelta(hours=1)  # of the account: what came late in the evening has arrived
EVERY_DAY_KEPT = timedelta(days=400)  # what pages and recipes look back on, and a month to spare
LOOKED_AT_LAST = timedelta(hours=6)  # until the same day is looked at again: calls, visits and opinions change too

_OLD = """
DELETE FROM reviews_accountmetrics
WHERE organization_id = %(organization)s AND day < %(day)s
    AND day <> (date_trunc('month', day) + interval '1 month - 1 day')::date
"""

# Those whose last closed day is not kept, and those whose row of it is old.
_DUE = """
SELECT account.id FROM accounts_account AS account
WHERE account.organization_id = %(organization)s AND NOT EXISTS (
    SELECT 1 FROM reviews_accountmetrics AS kept
    WHERE kept.organization_id = account.organization_id AND kept.account_id = account.id
        AND kept.day >= (%(then)s AT TIME ZONE account.timezone)::date - 1 AND kept.computed_at >= %(old)s
)
ORDER BY account.id
"""


def measure_due(organization_id: UUID, now: datetime) -> int:
    """Measure the accounts whose last closed day is not kept or whose row is six hours old; return how many."""
    with act_as(Viewer(organization_id)), connection.cursor() as cursor:
        cursor.execute(
            _DUE,
            {"organization": organization_id, "then": now - AFTER_MIDNIGHT, "old": now - LOOKED_AT_LAST},
        )
        due = [pk for (pk,) in cursor.fetchall()]
    return measure_accounts(organization_id, now, due) if due else 0


def measure_accounts(
    organization_id: UUID,
    now: datetime,
    account_ids: Iterable[UUID] | None = None,
    *,
    is_present: bool = True,
    acts: bool = True,
) -> int:
    """Keep the metrics of each account's last closed day at `now`, and what follows from them; return how many.

    A second call replaces the rows. `is_present` False: `now` has passed, and what is not kept by day stays unknown.
    `acts`: signals and plays begin and end by it, and changes of the present are told. In transactions of 250
    accounts, one after another.
    """
    wanted = _wanted(organization_id, account_ids)
    # What every organization begins with is made in a moment of its own, so that nobody waits for a whole block.
    with act_as(Viewer(organization_id)):
        recipe_in_force(organization_id, now)
        ensure_plays(organization_id)
    for first in range(0, len(wanted), BLOCK):
        with act_as(Viewer(organization_id)):
            _measure(organization_id, now, wanted[first : first + BLOCK], is_present, acts)
    return len(wanted)


def measure_days(
    organization_id: UUID,
    days: Sequence[date],
    account_ids: Iterable[UUID] | None = None,
    *,
    acts: bool = False,
) -> None:
    """Measure days that have passed, in order, as they would have been: for a new recipe, and for the demo.

    Each account as of an hour after its local midnight.
    """
    wanted = set(_wanted(organization_id, account_ids))
    with act_as(Viewer(organization_id)):
        rows = Account.objects.filter(organization_id=organization_id).values_list("timezone", "pk")
        zones: dict[str, list[UUID]] = defaultdict(list)
        for zone, pk in rows.order_by("timezone", "pk"):
            if pk in wanted:
                zones[zone].append(pk)
    for day in sorted(days):
        for zone, ids in zones.items():
            now = day_start(day + timedelta(days=1), zone_of(zone)) + AFTER_MIDNIGHT
            measure_accounts(organization_id, now, ids, is_present=False, acts=acts)


def thin_metrics(organization_id: UUID, now: datetime) -> int:
    """Of metrics older than 400 days keep the last day of each month; return how many rows went."""
    with act_as(Viewer(organization_id)), connection.cursor() as cursor:
        cursor.execute(_OLD, {"organization": organization_id, "day": (now - EVERY_DAY_KEPT).date()})
        return cursor.rowcount


def _wanted(organization_id: UUID, account_ids: Iterable[UUID] | None) -> list[UUID]:
    if account_ids is not None:
        return sorted(account_ids)
    with act_as(Viewer(organization_id)):
        return list(
            Account.objects.filter(organization_id=organization_id).order_by("pk").values_list("pk", flat=True)
        )


def _measure(organization_id: UUID, now: datetime, account_ids: Sequence[UUID], is_present: bool, acts: bool) -> None:
    facts = account_facts(organization_id, now, account_ids)
    more = more_facts(organization_id, now, [one.account for one in facts], is_present=is_present)
    wasted = waste_then(organization_id, {one.account.pk: one.today for one in facts})
    values: dict[UUID, Values] = {}
    for one in facts:
        own = more[one.account.pk]
        found = metric_values(one, own, now) | waste_values(wasted[one.account.pk])
        values[one.account.pk] = found | {"at_risk": at_risk_value(one, own, found)}
    _keep_metrics(organization_id, now, facts, values)
    scored = [_scored(one, more[one.account.pk], values[one.account.pk]) for one in facts]
    before = bands(organization_id, account_ids) if acts and is_present else {}
    score_day(organization_id, now, scored)
    if before:
        tell_bands(organization_id, now, before, bands(organization_id, account_ids))
    if acts:
        look(organization_id, now, [(row.account_id, row.day, row.values) for row in scored], is_told=is_present)
        check(organization_id, now, [one.account.pk for one in facts])


def _scored(one: AccountFacts, more: MoreFacts, values: Values) -> Scored:
    known = [day for day in (more.contract_on, one.first_on) if day is not None]
    age = (one.today - min(known)).days if known else 0
    return Scored(one.account.pk, one.today - timedelta(days=1), values, age)


def _keep_metrics(
    organization_id: UUID, now: datetime, facts: Sequence[AccountFacts], values: dict[UUID, Values]
) -> None:
    AccountMetrics.objects.bulk_create(
        [
            AccountMetrics(
                organization_id=organization_id,
                account_id=one.account.pk,
                day=one.today - timedelta(days=1),
                numbers={name: str(row.value) for name, row in found.items() if row.value is not None},
                reasons={name: row.reason for name, row in found.items() if row.value is None},
                inputs={name: row.inputs for name, row in found.items() if row.inputs},
                data_through=one.last_event_at,
                computed_at=now,
            )
            for one in facts
            for found in (values[one.account.pk],)
        ],
        update_conflicts=True,
        unique_fields=["organization", "account", "day"],
        update_fields=["numbers", "reasons", "inputs", "data_through", "computed_at"],
    )
