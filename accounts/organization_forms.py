"""The form of an organization's settings, and the choice of a time zone that other forms share."""

from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError

from accounts.actions.organization import MAX_LOGO_BYTES, check_logo
from accounts.models import Organization
from consumption_cs.lib.images import BadImage
from consumption_cs.lib.public_holidays import countries

_PLACES = (
    "Africa/", "America/", "Antarctica/", "Arctic/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/",
    "Pacific/",
)  # fmt: skip


@cache
def _zones() -> tuple[str, ...]:
    """Places, as people know them: Europe/Vienna and the like, not Etc/GMT+3 or the old names without a place."""
    names = sorted(name for name in available_timezones() if name.startswith(_PLACES))
    return ("UTC", *names)


class TimeZoneField(forms.ChoiceField):
    """A choice of IANA zones; one that is stored already can stay, even if it is not in the list."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=lambda: [(name, name.replace("_", " ")) for name in _zones()], **kwargs)

    def offer(self, name: str) -> None:
        """Add the zone that is stored now."""
        if name and name not in _zones():
            self.choices = [(name, name), *((zone, zone.replace("_", " ")) for zone in _zones())]


class CountryField(forms.ChoiceField):
    """A choice of the countries whose public holidays are known, or of none, which `empty` says in words."""

    def __init__(self, empty: str, **kwargs: Any) -> None:
        super().__init__(choices=lambda: [("", empty), *countries()], required=False, **kwargs)


class OrganizationForm(forms.ModelForm):
    """Name, calendar, currency, colour and, maybe, a new logo."""

    timezone = TimeZoneField(label="Time zone", help_text="Days of the organization begin and end here.")
    country = CountryField(
        "No holidays",
        label="Country",
        help_text="Forecasts expect its public holidays, for accounts without a country of their own.",
    )
    logo_file = forms.FileField(
        label="Logo",
        required=False,
        help_text=f"PNG, JPEG or WebP, at most {MAX_LOGO_BYTES // 1024} KB, best a square of 64 pixels or more. "
        "No SVG: such a file can carry scripts, and every customer’s browser would open it.",
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp"}),
    )

    class Meta:
        model = Organization
        fields = ["name", "timezone", "country", "currency", "close_after_days", "brand_color"]
        labels = {
            "currency": "Default currency",
            "close_after_days": "Close billing periods after",
            "brand_color": "Brand colour",
        }
        help_texts = {
            "currency": "For new accounts and prices; those that are there keep theirs.",
            "close_after_days": "Days after a period’s end, 0 to 60. Until then late use is still part of it; after "
            "that it becomes an adjustment in the next. Finance can close a period by hand before.",
            "brand_color": "Buttons, links and charts use shades of it that stay readable on light and dark.",
        }
        widgets = {"brand_color": forms.TextInput(attrs={"type": "color"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = self.fields["timezone"]
        assert isinstance(zone, TimeZoneField)  # noqa: S101 - for the type checker
        zone.offer(self.instance.timezone)
        days = self.fields["close_after_days"]
        days.required = False
        days.widget.attrs |= {"min": "0", "max": "60"}
        self.fields["currency"].widget.attrs |= {"autocapitalize": "characters", "autocomplete": "off"}

    def clean_name(self) -> str:
        return plain_line(self.cleaned_data["name"])

    def clean_close_after_days(self) -> int:
        days: int | None = self.cleaned_data["close_after_days"]
        if days is None:  # not asked for: it stays
            return int(self.initial["close_after_days"])
        if not 0 <= days <= 60:
            raise ValidationError("Choose 0 to 60 days.")
        return days

    def clean_country(self) -> str:
        asked_for = self.add_prefix("country") in self.data
        return str(self.cleaned_data["country"] if asked_for else self.initial["country"])

    def clean_brand_color(self) -> str:
        return str(self.cleaned_data["brand_color"]).lower()

    def clean_logo_file(self) -> bytes | None:
        """The picture's bytes, checked; read no further than a logo may be long."""
        file = self.cleaned_data["logo_file"]
        if file is None:
            return None
        content: bytes = file.read(MAX_LOGO_BYTES + 1)
        try:
            check_logo(content)
        except BadImage as bad:
            raise ValidationError(str(bad)) from bad
        return content


def plain_line(text: str) -> str:
    """Return a name without spaces around it. Raises ValidationError for signs that cannot be seen or turn lines."""
    name = text.strip()
    if not name.isprintable():
        raise ValidationError("Use printable characters only.")
    return name
