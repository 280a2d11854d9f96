"""What events name, looked up once and remembered for seconds: meters by type, accounts by subject, workflows.

Only hits are remembered, so a new account or meter counts from its first event on. Nothing here says who may do
what: the API key is read from the database at every request.
"""

import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from accounts.models import Account
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.periods import zone_of
from usage.calc.metering import MeterRule, json_text
from usage.models import Meter, Workflow

REMEMBERED_SECONDS = 5.0

WorkflowName = tuple[str, str]  # account id, workflow key


class Directory(msgspec.Struct):
    """The names of one organization, as texts ready to be stored."""

    organization_id: UUID
    good_until: float
    meters: dict[str, MeterRule] = {}
    accounts: dict[str, str] = {}
    zones: dict[str, ZoneInfo] = {}
    workflows: dict[WorkflowName, str] = {}

    def zone_of(self, account_id: str) -> ZoneInfo:
        """The time zone of an account that an event named."""
        return self.zones[account_id]

    def learn(self, event_types: Iterable[str], subjects: Iterable[str]) -> None:
        """Look up those of these names that are not known yet. Inside `act_as`."""
        types = [name for name in set(event_types) if name not in self.meters]
        if types:
            meters = Meter.objects.filter(organization=self.organization_id, event_type__in=types, is_active=True)
            self.meters.update((meter.event_type, rule_of(meter)) for meter in meters)
        keys = [name for name in set(subjects) if name not in self.accounts]
        if keys:
            rows = Account.objects.filter(organization=self.organization_id, key__in=keys)
            for key, account_id, timezone in rows.values_list("key", "id", "timezone"):
                self.zones[str(account_id)] = zone_of(timezone)
                self.accounts[key] = str(account_id)

    def find_or_make(self, names: Iterable[WorkflowName]) -> dict[WorkflowName, str]:
        """The ids of workflows by account and key; a name seen for the first time becomes a workflow.

        The caller remembers them once the transaction has been committed.
        """
        # In one order, so that two batches that bring the same new names never wait for each other in a circle.
        wanted = sorted(set(names))
        Workflow.objects.bulk_create(
            [
                Workflow(id=uuid7(), organization_id=self.organization_id, account_id=account, key=key, name=key)
                for account, key in wanted
            ],
            ignore_conflicts=True,
        )
        rows = Workflow.objects.filter(
            organization=self.organization_id,
            account__in={account for account, _ in wanted},
            key__in={key for _, key in wanted},
        )
        return {(str(account), key): str(pk) for account, key, pk in rows.values_list("account", "key", "id")}


_directories: dict[UUID, Directory] = {}


def directory_of(organization_id: UUID) -> Directory:
    """The names of an organization that this process remembers."""
    now = time.monotonic()
    known = _directories.get(organization_id)
    if known is None or known.good_until < now:
        known = Directory(organization_id, now + REMEMBERED_SECONDS, {}, {}, {}, {})
        _directories[organization_id] = known
    return known


def forget_directories() -> None:
    """Look everything up anew: for tests, and for whoever just changed a meter and shows the effect."""
    _directories.clear()


def rule_of(meter: Meter) -> MeterRule:
    """A meter as the arithmetic needs it."""
    return MeterRule(
        id=str(meter.pk),
        aggregation=meter.aggregation,
        value_property=meter.value_property,
        workflow_property=meter.workflow_property,
        success_property=meter.success_property,
        outcome_property=meter.outcome_property,
        attempt_property=meter.attempt_property,
        environment_property=meter.environment_property,
        filters={name: frozenset(map(json_text, _as_list(allowed))) for name, allowed in meter.filters.items()},
        dimensions=tuple(sorted(meter.dimensions)),
    )


def _as_list(allowed: Any) -> list[Any]:
    return allowed if isinstance(allowed, list) else [allowed]
