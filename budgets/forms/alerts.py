"""Forms of an alert's page: how long to be quiet, who takes it, what to add."""

from datetime import datetime, timedelta

from django import forms

from accounts.models import User
from consumption_cs.lib.periods import day_of, zone_of

MOST_WORDS = 2000
SNOOZES = [("1h", "1 hour"), ("4h", "4 hours"), ("monday", "Until Monday 09:00")]


class SnoozeForm(forms.Form):
    """Until when nobody is reminded."""

    until = forms.ChoiceField(choices=SNOOZES)

    def moment(self, now: datetime, timezone: str) -> datetime:
        """Return the end of the snooze; Monday is the next one of the account's zone."""
        chosen = self.cleaned_data["until"]
        if chosen != "monday":
            return now + timedelta(hours=int(chosen[:-1]))
        zone = zone_of(timezone)
        today = day_of(now, zone)
        monday = today + timedelta(days=7 - today.weekday())
        return datetime(monday.year, monday.month, monday.day, 9, tzinfo=zone)


class AssignForm(forms.Form):
    """Who deals with it: one of the people given, or nobody."""

    person = forms.ChoiceField(required=False)

    def __init__(self, people: dict[str, User], *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.people = people
        self.fields["person"].choices = [("", "Nobody"), *((key, str(user)) for key, user in people.items())]  # type: ignore[attr-defined]

    def user(self) -> User | None:
        """Return the person chosen."""
        return self.people.get(self.cleaned_data["person"])


class CommentForm(forms.Form):
    """Words for the log. `internal` ones stay among staff."""

    text = forms.CharField(max_length=MOST_WORDS, widget=forms.Textarea(attrs={"rows": 2}))
    internal = forms.BooleanField(required=False, label="Only for staff")


class JudgeForm(forms.Form):
    """Whether the alert was worth it."""

    feedback = forms.ChoiceField(choices=[("useful", "Useful"), ("expected", "Expected"), ("wrong", "Wrong")])
