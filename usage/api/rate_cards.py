"""Rate cards over the API: what is in force, versions as drafts, their effect, publishing and withdrawing."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.http import viewer_of
from accounts.idempotency import idempotent
from accounts.models import Account
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.actions.publishing import CannotPublish, CannotWithdraw, publish, withdraw
from usage.actions.rate_cards import BadLine, open_card, save_lines, start_draft
from usage.api.exact_fields import Unprocessable
from usage.api.rate_card_serializers import (
    EffectSerializer,
    NewCardSerializer,
    NewVersionSerializer,
    PublishedSerializer,
    RateCardSerializer,
    VersionSerializer,
    WithdrawSerializer,
    price_row,
)
from usage.api.read_schema import ReadSchema
from usage.api.reads import account_of_key
from usage.models import Meter, Price, RateCard, RateCardVersion
from usage.reports.drafts import RUNNING, draft_problems
from usage.reports.effects import Effect, effect_of
from usage.reports.rate_cards import effective_prices, prices_of_cards
from usage.tasks import request_shadow


class RateCardListView(ListAPIView):
    """The rate cards that the key may see, with the prices in force today; for an account's key its own prices."""

    schema = ReadSchema()
    capability = "price.view"
    write_capability = "price.manage"
    serializer_class = RateCardSerializer

    def get_queryset(self) -> QuerySet[RateCard]:
        return _cards(viewer_of(self.request))

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """A page of cards as rows: their prices come in one query."""
        page = list(args[0]) if args else []
        rows = card_rows(viewer_of(self.request), page, timezone.now().date()) if page else page
        return super().get_serializer(rows, **kwargs)

    @idempotent
    @extend_schema(request=NewCardSerializer, responses={200: RateCardSerializer, 201: RateCardSerializer})
    def post(self, request: Request) -> HttpResponseBase:
        """Open a card, of the organization or of an account."""
        viewer = viewer_of(request)
        asked = NewCardSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        key = asked.validated_data.get("account")
        account = account_of_key(viewer, key) if key else None
        currency = asked.validated_data["currency"]
        if account and account.currency != currency:
            raise ValidationError({"currency": [f"{account.name} pays in {account.currency}."]})
        known = RateCard.objects.visible_to(viewer).filter(account=account, currency=currency).exists()
        (row,) = card_rows(viewer, [open_card(viewer, account, currency)], timezone.now().date())
        return Response(row, status=status.HTTP_200_OK if known else status.HTTP_201_CREATED)


class RateCardView(APIView):
    """One rate card, with its prices in force on a day."""

    schema = ReadSchema()
    capability = "price.view"

    @extend_schema(
        parameters=[OpenApiParameter("on", OpenApiTypes.DATE, description="Today if absent.")],
        responses=RateCardSerializer,
    )
    def get(self, request: Request, card_id: UUID) -> Response:
        viewer = viewer_of(request)
        day = serializers.DateField().run_validation(request.query_params.get("on", timezone.now().date()))
        (row,) = card_rows(viewer, [card_of_id(viewer, card_id)], day)
        return Response(row)


class VersionListView(ListAPIView):
    """The versions of a card, newest first, drafts and withdrawn ones included."""

    schema = ReadSchema()
    capability = "price.view"
    write_capability = "price.manage"
    staff_only = True
    serializer_class = VersionSerializer

    def get_queryset(self) -> QuerySet[RateCardVersion]:
        if getattr(self, "swagger_fake_view", False):
            return RateCardVersion.objects.none()
        card = card_of_id(viewer_of(self.request), self.kwargs["card_id"])
        return card.versions.select_related("card", "account").prefetch_related("prices__meter", "prices__version")

    @idempotent
    @extend_schema(request=NewVersionSerializer, responses={201: VersionSerializer})
    def post(self, request: Request, card_id: UUID) -> HttpResponseBase:
        """Write a draft with its prices: all of them or none."""
        viewer = viewer_of(request)
        card = card_of_id(viewer, card_id)
        asked = NewVersionSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        lines = _lines(viewer, asked.validated_data["prices"])
        draft = start_draft(viewer, card, asked.validated_data["effective_on"], note=asked.validated_data["note"])
        _save(viewer, draft, lines)
        shown = VersionSerializer(draft, context={"request": request}).data
        return Response(shown, status=status.HTTP_201_CREATED)


class ShadowView(APIView):
    """What a version does to every account's last month."""

    schema = ReadSchema()
    capability = "price.view"
    write_capability = "price.manage"
    staff_only = True

    @extend_schema(responses=EffectSerializer)
    def get(self, request: Request, card_id: UUID, number: int) -> Response:
        viewer = viewer_of(request)
        version = _version(viewer, card_id, number)
        return Response(EffectSerializer(effect_of(viewer, version, timezone.now())).data)

    @extend_schema(request=None, responses={202: EffectSerializer})
    def post(self, request: Request, card_id: UUID, number: int) -> Response:
        """Compute it in the background; GET says how far it is. A draft is published only with a current one."""
        viewer, now = viewer_of(request), timezone.now()
        version = _version(viewer, card_id, number)
        if version.status != RateCardVersion.Status.DRAFT:
            raise Unprocessable("not_a_draft", f"Version {number} is {version.status}: only a draft is weighed.")
        problems = draft_problems(viewer, version)
        if problems:
            raise Unprocessable("draft_incomplete", " ".join(problems))
        request_shadow(viewer, version, now)
        return Response(EffectSerializer(Effect(RUNNING)).data, status=status.HTTP_202_ACCEPTED)


class PublishView(APIView):
    """Put a draft into force."""

    schema = ReadSchema()
    capability = "price.manage"

    @extend_schema(request=None, responses=PublishedSerializer)
    def post(self, request: Request, card_id: UUID, number: int) -> Response:
        viewer = viewer_of(request)
        version = _version(viewer, card_id, number)
        try:
            days = publish(viewer, version, timezone.now())
        except CannotPublish as problem:
            raise Unprocessable("cannot_publish", str(problem)) from problem
        return Response({"number": number, "status": "published", "days_rated_again": days})


class WithdrawView(APIView):
    """Take a published version back: its prices fall back to those before."""

    schema = ReadSchema()
    capability = "price.manage"

    @extend_schema(request=WithdrawSerializer, responses=PublishedSerializer)
    def post(self, request: Request, card_id: UUID, number: int) -> Response:
        viewer = viewer_of(request)
        version = _version(viewer, card_id, number)
        asked = WithdrawSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            days = withdraw(viewer, version, asked.validated_data["reason"], timezone.now())
        except CannotWithdraw as problem:
            raise Unprocessable("cannot_withdraw", str(problem)) from problem
        return Response({"number": number, "status": "withdrawn", "days_rated_again": days})


def card_of_id(viewer: Viewer, card_id: UUID) -> RateCard:
    """Return the card; raises Http404 alike for one that does not exist and one that others own."""
    card = _cards(viewer).filter(pk=card_id).first()
    if card is None:
        raise Http404("There is no such rate card.")
    return card


def card_rows(viewer: Viewer, shown: list[RateCard], day: Any) -> list[dict[str, Any]]:
    """Return cards with their prices on a day; a customer gets those that it pays."""
    if viewer.is_portal:
        account = Account.objects.visible_to(viewer).get(pk=viewer.account_id)
        today = day_of(timezone.now(), zone_of(account.timezone)) if day == timezone.now().date() else day
        lines = [line.now.price for line in effective_prices(viewer, account, today) if line.now]
        prices: dict[UUID, list[Price]] = {card.pk: [] for card in shown}
        for price in lines:
            prices.setdefault(price.version.card_id, []).append(price)
    else:
        prices = prices_of_cards(viewer, shown, day)
    return [
        {
            "id": str(card.pk),
            "name": card.name,
            "currency": card.currency,
            "account": card.account.key if card.account else None,
            "prices": [price_row(price) for price in prices[card.pk]],
        }
        for card in shown
    ]


def _cards(viewer: Viewer) -> QuerySet[RateCard]:
    """The cards that bear on the viewer: for a customer its own, and the price list of its currency."""
    rows: QuerySet[RateCard] = RateCard.objects.filter(organization_id=viewer.organization_id)
    if viewer.is_portal:
        account = Account.objects.visible_to(viewer).get(pk=viewer.account_id)
        rows = rows.filter(currency=account.currency)
        rows = rows.filter(account=None) | rows.filter(account=account)
    return rows.select_related("account")


def _version(viewer: Viewer, card_id: UUID, number: int) -> RateCardVersion:
    if viewer.is_portal:
        raise PermissionDenied("This is for your vendor's staff.")
    rows = RateCardVersion.objects.visible_to(viewer).select_related("card", "account")
    version: RateCardVersion | None = rows.filter(card=card_id, number=number).first()
    if version is None:
        raise Http404("There is no such version.")
    return version


def _lines(viewer: Viewer, asked: list[dict[str, Any]]) -> list[tuple[Meter, dict[str, Any]]]:
    keys = [line["meter"] for line in asked]
    meters = {meter.key: meter for meter in Meter.objects.visible_to(viewer).filter(key__in=set(keys))}
    errors: dict[str, Any] = {}
    for index, key in enumerate(keys):
        if key not in meters:
            errors[str(index)] = {"meter": [f"No meter has the key “{key[:60]}”."]}
        elif key in keys[:index]:
            errors[str(index)] = {"meter": [f"{key[:60]} has a price in this version already."]}
    if errors:
        raise ValidationError({"prices": errors})
    return [(meters[line["meter"]], _as_text(line["terms"])) for line in asked]


def _save(viewer: Viewer, draft: RateCardVersion, lines: list[tuple[Meter, dict[str, Any]]]) -> None:
    try:
        save_lines(viewer, draft, lines)
    except BadLine as bad:
        index = next(index for index, (meter, _) in enumerate(lines) if meter.pk == bad.meter.pk)
        errors: dict[str, Any] = {
            f"terms/{fault.where.replace('.', '/')}".rstrip("/"): [fault.words] for fault in bad.faults
        }
        raise ValidationError({"prices": {str(index): errors}}) from bad


def _as_text(value: Any) -> Any:
    """Terms with exact numbers as text, as they are stored."""
    if isinstance(value, Mapping):
        return {str(name): _as_text(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_as_text(part) for part in value]
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
