"""Forms for people and keys."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from accounts.actions.people import NewPerson
from accounts.models import Account, Scope, User
from accounts.reports import roles_of

DAY = 24
TERMS = [("0", "It does not"), ("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year")]
OVERLAPS = [
    ("0", "Stops at once"),
    ("1", "Works for 1 more hour"),
    (str(DAY), "Works for 24 more hours"),
    (str(3 * DAY), "Works for 3 more days"),
    (str(7 * DAY), "Works for 7 more days"),
]


def clean_line(text: str) -> str:
    """Return a name on one line. Raises ValidationError for signs that cannot be printed."""
    line = " ".join(text.split())
    if not line.isprintable():
        raise ValidationError("Use letters, digits and signs that can be read.")
    return line


class RoleForm(forms.Form):
    """One of the roles that people there can have."""

    role = forms.ChoiceField()

    def __init__(self, *args: Any, account: Account | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = [(value, name) for value, name, _ in roles_of(account)]  # type: ignore[attr-defined]


class InviteForm(RoleForm):
    """A seat to offer."""

    email = forms.EmailField(label="E-mail", max_length=254)
    field_order = ("email", "role")

    def __init__(self, *args: Any, account: Account | None, **kwargs: Any) -> None:
        super().__init__(*args, account=account, **kwargs)
        self.initial.setdefault("role", roles_of(account)[-1][0])

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()


class KeyForm(forms.Form):
    """A key to make. A customer's key only reads, so there is nothing to choose; `manage` is offered to few."""

    name = forms.CharField(max_length=100, help_text="What uses it: “Billing worker”, “Warehouse export”.")
    scopes = forms.MultipleChoiceField(
        label="It may",
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        initial=[Scope.EVENTS_WRITE.value],
        error_messages={"required": "Choose what the key may do."},
    )
    term = forms.ChoiceField(label="It ends", choices=TERMS)

    def __init__(self, *args: Any, account: Account | None, may_manage: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if account is not None:
            del self.fields["scopes"]
        elif not may_manage:
            offered = [(value, name) for value, name in Scope.choices if value != Scope.MANAGE]
            self.fields["scopes"].choices = offered  # type: ignore[attr-defined]

    def clean_name(self) -> str:
        return clean_line(self.cleaned_data["name"])

    def expires_at(self, now: datetime) -> datetime | None:
        """Return when the key ends; None if it does not."""
        days = int(self.cleaned_data["term"])
        return now + timedelta(days=days) if days else None


class RotateForm(forms.Form):
    """How long the old key goes on working beside the new one."""

    hours = forms.ChoiceField(choices=OVERLAPS)

    @property
    def overlap(self) -> timedelta:
        return timedelta(hours=int(self.cleaned_data["hours"]))


class NewPersonForm(forms.Form):
    """Name and password of somebody who accepts an invitation and has no sign-in yet."""

    name = forms.CharField(max_length=150, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    password = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        strip=False,
        max_length=200,
        help_text="Ten characters or more; a few words in a row are easy to remember.",
    )

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email

    def clean_name(self) -> str:
        return clean_line(self.cleaned_data["name"])

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        validate_password(password, User(email=self.email, name=self.cleaned_data.get("name", "")))
        return password

    @property
    def person(self) -> NewPerson:
        return NewPerson(self.cleaned_data["name"], self.cleaned_data["password"])


class ProfileForm(forms.ModelForm):
    """What a person says about themselves."""

    timezone = forms.ChoiceField(
        label="Time zone",
        required=False,
        help_text="For times outside an account. Inside one, its own zone counts, so that days are the same for all.",
    )

    class Meta:
        model = User
        fields = ("name", "timezone")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].required = True
        zones = sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC")
        self.fields["timezone"].choices = [("", "That of the organization"), *((zone, zone) for zone in zones)]  # type: ignore[attr-defined]

    def clean_name(self) -> str:
        return clean_line(self.cleaned_data["name"])


class PasswordForm(forms.Form):
    """The reader's own password, to make sure that it is them."""

    password = forms.CharField(widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}), strip=False)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if not self.user.check_password(password):
            raise ValidationError("That is not your password.")
        return password
