"""What the read API says. Decimals are texts, so that no client rounds them; days are the account's own."""

from typing import Any

from rest_framework import serializers

from accounts.models import Account
from usage.calc.event_reasons import quarantine_reason
from usage.models import Event, Meter, QuarantinedEvent, Workflow
from usage.reports.usage_sums import GROUPINGS


class AccountSerializer(serializers.ModelSerializer):
    """One customer; `key` is the subject of its events."""

    time_zone = serializers.CharField(source="timezone")

    class Meta:
        model = Account
        fields = (
            "id",
            "key",
            "name",
            "segment",
            "tier",
            "currency",
            "time_zone",
            "contract_starts_on",
            "contract_ends_on",
        )


class WorkflowSerializer(serializers.ModelSerializer):
    """One thing that a customer does with the product."""

    class Meta:
        model = Workflow
        fields = ("id", "key", "name", "stage", "outcome_unit", "success_target")


class MeterSerializer(serializers.ModelSerializer):
    """How events of one type become a quantity."""

    class Meta:
        model = Meter
        fields = (
            "id",
            "key",
            "name",
            "unit",
            "event_type",
            "aggregation",
            "value_property",
            "workflow_property",
            "success_property",
            "outcome_property",
            "attempt_property",
            "environment_property",
            "filters",
            "dimensions",
            "is_active",
        )


class EventSerializer(serializers.ModelSerializer):
    """One accepted event, as its meter read it."""

    id = serializers.CharField(source="event_id")
    account = serializers.CharField(source="account.key")
    meter = serializers.CharField(source="meter.key")
    workflow = serializers.CharField(source="workflow.key", default=None)
    billed = serializers.BooleanField(source="counted")
    quantity = serializers.SerializerMethodField()
    outcomes = serializers.SerializerMethodField()

    class Meta:
        model = Event
        fields = (
            "key",
            "id",
            "source",
            "account",
            "meter",
            "workflow",
            "occurred_at",
            "received_at",
            "quantity",
            "outcomes",
            "succeeded",
            "attempt",
            "environment",
            "billed",
        )

    def get_quantity(self, event: Event) -> str:
        return decimal_text(event.quantity)

    def get_outcomes(self, event: Event) -> str | None:
        return None if event.outcomes is None else decimal_text(event.outcomes)


class QuarantinedEventSerializer(serializers.ModelSerializer):
    """One event that waits for its account or meter."""

    event_id = serializers.CharField(read_only=True)
    source = serializers.CharField(read_only=True)  # type: ignore[assignment]  # what a field calls its own source
    type = serializers.CharField(read_only=True)
    subject = serializers.CharField(read_only=True)
    advice = serializers.SerializerMethodField()

    class Meta:
        model = QuarantinedEvent
        fields = (
            "id",
            "event_id",
            "source",
            "type",
            "subject",
            "reason",
            "detail",
            "advice",
            "occurred_at",
            "received_at",
        )

    def get_advice(self, event: QuarantinedEvent) -> str:
        return quarantine_reason(event.reason).advice


class UsageQuerySerializer(serializers.Serializer):
    """Which days, and how to sum them. Without days: this month until today, on the account's calendar."""

    to = serializers.DateField(required=False, help_text="The first day after.")
    group_by = serializers.ChoiceField(GROUPINGS, default="day")

    def get_fields(self) -> dict[str, Any]:
        # "from" is a word of the language.
        return {"from": serializers.DateField(required=False, help_text="The first day."), **super().get_fields()}


class _Sums(serializers.Serializer):
    spend = serializers.CharField(allow_null=True, help_text="In the account's currency; null: no price is known.")
    unpriced_events = serializers.IntegerField()
    events = serializers.IntegerField()
    finished = serializers.IntegerField(help_text="Events that say whether they succeeded.")
    successes = serializers.IntegerField()
    outcomes = serializers.CharField()


class UsageRowSerializer(_Sums):
    """One day, workflow or meter. `quantity` and `unit` only by meter, for units do not add up."""

    day = serializers.DateField(required=False)
    workflow = serializers.CharField(required=False, allow_null=True, help_text="Key; null: the events named none.")
    workflow_name = serializers.CharField(required=False, allow_null=True)
    meter = serializers.CharField(required=False)
    unit = serializers.CharField(required=False)
    quantity = serializers.CharField(required=False)


class UsageTotalSerializer(_Sums):
    """Of all rows. By workflow, `adjustments` and `minimums` belong to none of them and are here alone."""

    adjustments = serializers.CharField(help_text="The part of the spend that is of earlier, closed billing periods.")
    minimums = serializers.CharField(help_text="The part of the spend that minimum spends added.")


class UsageSerializer(serializers.Serializer):
    """What an account used. Rows without any use are left out."""

    account = serializers.CharField()
    currency = serializers.CharField()
    time_zone = serializers.CharField()
    to = serializers.DateField()
    group_by = serializers.ChoiceField(GROUPINGS)
    data_through = serializers.DateTimeField(help_text="Events accepted before this moment are in the numbers.")
    results = UsageRowSerializer(many=True)
    total = UsageTotalSerializer()

    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.DateField(), **super().get_fields()}


class EventPageSerializer(serializers.Serializer):
    """One page of events, newest first."""

    next = serializers.URLField(allow_null=True)
    results = EventSerializer(many=True)


class ReplaySerializer(serializers.Serializer):
    """Which events to replay; without `ids` the oldest thousand."""

    ids = serializers.ListField(child=serializers.UUIDField(), required=False, min_length=1, max_length=1000)


class ReplayedSerializer(serializers.Serializer):
    """What became of them."""

    replayed = serializers.IntegerField()
    waiting = serializers.IntegerField(help_text="Those whose cause is not fixed yet.")


def decimal_text(amount: Any) -> str:
    """Return all digits that matter, never an exponent."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
