"""Whether work may run now: what the vendor's gateway asks before it lets work through."""

import hashlib
import json
from decimal import Decimal

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.http import viewer_of
from budgets.calc.headroom import RANKS
from budgets.models import Budget, LimitState
from budgets.reports.headroom import headroom, limit_amount
from usage.api.exact_fields import ShownExact, shown
from usage.api.read_schema import ReadSchema
from usage.api.reads import account_of_key
from usage.models import Workflow

MAX_AGE = 2  # seconds: how long a gateway may go on with an answer


class HeadroomQuerySerializer(serializers.Serializer):
    """What is about to run."""

    workflow = serializers.CharField(required=False, max_length=200, help_text="Key of its workflow.")
    meter = serializers.CharField(required=False, max_length=200, default="", help_text="Key of its meter.")
    cost = serializers.DecimalField(
        required=False, max_digits=20, decimal_places=6, min_value=Decimal(0), default=Decimal(0),
        help_text="What it is expected to cost, in the account's currency.",
    )  # fmt: skip


class BudgetLeftSerializer(serializers.Serializer):
    """One budget that counts this work."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    scope = serializers.ChoiceField(Budget.Scope.choices)
    used = ShownExact()
    amount = ShownExact()
    remaining = ShownExact(help_text="Below zero once it is overspent.")
    after = ShownExact(help_text="What is left after the work asked about.")
    limit = ShownExact(allow_null=True, help_text="The amount at which its limit is reached; null: no limit.")
    limit_state = serializers.ChoiceField(LimitState.State.choices)
    ends_at = serializers.DateTimeField(help_text="When its period ends.")


class HeadroomSerializer(serializers.Serializer):
    """The decision and what is left. With the header X-Limit-Rehearsal: 1 it answers as if limits were in force."""

    account = serializers.CharField()
    currency = serializers.CharField()
    decision = serializers.ChoiceField(RANKS)
    reason = serializers.CharField()
    remaining = ShownExact(allow_null=True, help_text="The least of its budgets; null: there are none.")
    budgets = BudgetLeftSerializer(many=True)


class HeadroomView(APIView):
    """What is left of an account's budgets, and whether work may run: allow, warn, throttle or stop."""

    schema = ReadSchema()
    capability = "budget.view"

    @extend_schema(parameters=[HeadroomQuerySerializer], responses=HeadroomSerializer)
    def get(self, request: Request, key: str) -> Response:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        query = HeadroomQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked, workflow = query.validated_data, None
        if asked.get("workflow"):
            rows = Workflow.objects.visible_to(viewer).filter(account=account, key=asked["workflow"])
            workflow = rows.first()
            if workflow is None:
                raise serializers.ValidationError({"workflow": ["This account has no workflow with this key."]})
        rehearsal = request.headers.get("X-Limit-Rehearsal") == "1"
        found = headroom(
            viewer, account, timezone.now(), workflow=workflow, meter_key=asked["meter"], cost=asked["cost"],
            rehearsal=rehearsal,
        )  # fmt: skip
        body = {
            "account": account.key,
            "currency": account.currency,
            "decision": found.decision,
            "reason": found.reason,
            "remaining": None if found.remaining is None else shown(found.remaining),
            "budgets": [
                {
                    "id": str(use.budget.pk),
                    "name": use.budget.name,
                    "scope": use.budget.scope,
                    "used": shown(use.used),
                    "amount": shown(use.amount),
                    "remaining": shown(use.remaining),
                    "after": shown(use.remaining - asked["cost"]),
                    "limit": shown(limit_amount(use)) if use.limit else None,
                    "limit_state": state,
                    "ends_at": use.end,
                }
                for use, state in found.uses
            ],
        }
        tag = hashlib.sha256(json.dumps(body, default=str).encode()).hexdigest()[:32]
        headers = {"Cache-Control": f"private, max-age={0 if rehearsal else MAX_AGE}", "ETag": f'"{tag}"'}
        if rehearsal:
            headers["X-Limit-Rehearsal"] = "1"
        elif request.headers.get("If-None-Match") == headers["ETag"]:
            return Response(status=304, headers=headers)
        return Response(body, headers=headers)
