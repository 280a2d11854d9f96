"""Who is who at an account, what was said, and how somebody looks at their book."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import AccountOwned, OrganizationOwned, User


class Contact(AccountOwned):
    """A person at the customer, signed in to the portal or not. Internal: the customer never reads it."""

    class Role(models.TextChoices):
        CHAMPION = "champion", "Champion"
        EXECUTIVE = "executive", "Executive sponsor"
        BUYER = "buyer", "Holds the budget"
        ENGINEER = "engineer", "Engineer"
        USER = "user", "User"

    name = models.CharField(max_length=150)
    email = models.EmailField(blank=True)
    title = models.CharField(max_length=150, blank=True)
    role = models.CharField(max_length=10, choices=Role, default=Role.USER)
    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    note = models.TextField(blank=True)
    external_id = models.CharField(max_length=200, blank=True)  # of the system it was imported from
    left_on = models.DateField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "account", "external_id"],
                condition=~Q(external_id=""),
                name="contact_imported_once",
            ),
            models.UniqueConstraint(
                fields=["organization", "account", "email"], condition=~Q(email=""), name="contact_email_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class TimelineEntry(AccountOwned):
    """What was said or learned, typed by a person or imported. Internal. Telemetry is read where it is kept.

    A payment that failed makes health red until one that arrived is entered after it.
    """

    class Kind(models.TextChoices):
        CALL = "call", "Call"
        MEETING = "meeting", "Meeting"
        EMAIL = "email", "E-mail"
        NOTE = "note", "Note"
        REVIEW = "review", "Value review"
        UNPAID = "unpaid", "Payment failed"
        PAID = "paid", "Payment arrived"

    class Sentiment(models.TextChoices):
        POSITIVE = "positive", "Positive"
        NEUTRAL = "neutral", "Neutral"
        NEGATIVE = "negative", "Negative"

    kind = models.CharField(max_length=8, choices=Kind, default=Kind.CALL)
    at = models.DateTimeField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    text = models.TextField()
    sentiment = models.CharField(max_length=8, choices=Sentiment, blank=True)
    minutes = models.IntegerField(null=True, blank=True)
    attendees = models.ManyToManyField(Contact, through="Attendance")
    external_id = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    edited_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "account", "external_id"],
                condition=~Q(external_id=""),
                name="entry_imported_once",
            ),
            models.CheckConstraint(condition=~Q(text=""), name="entry_says_something"),
        ]
        indexes = [models.Index(fields=["organization", "account", "-at"], name="timeline_recent")]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}"


class Attendance(AccountOwned):
    """Who of the customer's people took part in what an entry tells."""

    entry = models.ForeignKey(TimelineEntry, on_delete=models.CASCADE)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "entry", "contact"], name="attendance_once")]

    def __str__(self) -> str:
        return f"{self.contact_id}"


class QueueSnooze(AccountOwned):
    """An account that somebody does not want to see in their queue until a moment, or until its reason changes."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    until = models.DateTimeField()
    reason_key = models.CharField(max_length=60)  # what it was about: another reason brings it back
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "account", "user"], name="queue_snooze_once")]

    def __str__(self) -> str:
        return f"until {self.until}"


class SavedView(OrganizationOwned):
    """A person's filters of the book under a name. `query` is the page's query string."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "user", "name"], name="saved_view_once")]

    def __str__(self) -> str:
        return self.name


class Cover(OrganizationOwned):
    """One person looks after another's accounts for some days, [starts_on, ends_on)."""

    absent = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    covered_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    starts_on = models.DateField()
    ends_on = models.DateField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_on__gt=F("starts_on")),
                name="cover_forward",
                violation_error_message="The cover must end after it starts.",
            ),
            models.CheckConstraint(condition=~Q(absent=F("covered_by")), name="cover_by_another"),
        ]

    def __str__(self) -> str:
        return f"{self.starts_on} to {self.ends_on}"
