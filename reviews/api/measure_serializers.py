"""Metrics, health and early warnings as the API shows them."""

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from reviews.calc.recipes import FORCED_REDS
from reviews.calc.signals import KIND_CHOICES
from reviews.models import HealthDay, HealthRecipe, Signal
from reviews.reports.health import HealthShown
from usage.api.exact_fields import ShownExact, shown

BANDS = ("good", "fair", "poor", "none")


class AsText(ShownExact):
    """A decimal as text, without zeros that say nothing."""

    def to_representation(self, value: Any) -> str:
        return shown(Decimal(value))


class DefinitionSerializer(serializers.Serializer):
    """What a metric means."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # what a field calls its own label
    unit = serializers.CharField(help_text="money is in the account's currency; a flag is 1 or 0.")
    formula = serializers.CharField()
    edges = serializers.CharField(help_text="What is told where the formula says nothing.")
    better = serializers.IntegerField(help_text="1: more is better, -1: worse, 0: neither.")
    is_internal = serializers.BooleanField(help_text="Never shown to a customer.")


class DefinitionsSerializer(serializers.Serializer):
    """All metrics, in the order of the product's list."""

    results = DefinitionSerializer(many=True)


class MetricSerializer(serializers.Serializer):
    """One metric of one account on one day."""

    name = serializers.CharField()
    unit = serializers.CharField()
    value = AsText(allow_null=True, help_text="Null: not known, for `reason`; never zero because it is unknown.")
    reason = serializers.CharField(allow_blank=True)
    inputs = serializers.JSONField(help_text="What it was computed from.")


class MetricsSerializer(serializers.Serializer):
    """An account's metrics as of the end of a closed local day."""

    account = serializers.CharField()
    currency = serializers.CharField()
    day = serializers.DateField(allow_null=True, help_text="Null: never measured until then.")
    data_through = serializers.DateTimeField(allow_null=True, help_text="When the last event in it happened.")
    computed_at = serializers.DateTimeField(allow_null=True)
    results = MetricSerializer(many=True)


class MetricDaySerializer(serializers.Serializer):
    """The asked metrics on one day; null: not known."""

    day = serializers.DateField()
    values = serializers.DictField(child=serializers.CharField(allow_null=True))


class MetricDaysSerializer(serializers.Serializer):
    """Metrics by day, oldest first."""

    account = serializers.CharField()
    currency = serializers.CharField()
    results = MetricDaySerializer(many=True)


class PartSerializer(serializers.Serializer):
    """What one measure earned."""

    measure = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # what a field calls its own label
    weight = AsText(help_text="The most points it can earn that day.")
    points = AsText(allow_null=True, help_text="Null: not counted, for `reason`.")
    value = AsText(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    moved = AsText(help_text="Points since seven days before.")


class LaidOverSerializer(serializers.Serializer):
    """Points that a forced red takes, or a person's word adds: with the parts they add up to the score, exactly."""

    kind = serializers.ChoiceField(["forced", "word", "gone"], source="measure")
    name = serializers.CharField(source="label")
    points = AsText()
    reason = serializers.CharField()
    moved = AsText(help_text="Points since seven days before.")


class WordSerializer(serializers.Serializer):
    """A person's word over the score."""

    score = serializers.IntegerField()
    reason = serializers.CharField()
    by = serializers.EmailField(source="by.email")
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()


class ForcedRedSerializer(serializers.Serializer):
    """A rule that makes health red whatever it scores."""

    name = serializers.ChoiceField(list(FORCED_REDS))
    words = serializers.CharField()


class HealthSerializer(serializers.Serializer):
    """An account's health: the score, or a person's word while one holds."""

    account = serializers.CharField()
    day = serializers.DateField(allow_null=True, help_text="The closed local day that was scored.")
    score = AsText(allow_null=True, help_text="0 to 100; null: not scored, for `reason`.")
    band = serializers.ChoiceField(BANDS, help_text="good from 80, fair from 60, poor below, none without a score.")
    reason = serializers.CharField(allow_blank=True)
    override = WordSerializer(allow_null=True)
    forced_reds = ForcedRedSerializer(many=True)
    moved = AsText(allow_null=True, help_text="Points since seven days before; null: there was no score then.")
    parts = PartSerializer(many=True)
    laid_over = LaidOverSerializer(many=True)


def health_told(account_key: str, found: HealthShown) -> dict[str, Any]:
    """Return one account's health as the API shows it."""
    forced = [{"name": name, "words": words} for name, words in zip(found.forced, found.forced_words, strict=True)]
    names = ("day", "score", "band", "reason", "override", "moved", "parts", "laid_over")
    own = {name: getattr(found, name) for name in names}
    reason = "" if found.score is not None else found.reason
    return dict(HealthSerializer(own | {"account": account_key, "forced_reds": forced, "reason": reason}).data)


class HealthDaySerializer(serializers.ModelSerializer):
    """The measured score of one local day, before a person's word."""

    score = AsText(allow_null=True)
    recipe = serializers.IntegerField(source="recipe.number")
    forced_reds = serializers.ListField(source="forced", child=serializers.CharField())

    class Meta:
        model = HealthDay
        fields = ("day", "score", "reason", "recipe", "forced_reds", "computed_at")


class HealthDaysSerializer(serializers.Serializer):
    """Measured scores by day, oldest first."""

    account = serializers.CharField()
    results = HealthDaySerializer(many=True)


class HealthRecipeSerializer(serializers.ModelSerializer):
    """How health is scored. `body` holds measures with weights and bands, and the forced reds."""

    is_in_force = serializers.SerializerMethodField()

    class Meta:
        model = HealthRecipe
        fields = ("number", "note", "body", "is_in_force", "in_force_from", "created_at")

    def get_is_in_force(self, recipe: HealthRecipe) -> bool:
        return bool(recipe.pk == self.context["in_force"])


class HealthRecipesSerializer(serializers.Serializer):
    """All recipes, the newest first."""

    results = HealthRecipeSerializer(many=True)


class SignalSerializer(serializers.ModelSerializer):
    """An early warning; `closed_at` null: open."""

    account = serializers.CharField(source="account.key")
    kind = serializers.ChoiceField(KIND_CHOICES)
    feedback = serializers.SerializerMethodField(help_text="useful, expected, wrong, or null: not judged yet.")
    feedback_by = serializers.EmailField(source="feedback_by.email", default=None, allow_null=True)

    class Meta:
        model = Signal
        fields = (
            *("id", "account", "kind", "severity", "headline", "evidence", "opened_on", "opened_at", "seen_on"),
            *("closed_at", "feedback", "feedback_by", "feedback_at"),
        )

    def get_feedback(self, signal: Signal) -> str | None:
        return signal.feedback or None


class SignalQualitySerializer(serializers.Serializer):
    """How good one kind of warning was; ratios of 0 to 1, null without anything to divide by."""

    kind = serializers.ChoiceField(KIND_CHOICES)
    name = serializers.CharField(source="label")
    raised = serializers.IntegerField()
    open = serializers.IntegerField()
    warnings = serializers.IntegerField(
        source="tally.warnings", help_text="Of 52 weeks: followed, or 90 days old and not."
    )
    followed = serializers.IntegerField(source="tally.followed", help_text="A loss began within 90 days.")
    too_early = serializers.IntegerField(source="tally.young")
    precision = serializers.FloatField(allow_null=True, help_text="followed ÷ warnings")
    precision_interval = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    losses = serializers.IntegerField(source="tally.losses")
    warned = serializers.IntegerField(source="tally.warned", help_text="Losses with a warning in the 90 days before.")
    lead_days = serializers.FloatField(source="tally.lead", allow_null=True)
    judged = serializers.IntegerField()
    useful = serializers.IntegerField()


class SignalQualityListSerializer(serializers.Serializer):
    """Each kind of warning that was ever raised, the most precise first."""

    results = SignalQualitySerializer(many=True)


class JudgementSerializer(serializers.Serializer):
    """Whether a warning was useful, was expected, or was wrong."""

    feedback = serializers.ChoiceField(Signal.Feedback.choices)
