"""Forms, by what they are about."""

from usage.forms.accounts import AccountForm
from usage.forms.meters import FilterFormSet, MeterForm, read_values, write_values
from usage.forms.prices import PriceForm, UploadForm
from usage.forms.workflows import WorkflowForm

__all__ = [
    "AccountForm",
    "FilterFormSet",
    "MeterForm",
    "PriceForm",
    "UploadForm",
    "WorkflowForm",
    "read_values",
    "write_values",
]
