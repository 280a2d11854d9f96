"""Forms of what people write down: timeline entries, tasks, contacts, covers."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django import forms
from django.utils.dateparse import parse_datetime

from accounts.models import User
from consumption_cs.lib.periods import as_utc
from reviews.actions.contacts import Person
from reviews.actions.tasks import Wanted
from reviews.actions.timeline import MOST_MINUTES, MOST_TEXT, Said
from reviews.models import Contact, TimelineEntry


def _day() -> forms.DateInput:
    return forms.DateInput(attrs={"type": "date", "max": "2099-12-31"}, format="%Y-%m-%d")


class LocalMoment(forms.DateTimeField):
    """A moment on the account's clock, from the browser's own control."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.zone: Any = UTC
        self.widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    def prepare_value(self, value: Any) -> Any:
        is_aware = isinstance(value, datetime) and value.tzinfo is not None
        return f"{value.astimezone(self.zone):%Y-%m-%dT%H:%M}" if is_aware else value

    def to_python(self, value: Any) -> datetime | None:
        if value in self.empty_values:
            return None
        try:
            found = value if isinstance(value, datetime) else parse_datetime(str(value))
            if found is None or not 2000 <= found.year <= 2099:
                raise ValueError
            return as_utc(found if found.tzinfo else found.replace(tzinfo=self.zone))
        except (ValueError, OverflowError) as error:
            raise forms.ValidationError("Write the moment as 2026-01-31 14:30.") from error


class EntryForm(forms.Form):
    """What was said: in the composer one line of it, on the page of an entry all of it."""

    kind = forms.ChoiceField(choices=TimelineEntry.Kind.choices, label="Type of entry")
    text = forms.CharField(
        max_length=MOST_TEXT,
        label="What did you learn?",
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "What did you learn?"}),
    )
    sentiment = forms.ChoiceField(
        choices=[("", "No sentiment"), *TimelineEntry.Sentiment.choices], required=False, label="Sentiment"
    )
    at = LocalMoment(required=False, label="When", help_text="Empty: now.")
    minutes = forms.IntegerField(min_value=1, max_value=MOST_MINUTES, required=False, label="Minutes")
    attendees = forms.TypedMultipleChoiceField(
        coerce=UUID, required=False, label="With", widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, zone: ZoneInfo, contacts: Sequence[Contact], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["at"].zone = zone  # type: ignore[attr-defined]
        self.fields["attendees"].choices = [(str(one.pk), one.name) for one in contacts]  # type: ignore[attr-defined]

    def said(self, now: datetime) -> Said:
        """Return what was written."""
        data = self.cleaned_data
        return Said(
            data["kind"],
            data["at"] or now,
            data["text"],
            data["sentiment"],
            data["minutes"],
            tuple(data["attendees"]),
        )


class TaskForm(forms.Form):
    """Something to do."""

    title = forms.CharField(max_length=200, label="What is to be done")
    due_on = forms.DateField(required=False, label="Due", widget=_day())
    assigned_to = forms.TypedChoiceField(coerce=UUID, empty_value=None, required=False, label="Who does it")
    detail = forms.CharField(
        max_length=5000, required=False, label="Details", widget=forms.Textarea(attrs={"rows": 2})
    )
    is_shared = forms.BooleanField(
        required=False, label="Share it with the customer", help_text="They see all of it, and can tick it off."
    )

    def __init__(self, *args: Any, people: Sequence[tuple[UUID, str, bool]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["assigned_to"].choices = [  # type: ignore[attr-defined]
            ("", "Nobody yet"),
            *((str(pk), f"{name}, customer" if is_theirs else name) for pk, name, is_theirs in people),
        ]

    def wanted(self) -> Wanted:
        """Return what was asked for."""
        data = self.cleaned_data
        return Wanted(data["title"], data["due_on"], data["assigned_to"], data["detail"], data["is_shared"])


class ContactForm(forms.Form):
    """Somebody at the customer."""

    name = forms.CharField(max_length=150)
    role = forms.ChoiceField(choices=Contact.Role.choices, label="What they are to us", initial=Contact.Role.USER)
    title = forms.CharField(max_length=150, required=False, label="Job")
    email = forms.EmailField(required=False, label="E-mail", help_text="Ties them to who signs in with it.")
    note = forms.CharField(max_length=5000, required=False, widget=forms.Textarea(attrs={"rows": 2}))

    def person(self, contact: Contact | None = None) -> Person:
        """Return what was written; ids of other systems stay."""
        data = self.cleaned_data
        external = contact.external_id if contact else ""
        return Person(data["name"], data["role"], data["email"], data["title"], data["note"], None, external)


class CoverForm(forms.Form):
    """Who looks after whose accounts, and on which days."""

    absent = forms.TypedChoiceField(coerce=UUID, label="Who is away")
    covered_by = forms.TypedChoiceField(coerce=UUID, label="Who looks after their accounts")
    starts_on = forms.DateField(label="First day", widget=_day())
    last_day = forms.DateField(label="Last day", widget=_day())

    def __init__(self, *args: Any, absent: Sequence[User], staff: Sequence[User], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["absent"].choices = [(str(one.pk), str(one)) for one in absent]  # type: ignore[attr-defined]
        self.fields["covered_by"].choices = [(str(one.pk), str(one)) for one in staff]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        start, last = data.get("starts_on"), data.get("last_day")
        if start and last and last < start:
            self.add_error("last_day", "The last day cannot be before the first.")
        if last and not 2000 <= last.year <= 2098:
            self.add_error("last_day", "Choose a day between 2000 and 2098.")
        if data.get("absent") and data.get("absent") == data.get("covered_by"):
            self.add_error("covered_by", "Choose somebody else.")
        if not self.errors and last:
            data["ends_on"] = last + timedelta(days=1)
        return data
