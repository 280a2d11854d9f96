"""The adoption plan that both sides work from: objectives bound to metrics, milestones, comments, and shared links."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import AccountOwned, OrganizationOwned, User
from usage.models import Workflow


class AdoptionPlan(AccountOwned):
    """What an account wants to reach in [starts_on, ends_on). One is active at a time; `version` counts changes."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        ACTIVE = "active", "Active"
        CLOSED = "closed", "Closed"

    title = models.CharField(max_length=120)
    starts_on = models.DateField()
    ends_on = models.DateField()
    state = models.CharField(max_length=6, choices=State, default=State.DRAFT)
    version = models.IntegerField(default=1)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    changed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    changed_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_on__gt=F("starts_on")),
                name="plan_forward",
                violation_error_message="The plan must end after it starts.",
            ),
            models.UniqueConstraint(
                fields=["organization", "account"], condition=Q(state="active"), name="plan_active_once"
            ),
        ]

    def __str__(self) -> str:
        return self.title


class Objective(AccountOwned):
    """A success criterion: `metric` (a name of reviews.calc.objectives.MEASURES) reaches `target` by `due_on`.

    `start_value` is the measure when it was set; a target below it is one to come down to. Both are in the measure's
    unit, null start: not measured then. An objective without a metric is ticked by a person.
    """

    plan = models.ForeignKey(AdoptionPlan, on_delete=models.CASCADE, related_name="objectives")
    title = models.CharField(max_length=200)
    metric = models.CharField(max_length=40, blank=True)
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, null=True, blank=True)
    start_value = models.DecimalField(max_digits=18, decimal_places=6, null=True, blank=True)
    target = models.DecimalField(max_digits=18, decimal_places=6, null=True, blank=True)
    starts_on = models.DateField()
    due_on = models.DateField()
    our_owner = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    their_owner = models.CharField(max_length=150, blank=True)
    is_shared = models.BooleanField(default=True)
    position = models.SmallIntegerField(default=0)
    done_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(metric="") | Q(target__isnull=False),
                name="objective_has_target",
                violation_error_message="An objective that is measured needs its target.",
            ),
            models.CheckConstraint(condition=Q(due_on__gte=F("starts_on")), name="objective_forward"),
        ]

    def __str__(self) -> str:
        return self.title


class Milestone(AccountOwned):
    """A step with a date and owners. `condition` lets data tick it: {kind, need} of reviews.calc.milestones.KINDS.

    `first_due_on` is the date first agreed: timeliness is judged by it. Internal ones never reach the customer.
    """

    class Side(models.TextChoices):
        US = "us", "We do it"
        CUSTOMER = "customer", "The customer does it"
        BOTH = "both", "Together"

    plan = models.ForeignKey(AdoptionPlan, on_delete=models.CASCADE, related_name="milestones")
    objective = models.ForeignKey(Objective, on_delete=models.SET_NULL, null=True, blank=True)
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, null=True, blank=True)
    title = models.CharField(max_length=200)
    detail = models.TextField(blank=True)
    side = models.CharField(max_length=8, choices=Side, default=Side.BOTH)
    our_owner = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    their_owner = models.CharField(max_length=150, blank=True)
    due_on = models.DateField()
    first_due_on = models.DateField()
    moved_because = models.CharField(max_length=300, blank=True)
    waits_for = models.ManyToManyField("self", symmetrical=False, through="MilestoneNeed")
    condition = models.JSONField(null=True, blank=True)
    is_shared = models.BooleanField(default=True)
    internal_because = models.CharField(max_length=200, blank=True)
    done_at = models.DateTimeField(null=True)
    done_on = models.DateField(null=True)  # the local day on which it was reached
    done_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")  # null with done_at: data
    removed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(done_at=None, done_on=None) | Q(done_at__isnull=False, done_on__isnull=False),
                name="milestone_done_on_a_day",
            )
        ]
        indexes = [models.Index(fields=["organization", "account", "due_on"], name="milestone_due")]

    def __str__(self) -> str:
        return self.title


class MilestoneNeed(AccountOwned):
    """That a milestone can only be reached after another."""

    milestone = models.ForeignKey(Milestone, on_delete=models.CASCADE, related_name="needs")
    needs = models.ForeignKey(Milestone, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "milestone", "needs"], name="milestone_need_once"),
            models.CheckConstraint(condition=~Q(milestone=F("needs")), name="milestone_needs_another"),
        ]

    def __str__(self) -> str:
        return f"{self.milestone_id} after {self.needs_id}"


class PlanComment(AccountOwned):
    """What somebody of either side said about a plan or one of its milestones. Only shared ones reach the customer."""

    plan = models.ForeignKey(AdoptionPlan, on_delete=models.CASCADE)
    milestone = models.ForeignKey(Milestone, on_delete=models.CASCADE, null=True, blank=True)
    text = models.TextField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    is_shared = models.BooleanField(default=True)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(text=""), name="plan_comment_says_something")]

    def __str__(self) -> str:
        return self.text[:40]


class PlanLink(AccountOwned):
    """A secret address at which the shared part of a plan can be read without signing in, until it expires."""

    plan = models.ForeignKey(AdoptionPlan, on_delete=models.CASCADE)
    token_hash = models.CharField(max_length=64, unique=True)
    passcode = models.CharField(max_length=200, blank=True)  # hashed like a password; empty: none is asked
    expires_at = models.DateTimeField()
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    made_at = models.DateTimeField(db_default=Now())
    revoked_at = models.DateTimeField(null=True)
    opened = models.IntegerField(default=0)
    last_opened_at = models.DateTimeField(null=True)
    failures = models.IntegerField(default=0)  # wrong passcodes in a row; ten end the link

    def __str__(self) -> str:
        return f"until {self.expires_at}"


class PlanTemplate(OrganizationOwned):
    """A plan to begin with, for a segment or for any. `body`: {objectives: [...], milestones: [...]} in days from the
    start, as reviews.calc.plan_templates reads them."""

    name = models.CharField(max_length=120)
    segment = models.CharField(max_length=20, blank=True)  # of Account.Segment; empty: any
    body = models.JSONField()
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "name"], name="plan_template_once")]

    def __str__(self) -> str:
        return self.name
