"""Forms for prices, and the upload that prices and accounts share."""

from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accounts.models import Account, Organization, currency_code
from consumption_cs.lib.tenancy import Viewer
from usage.actions.prices import NewPrice, taken_words
from usage.calc.price_text import BadPrice, read_unit_price
from usage.models import Meter, Price


class PriceForm(forms.Form):
    """A price to add. `new_price` gives what was asked for, when valid."""

    meter = forms.ModelChoiceField(queryset=Meter.objects.none())
    account = forms.CharField(
        required=False,
        max_length=200,
        label="Account key",
        help_text="Leave it empty for everybody without a price of their own.",
    )
    unit_price = forms.CharField(
        max_length=60, label="Price per unit", help_text="Up to 12 decimals: 0.000125. It is never rounded."
    )
    currency = forms.CharField(max_length=3, validators=[currency_code])
    effective_on = forms.DateField(
        label="From",
        help_text="The first day, on each account’s own calendar. It holds until the next price.",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    confirmed = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, viewer: Viewer, organization: Organization, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.viewer = viewer
        field = self.fields["meter"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        field.queryset = Meter.objects.visible_to(viewer).order_by("name")
        self.fields["account"].widget.attrs |= {"list": "accounts", "autocomplete": "off"}
        self.fields["unit_price"].widget.attrs |= {"inputmode": "decimal", "autocomplete": "off"}
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

    def clean_unit_price(self) -> Decimal:
        try:
            return read_unit_price(self.cleaned_data["unit_price"])
        except BadPrice as bad:
            raise ValidationError(str(bad)) from bad

    def clean_effective_on(self) -> date:
        day: date = self.cleaned_data["effective_on"]
        if not 2000 <= day.year <= 2099:
            raise ValidationError("Choose a day between 2000 and 2099.")
        return day

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        account = cleaned.get("account")
        if account and cleaned.get("currency", account.currency) != account.currency:
            self.add_error("currency", f"{account.name} pays in {account.currency}.")
        if not self.errors and self._is_taken(self.new_price):
            raise ValidationError(f"{taken_words(self.new_price)} Remove that one first, or choose another day.")
        return cleaned

    @property
    def new_price(self) -> NewPrice:
        """The price, once the form is valid."""
        data = self.cleaned_data
        return NewPrice(data["meter"], data["account"], data["currency"], data["unit_price"], data["effective_on"])

    def _is_taken(self, new: NewPrice) -> bool:
        same = Price.objects.visible_to(self.viewer).filter(meter=new.meter, account=new.account)
        return same.filter(currency=new.currency, effective_on=new.effective_on).exists()


class UploadForm(forms.Form):
    """A CSV file."""

    file = forms.FileField(label="CSV file", widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}))
