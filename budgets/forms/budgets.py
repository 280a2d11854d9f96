"""The form of what happens at a budget's limit."""

from django import forms

from budgets.actions.limits import NewLimit
from budgets.models import Limit


class LimitForm(forms.Form):
    """What happens at the limit, when, and after which grace."""

    action = forms.ChoiceField(choices=Limit.Action.choices, label="At the limit")
    percent = forms.DecimalField(
        max_digits=7, decimal_places=2, min_value=1, label="Limit, percent of the budget", initial=100
    )
    warn_percent = forms.DecimalField(
        max_digits=5, decimal_places=2, min_value=1, max_value=100, initial=85, label="Warn at percent of the limit"
    )
    grace_minutes = forms.IntegerField(min_value=0, max_value=10080, initial=30, label="Minutes of grace")
    lift_hours = forms.IntegerField(min_value=1, max_value=744, initial=4, label="A lift lasts, hours")
    is_dry_run = forms.BooleanField(required=False, label="Dry run: tell what it would have done, and slow nothing")

    def new_limit(self, before: Limit | None) -> NewLimit:
        """Return the limit as given; what the form does not show stays as it was."""
        kept = ("grace_percent", "throttle_percent", "exempt_workflows", "lift_roles")
        return NewLimit(**self.cleaned_data, **({name: getattr(before, name) for name in kept} if before else {}))
