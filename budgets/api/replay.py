"""Replays over the API: what a budget and its limit would have done on the last 90 days, before they are one."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.http import viewer_of
from budgets.api.budget_serializers import LimitTermsSerializer, PartSerializer
from budgets.api.budgets import PART, asked, budget_of, meter_of, rules_of, workflow_of, workflows_of
from budgets.models import Budget, BudgetRule
from budgets.reports.replay import Proposal, ProposedLimit, Replay, replay
from usage.api.exact_fields import ShownExact, shown
from usage.api.read_schema import ReadSchema
from usage.api.reads import account_of_key


class NewReplaySerializer(PartSerializer):
    """A budget as it would be, with or without a limit. Nothing is stored."""

    limit = LimitTermsSerializer(required=False, allow_null=True)
    budget = serializers.UUIDField(required=False, help_text="The one it would change: what it has is compared.")


class FireSerializer(serializers.Serializer):
    """A moment at which a rule would have told."""

    at = serializers.DateTimeField()
    day = serializers.DateField()
    kind = serializers.ChoiceField(BudgetRule.Kind.choices)
    value = ShownExact()
    is_told = serializers.BooleanField(help_text="False: a higher crossing at the same moment covers it.")
    verdict = serializers.CharField(help_text="useful, false, or open: its period is not over.")
    why = serializers.CharField()


class ActedSerializer(serializers.Serializer):
    """One period in which the limit is reached."""

    day = serializers.DateField()
    last_day = serializers.DateField()
    spent = ShownExact()
    reached_at = serializers.DateTimeField()
    acts_at = serializers.DateTimeField(allow_null=True, help_text="Null: it ended within the grace, or only tells.")
    loop_stopped = ShownExact(help_text="Blocked, and rightly: it was a loop.")
    held_back = ShownExact(help_text="Blocked, and it was work.")
    waiting = serializers.IntegerField(help_text="Outcomes that would have waited.")
    verdict = serializers.CharField(help_text="right, false, mixed, or empty if nothing was blocked.")
    about = serializers.CharField()


class ReplayedDaySerializer(serializers.Serializer):
    """A local day."""

    day = serializers.DateField()
    spent = ShownExact()
    blocked = ShownExact()


class SweepRowSerializer(serializers.Serializer):
    """The same with another limit amount."""

    amount = ShownExact()
    acts = serializers.IntegerField()
    loop_stopped = ShownExact()
    held_back = ShownExact()
    is_tried = serializers.BooleanField()
    is_in_force = serializers.BooleanField()
    is_best = serializers.BooleanField()


class ReplaySerializer(serializers.Serializer):
    """What the proposal would have done on the last 90 closed local days, from `first` to just before `after`."""

    account = serializers.CharField()
    currency = serializers.CharField()
    first = serializers.DateField()
    after = serializers.DateField()
    used_days = serializers.IntegerField()
    is_ready = serializers.BooleanField(help_text="False: fewer than 7 days have usage, so only `days` is filled.")
    hours_from = serializers.DateField(
        allow_null=True, help_text="Before, a day's money is spread as days usually are."
    )
    loop_cost = ShownExact(help_text="What loops cost in all.")
    false_alarms = serializers.IntegerField()
    loop_stopped = ShownExact()
    held_back = ShownExact()
    waiting = serializers.IntegerField()
    not_replayed = serializers.ListField(child=serializers.CharField(), help_text="Rules that could not be, in words.")
    fires = FireSerializer(many=True)
    acted = ActedSerializer(many=True)
    days = ReplayedDaySerializer(many=True)
    sweep = SweepRowSerializer(many=True)


class ReplayView(APIView):
    """What a budget or limit would have done on the last 90 days: alerts, what it blocks, and other amounts."""

    schema = ReadSchema()
    capability = "budget.view"

    @extend_schema(request=NewReplaySerializer, responses=ReplaySerializer)
    def post(self, request: Request, key: str) -> Response:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        wanted = asked(NewReplaySerializer, request)
        if (wanted["period"] == Budget.Period.CUSTOM) != ("starts_on" in wanted and "ends_on" in wanted):
            words = "A budget from and to needs both days, the end after the start."
            raise ValidationError({"period": [words]})
        workflow = workflow_of(viewer, account, wanted.get("workflow"))
        meter = meter_of(viewer, wanted.get("meter"))
        changed = budget_of(viewer, key, wanted["budget"]) if "budget" in wanted else None
        limit = dict(wanted.get("limit") or {})
        if limit:
            limit["exempt_workflows"] = tuple(workflows_of(viewer, account, limit["exempt_workflows"]))
        proposal = Proposal(
            amount=wanted["amount"],
            rules=tuple(rules_of(wanted["rules"])),
            limit=ProposedLimit(**limit) if limit else None,
            workflow_id=workflow.pk if workflow else None,
            meter_id=meter.pk if meter else None,
            budget_id=changed.pk if changed else None,
            **{name: wanted[name] for name in PART if name in wanted},
        )
        return Response(_replayed(replay(viewer, account, proposal, timezone.now())))


def _replayed(made: Replay) -> dict[str, Any]:
    sums = {name: shown(getattr(made, name)) for name in ("loop_cost", "loop_stopped", "held_back")}
    return {
        "account": made.account.key,
        "currency": made.account.currency,
        **{name: getattr(made, name) for name in ("first", "after", "used_days", "is_ready", "hours_from", "waiting")},
        **sums,
        "false_alarms": len(made.false_alarms),
        "not_replayed": list(made.not_replayed),
        **{name: [_texts(row) for row in getattr(made, name)] for name in ("fires", "acted", "days", "sweep")},
    }


def _texts(row: Any) -> dict[str, Any]:
    return {name: shown(value) if isinstance(value, Decimal) else value for name, value in asdict(row).items()}
