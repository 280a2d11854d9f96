"""What came in: batches, event keys, events, and what was set aside."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import Account, ApiKey, Organization, OrganizationOwned
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import OrganizationQuerySet, TenantQuerySet
from usage.models.catalog import Meter, Workflow
from usage.models.fields import quantity_field

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
    held_for = models.UUIDField(null=True)  # the import that closes, or is undone: its batches count together

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


class Correction(models.Model):
    """That an event was taken back (`void`) or replaced. The event stays; two others count against it and for it."""

    class Kind(models.TextChoices):
        VOID = "void", "Void"
        REPLACE = "replace", "Replace"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_constraint=False, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    original_key = models.UUIDField()  # of the event that is corrected
    original_at = models.DateTimeField()  # when it occurred: finds its partition
    reversal_key = models.UUIDField()  # of the event that counts against it
    replacement_key = models.UUIDField(null=True)  # of the event that counts instead
    replacement_at = models.DateTimeField(null=True)
    reason = models.TextField(blank=True)
    received_at = models.DateTimeField(db_default=Now())

    objects = TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "original_key"], name="event_corrected_once"),
            models.CheckConstraint(
                condition=Q(kind="void", replacement_key=None) | Q(kind="replace", replacement_key__isnull=False),
                name="correction_kind_fits",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "account", "-received_at"], name="correction_recent"),
            models.Index(fields=["organization", "reversal_key"], name="correction_reversal"),
            models.Index(
                fields=["organization", "replacement_key"],
                condition=Q(replacement_key__isnull=False),
                name="correction_replacement",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.original_key}"
