"""Planned activities over the API: what customer and vendor expect, which bends the forecast, and taking it back."""

from datetime import timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from django.core.exceptions import ValidationError as ConstraintError
from django.db.models import QuerySet
from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.http import viewer_of
from accounts.idempotency import idempotent
from budgets.actions.planned import NewPlan, cancel_activity, plan_activity
from budgets.api.commit_serializers import Day
from budgets.models import PlannedActivity
from usage.api.exact_fields import shown
from usage.api.read_schema import ReadSchema
from usage.api.reads import account_of_key

MOST_DAYS = 400
MOST_SPEND = Decimal(10) ** 12


class PlannedActivitySerializer(serializers.ModelSerializer):
    """Something out of the ordinary on local days from `starts_on` to just before `ends_on`."""

    account = serializers.CharField(source="account.key")
    extra_spend = serializers.SerializerMethodField()
    change_percent = serializers.SerializerMethodField()

    class Meta:
        model = PlannedActivity
        fields = (
            *("id", "account", "kind", "name", "starts_on", "ends_on", "extra_spend", "change_percent", "mutes"),
            *("by_customer", "created_at", "cancelled_at"),
        )

    def get_extra_spend(self, plan: PlannedActivity) -> str | None:
        return None if plan.extra_spend is None else shown(Decimal(plan.extra_spend))

    def get_change_percent(self, plan: PlannedActivity) -> str | None:
        return None if plan.change_percent is None else shown(Decimal(plan.change_percent))


class NewPlannedActivitySerializer(serializers.Serializer):
    """An activity to plan. With neither an amount nor a percentage it is shown, but bends no forecast."""

    kind = serializers.ChoiceField(PlannedActivity.Kind.choices)
    name = serializers.CharField(max_length=100)
    starts_on = Day(help_text="The first day, on the account's own calendar.")
    ends_on = Day(required=False, help_text="The first day after it; the day after `starts_on` if absent.")
    extra_spend = serializers.DecimalField(
        required=False,
        allow_null=True,
        max_digits=18,
        decimal_places=6,
        min_value=-MOST_SPEND,
        max_value=MOST_SPEND,
        help_text="Expected in total on top of usual use, in the account's currency; below 0 for less.",
    )
    change_percent = serializers.DecimalField(
        required=False,
        allow_null=True,
        max_digits=7,
        decimal_places=2,
        min_value=Decimal(-100),
        max_value=Decimal(10000),
        help_text="Usual daily use, changed by this percentage.",
    )
    mutes = serializers.BooleanField(default=True, help_text="No alarm about unusual use while it lasts.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs.setdefault("ends_on", attrs["starts_on"] + timedelta(days=1))
        if attrs["ends_on"] <= attrs["starts_on"]:
            raise ValidationError({"ends_on": ["It is the first day after, so it must be later than “starts_on”."]})
        if (attrs["ends_on"] - attrs["starts_on"]).days > MOST_DAYS:
            raise ValidationError({"ends_on": [f"An activity lasts {MOST_DAYS} days at most."]})
        if attrs.get("extra_spend") is not None and attrs.get("change_percent") is not None:
            raise ValidationError({"change_percent": ["Give an amount or a percentage, not both."]})
        return attrs


class PlannedActivityListView(ListAPIView):
    """What is planned for the account and what was, the newest entry first. A POST plans something."""

    schema = ReadSchema()
    capability = "forecast.view"
    write_capability = "planned.edit"
    serializer_class = PlannedActivitySerializer

    def get_queryset(self) -> QuerySet[PlannedActivity]:
        viewer = viewer_of(self.request)
        account = account_of_key(viewer, self.kwargs["key"])
        rows = PlannedActivity.objects.visible_to(viewer).filter(account=account).select_related("account")
        asked = self.request.query_params.get("cancelled", "").lower()
        return cast(QuerySet[PlannedActivity], rows if asked in ("1", "true") else rows.filter(cancelled_at=None))

    @extend_schema(
        parameters=[OpenApiParameter("cancelled", OpenApiTypes.BOOL, description="Also what was taken back.")]
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @idempotent
    @extend_schema(request=NewPlannedActivitySerializer, responses={201: PlannedActivitySerializer})
    def post(self, request: Request, key: str) -> HttpResponseBase:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        asked = NewPlannedActivitySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            plan = plan_activity(viewer, account, NewPlan(**asked.validated_data))
        except ConstraintError as error:
            raise ValidationError({"non_field_errors": error.messages}) from error
        return Response(PlannedActivitySerializer(plan).data, status=status.HTTP_201_CREATED)


class PlannedActivityCancellationView(APIView):
    """Takes a planned activity back. Customers take back only what they told themselves; twice is as good as once."""

    schema = ReadSchema()
    capability = "planned.edit"

    @idempotent
    @extend_schema(request=None, responses=PlannedActivitySerializer)
    def post(self, request: Request, plan_id: UUID) -> HttpResponseBase:
        viewer = viewer_of(request)
        plans = PlannedActivity.objects.visible_to(viewer).select_related("account").filter(pk=plan_id)
        plan = (plans.filter(by_customer=True) if viewer.is_portal else plans).first()
        if plan is None:
            raise Http404("There is no such planned activity.")
        if plan.cancelled_at is None:
            cancel_activity(viewer, plan, timezone.now())
        return Response(PlannedActivitySerializer(plan).data)
