"""Forms of the leader's pages: an opinion on a renewal, and why an account spends less."""

from typing import Any

from django import forms
from django.db.models import QuerySet

from accounts.models import Account
from reviews.models import LossEvidence, RenewalCall


class OpinionForm(forms.Form):
    """What somebody says of a renewal."""

    opinion = forms.ChoiceField(choices=RenewalCall.Opinion.choices, label="Opinion")
    reason = forms.CharField(max_length=2000, required=False, label="Why", widget=forms.Textarea(attrs={"rows": 3}))
    is_final = forms.BooleanField(required=False, label="Final call", help_text="It settles a disagreement.")


class EvidenceForm(forms.Form):
    """Why an account spends less."""

    account = forms.ModelChoiceField(queryset=Account.objects.none(), label="Account")
    kind = forms.ChoiceField(choices=LossEvidence.Kind.choices, label="What happened")
    starts_on = forms.DateField(label="From", widget=forms.DateInput(attrs={"type": "date"}))
    ends_on = forms.DateField(required=False, label="Until", widget=forms.DateInput(attrs={"type": "date"}),
                              help_text="The first day after it; empty: it lasts.")  # fmt: skip
    amount_a_month = forms.DecimalField(
        required=False, min_value=0, max_digits=14, decimal_places=2, label="Less a month",
        help_text="In the account’s currency; empty: all of the loss.",
    )  # fmt: skip
    note = forms.CharField(max_length=2000, label="What shows it", widget=forms.Textarea(attrs={"rows": 3}))

    def __init__(self, *args: Any, accounts: "QuerySet[Account]", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["account"].queryset = accounts  # type: ignore[attr-defined]
