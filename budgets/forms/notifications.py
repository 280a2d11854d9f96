"""Forms of destinations, routes and a person's own wishes."""

import re
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from django import forms
from django.core.validators import validate_email

from accounts.models import Account
from budgets.models import Budget, Destination, NotificationWishes
from budgets.reports.notifications import TOPICS, budgets_to_tell, places_to_tell, seats_to_tell
from consumption_cs.lib.outgoing import AddressError, SendError, check_reachable, checked_url
from consumption_cs.lib.tenancy import Viewer

_SLACK = re.compile(r"https://hooks\.slack\.com/services/[A-Z0-9]{6,20}/[A-Z0-9]{6,20}/[A-Za-z0-9]{16,40}")
_TEAMS = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.(logic\.azure\.com|api\.powerplatform\.com)")
_PAGERDUTY = re.compile(r"[A-Za-z0-9]{32}")
Kind = Destination.Kind


_OF_ALL = ("alert.", "limit.")
_OF_STAFF = (
    "play.",
    "health.",
    "signal.",
    "rung.",
    "task.",
    "outcome.",
    "review.",
)  # what happens in the book is the vendor's own


class DestinationForm(forms.Form):
    """A place and its address, checked as its kind wants it."""

    kind = forms.ChoiceField(choices=Kind.choices, label="Kind")
    name = forms.CharField(max_length=100, label="Name", help_text="As it is called in lists and logs.")
    address = forms.CharField(
        max_length=1000,
        label="Address",
        help_text="A webhook's https address, a Slack or Teams incoming webhook, a PagerDuty integration key, or an"
        " e-mail address. It is stored encrypted.",
    )
    topics = forms.MultipleChoiceField(
        choices=[(name, words) for name, words in TOPICS.items() if name.startswith(_OF_ALL)],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Only these",
        help_text="None chosen: everything.",
    )
    shown = ""

    def __init__(self, *args: Any, for_staff: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        topics = self.fields["topics"]
        if for_staff and isinstance(topics, forms.MultipleChoiceField):
            wanted = (*_OF_ALL, *_OF_STAFF)
            topics.choices = [(name, words) for name, words in TOPICS.items() if name.startswith(wanted)]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("kind") and data.get("address"):
            data["address"] = data["address"].strip()
            try:
                self.shown = _CHECKS[data["kind"]](data["address"])
            except (AddressError, SendError, forms.ValidationError) as error:
                words = error.messages[0] if isinstance(error, forms.ValidationError) else str(error)
                self.add_error("address", words)
        return data


def _webhook(address: str) -> str:
    check_reachable(address)
    parts = checked_url(address)
    secret_part = f"{parts.path}?{parts.query}" if parts.query else parts.path  # many receivers know us by it
    return f"{parts.scheme}://{parts.netloc}/" + (f"…{secret_part[-4:]}" if len(secret_part) > 5 else "")


def _slack(address: str) -> str:
    if not _SLACK.fullmatch(address):
        raise AddressError("Enter the address of an incoming webhook: https://hooks.slack.com/services/T…/B…/…")
    return f"hooks.slack.com … {address[-4:]}"


def _teams(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme != "https" or not _TEAMS.fullmatch(parts.hostname or "") or parts.port not in (None, 443):
        raise AddressError("Enter the address that Teams gives for “When a Teams webhook request is received”.")
    if "sig=" not in parts.query or parts.username or parts.fragment:
        raise AddressError("The address is not complete: copy it as a whole, with the part after the question mark.")
    return f"{parts.hostname} … {address[-4:]}"


def _pagerduty(address: str) -> str:
    if not _PAGERDUTY.fullmatch(address):
        raise AddressError("Enter the integration key (Events API v2): 32 letters and digits.")
    return f"Key … {address[-4:]}"


def _email(address: str) -> str:
    validate_email(address)
    return address


_CHECKS = {
    Kind.WEBHOOK: _webhook,
    Kind.SLACK: _slack,
    Kind.TEAMS: _teams,
    Kind.PAGERDUTY: _pagerduty,
    Kind.EMAIL: _email,
}


class RouteForm(forms.Form):
    """Who hears of what."""

    receiver = forms.ChoiceField(label="Who")
    budget = forms.ModelChoiceField(
        Budget.objects.none(), required=False, empty_label="Every alert of the account", label="Of what"
    )
    is_escalation = forms.BooleanField(required=False, label="Only what nobody has acknowledged in time")

    def __init__(self, viewer: Viewer, account: Account, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seats = {f"m:{seat.pk}": seat for seat in seats_to_tell(viewer, account)}
        self.places = {f"d:{place.pk}": place for place in places_to_tell(viewer, account)}
        choices = [("People", [(key, str(seat.user)) for key, seat in self.seats.items()])]
        if self.places:
            choices.append(("Destinations", [(key, place.name) for key, place in self.places.items()]))
        self.fields["receiver"].choices = choices  # type: ignore[attr-defined]
        self.fields["budget"].queryset = budgets_to_tell(viewer, account)  # type: ignore[attr-defined]


class WishesForm(forms.ModelForm):
    """What one member wants to get by mail, and when not."""

    timezone = forms.ChoiceField(label="Your time zone")

    class Meta:
        model = NotificationWishes
        fields = (
            "by_mail",
            "least_severity",
            "digest",
            "timezone",
            "quiet_from",
            "quiet_to",
            "quiet_weekends",
            "critical_breaks_quiet",
        )
        labels = {
            "by_mail": "Send me alerts by mail",
            "least_severity": "From which severity on",
            "digest": "Digest",
            "quiet_from": "Quiet from",
            "quiet_to": "Quiet until",
            "quiet_weekends": "Quiet on Saturdays and Sundays",
            "critical_breaks_quiet": "Critical alerts come through at any time",
        }
        widgets = {
            name: forms.TimeInput(attrs={"type": "time"}, format="%H:%M") for name in ("quiet_from", "quiet_to")
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zones = sorted(available_timezones() - {"localtime"})
        self.fields["timezone"].choices = [(zone, zone) for zone in zones]  # type: ignore[attr-defined]
