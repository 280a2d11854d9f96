"""What finance looks at, over the API: reconciliation, the latest check of the ledger, and margins."""

from datetime import date
from decimal import Decimal
from typing import Any

from django.http import Http404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.http import viewer_of
from accounts.models import Organization
from budgets.models import LedgerCheck
from budgets.reports.reconciliation import Check, Line, checks, lines_of_month, with_accepted
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import Viewer
from usage.api.exact_fields import ShownExact, shown
from usage.api.read_schema import ReadSchema
from usage.api.reads import account_of_key
from usage.reports.margin import AccountMargin, Months, account_margins
from usage.reports.rate_cards import today_of

_MONEY = ("rated", "adjusted", "drawn", "overage", "surcharge", "ongoing", "unexplained", "due")
_MONTH = OpenApiParameter("month", OpenApiTypes.STR, description="2026-03; without it the month that is running.")
_FIRST_YEAR, _LAST_YEAR = 2000, 2098


class EquationSerializer(serializers.Serializer):
    """One equation of the chain; `is_exact` is null while it is being settled."""

    name = serializers.CharField()
    left = serializers.CharField()
    right = serializers.CharField()
    is_exact = serializers.BooleanField(allow_null=True)
    words = serializers.CharField()


class ReconciledPeriodSerializer(serializers.Serializer):
    """One billing period: accepted = rolled up = rated, and rated + adjusted = drawn + overage + ongoing."""

    account = serializers.CharField(help_text="Key of the account.")
    name = serializers.CharField()
    currency = serializers.CharField()
    starts_on = serializers.DateField()
    ends_on = serializers.DateField(help_text="The first day after.")
    state = serializers.ChoiceField(["open", "ended", "closed"])
    accepted_events = serializers.IntegerField(allow_null=True, help_text="Counted only when `account` is given.")
    rolled_events = serializers.IntegerField()
    rated_events = serializers.IntegerField()
    late_events = serializers.IntegerField(help_text="Of a closed period: in a later adjustment.")
    unpriced_events = serializers.IntegerField()
    rated = ShownExact()
    adjusted = ShownExact(help_text="Booked here for earlier periods.")
    drawn = ShownExact()
    overage = ShownExact()
    surcharge = ShownExact()
    ongoing = ShownExact(help_text="Today's use, not booked yet.")
    unexplained = ShownExact(help_text="Zero, or something is wrong.")
    due = ShownExact(help_text="Overage and surcharge.")
    invoiced = ShownExact(allow_null=True)
    invoice_number = serializers.CharField()
    invoice_difference = ShownExact(allow_null=True)
    is_exact = serializers.BooleanField(allow_null=True)
    checks = EquationSerializer(many=True)


class ReconciliationSerializer(serializers.Serializer):
    """The billing periods that start in one month, by name of the account."""

    month = serializers.CharField()
    results = ReconciledPeriodSerializer(many=True)


class LedgerCheckSerializer(serializers.Serializer):
    """One run of the check that accepted = rolled up = rated = drawn + overage, to the last digit."""

    checked_at = serializers.DateTimeField()
    is_exact = serializers.BooleanField()
    accounts = serializers.IntegerField()
    figures = serializers.DictField(help_text="What was compared, in totals, as texts.")
    difference = serializers.CharField(help_text="The first row that differs, in words.")


class MarginLineSerializer(serializers.Serializer):
    """One account. What is not known is null, never zero."""

    account = serializers.CharField(help_text="Key of the account.")
    name = serializers.CharField()
    currency = serializers.CharField()
    revenue = ShownExact()
    adjusted = ShownExact(help_text="The part of the revenue that was booked for closed periods.")
    cost = ShownExact(allow_null=True)
    left = ShownExact(allow_null=True, help_text="Revenue whose cost is known, less that cost.")
    margin = ShownExact(allow_null=True, help_text="0.4 is 40%.")
    coverage = ShownExact(allow_null=True, help_text="The part of the revenue whose cost is known.")
    margin_before = ShownExact(allow_null=True, help_text="Of the month before.")
    unpriced_events = serializers.IntegerField()
    meters_without_cost = serializers.ListField(child=serializers.CharField())


class MarginSerializer(serializers.Serializer):
    """The margins of one month: negative ones first."""

    month = serializers.CharField()
    results = MarginLineSerializer(many=True)


class ReconciliationView(APIView):
    """Does everything add up, and does the invoice agree?"""

    schema = ReadSchema()
    capability = "reconciliation.view"
    staff_only = True

    @extend_schema(
        parameters=[_MONTH, OpenApiParameter("account", OpenApiTypes.STR, description="Key of one account.")],
        responses=ReconciliationSerializer,
    )
    def get(self, request: Request) -> Response:
        viewer, now = viewer_of(request), timezone.now()
        month = _month(request, viewer)
        key = request.query_params.get("account", "")
        account = account_of_key(viewer, key) if key else None
        lines = lines_of_month(viewer, month, now, account)
        if account:
            lines = with_accepted(viewer, lines)
        return Response({"month": f"{month:%Y-%m}", "results": [_line(line) for line in lines]})


class LedgerCheckView(APIView):
    """The latest check of the ledger. It runs every night, and when somebody of finance asks for it."""

    schema = ReadSchema()
    capability = "reconciliation.view"
    staff_only = True

    @extend_schema(responses=LedgerCheckSerializer)
    def get(self, request: Request) -> Response:
        check = LedgerCheck.objects.visible_to(viewer_of(request)).order_by("-checked_at").first()
        if check is None:
            raise Http404("The ledger has not been checked yet: the first check runs tonight.")
        return Response(LedgerCheckSerializer(check).data)


class MarginView(APIView):
    """What is left of each account's revenue. For people of the vendor only: no key reads it."""

    schema = ReadSchema()
    capability = "margin.view"
    staff_only = True

    @extend_schema(parameters=[_MONTH], responses=MarginSerializer)
    def get(self, request: Request) -> Response:
        viewer = viewer_of(request)
        month = _month(request, viewer)
        lines = account_margins(viewer, Months(month, add_months(month, 1)))
        return Response({"month": f"{month:%Y-%m}", "results": [_margin(line) for line in lines]})


def _month(request: Request, viewer: Viewer) -> date:
    text = request.query_params.get("month", "")
    if not text:
        organization = Organization.objects.get(pk=viewer.organization_id)
        return today_of(organization, timezone.now()).replace(day=1)
    try:
        day = date.fromisoformat(f"{text}-01")
    except ValueError:
        day = date.min
    if len(text) != len("2026-03") or not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise ValidationError({"month": [f"Give a month from {_FIRST_YEAR} to {_LAST_YEAR}, such as 2026-03."]})
    return day


def _line(line: Line) -> dict[str, Any]:
    events = ("accepted_events", "rolled_events", "rated_events", "late_events", "unpriced_events")
    return {
        "account": line.account.key,
        "name": line.account.name,
        "currency": line.account.currency,
        "starts_on": line.span.start,
        "ends_on": line.span.end,
        "state": "closed" if line.row else "ended" if line.has_ended else "open",
        **{name: getattr(line, name) for name in events},
        **{name: shown(getattr(line, name)) for name in _MONEY},
        "invoiced": _known(line.invoiced),
        "invoice_number": line.row.invoice_number if line.row else "",
        "invoice_difference": _known(line.invoice_difference),
        "is_exact": line.is_exact,
        "checks": [_equation(check) for check in checks(line)],
    }


def _equation(check: Check) -> dict[str, Any]:
    return {name: getattr(check, name) for name in ("name", "left", "right", "is_exact", "words")}


def _margin(line: AccountMargin) -> dict[str, Any]:
    part = line.now
    return {
        "account": line.key,
        "name": line.name,
        "currency": line.currency,
        "revenue": shown(part.revenue),
        "adjusted": shown(part.adjusted),
        "cost": _known(part.cost),
        "left": _known(part.left),
        "margin": _known(part.ratio),
        "coverage": _known(part.coverage),
        "margin_before": _known(line.before.ratio),
        "unpriced_events": part.unpriced_events,
        "meters_without_cost": sorted(line.missing.values()),
    }


def _known(amount: Decimal | None) -> str | None:
    return None if amount is None else shown(amount)
