"""The measures that objectives are bound to, of one account, from rows that both sides may read."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import numpy as np

from accounts.models import Account
from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import add_months, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.calc import production
from reviews.calc.unit_cost import cost_per_outcome, outcomes_per_thousand
from reviews.reports.commits_then import commits_then
from reviews.reports.outcomes import Outcomes, outcomes_of
from reviews.reports.workflow_days import WorkflowDays, workflow_days

ZERO, THOUSAND = Decimal(0), Decimal(1000)


class Measured:
    """The measures of an account as of `now`; each group is read when first asked for. None is not known."""

    def __init__(self, viewer: Viewer, account: Account, now: datetime) -> None:
        self.viewer, self.account, self.now = viewer, account, now
        self.today = day_of(now, zone_of(account.timezone))
        self._flows: list[WorkflowDays] | None = None
        self._month: Outcomes | None = None

    def value(self, metric: str, workflow_id: UUID | None) -> Decimal | None:
        """Return one measure, of a workflow where it is bound to one."""
        ways: dict[str, Callable[[], Decimal | None]] = {
            "production_workflows": self._in_production,
            "ladder_percent": self._ladder,
            "success_percent": lambda: self._success(workflow_id),
            "lowest_success_percent": self._lowest,
            "cost_per_thousand": lambda: self._cost(workflow_id),
            "outcomes_per_thousand": self._rate,
            "confirmed_value": self._worth,
            "commit_used_percent": self._used,
        }
        way = ways.get(metric)
        return way() if way else None

    @property
    def flows(self) -> list[WorkflowDays]:
        if self._flows is None:
            key = str(self.account.pk)
            self._flows = workflow_days(self.viewer.organization_id, {key: self.today}).get(key, [])
        return self._flows

    @property
    def month(self) -> Outcomes:
        """What was achieved in the last whole month."""
        if self._month is None:
            end = self.today.replace(day=1)
            self._month = outcomes_of(self.viewer, self.account, add_months(end, -1), end, self.now)
        return self._month

    def _live(self) -> list[WorkflowDays]:
        return [
            flow for flow in self.flows
            if flow.stage in production.LIVE and production.is_in_production(flow.successes)
        ]  # fmt: skip

    def _in_production(self) -> Decimal:
        return Decimal(len(self._live()))

    def _ladder(self) -> Decimal | None:
        found = production.ladder([flow.stage for flow in self.flows if flow.workflow_id])
        return Decimal(repr(round(found.percent, 4))) if found else None

    def _success(self, workflow_id: UUID | None) -> Decimal | None:
        rows = [flow for flow in self.flows if workflow_id is None or flow.workflow_id == workflow_id]
        if not rows:
            return None
        finished, good = (np.sum([getattr(row, name) for row in rows], axis=0) for name in ("finished", "successes"))
        found = production.success(finished, good)
        return Decimal(repr(round(found, 4))) if found is not None else None

    def _lowest(self) -> Decimal | None:
        rates = [rate for flow in self._live() if (rate := self._success(flow.workflow_id)) is not None]
        return min(rates, default=None)

    @exactly
    def _cost(self, workflow_id: UUID | None) -> Decimal | None:
        if workflow_id is None:
            return cost_per_outcome(self.month.spend * THOUSAND, self.month.outcomes)
        return next((line.per_thousand for line in self.month.lines if line.workflow.pk == workflow_id), None)

    def _rate(self) -> Decimal | None:
        return outcomes_per_thousand(self.month.spend, self.month.outcomes) if self.month.outcomes else None

    def _worth(self) -> Decimal | None:
        return self.month.worth.value if self.month.worth.ratio is not None else None

    @exactly
    def _used(self) -> Decimal | None:
        key = str(self.account.pk)
        rows = [row for row in commits_then(self.viewer.organization_id, {key: self.today}).get(key, [])
                if row.granted > 0]  # fmt: skip
        granted = sum((row.granted for row in rows), ZERO)
        return sum((row.drawn for row in rows), ZERO) / granted * 100 if granted else None
