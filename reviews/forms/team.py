"""Forms of the team's page: what is asked of it, and the hours that a person has."""

from decimal import Decimal
from typing import Any

from django import forms

from accounts.models import Account
from reviews.actions.team import Terms
from reviews.models import BookTerms
from reviews.reports.team import hours_of


def _hours(label: str, **kwargs: Any) -> forms.DecimalField:
    return forms.DecimalField(label=label, min_value=0, max_value=80, max_digits=5, decimal_places=2, **kwargs)


def _days(label: str, **kwargs: Any) -> forms.IntegerField:
    return forms.IntegerField(label=label, min_value=1, max_value=366, **kwargs)


class TermsForm(forms.Form):
    """Hours a week by tier and by open play, days, and targets."""

    play_hours = _hours("An open play", help_text="Hours a week while it runs.")
    review_days = _days("Days between value reviews")
    approval_days = _days("Days a customer needs to approve")
    onboarding_days = _days("Days to the first billable event")
    gross_target = forms.DecimalField(label="Gross retention, target %", min_value=0, max_value=100, decimal_places=2)
    net_target = forms.DecimalField(label="Net retention, target %", min_value=0, max_value=500, decimal_places=2)

    def __init__(self, *args: Any, terms: BookTerms, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("play_hours", "review_days", "approval_days", "onboarding_days", "gross_target", "net_target"):
            kept = getattr(terms, name)
            self.fields[name].initial = f"{kept.normalize():f}" if isinstance(kept, Decimal) else kept
        for tier in Account.Tier:
            kept = hours_of(terms, tier)
            self.fields[f"tier_{tier.value}"] = _hours(f"{tier.label} account", initial=f"{kept.normalize():f}")

    @property
    def tiers(self) -> list[forms.BoundField]:
        return [self[f"tier_{tier.value}"] for tier in Account.Tier]

    @property
    def asked(self) -> Terms:
        said = self.cleaned_data
        return Terms(
            tier_hours={tier.value: said[f"tier_{tier.value}"] for tier in Account.Tier},
            play_hours=said["play_hours"], review_days=said["review_days"], approval_days=said["approval_days"],
            onboarding_days=said["onboarding_days"], gross_target=said["gross_target"], net_target=said["net_target"],
        )  # fmt: skip


class HoursForm(forms.Form):
    """The hours a week that somebody has for accounts; empty: not known."""

    hours = _hours("Hours a week", required=False)
