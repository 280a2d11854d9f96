"""What can be used: meters, and the workflows of an account."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from accounts.models import AccountOwned, OrganizationOwned, plain_key


class Meter(OrganizationOwned):
    """How events of one type become a quantity. Properties are read from the event's `data` by the names given."""

    class Aggregation(models.TextChoices):
        SUM = "sum", "Sum of a property"
        COUNT = "count", "Number of events"
        MAX = "max", "Greatest value"
        LATEST = "latest", "Latest value"
        UNIQUE = "unique", "Number of different values"

    key = models.CharField(max_length=200, validators=[plain_key])
    name = models.CharField(max_length=100)
    unit = models.CharField(max_length=40, default="unit", help_text="What is counted, in the singular: token, page.")
    event_type = models.CharField(max_length=200)
    aggregation = models.CharField(max_length=10, choices=Aggregation, default=Aggregation.SUM)
    value_property = models.CharField(max_length=100, default="quantity")
    workflow_property = models.CharField(max_length=100, default="workflow")
    success_property = models.CharField(max_length=100, default="success")
    outcome_property = models.CharField(max_length=100, default="outcome")
    attempt_property = models.CharField(max_length=100, default="attempt")
    environment_property = models.CharField(max_length=100, default="environment")
    filters = models.JSONField(default=dict, blank=True)  # {property: [values that count]}
    dimensions = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "id"], name="meter_in_organization"),
            models.UniqueConstraint(fields=["organization", "key"], name="meter_key_once"),
            models.UniqueConstraint(fields=["organization", "event_type"], name="meter_event_type_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Workflow(AccountOwned):
    """One thing a customer does with the product. Made by hand or by the first event that names it."""

    class Stage(models.TextChoices):
        IDEA = "idea", "Idea"
        BUILDING = "building", "Building"
        PILOT = "pilot", "Pilot"
        PRODUCTION = "production", "Production"
        HARDENED = "hardened", "Hardened"
        SCALED = "scaled", "Scaled"

    key = models.CharField(max_length=200)
    name = models.CharField(max_length=200)
    stage = models.CharField(max_length=12, choices=Stage, default=Stage.BUILDING)
    outcome_unit = models.CharField(max_length=40, default="outcome", help_text="In the singular: document, claim.")
    success_target = models.DecimalField(max_digits=5, decimal_places=4, null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "account", "id"], name="workflow_in_account"),
            models.UniqueConstraint(fields=["organization", "account", "key"], name="workflow_key_once"),
            models.CheckConstraint(
                condition=Q(success_target=None) | Q(success_target__gt=0, success_target__lte=1),
                name="workflow_target_is_a_ratio",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("usage:workflow", args=[self.account_id, self.pk])
