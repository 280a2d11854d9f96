"""Forms of the top-up planner: a scenario of up to three steps, and the terms of the next commit."""

from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

_KINDS = (
    ("", "No step"),
    ("grow", "Use grows or falls by a percentage"),
    ("workflow", "A new workflow"),
    ("one_off", "A one-off"),
    ("top_up", "A top-up"),
    ("commit_size", "Another size of the largest commit"),
)
_DATE = {"attrs": {"type": "date"}, "format": "%Y-%m-%d"}


class StepForm(forms.Form):
    """One step. What the amount means depends on its kind; the page says it."""

    kind = forms.ChoiceField(choices=_KINDS, required=False, label="What happens")
    amount = forms.DecimalField(
        required=False,
        max_digits=18,
        decimal_places=3,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        label="Amount or percent",
        help_text="Percent of use; money a day of a workflow; money of anything else.",
    )
    start = forms.DateField(required=False, widget=forms.DateInput(**_DATE), label="From or on")  # type: ignore[arg-type]
    end = forms.DateField(required=False, widget=forms.DateInput(**_DATE), label="Until")  # type: ignore[arg-type]
    ramp_days = forms.IntegerField(required=False, min_value=0, max_value=365, label="Days until full pace")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        kind, amount = data.get("kind"), data.get("amount")
        if not kind:
            return data
        if amount is None:
            self.add_error("amount", "Give the amount, or the percentage.")
        elif kind == "grow" and amount < -100:
            self.add_error("amount", "Use cannot fall by more than 100 %.")
        elif kind not in ("grow", "one_off") and amount < 0:
            self.add_error("amount", "Give an amount of zero or more.")
        start, end = data.get("start"), data.get("end")
        if start and end and end <= start:
            self.add_error("end", "The end must be later than the start.")
        for name, day in (("start", start), ("end", end)):
            if day and not 2000 <= day.year <= 2099:
                self.add_error(name, "Choose a day between 2000 and 2099.")
        return data

    def step(self, largest: Decimal) -> dict[str, Any] | None:
        """Return the step as it is stored, or None for an empty row; `largest` is the largest commit's value."""
        data = self.cleaned_data
        kind = data.get("kind")
        if not kind:
            return None
        amount = f"{data['amount']:f}"
        start, end = (day.isoformat() if day else None for day in (data.get("start"), data.get("end")))
        if kind == "grow":
            return _without_none({"kind": kind, "percent": amount, "from": start, "to": end})
        if kind == "workflow":
            return _without_none(
                {"kind": kind, "per_day": amount, "from": start, "ramp_days": data.get("ramp_days") or 0}
            )
        if kind == "one_off":
            return _without_none({"kind": kind, "amount": amount, "on": start})
        if kind == "top_up":
            return _without_none({"kind": kind, "amount": amount, "on": start, "expires": end})
        return {"kind": kind, "amount": amount, "was": f"{largest:f}"}


class ScenarioForm(forms.Form):
    """Its name, and whether the other side sees it."""

    name = forms.CharField(max_length=100, help_text="Such as Top up 40k in March.")
    is_shared = forms.BooleanField(required=False, label="The other side sees it too")


class TermsForm(forms.Form):
    """What right-sizing needs to know about the next commit."""

    approval_days = forms.IntegerField(
        min_value=0, max_value=365, label="Days that approval takes", help_text="On the customer's side."
    )
    overage_factor = forms.DecimalField(
        min_value=0, max_digits=8, decimal_places=4, label="Overage costs", help_text="Times the contract rate."
    )
    discounts = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4, "placeholder": "100000 5\n250000 8"}),
        label="Discounts",
        help_text="One a line: from which commit on, and how many percent.",
    )

    def clean_discounts(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        for number, line in enumerate(self.cleaned_data["discounts"].splitlines(), start=1):
            if not line.strip():
                continue
            parts = line.replace("%", "").replace(",", "").split()
            try:
                least, percent = (Decimal(part) for part in parts)
            except (ValueError, InvalidOperation) as error:
                raise ValidationError(f"Line {number}: write an amount and a percentage, such as 100000 5.") from error
            if not (least.is_finite() and percent.is_finite()) or least < 0 or not 0 <= percent <= 100:
                raise ValidationError(f"Line {number}: the amount is zero or more, the percentage 0 to 100.")
            found.append({"from": f"{least:f}", "percent": f"{percent:f}"})
        if len(found) > 20:
            raise ValidationError("Twenty lines are the most.")
        return sorted(found, key=lambda one: Decimal(one["from"]))


def _without_none(step: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in step.items() if value is not None}
