"""The forms by which staff make a value review: its days, its words, who is asked to sign."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from django import forms

from accounts.models import Account
from consumption_cs.lib.periods import add_months
from reviews.calc.narrative import LONGEST

LABELS = {
    "headline": "Headline", "lead": "Lead", "goals": "What you set out to do", "bridge": "Cost of an outcome",
    "success": "Success", "spend": "Spend and commit", "incidents": "Incidents", "values": "Value",
    "savings": "Savings", "next": "What comes next", "closing": "Closing words",
}  # fmt: skip
LONG = ("lead", "closing")


def _day() -> forms.DateInput:
    return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


def presets(account: Account, today: date) -> list[tuple[str, str, date, date, date]]:
    """Return the periods offered: key, words, [start, end), and the start of what it is compared with, its end the
    period's start. The first is the last whole quarter."""
    month = today.replace(day=1)
    quarter = date(today.year, (today.month - 1) // 3 * 3 + 1, 1)
    last = add_months(quarter, -3)
    found = [
        ("quarter", "Last quarter", last, quarter, add_months(last, -3)),
        ("month", "Last month", add_months(month, -1), month, add_months(month, -2)),
        ("year", "Last 12 months", add_months(month, -12), month, add_months(month, -24)),
        ("days", "Last 30 days", date.fromordinal(today.toordinal() - 30), today,
         date.fromordinal(today.toordinal() - 60)),
    ]  # fmt: skip
    begins = account.contract_starts_on
    if begins and begins < today and (today - begins).days <= 400:
        found.append(("term", "Since the contract began", begins, today, add_months(begins, -12)))
    return found


class PeriodForm(forms.Form):
    """The days of a review, and of what it is compared with; both ends included, as people say dates."""

    first = forms.DateField(widget=_day(), label="First day")
    last = forms.DateField(widget=_day(), label="Last day")
    before_first = forms.DateField(widget=_day(), label="Compared with, first day", required=False)
    before_last = forms.DateField(
        widget=_day(), label="Compared with, last day", required=False,
        help_text="Empty: as many days just before.",
    )  # fmt: skip

    def clean(self) -> dict[str, Any] | None:
        found = super().clean()
        data = self.cleaned_data
        if bool(data.get("before_first")) != bool(data.get("before_last")):
            self.add_error("before_last", "Give both days of the comparison, or neither.")
        return found


class NarrativeForm(forms.Form):
    """The text of each section, which sections are left out, and who is asked to sign."""

    def __init__(
        self,
        sections: Sequence[str],
        hideable: Sequence[str],
        people: Sequence[tuple[str, str]],
        *args: Any,
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        self.sections, self.hideable = sections, hideable
        for section in sections:
            rows = 3 if section in LONG else 2
            self.fields[section] = forms.CharField(
                required=False, label=LABELS[section], max_length=LONGEST + 500,
                widget=forms.Textarea(attrs={"rows": rows, "data-section": section}),
            )  # fmt: skip
            if section in hideable:
                self.fields[f"show_{section}"] = forms.BooleanField(required=False, label=f"Show “{LABELS[section]}”")
        self.fields["signers"] = forms.MultipleChoiceField(
            choices=people, required=False, widget=forms.CheckboxSelectMultiple, label="Who is asked to sign",
            help_text="Owners, finance and viewers of the customer can sign off.",
        )  # fmt: skip
        self.people = people
        for email, words in people:
            self.fields[f"title-{email}"] = forms.CharField(
                required=False, max_length=150, label=f"Function of {words}",
            )  # fmt: skip

    def narrative(self) -> dict[str, str]:
        """Return the text by section."""
        return {section: self.cleaned_data[section].replace("\r\n", "\n") for section in self.sections}

    def title_of(self, email: str) -> str:
        """Return the function that was typed for one of the people, as it stands under the review."""
        return str(self.cleaned_data.get(f"title-{email}", ""))

    @property
    def titles(self) -> list[forms.BoundField]:
        """The fields of the functions, in the order of the people."""
        return [self[f"title-{email}"] for email, _ in self.people]

    def hidden(self) -> list[str]:
        """Return the sections that are left out."""
        return [section for section in self.hideable if not self.cleaned_data[f"show_{section}"]]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The sections in order, each with its text field and its switch (None: always shown)."""
        return [
            {"key": one, "text": self[one], "switch": self[f"show_{one}"] if one in self.hideable else None}
            for one in self.sections
        ]
