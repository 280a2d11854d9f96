"""Statements over the API: one for each billing period, from opening to closing, and what is due."""

from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.http import viewer_of
from budgets.reports.statements import BillingMonth, Statement, periods_of, statement
from consumption_cs.lib.tenancy import Viewer
from usage.api.exact_fields import ShownExact, shown
from usage.api.read_schema import ReadSchema
from usage.api.reads import account_of_key
from usage.models import BillingPeriod, Meter
from usage.reports.freshness import data_through

_FIGURES = ("rated", "adjusted", "drawn", "overage", "ongoing", "surcharge", "due")


class StatementPeriodSerializer(serializers.Serializer):
    """A billing period of the account's local days."""

    starts_on = serializers.DateField()
    ends_on = serializers.DateField(help_text="The first day after.")
    is_closed = serializers.BooleanField(help_text="Frozen; until then the statement is so far.")
    closed_at = serializers.DateTimeField(allow_null=True)
    invoice_number = serializers.CharField()


class StatementPeriodsSerializer(serializers.Serializer):
    """All periods, the latest first."""

    results = StatementPeriodSerializer(many=True)


class StatementLineSerializer(serializers.Serializer):
    """One commit: the parts, each with its sign, add up to `closing`."""

    commit = serializers.UUIDField(allow_null=True)
    name = serializers.CharField()
    opening = ShownExact()
    granted = ShownExact(help_text="What recurs included.")
    amended = ShownExact()
    not_rolled_over = ShownExact()
    drawn = ShownExact()
    expired = ShownExact()
    cancelled = ShownExact()
    closing = ShownExact()


class StatementMeterSerializer(serializers.Serializer):
    """What a meter's use came to: rated + adjusted = drawn + overage, and of an open period what is ongoing."""

    meter = serializers.CharField()
    name = serializers.CharField()
    rated = ShownExact()
    adjusted = ShownExact()
    drawn = ShownExact()
    overage = ShownExact()


class StatementAdjustmentSerializer(serializers.Serializer):
    """Money of an earlier, closed period that is booked in this one, and why."""

    day = serializers.DateField()
    period_starts_on = serializers.DateField()
    period_ends_on = serializers.DateField()
    meter = serializers.CharField()
    quantity = ShownExact()
    amount = ShownExact()
    reason = serializers.CharField()


class StatementSerializer(StatementPeriodSerializer):
    """One period. `due` is overage and the surcharge of the contract's overage factor."""

    account = serializers.CharField()
    currency = serializers.CharField()
    data_through = serializers.DateTimeField()
    rated = ShownExact()
    adjusted = ShownExact()
    drawn = ShownExact()
    overage = ShownExact()
    ongoing = ShownExact(help_text="Today's use, drawn but not booked yet.")
    surcharge = ShownExact()
    due = ShownExact()
    commits = StatementLineSerializer(many=True)
    total = StatementLineSerializer()
    meters = StatementMeterSerializer(many=True)
    adjustments = StatementAdjustmentSerializer(many=True)


class StatementListView(APIView):
    """The billing periods that there is a statement of."""

    schema = ReadSchema()
    capability = "money.view"

    @extend_schema(operation_id="accounts_statements_list", responses=StatementPeriodsSerializer)
    def get(self, request: Request, key: str) -> Response:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        closed = {row.starts_on: row for row in BillingPeriod.objects.visible_to(viewer).filter(account=account)}
        found = periods_of(viewer, account, timezone.now())
        return Response({"results": [_period(one, closed.get(one.starts_on)) for one in found]})


class StatementView(APIView):
    """The statement of one billing period."""

    schema = ReadSchema()
    capability = "money.view"

    @extend_schema(responses=StatementSerializer)
    def get(self, request: Request, key: str, starts_on: str) -> Response:
        viewer, now = viewer_of(request), timezone.now()
        account = account_of_key(viewer, key)
        period = next((one for one in periods_of(viewer, account, now) if one.starts_on == _day(starts_on)), None)
        if period is None:
            raise Http404("No billing period of the account starts on that day.")
        row = BillingPeriod.objects.visible_to(viewer).filter(account=account, starts_on=period.starts_on).first()
        frame = {
            "account": account.key,
            "currency": account.currency,
            "data_through": data_through(viewer, now).data_through,
        }
        return Response(_period(period, row) | frame | _statement(viewer, statement(viewer, account, period)))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _period(period: BillingMonth, row: BillingPeriod | None) -> dict[str, Any]:
    return {
        "starts_on": period.starts_on,
        "ends_on": period.ends_on,
        "is_closed": period.is_closed,
        "closed_at": row.closed_at if row else None,
        "invoice_number": row.invoice_number if row else "",
    }


def _statement(viewer: Viewer, found: Statement) -> dict[str, Any]:
    keys = dict(Meter.objects.visible_to(viewer).values_list("pk", "key"))
    return {
        **{name: shown(getattr(found, name)) for name in _FIGURES},
        "commits": [_renamed(line, "commit_id", "commit") for line in found.commits],
        "total": _renamed(found.total, "commit_id", "commit"),
        "meters": [_texts(line) | {"meter": keys[line.meter_id]} for line in found.meters],
        "adjustments": [_texts(line) | {"meter": keys[line.meter_id]} for line in found.adjustments],
    }


def _renamed(line: Any, old: str, new: str) -> dict[str, Any]:
    row = _texts(line)
    return row | {new: row.pop(old)}


def _texts(line: Any) -> dict[str, Any]:
    row = asdict(line)
    row.pop("meter_id", None)
    row.pop("meter_name", None)
    return {name: shown(value) if isinstance(value, Decimal) else value for name, value in row.items()}
