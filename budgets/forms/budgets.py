"""Forms of a budget: what it is for, when to tell, and what happens at its limit."""

from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms

from accounts.models import Account
from budgets.actions.budgets import NewBudget, Rule
from budgets.actions.limits import NewLimit
from budgets.models import Budget, BudgetRule, Limit
from consumption_cs.lib.tenancy import Viewer
from usage.models import Meter, Workflow

MOST_RULES = 10


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


class RulesForm(forms.Form):
    """The amount of a budget, and when to tell: sentences with a number each; an empty one does not tell."""

    amount = forms.DecimalField(max_digits=20, decimal_places=2, min_value=Decimal("0.01"), label="Amount of a period")
    spent = forms.CharField(
        required=False,
        initial="50, 80, 100",
        label="Tell when spend reaches, percent",
        help_text="Several with commas between them: 50, 80, 100.",
    )
    forecast_over = forms.DecimalField(
        required=False, initial=90, min_value=1, max_value=99, label="Tell when going over is this likely, percent"
    )
    velocity_fast = forms.DecimalField(
        required=False,
        min_value=1,
        max_value=1000,
        label="Tell when spend runs this many times faster than the budget",
    )

    def clean_spent(self) -> list[Decimal]:
        """Return the percentages, ascending."""
        found = set()
        for word in self.cleaned_data["spent"].replace("%", "").split(","):
            if not word.strip():
                continue
            try:
                percent = Decimal(word.strip())
            except InvalidOperation:
                raise forms.ValidationError(f"“{word.strip()}” is not a number: write 50, 80, 100.") from None
            if not percent.is_finite() or not 0 < percent <= 1000:
                raise forms.ValidationError("Percentages lie above 0 and at 1,000 at most.")
            found.add(percent)
        if len(found) > MOST_RULES:
            raise forms.ValidationError(f"Name at most {MOST_RULES} percentages.")
        return sorted(found)

    def rules(self) -> list[Rule]:
        """Return the rules as given, and nothing for what was left empty."""
        told: list[Rule] = [(BudgetRule.Kind.ACTUAL_PERCENT, percent) for percent in self.cleaned_data["spent"]]
        for kind in (BudgetRule.Kind.FORECAST_OVER, BudgetRule.Kind.VELOCITY_FAST):
            if self.cleaned_data.get(kind) is not None:
                told.append((kind, self.cleaned_data[kind]))
        return told


class BudgetForm(RulesForm):
    """A new budget: of what, for which period, and when to tell."""

    name = forms.CharField(max_length=100, label="Name")
    scope = forms.ChoiceField(
        choices=[("account", "The whole account"), ("workflow", "One workflow"), ("meter", "One meter")],
        label="Of what",
    )
    workflow = forms.ModelChoiceField(Workflow.objects.none(), required=False, label="Workflow")
    meter = forms.ModelChoiceField(Meter.objects.none(), required=False, label="Meter")
    period = forms.ChoiceField(
        choices=[choice for choice in Budget.Period.choices if choice[0] != Budget.Period.CUSTOM],
        initial=Budget.Period.MONTH,
        label="For each",
    )
    field_order = ("name", "scope", "workflow", "meter", "period", "amount")

    def __init__(self, viewer: Viewer, account: Account, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        workflows = Workflow.objects.visible_to(viewer).filter(account=account).order_by("name")
        meters = Meter.objects.visible_to(viewer).filter(is_active=True).order_by("name")
        self.fields["workflow"].queryset = workflows  # type: ignore[attr-defined]
        self.fields["meter"].queryset = meters  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """The part that the scope names must be chosen, and no other counts."""
        asked: dict[str, Any] = super().clean() or {}
        for part in ("workflow", "meter"):
            if asked.get("scope") != part:
                asked[part] = None
            elif asked.get(part) is None:
                self.add_error(part, f"Choose the {part} that the budget is for.")
        return asked

    def new_budget(self) -> NewBudget:
        """Return the budget as asked for."""
        asked = self.cleaned_data
        return NewBudget(
            asked["name"],
            asked["amount"],
            self.rules(),
            asked["scope"],
            asked["period"],
            workflow=asked["workflow"],
            meter=asked["meter"],
        )
