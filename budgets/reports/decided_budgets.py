"""What was decided about budgets: the version in force, its rules, the limit in force."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from budgets.models import Budget, BudgetRule, BudgetVersion, Limit

MOST_KEPT = 2000  # accounts


@dataclass(frozen=True, slots=True)
class Decided:
    """A budget in force with its highest version, that one's rules, and its highest limit."""

    budget: Budget
    version: BudgetVersion
    rules: tuple[BudgetRule, ...]
    limit: Limit | None


def decided_budgets(
    organization_id: UUID, account_ids: Iterable[UUID | str] | None = None, budget_ids: Iterable[UUID] | None = None
) -> list[Decided]:
    """Return what was decided about budgets in force, in order of their ids. Four queries."""
    rows = Budget.objects.filter(organization_id=organization_id, archived_at=None)
    if account_ids is not None:
        rows = rows.filter(account_id__in=list(account_ids))
    if budget_ids is not None:
        rows = rows.filter(pk__in=list(budget_ids))
    budgets = list(rows.select_related("account", "workflow", "meter").order_by("pk"))
    if not budgets:
        return []
    versions, rules = _versions(organization_id, budgets)
    limits = _limits(organization_id, budgets)
    return [
        Decided(budget, versions[budget.pk], tuple(rules[budget.pk]), limits.get(budget.pk))
        for budget in budgets
        if budget.pk in versions
    ]


def _versions(
    organization_id: UUID, budgets: Sequence[Budget]
) -> tuple[dict[UUID, BudgetVersion], dict[UUID, list[BudgetRule]]]:
    rows = BudgetVersion.objects.filter(organization_id=organization_id, budget__in=budgets)
    versions = {row.budget_id: row for row in rows.order_by("budget_id", "-number").distinct("budget_id")}
    of = {version.pk: budget for budget, version in versions.items()}
    rules: dict[UUID, list[BudgetRule]] = defaultdict(list)
    found = BudgetRule.objects.filter(organization_id=organization_id, version_id__in=list(of))
    for rule in found.order_by("kind", "value"):
        rules[of[rule.version_id]].append(rule)
    return versions, rules


def _limits(organization_id: UUID, budgets: Sequence[Budget]) -> dict[UUID, Limit]:
    rows = Limit.objects.filter(organization_id=organization_id, budget__in=budgets)
    return {row.budget_id: row for row in rows.order_by("budget_id", "-number").distinct("budget_id")}


# A row that is written anew gets another xmin; versions and limits are only added, and their ids count up.
_STAMPS = """
SELECT budget.account_id, concat_ws(
    '/', min(account.xmin::text), string_agg(budget.id::text || budget.xmin::text, ',' ORDER BY budget.id),
    (SELECT id FROM budgets_budgetversion AS version WHERE version.organization_id = %(organization)s
        AND version.account_id = budget.account_id ORDER BY id DESC LIMIT 1),
    (SELECT id FROM budgets_limit AS given WHERE given.organization_id = %(organization)s
        AND given.account_id = budget.account_id ORDER BY id DESC LIMIT 1))
FROM budgets_budget AS budget JOIN accounts_account AS account ON account.id = budget.account_id
WHERE budget.organization_id = %(organization)s AND budget.account_id = ANY(%(accounts)s) AND archived_at IS NULL
GROUP BY budget.account_id
"""
_kept: dict[UUID, tuple[str, list[Decided]]] = {}  # account → the stamp of what was read


def kept_budgets(organization_id: UUID, account_ids: Sequence[UUID]) -> list[Decided]:
    """Return the same, from this process's memory where nothing was decided since: one query.

    For jobs, which see the same accounts every second. Nobody may change what they get.
    """
    with connection.cursor() as cursor:
        cursor.execute(_STAMPS, {"organization": organization_id, "accounts": list(account_ids)})
        stamps: dict[UUID, str] = dict(cursor.fetchall())
    if len(_kept) + len(stamps) > MOST_KEPT:
        _kept.clear()
    changed = [account for account, stamp in stamps.items() if _kept.get(account, ("",))[0] != stamp]
    if changed:
        found: dict[UUID, list[Decided]] = {account: [] for account in changed}
        for one in decided_budgets(organization_id, changed):
            found[one.budget.account_id].append(one)
        _kept.update((account, (stamps[account], found[account])) for account in changed)
    return sorted((one for account in stamps for one in _kept[account][1]), key=lambda one: one.budget.pk)
