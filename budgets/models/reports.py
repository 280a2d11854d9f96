"""Files for finance: reports that a worker makes, monthly subscriptions to them, and secret calendar addresses."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import Account, Organization, User
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import TenantQuerySet


class Report(models.Model):
    """A file asked for: one account's or, without, the whole organization's. The same as-of gives the same bytes."""

    class Kind(models.TextChoices):
        BURNDOWN = "burndown", "Commit burndown"
        ROLL_FORWARD = "roll_forward", "Roll-forward"
        EXPOSURE = "exposure", "Exposure: overage and breakage by month"
        ACCURACY = "accuracy", "Forecast accuracy"

    class Format(models.TextChoices):
        XLSX = "xlsx", "Workbook (XLSX)"
        CSV = "csv", "CSV"
        PDF = "pdf", "PDF"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Being made"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, blank=True, editable=False)
    kind = models.CharField(max_length=14, choices=Kind)
    format = models.CharField(max_length=4, choices=Format)
    as_of = models.DateTimeField()  # what was booked and forecast until then
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    done = models.IntegerField(default=0)
    total = models.IntegerField(default=0)
    tries = models.SmallIntegerField(default=0, db_default=0)  # since it last came further
    error = models.TextField(blank=True)
    file_name = models.CharField(max_length=200, blank=True)
    content = models.BinaryField(null=True, editable=False)
    sha256 = models.CharField(max_length=64, blank=True)
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    subscription = models.ForeignKey("ReportSubscription", on_delete=models.PROTECT, null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    heartbeat_at = models.DateTimeField(null=True)
    ready_at = models.DateTimeField(null=True)
    mailed_at = models.DateTimeField(null=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(state="ready") | Q(content__isnull=False) & ~Q(sha256=""), name="report_ready_has_content"
            ),
            models.UniqueConstraint(
                fields=["organization", "subscription", "as_of"],
                condition=Q(subscription__isnull=False),
                name="report_once_a_month",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-created_at"], name="report_recent"),
            models.Index(fields=["organization", "state"], name="report_open", condition=~Q(state="ready")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.format} as of {self.as_of}"


class ReportSubscription(models.Model):
    """A report sent to one person every month, on a day of the organization's or account's calendar."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, blank=True, editable=False)
    kind = models.CharField(max_length=14, choices=Report.Kind)
    format = models.CharField(max_length=4, choices=Report.Format)
    day_of_month = models.SmallIntegerField(default=3)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    next_at = models.DateTimeField()
    paused_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    objects = TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "account", "kind", "format", "user"],
                condition=Q(ended_at=None),
                nulls_distinct=False,
                name="report_subscription_once",
                violation_error_message="You get this report already.",
            ),
            models.CheckConstraint(
                condition=Q(day_of_month__gte=1, day_of_month__lte=31),
                name="report_subscription_day_of_a_month",
                violation_error_message="Choose a day of the month: 1 to 31.",
            ),
        ]
        indexes = [models.Index(fields=["organization", "next_at"], name="report_subscription_due")]

    def __str__(self) -> str:
        return f"{self.kind} monthly"


class CalendarFeed(models.Model):
    """A secret address under which a calendar program reads run-out dates; it can be revoked, not shown again."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, blank=True, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    token_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())
    revoked_at = models.DateTimeField(null=True)
    last_read_at = models.DateTimeField(null=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "token_hash"], name="calendar_feed_token_once"),
        ]

    def __str__(self) -> str:
        return f"calendar of {self.user_id}"
