"""An account's ledger over the API: every booking with the balance after it, newest first."""

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from accounts.http import viewer_of
from accounts.pagination import CursorPagination
from budgets.models import LedgerEntry
from budgets.reports.ledger import CursorError, LedgerFilters, LedgerLine, entries
from consumption_cs.lib.tenancy import Viewer
from usage.api.exact_fields import ShownExact, shown
from usage.api.read_schema import ReadSchema
from usage.api.reads import account_of_key
from usage.models import Meter


class LedgerEntrySerializer(serializers.Serializer):
    """One booking. With a commit: what it does to its balance. Overage has none; above zero it is owed."""

    id = serializers.UUIDField()
    day = serializers.DateField(help_text="The account's local day it counts on.")
    kind = serializers.ChoiceField(LedgerEntry.Kind.choices)
    commit = serializers.UUIDField(allow_null=True)
    commit_name = serializers.CharField()
    meter = serializers.CharField(allow_null=True, help_text="Key of the meter.")
    amount = ShownExact(help_text="With its sign, in the account's currency.")
    balance = ShownExact(allow_null=True, help_text="Of the commit, after it; null for overage.")
    balance_of_all = ShownExact(help_text="Of all commits, after it.")
    why = serializers.CharField(help_text="Why this commit.")
    reverses = serializers.UUIDField(allow_null=True, help_text="The entry that this one takes back.")
    reversed_by = serializers.UUIDField(allow_null=True)
    reason = serializers.CharField(help_text="Of a change.")
    booked_at = serializers.DateTimeField()


class LedgerPageSerializer(serializers.Serializer):
    """One page, newest first; `drawn` and `overage` are of everything that the filters let through."""

    next = serializers.URLField(allow_null=True)
    currency = serializers.CharField()
    entries = serializers.IntegerField()
    drawn = ShownExact()
    overage = ShownExact()
    results = LedgerEntrySerializer(many=True)


class LedgerQuerySerializer(serializers.Serializer):
    """What to show. Days are half-open: `to` is the first day after."""

    commit = serializers.UUIDField(required=False)
    kind = serializers.ChoiceField(LedgerEntry.Kind.choices, required=False)
    meter = serializers.CharField(required=False, help_text="Key of a meter.")
    to = serializers.DateField(required=False)
    reversals = serializers.BooleanField(default=False, help_text="Also what was reversed, and its reversals.")

    def get_fields(self) -> dict[str, Any]:
        # "from" is a word of the language.
        return {"from": serializers.DateField(required=False, help_text="The first day."), **super().get_fields()}


class LedgerView(APIView):
    """The account's ledger. Rows are only ever added: a change is a reversal and a new entry, with the reason."""

    schema = ReadSchema()
    capability = "money.view"

    @extend_schema(
        parameters=[
            LedgerQuerySerializer,
            OpenApiParameter("page_size", OpenApiTypes.INT, description="At most 200."),
            OpenApiParameter("cursor", description="From `next` of the page before."),
        ],
        responses=LedgerPageSerializer,
    )
    def get(self, request: Request, key: str) -> Response:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        filters = _filters(viewer, request)
        try:
            page = entries(viewer, account, filters, request.query_params.get("cursor", ""), _page_size(request))
        except CursorError as error:
            raise ValidationError({"cursor": [str(error)]}) from error
        meters = dict(Meter.objects.visible_to(viewer).values_list("pk", "key"))
        address = request.build_absolute_uri()
        return Response(
            {
                "next": replace_query_param(address, "cursor", page.next_cursor) if page.next_cursor else None,
                "currency": page.currency,
                "entries": page.totals.entries,
                "drawn": shown(page.totals.drawn),
                "overage": shown(page.totals.overage),
                "results": [_entry(line, meters) for line in page.lines],
            }
        )


def _filters(viewer: Viewer, request: Request) -> LedgerFilters:
    asked = LedgerQuerySerializer(data=request.query_params)
    asked.is_valid(raise_exception=True)
    found = asked.validated_data
    return LedgerFilters(
        commit=found.get("commit"),
        kind=found.get("kind", ""),
        meter=_meter(viewer, found["meter"]) if "meter" in found else None,
        from_day=found.get("from"),
        to_day=found.get("to"),
        current_only=not found["reversals"],
    )


def _meter(viewer: Viewer, key: str) -> UUID:
    meter = Meter.objects.visible_to(viewer).filter(key=key.replace("\x00", "")).first()
    if meter is None:
        raise ValidationError({"meter": [f"No meter has the key “{key[:60]}”."]})
    pk: UUID = meter.pk
    return pk


def _page_size(request: Request) -> int:
    text = request.query_params.get("page_size", "")
    size = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else CursorPagination.page_size
    return min(max(size, 1), CursorPagination.max_page_size)


def _entry(line: LedgerLine, meters: dict[UUID, str]) -> dict[str, Any]:
    names = ("id", "day", "kind", "commit_name", "why", "reverses", "reversed_by", "reason", "booked_at")
    return {name: getattr(line, name) for name in names} | {
        "commit": line.commit_id,
        "meter": meters.get(line.meter_id) if line.meter_id else None,
        "amount": shown(line.amount),
        "balance": None if line.balance is None else shown(line.balance),
        "balance_of_all": shown(line.total),
    }
