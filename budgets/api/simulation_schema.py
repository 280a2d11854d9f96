"""What the simulations take and answer."""

from typing import Any

from rest_framework import serializers

from budgets.calc.grants import POLICIES, ZERO
from usage.api.exact_fields import Exact, Moment, Rows, ShownExact

MOST_GRANTS, MOST_USAGE, MOST_RESETS, MOST_THRESHOLDS = 100, 2000, 500, 500
_NAME_CHARS, _FIRST, _LAST = 200, -(2**31), 2**31


class NameField(serializers.CharField):
    """An id or a meter's key."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=_NAME_CHARS, trim_whitespace=False, **options)


class MinMaxSerializer(serializers.Serializer):
    """How much of a balance survives a reset: at least `min`, at most `max`. Nothing, by default."""

    min = Exact(required=False, min_value=0)
    max = Exact(required=False, min_value=0)


class EverySerializer(serializers.Serializer):
    """A refill to the full amount at `anchor`, plus or minus any number of intervals."""

    every = serializers.CharField(max_length=40, help_text="An ISO 8601 duration such as P1M.")
    anchor = Moment()


class OrderedGrantSerializer(serializers.Serializer):
    """A grant as far as the order of drawing looks at it."""

    id = NameField()
    amount = Exact(default=ZERO, min_value=0)
    priority = serializers.IntegerField(default=0, min_value=_FIRST, max_value=_LAST, help_text="Low is drawn first.")
    effective_at = Moment(required=False, allow_null=True)
    expires_at = Moment(required=False, allow_null=True)
    created_at = Moment(required=False, allow_null=True)
    kind = serializers.CharField(default="prepaid", max_length=40)
    only_meters = Rows(child=NameField(), default=list, max_length=200)
    except_meters = Rows(child=NameField(), default=list, max_length=200)


class GrantSerializer(OrderedGrantSerializer):
    """A commit, credit or promotion. It ends at the first of expiry, voiding and deletion, which is exclusive."""

    amount = Exact(min_value=0)
    effective_at = Moment()
    voided_at = Moment(required=False, allow_null=True)
    deleted_at = Moment(required=False, allow_null=True)
    rollover = MinMaxSerializer(required=False, allow_null=True)
    recurrence = EverySerializer(required=False, allow_null=True)


class UsedSerializer(serializers.Serializer):
    """An amount used at a moment, of one meter; below zero it is a correction."""

    at = Moment()
    amount = Exact()
    meter = NameField(default="", allow_blank=True)


class ResetSerializer(serializers.Serializer):
    """The start of a new usage period. Overage is dropped, as it was invoiced, unless it is to be preserved."""

    at = Moment()
    preserve_overage = serializers.BooleanField(default=False)


class OpeningSerializer(serializers.Serializer):
    """The state at the start. Without `balances` every grant in force is full."""

    balances = serializers.DictField(child=Exact(), required=False, allow_null=True)
    overage = Exact(default=ZERO)
    period_usage = Exact(default=ZERO)
    grant_usage = Exact(default=ZERO)
    period_start = Moment(required=False, allow_null=True)


class SimulationSerializer(serializers.Serializer):
    """Grants and usage, all in one currency, from `start` to just before `until`."""

    start = Moment()
    until = Moment()
    grants = Rows(child=GrantSerializer(), max_length=MOST_GRANTS)
    usage = Rows(child=UsedSerializer(), default=list, max_length=MOST_USAGE)
    resets = Rows(child=ResetSerializer(), default=list, max_length=MOST_RESETS)
    opening = OpeningSerializer(required=False, allow_null=True)
    aggregation = serializers.ChoiceField(["sum", "latest"], default="sum")
    policy = serializers.ChoiceField(list(POLICIES), default="priority")
    window = serializers.CharField(
        required=False, allow_null=True, max_length=40, help_text="Adds `windows`, each as long as this: PT1H, P1D."
    )


class DrawSerializer(serializers.Serializer):
    """What was taken from a grant (below zero: given back), and why from this one."""

    at = serializers.DateTimeField()
    meter = serializers.CharField()
    grant = serializers.CharField()
    amount = ShownExact()
    why = serializers.CharField()


class MovementSerializer(serializers.Serializer):
    """A change of a balance that is not a draw."""

    at = serializers.DateTimeField()
    grant = serializers.CharField()
    kind = serializers.CharField()
    amount = ShownExact()


class SegmentSerializer(serializers.Serializer):
    """A stretch in which the same grants were in force."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    usage = ShownExact()
    balance_at_start = serializers.DictField(child=ShownExact())
    balance_at_end = serializers.DictField(child=ShownExact())
    overage_at_end = ShownExact()


class WindowSerializer(serializers.Serializer):
    """One step of a burndown chart."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    usage = ShownExact()
    balance_at_start = ShownExact()
    overage_at_end = ShownExact()


class SimulatedSerializer(serializers.Serializer):
    """The state at the end, and everything that led to it."""

    balances = serializers.DictField(child=ShownExact())
    total_balance = ShownExact()
    overage = ShownExact()
    overage_by_meter = serializers.DictField(child=ShownExact())
    period_usage = ShownExact()
    grant_usage = ShownExact(help_text="Drawn in the usage period, less what was given back.")
    total_available = ShownExact()
    period_start = serializers.DateTimeField()
    draws = DrawSerializer(many=True)
    movements = MovementSerializer(many=True)
    segments = SegmentSerializer(many=True)
    windows = WindowSerializer(many=True, required=False)


class DrawOrderSerializer(serializers.Serializer):
    """Grants to put in order, and an amount to take from them."""

    grants = Rows(child=OrderedGrantSerializer(), max_length=MOST_GRANTS)
    policy = serializers.ChoiceField(list(POLICIES), default="priority")
    debit = Exact(required=False, allow_null=True)


class PlaceSerializer(serializers.Serializer):
    """A grant at its place, and why it comes before the next one."""

    id = serializers.CharField()
    why = serializers.CharField()


class OrderedSerializer(serializers.Serializer):
    """The order, and with a debit what it took and left."""

    order = PlaceSerializer(many=True)
    drawn = serializers.DictField(child=ShownExact())
    remaining = serializers.DictField(child=ShownExact())


class ThresholdCheckSerializer(serializers.Serializer):
    """Thresholds and a value that moved. With `recurring_step` there is one more at each step beyond the last."""

    thresholds = Rows(child=Exact(), default=list, max_length=MOST_THRESHOLDS)
    recurring_step = Exact(required=False, allow_null=True)
    direction = serializers.ChoiceField(["up", "down"], default="up")
    previous = Exact(default=ZERO)
    current = Exact()


class ProgressSerializer(serializers.Serializer):
    """How much of the way to a threshold is done, from 0 to 1, counted from the one before."""

    threshold = ShownExact()
    share = ShownExact()


class CrossedSerializer(serializers.Serializer):
    """The thresholds crossed, ascending, and the way to each."""

    crossed = serializers.ListField(child=ShownExact())
    progress = ProgressSerializer(many=True)
