"""Forms of plays: what a play says, conditions as rows that read like a sentence, and what people do in a run."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.forms import BaseFormSet, formset_factory

from reviews.actions.play_catalog import MOST_STEPS, PLAYED_BY, PlayText
from reviews.calc.condition_words import as_alternatives, from_alternatives
from reviews.calc.conditions import OPERATORS, STATES
from reviews.calc.metrics import DEFINITIONS
from reviews.models import PlayVersion

MOST_ROWS = 12
_UNITS = {"money": "amount", "percent": "%", "ratio": "", "days": "days", "count": "", "hours": "hours", "score": "",
          "flag": "1 yes, 0 no"}  # fmt: skip
METRICS = [
    ("", "—"),
    *sorted(
        (
            (name, f"{DEFINITIONS[name].label}{f' ({unit})' if (unit := _UNITS[DEFINITIONS[name].unit]) else ''}")
            for name in PLAYED_BY
        ),
        key=lambda choice: choice[1].lower(),
    ),
]


class PlayForm(forms.Form):
    """What a play says besides its conditions and steps; with `name` for a new one."""

    name = forms.CharField(max_length=100, label="Name")
    summary = forms.CharField(
        max_length=1000, required=False, label="What it is for", widget=forms.Textarea(attrs={"rows": 2})
    )
    owner = forms.ChoiceField(choices=PlayVersion.Owner.choices, label="Whose it is", help_text="Of the account.")
    answer_hours = forms.IntegerField(
        min_value=1, max_value=2160, initial=72, label="First step within, in hours", help_text="Later it is late."
    )
    per_workflow = forms.BooleanField(
        required=False,
        label="One run for each workflow",
        help_text="For conditions on reliability: each workflow in production is compared by its own figures.",
    )


class ConditionRow(forms.Form):
    """One comparison. `join` is how it follows the one before: “and” binds closer than “or”."""

    join = forms.ChoiceField(choices=[("and", "and"), ("or", "or")], required=False)
    metric = forms.ChoiceField(choices=METRICS, required=False)
    op = forms.ChoiceField(
        choices=[(name, f"is {words}") for name, words in OPERATORS.items()] + list(STATES.items()), required=False
    )
    value = forms.DecimalField(required=False, max_digits=18, decimal_places=4)
    for_days = forms.IntegerField(required=False, min_value=1, max_value=365)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("metric") and data.get("op") not in STATES and data.get("value") is None and not self.errors:
            self.add_error("value", "Give the number it is compared to.")
        return data

    def comparison(self) -> dict[str, Any] | None:
        data = self.cleaned_data
        if not data.get("metric"):
            return None
        if data["op"] in STATES:
            return {"metric": data["metric"], "op": data["op"]}
        found = {"metric": data["metric"], "op": data["op"], "value": _number(data["value"])}
        days = data.get("for_days") or 1
        return found if days == 1 else found | {"for_days": days}


class StepRow(forms.Form):
    """One step; without a title it is left out."""

    title = forms.CharField(max_length=200, required=False)
    detail = forms.CharField(max_length=500, required=False)
    within_days = forms.IntegerField(required=False, min_value=0, max_value=365)
    asks_customer = forms.BooleanField(required=False)

    def step(self) -> dict[str, Any] | None:
        data = self.cleaned_data
        if not data.get("title"):
            return None
        return {
            "title": data["title"],
            "detail": data.get("detail") or "",
            "within_days": data.get("within_days") or 0,
            "asks_customer": bool(data.get("asks_customer")),
        }


Conditions = formset_factory(ConditionRow, extra=2, max_num=MOST_ROWS, absolute_max=MOST_ROWS)
Steps = formset_factory(StepRow, extra=2, max_num=MOST_STEPS, absolute_max=MOST_STEPS)


class PlayEditor:
    """The whole editor: the play, where it begins, where it ends, its steps."""

    def __init__(self, version: PlayVersion | None = None, data: Any = None, is_new: bool = False) -> None:
        first = None if version is None else _first(version)
        self.form = PlayForm(data, initial=first)
        if not is_new:
            del self.form.fields["name"]
        self.entry: BaseFormSet[Any] = Conditions(
            data, prefix="entry", initial=_rows(version.entry if version else None)
        )
        self.leave: BaseFormSet[Any] = Conditions(
            data, prefix="exit", initial=_rows(version.exit if version else None)
        )
        self.steps: BaseFormSet[Any] = Steps(data, prefix="steps", initial=version.steps if version else None)
        self.errors: dict[str, list[str]] = {}

    def is_valid(self) -> bool:
        return all([part.is_valid() for part in (self.form, self.entry, self.leave, self.steps)])

    def conditions(self) -> tuple[dict[str, Any] | None, dict[str, Any] | None] | None:
        """Return entry and exit as they are written now; None while they cannot be read."""
        if not all([self.entry.is_valid(), self.leave.is_valid()]):
            return None
        return _condition(self.entry), _condition(self.leave)

    def text(self) -> PlayText:
        """Return what a valid editor says."""
        data = self.form.cleaned_data
        return PlayText(
            summary=data["summary"],
            entry=_condition(self.entry),
            exit=_condition(self.leave),
            owner=data["owner"],
            answer_hours=data["answer_hours"],
            per_workflow=data["per_workflow"],
            steps=[step for row in self.steps.forms if (step := row.step()) is not None],
        )


def _first(version: PlayVersion) -> dict[str, Any]:
    return {name: getattr(version, name) for name in ("summary", "owner", "answer_hours", "per_workflow")}


def _rows(condition: dict[str, Any] | None) -> list[dict[str, Any]]:
    return [
        {
            "join": "or" if number == 0 else "and",
            "metric": one["metric"],
            "op": one["op"],
            "value": one.get("value"),
            "for_days": one.get("for_days"),
        }
        for group in as_alternatives(condition)
        for number, one in enumerate(group)
    ]


def _condition(rows: "BaseFormSet[Any]") -> dict[str, Any] | None:
    groups: list[list[dict[str, Any]]] = []
    for row in rows.forms:
        one = row.comparison()
        if one is not None:
            if not groups or row.cleaned_data.get("join") == "or":
                groups.append([])
            groups[-1].append(one)
    return from_alternatives(groups)


def _number(value: Decimal) -> float | int:
    return int(value) if value == value.to_integral_value() else float(value)


class StopForm(forms.Form):
    """Why a run ends before its exit."""

    reason = forms.CharField(max_length=2000, label="Why", widget=forms.Textarea(attrs={"rows": 2}))
    is_lost = forms.BooleanField(required=False, label="The account was lost")


class NoteForm(forms.Form):
    """A line for the log."""

    text = forms.CharField(max_length=2000, label="Note", widget=forms.Textarea(attrs={"rows": 2}))


class HandOverForm(forms.Form):
    """To whom."""

    person = forms.ChoiceField(label="To")

    def __init__(self, *args: Any, people: Sequence[Any] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["person"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [(str(person.pk), str(person)) for person in people]
