"""Scenarios are made, shared and removed; and the terms under which a customer approves a top-up."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.actions.audit import audit
from accounts.models import Account
from budgets.models import ApprovalTerms, Scenario
from consumption_cs.lib.tenancy import Viewer

MOST = 12


class TooMany(ValueError):
    """An account has as many scenarios as can be compared."""


def create_scenario(
    viewer: Viewer, account: Account, name: str, steps: Sequence[dict[str, Any]], *, shared: bool
) -> Scenario:
    """Store a scenario of the viewer's side. Raises TooMany."""
    with transaction.atomic():
        if Scenario.objects.visible_to(viewer).filter(account=account, removed_at=None).count() >= MOST:
            raise TooMany(f"There are {MOST} scenarios already: remove one first.")
        scenario: Scenario = Scenario.objects.create(
            organization_id=viewer.organization_id,
            account=account,
            name=name,
            steps=list(steps),
            is_shared=shared,
            by_customer=viewer.is_portal,
            created_by_id=viewer.user_id,
        )
        audit(viewer, "scenario.created", scenario, name, {"steps": list(steps), "shared": shared})
    return scenario


def share_scenario(viewer: Viewer, scenario: Scenario, *, shared: bool) -> None:
    """Show it to the other side, or no longer."""
    with transaction.atomic():
        scenario.is_shared = shared
        scenario.save(update_fields=["is_shared"])
        audit(viewer, "scenario.shared" if shared else "scenario.unshared", scenario, scenario.name)


def remove_scenario(viewer: Viewer, scenario: Scenario, now: datetime) -> None:
    """Take it out of the comparison."""
    with transaction.atomic():
        scenario.removed_at = now
        scenario.save(update_fields=["removed_at"])
        audit(viewer, "scenario.removed", scenario, scenario.name)


def set_approval_terms(
    viewer: Viewer, account: Account, approval_days: int, discounts: Sequence[dict[str, str]]
) -> ApprovalTerms:
    """Store how long approval takes, and the discounts of larger commits."""
    with transaction.atomic():
        terms, _ = ApprovalTerms.objects.update_or_create(
            organization_id=viewer.organization_id,
            account=account,
            defaults={"approval_days": approval_days, "discounts": list(discounts)},
        )
        audit(viewer, "approval_terms.changed", terms, account.name, {"approval_days": approval_days})
    found: ApprovalTerms = terms
    return found
