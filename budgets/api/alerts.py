"""Alerts over the API: what was raised and on which numbers, and dealing with it."""

from typing import Any, cast
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.http import viewer_of
from accounts.idempotency import idempotent
from budgets.actions import alerts as acting
from budgets.models import Alert
from budgets.reports.alerts import OPEN_STATES, told_alerts
from usage.api.read_schema import ReadSchema
from usage.api.reads import account_of_key

_STATE = OpenApiParameter(
    "state", OpenApiTypes.STR, enum=["open", "resolved", "all"], description="Which ones; all if absent."
)


class AlertSerializer(serializers.ModelSerializer):
    """An alert with the numbers that it was raised on, which never change. Amounts are in the account's currency."""

    account = serializers.CharField(source="account.key")
    budget = serializers.UUIDField(source="budget_id", allow_null=True)
    workflow = serializers.CharField(source="workflow.key", allow_null=True, default=None)
    numbers = serializers.SerializerMethodField()
    cause = serializers.JSONField(allow_null=True, help_text="The split of the difference, where there is one.")

    class Meta:
        model = Alert
        fields = (
            *("id", "account", "number", "kind", "severity", "headline", "state", "budget", "workflow", "threshold"),
            *("period_start", "period_end", "numbers", "cause", "raised_at", "data_through", "acknowledged_at"),
            *("snoozed_until", "escalated_at", "recovered_at", "resolved_at", "feedback"),
        )

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
    def get_numbers(self, alert: Alert) -> dict[str, str]:
        return {name: str(value) for name, value in alert.numbers.items() if value is not None}


def _chosen(rows: QuerySet[Alert], request: Request) -> QuerySet[Alert]:
    state = request.query_params.get("state", "all")
    if state == "open":
        rows = rows.filter(state__in=OPEN_STATES)
    elif state == "resolved":
        rows = rows.filter(~Q(state__in=OPEN_STATES))
    return rows.select_related("account", "workflow")


class AlertListView(ListAPIView):
    """The alerts of every account that the key may see, the newest first."""

    schema = ReadSchema()
    capability = "alert.view"
    serializer_class = AlertSerializer

    def get_queryset(self) -> QuerySet[Alert]:
        return _chosen(cast(QuerySet[Alert], told_alerts(viewer_of(self.request))), self.request)

    @extend_schema(operation_id="alerts_of_all", parameters=[_STATE])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class AccountAlertListView(ListAPIView):
    """The alerts of one account, the newest first."""

    schema = ReadSchema()
    capability = "alert.view"
    serializer_class = AlertSerializer

    def get_queryset(self) -> QuerySet[Alert]:
        viewer = viewer_of(self.request)
        account = account_of_key(viewer, self.kwargs["key"])
        return _chosen(cast(QuerySet[Alert], told_alerts(viewer, account)), self.request)

    @extend_schema(operation_id="alerts_of_account", parameters=[_STATE])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


def _find(request: Request, alert_id: UUID) -> Alert:
    rows = Alert.objects.visible_to(viewer_of(request)).select_related("account", "workflow", "anomaly", "budget")
    alert: Alert | None = rows.filter(pk=alert_id).first()
    if alert is None:
        raise Http404("There is no such alert.")
    return alert


class AlertView(RetrieveAPIView):
    """One alert."""

    schema = ReadSchema()
    capability = "alert.view"
    serializer_class = AlertSerializer

    def get_object(self) -> Alert:
        return _find(self.request, self.kwargs["alert_id"])


class AcknowledgementView(APIView):
    """Says that somebody deals with it, so that it does not escalate. Twice is as good as once."""

    schema = ReadSchema()
    capability = "alert.handle"

    @idempotent
    @extend_schema(request=None, responses=AlertSerializer)
    def post(self, request: Request, alert_id: UUID) -> HttpResponseBase:
        alert = _find(request, alert_id)
        acting.acknowledge(viewer_of(request), alert, timezone.now())
        return Response(AlertSerializer(_find(request, alert_id)).data)


class ResolutionView(APIView):
    """Closes an alert. Twice is as good as once."""

    schema = ReadSchema()
    capability = "alert.handle"

    @idempotent
    @extend_schema(request=None, responses=AlertSerializer)
    def post(self, request: Request, alert_id: UUID) -> HttpResponseBase:
        alert = _find(request, alert_id)
        acting.resolve(viewer_of(request), alert, timezone.now())
        return Response(AlertSerializer(_find(request, alert_id)).data)


class FeedbackSerializer(serializers.Serializer):
    """How an alert is judged."""

    feedback = serializers.ChoiceField(Alert.Feedback.choices)


class FeedbackView(APIView):
    """Says whether the alert was useful, expected or wrong; it counts for what is told next."""

    schema = ReadSchema()
    capability = "alert.handle"

    @idempotent
    @extend_schema(request=FeedbackSerializer, responses=AlertSerializer)
    def post(self, request: Request, alert_id: UUID) -> HttpResponseBase:
        alert = _find(request, alert_id)
        asked = FeedbackSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        acting.judge(viewer_of(request), alert, asked.validated_data["feedback"], timezone.now())
        return Response(AlertSerializer(_find(request, alert_id)).data)
