"""The form of a closed period's invoice."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from budgets.actions.invoices import BadAmount, Invoice, read_amount
from consumption_cs.lib.money import exponent, round_to
from usage.models import BillingPeriod


class InvoiceForm(forms.Form):
    """What the invoice said. `invoice` gives it, when valid; an empty amount takes back what was entered."""

    amount = forms.CharField(
        max_length=40, required=False, label="Invoice amount", help_text="Empty takes back what was entered."
    )
    number = forms.CharField(max_length=100, required=False, label="Invoice number")

    def __init__(self, *args: Any, period: BillingPeriod, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.period = period
        self.fields["amount"].label = f"Invoice amount in {period.currency}"
        self.fields["amount"].widget.attrs |= {"inputmode": "decimal", "autocomplete": "off"}
        if period.invoiced is not None:
            self.initial.setdefault("amount", f"{round_to(period.invoiced, exponent(period.currency)):f}")
            self.initial.setdefault("number", period.invoice_number)

    def clean_amount(self) -> Decimal | None:
        text = self.cleaned_data["amount"].strip()
        if not text:
            return None
        try:
            return read_amount(text, self.period.currency)
        except BadAmount as bad:
            raise ValidationError(str(bad)) from bad

    @property
    def invoice(self) -> Invoice:
        """The invoice, once the form is valid."""
        amount = self.cleaned_data["amount"]
        return Invoice(self.period, amount, self.cleaned_data["number"].strip() if amount is not None else "")
