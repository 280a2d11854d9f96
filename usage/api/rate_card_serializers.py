"""What the API says of rate cards: prices, versions, and the effect of one. Decimals are texts."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers

from accounts.http import viewer_of
from consumption_cs.lib.money import MoneyError, checked_currency
from usage.actions.rate_cards import FIRST_YEAR, LAST_YEAR
from usage.api.exact_fields import Rows
from usage.api.serializers import decimal_text
from usage.models import Price, RateCardVersion
from usage.reports.drafts import draft_problems
from usage.reports.effects import Effect
from usage.reports.rate_cards import said

MOST_LINES = 500
_TERMS = (
    "A model and its params, with free_units, percent_discount, min_spend and max_spend beside it; or a matrix of "
    "dimensions, cells and otherwise. Decimals as text. The same as for POST /price-quotes."
)


class PriceSerializer(serializers.Serializer):
    """What a meter costs from a day on; `text` says it in words."""

    meter = serializers.CharField(help_text="Key of the meter.")
    unit = serializers.CharField()
    terms = serializers.DictField(help_text=_TERMS)
    text = serializers.CharField()
    effective_on = serializers.DateField()
    version = serializers.IntegerField()


class RateCardSerializer(serializers.Serializer):
    """Prices in one currency: the organization's or, with `account`, those that come before it for one customer."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    currency = serializers.CharField()
    account = serializers.CharField(allow_null=True, help_text="Key of the account; null: for all without own prices.")
    prices = PriceSerializer(many=True, help_text="In force on the day asked for.")


class NewCardSerializer(serializers.Serializer):
    """Whose card to open. One that exists already is answered as it is."""

    currency = serializers.CharField(max_length=3)
    account = serializers.CharField(required=False, allow_null=True, help_text="Key of the account.")

    def validate_currency(self, value: str) -> str:
        try:
            return checked_currency(value)
        except MoneyError as error:
            raise serializers.ValidationError(str(error)) from error


class LineSerializer(serializers.Serializer):
    """The price of one meter."""

    meter = serializers.CharField(help_text="Key of the meter.")
    terms = serializers.DictField(help_text=_TERMS)


class NewVersionSerializer(serializers.Serializer):
    """A draft. Meters that it does not name keep their price."""

    effective_on = serializers.DateField(help_text="The first day, on each account's calendar. Past days too.")
    note = serializers.CharField(required=False, max_length=1000, default="", allow_blank=True)
    prices = Rows(child=LineSerializer(), allow_empty=False, max_length=MOST_LINES)

    def validate_effective_on(self, value: Any) -> Any:
        if not FIRST_YEAR <= value.year <= LAST_YEAR:
            raise serializers.ValidationError(f"Choose a day between {FIRST_YEAR} and {LAST_YEAR}.")
        return value


class WithdrawSerializer(serializers.Serializer):
    """Why: it stands in the audit log and beside every amount that changes."""

    reason = serializers.CharField(max_length=500)


class VersionSerializer(serializers.Serializer):
    """A dated change of a card. Only a published one counts; it never changes again."""

    number = serializers.IntegerField()
    status = serializers.ChoiceField(RateCardVersion.Status.choices)
    effective_on = serializers.DateField()
    note = serializers.CharField()
    created_at = serializers.DateTimeField()
    published_at = serializers.DateTimeField(allow_null=True)
    withdrawn_at = serializers.DateTimeField(allow_null=True)
    withdrawn_reason = serializers.CharField()
    problems = serializers.ListField(
        child=serializers.CharField(), help_text="What keeps a draft from being published."
    )
    prices = serializers.SerializerMethodField()

    @extend_schema(responses=PriceSerializer(many=True))
    def get_prices(self, version: RateCardVersion) -> list[dict[str, Any]]:
        return [price_row(price) for price in version.prices.all()]

    def to_representation(self, instance: RateCardVersion) -> dict[str, Any]:
        is_draft = instance.status == RateCardVersion.Status.DRAFT
        viewer = viewer_of(self.context["request"])
        instance.problems = draft_problems(viewer, instance) if is_draft else []  # type: ignore[attr-defined]
        return dict(super().to_representation(instance))


class PublishedSerializer(serializers.Serializer):
    """What happened: `days_rated_again` counts account days whose money changes."""

    number = serializers.IntegerField()
    status = serializers.CharField()
    days_rated_again = serializers.IntegerField()


class EffectRowSerializer(serializers.Serializer):
    """One account's last closed month, or last full one, with the prices in force and with the draft's."""

    account = serializers.CharField(source="key")
    to = serializers.DateField(source="ends_on", help_text="The first day after.")
    closed = serializers.BooleanField(source="is_closed")
    old = serializers.CharField()
    new = serializers.CharField()
    difference = serializers.CharField()
    meters_with_own_price = serializers.IntegerField(source="own")
    events_without_price = serializers.IntegerField(source="unpriced")

    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.DateField(source="starts_on"), **super().get_fields()}

    def to_representation(self, instance: Any) -> dict[str, Any]:
        row = dict(super().to_representation(instance))
        return row | {name: decimal_text(getattr(instance, name)) for name in ("old", "new", "difference")}


class EffectSerializer(serializers.Serializer):
    """The effect of a version; `state` outdated: the draft or the prices before it changed since."""

    state = serializers.ChoiceField(["none", "running", "stuck", "failed", "outdated", "ready"])
    done = serializers.IntegerField(help_text="Accounts, while it runs.")
    of = serializers.IntegerField()
    computed_at = serializers.DateTimeField(source="at", allow_null=True)
    currency = serializers.CharField()
    old = serializers.CharField()
    new = serializers.CharField()
    difference = serializers.CharField()
    accounts = EffectRowSerializer(many=True, source="rows", help_text="Those that move most first.")

    def to_representation(self, instance: Effect) -> dict[str, Any]:
        shown = dict(super().to_representation(instance))
        return shown | {name: decimal_text(getattr(instance, name)) for name in ("old", "new", "difference")}


def price_row(price: Price) -> dict[str, Any]:
    """Return a price, its meter and version at hand, as the API shows it."""
    return {
        "meter": price.meter.key,
        "unit": price.meter.unit,
        "terms": price.terms,
        "text": said(price).text,
        "effective_on": price.effective_on.isoformat(),
        "version": price.version.number,
    }
