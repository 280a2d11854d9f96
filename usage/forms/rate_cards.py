"""Forms for rate cards: a new price at once, a card, a draft; and the upload that prices and accounts share."""

from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accounts.models import Account, Organization, currency_code
from consumption_cs.lib.tenancy import Viewer
from usage.actions.publishing import NewPrice
from usage.actions.rate_cards import FIRST_YEAR, LAST_YEAR
from usage.calc.price_text import BadPrice, read_unit_price
from usage.models import Meter, Price
from usage.reports.rate_cards import taken_words

DAY_HINT = "The first day, on each account’s own calendar. It holds until the next price."


def _day_field(help_text: str = DAY_HINT) -> forms.DateField:
    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(label="From", help_text=help_text, widget=widget, validators=[_sane_day])


def _sane_day(day: date) -> None:
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValidationError(f"Choose a day between {FIRST_YEAR} and {LAST_YEAR}.")


class WhoseForm(forms.Form):
    """Whose prices, in which currency, from when."""

    account = forms.CharField(
        required=False,
        max_length=200,
        label="Account key",
        help_text="Leave it empty for everybody without a price of their own.",
    )
    currency = forms.CharField(max_length=3, validators=[currency_code])
    effective_on = _day_field()

    def __init__(self, *args: Any, viewer: Viewer, organization: Organization, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.viewer = viewer
        self.fields["account"].widget.attrs |= {"list": "accounts", "autocomplete": "off"}
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

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        account = cleaned.get("account")
        if account and cleaned.get("currency", account.currency) != account.currency:
            self.add_error("currency", f"{account.name} pays in {account.currency}.")
        return cleaned


class PriceForm(WhoseForm):
    """A price per unit to publish at once. `new_price` gives what was asked for, when valid."""

    meter = forms.ModelChoiceField(queryset=Meter.objects.none())
    unit_price = forms.CharField(
        max_length=60, label="Price per unit", help_text="Up to 12 decimals: 0.000125. It is never rounded."
    )
    confirmed = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, viewer: Viewer, organization: Organization, **kwargs: Any) -> None:
        super().__init__(*args, viewer=viewer, organization=organization, **kwargs)
        field = self.fields["meter"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        field.queryset = Meter.objects.visible_to(viewer).order_by("name")
        self.fields["unit_price"].widget.attrs |= {"inputmode": "decimal", "autocomplete": "off"}

    def clean_unit_price(self) -> Decimal:
        try:
            return read_unit_price(self.cleaned_data["unit_price"])
        except BadPrice as bad:
            raise ValidationError(str(bad)) from bad

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors and self._is_taken(self.new_price):
            new = self.new_price
            words = taken_words(new.meter, new.account, new.currency, new.effective_on)
            raise ValidationError(f"{words} Choose another day, or withdraw the version that it is in.")
        return cleaned

    @property
    def new_price(self) -> NewPrice:
        """The price, once the form is valid."""
        data = self.cleaned_data
        return NewPrice(data["meter"], data["account"], data["currency"], data["unit_price"], data["effective_on"])

    def _is_taken(self, new: NewPrice) -> bool:
        same = Price.objects.visible_to(self.viewer).filter(meter=new.meter, account=new.account, in_force=True)
        return same.filter(currency=new.currency, effective_on=new.effective_on).exists()


class DraftForm(forms.Form):
    """From when a draft's prices hold, and what staff should know of it."""

    effective_on = _day_field("The first day, on each account’s own calendar. Any day, past or coming.")
    note = forms.CharField(
        required=False,
        max_length=1000,
        label="Internal note",
        help_text="Why these prices. Customers never see it.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )


class UploadForm(forms.Form):
    """A CSV file."""

    file = forms.FileField(label="CSV file", widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}))
