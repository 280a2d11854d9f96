"""The forms of health: a person's word against the score, and the recipe as fields."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django import forms

from reviews.calc.metrics import DEFINITIONS
from reviews.calc.recipes import FORCED_REDS

MOST_DAYS = 30
_NUMBER = r"[−-]?\d+(?:\.\d+)?"
_BAND = re.compile(
    rf"^\s*(?P<low>{_NUMBER}|…|\.\.\.)?\s*(?:to|–)\s*(?P<high>{_NUMBER}|…|\.\.\.)?\s*[:=]\s*(?P<score>\d+(?:\.\d+)?)\s*$"
)


class OverrideForm(forms.Form):
    """A score that a person sets, why, and for how many days."""

    score = forms.IntegerField(min_value=0, max_value=100, label="Score")
    days = forms.IntegerField(min_value=1, max_value=MOST_DAYS, initial=14, label="For how many days")
    reason = forms.CharField(
        max_length=1000,
        label="Why",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="The team reads this; the customer does not.",
    )

    @property
    def lasting(self) -> timedelta:
        return timedelta(days=self.cleaned_data["days"])


class RecipeForm(forms.Form):
    """A recipe: for each of its measures the weight and the bands, and which conditions are red whatever it scores.

    A line of bands reads "0.85 to 1.15: 100"; an end that is left out is open.
    """

    note = forms.CharField(max_length=500, required=False, label="What is different, and why")
    forced_reds = forms.MultipleChoiceField(
        choices=list(FORCED_REDS.items()),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Red whatever it scores",
    )

    def __init__(self, *args: Any, body: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows = [dict(row) for row in body["measures"]]
        self.fields["forced_reds"].initial = body.get("forced_reds", [])
        for row in self.rows:
            name, definition = row["name"], DEFINITIONS[row["metric"]]
            self.fields[f"weight-{name}"] = forms.DecimalField(
                min_value=0, max_value=1000, initial=Decimal(row["weight"]), label="Weight"
            )
            self.fields[f"bands-{name}"] = forms.CharField(
                initial="\n".join(_as_line(band) for band in row["bands"]),
                label="Bands",
                help_text=f"{definition.label}, {definition.unit}: one band a line, from low to high: score",
                widget=forms.Textarea(attrs={"rows": len(row["bands"]) + 1, "spellcheck": "false"}),
            )
            self.fields[f"stale-{name}"] = forms.IntegerField(
                min_value=1, max_value=365, required=False, initial=row.get("stale_days"), label="Stale after days"
            )

    def measures(self) -> list[tuple[str, forms.BoundField, forms.BoundField, forms.BoundField]]:
        """(label, weight, bands, stale) of each measure, in order, for the page."""
        return [
            (
                row.get("label") or row["name"],
                *(self[f"{part}-{row['name']}"] for part in ("weight", "bands", "stale")),
            )
            for row in self.rows
        ]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        for row in self.rows:
            field = f"bands-{row['name']}"
            bands = []
            for line in (cleaned.get(field) or "").splitlines():
                if not line.strip():
                    continue
                found = _BAND.match(line)
                if found is None:
                    self.add_error(field, f"“{line.strip()[:60]}” is no band: write “0.85 to 1.15: 100”.")
                    break
                bands.append({"low": _end(found["low"]), "high": _end(found["high"]), "score": found["score"]})
            cleaned[f"read-{row['name']}"] = bands
        return cleaned

    def body(self) -> dict[str, Any]:
        """The recipe's body, to be checked by whoever keeps it."""
        got = self.cleaned_data
        return {
            "measures": [
                row
                | {
                    "weight": str(got[f"weight-{row['name']}"]),
                    "stale_days": got[f"stale-{row['name']}"],
                    "bands": got[f"read-{row['name']}"],
                }
                for row in self.rows
            ],
            "forced_reds": got["forced_reds"],
        }


def _as_line(band: dict[str, Any]) -> str:
    low, high = band.get("low"), band.get("high")
    return f"{low if low is not None else '…'} to {high if high is not None else '…'}: {band['score']}"


def _end(text: str | None) -> str | None:
    return None if text in (None, "…", "...") else str(text).replace("−", "-")
