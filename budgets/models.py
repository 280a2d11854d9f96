"""What was promised: contracts, commits and their changes, the ledger that draws them, and its checks."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateRangeField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Now

from accounts.models import Account, AccountOwned, Organization, OrganizationOwned, User
from consumption_cs.lib.tenancy import TenantQuerySet
from usage.models import Meter, money_field


class _DateRange(Func):
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
                    (_DateRange("starts_on", "ends_on", RangeBoundary()), RangeOperators.OVERLAPS),
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


class LedgerEntry(AccountOwned):
    """One booking. Rows are only added: a change is an entry that reverses another, and a new one, with the reason.

    With `commit`: what it does to the commit's balance (granted +, drawn -). Without: overage, + what is owed. `day`
    is the account's local day it counts on. Use of a day is booked when the day has ended.
    """

    class Kind(models.TextChoices):
        GRANTED = "granted", "Granted"
        REFILLED = "refilled", "Given anew"
        ROLLED_OVER = "rolled_over", "Not rolled over"
        AMENDED = "amended", "Amended"
        EXPIRED = "expired", "Expired"
        VOIDED = "voided", "Cancelled"
        DRAWN = "drawn", "Drawn"
        OVERAGE = "overage", "Overage"

    commit = models.ForeignKey(Commit, on_delete=models.PROTECT, null=True, db_constraint=False)
    kind = models.CharField(max_length=12, choices=Kind)
    day = models.DateField()
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, null=True, db_constraint=False)
    amount = money_field()
    why = models.TextField(blank=True)  # why this commit, in words
    reverses = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="reversed_by")
    reason = models.TextField(blank=True)
    actor = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")  # null: settlement
    booked_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "reverses"], condition=Q(reverses__isnull=False), name="entry_reversed_once"
            ),
            models.CheckConstraint(
                condition=Q(kind="overage", commit=None) | Q(commit__isnull=False) & ~Q(kind="overage"),
                name="entry_overage_has_no_commit",
            ),
            models.CheckConstraint(condition=Q(reverses=None) | ~Q(reason=""), name="entry_reversal_has_a_reason"),
        ]
        indexes = [
            models.Index(fields=["organization", "account", "day", "id"], name="ledger_by_day"),
            models.Index(fields=["organization", "commit", "day"], name="ledger_by_commit"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} on {self.day}"


class CommitBalance(models.Model):
    """What a commit has left: `settled` at the start of the account's local day, `ongoing` with today's use."""

    pk = models.CompositePrimaryKey("organization_id", "commit_id")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_constraint=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False)
    commit = models.OneToOneField(Commit, on_delete=models.PROTECT, db_constraint=False, related_name="balance")
    settled = money_field()
    ongoing = money_field()
    settled_at = models.DateTimeField()

    objects = TenantQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.ongoing}"


class LedgerState(models.Model):
    """Where the next draw of an account goes on from: its balances at the start of the open periods and of today.

    Snapshots of `budgets.calc.snapshots` as JSON, decimals as text. `ongoing_*` are today's draws, not yet booked.
    """

    pk = models.CompositePrimaryKey("organization_id", "account_id")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_constraint=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False)
    opening = models.JSONField()  # at the start of `opening_on`, which no later usage can change
    opening_on = models.DateField()
    latest = models.JSONField()  # at the start of `latest_on`
    latest_on = models.DateField()
    overage = money_field(default=0)  # of the open billing period, today's use included
    ongoing = models.JSONField(default=list)  # [{commit, meter, amount, why}], commit null: overage
    settled_at = models.DateTimeField()

    objects = TenantQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.account_id} at {self.latest_on}"


class LedgerCheck(OrganizationOwned):
    """One run of verify_ledger: whether accepted = rolled up = rated = drawn + overage, and what differs first."""

    checked_at = models.DateTimeField()
    is_exact = models.BooleanField()
    accounts = models.IntegerField()
    figures = models.JSONField(default=dict)  # what was compared, in totals, as text
    difference = models.TextField(blank=True)  # the first row that differs, in words

    class Meta:
        indexes = [models.Index(fields=["organization", "-checked_at"], name="ledger_check_recent")]

    def __str__(self) -> str:
        return f"{self.checked_at:%Y-%m-%d %H:%M} {'exact' if self.is_exact else 'differs'}"
