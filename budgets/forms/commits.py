"""Forms of contracts and commits. What makes sense together is checked by the actions, in one place."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms

from accounts.models import Account
from budgets.actions.commits import DrawOrder, NewCommit, Rollover
from budgets.actions.contracts import NewContract
from budgets.models import Commit, Contract
from consumption_cs.lib.tenancy import Viewer
from usage.models import Meter

CREDITS = "credits"
_RECURRENCES = (
    ("", "Given once"),
    ("1", "Every month"),
    ("3", "Every 3 months"),
    ("6", "Every 6 months"),
    ("12", "Every year"),
)


def _day(**options: Any) -> forms.DateField:
    return forms.DateField(widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), **options)


def _amount(**options: Any) -> forms.DecimalField:
    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
    return forms.DecimalField(max_digits=26, decimal_places=12, widget=widget, **options)


def _reason() -> forms.CharField:
    return forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Shown in the ledger and to the customer.",
    )


class ContractForm(forms.Form):
    """A contract, new or changed."""

    name = forms.CharField(max_length=100, help_text="Such as Order form 2026.")
    starts_on = _day(label="Starts on")
    ends_on = _day(label="First day after the term", required=False, help_text="Empty: it has no end.")
    draw_policy = forms.ChoiceField(
        choices=Contract.DrawPolicy.choices, label="Draw order", help_text="Which of several commits is drawn first."
    )
    overage_factor = _amount(
        initial=Decimal(1), help_text="What use beyond the commits costs: 1 is the contract rate, 1.25 a quarter more."
    )
    note = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
        label="Internal note",
        help_text="Never shown to the customer.",
    )

    def new_contract(self) -> NewContract:
        """Return what was asked for."""
        return NewContract(**self.cleaned_data)


_LEAST = "Raises a smaller rest to this amount. Empty: the rest as it is."


class CommitForm(forms.Form):
    """A commit to make."""

    contract = forms.ModelChoiceField(queryset=Contract.objects.none(), empty_label=None)
    name = forms.CharField(max_length=100, help_text="Such as Prepaid 2026.")
    kind = forms.ChoiceField(choices=Commit.Kind.choices)
    unit = forms.ChoiceField(label="In", help_text="Another currency, or credits, needs a rate.")
    amount = _amount(min_value=0)
    rate = _amount(required=False, help_text="What one of them is worth in the account's currency.")
    effective_on = _day(label="From", help_text="The first day it is drawn, on the account's calendar.")
    expires_on = _day(label="First day on which it no longer counts", required=False, help_text="Empty: never.")
    priority = forms.IntegerField(initial=1, min_value=0, max_value=1000, help_text="The lower number is drawn first.")
    recurs_months = forms.ChoiceField(choices=_RECURRENCES, required=False, label="Given anew")
    rollover_most = _amount(
        required=False, label="At most this much rolls over", help_text="Of what is left at its end. Empty: nothing."
    )
    rollover_least = _amount(required=False, label="At least", help_text=_LEAST)
    rollover_months = forms.IntegerField(required=False, min_value=0, max_value=24, label="For how many months")
    only_meters = forms.ModelMultipleChoiceField(
        queryset=Meter.objects.none(), required=False, label="Pays only for", help_text="None chosen: for all meters."
    )
    except_meters = forms.ModelMultipleChoiceField(queryset=Meter.objects.none(), required=False, label="Not for")

    def __init__(self, *args: Any, viewer: Viewer, account: Account, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        contracts = Contract.objects.visible_to(viewer).filter(account=account).order_by("-starts_on")
        meters = Meter.objects.visible_to(viewer).order_by("name")
        self.fields["contract"].queryset = contracts  # type: ignore[attr-defined]
        for name in ("only_meters", "except_meters"):
            self.fields[name].queryset = meters  # type: ignore[attr-defined]
        others = [code for code in ("USD", "EUR", "GBP", "JPY", "CHF") if code != account.currency]
        units = [(account.currency, account.currency), (CREDITS, "credits"), *((code, code) for code in others)]
        self.fields["unit"].choices = units  # type: ignore[attr-defined]

    def new_commit(self) -> NewCommit:
        """Return what was asked for."""
        data = dict(self.cleaned_data)
        data["recurs_months"] = int(data["recurs_months"]) if data["recurs_months"] else None
        for name in ("rollover_most", "rollover_least", "rollover_months"):
            data[name] = data[name] or (0 if name == "rollover_months" else Decimal(0))
        for name in ("only_meters", "except_meters"):
            data[name] = _ids(data[name])
        return NewCommit(**data)


class AmendForm(forms.Form):
    """More or less of a commit."""

    value_change = _amount(label="Change", help_text="In the account's currency; below zero takes some back.")
    effective_on = _day(label="From")
    reason = _reason()


class ExtendForm(forms.Form):
    """Another expiry."""

    expires_on = _day(label="First day on which it no longer counts", required=False, help_text="Empty: never.")
    reason = _reason()


class ReorderForm(forms.Form):
    """When it is drawn, and for what."""

    priority = forms.IntegerField(min_value=0, max_value=1000, help_text="The lower number is drawn first.")
    only_meters = forms.ModelMultipleChoiceField(queryset=Meter.objects.none(), required=False, label="Pays only for")
    except_meters = forms.ModelMultipleChoiceField(queryset=Meter.objects.none(), required=False, label="Not for")
    reason = _reason()

    def __init__(self, *args: Any, viewer: Viewer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("only_meters", "except_meters"):
            self.fields[name].queryset = Meter.objects.visible_to(viewer).order_by("name")  # type: ignore[attr-defined]

    def order(self) -> DrawOrder:
        """Return what was asked for."""
        data = self.cleaned_data
        return DrawOrder(data["priority"], _ids(data["only_meters"]), _ids(data["except_meters"]))


class CancelForm(forms.Form):
    """The end of a commit."""

    on = _day(label="Ends at the start of")
    reason = _reason()


class RollOverForm(forms.Form):
    """What an expired commit had left, given again."""

    name = forms.CharField(max_length=100, label="Name of the new commit")
    effective_on = _day(label="From")
    expires_on = _day(label="First day on which it no longer counts", required=False)
    least = _amount(required=False, label="At least", help_text=_LEAST)
    most = _amount(required=False, label="At most", help_text="Empty: all that was left.")
    reason = _reason()

    def rollover(self) -> Rollover:
        """Return what was asked for."""
        data = self.cleaned_data
        return Rollover(
            data["name"], data["effective_on"], data["expires_on"], data["least"] or Decimal(0), data["most"]
        )


def _ids(meters: Any) -> tuple[UUID, ...]:
    return tuple(meter.pk for meter in meters)
