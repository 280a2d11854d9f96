"""The form of a vendor cost."""

from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accounts.models import Account, Organization, currency_code
from consumption_cs.lib.tenancy import Viewer
from usage.actions.vendor_costs import NewCost, taken_words
from usage.calc.price_text import BadPrice, read_unit_price
from usage.models import Meter, VendorCost, Workflow


class VendorCostForm(forms.Form):
    """A cost to add. `new_cost` gives what was asked for, when valid."""

    meter = forms.ModelChoiceField(queryset=Meter.objects.none())
    account = forms.CharField(
        required=False,
        max_length=200,
        label="Account key",
        help_text="Leave it empty for every account without a cost of its own.",
    )
    workflow = forms.CharField(
        required=False,
        max_length=200,
        label="Workflow key",
        help_text="Only if this workflow of the account costs you something else.",
    )
    unit_cost = forms.CharField(
        max_length=60, label="Cost per unit", help_text="Up to 12 decimals: 0.000125. It is never rounded."
    )
    currency = forms.CharField(
        max_length=3, validators=[currency_code], help_text="It counts for accounts that pay in this currency."
    )
    effective_on = forms.DateField(
        label="From",
        help_text="The first day, on each account’s own calendar. It holds until the next cost.",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    def __init__(self, *args: Any, viewer: Viewer, organization: Organization, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.viewer = viewer
        field = self.fields["meter"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        field.queryset = Meter.objects.visible_to(viewer).order_by("name")
        for name in ("account", "workflow"):
            self.fields[name].widget.attrs |= {"list": f"{name}s", "autocomplete": "off"}
        self.fields["unit_cost"].widget.attrs |= {"inputmode": "decimal", "autocomplete": "off"}
        self.fields["currency"].widget.attrs |= {"autocapitalize": "characters", "autocomplete": "off"}
        self.initial.setdefault("currency", organization.currency)

    def clean_account(self) -> Account | None:
        key = self.cleaned_data["account"].strip()
        if not key:
            return None
        account: Account | None = Account.objects.visible_to(self.viewer).filter(key=key).first()
        if account is None:
            raise ValidationError(f"No account has the key “{key}”.")
        return account

    def clean_unit_cost(self) -> Decimal:
        try:
            return read_unit_price(self.cleaned_data["unit_cost"])
        except BadPrice as bad:
            raise ValidationError(str(bad).replace("price", "cost")) from bad

    def clean_effective_on(self) -> date:
        day: date = self.cleaned_data["effective_on"]
        if not 2000 <= day.year <= 2099:
            raise ValidationError("Choose a day between 2000 and 2099.")
        return day

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        account = cleaned.get("account")
        if "account" in cleaned:
            cleaned["workflow"] = self._workflow(account, (cleaned.get("workflow") or "").strip())
        if account and cleaned.get("currency", account.currency) != account.currency:
            self.add_error("currency", f"{account.name} pays in {account.currency}: give its cost in it too.")
        if not self.errors and self._is_taken(self.new_cost):
            raise ValidationError(f"{taken_words(self.new_cost)} Remove that one first, or choose another day.")
        return cleaned

    @property
    def new_cost(self) -> NewCost:
        """The cost, once the form is valid."""
        data = self.cleaned_data
        whose = (data["account"], data["workflow"])
        return NewCost(data["meter"], *whose, data["currency"], data["unit_cost"], data["effective_on"])

    def currency_of(self, account_key: str) -> str:
        """Return the currency that a cost is in when nobody says: the account's, or the organization's."""
        known = Account.objects.visible_to(self.viewer).filter(key=account_key.replace("\x00", ""))
        return str(known.values_list("currency", flat=True).first() or self.initial["currency"])

    def _workflow(self, account: Account | None, key: str) -> Workflow | None:
        if not key:
            return None
        if account is None:
            self.add_error("account", "A workflow belongs to an account: name the account too.")
            return None
        found: Workflow | None = Workflow.objects.visible_to(self.viewer).filter(account=account, key=key).first()
        if found is None:
            self.add_error("workflow", f"{account.name} has no workflow with the key “{key}”.")
        return found

    def _is_taken(self, new: NewCost) -> bool:
        same = VendorCost.objects.visible_to(self.viewer).filter(
            meter=new.meter, account=new.account, workflow=new.workflow
        )
        return same.filter(currency=new.currency, effective_on=new.effective_on).exists()
