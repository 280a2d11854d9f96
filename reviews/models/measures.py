"""What is measured of an account each day: its metrics, its health by a recipe, and early-warning signals."""

from datetime import timedelta

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import Account, AccountOwned, Organization, OrganizationOwned, User
from consumption_cs.lib.tenancy import TenantQuerySet
from usage.models import Workflow


class AccountMetrics(models.Model):
    """The metrics of an account as of the end of a local day; a later look at the same day replaces them.

    `numbers` is {name: number as text}; what is not known is not in it, never zero, and `reasons` says why. `inputs`
    is {name: what it was computed from}. Money is in the account's currency.
    """

    pk = models.CompositePrimaryKey("organization_id", "account_id", "day")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_constraint=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False)
    day = models.DateField()
    numbers = models.JSONField()  # apart from the rest, so that lists of many accounts and days read little
    reasons = models.JSONField(default=dict)
    inputs = models.JSONField(default=dict)
    data_through = models.DateTimeField(null=True)
    computed_at = models.DateTimeField()

    objects = TenantQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["organization", "day"], name="account_metrics_by_day")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.day}"


class HealthRecipe(OrganizationOwned):
    """How health is scored: measures with weights and bands, forced reds, when not to score. Rows are only added.

    `body` is what `reviews.calc.health` reads. One is in force: that with the latest `in_force_from`. A recipe comes
    into force only after a trial on the past.
    """

    number = models.IntegerField()
    body = models.JSONField()
    note = models.TextField(blank=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    in_force_from = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "number"], name="health_recipe_number_once"),
            models.UniqueConstraint(fields=["organization", "in_force_from"], name="health_recipe_in_force_once"),
        ]

    def __str__(self) -> str:
        return f"recipe {self.number}"


class RecipeTrial(OrganizationOwned):
    """A recipe tried on the last twelve months: per measure how often and how early it told what then happened."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    recipe = models.ForeignKey(HealthRecipe, on_delete=models.PROTECT, related_name="trials")
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    done = models.IntegerField(default=0)  # accounts, of `todo`
    todo = models.IntegerField(default=0)
    result = models.JSONField(default=dict)
    problem = models.TextField(blank=True)
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    asked_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["organization", "-asked_at"], name="recipe_trial_recent")]

    def __str__(self) -> str:
        return self.state


class HealthOverride(AccountOwned):
    """A person's word against the score, for at most 30 days, with why."""

    score = models.IntegerField()
    reason = models.TextField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)  # taken back before its end

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(score__gte=0, score__lte=100), name="health_override_a_score"),
            models.CheckConstraint(condition=~Q(reason=""), name="health_override_has_reason"),
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at"), ends_at__lte=F("starts_at") + timedelta(days=30)),
                name="health_override_at_most_30_days",
                violation_error_message="An override lasts at most 30 days.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.score} until {self.ends_at}"


class HealthDay(models.Model):
    """An account's health as of the end of a local day, with the recipe that scored it and each measure's points.

    `score` null: not scored, for `reason`. `parts` is [{"measure", "weight", "score", "points", "value", "reason"}];
    `forced` names the rules that made it red. An override replaces `score` where it is shown, never here.
    """

    pk = models.CompositePrimaryKey("organization_id", "account_id", "day")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_constraint=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False)
    day = models.DateField()
    recipe = models.ForeignKey(HealthRecipe, on_delete=models.PROTECT, db_constraint=False)
    score = models.DecimalField(max_digits=5, decimal_places=2, null=True)
    reason = models.TextField(blank=True)
    parts = models.JSONField(default=list)
    forced = models.JSONField(default=list)
    computed_at = models.DateTimeField()

    objects = TenantQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["organization", "day"], name="health_by_day")]
        constraints = [
            models.CheckConstraint(
                condition=Q(score=None) & ~Q(reason="") | Q(score__gte=0, score__lte=100),
                name="health_score_or_reason",
            )
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.day}"


class Signal(AccountOwned):
    """An early warning with its evidence, open until its condition no longer holds. One of a kind and subject."""

    class Severity(models.TextChoices):
        WATCH = "watch", "Watch"
        WARNING = "warning", "Warning"
        CRITICAL = "critical", "Critical"

    class Feedback(models.TextChoices):
        USEFUL = "useful", "Useful"
        EXPECTED = "expected", "Expected"
        WRONG = "wrong", "Wrong"

    kind = models.CharField(max_length=30)
    subject = models.CharField(max_length=200, blank=True)  # a workflow's or person's id; "": the account
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, null=True)
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.WARNING)
    headline = models.CharField(max_length=300)
    evidence = models.JSONField(default=dict)
    opened_on = models.DateField()  # local day of the account
    opened_at = models.DateTimeField()
    seen_on = models.DateField()  # the last day on which it held
    closed_at = models.DateTimeField(null=True)
    feedback = models.CharField(max_length=8, choices=Feedback, blank=True)
    feedback_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    feedback_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "account", "kind", "subject"],
                condition=Q(closed_at=None),
                name="signal_open_once",
            )
        ]
        indexes = [
            models.Index(fields=["organization", "account", "-opened_at"], name="signal_recent"),
            models.Index(fields=["organization", "kind"], name="signal_by_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} from {self.opened_on}"
