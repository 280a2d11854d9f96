"""Limits over the API: setting what happens at a budget's limit, rehearsing it, and lifting it with a reason."""

from decimal import Decimal
from uuid import UUID

from django.core.exceptions import ValidationError as ConstraintError
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.http import viewer_of
from accounts.idempotency import idempotent
from budgets.actions.limits import NewLimit, lift, rehearse, set_limit
from budgets.api import budget_serializers as shapes
from budgets.api.budgets import asked, budget_of, one, refusal, workflows_of
from usage.api.exact_fields import shown
from usage.api.read_schema import ReadSchema


class LimitView(APIView):
    """Sets what happens at the limit of a budget. The same again changes nothing; anything else is a new version."""

    schema = ReadSchema()
    capability = "limit.edit"

    @extend_schema(request=shapes.NewLimitSerializer, responses=shapes.BudgetSerializer)
    def put(self, request: Request, key: str, budget_id: UUID) -> Response:
        viewer = viewer_of(request)
        budget = budget_of(viewer, key, budget_id)
        wanted = asked(shapes.NewLimitSerializer, request)
        wanted["exempt_workflows"] = workflows_of(viewer, budget.account, wanted["exempt_workflows"])
        try:
            set_limit(viewer, budget, NewLimit(**wanted), timezone.now())
        except ConstraintError as error:
            raise refusal(error) from error
        return Response(one(viewer, budget.account, budget.pk))


class LiftView(APIView):
    """Lifts a limit that is in force, for the hours it says, or until the period ends."""

    schema = ReadSchema()
    capability = "limit.lift"

    @idempotent
    @extend_schema(request=shapes.NewLiftSerializer, responses=shapes.BudgetSerializer)
    def post(self, request: Request, key: str, budget_id: UUID) -> HttpResponseBase:
        viewer = viewer_of(request)
        budget = budget_of(viewer, key, budget_id)
        wanted = asked(shapes.NewLiftSerializer, request)
        try:
            lift(viewer, budget, wanted["reason"], timezone.now())
        except ConstraintError as error:
            raise refusal(error) from error
        return Response(one(viewer, budget.account, budget.pk))


class RehearsalView(APIView):
    """Sends what would be sent when the limit acts, marked as a rehearsal. Nothing is slowed."""

    schema = ReadSchema()
    capability = "limit.edit"

    @idempotent
    @extend_schema(request=None, responses={201: shapes.RehearsalSerializer})
    def post(self, request: Request, key: str, budget_id: UUID) -> HttpResponseBase:
        viewer = viewer_of(request)
        try:
            event = rehearse(viewer, budget_of(viewer, key, budget_id), timezone.now())
        except ConstraintError as error:
            raise refusal(error) from error
        amounts = {name: shown(Decimal(getattr(event, name))) for name in ("used", "amount")}
        return Response({"id": event.pk, "at": event.at, **amounts}, status=status.HTTP_201_CREATED)
