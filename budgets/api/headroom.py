"""Whether work may run now: what the vendor's gateway asks before it lets work through."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from functools import wraps
from math import ceil
from typing import Any
from uuid import UUID

import orjson
from django.db import InterfaceError, InternalError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.http import parse_etags
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication import NO_READ, viewer_of_key
from accounts.credentials import hash_secret
from accounts.http import viewer_of
from accounts.permissions import can
from budgets.calc.headroom import RANKS
from budgets.models import Budget, LimitState
from budgets.reports.headroom import BudgetLeft, Headroom, headroom
from budgets.reports.headroom_cost import HeadroomError, Work
from consumption_cs.lib.lanes import for_machines
from consumption_cs.lib.problems import problem_response, unavailable
from consumption_cs.lib.tenancy import Viewer
from usage.api.events import bearer, unauthorized
from usage.api.exact_fields import Currency, Exact, ShownExact, shown
from usage.api.keys import find_key
from usage.api.read_schema import ReadSchema

MAX_AGE = 2  # seconds: how long a gateway may go on with an answer
MOST_DIMENSIONS = 10
MOST_CHARS = 200
REHEARSAL = "X-Limit-Rehearsal"
MOST_KNOWN = 1000
_known: dict[str, tuple[Viewer, UUID]] = {}  # the keys that this process has seen, by their hashes
_BROKEN = (OperationalError, InterfaceError, InternalError)
_CHANGING = ("retry_after",)  # says the same later with another number: not in the ETag


class HeadroomQuerySerializer(serializers.Serializer):
    """What is about to run. Every other parameter is the value of a meter's dimension: `key`, `team`, `release`."""

    workflow = serializers.CharField(required=False, max_length=MOST_CHARS, help_text="Key of its workflow.")
    meter = serializers.CharField(required=False, max_length=MOST_CHARS, help_text="Key of its meter.")
    cost = Exact(
        required=False, min_value=Decimal(0), help_text="What it is expected to cost, in the account's currency."
    )
    currency = Currency(required=False, help_text="Of `cost`, to be sure: refused unless it is the account's.")
    quantity = Exact(
        required=False,
        min_value=Decimal(0),
        help_text="Instead of a cost: how much of `meter` it will use, priced through the tiers as they stand.",
    )
    events = serializers.IntegerField(
        required=False, min_value=0, max_value=10**9, help_text="In how many events, for prices with a fee for each."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "cost" in attrs and "quantity" in attrs:
            raise serializers.ValidationError({"quantity": ["Give its cost or its quantity, not both."]})
        if "quantity" in attrs and "meter" not in attrs:
            raise serializers.ValidationError({"meter": ["Say of which meter the quantity is."]})
        return attrs


class EndAfterSerializer(serializers.Serializer):
    """Where the period ends with this work on top of the account's forecast."""

    p50 = ShownExact()
    p90 = ShownExact()
    probability_over = ShownExact(help_text="Of going over the budget: 0 to 1.")


class BudgetLeftSerializer(serializers.Serializer):
    """One budget that counts this work."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    scope = serializers.ChoiceField(Budget.Scope.choices)
    used = ShownExact()
    amount = ShownExact()
    remaining = ShownExact(help_text="Below zero once it is overspent.")
    after = ShownExact(help_text="What is left after the work asked about.")
    limit = ShownExact(allow_null=True, help_text="The amount at which its limit is reached; null: no limit.")
    limit_state = serializers.ChoiceField(LimitState.State.choices)
    ends_at = serializers.DateTimeField(help_text="When its period ends.")
    forecast_after = EndAfterSerializer(allow_null=True, help_text="Null: there is no forecast of this part.")


class HeadroomSerializer(serializers.Serializer):
    """The decision and what is left. With the header X-Limit-Rehearsal: 1 it answers as if limits were in force."""

    account = serializers.CharField()
    currency = serializers.CharField()
    decision = serializers.ChoiceField(RANKS)
    reason = serializers.CharField()
    estimated_cost = ShownExact(help_text="Of the work asked about, in the account's currency.")
    remaining = ShownExact(allow_null=True, help_text="The least of its budgets; null: there are none.")
    retry_after = serializers.IntegerField(
        allow_null=True, help_text="Seconds until the limit ends by itself, as in Retry-After; null: nothing waits."
    )
    throttle_percent = ShownExact(allow_null=True, help_text="To slow to, of the usual pace.")
    acts_at = serializers.DateTimeField(allow_null=True, help_text="When the grace of a limit ends.")
    lifted_until = serializers.DateTimeField(allow_null=True)
    budgets = BudgetLeftSerializer(many=True)


def _quickly(view: Callable[..., Any]) -> Callable[..., Any]:
    """Answer a key before sessions, forms and the framework are looked at: gateways wait for each answer."""

    @wraps(view)
    def answered(request: HttpRequest, key: str) -> Any:
        presented = bearer(request)
        if request.method != "GET" or not presented:
            return view(request, key=key)
        # A round trip less; a connection that broke is noticed by what is asked.
        connection.health_check_done = True  # type: ignore[attr-defined]
        try:
            return _to_key(request, presented, key)
        except _BROKEN:
            if connection.in_atomic_block:
                return unavailable()
        connection.close()
        try:
            return _to_key(request, presented, key)
        except _BROKEN:
            return unavailable()

    return for_machines(answered)


def _to_key(request: HttpRequest, presented: str, account_key: str) -> HttpResponse:
    digest = hash_secret(presented)
    if (known := _known.get(digest)) is not None:  # a round trip less: whether it still works is asked with the rest
        told = answer(known[0], account_key, request, asking=known[1])
        if told.status_code in (200, 304):
            return told
    found = find_key(presented)
    if found is None:
        _known.pop(digest, None)
        return unauthorized()
    viewer = viewer_of_key(found.organization_id, found.account_id, found.scopes, found.name)
    if viewer is None or not can(viewer, HeadroomView.capability):
        return problem_response(403, "permission_denied", NO_READ)
    if len(_known) >= MOST_KNOWN:
        _known.clear()
    _known[digest] = viewer, found.id
    return answer(viewer, account_key, request)


class HeadroomView(APIView):
    """What is left of an account's budgets, and whether work may run: allow, warn, throttle or stop.

    Every further parameter is the value of a meter's dimension, such as `key=prod-1` or `model=large-2`: budgets of
    that key count the work then, and a price that depends on it is found. What is no dimension is refused.
    """

    schema = ReadSchema()
    capability = "budget.view"

    @extend_schema(
        parameters=[
            HeadroomQuerySerializer,
            OpenApiParameter(
                REHEARSAL, OpenApiTypes.STR, OpenApiParameter.HEADER, enum=["1"], description="Answer as in a limit."
            ),
            OpenApiParameter("If-None-Match", OpenApiTypes.STR, OpenApiParameter.HEADER, description="An ETag."),
        ],
        responses={200: HeadroomSerializer, 304: None},
    )
    def get(self, request: Request, key: str) -> HttpResponse:
        return answer(viewer_of(request), key, request._request)


headroom_view = _quickly(HeadroomView.as_view())


def answer(viewer: Viewer, account_key: str, request: HttpRequest, asking: UUID | None = None) -> HttpResponse:
    """Return the answer to a viewer, a 304 if the one they have still holds, or what is wrong with the question."""
    now, rehearsal = timezone.now(), request.headers.get(REHEARSAL) == "1"
    try:
        work = _work(request.GET)
        found = None
        if "\x00" not in account_key:
            found = headroom(viewer, account_key, work, now, rehearsal=rehearsal, asking=asking)
    except HeadroomError as error:
        return _refused({error.name: [str(error)]})
    except serializers.ValidationError as error:
        return _refused(error.detail)
    if found is None:
        return problem_response(404, "not_found", "There is no such account.")
    return _answered(request, _body(account_key, found, now), rehearsal=rehearsal)


def _work(query: Mapping[str, Any]) -> Work:
    """Read the question. Raises ValidationError and HeadroomError."""
    if not query:
        return Work()
    known = HeadroomQuerySerializer(data=query)
    known.is_valid(raise_exception=True)
    dimensions = {name: str(query[name]) for name in query if name not in known.fields}
    if len(dimensions) > MOST_DIMENSIONS:
        raise HeadroomError("query", f"Name {MOST_DIMENSIONS} dimensions at most.")
    for name, value in dimensions.items():
        if "\x00" in name + value or max(len(name), len(value)) > MOST_CHARS:
            raise HeadroomError(name[:60].replace("\x00", ""), "A dimension's name and value are short plain texts.")
    return Work(**known.validated_data, dimensions=dimensions)


def _refused(errors: Any) -> HttpResponse:
    rows = [
        {"pointer": f"/{name}", "code": getattr(words, "code", "invalid"), "detail": str(words)}
        for name, found in errors.items()
        for words in found
    ]
    return problem_response(400, "invalid", rows[0]["detail"] if len(rows) == 1 else "", rows)


def _body(account_key: str, found: Headroom, now: datetime) -> dict[str, Any]:
    told = found.answer
    wait = None if told.until is None else max(ceil((told.until - now).total_seconds()), 1)
    return {
        "account": account_key,
        "currency": found.currency,
        "decision": told.decision,
        "reason": told.reason,
        "estimated_cost": shown(found.cost),
        "remaining": _text(found.remaining),
        "retry_after": wait,
        "throttle_percent": _text(told.throttle_percent),
        "acts_at": told.acts_at,
        "lifted_until": told.lifted_until,
        "budgets": [_budget(one) for one in found.budgets],
    }


def _budget(one: BudgetLeft) -> dict[str, Any]:
    forecast = None if one.forecast is None else {name: shown(value) for name, value in asdict(one.forecast).items()}
    return {
        "id": str(one.id),
        "name": one.name,
        "scope": one.scope,
        "used": shown(one.used),
        "amount": shown(one.amount),
        "remaining": shown(one.remaining),
        "after": shown(one.after),
        "limit": _text(one.limit),
        "limit_state": one.state,
        "ends_at": one.ends_at,
        "forecast_after": forecast,
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else shown(amount)


def _answered(request: HttpRequest, body: dict[str, Any], *, rehearsal: bool) -> HttpResponse:
    lasting = {name: value for name, value in body.items() if name not in _CHANGING}
    tag = f'W/"{hashlib.sha256(orjson.dumps(lasting, option=orjson.OPT_UTC_Z)).hexdigest()[:32]}"'
    headers = {
        "Cache-Control": f"private, max-age={0 if rehearsal else MAX_AGE}",
        "ETag": tag,
        "Vary": f"Authorization, {REHEARSAL}",
    }
    if body["retry_after"] is not None:
        headers["Retry-After"] = str(body["retry_after"])
    if rehearsal:
        headers[REHEARSAL] = "1"
    elif _has(request, tag):
        return HttpResponse(status=304, headers=headers)
    return HttpResponse(orjson.dumps(body, option=orjson.OPT_UTC_Z), content_type="application/json", headers=headers)


def _has(request: HttpRequest, tag: str) -> bool:
    """Whether the one who asks has this answer already; the comparison is the weak one."""
    given = parse_etags(request.headers.get("If-None-Match", ""))
    return "*" in given or any(one.removeprefix("W/") == tag.removeprefix("W/") for one in given)
