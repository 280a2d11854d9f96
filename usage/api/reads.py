"""The read API: accounts, usage, workflows, meters, events. A foreign id answers like an unknown one."""

from datetime import date
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.fields.json import KT
from django.http import Http404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from accounts.http import viewer_of
from accounts.idempotency import idempotent
from accounts.models import Account
from accounts.pagination import CursorPagination
from consumption_cs.lib.periods import DAY, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.actions.quarantine import replay
from usage.api.read_schema import ReadSchema
from usage.api.serializers import (
    AccountSerializer,
    EventPageSerializer,
    EventSerializer,
    MeterSerializer,
    QuarantinedEventSerializer,
    ReplayedSerializer,
    ReplaySerializer,
    UsageQuerySerializer,
    UsageSerializer,
    WorkflowSerializer,
    decimal_text,
)
from usage.models import Meter, Workflow
from usage.reports import event_log
from usage.reports.event_log import EventFilter, read_cursor, write_cursor
from usage.reports.freshness import data_through
from usage.reports.usage_sums import MOST_DAYS, UsageSums, usage_sums

_AMOUNTS = ("spend", "outcomes", "quantity", "adjustments", "minimums")


class AccountListView(ListAPIView):
    """The accounts that the key may see."""

    schema = ReadSchema()
    capability = "account.list"
    serializer_class = AccountSerializer

    def get_queryset(self) -> QuerySet[Account]:
        return Account.objects.visible_to(viewer_of(self.request))


class AccountView(RetrieveAPIView):
    """One account."""

    schema = ReadSchema()
    capability = "usage.view"
    serializer_class = AccountSerializer

    def get_object(self) -> Account:
        return account_of_key(viewer_of(self.request), self.kwargs["key"])


class UsageView(APIView):
    """What an account used on its local days, and what it cost at its contract rate."""

    schema = ReadSchema()
    capability = "money.view"

    @extend_schema(
        parameters=[
            OpenApiParameter("from", OpenApiTypes.DATE, description="The first day; the 1st of this month if absent."),
            OpenApiParameter("to", OpenApiTypes.DATE, description="The first day after; tomorrow if absent."),
            OpenApiParameter("group_by", enum=["day", "workflow", "meter"], default="day"),
        ],
        responses=UsageSerializer,
    )
    def get(self, request: Request, key: str) -> Response:
        now = timezone.now()
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        asked = UsageQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        start, end = _days(asked.validated_data, day_of(now, zone_of(account.timezone)))
        group_by = asked.validated_data["group_by"]
        sums = usage_sums(viewer, account, start, end, group_by)
        return Response(
            {
                "account": account.key,
                "currency": account.currency,
                "time_zone": account.timezone,
                "from": start,
                "to": end,
                "group_by": group_by,
                "data_through": data_through(viewer, now).data_through,
                **_shown(sums),
            }
        )


class WorkflowListView(ListAPIView):
    """An account's workflows."""

    schema = ReadSchema()
    capability = "workflow.view"
    serializer_class = WorkflowSerializer

    def get_queryset(self) -> QuerySet[Workflow]:
        viewer = viewer_of(self.request)
        account = account_of_key(viewer, self.kwargs["key"])
        return Workflow.objects.visible_to(viewer).filter(account=account)


class MeterListView(ListAPIView):
    """The organization's meters."""

    schema = ReadSchema()
    capability = "meter.view"
    serializer_class = MeterSerializer

    def get_queryset(self) -> QuerySet[Meter]:
        return Meter.objects.visible_to(viewer_of(self.request))


class EventLogView(APIView):
    """Accepted events, newest first by when they happened."""

    schema = ReadSchema()
    capability = "event.view"

    @extend_schema(
        parameters=[
            OpenApiParameter("account", description="Key of an account."),
            OpenApiParameter("meter", description="Key of a meter."),
            OpenApiParameter("page_size", OpenApiTypes.INT),
            OpenApiParameter("cursor", description="From `next` of the page before."),
        ],
        responses=EventPageSerializer,
    )
    def get(self, request: Request) -> Response:
        viewer, now = viewer_of(request), timezone.now()
        wanted = EventFilter(account_id=_account_asked(viewer, request), meter_id=_meter_asked(viewer, request))
        cursor = read_cursor(request.query_params.get("cursor"))
        newest = data_through(viewer, now).last_event_at
        page = event_log.accepted_events(viewer, wanted, cursor, now, newest, _page_size(request))
        address = request.build_absolute_uri()
        following = replace_query_param(address, "cursor", write_cursor(page.older)) if page.older else None
        return Response({"next": following, "results": EventSerializer(page.rows, many=True).data})


class QuarantinedEventListView(ListAPIView):
    """Events that wait for their account or meter."""

    schema = ReadSchema()
    capability = "event.view"
    staff_only = True  # they belong to no account yet
    serializer_class = QuarantinedEventSerializer

    def get_queryset(self) -> QuerySet[Any]:
        viewer = viewer_of(self.request)
        names = {"event_id": "id", "source": "source", "type": "type", "subject": "subject"}
        return (
            event_log.waiting(viewer)
            .annotate(**{name: KT(f"payload__{member}") for name, member in names.items()})
            .defer("payload")
        )


class ReplayView(APIView):
    """Count quarantined events whose account and meter exist by now, each once."""

    schema = ReadSchema()
    capability = "event.replay"

    @idempotent
    @extend_schema(request=ReplaySerializer, responses=ReplayedSerializer)
    def post(self, request: Request) -> Response:
        asked = ReplaySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        done = replay(viewer_of(request), asked.validated_data.get("ids"), timezone.now())
        return Response({"replayed": done.replayed, "waiting": done.waiting})


def account_of_key(viewer: Viewer, key: str) -> Account:
    """Return the account; raises Http404 alike for one that does not exist and one that others own."""
    account = None if "\x00" in key else Account.objects.visible_to(viewer).filter(key=key).first()
    if account is None:
        raise Http404("There is no such account.")
    found: Account = account
    return found


def _account_asked(viewer: Viewer, request: Request) -> UUID | None:
    key = request.query_params.get("account")
    return account_of_key(viewer, key).pk if key else None


def _meter_asked(viewer: Viewer, request: Request) -> UUID | None:
    key = request.query_params.get("meter")
    if not key:
        return None
    meter = None if "\x00" in key else Meter.objects.visible_to(viewer).filter(key=key).first()
    if meter is None:
        raise Http404("There is no such meter.")
    pk: UUID = meter.pk
    return pk


def _page_size(request: Request) -> int:
    text = request.query_params.get("page_size", "")
    size = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else CursorPagination.page_size
    return min(max(size, 1), CursorPagination.max_page_size)


def _days(asked: dict[str, Any], today: date) -> tuple[date, date]:
    for name in ("from", "to"):
        if name in asked and not 2000 <= asked[name].year <= 2100:
            raise ValidationError({name: ["Days from 2000 to 2100 can be asked for."]})
    end = asked.get("to") or today + DAY
    start = asked.get("from") or min(today.replace(day=1), end - DAY)
    if start >= end:
        raise ValidationError({"to": ["“to” is the first day after, so it must be later than “from”."]})
    if (end - start).days > MOST_DAYS:
        raise ValidationError({"from": [f"{MOST_DAYS} days at most; ask for them in parts."]})
    return start, end


def _shown(sums: UsageSums) -> dict[str, Any]:
    rename = {"workflow_key": "workflow", "meter_key": "meter", "meter_unit": "unit"}
    rows = [{rename.get(name, name): value for name, value in row.items()} for row in sums.rows]
    return {"results": [_as_text(row) for row in rows], "total": _as_text(sums.total)}


def _as_text(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: decimal_text(value) if name in _AMOUNTS and value is not None else value for name, value in row.items()
    }
