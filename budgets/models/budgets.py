"""What may be spent and who is told when: budgets, their versions and rules, and limits that act."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import AccountOwned, User
from usage.models import Meter, Workflow, money_field


class Budget(AccountOwned):
    """What an account, workflow, meter or key means to spend in each period. Its amount and rules are versions.

    A key, team or release is a value of one of the meters' dimensions. Rows of `usage_day` count that fit all of
    workflow, meter and dimension that are set. A budget made within a period counts what was used before.
    """

    class Scope(models.TextChoices):
        ACCOUNT = "account", "The whole account"
        WORKFLOW = "workflow", "One workflow"
        METER = "meter", "One meter"
        KEY = "key", "One key, team or release"

    class Period(models.TextChoices):
        DAY = "day", "Day"
        MONTH = "month", "Month"
        QUARTER = "quarter", "Quarter"
        YEAR = "year", "Year"
        TERM = "term", "Commit term"
        CUSTOM = "custom", "From and to"

    name = models.CharField(max_length=100)
    scope = models.CharField(max_length=10, choices=Scope, default=Scope.ACCOUNT)
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, null=True, blank=True)
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, null=True, blank=True)
    dimension = models.CharField(max_length=100, blank=True)
    dimension_value = models.CharField(max_length=200, blank=True)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children")
    period = models.CharField(max_length=8, choices=Period, default=Period.MONTH)
    starts_on = models.DateField(null=True, blank=True)  # of a custom period, local days [starts_on, ends_on)
    ends_on = models.DateField(null=True, blank=True)
    by_customer = models.BooleanField(default=False, editable=False)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", editable=False)
    created_at = models.DateTimeField(db_default=Now())
    archived_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "account", "id"], name="budget_in_account"),
            models.CheckConstraint(
                condition=Q(scope="account", workflow=None, meter=None, dimension="")
                | Q(scope="workflow", workflow__isnull=False, meter=None, dimension="")
                | Q(scope="meter", workflow=None, meter__isnull=False, dimension="")
                | Q(scope="key", workflow=None, meter=None) & ~Q(dimension="") & ~Q(dimension_value=""),
                name="budget_scope_names_its_part",
                violation_error_message="Say which workflow, meter or key the budget is for.",
            ),
            models.CheckConstraint(
                condition=Q(period="custom", starts_on__isnull=False, ends_on__gt=F("starts_on"))
                | ~Q(period="custom") & Q(starts_on=None, ends_on=None),
                name="budget_custom_period_has_days",
                violation_error_message="A budget from and to needs both days, the end after the start.",
            ),
            models.CheckConstraint(condition=~Q(parent=F("id")), name="budget_not_its_own_parent"),
        ]
        indexes = [
            models.Index(fields=["organization", "account"], condition=Q(archived_at=None), name="budget_in_force")
        ]

    def __str__(self) -> str:
        return self.name


class BudgetVersion(AccountOwned):
    """The amount of a budget and, with its rules, when to tell. Rows are only added; the highest number holds."""

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="versions")
    number = models.IntegerField()
    amount = money_field()
    currency = models.CharField(max_length=3)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "budget", "number"], name="budget_version_once"),
            models.UniqueConstraint(fields=["organization", "account", "id"], name="budget_version_in_account"),
            models.CheckConstraint(
                condition=Q(amount__gt=0, number__gt=0),
                name="budget_amount_above_zero",
                violation_error_message="A budget needs an amount above zero.",
            ),
        ]

    def __str__(self) -> str:
        return f"version {self.number}"


class BudgetRule(AccountOwned):
    """One threshold of a version: which figure, and the value at which to tell. Rows are only added."""

    class Kind(models.TextChoices):
        ACTUAL_PERCENT = "actual_percent", "Spent so far, percent of the budget"
        ACTUAL_AMOUNT = "actual_amount", "Spent so far, amount"
        FORECAST_OVER = "forecast_over", "Probability of going over, percent"
        FORECAST_P50 = "forecast_p50", "Most likely total, percent of the budget"
        FORECAST_P90 = "forecast_p90", "High total (P90), percent of the budget"
        VELOCITY_FAST = "velocity_fast", "Pace over 1 and 6 hours, times the budget's"
        VELOCITY_SLOW = "velocity_slow", "Pace over 6 hours and 3 days, times the budget's"
        BALANCE_BELOW = "balance_below", "Left on commits, amount"
        DAYS_BELOW = "days_below", "Days until the commits are used up"
        UNDER_USE = "under_use", "Spent so far, percent of a straight line"
        UNIT_COST = "unit_cost", "Cost of one outcome, amount"
        SUCCESS_BELOW = "success_below", "Success rate, percent"
        NEW_SOURCE = "new_source", "First day of a new workflow, amount"

    version = models.ForeignKey(BudgetVersion, on_delete=models.PROTECT, related_name="rules")
    kind = models.CharField(max_length=14, choices=Kind)
    value = money_field()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "version", "kind", "value"], name="budget_rule_once"),
            models.CheckConstraint(
                condition=Q(value__gt=0) | Q(value=0, kind="balance_below"),
                name="budget_rule_above_zero",
                violation_error_message="A threshold must be above zero.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


class Limit(AccountOwned):
    """What happens at a budget's limit, in the customer's words. Rows are only added; the highest number is in force.

    The product decides and tells; the vendor's gateway enforces. It acts `grace_minutes` after the limit amount
    (`percent` of the budget) is reached or as soon as `grace_percent` more of it is spent, whichever comes first.
    """

    class Action(models.TextChoices):
        NOTIFY = "notify", "Notify only"
        THROTTLE = "throttle", "Throttle"
        STOP = "stop", "Stop"

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="limits")
    number = models.IntegerField()
    action = models.CharField(max_length=8, choices=Action, default=Action.NOTIFY)
    percent = models.DecimalField(max_digits=7, decimal_places=2, default=100)
    warn_percent = models.DecimalField(max_digits=5, decimal_places=2, default=85)  # of the limit amount
    grace_minutes = models.IntegerField(default=30)
    grace_percent = models.DecimalField(max_digits=5, decimal_places=2, default=10)
    throttle_percent = models.DecimalField(max_digits=5, decimal_places=2, default=25)  # of the usual pace
    exempt_workflows = ArrayField(models.UUIDField(), default=list, blank=True)
    lift_roles = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    lift_hours = models.IntegerField(default=4)
    is_dry_run = models.BooleanField(default=False)  # tells what it would have done
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    by_customer = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "budget", "number"], name="limit_version_once"),
            models.CheckConstraint(
                condition=Q(percent__gt=0, warn_percent__gt=0, warn_percent__lte=100, throttle_percent__gt=0)
                & Q(throttle_percent__lt=100, lift_hours__gt=0, lift_hours__lte=744),
                name="limit_shares_sane",
            ),
            models.CheckConstraint(
                condition=Q(action="notify")
                | Q(grace_minutes__gte=1, grace_percent__gte=0)
                | Q(grace_minutes__gte=0, grace_percent__gt=0),
                name="limit_has_grace",
                violation_error_message="A limit that throttles or stops needs a grace: minutes, or a percentage.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} at {self.percent} %"


class LimitState(AccountOwned):
    """Where a budget's limit stands in its current period. One row a budget; the log is LimitEvent."""

    class State(models.TextChoices):
        CLEAR = "clear", "Not reached"
        WARNED = "warned", "Close"
        GRACE = "grace", "Reached, in grace"
        ACTING = "acting", "In force"
        LIFTED = "lifted", "Lifted"

    budget = models.OneToOneField(Budget, on_delete=models.PROTECT, related_name="limit_state")
    limit = models.ForeignKey(Limit, on_delete=models.PROTECT)
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    state = models.CharField(max_length=8, choices=State, default=State.CLEAR)
    since = models.DateTimeField()
    used = money_field(default=0)
    reached_at = models.DateTimeField(null=True)
    acts_at = models.DateTimeField(null=True)  # when the grace ends
    lifted_until = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["organization", "acts_at"], name="limit_state_acts")]

    def __str__(self) -> str:
        return self.state


class LimitEvent(AccountOwned):
    """A step of a limit, with who and why. Rows are only added. `kind` is the name of the webhook after `limit.`"""

    class Kind(models.TextChoices):
        WARNED = "warned", "Close to the limit"
        REACHED = "reached", "Limit reached, grace begins"
        ACTING = "acting", "Limit in force"
        WOULD_ACT = "would_act", "Dry run: would be in force"
        LIFTED = "lifted", "Lifted"
        CLEARED = "cleared", "Back below, or a new period"
        TESTED = "tested", "Rehearsal"

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="limit_events")
    limit = models.ForeignKey(Limit, on_delete=models.PROTECT)
    kind = models.CharField(max_length=10, choices=Kind)
    period_start = models.DateTimeField()
    at = models.DateTimeField()
    used = money_field()
    amount = money_field()
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    reason = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["organization", "budget", "-at"], name="limit_event_recent")]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}"
