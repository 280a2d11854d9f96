"""Forms for meters."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms import BaseFormSet, formset_factory

from consumption_cs.lib.tenancy import Viewer
from usage.actions.meters import LOCKED
from usage.calc.corrections import OWN_TYPES
from usage.models import Meter

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
        if self.cleaned_data["event_type"].startswith(OWN_TYPES):
            raise ValidationError(f"Types that start with “{OWN_TYPES}” correct other events: choose another.")
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
