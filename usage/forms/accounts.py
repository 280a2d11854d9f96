"""The form of an account."""

from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q

from accounts.models import Account, Organization, User
from accounts.organization_forms import CountryField, TimeZoneField, plain_line
from accounts.permissions import can
from consumption_cs.lib.tenancy import Viewer
from usage.actions.accounts import LOCKED, staff_people, taken_words


class AccountForm(forms.ModelForm):
    """A customer. What its usage rests on is locked after its first event."""

    timezone = TimeZoneField(label="Time zone", help_text="Its days, and so its bills, begin and end here.")

    country = CountryField(
        "That of the organization",
        label="Country",
        help_text="Its forecasts expect this country’s public holidays.",
    )

    class Meta:
        model = Account
        fields = [
            "name",
            "key",
            "segment",
            "tier",
            "currency",
            "timezone",
            "country",
            "contract_starts_on",
            "contract_ends_on",
            "billing_day",
            "csm",
            "field_cto",
        ]
        labels = {
            "tier": "Service tier",
            "contract_starts_on": "Contract starts",
            "contract_ends_on": "Contract ends",
            "billing_day": "Billing day",
            "csm": "CSM",
            "field_cto": "Field CTO",
        }
        help_texts = {
            "key": "The subject of its usage events; best the id that your own systems use.",
            "billing_day": "The day of the month, 1 to 31, on which its billing periods start; in a shorter month the "
            "last day. A change counts for periods that are not closed: the next one is shorter, its use is rated "
            "again.",
        }
        error_messages = {"key": {"required": "Give it a key: its usage events name it."}}

    def __init__(self, *args: Any, viewer: Viewer, organization: Organization, is_locked: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.viewer = viewer
        if self.instance._state.adding:
            self.initial.update(currency=organization.currency, timezone=organization.timezone)
        for name in ("contract_starts_on", "contract_ends_on"):
            self.fields[name].widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
        for name in ("csm", "field_cto"):
            self._offer_people(name)
        zone = self.fields["timezone"]
        assert isinstance(zone, TimeZoneField)  # noqa: S101 - for the type checker
        zone.offer(self.instance.timezone)
        if not (can(viewer, "period.close") or self.instance._state.adding):
            self.fields["billing_day"].disabled = True
            self.fields["billing_day"].help_text = "An admin can change it."
        self.fields["billing_day"].required = False
        self.fields["billing_day"].widget.attrs |= {"min": "1", "max": "31"}
        for name in LOCKED if is_locked else ():
            self.fields[name].disabled = True

    def clean_name(self) -> str:
        return plain_line(self.cleaned_data["name"])

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"]
        if Account.objects.visible_to(self.viewer).filter(key=key).exclude(pk=self.instance.pk).exists():
            raise ValidationError(taken_words(key))
        return key

    def clean_billing_day(self) -> int:
        day: int | None = self.cleaned_data["billing_day"]
        if day is None:  # not asked for: it stays
            return int(self.initial.get("billing_day") or 1)
        if not 1 <= day <= 31:
            raise ValidationError("Choose a day of the month: 1 to 31.")
        return day

    def clean_contract_starts_on(self) -> date | None:
        return self._day("contract_starts_on")

    def clean_contract_ends_on(self) -> date | None:
        return self._day("contract_ends_on")

    def _day(self, name: str) -> date | None:
        day: date | None = self.cleaned_data[name]
        if day and not 2000 <= day.year <= 2099:
            raise ValidationError("Choose a day between 2000 and 2099.")
        return day

    def _offer_people(self, name: str) -> None:
        """Staff of the organization, and whoever has the part now, even when they left."""
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        now = Q(pk=getattr(self.instance, f"{name}_id"))
        staff = staff_people(self.viewer)
        field.queryset = User.objects.filter(now | Q(pk__in=staff.values("pk"))).order_by("name", "email")
        field.empty_label = "Nobody yet"
