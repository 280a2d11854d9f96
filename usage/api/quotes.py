"""What a price would ask for: the engine that rates usage, for anybody who builds on it. Nothing is stored."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consumption_cs.lib.money import MoneyError, exactly, round_to
from usage.api.exact_fields import Currency, Exact, Rows, ShownExact, Unprocessable, places_of, shown
from usage.api.read_schema import ReadSchema
from usage.calc.price_terms import price_from, unknown_terms
from usage.calc.prices import Charge, Price, PriceError, Usage
from usage.calc.rating import charges, delta, due, line, spend

MOST_EVENTS, MOST_PHASES, MOST_TERMS = 1000, 500, 1000
_TERMS_HELP = (
    "As in a rate card: `model` (unit, graduated, volume, package, percentage, …), its `params`, and around it "
    "`usage_discount` or `free_units`, `percent_discount`, `max_spend` and `min_spend`."
)


class UsageSerializer(serializers.Serializer):
    """Usage of one meter in a billing period. Only percentage prices ask for more than the quantity."""

    quantity = Exact(help_text="In metered units.")
    events = serializers.IntegerField(required=False, min_value=0, max_value=10**15)
    first_totals = Rows(
        child=Exact(), required=False, max_length=MOST_EVENTS, help_text="The running total after each first event."
    )
    event_values = Rows(
        child=Exact(), required=False, max_length=MOST_EVENTS, help_text="The quantity of each event, in order."
    )
    supplied = Exact(required=False, help_text="The amount that the sender named, in minor units.")


class PriorSerializer(UsageSerializer):
    """Usage that was there before, and what it was billed (by default, what it costs)."""

    billed = Exact(required=False, allow_null=True)


class QuoteSerializer(UsageSerializer):
    """One line of a billing period to price."""

    terms = serializers.DictField(help_text=_TERMS_HELP)
    currency = Currency()
    prior = PriorSerializer(required=False, allow_null=True)
    final = serializers.BooleanField(default=False, help_text="The period is over: a minimum spend applies.")


class ChargeSerializer(serializers.Serializer):
    """One part of an amount: quantity × unit + flat."""

    what = serializers.CharField()
    quantity = ShownExact()
    unit = ShownExact()
    flat = ShownExact()
    amount = ShownExact()


class QuotedSerializer(serializers.Serializer):
    """`charges` make up `gross`, before the discount and the limits of the spend, for prior and quoted usage."""

    currency = serializers.CharField()
    amount = ShownExact(help_text="Of this usage alone, exact.")
    rounded = ShownExact(help_text="The amount in the currency's decimals.")
    cumulative = ShownExact(help_text="Of prior and quoted usage together, exact.")
    gross = ShownExact()
    discounted = ShownExact(help_text="Gross less the percent discount, before the limits of the spend.")
    charges = ChargeSerializer(many=True)


class PhaseSerializer(UsageSerializer):
    """All usage of the period until some moment: what is booked then follows from it."""

    final = serializers.BooleanField(default=False)


class PhasedQuoteSerializer(serializers.Serializer):
    """The same price asked again and again as usage comes in late or is corrected."""

    terms = serializers.DictField(help_text=_TERMS_HELP)
    currency = Currency()
    phases = Rows(child=PhaseSerializer(), allow_empty=False, max_length=MOST_PHASES)


class BookedSerializer(serializers.Serializer):
    """What is booked in a phase (below zero: a credit), and everything booked by then."""

    delta = ShownExact()
    booked = ShownExact()


class PhasedQuotedSerializer(serializers.Serializer):
    """One row for each phase; every one is rounded to the currency's decimals."""

    currency = serializers.CharField()
    phases = BookedSerializer(many=True)


class PriceQuoteView(APIView):
    """Price some usage. Nothing is stored or billed."""

    schema = ReadSchema()
    capability = "price.view"
    staff_only = True

    @extend_schema(request=QuoteSerializer, responses=QuotedSerializer)
    def post(self, request: Request) -> Response:
        asked = QuoteSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            return Response(_quote(asked.validated_data))
        except (PriceError, MoneyError, ArithmeticError) as error:
            raise refused(error) from error


class PhasedQuoteView(APIView):
    """Price cumulative usage phase by phase: each books the rounded cumulative amount less what was booked before."""

    schema = ReadSchema()
    capability = "price.view"
    staff_only = True

    @extend_schema(request=PhasedQuoteSerializer, responses=PhasedQuotedSerializer)
    def post(self, request: Request) -> Response:
        asked = PhasedQuoteSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            return Response(_phases(asked.validated_data))
        except (PriceError, MoneyError, ArithmeticError) as error:
            raise refused(error) from error


def refused(error: Exception) -> Unprocessable:
    """Return how a price that cannot be quoted is answered."""
    if isinstance(error, ArithmeticError):
        return Unprocessable(
            "out_of_range", "These numbers lead to an amount that nobody could pay: use smaller ones."
        )
    return Unprocessable("unpriceable", str(error))


@exactly
def _quote(asked: Mapping[str, Any]) -> dict[str, Any]:
    price, now, prior = _price(asked["terms"]), _usage(asked), asked.get("prior")
    before = _usage(prior) if prior else None
    billed = prior.get("billed") if prior else None
    final, places = asked["final"], places_of(asked["currency"])
    amount = line(price, now, prior=before, prior_billed=billed, final=final)
    cumulative = before.plus(now) if before else now
    parts = charges(price, cumulative)
    return {
        "currency": asked["currency"],
        "amount": shown(amount),
        "rounded": f"{round_to(amount, places):f}",
        "cumulative": shown(spend(price, cumulative, final=final)),
        "gross": shown(sum((part.amount for part in parts), Decimal(0))),
        "discounted": shown(due(price, cumulative)),
        "charges": [_charge(part) for part in parts],
    }


def _phases(asked: Mapping[str, Any]) -> dict[str, Any]:
    price, places, booked = _price(asked["terms"]), places_of(asked["currency"]), Decimal(0)
    rows = []
    for phase in asked["phases"]:
        change = delta(price, _usage(phase), booked, places=places, final=phase["final"])
        booked += change
        rows.append({"delta": f"{change:f}", "booked": f"{booked:f}"})
    return {"currency": asked["currency"], "phases": rows}


def _price(terms: Mapping[str, Any]) -> Price:
    """Read the terms. Raises ValidationError, PriceError."""
    if _size(terms) > MOST_TERMS:
        raise ValidationError({"terms": [f"A price has {MOST_TERMS} terms at most."]})
    price = price_from(terms)
    if unknown := unknown_terms(terms):
        raise ValidationError({"terms": [f"{unknown[0][:100]} means nothing to this price: leave it out."]})
    return price


def _size(value: object) -> int:
    if isinstance(value, Mapping):
        return 1 + sum(map(_size, value.values()))
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1


def _usage(asked: Mapping[str, Any]) -> Usage:
    values = tuple(asked.get("event_values", ()))
    return Usage(
        asked["quantity"],
        asked.get("events", len(values)),
        tuple(asked.get("first_totals", ())),
        values,
        asked.get("supplied", Decimal(0)),
    )


def _charge(part: Charge) -> dict[str, str]:
    return {
        "what": part.what,
        "quantity": shown(part.quantity),
        "unit": shown(part.unit),
        "flat": shown(part.flat),
        "amount": shown(part.amount),
    }
