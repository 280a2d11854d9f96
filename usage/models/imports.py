"""Imports of usage from files: the file, its rows as they were read, what was wrong, and what they would change."""

from datetime import date, timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import Account, ApiKey, Organization, OrganizationOwned, User
from consumption_cs.lib.tenancy import OrganizationQuerySet
from usage.models.catalog import Meter
from usage.models.fields import money_field, quantity_field, sum_field


class UsageImport(OrganizationOwned):
    """A file of usage on its way in: nothing of it counts or is seen by customers before it is closed.

    A worker takes it from step to step in short transactions; each writes `position`, from where the next goes on,
    and `heartbeat_at`. With `window_from` the import replaces a window: events of the meter (and accounts, if any
    are named) in [window_from, window_to) that are not in the file are taken back when it is closed.
    """

    class Format(models.TextChoices):
        CSV = "csv", "CSV"
        NDJSON = "ndjson", "NDJSON"
        PARQUET = "parquet", "Parquet"

    class State(models.TextChoices):
        CREATED = "created", "Waiting for the file"
        UPLOADING = "uploading", "Uploading"
        UPLOADED = "uploaded", "Uploaded"
        VALIDATING = "validating", "Being checked"
        READY = "ready", "Ready to close"
        REFUSED = "refused", "Refused"
        CLOSING = "closing", "Closing"
        CLOSED = "closed", "Closed"
        REVERTING = "reverting", "Being reverted"
        REVERTED = "reverted", "Reverted"
        UNDOING = "undoing", "Being undone"
        UNDONE = "undone", "Undone"
        FAILED = "failed", "Failed"

    format = models.CharField(max_length=10, choices=Format)
    state = models.CharField(max_length=12, choices=State, default=State.CREATED)
    file_name = models.CharField(max_length=200, blank=True)
    bytes = models.BigIntegerField(default=0)
    total_bytes = models.BigIntegerField(null=True)  # announced before the upload, or known after it
    columns = models.JSONField(default=dict, blank=True)  # our name of a column → its name in the file
    default_source = models.CharField(max_length=200, default="import")
    may_backfill = models.BooleanField(default=False)
    window_meter = models.ForeignKey(Meter, on_delete=models.PROTECT, null=True, blank=True)
    window_accounts = ArrayField(models.UUIDField(), default=list, blank=True)  # none: every account
    window_from = models.DateTimeField(null=True, blank=True)
    window_to = models.DateTimeField(null=True, blank=True)

    step = models.CharField(max_length=20, blank=True)  # what the worker is at within the state
    position = models.JSONField(default=dict, blank=True)
    rows = models.BigIntegerField(default=0)
    rows_new = models.BigIntegerField(default=0)
    rows_known = models.BigIntegerField(default=0)  # events that came before; they stay as they are
    rows_differing = models.BigIntegerField(default=0)  # of those, the ones that say something else
    rows_repeated = models.BigIntegerField(default=0)  # the same row twice in the file
    rows_bad = models.BigIntegerField(default=0)
    reasons = models.JSONField(default=dict, blank=True)  # code → number of bad rows
    events_voided = models.BigIntegerField(default=0)  # of a replaced window: found in the preview, then done
    done = models.BigIntegerField(default=0)  # progress of the step that runs, out of `todo`
    todo = models.BigIntegerField(default=0)
    leaves_bad_out = models.BooleanField(default=False)
    preview = models.JSONField(default=dict, blank=True)
    problem = models.TextField(blank=True)  # why the file as a whole was refused or failed, and what to do
    reason = models.TextField(blank=True)  # why it was undone
    failures = models.SmallIntegerField(default=0)

    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    api_key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, null=True, related_name="+", db_constraint=False)
    created_at = models.DateTimeField(db_default=Now())
    uploaded_at = models.DateTimeField(null=True)
    step_started_at = models.DateTimeField(null=True)
    validated_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    ended_at = models.DateTimeField(null=True)  # reverted, undone or failed
    heartbeat_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "usage_import"
        constraints = [
            models.UniqueConstraint(fields=["organization", "id"], name="import_in_organization"),
            models.CheckConstraint(
                condition=Q(window_from=None, window_to=None, window_meter=None)
                | Q(window_from__isnull=False, window_meter__isnull=False, window_to__gt=F("window_from")),
                name="import_window_whole",
            ),
        ]
        indexes = [models.Index(fields=["organization", "-created_at"], name="import_recent")]

    def __str__(self) -> str:
        return self.file_name or f"{self.get_format_display()} import"

    @property
    def replaces_window(self) -> bool:
        return self.window_from is not None

    @property
    def broke_off(self) -> bool:
        """Whether it failed while it closed or was undone: part of its events is stored, and none counts."""
        return self.state == self.State.FAILED and self.step != ""

    @property
    def is_working(self) -> bool:
        """Whether a worker has something to do."""
        return self.state in WORKING


WORKING = (
    UsageImport.State.VALIDATING,
    UsageImport.State.CLOSING,
    UsageImport.State.REVERTING,
    UsageImport.State.UNDOING,
)


class ImportPart(models.Model):
    """Base of what belongs to one import and goes with it."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_constraint=False)
    usage_import = models.ForeignKey(UsageImport, on_delete=models.PROTECT, db_constraint=False)

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        abstract = True


class ImportChunk(ImportPart):
    """A mebibyte of the file as it was sent."""

    pk = models.CompositePrimaryKey("organization_id", "usage_import_id", "number")
    number = models.IntegerField()
    data = models.BinaryField()

    class Meta:
        db_table = "usage_import_chunk"

    def __str__(self) -> str:
        return f"chunk {self.number}"


class ImportRow(ImportPart):
    """An event as its row was read, not counted yet. Rows of closed imports stay a while, so that it can be undone."""

    pk = models.CompositePrimaryKey("organization_id", "usage_import_id", "key")
    key = models.UUIDField()
    line = models.BigIntegerField()
    is_known = models.BooleanField()  # the event came before
    digest = models.BigIntegerField()
    occurred_at = models.DateTimeField()
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False)
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, db_constraint=False)
    workflow_key = models.TextField(default="")
    group = models.TextField(default="")
    quantity = quantity_field()
    outcomes = quantity_field(null=True)
    succeeded = models.BooleanField(null=True)
    attempt = models.IntegerField(null=True)
    environment = models.TextField()
    counted = models.BooleanField()
    value = models.TextField(null=True)  # noqa: DJ001  null: this meter counts no different values
    source = models.TextField()
    event_id = models.TextField()
    properties = models.JSONField()

    class Meta:
        db_table = "usage_import_row"
        # By the line first: no plan can take this index to look a key up, as it would while statistics are missing.
        indexes = [models.Index(fields=["line", "usage_import"], name="import_row_in_order")]

    def __str__(self) -> str:
        return f"line {self.line}"


class BadRow(ImportPart):
    """A row that cannot be imported: where, why in words, and how it began. The first 1,000 are kept."""

    pk = models.CompositePrimaryKey("organization_id", "usage_import_id", "line")
    line = models.BigIntegerField()
    code = models.CharField(max_length=60)
    detail = models.TextField()
    excerpt = models.TextField(blank=True)

    class Meta:
        db_table = "usage_import_error"

    def __str__(self) -> str:
        return f"line {self.line}: {self.code}"


class ImportSum(ImportPart):
    """What the new rows of a file, less what a replaced window loses, add to one local day: the preview's base."""

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False)
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, db_constraint=False)
    day = models.DateField()
    workflow_key = models.TextField(default="")
    group = models.TextField(default="")
    rows_new = models.BigIntegerField(default=0)
    rows_known = models.BigIntegerField(default=0)
    rows_voided = models.BigIntegerField(default=0)
    events = models.BigIntegerField(default=0)  # of the new ones, those that are billed
    quantity = sum_field(default=0)  # of the new ones
    voided_events = models.BigIntegerField(default=0)
    voided_quantity = sum_field(default=0)
    last_event_at = models.DateTimeField()

    class Meta:
        db_table = "usage_import_sum"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "usage_import", "account", "meter", "day", "workflow_key", "group"],
                name="import_sum_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.day}"


class ImportChange(ImportPart):
    """The preview of one account and meter: quantity and money of the billing periods touched, now and after."""

    pk = models.CompositePrimaryKey("organization_id", "usage_import_id", "account_id", "meter_id")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False)
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, db_constraint=False)
    currency = models.CharField(max_length=3)
    starts_on = models.DateField()  # the billing periods [starts_on, ends_on) that are compared
    ends_on = models.DateField()
    rows_new = models.BigIntegerField()
    rows_known = models.BigIntegerField()
    rows_voided = models.BigIntegerField()
    quantity_before = sum_field()
    quantity_after = sum_field()
    spend_before = money_field(null=True)  # null: there is no price
    spend_after = money_field(null=True)
    adjustment = money_field(default=0)  # the part of the difference that falls into closed periods

    class Meta:
        db_table = "usage_import_change"

    def __str__(self) -> str:
        return f"{self.account_id} {self.meter_id}"

    @property
    def last_day(self) -> date:
        return self.ends_on - timedelta(days=1)
