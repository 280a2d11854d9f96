"""The form of a workflow."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from usage.models import Workflow


class WorkflowForm(forms.ModelForm):
    """A workflow by hand. Its key is what events name, so it cannot change once it is there.

    Where it begins is said when it is made; from then on the ladder says on which rung it stands.
    """

    success_target = forms.DecimalField(
        label="Success target, %",
        required=False,
        min_value=1,
        max_value=100,
        decimal_places=2,
        help_text="The share of runs that should succeed, for example 95.",
    )

    class Meta:
        model = Workflow
        fields = ["name", "key", "stage", "outcome_unit", "success_target"]
        help_texts = {"key": "What events say in their workflow property. It cannot be changed later."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        target = self.instance.success_target
        self.initial["success_target"] = None if target is None else (target * 100).normalize()
        if not self.instance._state.adding:
            self.fields["key"].disabled = True
            del self.fields["stage"]

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"].strip()
        if not key.isprintable():
            raise ValidationError("Use printable characters only.")
        return key

    def clean_success_target(self) -> Decimal | None:
        """Per cent on the page, a ratio in the database."""
        target: Decimal | None = self.cleaned_data["success_target"]
        return None if target is None else target / 100
