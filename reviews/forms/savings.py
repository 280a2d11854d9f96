"""The form of a cost-tuning proposal."""

from decimal import Decimal
from typing import Any

from django import forms

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.savings import Wanted
from reviews.models import CostProposal
from usage.models import Workflow


class ProposalForm(forms.Form):
    """What would cost less, how much less a month, with what effort, and what is given up for it."""

    title = forms.CharField(max_length=200, help_text="What is to be done, as an instruction.")
    workflow = forms.ModelChoiceField(Workflow.objects.none(), required=False, empty_label="The whole account")
    saving_a_month = forms.DecimalField(
        max_digits=15, decimal_places=3, min_value=Decimal("0.01"), label="Saves a month",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )  # fmt: skip
    effort = forms.ChoiceField(choices=CostProposal.Effort.choices, initial=CostProposal.Effort.DAYS)
    detail = forms.CharField(required=False, max_length=5000, widget=forms.Textarea(attrs={"rows": 3}), label="Why")
    trade_off = forms.CharField(
        required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2}), label="What is given up for it",
        help_text="The customer reads all of this once it is shared.",
    )  # fmt: skip

    def __init__(self, viewer: Viewer, account: Account, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        flows = Workflow.objects.visible_to(viewer).filter(account=account).order_by("name")
        self.fields["workflow"].queryset = flows  # type: ignore[attr-defined]
        self.fields["saving_a_month"].help_text = f"In {account.currency}."

    def wanted(self) -> Wanted:
        """Return what was asked for."""
        data = self.cleaned_data
        return Wanted(
            data["title"], data["saving_a_month"], data["effort"], data["workflow"], data["detail"], data["trade_off"]
        )


class DoneForm(forms.Form):
    """The day from which a change works."""

    done_on = forms.DateField(widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
