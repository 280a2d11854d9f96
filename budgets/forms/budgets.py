"""Forms of a budget: what it is for, how much, and when to tell."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms

from accounts.models import Account
from budgets.actions.budgets import NewBudget, Rule
from budgets.models import Budget, BudgetRule
from budgets.reports.rule_words import SENTENCES, Sentence
from budgets.reports.scope_days import keys_seen
from consumption_cs.lib.display import quantity_text
from consumption_cs.lib.tenancy import Viewer
from usage.models import Meter, Workflow

MOST_VALUES = 10
ALWAYS_SHOWN = 3  # sentences; the others stand behind “more”, unless they are used


@dataclass(frozen=True, slots=True)
class SentenceField:
    """A sentence with the form's field for its number."""

    sentence: Sentence
    field: forms.BoundField

    @property
    def is_used(self) -> bool:
        return bool(self.field.value())


class ThresholdsField(forms.CharField):
    """Numbers of one rule, with commas between them, as ascending decimals; nothing: the rule does not tell."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(
            required=False,
            max_length=200,
            initial=sentence.start,
            label=f"When {sentence.lead} … {sentence.tail}".replace("… %", "…%").strip(" …"),
            widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        )
        self.sentence = sentence

    def clean(self, value: Any) -> list[Decimal]:
        """Return the numbers. Raises ValidationError in words."""
        text = str(super().clean(value))
        words = text.split(",") if self.sentence.is_many else [text]
        found = {self._number(word.strip().removesuffix("%").strip()) for word in words if word.strip()}
        if len(found) > MOST_VALUES:
            raise forms.ValidationError(f"Name at most {MOST_VALUES} numbers.")
        return sorted(found)

    def _number(self, word: str) -> Decimal:
        example = "50, 80, 100" if self.sentence.is_many else "90"
        try:
            number = Decimal(word) if word.isascii() and "_" not in word else Decimal("NaN")
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite():
            raise forms.ValidationError(f"“{word}” is not a number: write {example}.")
        if not self.sentence.least <= number <= self.sentence.most:
            least, most = (quantity_text(limit) for limit in (self.sentence.least, self.sentence.most))
            raise forms.ValidationError(f"{word} does not fit: write a number from {least} to {most}.")
        return round(number, 6)


class RulesForm(forms.Form):
    """The amount of a budget, and when to tell: a sentence for each kind of rule; an empty one does not tell."""

    amount = forms.DecimalField(
        max_digits=20,
        decimal_places=2,
        min_value=Decimal("0.01"),
        label="Amount of a period",
        error_messages={"required": "Give an amount: what may be spent in each period."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for sentence in SENTENCES:
            self.fields[sentence.kind] = ThresholdsField(sentence)

    def sentences(self) -> list[SentenceField]:
        """Return those always shown, and those in use."""
        fields = self._sentence_fields()
        return [one for place, one in enumerate(fields) if place < ALWAYS_SHOWN or one.is_used]

    def other_sentences(self) -> list[SentenceField]:
        """Return the rest, to choose from."""
        fields = self._sentence_fields()
        return [one for place, one in enumerate(fields) if place >= ALWAYS_SHOWN and not one.is_used]

    def _sentence_fields(self) -> list[SentenceField]:
        return [SentenceField(sentence, self[sentence.kind]) for sentence in SENTENCES]

    def rules(self) -> list[Rule]:
        """Return the rules as given, and nothing for what was left empty."""
        return [(one.kind, value) for one in SENTENCES for value in self.cleaned_data[one.kind]]


class ChangeForm(RulesForm):
    """An existing budget: its rules, and its name, which is no part of a version."""

    name = forms.CharField(max_length=100, label="Name", error_messages={"required": "A budget needs a name."})
    field_order = ("name", "amount")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A name may be left out of what is sent, but not emptied.
        self.fields["name"].required = not self.is_bound or "name" in self.data


def initial_of(amount: Decimal, rules: Iterable[BudgetRule]) -> dict[str, object]:
    """Return what a form shows of a version: every rule in its sentence, and nothing where there is none."""
    shown: dict[str, object] = {"amount": amount.quantize(Decimal("0.01"))}
    values: dict[str, list[Decimal]] = {sentence.kind: [] for sentence in SENTENCES}
    for rule in rules:
        values[rule.kind].append(rule.value)
    return shown | {kind: ", ".join(f"{one.normalize():f}" for one in sorted(found)) for kind, found in values.items()}


class BudgetForm(RulesForm):
    """A new budget: of what, for which period, within which other budget, and when to tell."""

    name = forms.CharField(max_length=100, label="Name")
    scope = forms.ChoiceField(choices=Budget.Scope.choices, label="Of what")
    workflow = forms.ModelChoiceField(Workflow.objects.none(), required=False, label="Workflow")
    meter = forms.ModelChoiceField(Meter.objects.none(), required=False, label="Meter")
    key = forms.ChoiceField(required=False, label="Key, team or release")
    period = forms.ChoiceField(choices=Budget.Period.choices, initial=Budget.Period.MONTH, label="For each")
    starts_on = forms.DateField(required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}))
    ends_on = forms.DateField(
        required=False, label="To, the first day after it", widget=forms.DateInput(attrs={"type": "date"})
    )
    parent = forms.ModelChoiceField(
        Budget.objects.none(), required=False, label="Within", empty_label="No other budget"
    )
    field_order = ("name", "scope", "workflow", "meter", "key", "period", "starts_on", "ends_on", "parent", "amount")

    def __init__(self, viewer: Viewer, account: Account, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = {
            "workflow": Workflow.objects.visible_to(viewer).filter(account=account).order_by("name"),
            "meter": Meter.objects.visible_to(viewer).filter(is_active=True).order_by("name"),
            "parent": Budget.objects.visible_to(viewer).filter(account=account, archived_at=None).order_by("name"),
        }
        for name, choices in rows.items():
            self.fields[name].queryset = choices  # type: ignore[attr-defined]
        self.fields["key"].choices = _key_choices(keys_seen(viewer, account))  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """The part that the scope names must be chosen, and no other counts."""
        asked: dict[str, Any] = super().clean() or {}
        for part, words in (("workflow", "workflow"), ("meter", "meter"), ("key", "key, team or release")):
            if asked.get("scope") != part:
                asked[part] = None
            elif not asked.get(part) and part not in self.errors:
                self.add_error(part, f"Choose the {words} that the budget is for.")
        if asked.get("period") != Budget.Period.CUSTOM:
            asked["starts_on"] = asked["ends_on"] = None
        elif not (asked.get("starts_on") and asked.get("ends_on")):
            self.add_error("starts_on", "A budget from and to needs both days.")
        return asked

    def new_budget(self) -> NewBudget:
        """Return the budget as asked for."""
        asked = self.cleaned_data
        dimension, _, value = (asked["key"] or "").partition("=")
        return NewBudget(
            asked["name"],
            asked["amount"],
            self.rules(),
            asked["scope"],
            asked["period"],
            workflow=asked["workflow"],
            meter=asked["meter"],
            dimension=dimension,
            dimension_value=value,
            parent=asked["parent"],
            starts_on=asked["starts_on"],
            ends_on=asked["ends_on"],
        )


def _key_choices(seen: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """A choice is “dimension=value”: names of dimensions have no equals sign."""
    return [("", "---------"), *((f"{dimension}={value}", f"{dimension}: {value}") for dimension, value in seen)]
