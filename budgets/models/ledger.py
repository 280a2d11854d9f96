"""The ledger that draws commits, what is left of them, and its checks."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import Account, AccountOwned, Organization, OrganizationOwned, User
from budgets.models.contracts import Commit
from consumption_cs.lib.tenancy import TenantQuerySet
from usage.models import Meter, money_field


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
