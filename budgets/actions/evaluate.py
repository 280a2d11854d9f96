"""Budgets are looked at when something changed: crossings become alerts, what went back recovers, limits advance.

Everything happens in the transaction of what changed, with the accounts held, so that two at once agree. A crossing is
one budget, version, period, kind and threshold (of a pace: and local day); it is recorded once, whatever happens.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from budgets.actions import limits
from budgets.actions.alerts import NewAlert, annotate, raise_alerts, recover, reopen, tick
from budgets.calc.budget_rules import ACTUAL, PACES, Figures, Verdict, loudest, severity_of, verdict
from budgets.models import Alert, AlertEvent, BudgetRule
from budgets.reports.budget_alert_words import headline_of, numbers_of, source_headline
from budgets.reports.budget_figures import NewSource, figures_of, new_sources
from budgets.reports.budget_use import BudgetUse, budget_uses
from budgets.reports.decided_budgets import Decided, kept_budgets
from consumption_cs.lib.display import money_text
from consumption_cs.lib.tenancy import Viewer, act_as

LATE_USE = timedelta(hours=1)  # after a period: what came in before its end is still settled into it
NEW_SOURCE = BudgetRule.Kind.NEW_SOURCE
AT_ONCE = 100  # accounts in one transaction

_HOLD = """
SELECT id FROM accounts_account WHERE organization_id = %s AND id = ANY(%s::uuid[]) AND EXISTS (
    SELECT FROM budgets_budget AS budget
    WHERE budget.organization_id = %s AND budget.account_id = accounts_account.id AND archived_at IS NULL)
ORDER BY id FOR NO KEY UPDATE
"""


class Known(NamedTuple):
    """A crossing that is recorded."""

    alert_id: UUID
    crossing: str
    is_recovered: bool


@dataclass(slots=True)
class _Found:
    """What an evaluation comes to, before anything is written."""

    new: list[NewAlert] = field(default_factory=list)
    back: list[UUID] = field(default_factory=list)  # alerts whose figure recovered
    again: list[UUID] = field(default_factory=list)  # recovered alerts that hold again
    lower: dict[UUID, str] = field(default_factory=dict)  # alert → what a correction made of it, in words


def evaluate(
    organization_id: UUID,
    now: datetime,
    accounts: Iterable[str],
    accepted: Mapping[str, datetime],
    *,
    held: Sequence[UUID] | None = None,
    after_forecast: bool = False,
) -> list[BudgetUse]:
    """Look at the budgets of these accounts and record what was crossed; return what of each budget is used.

    In the caller's transaction (`act_as`), after the money was written. `accepted`: account → when the oldest event
    came in that had not been settled before. Accounts without budgets cost one query for all of them. Doing it twice
    changes nothing. `held`: those of the accounts that have budgets, held already. `after_forecast`: parts of accounts
    are forecast too.
    """
    held = hold_budgets(organization_id, accounts) if held is None else held
    if not held:
        return []
    uses = budget_uses(organization_id, now, decided=kept_budgets(organization_id, held))
    known = _known(organization_id, now, uses)
    figures = figures_of(organization_id, now, uses, parts_forecast=after_forecast)
    sources = new_sources(organization_id, uses)
    found = _Found()
    for use in uses:
        _judge(use, figures[use.budget.pk], known, accepted, found)
        _judge_sources(use, figures[use.budget.pk], sources.get(use.budget.pk, ()), known, accepted, found)
    if accepted:
        _judge_ended(organization_id, now, uses, known, accepted, found)
    _write(organization_id, now, found)
    limits.advance(organization_id, now, uses)
    return uses


def evaluate_now(organization_id: UUID, now: datetime, accounts: Iterable[str]) -> None:
    """Look at the budgets of these accounts because time has passed. Opens its own transaction."""
    with act_as(Viewer(organization_id)):
        evaluate(organization_id, now, accounts, {})


def watch(organization_id: UUID, now: datetime) -> int:
    """What time alone does to alerts: see `alerts.tick`; paces without any new use recover, and limits go on.

    A second call changes nothing. Returns how many alerts `tick` changed.
    """
    changed = tick(organization_id, now)
    with act_as(Viewer(organization_id)):
        paces = Alert.objects.filter(
            organization_id=organization_id, kind__in=list(PACES), recovered_at=None, period_end__gt=now
        )
        paced = {str(account) for account in paces.values_list("account_id", flat=True)}
        accounts = sorted(paced.union(limits.due_accounts(organization_id, now)))
    for first in range(0, len(accounts), AT_ONCE):
        evaluate_now(organization_id, now, accounts[first : first + AT_ONCE])
    return changed


def advance_due(organization_id: UUID, now: datetime) -> int:
    """Take limits further whose grace, lift or period is over; return of how many accounts. For every few seconds.

    One small query when there are none. Each hundred accounts have a transaction of their own, in which the step, its
    alert and its messages are written together; a second call changes nothing.
    """
    with act_as(Viewer(organization_id)):
        accounts = limits.due_accounts(organization_id, now)
    for first in range(0, len(accounts), AT_ONCE):
        evaluate_now(organization_id, now, accounts[first : first + AT_ONCE])
    return len(accounts)


def hold_budgets(organization_id: UUID, accounts: Iterable[str]) -> list[UUID]:
    """Lock those of the accounts that have budgets until the transaction ends, in order of their ids; return them."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, [organization_id, list(accounts), organization_id])
        return [account for (account,) in cursor.fetchall()]


def _known(organization_id: UUID, now: datetime, uses: Sequence[BudgetUse]) -> dict[str, list[Known]]:
    """Return what is recorded of the periods at hand by the prefix that all days of a pace share."""
    rows = Alert.objects.filter(
        organization_id=organization_id,
        budget_id__in=[use.budget.pk for use in uses],
        period_end__gt=now - LATE_USE,
    )
    found: dict[str, list[Known]] = defaultdict(list)
    for pk, crossing, recovered_at in rows.values_list("pk", "crossing", "recovered_at"):
        found[crossing.partition("@")[0]].append(Known(pk, crossing, recovered_at is not None))
    return found


def crossing_of(use: BudgetUse, kind: str, value: Decimal) -> str:
    """Return what a crossing is called: budget, version, period, kind and threshold."""
    return f"{use.budget.pk}/{use.version.number}/{use.first_day}/{kind}/{_plain(value)}"


def _plain(value: Decimal) -> str:
    return f"{Decimal(value).normalize():f}"


def _judge(
    use: BudgetUse, figures: Figures, known: dict[str, list[Known]], accepted: Mapping[str, datetime], found: _Found
) -> None:
    fresh = []
    for rule in use.rules:
        if rule.kind == NEW_SOURCE:
            continue
        prefix = crossing_of(use, rule.kind, rule.value)
        crossing = f"{prefix}@{use.today}" if rule.kind in PACES else prefix
        said = verdict(rule.kind, rule.value, figures)
        if said is Verdict.HOLDS and _holds_anew(rule.kind, crossing, known.get(prefix, ()), found):
            fresh.append((rule.kind, rule.value, crossing))
        elif said is Verdict.CLEAR:
            _came_back(rule.kind, use, known.get(prefix, ()), found)
    told = loudest([(kind, value) for kind, value, _ in fresh], use.amount)
    for kind, value, crossing in fresh:
        found.new.append(_new(use, figures, kind, value, crossing, (kind, value) in told, accepted))


def _holds_anew(kind: str, crossing: str, known: Iterable[Known], found: _Found) -> bool:
    """Say whether it is to be recorded; what had recovered is opened again instead."""
    recorded = list(known)
    if any(not one.is_recovered for one in recorded):
        return False
    same = next((one for one in recorded if one.crossing == crossing), None)
    if same is None:
        return True
    if kind not in ACTUAL:
        found.again.append(same.alert_id)
    return False


def _came_back(kind: str, use: BudgetUse, known: Iterable[Known], found: _Found) -> None:
    for one in known:
        if kind in ACTUAL:
            spent = money_text(use.used, use.account.currency)
            found.lower[one.alert_id] = f"A correction brought what is spent down to {spent}. It stays recorded."
        elif not one.is_recovered:
            found.back.append(one.alert_id)


def _new(
    use: BudgetUse,
    figures: Figures,
    kind: str,
    value: Decimal,
    crossing: str,
    is_told: bool,
    accepted: Mapping[str, datetime],
    headline: str = "",
) -> NewAlert:
    return NewAlert(
        account_id=use.budget.account_id,
        kind=kind,
        crossing=crossing,
        headline=headline or headline_of(kind, value, use, figures),
        severity=severity_of(kind, value, use.amount),
        budget_id=use.budget.pk,
        version_id=use.version.pk,
        workflow_id=use.budget.workflow_id,
        threshold=value,
        period_start=use.start,
        period_end=use.end,
        numbers=numbers_of(kind, use, figures),
        is_silent=not is_told,
        accepted_at=accepted.get(str(use.budget.account_id)),
        data_through=use.data_through,
    )


def _judge_sources(
    use: BudgetUse,
    figures: Figures,
    sources: Iterable[NewSource],
    known: dict[str, list[Known]],
    accepted: Mapping[str, datetime],
    found: _Found,
) -> None:
    values = sorted((rule.value for rule in use.rules if rule.kind == NEW_SOURCE), reverse=True)
    for source in sources:
        reached = [value for value in values if source.spent >= value]
        fresh = [v for v in reached if f"{crossing_of(use, NEW_SOURCE, v)}/{source.workflow_id}" not in known]
        for value in fresh:
            crossing = f"{crossing_of(use, NEW_SOURCE, value)}/{source.workflow_id}"
            words = source_headline(use, source)
            new = _new(use, figures, NEW_SOURCE, value, crossing, value == fresh[0], accepted, words)
            found.new.append(replace(new, workflow_id=source.workflow_id))


def _judge_ended(
    organization_id: UUID,
    now: datetime,
    uses: Sequence[BudgetUse],
    known: dict[str, list[Known]],
    accepted: Mapping[str, datetime],
    found: _Found,
) -> None:
    """What was accepted before a period ended may be settled just after: its crossings are recorded all the same."""
    moments = {
        use.budget.pk: use.start - timedelta(microseconds=1)
        for use in uses
        if now - use.start < LATE_USE and use.budget.created_at < use.start and str(use.budget.account_id) in accepted
    }
    if not moments:
        return
    decided = [Decided(use.budget, use.version, _actual(use), use.limit) for use in uses if use.budget.pk in moments]
    ended = budget_uses(organization_id, now, moments=moments, decided=decided)
    ended = [use for use in ended if use.version.created_at < use.end]
    figures = figures_of(organization_id, now, ended)
    for use in ended:
        _judge(use, figures[use.budget.pk], known, accepted, found)


def _actual(use: BudgetUse) -> tuple[BudgetRule, ...]:
    return tuple(rule for rule in use.rules if rule.kind in ACTUAL)


def _write(organization_id: UUID, now: datetime, found: _Found) -> None:
    if found.new:
        raise_alerts(organization_id, now, found.new)
    wanted = {*found.back, *found.again, *found.lower}
    if not wanted:
        return
    alerts = {alert.pk: alert for alert in Alert.objects.filter(organization_id=organization_id, pk__in=wanted)}
    recover(organization_id, now, [alerts[pk] for pk in found.back], "The figure went back by itself.")
    reopen(organization_id, now, [alerts[pk] for pk in found.again], "It holds again.")
    noted = AlertEvent.objects.filter(
        organization_id=organization_id, alert_id__in=list(found.lower), kind=AlertEvent.Kind.ANNOTATED
    )
    for pk in found.lower.keys() - set(noted.values_list("alert_id", flat=True)):
        annotate(now, alerts[pk], found.lower[pk])
