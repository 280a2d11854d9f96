"""The budgets of an account as a list: each below the one it is part of, with what it most likely comes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from accounts.models import Account
from budgets.calc.budget_rules import Fan
from budgets.models import LimitState
from budgets.reports.budget_figures import figures_of
from budgets.reports.budget_use import BudgetUse, budget_uses
from budgets.reports.headroom import limit_states
from consumption_cs.lib.display import counted, money_text
from consumption_cs.lib.tenancy import Viewer

_TONES = {"clear": "good", "warned": "warn", "grace": "warn", "acting": "bad", "lifted": "info"}
_STATES = dict(LimitState.State.choices)


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One budget: `depth` 0 stands by itself, 1 is part of the one above it, and so on. `fan` None: not forecast."""

    use: BudgetUse
    depth: int
    fan: Fan | None
    limit_state: str | None

    @property
    def share(self) -> Decimal:
        """Used of the budget, 1 being all of it."""
        return self.use.percent / 100

    @property
    def is_likely_over(self) -> bool:
        """Whether it is not used up yet but most likely will be."""
        return self.use.used < self.use.amount and self.fan is not None and self.fan.p50 > self.use.amount

    @property
    def standing(self) -> tuple[str, str]:
        return standing_words(self.limit_state)


def standing_words(limit_state: str | None) -> tuple[str, str]:
    """Return where a limit stands in words, and its tone; None: there is no limit."""
    return (str(_STATES[limit_state]), _TONES[limit_state]) if limit_state else ("No limit", "none")


def parts_words(use: BudgetUse, parts: Sequence[BudgetLine]) -> str:
    """Return how the budgets within one compare with it, in words; nothing without any."""
    if not parts:
        return ""
    total = sum((line.use.amount for line in parts), Decimal(0))
    given, whole = (money_text(one, use.account.currency) for one in (total, use.amount))
    names = counted(len(parts), "budget")
    if total > use.amount:
        return f"{names} within it may spend {given}, more than its {whole}: if all are used up, this one is over."
    return f"{names} within it may spend {given} of its {whole}."


def budget_lines(viewer: Viewer, account: Account, now: datetime) -> list[BudgetLine]:
    """Return the budgets in force, the largest share used first, parts below what they are part of."""
    uses = budget_uses(viewer.organization_id, now, [account.pk])
    figures = figures_of(viewer.organization_id, now, uses, everything=True)
    states = limit_states(viewer, account, now)
    known = {use.budget.pk for use in uses}
    parts: dict[UUID | None, list[BudgetUse]] = {}
    for use in sorted(uses, key=lambda one: (-one.percent, one.budget.name)):
        above = use.budget.parent_id if use.budget.parent_id in known else None
        parts.setdefault(above, []).append(use)
    lines: list[BudgetLine] = []

    def add(above: UUID | None, depth: int) -> None:
        for use in parts.get(above, ()):
            budget = use.budget.pk
            state = states.get(budget, LimitState.State.CLEAR) if use.limit else None
            lines.append(BudgetLine(use, depth, figures[budget].fan, state))
            add(budget, depth + 1)

    add(None, 0)
    return lines
