"""Who is told, where, and what became of it: destinations, routes, wishes of people, and the outbox."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import Account, AccountOwned, Membership, Organization, User
from budgets.models.alerts import Alert
from budgets.models.budgets import Budget
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import TenantQuerySet


class Destination(models.Model):
    """A place outside the product: a channel or a webhook, of one account or, without, of the organization.

    Addresses and secrets are encrypted; `shown` is what people may see of the address.
    """

    class Kind(models.TextChoices):
        WEBHOOK = "webhook", "Webhook"
        SLACK = "slack", "Slack"
        TEAMS = "teams", "Microsoft Teams"
        PAGERDUTY = "pagerduty", "PagerDuty"
        EMAIL = "email", "E-mail address"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=100)
    address = models.BinaryField(editable=False)  # encrypted
    shown = models.CharField(max_length=200, editable=False)
    secret = models.BinaryField(null=True, editable=False)  # encrypted; of a webhook
    old_secret = models.BinaryField(null=True, editable=False)  # signs too until `old_secret_until`
    old_secret_until = models.DateTimeField(null=True, editable=False)
    topics = ArrayField(models.CharField(max_length=40), default=list, blank=True)  # empty: all
    by_customer = models.BooleanField(default=False, editable=False)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", editable=False)
    created_at = models.DateTimeField(db_default=Now())
    failing_since = models.DateTimeField(null=True, editable=False)
    disabled_at = models.DateTimeField(null=True, editable=False)
    disabled_reason = models.CharField(max_length=200, blank=True, editable=False)
    removed_at = models.DateTimeField(null=True, editable=False)

    objects = TenantQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["organization", "account"], condition=Q(removed_at=None), name="destination_in_use")
        ]

    def __str__(self) -> str:
        return self.name


class Route(AccountOwned):
    """A person or a destination that hears of a budget or, without one, of every alert of the account."""

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, null=True, blank=True, related_name="routes")
    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, null=True, blank=True)
    destination = models.ForeignKey(Destination, on_delete=models.PROTECT, null=True, blank=True)
    is_escalation = models.BooleanField(default=False)  # hears only what nobody acknowledged
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(membership=None, destination__isnull=False)
                | Q(membership__isnull=False, destination=None),
                name="route_leads_to_one",
                violation_error_message="Choose a person or a destination.",
            ),
            models.UniqueConstraint(
                fields=["organization", "account", "budget", "membership", "destination", "is_escalation"],
                nulls_distinct=False,
                name="route_once",
            ),
        ]

    def __str__(self) -> str:
        return f"route of {self.account_id}"


class NotificationWishes(models.Model):
    """What one member wants to get by mail, and when not. Without a row: everything at once, a Monday digest."""

    class Digest(models.TextChoices):
        NONE = "none", "No digest"
        DAILY = "daily", "Every morning"
        WEEKLY = "weekly", "On Mondays"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, editable=False)  # of the membership
    membership = models.OneToOneField(Membership, on_delete=models.CASCADE, related_name="wishes")
    by_mail = models.BooleanField(default=True)
    least_severity = models.CharField(max_length=8, choices=Alert.Severity, default=Alert.Severity.INFO)
    timezone = models.CharField(max_length=64, default="UTC")
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_to = models.TimeField(null=True, blank=True)
    quiet_weekends = models.BooleanField(default=False)
    critical_breaks_quiet = models.BooleanField(default=True)
    digest = models.CharField(max_length=6, choices=Digest, default=Digest.WEEKLY)

    objects = TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(quiet_from=None, quiet_to=None) | Q(quiet_from__isnull=False, quiet_to__isnull=False),
                name="wishes_quiet_has_both_ends",
                violation_error_message="Quiet hours need a start and an end.",
            )
        ]

    def __str__(self) -> str:
        return f"wishes of {self.membership_id}"


class Delivery(models.Model):
    """One message to one receiver: the outbox. Written in the transaction of what it tells, sent by workers.

    `id` is the `webhook-id` of every attempt. `key` is unique, so that nothing is told twice.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        DEAD = "dead", "Given up"
        CANCELLED = "cancelled", "Not sent"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, editable=False)
    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, null=True, related_name="deliveries")
    destination = models.ForeignKey(Destination, on_delete=models.PROTECT, null=True, related_name="deliveries")
    membership = models.ForeignKey(Membership, on_delete=models.SET_NULL, null=True)
    email = models.EmailField(blank=True)  # the address it went to, kept
    topic = models.CharField(max_length=40)  # alert.raised, alert.recovered, limit.reached, digest.daily, test, …
    key = models.CharField(max_length=200)
    payload = models.JSONField()  # of a webhook: the body; of a message: {"subject", "text", "html", "url"}
    is_critical = models.BooleanField(default=False)
    is_internal = models.BooleanField(default=False)  # to staff or their channels: customers never see the row
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    note = models.CharField(max_length=200, blank=True)  # why it was held or not sent
    attempts = models.IntegerField(default=0)
    next_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    delivered_at = models.DateTimeField(null=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "id"], name="delivery_in_organization"),
            models.UniqueConstraint(fields=["organization", "key"], name="delivery_once"),
            models.CheckConstraint(
                condition=~Q(state="delivered") | Q(delivered_at__isnull=False), name="delivery_delivered_at_a_time"
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "next_at"], condition=Q(state="waiting"), name="delivery_due"),
            models.Index(fields=["organization", "destination", "-created_at"], name="delivery_of_destination"),
            models.Index(fields=["organization", "alert"], name="delivery_of_alert"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.id}"


class DeliveryAttempt(models.Model):
    """One try to send a delivery; `account` is null for internal ones. Rows are only added."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, editable=False)
    delivery = models.ForeignKey(Delivery, on_delete=models.PROTECT, related_name="tries")
    at = models.DateTimeField()
    milliseconds = models.IntegerField()
    status = models.IntegerField(null=True)  # of the answer; null: none came
    error = models.CharField(max_length=300, blank=True)  # in words; never the body of the answer

    objects = TenantQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["organization", "delivery", "at"], name="delivery_attempt_in_order")]

    def __str__(self) -> str:
        return f"{self.delivery_id} at {self.at}"
