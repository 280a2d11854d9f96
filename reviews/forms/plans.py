"""The forms by which an adoption plan is made and changed."""

from collections.abc import Sequence
from typing import Any

from django import forms

from accounts.models import Account, Membership
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.plan_links import LEAST_PASSCODE, MOST_DAYS
from reviews.actions.plans import Goal, Step
from reviews.calc.milestones import KINDS
from reviews.calc.objectives import MEASURES
from reviews.calc.plan_templates import Outline
from reviews.calc.production import LADDER
from reviews.models import Milestone
from usage.models import Workflow


def _day() -> forms.DateInput:
    return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


def _workflows(viewer: Viewer, account: Account) -> Any:
    return Workflow.objects.visible_to(viewer).filter(account=account).order_by("name")


def _staff(viewer: Viewer) -> list[tuple[str, str]]:
    rows = Membership.objects.visible_to(viewer).filter(account=None).select_related("user")
    return [("", "Nobody yet"), *sorted(((str(row.user_id), str(row.user.name or row.user.email)) for row in rows),
                                        key=lambda one: one[1])]  # fmt: skip


class PlanForm(forms.Form):
    """A new plan: its name, days, and what it begins with."""

    title = forms.CharField(max_length=120, label="Name")
    starts_on = forms.DateField(widget=_day(), label="First day")
    ends_on = forms.DateField(widget=_day(), label="Ends before")
    template = forms.ChoiceField(required=False, label="Begin with", widget=forms.RadioSelect)

    def __init__(self, outlines: Sequence[Outline], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["template"].choices = [  # type: ignore[attr-defined]
            ("", "Nothing: an empty plan"),
            *((one.key, f"{one.name}. {one.about}") for one in outlines),
        ]


class TemplateForm(forms.Form):
    """What a plan is kept as, for other accounts to begin with."""

    name = forms.CharField(max_length=120, label="Name of the template")
    segment = forms.ChoiceField(
        choices=[("", "Any segment"), *Account.Segment.choices], required=False, label="For accounts of"
    )


class ObjectiveForm(forms.Form):
    """What is to be reached, by what it is measured, and who answers for it."""

    title = forms.CharField(max_length=200, label="What is to be reached")
    metric = forms.ChoiceField(
        choices=[("", "Nothing: a person ticks it"), *((name, one.label) for name, one in MEASURES.items())],
        required=False, label="Measured by",
    )  # fmt: skip
    target = forms.DecimalField(
        max_digits=18, decimal_places=6, required=False, min_value=0,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        help_text="In percent, a count, or the account’s currency, as it is measured.",
    )  # fmt: skip
    workflow = forms.ModelChoiceField(Workflow.objects.none(), required=False, empty_label="All workflows")
    due_on = forms.DateField(widget=_day(), label="By")
    our_owner = forms.ChoiceField(required=False, label="Our owner")
    their_owner = forms.CharField(max_length=150, required=False, label="Their owner")
    is_shared = forms.BooleanField(required=False, initial=True, label="The customer sees it")

    def __init__(self, viewer: Viewer, account: Account, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["workflow"].queryset = _workflows(viewer, account)  # type: ignore[attr-defined]
        self.fields["our_owner"].choices = _staff(viewer)  # type: ignore[attr-defined]

    def goal(self) -> Goal:
        """Return what was written."""
        said = self.cleaned_data
        return Goal(
            said["title"].strip(), said["due_on"], said["metric"], said["target"], said["workflow"],
            said["our_owner"] or None, said["their_owner"].strip(), said["is_shared"],
        )  # fmt: skip


class MilestoneForm(forms.Form):
    """A step: when, by whom, after what, and what ticks it."""

    title = forms.CharField(max_length=200, label="What is to be done")
    due_on = forms.DateField(widget=_day(), label="By")
    moved_because = forms.CharField(max_length=300, required=False, label="Why the date moved")
    side = forms.ChoiceField(choices=Milestone.Side.choices, initial=Milestone.Side.BOTH, label="Who does it")
    our_owner = forms.ChoiceField(required=False, label="Our owner")
    their_owner = forms.CharField(max_length=150, required=False, label="Their owner")
    workflow = forms.ModelChoiceField(Workflow.objects.none(), required=False, empty_label="None in particular")
    ticked_by = forms.ChoiceField(
        choices=[("", "A person"), *((kind, words) for kind, words in KINDS.items())], required=False,
        label="Ticked by",
    )  # fmt: skip
    rung = forms.ChoiceField(
        choices=[(rung, rung.capitalize()) for rung in LADDER[1:]], required=False, initial="production", label="Rung",
    )  # fmt: skip
    needs = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple, label="Only after")
    detail = forms.CharField(required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))
    is_shared = forms.BooleanField(required=False, initial=True, label="The customer sees it")
    internal_because = forms.CharField(max_length=200, required=False, label="Kept internal because")

    def __init__(self, viewer: Viewer, account: Account, others: Sequence[Milestone], *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["workflow"].queryset = _workflows(viewer, account)  # type: ignore[attr-defined]
        self.fields["our_owner"].choices = _staff(viewer)  # type: ignore[attr-defined]
        self.fields["needs"].choices = [(str(one.pk), one.title) for one in others]  # type: ignore[attr-defined]
        if not others:
            del self.fields["needs"]

    def step(self) -> Step:
        """Return what was written."""
        said = self.cleaned_data
        kind = said["ticked_by"]
        condition = {"kind": kind, "need": said["rung"] if kind == "rung" else None} if kind else None
        return Step(
            said["title"].strip(), said["due_on"], said["side"], said["detail"].strip(), said["workflow"],
            said["our_owner"] or None, said["their_owner"].strip(), condition, said["is_shared"],
            "" if said["is_shared"] else said["internal_because"].strip(), said["moved_because"].strip(),
            tuple(Milestone._meta.pk.to_python(one) for one in said.get("needs", ())),
        )  # fmt: skip


class CommentForm(forms.Form):
    """Something to say about the plan."""

    text = forms.CharField(max_length=4000, widget=forms.Textarea(attrs={"rows": 2}), label="Say something")
    internal = forms.BooleanField(required=False, label="Internal: the customer does not see it")


class LinkForm(forms.Form):
    """A secret address of the plan."""

    days = forms.IntegerField(
        min_value=1, max_value=MOST_DAYS, initial=14, label="Counts for (days)", help_text=f"Up to {MOST_DAYS}."
    )
    passcode = forms.CharField(
        required=False, max_length=100, label="Passcode",
        help_text=f"At least {LEAST_PASSCODE} characters; tell it by another way. Empty: none is asked.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
