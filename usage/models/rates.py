"""What usage costs: rate cards with dated versions and their prices; and what it costs the vendor."""

from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import Account, Organization, User, currency_code
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import OrganizationQuerySet, TenantQuerySet
from usage.models.catalog import Meter, Workflow


class RateCard(models.Model):
    """The prices of an organization in one currency; with `account` those that replace them for one customer."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, blank=True)
    name = models.CharField(max_length=100)
    currency = models.CharField(max_length=3, validators=[currency_code])
    created_at = models.DateTimeField(db_default=Now())

    objects = TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "id"], name="rate_card_in_organization"),
            models.UniqueConstraint(
                fields=["organization", "account", "currency"],
                nulls_distinct=False,
                name="rate_card_once",
                violation_error_message="There is a rate card in this currency already: add a version to it.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RateCardVersion(models.Model):
    """A dated change of a card: each price in it holds from `effective_on` until a later version prices its meter.

    A meter that a version does not name keeps its price. Only a published version counts; it is never edited again.
    """

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        PUBLISHED = "published", "Published"
        WITHDRAWN = "withdrawn", "Withdrawn"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, blank=True, editable=False)
    card = models.ForeignKey(RateCard, on_delete=models.PROTECT, related_name="versions")
    number = models.IntegerField()
    effective_on = models.DateField()
    status = models.CharField(max_length=10, choices=Status, default=Status.DRAFT)
    note = models.TextField(blank=True)
    shadow = models.JSONField(null=True, editable=False)  # the last closed month rated again: see rate_cards
    shadow_at = models.DateTimeField(null=True, editable=False)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    published_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    published_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_reason = models.TextField(blank=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "id"], name="rate_card_version_in_organization"),
            models.UniqueConstraint(fields=["organization", "card", "number"], name="rate_card_version_number_once"),
            models.CheckConstraint(
                condition=Q(status="draft", published_at=None) | Q(published_at__isnull=False) & ~Q(status="draft"),
                name="rate_card_version_published_has_time",
            ),
        ]

    def __str__(self) -> str:
        return f"version {self.number} from {self.effective_on}"


class Price(models.Model):
    """What one meter costs from a local day on, in terms that `usage.calc.price_terms` reads.

    With `account` it replaces the organization's for that customer. `in_force` follows its version: a draft's and a
    withdrawn version's prices count nowhere, and customers never see them.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, blank=True)
    version = models.ForeignKey(RateCardVersion, on_delete=models.PROTECT, related_name="prices")
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT)
    currency = models.CharField(max_length=3, validators=[currency_code])
    terms = models.JSONField()
    effective_on = models.DateField()
    in_force = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())

    objects = TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "version", "meter"], name="price_once_a_version"),
            models.UniqueConstraint(
                fields=["organization", "meter", "account", "currency", "effective_on"],
                condition=Q(in_force=True),
                nulls_distinct=False,
                name="price_once_a_day",
                violation_error_message="This meter already has a price from that day on.",
            ),
        ]

    def __str__(self) -> str:
        return f"price in {self.currency} from {self.effective_on}"

    @property
    def unit_price(self) -> Decimal | None:
        """The price of one unit if that is all there is to it, else None."""
        terms: dict[str, Any] = self.terms
        params = terms.get("params", {})
        if set(terms) == {"model", "params"} and terms["model"] == "unit" and set(params) == {"unit"}:
            return Decimal(params["unit"])
        return None


class VendorCost(models.Model):
    """What one unit of a meter costs the vendor from a day on; a workflow's own cost comes first. Staff only."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, editable=False)
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, blank=True)
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, null=True, blank=True)
    currency = models.CharField(max_length=3, validators=[currency_code])
    unit_cost = models.DecimalField(max_digits=24, decimal_places=12)
    effective_on = models.DateField()
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "meter", "account", "workflow", "currency", "effective_on"],
                nulls_distinct=False,
                name="vendor_cost_once_a_day",
                violation_error_message="There is a cost from that day on already: remove it, or choose another day.",
            ),
            models.CheckConstraint(condition=Q(unit_cost__gte=0), name="vendor_cost_not_negative"),
            models.CheckConstraint(
                condition=Q(workflow=None) | Q(account__isnull=False), name="vendor_cost_workflow_of_an_account"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.unit_cost} {self.currency} per unit from {self.effective_on}"
