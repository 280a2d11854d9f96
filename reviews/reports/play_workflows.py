"""The figures of single workflows that plays are checked by: reliability, day by day."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import numpy as np

from reviews.calc import production
from reviews.reports.workflow_days import WorkflowDays, workflow_days
from usage.models import Workflow

OF_A_WORKFLOW = ("failing_days", "reliability_gap", "success_percent")


@dataclass(frozen=True, slots=True)
class WorkflowValues:
    """One workflow's own values of `OF_A_WORKFLOW`, one a day, the newest last. `is_live`: it is in production."""

    workflow: Workflow
    is_live: bool
    values: dict[str, list[float | None]]


def workflow_values(organization_id: UUID, today: Mapping[str, date], days: int) -> dict[UUID, list[WorkflowValues]]:
    """Return the workflows of the accounts in `today` with their values of the last `days` days. Three queries."""
    read = workflow_days(organization_id, today)
    ids = [one.workflow_id for rows in read.values() for one in rows if one.workflow_id]
    rows = {row.pk: row for row in Workflow.objects.filter(organization_id=organization_id, pk__in=ids)}
    found: dict[UUID, list[WorkflowValues]] = defaultdict(list)
    for account, flows in read.items():
        for flow in flows:
            if flow.workflow_id in rows:
                found[UUID(account)].append(_values(rows[flow.workflow_id], flow, days))
    return dict(found)


def _values(workflow: Workflow, flow: WorkflowDays, days: int) -> WorkflowValues:
    target = None if flow.success_target is None else float(flow.success_target)
    values: dict[str, list[float | None]] = {name: [] for name in OF_A_WORKFLOW}
    for ago in range(min(days, 28) - 1, -1, -1):
        end = len(flow.finished) - ago
        finished, successes = flow.finished[:end], flow.successes[:end]
        rate = production.success(finished, successes)
        values["success_percent"].append(rate)
        values["reliability_gap"].append(None if rate is None else production.gap(rate, target))
        failing = production.failing_days(finished, successes, target)
        values["failing_days"].append(None if rate is None else float(failing))
    runs = np.where(flow.finished > 0, flow.successes, np.where(flow.spend > 0, flow.events, 0.0))
    is_live = flow.stage in production.LIVE and production.is_in_production(runs)
    return WorkflowValues(workflow, is_live, values)
