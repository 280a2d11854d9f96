"""Commits drawn down by usage, without storing any: the engine behind the ledger, for whoever wants to try terms."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from budgets.api import simulation_schema as schema
from budgets.calc.burndown import burn_down
from budgets.calc.grants import (
    FAR_PAST,
    BurndownError,
    Debit,
    Grant,
    Recurrence,
    Rollover,
    debit_lots,
    draw_order,
    why_before,
)
from budgets.calc.history import balance_history, even_borders
from budgets.calc.snapshots import Burndown, Reset, Segment, Snapshot, UsageItem, full_balances
from budgets.calc.thresholds import ThresholdError, crossed, progress
from consumption_cs.lib.periods import Interval, PeriodError, parse_interval
from usage.api.exact_fields import Unprocessable, shown
from usage.api.read_schema import ReadSchema

MOST_BORDERS, MOST_WINDOWS, MOST_METERS = 500, 1000, 50
_MONTH = timedelta(days=28)
_ZERO = Decimal(0)


class _Simulation(APIView):
    """What the routes here have in common: any key of an organization may ask, and the staff; customers may not."""

    schema = ReadSchema()
    capability = "price.view"
    staff_only = True


class BurndownSimulationView(_Simulation):
    """Draw usage from grants over time: balances, overage, each draw with why this grant, and the segments."""

    @extend_schema(request=schema.SimulationSerializer, responses=schema.SimulatedSerializer)
    def post(self, request: Request) -> Response:
        asked = _checked(schema.SimulationSerializer, request)
        try:
            return Response(_simulate(asked))
        except BurndownError as error:
            raise Unprocessable(error.code, str(error)) from error
        except (PeriodError, ArithmeticError) as error:
            raise _beyond(error) from error


class DrawOrderView(_Simulation):
    """The order in which grants are drawn and why; with `debit`, also what it takes from each."""

    @extend_schema(request=schema.DrawOrderSerializer, responses=schema.OrderedSerializer)
    def post(self, request: Request) -> Response:
        asked = _checked(schema.DrawOrderSerializer, request)
        try:
            return Response(_order(asked))
        except BurndownError as error:
            raise Unprocessable(error.code, str(error)) from error
        except (PeriodError, ArithmeticError) as error:
            raise _beyond(error) from error


class ThresholdCheckView(_Simulation):
    """Which thresholds a value crosses on its way from `previous` to `current`, and how far it is to each."""

    @extend_schema(request=schema.ThresholdCheckSerializer, responses=schema.CrossedSerializer)
    def post(self, request: Request) -> Response:
        asked = _checked(schema.ThresholdCheckSerializer, request)
        step, current = asked.get("recurring_step"), asked["current"]
        try:
            passed = crossed(
                asked["thresholds"],
                step,
                previous=asked["previous"],
                current=current,
                direction=asked["direction"],
            )
            shares = progress(asked["thresholds"], step, current)
        except ThresholdError as error:
            raise Unprocessable("unusable_threshold", str(error)) from error
        except ArithmeticError as error:
            raise _beyond(error) from error
        rows = [{"threshold": shown(value), "share": shown(share)} for value, share in shares]
        return Response({"crossed": [shown(value) for value in passed], "progress": rows})


def _checked(serializer: Any, request: Request) -> dict[str, Any]:
    asked = serializer(data=request.data)
    asked.is_valid(raise_exception=True)
    found: dict[str, Any] = asked.validated_data
    return found


def _beyond(error: Exception) -> Unprocessable:
    words = str(error) if isinstance(error, PeriodError) else "These times or numbers are too far apart."
    return Unprocessable("out_of_range", words)


def _simulate(asked: Mapping[str, Any]) -> dict[str, Any]:
    start, until = asked["start"], asked["until"]
    grants = [_grant(row) for row in asked["grants"]]
    resets = [Reset(row["at"], row["preserve_overage"]) for row in asked["resets"]]
    _check_size(grants, resets, asked)
    usage = [UsageItem(row["at"], row["amount"], row["meter"]) for row in asked["usage"]]
    opening = _opening(asked.get("opening"), grants, start)
    policy = asked["policy"]
    run = burn_down(
        grants,
        usage,
        start=start,
        until=until,
        resets=resets,
        opening=opening,
        aggregation=asked["aggregation"],
        policy=policy,
    )
    answer = _run_shown(run)
    if asked.get("window"):
        borders = even_borders(start, until, _window(asked, start, until))
        windows = balance_history(grants, usage, borders, resets=resets, opening=opening, policy=policy)
        answer["windows"] = [
            {
                "start": window.start,
                "end": window.end,
                "usage": shown(window.usage),
                "balance_at_start": shown(window.balance_at_start),
                "overage_at_end": shown(window.overage_at_end),
            }
            for window in windows
        ]
    return answer


def _grant(row: Mapping[str, Any]) -> Grant:
    rollover, recurrence = row.get("rollover") or {}, row.get("recurrence")
    effective_at = row.get("effective_at") or FAR_PAST
    return Grant(
        row["id"],
        row["amount"],
        effective_at=effective_at,
        priority=row["priority"],
        expires_at=row.get("expires_at"),
        voided_at=row.get("voided_at"),
        deleted_at=row.get("deleted_at"),
        created_at=row.get("created_at"),
        rollover=Rollover(rollover.get("min", _ZERO), rollover.get("max", _ZERO)),
        recurrence=Recurrence(parse_interval(recurrence["every"]), recurrence["anchor"]) if recurrence else None,
        kind=row["kind"],
        only_meters=frozenset(row["only_meters"]),
        except_meters=frozenset(row["except_meters"]),
    )


def _check_size(grants: Sequence[Grant], resets: Sequence[Reset], asked: Mapping[str, Any]) -> None:
    """Refuse what would be reckoned for minutes: a grant that recurs each second for years, say."""
    length = max(asked["until"] - asked["start"], timedelta(0))
    borders = len(resets) + sum(_times(grant.recurrence.interval, length) for grant in grants if grant.recurrence)
    if borders > MOST_BORDERS:
        words = f"Resets and recurrences cut this run into over {MOST_BORDERS} pieces: simulate a shorter time."
        raise ValidationError({"grants": [words]})
    if len({row["meter"] for row in asked["usage"]}) > MOST_METERS:
        raise ValidationError({"usage": [f"{MOST_METERS} meters at most."]})


def _times(interval: Interval, length: timedelta) -> int:
    return int(length / (interval.duration + _MONTH * interval.months))


def _window(asked: Mapping[str, Any], start: datetime, until: datetime) -> Interval:
    interval = parse_interval(asked["window"])
    if until <= start or _times(interval, until - start) > MOST_WINDOWS:
        raise ValidationError({"window": [f"{MOST_WINDOWS} windows at most, in a run that ends after its start."]})
    return interval


def _opening(row: Mapping[str, Any] | None, grants: Sequence[Grant], start: datetime) -> Snapshot | None:
    if row is None:
        return None
    balances, overage = row.get("balances"), row["overage"]
    return Snapshot(
        full_balances(grants, start) if balances is None else balances,
        {"": overage} if overage else {},
        row["period_usage"],
        row["grant_usage"],
        row.get("period_start"),
    )


def _run_shown(run: Burndown) -> dict[str, Any]:
    closing = run.closing
    return {
        "balances": _amounts(closing.balances),
        "total_balance": shown(closing.total_balance),
        "overage": shown(closing.total_overage),
        "overage_by_meter": _amounts(closing.overage),
        "period_usage": shown(closing.period_usage),
        "grant_usage": shown(closing.grant_usage),
        "total_available": shown(closing.total_available),
        "period_start": closing.period_start,
        "draws": [
            {"at": draw.at, "meter": draw.meter, "grant": draw.grant_id, "amount": shown(draw.amount), "why": draw.why}
            for draw in run.draws
        ],
        "movements": [
            {"at": move.at, "grant": move.grant_id, "kind": move.kind, "amount": shown(move.amount)}
            for move in run.movements
        ],
        "segments": [_segment(segment) for segment in run.segments],
    }


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "start": segment.start,
        "end": segment.end,
        "usage": shown(segment.usage),
        "balance_at_start": _amounts(segment.balance_at_start),
        "balance_at_end": _amounts(segment.balance_at_end),
        "overage_at_end": shown(segment.overage_at_end),
    }


def _amounts(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {name: shown(amount) for name, amount in amounts.items()}


def _order(asked: Mapping[str, Any]) -> dict[str, Any]:
    grants, policy = [_grant(row) for row in asked["grants"]], asked["policy"]
    ordered = draw_order(grants, policy)
    rows = [
        {"id": grant.id, "why": why_before(grant, ordered[index + 1 :][:1], policy)}
        for index, grant in enumerate(ordered)
    ]
    debit = asked.get("debit")
    taken = Debit({}, {}) if debit is None else debit_lots(grants, debit, policy)
    return {"order": rows, "drawn": _amounts(taken.drawn), "remaining": _amounts(taken.remaining)}
