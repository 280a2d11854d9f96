"""The forms of the ladder: a card, a rung set by hand, and the entry criteria of all rungs."""

from datetime import date, timedelta
from typing import Any

from django import forms
from django.forms import BoundField

from accounts.models import User
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.ladder import CardWanted
from reviews.calc.ladder import OVERRIDE_DAYS, Rules
from reviews.calc.ladder_gates import GATES, Gate
from reviews.calc.production import LADDER
from reviews.models import LadderCard
from usage.actions.accounts import staff_people
from usage.models import Workflow

GateRow = tuple[Gate, BoundField, BoundField | None]


class CardForm(forms.Form):
    """Who moves a workflow on both sides, by when, and what it waits for."""

    their_owner = forms.CharField(
        max_length=150, required=False, label="Owner at the customer", help_text="Naming one meets “Owner named”."
    )
    our_owner = forms.ModelChoiceField(User.objects.none(), required=False, label="Our owner", empty_label="Nobody")
    next_gate_on = forms.DateField(
        required=False, label="Next gate by", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    remark = forms.CharField(
        max_length=200, required=False, label="What it waits for", help_text="The customer reads this."
    )

    def __init__(self, viewer: Viewer, card: LadderCard | None, data: Any = None) -> None:
        initial = (
            {
                "their_owner": card.their_owner,
                "our_owner": card.our_owner_id,
                "next_gate_on": card.next_gate_on,
                "remark": card.remark,
            }
            if card
            else {}
        )
        super().__init__(data, initial=initial)
        self.fields["our_owner"].queryset = staff_people(viewer)  # type: ignore[attr-defined]

    def wanted(self) -> CardWanted:
        """Return what was asked for."""
        data = self.cleaned_data
        owner = data["our_owner"].pk if data["our_owner"] else None
        return CardWanted(owner, data["their_owner"], data["next_gate_on"], data["remark"])


class RungForm(forms.Form):
    """A rung against the gates: which, why, and until when."""

    stage = forms.ChoiceField(label="Rung")
    reason = forms.CharField(max_length=300, label="Why", help_text="Your team reads this; the customer does not.")
    expires_on = forms.DateField(
        label="Until", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=f"At most {OVERRIDE_DAYS} days; then the data propose again.",
    )  # fmt: skip

    def __init__(self, stage: str, today: date, data: Any = None) -> None:
        super().__init__(data, initial={"expires_on": today + timedelta(days=30)})
        others = [(value, label) for value, label in Workflow.Stage.choices if value != stage]
        self.fields["stage"].choices = others  # type: ignore[attr-defined]


class RulesForm(forms.Form):
    """Which gates stand before each rung, and their thresholds; and what is different in this version."""

    note = forms.CharField(max_length=300, label="What is different, and why")

    def __init__(self, rules: Rules, data: Any = None) -> None:
        super().__init__(data)
        for rung in LADDER[1:]:
            needs = {row["key"]: row["need"] for row in rules.get(rung, ())}
            for gate in GATES.values():
                self.fields[f"{rung}-{gate.key}"] = forms.BooleanField(
                    required=False, initial=gate.key in needs, label=_title(gate)
                )
                if gate.need is not None:
                    self.fields[f"{rung}-{gate.key}-need"] = forms.DecimalField(
                        required=False, min_value=gate.lowest, max_value=gate.highest, max_digits=8, decimal_places=1,
                        widget=forms.NumberInput(attrs={"class": "input"}),
                        initial=needs.get(gate.key) or f"{gate.need:f}", label=f"{_title(gate)}, {gate.unit}",
                    )  # fmt: skip

    def rungs(self) -> list[tuple[str, list[GateRow], list[GateRow]]]:
        """Return the fields as the page shows them: per rung the gates that are chosen, and all others."""
        found = []
        for rung in LADDER[1:]:
            rows = [(gate, self[f"{rung}-{gate.key}"], self._need(rung, gate)) for gate in GATES.values()]
            chosen = [row for row in rows if row[1].value()]
            found.append((rung, chosen, [row for row in rows if not row[1].value()]))
        return found

    def _need(self, rung: str, gate: Gate) -> BoundField | None:
        return self[f"{rung}-{gate.key}-need"] if gate.need is not None else None

    def gates(self) -> dict[str, list[dict[str, Any]]]:
        """Return the entry criteria that were asked for."""
        data = self.cleaned_data
        return {
            rung: [{"key": key, "need": data.get(f"{rung}-{key}-need")} for key in GATES if data.get(f"{rung}-{key}")]
            for rung in LADDER[1:]
        }


def _title(gate: Gate) -> str:
    return gate.label.format(need="…") if gate.need is not None else gate.label
