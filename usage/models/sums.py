"""The roll-ups that pages read, and the marks that say which days await settlement."""

from django.db import models
from django.db.models.functions import Now

from accounts.models import Account, Organization
from consumption_cs.lib.tenancy import TenantQuerySet
from usage.models.catalog import Meter, Workflow
from usage.models.fields import money_field, sum_field


class UsageSum(models.Model):
    """Base of the roll-ups: what happened to one account, meter, workflow and group in an hour or a day."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_constraint=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False)
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, db_constraint=False)
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, null=True, db_constraint=False)
    group = models.TextField(default="")  # canonical JSON of the meter's dimensions
    quantity = sum_field()
    events = models.BigIntegerField()
    finished = models.BigIntegerField(default=0)  # events that say whether they succeeded
    successes = models.BigIntegerField(default=0)
    outcomes = sum_field(default=0)
    last_event_at = models.DateTimeField()

    objects = TenantQuerySet.as_manager()

    class Meta:
        abstract = True


class UsageHour(UsageSum):
    """An hour [starts_at, +1 h) that begins at a full hour of the account's time zone. A window of 60 days."""

    starts_at = models.DateTimeField()

    class Meta:
        db_table = "usage_hour"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "account", "starts_at", "meter", "workflow", "group"],
                nulls_distinct=False,
                name="usage_hour_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.starts_at:%Y-%m-%d %H}h"


class UsageDay(UsageSum):
    """A local day of the account. `spend` is in the account's currency, null until a price is known.

    The rows of a meter's day add up to its rated day. Late use of a closed period adds a quantity here, and its money
    as an adjustment in the open one.
    """

    day = models.DateField()
    spend = money_field(null=True)

    class Meta:
        db_table = "usage_day"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "account", "day", "meter", "workflow", "group"],
                nulls_distinct=False,
                name="usage_day_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.day}"


class AccountDay(models.Model):
    """A local day of one account in total: what lists of many accounts read."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_constraint=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False)
    day = models.DateField()
    currency = models.CharField(max_length=3)
    spend = money_field()  # rated, and the adjustments booked on this day
    adjustment = money_field(default=0, db_default=0)  # the part of it that belongs to closed periods
    unpriced_events = models.BigIntegerField(default=0)
    events = models.BigIntegerField()
    finished = models.BigIntegerField(default=0)
    successes = models.BigIntegerField(default=0)
    outcomes = sum_field(default=0)
    last_event_at = models.DateTimeField()
    settled_at = models.DateTimeField(db_default=Now())

    objects = TenantQuerySet.as_manager()

    class Meta:
        db_table = "account_day"
        constraints = [
            models.UniqueConstraint(fields=["organization", "account", "day"], name="account_day_once"),
        ]
        indexes = [models.Index(fields=["organization", "day"], name="account_day_by_day")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.day}"


class UniqueValue(models.Model):
    """A value that a unique-count meter has seen in one local month: it counts on the first day it came."""

    pk = models.CompositePrimaryKey("organization_id", "account_id", "meter_id", "month", "value_hash")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_constraint=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False)
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, db_constraint=False)
    month = models.DateField()
    value_hash = models.UUIDField()

    objects = TenantQuerySet.as_manager()

    class Meta:
        db_table = "usage_unique_value"

    def __str__(self) -> str:
        return f"{self.account_id} {self.month}"


class TouchedDay(models.Model):
    """A mark: this account's day changed and awaits settlement."""

    pk = models.CompositePrimaryKey("organization_id", "account_id", "day")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_constraint=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False)
    day = models.DateField()
    received_at = models.DateTimeField()  # of the oldest batch that is not settled yet
    reason = models.TextField(db_default="", blank=True)  # why the money changed, if it was not new use

    objects = TenantQuerySet.as_manager()

    class Meta:
        db_table = "usage_touched_day"
        indexes = [models.Index(fields=["organization", "received_at"], name="touched_day_oldest")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.day}"
