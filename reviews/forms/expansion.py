"""The forms of expansion: what is thought of a candidate, where it goes, and the weeks of a quarter."""

from datetime import date
from decimal import Decimal
from typing import Any

from django import forms

from accounts.models import Account, Membership
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.expansion import Estimate
from reviews.models import Candidate
from usage.models import Workflow

_TEXT = {"inputmode": "decimal", "autocomplete": "off"}


def quarters(today: date, count: int = 5) -> list[date]:
    """Return the first days of this quarter and the next ones."""
    first = date(today.year, (today.month - 1) // 3 * 3 + 1, 1)
    return [add_months(first, 3 * number) for number in range(count)]


def quarter_name(day: date) -> str:
    return f"Q{(day.month - 1) // 3 + 1} {day.year}"


class CandidateForm(forms.Form):
    """What a workflow would bring, cost and need."""

    title = forms.CharField(max_length=200, label="Workflow")
    source = forms.ChoiceField(
        choices=[(Candidate.Source.REQUESTED, "The customer asked"), (Candidate.Source.IDEA, "Our idea"),
                 (Candidate.Source.STALLED, "A pilot that stands still")], label="Where it comes from",
    )  # fmt: skip
    workflow = forms.ModelChoiceField(Workflow.objects.none(), required=False, empty_label="Not on the ladder yet")
    value_a_month = forms.DecimalField(
        max_digits=15, decimal_places=2, min_value=Decimal("0.01"), required=False, label="Value a month",
        help_text="The customer’s own estimate.", widget=forms.TextInput(attrs=_TEXT),
    )  # fmt: skip
    evidence = forms.IntegerField(
        min_value=0, max_value=100, initial=30, label="Evidence (%)",
        help_text="How sure the value is: 0 hoped for, 100 measured.",
    )  # fmt: skip
    effort_weeks = forms.DecimalField(
        max_digits=4, decimal_places=1, min_value=Decimal("0.1"), required=False, label="Effort left (weeks)",
        widget=forms.TextInput(attrs=_TEXT),
    )  # fmt: skip
    spend_likely = forms.DecimalField(
        max_digits=15, decimal_places=2, min_value=Decimal("0.01"), required=False, label="Spend a month, likely",
        widget=forms.TextInput(attrs=_TEXT),
    )  # fmt: skip
    obstacles = forms.CharField(
        required=False, max_length=1000, label="In the way", help_text="One a line.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )  # fmt: skip
    known = forms.CharField(required=False, max_length=300, label="What we know")
    cadence = forms.CharField(required=False, max_length=60, label="How often both sides look at it")
    quarter = forms.TypedChoiceField(required=False, coerce=date.fromisoformat, empty_value=None, label="Planned for")
    owner = forms.ChoiceField(required=False, label="Our owner")

    def __init__(self, viewer: Viewer, account: Account, today: date, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        flows = Workflow.objects.visible_to(viewer).filter(account=account).order_by("name")
        self.fields["workflow"].queryset = flows  # type: ignore[attr-defined]
        offered = [("", "No quarter yet"), *((day.isoformat(), quarter_name(day)) for day in quarters(today))]
        self.fields["quarter"].choices = offered  # type: ignore[attr-defined]
        staff = Membership.objects.visible_to(viewer).filter(account=None).select_related("user")
        people = sorted((str(row.user_id), str(row.user.name or row.user.email)) for row in staff)
        self.fields["owner"].choices = [("", "Nobody yet"), *people]  # type: ignore[attr-defined]

    def estimate(self) -> Estimate:
        """Return what was written."""
        said = self.cleaned_data
        return Estimate(
            said["title"].strip(), said["value_a_month"], Decimal(said["evidence"]) / 100, said["effort_weeks"],
            [line.strip() for line in said["obstacles"].splitlines() if line.strip()], said["spend_likely"],
            said["known"].strip(), said["cadence"].strip(), said["quarter"], said["owner"] or None,
        )  # fmt: skip


class WeeksForm(forms.Form):
    """The weeks somebody has in a quarter."""

    user = forms.ChoiceField(label="Who")
    quarter = forms.TypedChoiceField(coerce=date.fromisoformat, label="Quarter")
    weeks = forms.DecimalField(min_value=0, max_value=13, max_digits=3, decimal_places=1, label="Weeks")

    def __init__(self, viewer: Viewer, today: date, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        staff = Membership.objects.visible_to(viewer).filter(account=None).select_related("user")
        people = sorted((str(row.user_id), str(row.user.name or row.user.email)) for row in staff)
        self.fields["user"].choices = people  # type: ignore[attr-defined]
        offered = [(day.isoformat(), quarter_name(day)) for day in quarters(today)]
        self.fields["quarter"].choices = offered  # type: ignore[attr-defined]
