"""What people say about renewals and losses, what was proposed to save, and the hours a team has."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import AccountOwned, OrganizationOwned, User
from usage.models import Workflow, money_field


class RenewalCall(AccountOwned):
    """A person's opinion on a renewal or run-out. Rows are only added; the last counts, a final one settles it."""

    class Opinion(models.TextChoices):
        GROW = "grow", "Grow"
        FLAT = "flat", "Flat"
        AT_RISK = "at_risk", "At risk"

    term_ends_on = models.DateField()
    opinion = models.CharField(max_length=8, choices=Opinion)
    is_final = models.BooleanField(default=False)
    reason = models.TextField(blank=True)
    automated = models.CharField(max_length=8, choices=Opinion, blank=True)  # what the data said at that time
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(is_final=False) | ~Q(reason=""),
                name="final_call_has_reason",
                violation_error_message="A final call needs its reason.",
            )
        ]
        indexes = [models.Index(fields=["organization", "account", "-at"], name="renewal_call_recent")]

    def __str__(self) -> str:
        return f"{self.opinion} at {self.at}"


class LossEvidence(AccountOwned):
    """Why an account spends less, with who approved it: without it a loss is unexplained."""

    class Kind(models.TextChoices):
        ASSISTED = "assisted", "We helped them spend less"
        EXCUSED = "excused", "A spike that was credited"
        PRICE = "price", "A lower price"
        CHURN = "churn", "Notice given"
        MERGED = "merged", "Merged into another account"

    kind = models.CharField(max_length=8, choices=Kind)
    starts_on = models.DateField()  # local days [starts_on, ends_on) in which it explains a difference
    ends_on = models.DateField(null=True, blank=True)
    amount_a_month = money_field(null=True, blank=True)  # null: all of it
    currency = models.CharField(max_length=3)
    note = models.TextField()
    entered_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    entered_at = models.DateTimeField(db_default=Now())
    approved_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    approved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_on=None) | Q(ends_on__gt=F("starts_on")),
                name="loss_evidence_forward",
                violation_error_message="It must end after it starts.",
            ),
            models.CheckConstraint(
                condition=Q(amount_a_month=None) | Q(amount_a_month__gt=0),
                name="loss_evidence_above_zero",
                violation_error_message="Say how much less a month, above zero.",
            ),
            models.CheckConstraint(condition=~Q(note=""), name="loss_evidence_has_note"),
        ]
        indexes = [models.Index(fields=["organization", "account"], name="loss_evidence_of_account")]

    def __str__(self) -> str:
        return f"{self.kind} from {self.starts_on}"


class CostProposal(AccountOwned):
    """A way to spend less for the same: money, effort and trade-off. Done ones are proved before against after."""

    class State(models.TextChoices):
        PROPOSED = "proposed", "Proposed"
        ACCEPTED = "accepted", "Accepted"
        DONE = "done", "Done"
        DECLINED = "declined", "Declined"

    class Effort(models.TextChoices):
        HOURS = "hours", "Hours"
        DAYS = "days", "Days"
        WEEKS = "weeks", "Weeks"

    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, null=True)
    title = models.CharField(max_length=200)
    detail = models.TextField(blank=True)
    saving_a_month = money_field()
    currency = models.CharField(max_length=3)
    effort = models.CharField(max_length=6, choices=Effort, default=Effort.DAYS)
    trade_off = models.TextField(blank=True)
    evidence = models.JSONField(default=dict)
    is_shared = models.BooleanField(default=False)
    state = models.CharField(max_length=8, choices=State, default=State.PROPOSED)
    done_on = models.DateField(null=True)  # the local day from which the change works: before against after
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(saving_a_month__gt=0), name="cost_proposal_saves"),
            models.CheckConstraint(
                condition=~Q(state="done") | Q(done_on__isnull=False), name="cost_proposal_done_on_a_day"
            ),
        ]

    def __str__(self) -> str:
        return self.title


class StaffHours(OrganizationOwned):
    """The hours a week that a person has for their accounts."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    hours_a_week = models.DecimalField(max_digits=5, decimal_places=2)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="staff_hours_once"),
            models.CheckConstraint(
                condition=Q(hours_a_week__gte=0, hours_a_week__lte=80),
                name="staff_hours_of_a_week",
                violation_error_message="Hours a week are 0 to 80.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.hours_a_week} h"


class BookTerms(OrganizationOwned):
    """What an organization asks of its team: hours a week by tier and open play, days between reviews, targets."""

    tier_hours = models.JSONField(default=dict)  # {tier: hours a week}
    play_hours = models.DecimalField(max_digits=5, decimal_places=2, default=1)
    review_days = models.IntegerField(default=91)
    approval_days = models.IntegerField(default=30)
    onboarding_days = models.IntegerField(default=14)
    gross_target = models.DecimalField(max_digits=5, decimal_places=2, default=92)
    net_target = models.DecimalField(max_digits=6, decimal_places=2, default=110)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization"], name="book_terms_once")]

    def __str__(self) -> str:
        return f"{self.organization_id}"
