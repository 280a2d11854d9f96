"""Contacts, timeline entries and tasks as the API shows and takes them."""

from rest_framework import serializers

from budgets.api.commit_serializers import Day
from reviews.actions.contacts import Person
from reviews.actions.timeline import MOST_MINUTES, MOST_TEXT
from reviews.models import Contact, Task, TimelineEntry


class ContactSerializer(serializers.ModelSerializer):
    """Somebody at the customer. `in_portal`: they sign in; `external_id` is yours."""

    account = serializers.CharField(source="account.key")
    in_portal = serializers.SerializerMethodField()

    class Meta:
        model = Contact
        fields = (
            *("id", "account", "name", "email", "title", "role", "note", "in_portal", "left_on"),
            *("external_id", "created_at"),
        )

    def get_in_portal(self, contact: Contact) -> bool:
        return contact.user_id is not None


class NewContactSerializer(serializers.Serializer):
    """Somebody to add."""

    name = serializers.CharField(max_length=150)
    role = serializers.ChoiceField(Contact.Role.choices, default=Contact.Role.USER)
    email = serializers.EmailField(required=False, default="", help_text="Ties them to who signs in with it.")
    title = serializers.CharField(max_length=150, required=False, default="", allow_blank=True)
    note = serializers.CharField(max_length=5000, required=False, default="", allow_blank=True)
    external_id = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)

    def person(self) -> Person:
        """Return who was named."""
        return Person(**self.validated_data)


class EntrySerializer(serializers.ModelSerializer):
    """What was said or learned, typed by a person or sent by a program."""

    account = serializers.CharField(source="account.key")
    by = serializers.EmailField(source="by.email", default=None, allow_null=True)
    attendees = serializers.SerializerMethodField()

    class Meta:
        model = TimelineEntry
        fields = (
            *("id", "account", "kind", "at", "text", "sentiment", "minutes", "by", "attendees"),
            *("external_id", "created_at", "edited_at"),
        )

    def get_attendees(self, entry: TimelineEntry) -> list[str]:
        return [str(one.pk) for one in entry.attendees.all()]


class NewEntrySerializer(serializers.Serializer):
    """An entry to write down."""

    kind = serializers.ChoiceField(TimelineEntry.Kind.choices)
    at = serializers.DateTimeField(required=False, help_text="When it was; now if absent. Not in the future.")
    text = serializers.CharField(max_length=MOST_TEXT)
    sentiment = serializers.ChoiceField(TimelineEntry.Sentiment.choices, required=False, default="", allow_blank=True)
    minutes = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=MOST_MINUTES)
    attendees = serializers.ListField(
        child=serializers.UUIDField(), required=False, default=list, max_length=50, help_text="Ids of contacts."
    )
    external_id = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)


class TaskSerializer(serializers.ModelSerializer):
    """Something to do. `state` is open, done or dropped; `is_step` tells a step of a play."""

    account = serializers.CharField(source="account.key")
    assigned_to = serializers.EmailField(source="assigned_to.email", default=None, allow_null=True)
    done_by = serializers.EmailField(source="done_by.email", default=None, allow_null=True)
    state = serializers.SerializerMethodField()
    is_step = serializers.SerializerMethodField()

    class Meta:
        model = Task
        fields = (
            *("id", "account", "title", "detail", "due_on", "assigned_to", "is_shared", "is_step", "state"),
            *("done_at", "done_by", "created_at"),
        )

    def get_state(self, task: Task) -> str:
        return "done" if task.done_at else "dropped" if task.dropped_at else "open"

    def get_is_step(self, task: Task) -> bool:
        return task.run_id is not None


class NewTaskSerializer(serializers.Serializer):
    """A task to add. A shared one is seen by the customer, who can tick it off."""

    title = serializers.CharField(max_length=200)
    detail = serializers.CharField(max_length=5000, required=False, default="", allow_blank=True)
    due_on = Day(required=False, allow_null=True, default=None)
    assigned_to = serializers.EmailField(required=False, allow_null=True, default=None)
    is_shared = serializers.BooleanField(required=False, default=False)
