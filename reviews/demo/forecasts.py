"""Forecasts of the demo: those of sixteen weeks rebuilt and judged, plans, scenarios and terms of approval."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from accounts.models import Account, Organization, Role
from budgets.actions.forecast import make_runs
from budgets.actions.forecast_calibration import recalibrate
from budgets.actions.forecast_scores import score_runs
from budgets.actions.planned import NewPlan, plan_activity
from budgets.actions.scenarios import create_scenario, set_approval_terms
from budgets.models import ApprovalTerms, ForecastScore
from consumption_cs.lib.tenancy import Viewer, act_as

WEEKS = 16
# account → days to approve a top-up, and the discount of a commit from an amount on
APPROVAL: dict[str, tuple[int, tuple[tuple[str, str], ...]]] = {
    "northwind": (42, (("150000", "5"), ("250000", "9"))),
    "helios": (30, (("150000", "4"), ("300000", "10"))),
    "vertex": (21, ()),
    "juniper": (60, (("60000", "5"),)),
}
LOAD_TEST_DAYS_AHEAD = 12


def rebuild_forecasts(organization: Organization, now: datetime, after: datetime | None, until: datetime) -> None:
    """Rebuild the weekly forecasts of moments in (`after`, `until`], from what was known then."""
    for weeks in range(WEEKS, 0, -1):
        made_at = now - timedelta(weeks=weeks)
        if (after is None or made_at > after) and made_at <= until:
            make_runs(organization.pk, made_at, rebuilt=True)


def load_forecasts(organization: Organization, told_from: date, now: datetime) -> None:
    """Judge the forecasts of the weeks before, and plan ahead. Once; what is there stays."""
    viewer = Viewer(organization.pk)
    with act_as(viewer):
        is_there = ForecastScore.objects.filter(organization=organization).exists()
        accounts = {account.key: account for account in Account.objects.filter(organization=organization)}
    if is_there:
        return
    score_runs(organization.pk, now)
    recalibrate(organization.pk, now)
    for key, (days, discounts) in APPROVAL.items():
        if key in accounts:
            _load_terms(accounts[key], days, discounts)
    if "northwind" in accounts:  # after the rebuilt runs, which did not know of it
        _load_plans(accounts["northwind"], told_from)


def _manager(account: Account) -> Viewer:
    return Viewer(account.organization_id, None, Role.CSM, account.csm_id)


def _load_terms(account: Account, days: int, discounts: tuple[tuple[str, str], ...]) -> None:
    with act_as(_manager(account)) as viewer:
        if not ApprovalTerms.objects.visible_to(viewer).filter(account=account).exists():
            rows = [{"from": start, "percent": percent} for start, percent in discounts]
            set_approval_terms(viewer, account, days, rows)


def _load_plans(account: Account, told_from: date) -> None:
    """A load test that is coming, and two ways to go on, one of them shown to the customer."""
    starts_on = told_from + timedelta(days=LOAD_TEST_DAYS_AHEAD)
    top_up: dict[str, Any] = {
        "kind": "top_up",
        "amount": "40000",
        "on": (told_from + timedelta(days=60)).isoformat(),
    }
    tuned: dict[str, Any] = {
        "kind": "grow",
        "percent": "-15",
        "from": (told_from + timedelta(days=30)).isoformat(),
    }
    with act_as(_manager(account)) as viewer:
        plan_activity(
            viewer,
            account,
            NewPlan(
                "load_test", "Load test of contract search", starts_on, starts_on + timedelta(days=3), Decimal(1800)
            ),
        )
        create_scenario(viewer, account, "Top up 40,000 in two months", [top_up], shared=True)
        create_scenario(viewer, account, "Tune first", [tuned], shared=False)
