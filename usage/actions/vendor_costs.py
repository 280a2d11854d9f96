"""Add and remove what a unit costs the vendor. Nothing is rated again: margins are reckoned when they are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import IntegrityError, transaction

from accounts.actions.audit import audit_many
from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from usage.models import Meter, VendorCost, Workflow


class CostTaken(ValueError):
    """There is a cost of that meter from that day on already, for the same customers."""


@dataclass(frozen=True, slots=True)
class NewCost:
    """A cost to add: for a workflow of an account, for an account, or for all that have none of their own.

    `unit_cost` is what one unit of the meter costs, in whole units of `currency`.
    """

    meter: Meter
    account: Account | None
    workflow: Workflow | None
    currency: str
    unit_cost: Decimal
    effective_on: date

    @property
    def series(self) -> tuple[object, ...]:
        """What may be there once: the meter, for whom, the currency and the day."""
        whose = (self.account and self.account.pk, self.workflow and self.workflow.pk)
        return (self.meter.pk, *whose, self.currency, self.effective_on)


def add_costs(viewer: Viewer, new: Sequence[NewCost]) -> list[VendorCost]:
    """Store all of the costs or none. Raises CostTaken."""
    with transaction.atomic():
        rows = [_add(viewer, one) for one in new]
        # The audited thing is the meter, which belongs to no account: customers read the audit log of theirs, and
        # what they cost is not for them to see.
        audit_many(viewer, [("vendor_cost.created", row.meter, _name_of(row), _details(row)) for row in rows])
    return rows


def remove_cost(viewer: Viewer, cost: VendorCost) -> None:
    """Take back a cost, as if it had never been."""
    with transaction.atomic():
        audit_many(viewer, [("vendor_cost.removed", cost.meter, _name_of(cost), _details(cost))])
        cost.delete()


def taken_words(new: NewCost) -> str:
    """Say that there is such a cost already."""
    return f"{new.meter.name} already has a cost in {new.currency} for {_whose(new)} from {new.effective_on} on."


def _add(viewer: Viewer, new: NewCost) -> VendorCost:
    try:
        with transaction.atomic():
            row: VendorCost = VendorCost.objects.create(
                organization_id=viewer.organization_id,
                meter=new.meter,
                account=new.account,
                workflow=new.workflow,
                currency=new.currency,
                unit_cost=new.unit_cost,
                effective_on=new.effective_on,
                created_by_id=viewer.user_id,
            )
            return row
    except IntegrityError as error:
        raise CostTaken(taken_words(new)) from error


def _whose(cost: NewCost | VendorCost) -> str:
    if cost.account is None:
        return "all accounts"
    return f"{cost.account.name}, {cost.workflow.name}" if cost.workflow else cost.account.name


def _name_of(cost: VendorCost) -> str:
    return (
        f"{cost.meter.name}, {_whose(cost)}: {cost.unit_cost.normalize():f} {cost.currency} from {cost.effective_on}"
    )


def _details(cost: VendorCost) -> dict[str, str]:
    return {
        "meter": cost.meter.key,
        "account": cost.account.key if cost.account else "",
        "workflow": cost.workflow.key if cost.workflow else "",
        "currency": cost.currency,
        "unit_cost": f"{cost.unit_cost.normalize():f}",
        "effective_on": cost.effective_on.isoformat(),
    }
