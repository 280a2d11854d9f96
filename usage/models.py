"""What happened: meters, workflows, prices, raw events and what the tick and settlement make of them."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from accounts.models import Account, AccountOwned, ApiKey, Organization, OrganizationOwned, currency_code, plain_key
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import OrganizationQuerySet, TenantQuerySet


def quantity_field(**options: Any) -> models.DecimalField:
    """NUMERIC(38, 12), exact. The migrations add a constraint against NaN, which would poison every sum."""
    return models.DecimalField(max_digits=38, decimal_places=12, **options)


def sum_field(**options: Any) -> models.DecimalField:
    """NUMERIC(60, 12): room for the sum of more of the largest quantities than there can be events."""
    return models.DecimalField(max_digits=60, decimal_places=12, **options)


def money_field(**options: Any) -> models.DecimalField:
    """Money in the account's currency; rounded once, at the edge."""
    return models.DecimalField(max_digits=20, decimal_places=6, **options)


class Meter(OrganizationOwned):
    """How events of one type become a quantity. Properties are read from the event's `data` by the names given."""

    class Aggregation(models.TextChoices):
        SUM = "sum", "Sum of a property"
        COUNT = "count", "Number of events"
        MAX = "max", "Greatest value"
        LATEST = "latest", "Latest value"
        UNIQUE = "unique", "Number of different values"

    key = models.CharField(max_length=200, validators=[plain_key])
    name = models.CharField(max_length=100)
    unit = models.CharField(max_length=40, default="unit", help_text="What is counted, in the singular: token, page.")
    event_type = models.CharField(max_length=200)
    aggregation = models.CharField(max_length=10, choices=Aggregation, default=Aggregation.SUM)
    value_property = models.CharField(max_length=100, default="quantity")
    workflow_property = models.CharField(max_length=100, default="workflow")
    success_property = models.CharField(max_length=100, default="success")
    outcome_property = models.CharField(max_length=100, default="outcome")
    attempt_property = models.CharField(max_length=100, default="attempt")
    environment_property = models.CharField(max_length=100, default="environment")
    filters = models.JSONField(default=dict, blank=True)  # {property: [values that count]}
    dimensions = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "id"], name="meter_in_organization"),
            models.UniqueConstraint(fields=["organization", "key"], name="meter_key_once"),
            models.UniqueConstraint(fields=["organization", "event_type"], name="meter_event_type_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Workflow(AccountOwned):
    """One thing a customer does with the product. Made by hand or by the first event that names it."""

    class Stage(models.TextChoices):
        IDEA = "idea", "Idea"
        BUILDING = "building", "Building"
        PILOT = "pilot", "Pilot"
        PRODUCTION = "production", "Production"
        HARDENED = "hardened", "Hardened"
        SCALED = "scaled", "Scaled"

    key = models.CharField(max_length=200)
    name = models.CharField(max_length=200)
    stage = models.CharField(max_length=12, choices=Stage, default=Stage.BUILDING)
    outcome_unit = models.CharField(max_length=40, default="outcome", help_text="In the singular: document, claim.")
    success_target = models.DecimalField(max_digits=5, decimal_places=4, null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "account", "id"], name="workflow_in_account"),
            models.UniqueConstraint(fields=["organization", "account", "key"], name="workflow_key_once"),
            models.CheckConstraint(
                condition=Q(success_target=None) | Q(success_target__gt=0, success_target__lte=1),
                name="workflow_target_is_a_ratio",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("usage:workflow", args=[self.account_id, self.pk])


class Price(models.Model):
    """A flat price per unit from a local day on. With `account` it replaces the organization's for that customer."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, blank=True)
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT)
    currency = models.CharField(max_length=3, validators=[currency_code])
    unit_price = models.DecimalField(max_digits=24, decimal_places=12)
    effective_on = models.DateField()
    created_at = models.DateTimeField(db_default=Now())

    objects = TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "meter", "account", "currency", "effective_on"],
                nulls_distinct=False,
                name="price_once_a_day",
                violation_error_message="This meter already has a price from that day on.",
            ),
            models.CheckConstraint(condition=Q(unit_price__gte=0), name="price_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.unit_price} {self.currency} per unit from {self.effective_on}"


MAX_FAILURES = 3  # attempts to count a batch, then it is set aside


class IngestBatch(models.Model):
    """One accepted request. `sums` is what its new events add to the roll-up; the tick merges it once."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_constraint=False)
    api_key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, null=True, db_constraint=False)
    received_at = models.DateTimeField(db_default=Now())
    events = models.IntegerField()
    sums = models.JSONField()
    rolled_at = models.DateTimeField(null=True)
    failures = models.SmallIntegerField(db_default=0)  # after the third only what cannot be merged is left in `sums`
    error = models.TextField(db_default="", blank=True)

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["organization", "id"], condition=Q(rolled_at=None), name="ingest_batch_waiting"),
            models.Index(fields=["organization", "-received_at"], name="ingest_batch_recent"),
        ]

    def __str__(self) -> str:
        return f"batch {self.pk}"


class EventKey(models.Model):
    """That an event was seen, for ever: a retry with another or no time is still a duplicate."""

    pk = models.CompositePrimaryKey("organization_id", "key")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_constraint=False)
    key = models.UUIDField()  # 128-bit blake2b of source and id
    digest = models.BigIntegerField()  # of the payload, to tell a retry from a collision
    occurred_at = models.DateTimeField()

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        db_table = "usage_event_key"

    def __str__(self) -> str:
        return str(self.key)


class Event(models.Model):
    """One accepted usage event as it came. Partitioned by month of `occurred_at`; never edited."""

    pk = models.CompositePrimaryKey("organization_id", "key", "occurred_at")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_constraint=False)
    key = models.UUIDField()
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()
    batch_id = models.BigIntegerField()
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False)
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, db_constraint=False)
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, null=True, db_constraint=False)
    quantity = quantity_field()
    outcomes = quantity_field(null=True)
    succeeded = models.BooleanField(null=True)
    attempt = models.IntegerField(null=True)
    environment = models.TextField(default="production")
    counted = models.BooleanField(default=True)  # production, and what the meter's filters let through
    value = models.TextField(null=True)  # noqa: DJ001  null: this meter counts no different values
    source = models.TextField()
    event_id = models.TextField()
    properties = models.JSONField()

    objects = TenantQuerySet.as_manager()

    class Meta:
        db_table = "usage_event"

    def __str__(self) -> str:
        return f"{self.source} {self.event_id}"


class QuarantinedEvent(OrganizationOwned):
    """An event that names no known account or meter: kept, not billed, replayed when the cause is fixed."""

    key = models.UUIDField()
    digest = models.BigIntegerField()
    reason = models.CharField(max_length=60)
    detail = models.TextField(blank=True)
    payload = models.JSONField()
    api_key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, null=True, db_constraint=False)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField(db_default=Now())
    replayed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "key"], name="quarantined_event_once")]
        indexes = [models.Index(fields=["organization", "-received_at"], name="quarantined_event_recent")]

    def __str__(self) -> str:
        return f"{self.reason} {self.key}"


class RejectedEvent(OrganizationOwned):
    """An item or request that could not be read: what was wrong and how it began, for its sender to mend."""

    code = models.CharField(max_length=60)
    detail = models.TextField(blank=True)
    pointer = models.CharField(max_length=200, blank=True)
    excerpt = models.TextField(blank=True)
    api_key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, null=True, db_constraint=False)
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["organization", "-received_at"], name="rejected_event_recent")]

    def __str__(self) -> str:
        return f"{self.code} {self.received_at}"


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
    """A local day of the account. `spend` is in the account's currency, null until a price is known."""

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
    spend = money_field()
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

    objects = TenantQuerySet.as_manager()

    class Meta:
        db_table = "usage_touched_day"
        indexes = [models.Index(fields=["organization", "received_at"], name="touched_day_oldest")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.day}"
