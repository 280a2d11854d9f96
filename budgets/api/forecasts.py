"""Forecasts over the API: when an account's commits run out and what its period will cost, now and as told before."""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from accounts.http import viewer_of
from accounts.models import Account, Organization
from accounts.pagination import CursorPagination
from budgets.api.commit_serializers import Day
from budgets.models import ForecastRun
from budgets.reports.forecasts import Held, accuracy_line, latest_run, runs_of
from budgets.reports.run_outs import STATES, RunOutLine, run_outs
from consumption_cs.lib.money import exponent, round_to
from consumption_cs.lib.periods import day_of, zone_of
from usage.api.exact_fields import ShownExact, shown
from usage.api.read_schema import ReadSchema
from usage.api.reads import account_of_key
from usage.reports.freshness import data_through

_PLAIN = ("id", "as_of", "made_at", "cause", "basis", "currency", "inputs_hash")
_RUN_OUT = {"early": "exhaust_p10", "likely": "exhaust_p50", "late": "exhaust_p90"}
_LAST = 10**6  # no organization has as many accounts


class DatesSerializer(serializers.Serializer):
    """Days on which the commits run out; null: not before the term ends, or within 400 days without a term."""

    early = serializers.DateField(allow_null=True, help_text="P10: 1 in 10 outcomes is earlier.")
    likely = serializers.DateField(allow_null=True, help_text="P50.")
    late = serializers.DateField(allow_null=True, help_text="P90.")


class AmountsSerializer(serializers.Serializer):
    """An amount in the account's currency; null: it cannot be told, which is not 0."""

    low = ShownExact(allow_null=True, help_text="P10.")
    likely = ShownExact(allow_null=True, help_text="P50 of a period, the mean of overage and of what is unused.")
    high = ShownExact(allow_null=True, help_text="P90.")


class PeriodAheadSerializer(AmountsSerializer):
    """Spend of the open billing period when it ends."""

    ends_on = serializers.DateField(allow_null=True, help_text="The first day after the period.")
    straight = ShownExact(allow_null=True, help_text="Where spend until now would lead in a straight line.")


class CommitAheadSerializer(serializers.Serializer):
    """A commit, or a recurrence of one, in drawing order."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.CharField()
    left = ShownExact()
    starts_on = serializers.DateField()
    expires_on = serializers.DateField(allow_null=True)
    empty_on = serializers.DateField(allow_null=True, help_text="P50; null: not within the days looked at.")


class ForecastSerializer(serializers.Serializer):
    """One forecast, as it was told. Dates and amounts of commits are null without commits."""

    id = serializers.UUIDField()
    as_of = serializers.DateField(help_text="The first local day that was not known.")
    made_at = serializers.DateTimeField()
    cause = serializers.ChoiceField(ForecastRun.Cause.choices)
    basis = serializers.ChoiceField(ForecastRun.Basis.choices, help_text="“naive” needs 14 days to become a model.")
    rebuilt = serializers.BooleanField(help_text="Made later, with what is known of that time today.")
    currency = serializers.CharField()
    inputs_hash = serializers.CharField(help_text="Equal for equal inputs: the check code of the page.")
    burn_rate = ShownExact(allow_null=True, help_text="Spend per day, by weekday and weighted to the latest.")
    remaining = ShownExact(allow_null=True, help_text="Of all commits in force; null: there are none.")
    term_ends_on = serializers.DateField(allow_null=True)
    exhausted_on = serializers.DateField(allow_null=True, help_text="Known to be used up on that day.")
    runs_out = DatesSerializer()
    probability = serializers.FloatField(allow_null=True, help_text="Of running out before the term ends, 0 to 1.")
    straight_on = serializers.DateField(allow_null=True, help_text="Where a straight line reaches zero.")
    overage = AmountsSerializer(help_text="Until the term ends, at the contract rate.")
    unused = AmountsSerializer(help_text="What lapses until the term ends, or is left then.")
    period = PeriodAheadSerializer()
    commits = CommitAheadSerializer(many=True)


class DayAheadSerializer(serializers.Serializer):
    """Cumulative spend from `as_of` to the end of a day."""

    day = serializers.DateField()
    low = ShownExact(help_text="P10.")
    likely = ShownExact(help_text="P50.")
    high = ShownExact(help_text="P90.")


class ForecastWithDaysSerializer(ForecastSerializer):
    """One forecast with its spend day by day; no days when nothing is known yet."""

    days = DayAheadSerializer(many=True)


class AccuracySerializer(serializers.Serializer):
    """How the account's 30-day forecasts of before have held; the shares are null with fewer than five scores."""

    words = serializers.CharField(help_text="The line that stands beside the forecast.")
    scores = serializers.IntegerField()
    inside = serializers.IntegerField(help_text="Results between P10 and P90; 8 in 10 is right.")
    coverage = serializers.FloatField(allow_null=True)
    typical_miss = serializers.FloatField(allow_null=True, help_text="Median, as a share of what happened.")


class AccountForecastSerializer(serializers.Serializer):
    """The account's forecast; null before the first one."""

    account = serializers.CharField()
    data_through = serializers.DateTimeField(allow_null=True)
    accuracy = AccuracySerializer()
    forecast = ForecastWithDaysSerializer(allow_null=True)


class ForecastQuerySerializer(serializers.Serializer):
    """As of when."""

    as_of = Day(required=False, help_text="What was known at the end of this local day; absent: now.")


class AccountForecastView(APIView):
    """When the account's commits run out, how sure that is, and its spend ahead day by day."""

    schema = ReadSchema()
    capability = "forecast.view"

    @extend_schema(parameters=[ForecastQuerySerializer], responses=AccountForecastSerializer)
    def get(self, request: Request, key: str) -> Response:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        asked = ForecastQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        run = latest_run(viewer, account, asked.validated_data.get("as_of"))
        return Response(
            {
                "account": account.key,
                "data_through": data_through(viewer, timezone.now()).data_through,
                "accuracy": _accuracy(accuracy_line(viewer, account)),
                "forecast": _forecast(run) | {"days": _days(run)} if run else None,
            }
        )


class NewestFirst(CursorPagination):
    """By the day they are of."""

    ordering = ("-as_of", "-made_at")  # type: ignore[assignment]


class ForecastListView(ListAPIView):
    """Every forecast of the account that was told, the latest first: how the date has moved."""

    schema = ReadSchema()
    capability = "forecast.view"
    pagination_class = NewestFirst
    serializer_class = ForecastSerializer

    def get_queryset(self) -> QuerySet[ForecastRun]:
        viewer = viewer_of(self.request)
        account = account_of_key(viewer, self.kwargs["key"])
        return runs_of(viewer, account).defer("spend_p10", "spend_p50", "spend_p90")

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """Serialize the page's runs in the shape of the API; the schema asks without any."""
        return super().get_serializer([_forecast(run) for run in args[0]], **kwargs) if args else ForecastSerializer()


class RunOutSerializer(serializers.Serializer):
    """One account. Dates are null when its commits last, or nothing is known."""

    account = serializers.CharField()
    name = serializers.CharField()
    state = serializers.ChoiceField(list(STATES.items()))
    currency = serializers.CharField()
    remaining = ShownExact(allow_null=True)
    term_ends_on = serializers.DateField(allow_null=True)
    runs_out = DatesSerializer()
    probability = serializers.FloatField(allow_null=True)
    approval_days = serializers.IntegerField(help_text="What this customer needs to approve a top-up.")
    decide_by = serializers.DateField(allow_null=True, help_text="The early date less the days of approval.")
    forecast_as_of = serializers.DateField(allow_null=True)


class RunOutPageSerializer(serializers.Serializer):
    """One page, the most urgent first. A new forecast may move accounts between pages."""

    next = serializers.URLField(allow_null=True)
    count = serializers.IntegerField()
    data_through = serializers.DateTimeField(allow_null=True)
    results = RunOutSerializer(many=True)


class RunOutQuerySerializer(serializers.Serializer):
    """What to show."""

    state = serializers.ChoiceField(list(STATES.items()), required=False)
    q = serializers.CharField(required=False, max_length=200, help_text="Words of the account's name or key.")
    page_size = serializers.IntegerField(default=CursorPagination.page_size, min_value=1, help_text="At most 200.")
    cursor = serializers.IntegerField(default=0, min_value=0, max_value=_LAST, help_text="From `next`.")


class RunOutListView(APIView):
    """When each account runs out, against the time its customer needs to approve a top-up."""

    schema = ReadSchema()
    capability = "forecast.view"
    staff_only = True

    @extend_schema(parameters=[RunOutQuerySerializer], responses=RunOutPageSerializer)
    def get(self, request: Request) -> Response:
        viewer, now = viewer_of(request), timezone.now()
        query = RunOutQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        today = day_of(now, zone_of(Organization.objects.get(pk=viewer.organization_id).timezone))
        lines = run_outs(viewer, today, asked.get("q", ""), asked.get("state", ""))
        end = asked["cursor"] + min(asked["page_size"], CursorPagination.max_page_size)
        following = replace_query_param(request.build_absolute_uri(), "cursor", end) if end < len(lines) else None
        return Response(
            {
                "next": following,
                "count": len(lines),
                "data_through": data_through(viewer, now).data_through,
                "results": [_run_out(line) for line in lines[asked["cursor"] : end]],
            }
        )


def _forecast(run: ForecastRun) -> dict[str, Any]:
    return {
        **{name: getattr(run, name) for name in _PLAIN},
        **{name: _text(getattr(run, name)) for name in ("burn_rate", "remaining")},
        **{name: getattr(run, name) for name in ("term_ends_on", "exhausted_on", "straight_on")},
        "rebuilt": bool(run.details.get("rebuilt")),
        "runs_out": _dates(run),
        "probability": run.p_exhausted,
        "overage": _amounts(run, "overage", "mean"),
        "unused": _amounts(run, "unused", "mean"),
        "period": _amounts(run, "period", "p50")
        | {"ends_on": run.period_ends_on, "straight": _text(run.period_straight)},
        "commits": [_commit(run, row) for row in run.commits],
    }


def _commit(run: ForecastRun, row: dict[str, Any]) -> dict[str, Any]:
    left = shown(round_to(Decimal(repr(row["left"])), exponent(run.currency)))
    same = {name: row.get(name) for name in ("id", "name", "kind", "starts_on", "expires_on")}
    return same | {"left": left, "empty_on": row["empty_p50"]}


def _days(run: ForecastRun) -> list[dict[str, Any]]:
    places = exponent(run.currency)

    def rounded(amounts: Iterable[float]) -> list[str]:
        return [shown(round_to(Decimal(repr(amount)), places)) for amount in amounts]

    rows = zip(rounded(run.spend_p10), rounded(run.spend_p50), rounded(run.spend_p90), strict=True)
    return [
        {"day": run.as_of + timedelta(days=number), "low": low, "likely": likely, "high": high}
        for number, (low, likely, high) in enumerate(rows)
    ]


def _dates(run: ForecastRun | None) -> dict[str, date | None]:
    return {name: getattr(run, column) if run else None for name, column in _RUN_OUT.items()}


def _amounts(run: ForecastRun, name: str, middle: str) -> dict[str, Any]:
    columns = {"low": "p10", "likely": middle, "high": "p90"}
    return {told: _text(getattr(run, f"{name}_{column}")) for told, column in columns.items()}


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else shown(Decimal(amount))


def _accuracy(held: Held) -> dict[str, Any]:
    return {name: getattr(held, name) for name in ("words", "scores", "inside", "coverage", "typical_miss")}


def _run_out(line: RunOutLine) -> dict[str, Any]:
    account: Account = line.account
    run = line.run
    return {
        "account": account.key,
        "name": account.name,
        "state": line.state,
        "currency": run.currency if run else account.currency,
        "remaining": _text(run.remaining) if run else None,
        "term_ends_on": run.term_ends_on if run else None,
        "runs_out": _dates(run),
        "probability": run.p_exhausted if run else None,
        "approval_days": line.approval_days,
        "decide_by": line.decide_by,
        "forecast_as_of": run.as_of if run else None,
    }
