"""Vendor costs over the API: for the vendor's own systems, never for a customer's key or seat."""

from typing import Any, cast
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404
from django.http.response import HttpResponseBase
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
from accounts.models import Organization
from usage.actions.vendor_costs import CostTaken, add_costs, remove_cost
from usage.api.read_schema import ReadSchema
from usage.api.serializers import decimal_text
from usage.forms.vendor_costs import VendorCostForm
from usage.models import Meter, VendorCost


class VendorCostSerializer(serializers.ModelSerializer):
    """What a unit of a meter costs the vendor from a day on."""

    meter = serializers.CharField(source="meter.key")
    account = serializers.CharField(source="account.key", default=None)
    workflow = serializers.CharField(source="workflow.key", default=None)
    unit_cost = serializers.SerializerMethodField()

    class Meta:
        model = VendorCost
        fields = ("id", "meter", "account", "workflow", "currency", "unit_cost", "effective_on", "created_at")

    def get_unit_cost(self, cost: VendorCost) -> str:
        return decimal_text(cost.unit_cost)


class NewVendorCostSerializer(serializers.Serializer):
    """A cost to add. Without `account` it holds for every account that has none of its own."""

    meter = serializers.CharField(help_text="Key of the meter.")
    account = serializers.CharField(required=False, allow_null=True, help_text="Key of an account.")
    workflow = serializers.CharField(required=False, allow_null=True, help_text="Key of a workflow of the account.")
    currency = serializers.CharField(required=False, help_text="By default the account's, or the organization's.")
    unit_cost = serializers.CharField(help_text="A decimal string with at most 12 decimals.")
    effective_on = serializers.DateField(help_text="The first day, on each account's own calendar.")


class VendorCostListView(ListAPIView):
    """What each meter's unit costs the vendor, the newest entry first."""

    schema = ReadSchema()
    capability = "cost.manage"
    staff_only = True
    serializer_class = VendorCostSerializer

    def get_queryset(self) -> QuerySet[VendorCost]:
        viewer = viewer_of(self.request)
        rows = VendorCost.objects.visible_to(viewer).select_related("meter", "account", "workflow")
        meter = self.request.query_params.get("meter")
        return cast(QuerySet[VendorCost], rows.filter(meter__key=meter.replace("\x00", "")) if meter else rows)

    @extend_schema(parameters=[OpenApiParameter("meter", OpenApiTypes.STR, description="Key of a meter.")])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @idempotent
    @extend_schema(request=NewVendorCostSerializer, responses={201: VendorCostSerializer})
    def post(self, request: Request) -> HttpResponseBase:
        asked = NewVendorCostSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        form = _form(request, asked.validated_data)
        if not form.is_valid():
            # What is wrong with no single field is wrong with the day: there is a cost from it on already.
            raise ValidationError(
                {
                    "effective_on" if name == "__all__" else name: [str(one) for one in e]
                    for name, e in form.errors.items()
                }
            )
        try:
            (cost,) = add_costs(viewer_of(request), [form.new_cost])
        except CostTaken as taken:
            raise ValidationError({"effective_on": [str(taken)]}) from taken
        return Response(VendorCostSerializer(cost).data, status=status.HTTP_201_CREATED)


class VendorCostView(APIView):
    """One cost, to take it back: margins are then reckoned as if it had never been."""

    schema = ReadSchema()
    capability = "cost.manage"
    staff_only = True

    @extend_schema(responses={204: None})
    def delete(self, request: Request, cost_id: UUID) -> Response:
        viewer = viewer_of(request)
        rows = VendorCost.objects.visible_to(viewer).select_related("meter", "account", "workflow")
        cost = rows.filter(pk=cost_id).first()
        if cost is None:
            raise Http404("There is no such vendor cost.")
        remove_cost(viewer, cost)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _form(request: Request, asked: dict[str, Any]) -> VendorCostForm:
    """The page's form, filled from the request, so that both say the same about the same mistake."""
    viewer = viewer_of(request)
    organization = Organization.objects.get(pk=viewer.organization_id)
    meter = Meter.objects.visible_to(viewer).filter(key=asked["meter"].replace("\x00", "")).first()
    if meter is None:
        raise ValidationError({"meter": [f"No meter has the key “{asked['meter'][:60]}”."]})
    data = {name: value for name, value in asked.items() if value is not None} | {"meter": str(meter.pk)}
    form = VendorCostForm(data, viewer=viewer, organization=organization)
    data.setdefault("currency", form.currency_of(str(data.get("account", ""))))
    return form
