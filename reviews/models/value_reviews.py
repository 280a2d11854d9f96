"""Value reviews: drafts that staff write, and what is frozen when one is published."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import AccountOwned, User


class ReviewDraft(AccountOwned):
    """A review in the making, of the local days [starts_on, ends_on). Staff only. Ends by being published or dropped.

    `figures` is what reviews.reports.value_review found at `as_of`; nobody types in it. `narrative` is
    {section: text}, in which {name} stands for the figure of that name.
    """

    starts_on = models.DateField()
    ends_on = models.DateField()
    compared_from = models.DateField()  # the earlier period [compared_from, compared_to) it is compared with
    compared_to = models.DateField()
    as_of = models.DateTimeField()
    figures = models.JSONField()
    narrative = models.JSONField(default=dict)
    hidden = models.JSONField(default=list)  # sections that are left out
    signers = models.JSONField(default=list)  # [{name, title, email}] of the customer who are asked to sign
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    made_at = models.DateTimeField(db_default=Now())
    changed_at = models.DateTimeField()
    published = models.OneToOneField("ValueReview", on_delete=models.PROTECT, null=True, related_name="+")
    dropped_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_on__gt=F("starts_on")) & Q(compared_to__gt=F("compared_from")),
                name="review_forward",
                violation_error_message="The period must end after it starts.",
            ),
            models.CheckConstraint(condition=Q(compared_to__lte=F("starts_on")), name="review_compares_with_before"),
        ]

    def __str__(self) -> str:
        return f"{self.starts_on} to {self.ends_on}"


class ValueReview(AccountOwned):
    """A published review: numbered per account and frozen. The application may insert and read it, nothing else.

    `content` is all that is shown, {figures, narrative, hidden, signers, published_by …}; `hash` is the SHA-256 of its
    canonical JSON (reviews.calc.frozen). Corrections are notes beside it.
    """

    number = models.IntegerField()
    starts_on = models.DateField()
    ends_on = models.DateField()
    as_of = models.DateTimeField()
    content = models.JSONField()
    hash = models.CharField(max_length=64)
    before = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="+")
    published_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    published_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "account", "number"], name="value_review_number_once"),
            models.UniqueConstraint(fields=["organization", "account", "id"], name="value_review_in_account"),
            models.CheckConstraint(condition=Q(ends_on__gt=F("starts_on")), name="value_review_forward"),
            models.CheckConstraint(condition=Q(hash__regex=r"^[0-9a-f]{64}$"), name="value_review_hash"),
        ]

    def __str__(self) -> str:
        return f"Value review {self.number}"


class ReviewSignature(AccountOwned):
    """That a person of the customer has read a review and agrees with its figures. Added once, never changed."""

    review = models.ForeignKey(ValueReview, on_delete=models.PROTECT, related_name="signatures")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=150)
    title = models.CharField(max_length=150, blank=True)
    hash = models.CharField(max_length=64)  # of the review as it was signed
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "review", "by"], name="review_signed_once")]

    def __str__(self) -> str:
        return f"{self.name}"


class ReviewComment(AccountOwned):
    """What either side said about a review: a comment, or that a figure should be corrected. Only added."""

    class Kind(models.TextChoices):
        COMMENT = "comment", "Comment"
        REQUEST = "request", "Asks for a correction"

    review = models.ForeignKey(ValueReview, on_delete=models.PROTECT, related_name="comments")
    kind = models.CharField(max_length=7, choices=Kind, default=Kind.COMMENT)
    text = models.TextField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(text=""), name="review_comment_says_something")]

    def __str__(self) -> str:
        return self.text[:40]


class ReviewCorrection(AccountOwned):
    """A numbered note of the vendor above a review that was found wrong. The review itself stays as it is."""

    review = models.ForeignKey(ValueReview, on_delete=models.PROTECT, related_name="corrections")
    number = models.SmallIntegerField()
    text = models.TextField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "review", "number"], name="review_correction_once"),
            models.CheckConstraint(condition=~Q(text=""), name="review_correction_says_something"),
        ]

    def __str__(self) -> str:
        return f"Correction {self.number}"
