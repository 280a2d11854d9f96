"""Who there is: organizations, their accounts, people and their memberships, invitations, API keys, the audit log."""

from datetime import datetime, timedelta
from typing import Any, ClassVar, Self
from zoneinfo import available_timezones

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Now
from django.urls import reverse
from django.utils.crypto import salted_hmac

from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import OrganizationQuerySet, TenantQuerySet

currency_code = RegexValidator(r"\A[A-Z]{3}\Z", "Use the three capital letters of ISO 4217, for example USD.")
plain_key = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9._:@/-]{0,199}\Z",
    "Use letters, digits and . _ : @ / - only, starting with one of the first two.",
)
hex_color = RegexValidator(r"\A#[0-9a-fA-F]{6}\Z", "Use a colour such as #5146e5.")


country_code = RegexValidator(r"\A[A-Z]{2}\Z", "Use the two capital letters of ISO 3166, for example AT.")


def validate_timezone(value: str) -> None:
    """Raise ValidationError unless `value` is an IANA zone, for example Europe/Berlin."""
    if value not in available_timezones():
        raise ValidationError(f"“{value}” is no time zone. Use an IANA name such as Europe/Berlin.")


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a person who signs in with `email` (stored in lower case)."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person. What they may do comes from their memberships alone; there is no access without one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=150, blank=True)
    timezone = models.CharField(max_length=64, blank=True, validators=[validate_timezone])
    is_active = models.BooleanField(default=True)
    # Part of what every session is checked against: one more, and all sessions are over.
    sessions_ended = models.IntegerField(default=0, db_default=0, editable=False)
    created_at = models.DateTimeField(db_default=Now())

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_once_in_any_case")]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def initials(self) -> str:
        words = (self.name or self.email.split("@")[0].replace(".", " ")).split()
        return "".join(word[0] for word in words[:2]).upper()

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        salt = "accounts.models.User.get_session_auth_hash"
        value = f"{self.password}:{self.sessions_ended}"
        return salted_hmac(salt, value, secret=secret, algorithm="sha256").hexdigest()


class Organization(models.Model):
    """A vendor: our tenant. A global table; what it owns carries its id."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64, default="UTC", validators=[validate_timezone])
    currency = models.CharField(max_length=3, default="USD", validators=[currency_code])
    country = models.CharField(
        max_length=2,
        blank=True,
        default="",
        db_default="",
        validators=[country_code],
        help_text="Whose public holidays forecasts expect; none: no holidays.",
    )
    brand_color = models.CharField(max_length=7, default="#5146e5", validators=[hex_color])
    logo = models.BinaryField(null=True, blank=True, editable=False)
    logo_type = models.CharField(max_length=20, blank=True, editable=False)
    close_after_days = models.SmallIntegerField(
        default=5, db_default=5, help_text="Days after its end on which a billing period closes by itself."
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(close_after_days__gte=0, close_after_days__lte=60),
                name="organization_close_after_days_sane",
                violation_error_message="Periods close 0 to 60 days after they end.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class AccountQuerySet(TenantQuerySet):
    account_field = "id"


class Account(models.Model):
    """One of a vendor's customers. `key` is the `subject` of its usage events."""

    class Segment(models.TextChoices):
        ENTERPRISE = "enterprise", "Enterprise"
        MID_MARKET = "mid_market", "Mid-market"
        SMALL = "small", "Small business"
        STARTUP = "startup", "Startup"

    class Tier(models.TextChoices):
        HIGH_TOUCH = "high_touch", "High touch"
        STANDARD = "standard", "Standard"
        SELF_SERVE = "self_serve", "Self-serve"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, editable=False)
    key = models.CharField(max_length=200, validators=[plain_key])
    name = models.CharField(max_length=200)
    segment = models.CharField(max_length=20, choices=Segment, default=Segment.MID_MARKET)
    tier = models.CharField(max_length=20, choices=Tier, default=Tier.STANDARD)
    currency = models.CharField(max_length=3, default="USD", validators=[currency_code])
    timezone = models.CharField(max_length=64, default="UTC", validators=[validate_timezone])
    country = models.CharField(
        max_length=2,
        blank=True,
        default="",
        db_default="",
        validators=[country_code],
        help_text="Whose public holidays forecasts expect; none: those of the organization's country.",
    )
    billing_day = models.SmallIntegerField(
        default=1, db_default=1, help_text="The day of the month on which billing periods start; 29 to 31 clamp."
    )
    contract_starts_on = models.DateField(null=True, blank=True)
    contract_ends_on = models.DateField(null=True, blank=True, help_text="The first day after the term.")
    csm = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    field_cto = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    objects = AccountQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "id"], name="account_in_organization"),
            models.UniqueConstraint(fields=["organization", "key"], name="account_key_once"),
            models.CheckConstraint(
                condition=Q(billing_day__gte=1, billing_day__lte=31),
                name="account_billing_day_of_a_month",
                violation_error_message="The billing day is a day of the month: 1 to 31.",
            ),
            models.CheckConstraint(
                condition=Q(contract_ends_on__isnull=True) | Q(contract_ends_on__gt=F("contract_starts_on")),
                name="account_contract_forward",
                violation_error_message="The contract must end after it starts.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("usage:overview", args=[self.pk])


class AccountOwned(models.Model):
    """Base of every row of one account: public id, owning organization and account."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, editable=False)

    objects = TenantQuerySet.as_manager()

    class Meta:
        abstract = True


class OrganizationOwned(models.Model):
    """Base of every row that belongs to an organization as a whole."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, editable=False)

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        abstract = True


class Role(models.TextChoices):
    """What a member is. The first six are staff of the vendor, the last four people of one customer."""

    ADMIN = "admin", "Admin"
    LEADER = "leader", "CS leader"
    CSM = "csm", "CSM"
    FIELD_CTO = "field_cto", "Field CTO"
    FINANCE = "finance", "Finance"
    ANALYST = "analyst", "Analyst"
    PORTAL_OWNER = "portal_owner", "Owner"
    PORTAL_FINANCE = "portal_finance", "Finance"
    PORTAL_ENGINEER = "portal_engineer", "Engineer"
    PORTAL_VIEWER = "portal_viewer", "Viewer"


STAFF_ROLES = tuple(role for role in Role if not role.startswith("portal_"))
PORTAL_ROLES = tuple(role for role in Role if role.startswith("portal_"))
_ROLE_FITS = Q(account__isnull=True, role__in=STAFF_ROLES) | Q(account__isnull=False, role__in=PORTAL_ROLES)


class Membership(models.Model):
    """A person's seat: staff of an organization or, with `account`, a portal member of one customer."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role)
    created_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(null=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "account", "user"], nulls_distinct=False, name="membership_once"
            ),
            models.CheckConstraint(condition=_ROLE_FITS, name="membership_role_fits_scope"),
        ]
        indexes = [models.Index(fields=["user"], name="membership_user")]

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"


INVITATION_LIFETIME = timedelta(hours=72)


class InvitationQuerySet(TenantQuerySet):
    def open_at(self, moment: datetime) -> Self:
        return self.filter(accepted_at=None, revoked_at=None, expires_at__gt=moment)


class Invitation(models.Model):
    """A seat offered to an e-mail address: single use, 72 hours. Only the SHA-256 of its token is kept."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True)
    email = models.EmailField()
    role = models.CharField(max_length=20, choices=Role)
    token_hash = models.CharField(max_length=64)
    invited_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "token_hash"], name="invitation_token_once"),
            models.UniqueConstraint(
                fields=["organization", "account", "email"],
                condition=Q(accepted_at=None, revoked_at=None),
                nulls_distinct=False,
                name="invitation_open_once",
            ),
            models.CheckConstraint(condition=_ROLE_FITS, name="invitation_role_fits_scope"),
        ]

    def __str__(self) -> str:
        return f"{self.email} as {self.get_role_display()}"


class Scope(models.TextChoices):
    EVENTS_WRITE = "events:write", "Send events"
    EVENTS_BACKFILL = "events:backfill", "Send old events"
    READ = "read", "Read usage and cost"
    MANAGE = "manage", "Manage prices, commits and imports"


class ApiKeyQuerySet(TenantQuerySet):
    def usable_at(self, moment: datetime) -> Self:
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=moment), revoked_at=None)


class ApiKey(models.Model):
    """A machine's credential, shown once. With `account` it reads one customer and may not write events."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True)
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=24)
    secret_hash = models.CharField(max_length=64)
    scopes = ArrayField(models.CharField(max_length=20, choices=Scope))
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    replaces = models.UUIDField(null=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "prefix"], name="api_key_prefix_once"),
            models.CheckConstraint(
                condition=Q(scopes__contained_by=list(Scope.values)) & ~Q(scopes=[]), name="api_key_scopes_known"
            ),
            models.CheckConstraint(
                condition=Q(account__isnull=True) | Q(scopes=[Scope.READ.value]), name="api_key_of_account_only_reads"
            ),
        ]
        indexes = [models.Index(fields=["prefix"], name="api_key_prefix")]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class AuditEvent(models.Model):
    """Who did what, when. The application may add and read rows, never change or remove one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True)
    created_at = models.DateTimeField(db_default=Now())
    actor = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    actor_name = models.CharField(max_length=200)
    action = models.CharField(max_length=60)
    target_type = models.CharField(max_length=40)
    target_id = models.CharField(max_length=40, blank=True)
    target_name = models.CharField(max_length=300, blank=True)
    details = models.JSONField(default=dict)
    ip = models.GenericIPAddressField(null=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["organization", "-created_at"], name="audit_organization_time")]

    def __str__(self) -> str:
        return f"{self.actor_name} {self.action} {self.target_name}"


class IdempotencyKey(models.Model):
    """That a creating request was answered, and how: the same key with the same body gets the same answer again."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True)
    actor = models.CharField(max_length=60)  # the API key or person who sent it
    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64)  # SHA-256 of method, path and body
    status = models.SmallIntegerField(null=True)  # null: still being worked on
    response = models.JSONField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    objects = TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "actor", "key"], name="idempotency_key_once"),
        ]
        indexes = [models.Index(fields=["organization", "created_at"], name="idempotency_key_age")]

    def __str__(self) -> str:
        return self.key
