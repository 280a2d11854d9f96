"""The form of a planned activity."""

from datetime import timedelta
from typing import Any

from django import forms

from budgets.actions.planned import NewPlan
from budgets.models import PlannedActivity


class PlannedForm(forms.Form):
    """What is planned, when, and what it is expected to add."""

    name = forms.CharField(max_length=100, help_text="Such as Load test of the new model.")
    kind = forms.ChoiceField(choices=PlannedActivity.Kind.choices)
    starts_on = forms.DateField(label="First day", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    last_day = forms.DateField(
        label="Last day", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), required=False,
        help_text="Empty: one day.",
    )  # fmt: skip
    extra_spend = forms.DecimalField(
        required=False,
        max_digits=15,
        decimal_places=3,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        label="Expected on top, in all",
        help_text="In the account's currency; below zero for a holiday.",
    )
    change_percent = forms.DecimalField(
        required=False,
        max_digits=7,
        decimal_places=2,
        min_value=-100,
        max_value=10000,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        label="Or usual use, changed by percent",
        help_text="Such as 30, or -80 for a holiday.",
    )
    mutes = forms.BooleanField(required=False, initial=True, label="No alarm about unusual use while it lasts")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        start, last = data.get("starts_on"), data.get("last_day")
        if start and last and last < start:
            self.add_error("last_day", "The last day cannot be before the first.")
        if start and not 2000 <= start.year <= 2099:
            self.add_error("starts_on", "Choose a day between 2000 and 2099.")
        if start and last and (last - start).days > 400:
            self.add_error("last_day", "An activity lasts 400 days at most.")
        if data.get("extra_spend") is not None and data.get("change_percent") is not None:
            self.add_error("change_percent", "Give an amount or a percentage, not both.")
        return data

    def new_plan(self) -> NewPlan:
        """Return what was asked for."""
        data = self.cleaned_data
        last = data["last_day"] or data["starts_on"]
        return NewPlan(
            data["kind"],
            data["name"],
            data["starts_on"],
            last + timedelta(days=1),
            data["extra_spend"],
            data["change_percent"],
            data["mutes"],
        )
