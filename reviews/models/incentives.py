"""What people say against a line of what they are paid by, and what was answered."""

from django.db import models
from django.db.models import Q

from accounts.models import AccountOwned, User


class IncentiveDispute(AccountOwned):
    """A word in a dispute about an account's line of a quarter. Staff only. Rows are only added.

    The person who is paid by the line raises it, with the line as it stood; somebody who leads accepts or declines it
    with a note, once. What was answered can be raised again.
    """

    COLUMNS = ("Weeks in band", "In production", "Ladder", "Largest workflow", "Excused")

    class Step(models.TextChoices):
        RAISED = "raised", "Disputed"
        ACCEPTED = "accepted", "Accepted"
        DECLINED = "declined", "Declined"

    quarter_starts_on = models.DateField()
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    step = models.CharField(max_length=8, choices=Step, default=Step.RAISED)
    text = models.TextField()  # the reason, or the note of the answer
    line = models.JSONField(default=dict)  # {column: text} of the line when it was disputed
    answers = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="answered_by")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "account", "id"], name="incentive_dispute_in_account"),
            models.UniqueConstraint(fields=["organization", "answers"], name="incentive_dispute_answered_once"),
            models.CheckConstraint(condition=~Q(text=""), name="incentive_dispute_says_why"),
            models.CheckConstraint(
                condition=Q(step="raised", answers=None) | ~Q(step="raised") & Q(answers__isnull=False),
                name="incentive_dispute_answers_one",
            ),
            models.CheckConstraint(
                condition=Q(quarter_starts_on__day=1, quarter_starts_on__month__in=(1, 4, 7, 10)),
                name="incentive_dispute_of_a_quarter",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "quarter_starts_on", "account"], name="incentive_dispute_quarter")
        ]

    def __str__(self) -> str:
        return f"{self.step} at {self.at}"

    @property
    def told(self) -> str:
        """The line as it stood when it was disputed, in words; "" for an answer."""
        return "; ".join(f"{name.lower()}: {self.line[name]}" for name in self.COLUMNS if name in self.line)
