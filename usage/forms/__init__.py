"""Forms, by what they are about."""

from usage.forms.accounts import AccountForm
from usage.forms.meters import FilterFormSet, MeterForm, read_values, write_values
from usage.forms.price_editor import PriceEditor
from usage.forms.rate_cards import DraftForm, PriceForm, UploadForm, WhoseForm
from usage.forms.workflows import WorkflowForm

__all__ = [
    "AccountForm",
    "DraftForm",
    "FilterFormSet",
    "MeterForm",
    "PriceEditor",
    "PriceForm",
    "UploadForm",
    "WhoseForm",
    "WorkflowForm",
    "read_values",
    "write_values",
]
