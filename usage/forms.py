"""Forms for meters and prices."""

import re
from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms import BaseFormSet, formset_factory

from accounts.models import Account, Organization, currency_code
from consumption_cs.lib.tenancy import Viewer
from usage.actions.meters import LOCKED
from usage.actions.prices import NewPrice, taken_words
from usage.calc.price_text import BadPrice, read_unit_price
from usage.models import Meter, Price, Workflow

_PROPERTY = re.compile(r"[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,99}")
MOST_DIMENSIONS = 5
PROPERTIES = (
    "value_property", "workflow_property", "success_property", "outcome_property", "attempt_property",
    "environment_property",
)  # fmt: skip


class MeterForm(forms.ModelForm):
    """A meter without its filters, which are a formset. What a bill rests on is locked once events were counted."""

    dimensions = forms.CharField(
        required=False,
        max_length=600,
        help_text=f"Properties to break usage down by, separated by commas, {MOST_DIMENSIONS} at most: region, model.",
    )

    class Meta:
        model = Meter
        fields = ["name", "key", "unit", "event_type", "aggregation", *PROPERTIES, "dimensions", "is_active"]
        labels = {
            "event_type": "Event type",
            "aggregation": "What is counted",
            "value_property": "Value",
            "workflow_property": "Workflow",
            "success_property": "Success",
            "outcome_property": "Outcomes",
            "attempt_property": "Attempt",
            "environment_property": "Environment",
            "is_active": "Counts new events",
        }
        help_texts = {
            "key": "For the API and for CSV files; keep it.",
            "event_type": "The type of the CloudEvents that this meter reads. One meter per type.",
            "is_active": "Switched off, events of its type wait in quarantine.",
        }

    def __init__(self, *args: Any, viewer: Viewer, is_locked: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.viewer = viewer
        self.initial["dimensions"] = ", ".join(self.instance.dimensions)
        for name in LOCKED if is_locked else ():
            self.fields[name].disabled = True

    def clean_key(self) -> str:
        return self._free("key", "Another meter has this key.")

    def clean_event_type(self) -> str:
        return self._free("event_type", "Another meter reads this event type.")

    def clean_dimensions(self) -> list[str]:
        names = [name.strip() for name in self.cleaned_data["dimensions"].split(",") if name.strip()]
        for name in names:
            _check_property(name)
        if len(names) > MOST_DIMENSIONS or len(set(names)) < len(names):
            raise ValidationError(f"Name each property once, and {MOST_DIMENSIONS} at most.")
        return names

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name in PROPERTIES:
            try:
                _check_property(cleaned.get(name, "x"))
            except ValidationError as error:
                self.add_error(name, error)
        return cleaned

    def _free(self, name: str, words: str) -> str:
        value: str = self.cleaned_data[name]
        if Meter.objects.visible_to(self.viewer).filter(**{name: value}).exclude(pk=self.instance.pk).exists():
            raise ValidationError(words)
        return value


class FilterForm(forms.Form):
    """One property that must have one of some values for an event to count."""

    name = forms.CharField(required=False, max_length=100, label="Property")
    values = forms.CharField(required=False, max_length=2000, label="Values that count")

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name:
            _check_property(name)
        return name

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if bool(cleaned.get("name")) != bool(read_values(cleaned.get("values", ""))):
            raise ValidationError("A filter needs both a property and at least one value.")
        return cleaned


class _Filters(BaseFormSet):
    def clean(self) -> None:
        names = [form.cleaned_data.get("name") for form in self.forms if getattr(form, "cleaned_data", None)]
        names = [name for name in names if name]
        if len(set(names)) < len(names):
            raise ValidationError("A property stands there twice; put its values into one row.")

    def as_filters(self) -> dict[str, list[Any]]:
        """Return {property: [values]} as the meter stores them."""
        rows = [form.cleaned_data for form in self.forms if form.cleaned_data.get("name")]
        return {row["name"]: read_values(row["values"]) for row in rows}


FilterFormSet = formset_factory(FilterForm, formset=_Filters, extra=2, max_num=20)


def read_values(text: str) -> list[Any]:
    """Return the values in a list: true, false and whole numbers as such; the rest, and what is quoted, as text."""
    values: list[Any] = []
    for part in (part.strip() for part in text.split(",")):
        if part in ("true", "false"):
            values.append(part == "true")
        elif re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", part, re.ASCII):
            values.append(int(part))
        elif part:
            values.append(part[1:-1] if len(part) > 2 and part[0] == part[-1] == '"' else part)
    return values


def write_values(values: list[Any]) -> str:
    """Return the list that `read_values` reads back."""
    return ", ".join(_value_text(value) for value in values)


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f'"{text}"' if isinstance(value, str) and read_values(text) != [text] else text


def _check_property(name: str) -> None:
    if not _PROPERTY.fullmatch(name) or name != name.strip():
        raise ValidationError("Name a property of the event’s data, in 100 characters at most.")


class PriceForm(forms.Form):
    """A price to add. `new_price` gives what was asked for, when valid."""

    meter = forms.ModelChoiceField(queryset=Meter.objects.none())
    account = forms.CharField(
        required=False,
        max_length=200,
        label="Account key",
        help_text="Leave it empty for everybody without a price of their own.",
    )
    unit_price = forms.CharField(
        max_length=60, label="Price per unit", help_text="Up to 12 decimals: 0.000125. It is never rounded."
    )
    currency = forms.CharField(max_length=3, validators=[currency_code])
    effective_on = forms.DateField(
        label="From",
        help_text="The first day, on each account’s own calendar. It holds until the next price.",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    confirmed = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, viewer: Viewer, organization: Organization, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.viewer = viewer
        field = self.fields["meter"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        field.queryset = Meter.objects.visible_to(viewer).order_by("name")
        self.fields["account"].widget.attrs |= {"list": "accounts", "autocomplete": "off"}
        self.fields["unit_price"].widget.attrs |= {"inputmode": "decimal", "autocomplete": "off"}
        self.fields["currency"].widget.attrs |= {"autocapitalize": "characters", "autocomplete": "off"}
        self.initial.setdefault("currency", organization.currency)

    def clean_account(self) -> Account | None:
        key = self.cleaned_data["account"].strip()
        if not key:
            return None
        account: Account | None = Account.objects.visible_to(self.viewer).filter(key=key).first()
        if account is None:
            raise ValidationError(f"No account has the key “{key}”.")
        return account

    def clean_unit_price(self) -> Decimal:
        try:
            return read_unit_price(self.cleaned_data["unit_price"])
        except BadPrice as bad:
            raise ValidationError(str(bad)) from bad

    def clean_effective_on(self) -> date:
        day: date = self.cleaned_data["effective_on"]
        if not 2000 <= day.year <= 2099:
            raise ValidationError("Choose a day between 2000 and 2099.")
        return day

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        account = cleaned.get("account")
        if account and cleaned.get("currency", account.currency) != account.currency:
            self.add_error("currency", f"{account.name} pays in {account.currency}.")
        if not self.errors and self._is_taken(self.new_price):
            raise ValidationError(f"{taken_words(self.new_price)} Remove that one first, or choose another day.")
        return cleaned

    @property
    def new_price(self) -> NewPrice:
        """The price, once the form is valid."""
        data = self.cleaned_data
        return NewPrice(data["meter"], data["account"], data["currency"], data["unit_price"], data["effective_on"])

    def _is_taken(self, new: NewPrice) -> bool:
        same = Price.objects.visible_to(self.viewer).filter(meter=new.meter, account=new.account)
        return same.filter(currency=new.currency, effective_on=new.effective_on).exists()


class UploadForm(forms.Form):
    """A CSV file."""

    file = forms.FileField(label="CSV file", widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}))


class WorkflowForm(forms.ModelForm):
    """A workflow by hand. Its key is what events name, so it cannot change once it is there."""

    success_target = forms.DecimalField(
        label="Success target, %",
        required=False,
        min_value=1,
        max_value=100,
        decimal_places=2,
        help_text="The share of runs that should succeed, for example 95.",
    )

    class Meta:
        model = Workflow
        fields = ["name", "key", "stage", "outcome_unit", "success_target"]
        help_texts = {"key": "What events say in their workflow property. It cannot be changed later."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        target = self.instance.success_target
        self.initial["success_target"] = None if target is None else (target * 100).normalize()
        if not self.instance._state.adding:
            self.fields["key"].disabled = True

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"].strip()
        if not key.isprintable():
            raise ValidationError("Use printable characters only.")
        return key

    def clean_success_target(self) -> Decimal | None:
        """Per cent on the page, a ratio in the database."""
        target: Decimal | None = self.cleaned_data["success_target"]
        return None if target is None else target / 100
