"""What an account could do next, what it would bring and cost, and what became of each idea."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import AccountOwned, OrganizationOwned, User
from usage.models import Workflow, money_field


class Candidate(AccountOwned):
    """A workflow an account could bring into production. Internal unless shared. Money is a month, in `currency`.

    `workflow` is set once it stands on the ladder. The value is the customer's estimate of a month; `evidence` is how
    sure it is, 0 to 1.
    """

    class Source(models.TextChoices):
        WHITESPACE = "whitespace", "Similar accounts run it"
        REQUESTED = "requested", "The customer asked"
        STALLED = "stalled", "A pilot that stands still"
        IDEA = "idea", "Our idea"

    class State(models.TextChoices):
        FOUND = "found", "Found"
        PROPOSED = "proposed", "Proposed"
        AGREED = "agreed", "Agreed"
        BUILDING = "building", "Being built"
        WON = "won", "In production"
        LOST = "lost", "Not now"

    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, null=True, blank=True)
    key = models.CharField(max_length=200, blank=True)  # of the workflow that similar accounts run
    title = models.CharField(max_length=200)
    source = models.CharField(max_length=10, choices=Source)
    state = models.CharField(max_length=8, choices=State, default=State.FOUND)
    currency = models.CharField(max_length=3)
    value_a_month = money_field(null=True, blank=True)
    evidence = models.DecimalField(max_digits=3, decimal_places=2, default=0)
    effort_weeks = models.DecimalField(max_digits=5, decimal_places=1, null=True, blank=True)
    obstacles = models.JSONField(default=list)  # what stands in the way, in words
    spend_low = money_field(null=True, blank=True)
    spend_likely = money_field(null=True, blank=True)
    spend_high = money_field(null=True, blank=True)
    outcomes_low = models.DecimalField(max_digits=18, decimal_places=3, null=True, blank=True)
    outcomes_likely = models.DecimalField(max_digits=18, decimal_places=3, null=True, blank=True)
    outcomes_high = models.DecimalField(max_digits=18, decimal_places=3, null=True, blank=True)
    known = models.CharField(max_length=300, blank=True)
    cadence = models.CharField(max_length=60, blank=True)  # how often both sides look at it: "Weekly, Tue"
    quarter = models.DateField(null=True, blank=True)  # the first day of the quarter it is planned for
    owner = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    is_shared = models.BooleanField(default=False)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "account", "workflow"],
                condition=Q(workflow__isnull=False),
                name="candidate_of_workflow_once",
            ),
            models.UniqueConstraint(
                fields=["organization", "account", "key"], condition=~Q(key=""), name="candidate_key_once"
            ),
            models.CheckConstraint(
                condition=Q(evidence__gte=0, evidence__lte=1),
                name="candidate_evidence_is_a_ratio",
                violation_error_message="Evidence is 0 to 100 %.",
            ),
            models.CheckConstraint(
                condition=Q(effort_weeks=None) | Q(effort_weeks__gt=0),
                name="candidate_effort_above_zero",
                violation_error_message="Effort is above zero weeks.",
            ),
            models.CheckConstraint(
                condition=Q(spend_likely=None)
                | Q(spend_low__lte=F("spend_likely"), spend_likely__lte=F("spend_high"), spend_low__gte=0),
                name="candidate_spend_in_order",
                violation_error_message="Give a low, likely and high amount a month, in this order.",
            ),
        ]

    def __str__(self) -> str:
        return self.title


class CandidateStep(AccountOwned):
    """A change of a candidate's state. Rows are only added: the funnel and the win rate are counted from them."""

    candidate = models.ForeignKey(Candidate, on_delete=models.CASCADE, related_name="steps")
    from_state = models.CharField(max_length=8, choices=Candidate.State, blank=True)
    to_state = models.CharField(max_length=8, choices=Candidate.State)
    reason = models.CharField(max_length=300, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"to {self.to_state}"


class ExpansionCapacity(OrganizationOwned):
    """How many weeks of work a person has for bringing workflows into production in a quarter."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    quarter = models.DateField()
    weeks = models.DecimalField(max_digits=5, decimal_places=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "user", "quarter"], name="expansion_capacity_once"),
            models.CheckConstraint(condition=Q(weeks__gte=0, weeks__lte=13), name="expansion_weeks_of_a_quarter"),
        ]

    def __str__(self) -> str:
        return f"{self.weeks} weeks"
