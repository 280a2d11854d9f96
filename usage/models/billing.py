"""Usage turned into money: rated days, closed billing periods, adjustments, and how far an account is settled."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import Account, AccountOwned, Organization, User
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import TenantQuerySet
from usage.models.catalog import Meter
from usage.models.fields import money_field, quantity_field, sum_field
from usage.models.rates import Price


class BillingPeriod(AccountOwned):
    """A closed billing period [starts_on, ends_on) of the account's local days. Open ones have no row.

    `amount` is what was frozen when it was closed: its rated days and the adjustments booked in it. `invoiced` is what
    the vendor's invoice said, for reconciliation.
    """

    starts_on = models.DateField()
    ends_on = models.DateField()
    currency = models.CharField(max_length=3)
    amount = money_field()
    closed_at = models.DateTimeField()
    closed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")  # null: by the calendar
    invoiced = money_field(null=True, blank=True)
    invoice_number = models.CharField(max_length=100, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "account", "id"], name="billing_period_in_account"),
            models.UniqueConstraint(fields=["organization", "account", "starts_on"], name="billing_period_once"),
            models.CheckConstraint(condition=Q(ends_on__gt=F("starts_on")), name="billing_period_forward"),
        ]

    def __str__(self) -> str:
        return f"{self.starts_on} to {self.ends_on}"


class RatedDay(models.Model):
    """What one meter's use on one local day adds to its billing period, and the running totals that made it so.

    `cell` is the canonical text of the dimensions that a matrix price counts apart, else empty. `amount` is rounded
    to the currency's places and null while there is no price; the totals run from the start of the billing period to
    the end of this day, `total_due` exact and before spend limits. Rows of a closed period never change.
    """

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_constraint=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False)
    day = models.DateField()
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, db_constraint=False)
    cell = models.TextField(default="", blank=True)
    price = models.ForeignKey(Price, on_delete=models.PROTECT, null=True, db_constraint=False)
    quantity = sum_field()
    events = models.BigIntegerField(default=0)
    amount = money_field(null=True)
    total_quantity = sum_field()
    total_events = models.BigIntegerField(default=0)
    total_due = models.DecimalField(max_digits=60, decimal_places=24, default=0)
    total_amount = money_field(default=0)

    objects = TenantQuerySet.as_manager()

    class Meta:
        db_table = "usage_rated_day"
        constraints = [
            models.UniqueConstraint(fields=["organization", "account", "day", "meter", "cell"], name="rated_day_once"),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.day}"


class Adjustment(models.Model):
    """Money of a closed period that was found later (late use, a correction, a price of the past), booked on `day` of
    an open one. Rows are only added."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_constraint=False, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False, editable=False)
    day = models.DateField()  # the local day it is booked on
    period = models.ForeignKey(BillingPeriod, on_delete=models.PROTECT, related_name="adjustments")
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, db_constraint=False)
    cell = models.TextField(default="", blank=True)
    quantity = quantity_field()
    amount = money_field()
    reason = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    objects = TenantQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["organization", "account", "day"], name="adjustment_by_day")]

    def __str__(self) -> str:
        return f"{self.amount} on {self.day} for {self.period_id}"


class Settlement(models.Model):
    """How far an account is settled; settlement holds this row's lock, so that one at a time works on an account.

    Days before `closed_until` are frozen. Days before `booked_until` are in the ledger for good, later ones are still
    open on the account's calendar. At `due_at` the next local day begins, and with it something to book or close.
    """

    pk = models.CompositePrimaryKey("organization_id", "account_id")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_constraint=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, db_constraint=False)
    closed_until = models.DateField(null=True)
    booked_until = models.DateField(null=True)
    due_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        db_table = "usage_settlement"
        indexes = [models.Index(fields=["organization", "due_at"], name="settlement_due")]

    def __str__(self) -> str:
        return f"{self.account_id} until {self.booked_until}"
