"""All that the metrics of accounts are made of, as of a moment, in a dozen queries for any number of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import numpy as np
from django.db import connection

from accounts.models import Account
from budgets.calc.usage_windows import Floats
from budgets.models import ForecastRun
from budgets.reports.spend_history import histories
from consumption_cs.lib.periods import as_utc, day_of, zone_of
from reviews.reports.commits_then import CommitThen, commits_then
from reviews.reports.people_then import PeopleThen, people_then
from reviews.reports.workflow_days import WorkflowDays, workflow_days

_PATHS = ("spend_p10", "spend_p50", "spend_p90", "commits", "details")

# A day that says nothing of success counts when it cost something: not every meter knows how its work ended.
_FIRSTS = """
SELECT wanted.account_id::text, min(day), min(day) FILTER (WHERE spend > 0 AND (successes > 0 OR finished = 0)),
    max(last_event_at) FILTER (WHERE day < wanted.today)
FROM unnest(%(accounts)s::uuid[], %(today)s::date[]) AS wanted(account_id, today)
JOIN account_day ON account_day.organization_id = %(organization)s AND account_day.account_id = wanted.account_id
    AND day < wanted.today
GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """One account at the start of its local day `today`, as far as it was known at the moment asked for.

    `spend` is per closed local day, oldest first, ending yesterday, from the first with spend on, in its currency.
    `first_on` is the first day with any event, `billable_on` the first with successful billable use; None: none yet.
    """

    account: Account
    today: date
    spend: Floats
    workflows: list[WorkflowDays]
    commits: list[CommitThen]
    run: ForecastRun | None
    people: PeopleThen
    first_on: date | None = None
    billable_on: date | None = None
    last_event_at: datetime | None = None


def account_facts(
    organization_id: UUID, now: datetime, account_ids: Iterable[UUID] | None = None
) -> list[AccountFacts]:
    """Return the facts of the organization's accounts, or of those named, as of `now`, in order of their ids.

    What is kept as it was (usage, ledger, forecasts, entries) is read as of `now`; names, owners and the present
    stage of a workflow are those of today.
    """
    wanted = Account.objects.filter(organization_id=organization_id).order_by("pk")
    if account_ids is not None:
        wanted = wanted.filter(pk__in=list(account_ids))
    accounts = {str(account.pk): account for account in wanted}
    if not accounts:
        return []
    today = {name: day_of(as_utc(now), zone_of(account.timezone)) for name, account in accounts.items()}
    spend = histories(organization_id, accounts, today)
    workflows = workflow_days(organization_id, today)
    commits = commits_then(organization_id, today)
    runs = _runs(organization_id, today, now)
    people = people_then(organization_id, [account.pk for account in accounts.values()], now)
    firsts = _firsts(organization_id, today)
    return [
        AccountFacts(
            account,
            today[name],
            spend.get(name, np.empty(0)),
            workflows.get(name, []),
            commits.get(name, []),
            runs.get(name),
            people[name],
            *firsts.get(name, (None, None, None)),
        )
        for name, account in accounts.items()
    ]


def _runs(organization_id: UUID, today: Mapping[str, date], now: datetime) -> dict[str, ForecastRun]:
    """Return the newest run of each account that was made by `now`, without its paths."""
    rows = ForecastRun.objects.filter(
        organization_id=organization_id, account__in=[UUID(name) for name in today], made_at__lte=now
    )
    newest = rows.order_by("account_id", "-as_of", "-made_at").distinct("account_id").defer(*_PATHS)
    return {str(run.account_id): run for run in newest}


def _firsts(
    organization_id: UUID, today: Mapping[str, date]
) -> dict[str, tuple[date | None, date | None, datetime | None]]:
    with connection.cursor() as cursor:
        cursor.execute(
            _FIRSTS, {"organization": organization_id, "accounts": list(today), "today": list(today.values())}
        )
        return {account: (first, billable, last) for account, first, billable, last in cursor.fetchall()}
