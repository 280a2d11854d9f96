"""The form that asks for a report."""

from typing import Any

from django import forms

from budgets.models import Report
from budgets.reports import report_kinds


class ReportForm(forms.Form):
    """Which report, as which file, as of when. The moment is of the zone that the page is shown in."""

    kind = forms.ChoiceField(label="Report")
    format = forms.ChoiceField(choices=Report.Format.choices, label="File")
    as_of = forms.DateTimeField(
        label="As of",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
        help_text="What was booked by then. Empty: now. A day is booked soon after it ends.",
    )

    def __init__(self, *args: Any, of_account: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind"].choices = report_kinds.choices(of_account)  # type: ignore[attr-defined]


class SubscriptionForm(forms.Form):
    """A report every month, to oneself."""

    kind = forms.ChoiceField(label="Report")
    format = forms.ChoiceField(choices=Report.Format.choices, label="File")
    day_of_month = forms.TypedChoiceField(
        choices=[(day, str(day)) for day in range(1, 32)],
        coerce=int,
        initial=3,
        label="Day of the month",
        help_text="At 6 in the morning, about the month before. 29 to 31: the last day of a shorter month.",
    )

    def __init__(self, *args: Any, of_account: bool, **kwargs: Any) -> None:
        super().__init__(*args, **(kwargs | {"auto_id": "monthly_%s"}))
        self.fields["kind"].choices = report_kinds.choices(of_account)  # type: ignore[attr-defined]
