"""What was agreed: contracts, commits and their changes."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateRangeField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Now

from accounts.models import AccountOwned, User
from usage.models import money_field


class DateRange(Func):
    function = "DATERANGE"
    output_field = DateRangeField()


class Contract(AccountOwned):
    """The terms that an account's commits stand under: the term, in which order they are drawn, what overage costs."""

    class DrawPolicy(models.TextChoices):
        PRIORITY = "priority", "Priority, then earliest expiry"
        EXPIRY_FIRST = "expiry_first", "Earliest expiry, then priority"
        PROMOTIONAL_FIRST = "promotional_first", "Free before paid, then earliest expiry"
        GRANTED_FIRST = "granted_first", "Priority, then free before paid, then oldest"

    name = models.CharField(max_length=100)
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True, help_text="The first day after the term.")
    draw_policy = models.CharField(max_length=20, choices=DrawPolicy, default=DrawPolicy.PRIORITY)
    overage_factor = models.DecimalField(
        max_digits=8, decimal_places=4, default=1, help_text="What overage costs, as a multiple of the contract rate."
    )
    note = models.TextField(blank=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", editable=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "account", "id"], name="contract_in_account"),
            models.CheckConstraint(
                condition=Q(ends_on=None) | Q(ends_on__gt=F("starts_on")),
                name="contract_forward",
                violation_error_message="A contract must end after it starts.",
            ),
            models.CheckConstraint(
                condition=Q(overage_factor__gte=0),
                name="contract_overage_factor_not_negative",
                violation_error_message="The overage factor must be zero or more.",
            ),
            ExclusionConstraint(
                name="contract_terms_do_not_overlap",
                expressions=[
                    ("organization", RangeOperators.EQUAL),
                    ("account", RangeOperators.EQUAL),
                    (DateRange("starts_on", "ends_on", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
                violation_error_message="Another contract covers a part of this term: end it first.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Commit(AccountOwned):
    """An amount that usage is drawn from, on the account's local days [effective_on, expires_on).

    `amount` is in `unit`: a currency, or credits; `value` is what it is worth in the account's currency, at `rate`.
    A recurring commit is given anew every `recurs_months`. What is left at its end (or at each recurrence) and lies
    within [rollover_least, rollover_most], stays for `rollover_months` more. Changes are rows of CommitChange.
    """

    class Kind(models.TextChoices):
        PREPAID = "prepaid", "Prepaid"
        CREDIT = "credit", "Credit"
        PROMOTIONAL = "promotional", "Promotional"
        ROLLOVER = "rollover", "Rollover"

    contract = models.ForeignKey(Contract, on_delete=models.PROTECT, related_name="commits")
    kind = models.CharField(max_length=12, choices=Kind, default=Kind.PREPAID)
    name = models.CharField(max_length=100)
    unit = models.CharField(max_length=10, help_text="A currency such as USD, or credits.")
    amount = models.DecimalField(max_digits=24, decimal_places=6)
    rate = models.DecimalField(max_digits=24, decimal_places=12, default=1)
    value = money_field()
    priority = models.SmallIntegerField(default=1, help_text="The lower number is drawn first.")
    effective_on = models.DateField()
    expires_on = models.DateField(null=True, blank=True, help_text="The first day on which it no longer counts.")
    recurs_months = models.SmallIntegerField(null=True, blank=True)
    rollover_least = money_field(default=0)
    rollover_most = money_field(default=0)
    rollover_months = models.SmallIntegerField(default=0)
    only_meters = ArrayField(models.UUIDField(), default=list, blank=True)
    except_meters = ArrayField(models.UUIDField(), default=list, blank=True)
    rolled_from = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    cancelled_on = models.DateField(null=True, blank=True, editable=False)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", editable=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "account", "id"], name="commit_in_account"),
            models.CheckConstraint(condition=Q(amount__gte=0, value__gte=0), name="commit_not_negative"),
            models.CheckConstraint(condition=Q(rate__gt=0), name="commit_rate_above_zero"),
            models.CheckConstraint(
                condition=Q(expires_on=None) | Q(expires_on__gt=F("effective_on")),
                name="commit_forward",
                violation_error_message="A commit must expire after it takes effect.",
            ),
            models.CheckConstraint(
                condition=Q(recurs_months=None) | Q(recurs_months__in=[1, 3, 6, 12]), name="commit_recurrence_known"
            ),
            models.CheckConstraint(
                condition=Q(rollover_least__gte=0, rollover_least__lte=F("rollover_most")),
                name="commit_rollover_in_order",
                violation_error_message="The least that rolls over cannot be above the most.",
            ),
            models.CheckConstraint(
                condition=Q(rollover_months__gte=0, rollover_months__lte=24), name="commit_rollover_months_sane"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class CommitChange(AccountOwned):
    """What was agreed about a commit after it was made, from `effective_on` on. Rows are only added."""

    class Kind(models.TextChoices):
        AMENDED = "amended", "Amount changed"
        EXTENDED = "extended", "Expiry moved"
        REORDERED = "reordered", "Draw order changed"
        CANCELLED = "cancelled", "Cancelled"

    commit = models.ForeignKey(Commit, on_delete=models.PROTECT, related_name="changes")
    kind = models.CharField(max_length=12, choices=Kind)
    effective_on = models.DateField()
    value_change = money_field(default=0)  # in the account's currency, with its sign
    before = models.JSONField(default=dict)  # the terms that changed, as text
    after = models.JSONField(default=dict)
    reason = models.TextField()
    actor = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    actor_name = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.kind} on {self.effective_on}"
