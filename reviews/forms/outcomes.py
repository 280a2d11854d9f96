"""The forms by which both sides say what an outcome is and what one is worth."""

from decimal import Decimal
from typing import Any

from django import forms

from reviews.actions.outcomes import MOST_LAG, Proposal


class TermsForm(forms.Form):
    """What counts as an outcome, when it is known, what one is worth and how that was reckoned."""

    definition = forms.CharField(
        max_length=300, label="What counts as one", widget=forms.Textarea(attrs={"rows": 2}),
        help_text="So that both sides would count alike, for example: a claim decided without a person touching it.",
    )  # fmt: skip
    value_each = forms.DecimalField(
        max_digits=15, decimal_places=6, min_value=Decimal("0.000001"), required=False, label="Worth of one",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )  # fmt: skip
    lag_days = forms.IntegerField(
        min_value=0, max_value=MOST_LAG, initial=0, label="Known after (days)",
        help_text="Days from the work until its outcome is known. Its cost is held against what became known then.",
    )  # fmt: skip
    basis = forms.CharField(
        max_length=300, required=False, label="How it was reckoned", widget=forms.Textarea(attrs={"rows": 2}),
        help_text="For example: six minutes of a clerk at $31 an hour.",
    )  # fmt: skip

    def __init__(self, currency: str, *args: Any, must_have_value: bool = False, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["value_each"].required = must_have_value
        self.fields["value_each"].help_text = f"In {currency}." + ("" if must_have_value else " Empty: no value yet.")

    def wanted(self) -> Proposal:
        """Return what was written."""
        data = self.cleaned_data
        return Proposal(data["definition"], data["lag_days"], data["value_each"], data["basis"])


class AnswerForm(forms.Form):
    """What the customer says to a proposal."""

    answer = forms.ChoiceField(choices=[("confirmed", "Confirm"), ("declined", "Decline")])
    note = forms.CharField(max_length=300, required=False, label="What is wrong with it")
    title = forms.CharField(max_length=100, required=False)
