"""What will happen, as it was told at the time: forecast runs, their scores, planned activities and scenarios."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import AccountOwned, OrganizationOwned, User
from budgets.models.contracts import Contract
from usage.models import Meter, money_field


class ForecastRun(AccountOwned):
    """One forecast of an account's spend and of the day its commits run out. Rows are only added.

    `as_of` is the first local day that was not known (today when it was made). `spend` holds P10, P50 and P90 of the
    cumulative spend after 1..n days from `as_of` on, in the account's currency: floats, since they are estimates.
    A date that is null means "not within the days looked at"; `p_exhausted` is the probability before the term ends.
    """

    class Cause(models.TextChoices):
        NIGHTLY = "nightly", "Nightly"
        MOVED = "moved", "Usage moved it"
        CHANGED = "changed", "A commit, price or plan changed"

    class Basis(models.TextChoices):
        MODEL = "model", "The model"
        NAIVE = "naive", "A plain average: fewer than 14 days are known"
        NONE = "none", "Nothing is known yet"

    as_of = models.DateField()
    made_at = models.DateTimeField()
    cause = models.CharField(max_length=10, choices=Cause, default=Cause.NIGHTLY)
    basis = models.CharField(max_length=10, choices=Basis)
    inputs_hash = models.CharField(max_length=64)
    currency = models.CharField(max_length=3)
    spend_p10 = ArrayField(models.FloatField())
    spend_p50 = ArrayField(models.FloatField())
    spend_p90 = ArrayField(models.FloatField())
    burn_rate = money_field(null=True)  # per day, metric 8
    remaining = money_field(null=True)  # of all commits in force; null: none
    term_ends_on = models.DateField(null=True)
    exhausted_on = models.DateField(null=True)  # it has happened already
    exhaust_p10 = models.DateField(null=True)  # the early date
    exhaust_p50 = models.DateField(null=True)
    exhaust_p90 = models.DateField(null=True)
    p_exhausted = models.FloatField(null=True)
    overage_p10 = money_field(null=True)  # until the term ends, at the contract rate
    overage_mean = money_field(null=True)
    overage_p90 = money_field(null=True)
    unused_p10 = money_field(null=True)
    unused_mean = money_field(null=True)
    unused_p90 = money_field(null=True)
    straight_on = models.DateField(null=True)  # where the straight line of the current burn reaches zero
    period_ends_on = models.DateField(null=True)
    period_p10 = money_field(null=True)  # spend of the open billing period at its end
    period_p50 = money_field(null=True)
    period_p90 = money_field(null=True)
    period_straight = money_field(null=True)
    commits = models.JSONField(default=list)  # [{id, name, kind, left, expires_on, empty_p50}] in drawing order
    details = models.JSONField(default=dict)  # planned activities, price changes and widening that bent it

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "account", "id"], name="forecast_run_in_account"),
            models.UniqueConstraint(fields=["organization", "account", "made_at"], name="forecast_run_once"),
            models.CheckConstraint(
                condition=Q(p_exhausted=None) | Q(p_exhausted__gte=0, p_exhausted__lte=1),
                name="forecast_probability_is_a_share",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "account", "-as_of", "-made_at"], name="forecast_latest"),
            models.Index(fields=["organization", "as_of"], name="forecast_by_day"),
        ]

    def __str__(self) -> str:
        return f"forecast of {self.account_id} on {self.as_of}"


class ForecastScore(AccountOwned):
    """What a run said about spend after `days` (or, with 0, about the run-out date in days) and what happened."""

    run = models.ForeignKey(ForecastRun, on_delete=models.PROTECT, related_name="scores")
    days = models.SmallIntegerField()
    as_of = models.DateField()
    p10 = models.FloatField()
    p50 = models.FloatField()
    p90 = models.FloatField()
    actual = models.FloatField()
    scored_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "run", "days"], name="forecast_scored_once"),
        ]
        indexes = [models.Index(fields=["organization", "days", "as_of"], name="forecast_score_by_day")]

    def __str__(self) -> str:
        return f"{self.days} days from {self.as_of}"


class ForecastCalibration(OrganizationOwned):
    """How much wider (above 1) or narrower the intervals of an organization are made, from realised coverage."""

    made_at = models.DateTimeField()
    widen_low = models.FloatField(default=1)
    widen_high = models.FloatField(default=1)
    coverage = models.FloatField(null=True)  # realised, before; null: too few scores
    scores = models.IntegerField(default=0)
    accounts = models.JSONField(default=dict, db_default={})  # {account: factor on top of both}, for those with scores
    holiday_effect = models.FloatField(default=1, db_default=1)  # share of a usual day that accounts use on a holiday
    holiday_worth = models.FloatField(default=8, db_default=8)  # how many holidays of an account that is worth

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(widen_low__gt=0, widen_high__gt=0), name="calibration_keeps_the_interval"
            )
        ]
        indexes = [models.Index(fields=["organization", "-made_at"], name="calibration_latest")]

    def __str__(self) -> str:
        return f"{self.widen_low}, {self.widen_high}"


class PlannedActivity(AccountOwned):
    """Something out of the ordinary on local days [starts_on, ends_on) that the customer or the vendor expects."""

    class Kind(models.TextChoices):
        LAUNCH = "launch", "Launch"
        BACKFILL = "backfill", "Backfill"
        LOAD_TEST = "load_test", "Load test"
        HOLIDAY = "holiday", "Holiday"
        OTHER = "other", "Something else"

    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=100)
    starts_on = models.DateField()
    ends_on = models.DateField(help_text="The first day after it.")
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, null=True, blank=True)
    extra_spend = money_field(
        null=True, blank=True, help_text="Expected in total on top of usual use; may be below 0."
    )
    change_percent = models.DecimalField(
        max_digits=7, decimal_places=2, null=True, blank=True, help_text="Usual daily use, changed by this percentage."
    )
    mutes = models.BooleanField(default=True, help_text="No alarm about unusual use while it lasts.")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", editable=False)
    by_customer = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(db_default=Now())
    cancelled_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_on__gt=F("starts_on")),
                name="planned_activity_forward",
                violation_error_message="It must end after it starts.",
            ),
            models.CheckConstraint(
                condition=Q(extra_spend=None) | Q(change_percent=None),
                name="planned_activity_one_effect",
                violation_error_message="Give an amount or a percentage, not both.",
            ),
            models.CheckConstraint(
                condition=Q(change_percent=None) | Q(change_percent__gte=-100, change_percent__lte=10000),
                name="planned_activity_percent_sane",
                violation_error_message="Usage can fall by 100 % at most, and grow by 10,000 %.",
            ),
        ]
        indexes = [models.Index(fields=["organization", "account", "starts_on"], name="planned_activity_by_day")]

    def __str__(self) -> str:
        return self.name


class Scenario(AccountOwned):
    """A "what if" of the top-up planner: steps as budgets.calc.scenarios reads them, shared by choice."""

    name = models.CharField(max_length=100)
    contract = models.ForeignKey(Contract, on_delete=models.PROTECT, null=True, blank=True)
    steps = models.JSONField(default=list)
    is_shared = models.BooleanField(default=False)  # with the other side: staff's with the customer
    by_customer = models.BooleanField(default=False, editable=False)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", editable=False)
    created_at = models.DateTimeField(db_default=Now())
    removed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        indexes = [models.Index(fields=["organization", "account", "created_at"], name="scenario_by_account")]

    def __str__(self) -> str:
        return self.name


class ApprovalTerms(AccountOwned):
    """How long a customer needs to approve a top-up, and the discounts a larger commit would bring."""

    approval_days = models.SmallIntegerField(default=42)
    discounts = models.JSONField(default=list)  # [{"from": "100000", "percent": "5"}], ascending

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "account"], name="approval_terms_once"),
            models.CheckConstraint(
                condition=Q(approval_days__gte=0, approval_days__lte=365),
                name="approval_days_sane",
                violation_error_message="Approval takes 0 to 365 days.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.approval_days} days"
