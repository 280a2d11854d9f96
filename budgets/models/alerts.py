"""What went out of the ordinary and who deals with it: anomalies, alerts, their log, and credits for spikes."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import AccountOwned, User
from budgets.models.budgets import Budget, BudgetVersion
from budgets.models.contracts import Commit
from budgets.models.forecasts import PlannedActivity
from usage.models import Workflow, money_field


class Anomaly(AccountOwned):
    """A stretch of unusual usage of an account or of one workflow, as the detector saw it. Told or not.

    `expected` and `actual` are money of [started_at, seen_until) at the account's rates; `impact` is their difference
    (below zero for silence).
    """

    class Kind(models.TextChoices):
        SPIKE = "spike", "Spike"
        STEP = "step", "Step up"
        LEAK = "leak", "Slow leak"
        SILENCE = "silence", "Silence"

    kind = models.CharField(max_length=8, choices=Kind)
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, null=True)
    started_at = models.DateTimeField()
    detected_at = models.DateTimeField()
    seen_until = models.DateTimeField()  # end of the last hour that was out of the ordinary
    ended_at = models.DateTimeField(null=True)  # after 24 hours without
    window_hours = models.IntegerField()
    score = models.FloatField()
    expected = money_field()
    actual = money_field()
    impact = money_field()
    muted_by = models.ForeignKey(PlannedActivity, on_delete=models.PROTECT, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "account", "id"], name="anomaly_in_account"),
            models.UniqueConstraint(
                fields=["organization", "account", "workflow", "kind", "started_at"],
                nulls_distinct=False,
                name="anomaly_once",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "account", "-started_at"], name="anomaly_recent"),
            models.Index(fields=["organization"], condition=Q(ended_at=None), name="anomaly_open"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} from {self.started_at}"


class AlertTerms(AccountOwned):
    """What an account wants of its alarms: the least impact worth telling, and when silence escalates."""

    least_impact = money_field(default=100)
    least_percent_of_week = models.DecimalField(max_digits=5, decimal_places=2, default=10)
    escalate_minutes = models.IntegerField(default=240)
    detects = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "account"], name="alert_terms_once"),
            models.CheckConstraint(
                condition=Q(least_impact__gte=0, escalate_minutes__gte=5, escalate_minutes__lte=10080),
                name="alert_terms_sane",
                violation_error_message="Escalate after 5 minutes to 7 days.",
            ),
        ]

    def __str__(self) -> str:
        return f"from {self.least_impact}"


class Alert(AccountOwned):
    """Something that somebody must know, with the numbers it was raised on, which never change.

    `crossing` names what was crossed and makes it unique: budget, version, period, kind and threshold; or the
    anomaly; or the limit's step. `is_silent`: recorded but not told (carried over by an edit, or below a higher
    threshold that was crossed at once).
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        SNOOZED = "snoozed", "Snoozed"
        RESOLVED = "resolved", "Resolved"

    class Severity(models.TextChoices):
        INFO = "info", "For information"
        WARNING = "warning", "Warning"
        CRITICAL = "critical", "Critical"

    class Feedback(models.TextChoices):
        USEFUL = "useful", "Useful"
        EXPECTED = "expected", "Expected"
        WRONG = "wrong", "Wrong"

    number = models.IntegerField()  # counts up within the account
    kind = models.CharField(max_length=20)  # a BudgetRule.Kind, an Anomaly.Kind, or limit_<LimitEvent.Kind>
    crossing = models.CharField(max_length=200)
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.WARNING)
    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, null=True, related_name="alerts")
    version = models.ForeignKey(BudgetVersion, on_delete=models.PROTECT, null=True)
    anomaly = models.OneToOneField(Anomaly, on_delete=models.PROTECT, null=True, related_name="alert")
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, null=True)
    threshold = money_field(null=True)
    period_start = models.DateTimeField(null=True)
    period_end = models.DateTimeField(null=True)
    headline = models.CharField(max_length=300)  # a sentence for people, no HTML
    numbers = models.JSONField(default=dict)  # {name: decimal as text}, frozen
    cause = models.JSONField(null=True)  # the cause card, frozen when it was made
    is_silent = models.BooleanField(default=False)
    accepted_at = models.DateTimeField(null=True)  # of the oldest event that had not been settled
    raised_at = models.DateTimeField()
    data_through = models.DateTimeField(null=True)
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    bundled_into = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="bundled")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    assigned_to = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    snoozed_until = models.DateTimeField(null=True)
    escalates_at = models.DateTimeField(null=True)  # null: never, or done
    escalated_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    recovered_at = models.DateTimeField(null=True)  # the figure went back by itself
    feedback = models.CharField(max_length=8, choices=Feedback, blank=True)
    feedback_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    feedback_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "account", "id"], name="alert_in_account"),
            models.UniqueConstraint(fields=["organization", "account", "crossing"], name="alert_once"),
            models.UniqueConstraint(fields=["organization", "account", "number"], name="alert_number_once"),
            models.CheckConstraint(
                condition=~Q(state="resolved") | Q(resolved_at__isnull=False), name="alert_resolved_at_a_time"
            ),
            models.CheckConstraint(
                condition=~Q(state="snoozed") | Q(snoozed_until__isnull=False), name="alert_snoozed_until_a_time"
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "account", "-raised_at"], name="alert_recent"),
            models.Index(fields=["organization", "-raised_at"], name="alert_recent_all"),
            models.Index(fields=["organization", "escalates_at"], name="alert_escalates"),
            models.Index(fields=["organization", "budget"], name="alert_of_budget"),
        ]

    def __str__(self) -> str:
        return f"alert {self.number}"


class AlertEvent(AccountOwned):
    """What happened to an alert, by whom. Rows are only added. Internal ones are never shown to the customer."""

    class Kind(models.TextChoices):
        RAISED = "raised", "Raised"
        TOLD = "told", "Told"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        SNOOZED = "snoozed", "Snoozed"
        WOKEN = "woken", "Snooze ended"
        ASSIGNED = "assigned", "Assigned"
        COMMENTED = "commented", "Comment"
        ESCALATED = "escalated", "Escalated"
        BUNDLED = "bundled", "Bundled"
        ANNOTATED = "annotated", "Numbers changed later"
        RECOVERED = "recovered", "Recovered"
        RESOLVED = "resolved", "Resolved"
        REOPENED = "reopened", "Opened again"
        FEEDBACK = "feedback", "Judged"

    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="events")
    kind = models.CharField(max_length=12, choices=Kind)
    at = models.DateTimeField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    text = models.TextField(blank=True)
    is_internal = models.BooleanField(default=False)

    class Meta:
        indexes = [models.Index(fields=["organization", "alert", "at"], name="alert_event_in_order")]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}"


class Forgiveness(AccountOwned):
    """A credit for a spike: asked for, decided, booked. The amount is price(actual) − price(baseline)."""

    class State(models.TextChoices):
        REQUESTED = "requested", "Requested"
        APPROVED = "approved", "Approved and booked"
        DECLINED = "declined", "Declined"

    alert = models.OneToOneField(Alert, on_delete=models.PROTECT, related_name="forgiveness")
    amount = money_field()
    currency = models.CharField(max_length=3)
    working = models.JSONField(default=dict)  # per meter: actual, baseline, price of each, through the tiers
    state = models.CharField(max_length=10, choices=State, default=State.REQUESTED)
    reason = models.TextField()
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    requested_at = models.DateTimeField(db_default=Now())
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    answer = models.TextField(blank=True)
    commit = models.ForeignKey(Commit, on_delete=models.PROTECT, null=True)  # the credit in the ledger
    is_excused = models.BooleanField(default=True)  # the spike is left out of retention

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="forgiveness_above_zero"),
            models.CheckConstraint(
                condition=Q(state="requested", decided_at=None) | ~Q(state="requested") & Q(decided_at__isnull=False),
                name="forgiveness_decided_at_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(state="approved") | Q(commit__isnull=False), name="forgiveness_approved_is_booked"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"
