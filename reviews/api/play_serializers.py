"""Plays and their runs as the API shows and takes them."""

from decimal import Decimal
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from reviews.calc.condition_words import sentence
from reviews.models import PlayRun, PlayVersion, Task
from usage.api.exact_fields import shown

_CONDITION = (
    "A comparison {metric, op, value, for_days} with op >, >=, <, <=, =, or {metric, op} with op known or unknown;"
    " or {all: […]}, or {any: […]}. Null: by hand only."
)


class StepSerializer(serializers.Serializer):
    """A step of a play."""

    title = serializers.CharField(max_length=200)
    detail = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)
    within_days = serializers.IntegerField(min_value=0, max_value=365, required=False, default=0)
    asks_customer = serializers.BooleanField(required=False, default=False)


class PlaySerializer(serializers.ModelSerializer):
    """A play as it is now; `begins` and `ends` are its conditions in words."""

    key = serializers.CharField(source="play.key")
    name = serializers.CharField(source="play.name")
    is_active = serializers.BooleanField(source="play.is_active")
    version = serializers.IntegerField(source="number")
    begins = serializers.SerializerMethodField()
    ends = serializers.SerializerMethodField()
    steps = StepSerializer(many=True)

    class Meta:
        model = PlayVersion
        fields = (
            *("key", "name", "is_active", "version", "summary", "entry", "exit", "begins", "ends"),
            *("owner", "answer_hours", "per_workflow", "steps", "created_at"),
        )

    def get_begins(self, version: PlayVersion) -> str:
        return sentence(version.entry)

    def get_ends(self, version: PlayVersion) -> str:
        return sentence(version.exit) if version.exit else "all steps are done"


class PlaysSerializer(serializers.Serializer):
    """All plays."""

    results = PlaySerializer(many=True)


class PlayChangeSerializer(serializers.Serializer):
    """What of a play is to be another."""

    summary = serializers.CharField(max_length=1000, required=False, allow_blank=True)
    entry = serializers.JSONField(required=False, allow_null=True, help_text=_CONDITION)
    exit = serializers.JSONField(required=False, allow_null=True, help_text=_CONDITION)
    owner = serializers.ChoiceField(PlayVersion.Owner.choices, required=False)
    answer_hours = serializers.IntegerField(min_value=1, max_value=2160, required=False)
    per_workflow = serializers.BooleanField(required=False)
    steps = StepSerializer(many=True, required=False)
    is_active = serializers.BooleanField(required=False)

    def validate_steps(self, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [dict(step) for step in steps]


class NewPlaySerializer(PlayChangeSerializer):
    """A play to add."""

    name = serializers.CharField(max_length=100)
    steps = StepSerializer(many=True)
    is_active = None  # type: ignore[assignment]


class StepShownSerializer(serializers.Serializer):
    """A step of a run, counted from 1."""

    number = serializers.SerializerMethodField()
    title = serializers.CharField()
    due_on = serializers.DateField(allow_null=True)
    done_at = serializers.DateTimeField(allow_null=True)
    dropped_at = serializers.DateTimeField(allow_null=True)

    def get_number(self, task: Task) -> int:
        return (task.step or 0) + 1


class RunSerializer(serializers.ModelSerializer):
    """A play at work, or that was. Money is in `currency`; `moved` is how much less was at risk at its end."""

    account = serializers.CharField(source="account.key")
    play = serializers.CharField(source="play.key")
    version = serializers.IntegerField(source="version.number")
    workflow = serializers.CharField(source="workflow.key", default=None, allow_null=True)
    owner = serializers.EmailField(source="owner.email", default=None, allow_null=True)
    because = serializers.SerializerMethodField()
    steps = StepShownSerializer(source="step_tasks", many=True)
    at_risk = serializers.SerializerMethodField()
    moved = serializers.SerializerMethodField()
    outcome = serializers.SerializerMethodField()

    class Meta:
        model = PlayRun
        fields = (
            *("id", "account", "play", "version", "workflow", "owner", "started_at", "because", "due_at", "steps"),
            *("at_risk", "currency", "ended_at", "outcome", "reason", "moved"),
        )

    def get_because(self, run: PlayRun) -> list[str]:
        return list(run.evidence.get("because", []))

    def get_at_risk(self, run: PlayRun) -> str | None:
        return None if run.at_risk is None else shown(Decimal(run.at_risk))

    def get_moved(self, run: PlayRun) -> str | None:
        return None if run.moved is None else shown(Decimal(run.moved))

    @extend_schema_field(OpenApiTypes.STR)
    def get_outcome(self, run: PlayRun) -> str | None:
        return run.outcome or None


class NewRunSerializer(serializers.Serializer):
    """A play to start on an account."""

    play = serializers.CharField(max_length=60, help_text="The play's key.")
    workflow = serializers.CharField(
        max_length=200, required=False, allow_null=True, help_text="The workflow's key, for plays of a workflow."
    )


class StopSerializer(serializers.Serializer):
    """Why a run is stopped."""

    reason = serializers.CharField(max_length=2000)
    is_lost = serializers.BooleanField(required=False, default=False, help_text="Because the account was lost.")


class NoteSerializer(serializers.Serializer):
    """A line for the log."""

    text = serializers.CharField(max_length=2000)
