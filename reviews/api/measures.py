"""Metrics, health and early warnings over the API. All of it is the vendor's own: a customer's key is refused."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any, cast
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.http import viewer_of
from accounts.idempotency import idempotent
from accounts.models import Account
from accounts.permissions import can
from consumption_cs.lib.periods import as_utc, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.health import recipe_in_force
from reviews.actions.signals import judge
from reviews.api.measure_serializers import (
    DefinitionsSerializer,
    HealthDaysSerializer,
    HealthRecipesSerializer,
    HealthSerializer,
    JudgementSerializer,
    MetricDaysSerializer,
    MetricsSerializer,
    SignalQualityListSerializer,
    SignalSerializer,
    health_told,
)
from reviews.calc.metrics import DEFINITIONS
from reviews.calc.signals import KINDS
from reviews.models import HealthRecipe, Signal
from reviews.reports.health import shown_health
from reviews.reports.measured import Measured, health_history, metric_history, metrics_on
from reviews.reports.signal_quality import signal_quality
from usage.api.exact_fields import shown
from usage.api.read_schema import ReadSchema
from usage.api.reads import account_of_key

MOST_NAMES, MOST_DAYS = 20, 400
_YEAR = timedelta(days=364)
_FROM = OpenApiParameter("from", OpenApiTypes.DATE, description="The first day; 364 days ago if absent, at most 400.")
_STATE = OpenApiParameter("state", OpenApiTypes.STR, enum=["open", "closed"], description="Only these.")
_KIND = OpenApiParameter("kind", OpenApiTypes.STR, enum=list(KINDS), description="Only warnings of this kind.")


class MetricListView(APIView):
    """What every metric means, with its formula."""

    schema = ReadSchema()
    capability = "book.view"
    staff_only = True

    @extend_schema(operation_id="metrics_list", responses=DefinitionsSerializer)
    def get(self, request: Request) -> Response:
        names = _names(viewer_of(request))
        rows = [
            {"name": name}
            | {
                member: getattr(DEFINITIONS[name], member)
                for member in ("label", "unit", "formula", "edges", "better", "is_internal")
            }
            for name in names
        ]
        return Response(DefinitionsSerializer({"results": rows}).data)


class AccountMetricsView(APIView):
    """An account's metrics of the last closed day, or of the day asked for."""

    schema = ReadSchema()
    capability = "book.view"
    staff_only = True

    @extend_schema(
        parameters=[
            OpenApiParameter("day", OpenApiTypes.DATE, description="As of the end of it, or the last before.")
        ],
        responses=MetricsSerializer,
    )
    def get(self, request: Request, key: str) -> Response:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        day = _date(request, "day") or date.max
        found = metrics_on(viewer.organization_id, [account.pk], day)[account.pk]
        own = {name: getattr(found, name) for name in ("day", "data_through", "computed_at")}
        rows = [_metric(found, name) for name in _names(viewer)]
        shape = own | {"account": account.key, "currency": account.currency, "results": rows}
        return Response(MetricsSerializer(shape).data)


class MetricDaysView(APIView):
    """Some of an account's metrics, day by day."""

    schema = ReadSchema()
    capability = "book.view"
    staff_only = True

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "names",
                OpenApiTypes.STR,
                required=True,
                description=f"Up to {MOST_NAMES} metrics, with commas between.",
            ),
            _FROM,
        ],
        responses=MetricDaysSerializer,
    )
    def get(self, request: Request, key: str) -> Response:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        names = _asked_names(viewer, request)
        days = metric_history(viewer.organization_id, [account.pk], _since(account, request), names)
        rows = [
            {"day": day, "values": {name: None if one is None else shown(one) for name, one in values.items()}}
            for day, values in days.get(account.pk, [])
        ]
        shape = {"account": account.key, "currency": account.currency, "results": rows}
        return Response(MetricDaysSerializer(shape).data)


class HealthListView(ListAPIView):
    """The health of all accounts, a page at a time."""

    schema = ReadSchema()
    capability = "book.view"
    staff_only = True
    serializer_class = HealthSerializer

    def get_queryset(self) -> QuerySet[Account]:
        return Account.objects.visible_to(viewer_of(self.request))

    @extend_schema(operation_id="health_list")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        accounts = cast(Sequence[Account], self.paginate_queryset(self.get_queryset()))
        return self.get_paginated_response(_health(viewer_of(request), accounts))


class AccountHealthView(APIView):
    """An account's health with what each measure earned, and what moved in a week."""

    schema = ReadSchema()
    capability = "book.view"
    staff_only = True

    @extend_schema(responses=HealthSerializer)
    def get(self, request: Request, key: str) -> Response:
        viewer = viewer_of(request)
        return Response(_health(viewer, [account_of_key(viewer, key)])[0])


class HealthDaysView(APIView):
    """An account's measured scores, day by day, with the recipe that scored each."""

    schema = ReadSchema()
    capability = "book.view"
    staff_only = True

    @extend_schema(parameters=[_FROM], responses=HealthDaysSerializer)
    def get(self, request: Request, key: str) -> Response:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        rows = health_history(viewer.organization_id, [account.pk], _since(account, request)).get(account.pk, [])
        numbers = dict(HealthRecipe.objects.visible_to(viewer).values_list("pk", "number"))
        for row in rows:
            row.recipe = HealthRecipe(pk=row.recipe_id, number=numbers[row.recipe_id])
        return Response(HealthDaysSerializer({"account": account.key, "results": rows}).data)


class HealthRecipeListView(APIView):
    """How health is scored: the recipe in force, those before and drafts."""

    schema = ReadSchema()
    capability = "book.view"
    staff_only = True

    @extend_schema(operation_id="health_recipes_list", responses=HealthRecipesSerializer)
    def get(self, request: Request) -> Response:
        viewer = viewer_of(request)
        present = recipe_in_force(viewer.organization_id, timezone.now())
        rows = HealthRecipe.objects.visible_to(viewer).order_by("-number")
        return Response(HealthRecipesSerializer({"results": rows}, context={"in_force": present.pk}).data)


class SignalListView(ListAPIView):
    """Early warnings of all accounts, the newest first."""

    schema = ReadSchema()
    capability = "book.view"
    staff_only = True
    serializer_class = SignalSerializer

    def get_queryset(self) -> QuerySet[Signal]:
        return _signals(viewer_of(self.request), self.request)

    @extend_schema(operation_id="signals_list", parameters=[_STATE, _KIND])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class AccountSignalListView(SignalListView):
    """Early warnings of one account, the newest first."""

    def get_queryset(self) -> QuerySet[Signal]:
        account = account_of_key(viewer_of(self.request), self.kwargs["key"])
        return super().get_queryset().filter(account=account)

    @extend_schema(operation_id="accounts_signals_list", parameters=[_STATE, _KIND])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class SignalQualityView(APIView):
    """How precise each kind of early warning was: what happened after them, and what people said of them."""

    schema = ReadSchema()
    capability = "book.view"
    staff_only = True

    @extend_schema(operation_id="signals_precision", responses=SignalQualityListSerializer)
    def get(self, request: Request) -> Response:
        quality = signal_quality(viewer_of(request), timezone.now())
        return Response(SignalQualityListSerializer({"results": quality}).data)


class SignalFeedbackView(APIView):
    """Says of a warning whether it was useful; the last word counts in its kind's precision."""

    schema = ReadSchema()
    capability = "book.edit"
    staff_only = True

    @idempotent
    @extend_schema(request=JudgementSerializer, responses=SignalSerializer)
    def post(self, request: Request, signal_id: UUID) -> HttpResponseBase:
        viewer = viewer_of(request)
        rows = Signal.objects.visible_to(viewer).select_related("account", "feedback_by")
        signal = rows.select_for_update(of=("self",)).filter(pk=signal_id).first()
        if signal is None:
            raise Http404("There is no such warning.")
        asked = JudgementSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        judge(viewer, signal, asked.validated_data["feedback"], timezone.now())
        return Response(SignalSerializer(rows.get(pk=signal_id)).data)


def _health(viewer: Viewer, accounts: Iterable[Account]) -> list[dict[str, Any]]:
    keys = {account.pk: account.key for account in accounts}
    found = shown_health(viewer.organization_id, list(keys), timezone.now())
    return [health_told(key, found[pk]) for pk, key in keys.items()]


def _metric(found: Measured, name: str) -> dict[str, Any]:
    unit = DEFINITIONS[name].unit
    given = {"value": found.number(name), "reason": found.reason(name), "inputs": found.inputs(name)}
    return {"name": name, "unit": unit} | given


def _names(viewer: Viewer) -> list[str]:
    """What the viewer may read: margin is for those who may see it."""
    may_see = can(viewer, "margin.view")
    return [name for name, one in DEFINITIONS.items() if may_see or not one.is_internal or name == "at_risk"]


def _asked_names(viewer: Viewer, request: Request) -> list[str]:
    names = [name for name in request.query_params.get("names", "").split(",") if name]
    if not 1 <= len(names) <= MOST_NAMES:
        raise ValidationError({"names": [f"Name one to {MOST_NAMES} metrics, with commas between."]})
    known = set(_names(viewer))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValidationError({"names": [f"“{name[:60]}” is no metric: GET /metrics lists them." for name in unknown]})
    return list(dict.fromkeys(names))


def _since(account: Account, request: Request) -> date:
    today = day_of(as_utc(timezone.now()), zone_of(account.timezone))
    since = _date(request, "from") or today - _YEAR
    if since < today - timedelta(days=MOST_DAYS):
        raise ValidationError({"from": [f"At most {MOST_DAYS} days back."]})
    return since


def _date(request: Request, name: str) -> date | None:
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValidationError({name: ["Use a day such as 2026-11-23."]}) from error


def _signals(viewer: Viewer, request: Any) -> QuerySet[Signal]:
    rows = Signal.objects.visible_to(viewer).select_related("account", "feedback_by")
    state, kind = request.query_params.get("state", ""), request.query_params.get("kind", "")
    if state not in ("", "open", "closed"):
        raise ValidationError({"state": ["Use open or closed."]})
    if kind and kind not in KINDS:
        raise ValidationError({"kind": [f"Use one of {', '.join(KINDS)}."]})
    if state:
        rows = rows.filter(closed_at__isnull=state == "open")
    return cast(QuerySet[Signal], rows.filter(kind=kind) if kind else rows)
