"""The form of what happens at a budget's limit."""

from decimal import Decimal
from typing import Any

from django import forms

from accounts.models import Account, Role
from accounts.permissions import CAPABILITIES
from budgets.actions.limits import NewLimit
from budgets.models import Limit
from consumption_cs.lib.tenancy import Viewer
from usage.models import Workflow

LIFTERS = [(role.value, role.label) for role in Role if "limit.lift" in CAPABILITIES[role]]


def lifter_choices(account: Account) -> list[tuple[str, str]]:
    """Return the roles that may lift a limit at all, each with whose it is: the customer's or the vendor's."""
    return [
        (role, f"{label} of {account.name if role.startswith('portal_') else account.organization.name}")
        for role, label in LIFTERS
    ]


class LimitForm(forms.Form):
    """What happens at the limit, when, after which grace, to what, and who may lift it."""

    action = forms.ChoiceField(choices=Limit.Action.choices, widget=forms.RadioSelect, initial=Limit.Action.NOTIFY)
    percent = forms.DecimalField(max_digits=7, decimal_places=2, min_value=1, label="Limit", initial=100)
    warn_percent = forms.DecimalField(
        max_digits=5, decimal_places=2, min_value=1, max_value=100, initial=85, label="Warn at"
    )
    grace_minutes = forms.IntegerField(min_value=0, max_value=10080, initial=30, label="Minutes of grace")
    grace_percent = forms.DecimalField(
        max_digits=5, decimal_places=2, min_value=0, max_value=900, initial=10, label="Percent of grace"
    )
    throttle_percent = forms.DecimalField(
        max_digits=5, decimal_places=2, min_value=1, max_value=99, initial=25, label="Throttle to"
    )
    exempt_workflows = forms.ModelMultipleChoiceField(
        Workflow.objects.none(), required=False, widget=forms.CheckboxSelectMultiple, label="Never slowed or stopped"
    )
    lift_roles = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Who may lift it",
        help_text="Nobody chosen: all of these may.",
    )
    lift_hours = forms.IntegerField(min_value=1, max_value=744, initial=4, label="A lift lasts")
    is_dry_run = forms.BooleanField(required=False, label="Dry run: tell what it would have done, and slow nothing")

    def __init__(self, viewer: Viewer, account: Account, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        workflows = Workflow.objects.visible_to(viewer).filter(account=account).order_by("name")
        self.fields["exempt_workflows"].queryset = workflows  # type: ignore[attr-defined]
        self.fields["lift_roles"].choices = lifter_choices(account)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """A limit that slows or stops needs a grace."""
        asked: dict[str, Any] = super().clean() or {}
        if (
            asked.get("action") != Limit.Action.NOTIFY
            and asked.get("grace_minutes") == asked.get("grace_percent") == 0
        ):
            self.add_error(
                "grace_minutes", "Give a grace: minutes, or a percentage, so that nobody is cut off at once."
            )
        return asked

    def sentence_errors(self) -> list[str]:
        """Return what is wrong with the numbers of the sentence, each after what it is."""
        names = ("percent", "warn_percent", "grace_minutes", "grace_percent", "throttle_percent", "lift_hours")
        return [f"{self.fields[name].label}: {message}" for name in names for message in self.errors.get(name, ())]

    def new_limit(self) -> NewLimit:
        """Return the limit as given."""
        asked = self.cleaned_data | {"exempt_workflows": [one.pk for one in self.cleaned_data["exempt_workflows"]]}
        return NewLimit(**asked)


def initial_of(limit: Limit | None) -> dict[str, object]:
    """Return what the form shows of a limit in force; without one, what a limit begins with."""
    if limit is None:
        return {}
    shown = {name: getattr(limit, name) for name in LimitForm.base_fields}
    return {name: f"{one.normalize():f}" if isinstance(one, Decimal) else one for name, one in shown.items()}
