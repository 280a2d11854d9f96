"""What an outcome of a workflow is and what one is worth, as proposed and as the customer confirmed it."""

from django.db import models
from django.db.models import Q

from accounts.models import AccountOwned, User
from usage.models import Workflow, money_field


class OutcomeTerms(AccountOwned):
    """A proposal of what counts as an outcome, the days until it is known, and the value of one. Rows are only added.

    Nothing counts as value before an `OutcomeAnswer` confirms it. `basis` says how the value was reckoned.
    """

    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="outcome_terms")
    definition = models.CharField(max_length=300)
    lag_days = models.SmallIntegerField(default=0)
    value_each = money_field(null=True, blank=True)  # in the currency; null: no value is claimed
    currency = models.CharField(max_length=3)
    basis = models.CharField(max_length=300, blank=True)
    proposed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    proposed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(lag_days__gte=0, lag_days__lte=180),
                name="outcome_lag_in_range",
                violation_error_message="An outcome is known after 0 to 180 days.",
            ),
            models.CheckConstraint(
                condition=Q(value_each=None) | Q(value_each__gt=0),
                name="outcome_value_above_zero",
                violation_error_message="The value of an outcome is above zero.",
            ),
            models.CheckConstraint(condition=~Q(definition=""), name="outcome_is_defined"),
        ]
        indexes = [models.Index(fields=["organization", "account", "-proposed_at"], name="outcome_terms_recent")]

    def __str__(self) -> str:
        return self.definition


class OutcomeAnswer(AccountOwned):
    """What the customer said to a proposal: it counts from `at` on. Rows are only added; the last one holds."""

    class Answer(models.TextChoices):
        CONFIRMED = "confirmed", "Confirmed"
        DECLINED = "declined", "Declined"

    terms = models.ForeignKey(OutcomeTerms, on_delete=models.PROTECT, related_name="answers")
    answer = models.CharField(max_length=9, choices=Answer)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")  # a person of the customer
    by_title = models.CharField(max_length=100, blank=True)
    at = models.DateTimeField()
    note = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return f"{self.answer} at {self.at}"
