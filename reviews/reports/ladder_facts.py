"""What the gates of the ladder are checked by, read at once for many accounts. Only what the rules ask for is read."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection
from django.db.models import Min

from accounts.models import Account
from budgets.models import Alert, Budget, BudgetVersion
from consumption_cs.lib.display import unit_price_text
from consumption_cs.lib.periods import as_utc, day_of, zone_of
from reviews.calc.ladder import DEFAULT_RULES, Rules, next_rung, standing_keys
from reviews.calc.ladder_gates import TEAM_DIMENSIONS, Facts
from reviews.calc.production import WINDOW
from reviews.models import GateTick, LadderCard, LadderRules, OutcomeTerms
from reviews.reports.workflow_days import WorkflowDays, workflow_days
from usage.models import TouchedDay

CALLS_ARE_FRESH = timedelta(hours=6)  # the search for calls outside of production reads events
CALLS_REACH = timedelta(days=60)
MOST_CALLS = 1000

_FIRST_USE = """
SELECT workflow_id, min(day), min(day) FILTER (WHERE spend > 0 AND (successes > 0 OR finished = 0)),
    sum(events)::bigint
FROM unnest(%(accounts)s::uuid[], %(today)s::date[]) AS wanted(account_id, today)
JOIN usage_day ON usage_day.organization_id = %(organization)s AND usage_day.account_id = wanted.account_id
    AND usage_day.day <= wanted.today AND usage_day.workflow_id = ANY(%(workflows)s::uuid[])
GROUP BY 1
"""
_CALLS = """
SELECT wanted.workflow_id, found.calls, found.first_at
FROM unnest(%(workflows)s::uuid[], %(accounts)s::uuid[]) AS wanted(workflow_id, account_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS calls, min(tried.occurred_at) AS first_at FROM (
        SELECT occurred_at FROM usage_event WHERE organization_id = %(organization)s
            AND account_id = wanted.account_id AND workflow_id = wanted.workflow_id
            AND occurred_at >= %(since)s AND occurred_at < %(now)s AND NOT counted AND environment <> 'production'
        ORDER BY occurred_at LIMIT %(most)s
    ) AS tried
) AS found
"""
_GROUPS = """
SELECT workflow_id, usage_day."group"
FROM unnest(%(accounts)s::uuid[], %(today)s::date[]) AS wanted(account_id, today)
JOIN usage_day ON usage_day.organization_id = %(organization)s AND usage_day.account_id = wanted.account_id
    AND usage_day.day < wanted.today AND usage_day.day >= wanted.today - %(days)s
    AND usage_day.workflow_id = ANY(%(workflows)s::uuid[])
GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Climbing:
    """One workflow of an account with what is known for its gates, and its card if it has been looked at.

    `calls` outside of production: how many, and the first local day; None where no gate asks.
    """

    account: Account
    workflow_id: UUID
    stage: str
    facts: Facts
    card: LadderCard | None
    data_through: datetime
    calls: tuple[int, date | None] | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """The accounts of one block with their local day, and which gates the rules ask of each workflow."""

    organization_id: UUID
    now: datetime
    accounts: Mapping[UUID, Account]
    today: Mapping[UUID, date]
    days: Mapping[str, list[WorkflowDays]]
    asked_keys: Mapping[UUID, frozenset[str]]

    def workflows(self, *keys: str) -> dict[UUID, UUID]:
        """Return {workflow: account} of those that are asked for one of the gates."""
        return {
            flow.workflow_id: UUID(account)
            for account, flows in self.days.items()
            for flow in flows
            if flow.workflow_id and self.asked_keys[flow.workflow_id] & set(keys)
        }


def rules_in_force(organization_id: UUID) -> tuple[int, Rules]:
    """Return the number and entry criteria in force; number 0: those that every organization begins with."""
    row = LadderRules.objects.filter(organization_id=organization_id).order_by("-number").first()
    return (row.number, row.gates) if row else (0, DEFAULT_RULES)


def climbing(organization_id: UUID, rules: Rules, now: datetime, account_ids: Iterable[UUID]) -> list[Climbing]:
    """Return all workflows of the accounts, as of `now`. A dozen queries for any number; within `act_as`."""
    accounts = {row.pk: row for row in Account.objects.filter(organization_id=organization_id, pk__in=account_ids)}
    today = {pk: day_of(as_utc(now), zone_of(row.timezone)) for pk, row in accounts.items()}
    days = workflow_days(organization_id, {str(pk): day for pk, day in today.items()})
    keys = {
        flow.workflow_id: _asked_keys(rules, flow.stage) for flows in days.values() for flow in flows if flow.stage
    }
    asked = _Asked(organization_id, now, accounts, today, days, {pk: own for pk, own in keys.items() if pk})
    cards = {row.workflow_id: row for row in LadderCard.objects.filter(account__in=accounts)}
    more = _more(asked, cards)
    through = _data_through(organization_id, accounts, now)
    found = []
    for account_id, flows in sorted(days.items()):
        account = accounts[UUID(account_id)]
        spend = sum(float(flow.spend[-WINDOW:].sum()) for flow in flows)
        for flow in flows:
            if flow.workflow_id is None:
                continue
            own = more.get(flow.workflow_id, {})
            calls = own.pop("calls", None)
            facts = _facts(account, today[account.pk], flow, spend, own)
            card = cards.get(flow.workflow_id)
            found.append(Climbing(account, flow.workflow_id, flow.stage, facts, card, through[account.pk], calls))
    return found


def _asked_keys(rules: Rules, stage: str) -> frozenset[str]:
    rung = next_rung(stage)
    entry = {row["key"] for row in rules.get(rung, ())} if rung else set()
    return frozenset(entry | set(standing_keys(rules, stage)))


def runs_a_day(flow: WorkflowDays) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Successful runs a day; where work does not say how it ended, every event that cost something is one."""
    return np.where(flow.finished > 0, flow.successes, np.where(flow.spend > 0, flow.events, 0.0))


def _facts(account: Account, today: date, flow: WorkflowDays, spend: float, more: Mapping[str, Any]) -> Facts:
    return Facts(
        today=today,
        currency=account.currency,
        runs=runs_a_day(flow),
        spend=flow.spend,
        finished=flow.finished,
        successes=flow.successes,
        outcomes=flow.outcomes,
        account_spend=spend,
        target=flow.success_target,
        **more,
    )


def _more(asked: _Asked, cards: Mapping[UUID, LadderCard]) -> dict[UUID, dict[str, Any]]:
    """Return, by workflow, the fields of its facts that no day of usage tells."""
    found: dict[UUID, dict[str, Any]] = defaultdict(dict)
    for workflow, words in _ticks(asked, cards).items():
        found[workflow]["ticks"] = words
    for workflow, amount in _budgets(asked).items():
        found[workflow]["budget"] = amount
    for workflow, alerts in _alerts(asked).items():
        found[workflow]["alerts"] = tuple(alerts)
    for workflow, teams in _teams(asked).items():
        found[workflow]["teams"] = teams
    for workflow, calls in _first_use(asked, cards).items():
        found[workflow] |= calls
    return found


def _ticks(asked: _Asked, cards: Mapping[UUID, LadderCard]) -> dict[UUID, dict[str, str]]:
    """What people confirmed; an owner on the card and a value that is proposed need no tick of their own."""
    found: dict[UUID, dict[str, str]] = defaultdict(dict)
    newest = OutcomeTerms.objects.filter(account__in=asked.accounts, value_each__isnull=False)
    rows = newest.order_by("workflow_id", "-proposed_at").distinct("workflow_id")
    for terms in rows:
        found[terms.workflow_id]["value"] = f"{unit_price_text(terms.value_each or Decimal(0), terms.currency)} each"
    for workflow, card in cards.items():
        if card.their_owner:
            found[workflow]["owner"] = card.their_owner.split()[0]
    for tick in GateTick.objects.filter(account__in=asked.accounts, revoked_at=None):
        if tick.value or tick.key not in found[tick.workflow_id]:
            found[tick.workflow_id][tick.key] = tick.value
    return found


def _budgets(asked: _Asked) -> dict[UUID, Decimal]:
    own = Budget.objects.filter(account__in=asked.accounts, scope=Budget.Scope.WORKFLOW, archived_at=None)
    newest = BudgetVersion.objects.filter(budget__in=own).order_by("budget_id", "-number").distinct("budget_id")
    rows = newest.values_list("budget__workflow_id", "amount")
    return {workflow: amount for workflow, amount in rows if workflow}


def _alerts(asked: _Asked) -> dict[UUID, list[tuple[float, bool]]]:
    """Warnings of 28 days: the hours until somebody took them on, or they went by themselves; else until now."""
    wanted = asked.workflows("alerts")
    rows = Alert.objects.filter(
        workflow__in=wanted, account__in=asked.accounts, is_silent=False, bundled_into=None,
        raised_at__gt=asked.now - timedelta(days=WINDOW), raised_at__lte=asked.now,
    ).exclude(severity=Alert.Severity.INFO)  # fmt: skip
    found: dict[UUID, list[tuple[float, bool]]] = defaultdict(list)
    for alert in rows if wanted else ():
        ends = [at for at in (alert.acknowledged_at, alert.resolved_at, alert.recovered_at) if at is not None]
        hours = (min([asked.now, *ends]) - alert.raised_at).total_seconds() / 3600
        found[alert.workflow_id].append((hours, bool(ends)))
    return found


def _teams(asked: _Asked) -> dict[UUID, int]:
    """How many values the first dimension has that names a team, a key or a person."""
    wanted = asked.workflows("teams")
    if not wanted:
        return {}
    seen: dict[UUID, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for workflow, group in _fetch(_GROUPS, _names(asked, wanted) | {"days": WINDOW}):
        for name, value in json.loads(group or "{}").items():
            if name in TEAM_DIMENSIONS and value:
                seen[workflow][name].add(str(value))
    return {
        workflow: len(next(names[name] for name in TEAM_DIMENSIONS if name in names))
        for workflow, names in seen.items()
    }


def _first_use(asked: _Asked, cards: Mapping[UUID, LadderCard]) -> dict[UUID, dict[str, Any]]:
    """First calls in any environment and the first billable day, for the rungs that ask for them."""
    wanted = asked.workflows("test_call", "first_runs", "first_billable")
    if not wanted:
        return {}
    found: dict[UUID, dict[str, Any]] = {pk: {"first_runs": 0} for pk in wanted}
    for workflow, first, billable, events in _fetch(_FIRST_USE, _names(asked, wanted)):
        found[workflow] = {"first_call_on": first, "billable_on": billable, "first_runs": events}
    for workflow, (calls, first) in _calls(asked, cards).items():
        own = found[workflow]
        known = [day for day in (own.get("first_call_on"), first) if day is not None]
        own |= {
            "first_call_on": min(known, default=None),
            "first_runs": own["first_runs"] + calls,
            "calls": (calls, first),
        }
    return found


def _calls(asked: _Asked, cards: Mapping[UUID, LadderCard]) -> dict[UUID, tuple[int, date | None]]:
    """Calls outside of production in the last 60 days. What a look of the last hours found is taken from the card."""
    wanted = asked.workflows("test_call", "first_runs")
    kept = {pk: known for pk in wanted if (known := _kept_calls(cards.get(pk), asked.now)) is not None}
    unknown = {pk: account for pk, account in wanted.items() if pk not in kept}
    names = _names(asked, unknown) | {
        "accounts": [str(account) for account in unknown.values()],
        "since": asked.now - CALLS_REACH,
        "now": asked.now,
        "most": MOST_CALLS,
    }
    for workflow, calls, first_at in _fetch(_CALLS, names) if unknown else ():
        zone = zone_of(asked.accounts[unknown[workflow]].timezone)
        kept[workflow] = (calls, day_of(first_at, zone) if first_at else None)
    return kept


def kept_calls_of(one: Climbing, key: str) -> dict[str, Any]:
    """Return what a card keeps beside the gate, so that the next look need not search for calls again."""
    if one.calls is None or key not in ("test_call", "first_runs"):
        return {}
    count, first = one.calls
    return {"calls": {"count": count, "first": first.isoformat() if first else None}}


def _kept_calls(card: LadderCard | None, now: datetime) -> tuple[int, date | None] | None:
    if card is None or card.checked_at is None or not now - CALLS_ARE_FRESH < card.checked_at <= now:
        return None
    kept = next((row["calls"] for row in card.gates if row.get("calls")), None)
    return (kept["count"], date.fromisoformat(kept["first"]) if kept["first"] else None) if kept else None


def _names(asked: _Asked, workflows: Collection[UUID]) -> dict[str, Any]:
    return {
        "organization": asked.organization_id,
        "accounts": [str(pk) for pk in asked.today],
        "today": list(asked.today.values()),
        "workflows": [str(pk) for pk in workflows],
    }


def _data_through(organization_id: UUID, accounts: Collection[UUID], now: datetime) -> dict[UUID, datetime]:
    """Through when all that was accepted is counted and rated, by account."""
    oldest = [at for (at,) in _fetch("SELECT usage_oldest_waiting()", {}) if at is not None]
    marks = TouchedDay.objects.filter(organization_id=organization_id, account__in=accounts)
    waiting = dict(marks.values("account").annotate(at=Min("received_at")).values_list("account_id", "at"))
    return {pk: min([now, *oldest, *([waiting[pk]] if pk in waiting else [])]) for pk in accounts}


def _fetch(query: str, names: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, names)
        return cursor.fetchall()
