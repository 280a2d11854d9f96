"""An account's billing periods over the API: read them, close one, say what its invoice was."""

from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Sum
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.http import viewer_of
from accounts.idempotency import idempotent
from accounts.models import Account
from accounts.permissions import require
from budgets.actions.closing import ClosingError, close_by_hand
from consumption_cs.lib.tenancy import Viewer
from usage.api.read_schema import ReadSchema
from usage.api.reads import account_of_key
from usage.api.serializers import decimal_text
from usage.models import AccountDay, BillingPeriod
from usage.reports.periods import Period, State, periods


class NotClosableNow(APIException):
    """The state of the account does not allow it; `detail` says what to do."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "period_not_closable"


class BillingPeriodSerializer(serializers.Serializer):
    """A billing period of the account's local days."""

    starts_on = serializers.DateField()
    ends_on = serializers.DateField(help_text="The first day after.")
    state = serializers.ChoiceField([state.value for state in State])
    currency = serializers.CharField()
    amount = serializers.CharField(help_text="What it came to; of an open one, so far.")
    closed_at = serializers.DateTimeField(allow_null=True)
    invoiced = serializers.CharField(allow_null=True, help_text="What the invoice said, once somebody entered it.")
    invoice_number = serializers.CharField(allow_blank=True)


class BillingPeriodsSerializer(serializers.Serializer):
    """All billing periods, the latest first."""

    results = BillingPeriodSerializer(many=True)


class ClosePeriodSerializer(serializers.Serializer):
    """Which period to close: the oldest open one, once it has ended."""

    starts_on = serializers.DateField(help_text="Its first day.")


class BillingPeriodListView(APIView):
    """The account's billing periods. A POST closes one: it is frozen, and later use becomes an adjustment."""

    schema = ReadSchema()
    capability = "money.view"

    @extend_schema(responses=BillingPeriodsSerializer)
    def get(self, request: Request, key: str) -> Response:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        found = periods(viewer, account, timezone.now())
        return Response({"results": [_shown(viewer, account, period) for period in found]})

    @idempotent
    @extend_schema(request=ClosePeriodSerializer, responses={201: BillingPeriodSerializer})
    def post(self, request: Request, key: str) -> HttpResponseBase:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        require(viewer, "period.close")
        asked = ClosePeriodSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            row = close_by_hand(viewer, account, asked.validated_data["starts_on"], timezone.now())
        except ClosingError as error:
            raise NotClosableNow(str(error)) from error
        closed = Period(row.starts_on, row.ends_on, State.CLOSED, row)
        return Response(_shown(viewer, account, closed), status=status.HTTP_201_CREATED)


def _shown(viewer: Viewer, account: Account, period: Period) -> dict[str, Any]:
    row: BillingPeriod | None = period.row
    amount = row.amount if row else _so_far(viewer, account, period.starts_on, period.ends_on)
    return {
        "starts_on": period.starts_on,
        "ends_on": period.ends_on,
        "state": period.state.value,
        "currency": row.currency if row else account.currency,
        "amount": decimal_text(amount),
        "closed_at": row.closed_at if row else None,
        "invoiced": None if row is None or row.invoiced is None else decimal_text(row.invoiced),
        "invoice_number": row.invoice_number if row else "",
    }


def _so_far(viewer: Viewer, account: Account, start: date, end: date) -> Decimal:
    days = AccountDay.objects.visible_to(viewer).filter(account=account, day__gte=start, day__lt=end)
    total: Decimal = days.aggregate(total=Sum("spend", default=Decimal(0)))["total"]
    return total
