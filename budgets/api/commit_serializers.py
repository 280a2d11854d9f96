"""What the API says of contracts and commits, and what it takes. Amounts are texts, days are the account's own."""

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from budgets.models import Commit, Contract
from budgets.reports.balances import STATES
from usage.api.exact_fields import Exact, Rows, ShownExact

FIRST_YEAR, LAST_YEAR = 2000, 2200
MOST_METERS = 200


class Day(serializers.DateField):
    """A day on which something can be agreed."""

    def to_internal_value(self, value: Any) -> Any:
        day = super().to_internal_value(value)
        if not FIRST_YEAR <= day.year <= LAST_YEAR:
            raise serializers.ValidationError(f"Choose a day between {FIRST_YEAR} and {LAST_YEAR}.")
        return day


class ContractSerializer(serializers.Serializer):
    """The terms that commits stand under. `note` is the vendor's own: a customer's key does not get it."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    starts_on = serializers.DateField()
    ends_on = serializers.DateField(allow_null=True, help_text="The first day after the term; null: no end.")
    draw_policy = serializers.ChoiceField(Contract.DrawPolicy.choices)
    overage_factor = ShownExact(help_text="What overage costs, as a multiple of the contract rate.")
    note = serializers.CharField(required=False)


class ContractsSerializer(serializers.Serializer):
    """All contracts, the latest first."""

    results = ContractSerializer(many=True)


class NewContractSerializer(serializers.Serializer):
    """A contract to make. Terms of one account do not overlap."""

    name = serializers.CharField(max_length=100)
    starts_on = Day()
    ends_on = Day(required=False, allow_null=True, default=None, help_text="The first day after the term.")
    draw_policy = serializers.ChoiceField(Contract.DrawPolicy.choices, default=Contract.DrawPolicy.PRIORITY)
    overage_factor = Exact(default=Decimal(1))
    note = serializers.CharField(max_length=2000, default="", allow_blank=True, help_text="Never shown to customers.")


class CommitChangeSerializer(serializers.Serializer):
    """What was agreed afterwards. `by` is the person; a customer's key reads the vendor's name."""

    kind = serializers.CharField()
    effective_on = serializers.DateField()
    value_change = ShownExact(help_text="With its sign, in the account's currency.")
    before = serializers.DictField(help_text="The terms that changed, as texts.")
    after = serializers.DictField()
    reason = serializers.CharField()
    by = serializers.CharField()
    created_at = serializers.DateTimeField()


class CommitSerializer(serializers.Serializer):
    """A commit and what it has left. Money is in the account's currency, `amount` and `rate` are as agreed."""

    id = serializers.UUIDField()
    account = serializers.CharField(help_text="Key of the account.")
    contract = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(Commit.Kind.choices)
    state = serializers.ChoiceField(list(STATES))
    unit = serializers.CharField(help_text="A currency, or credits.")
    amount = ShownExact(help_text="In `unit`.")
    rate = ShownExact(help_text="What one unit is worth in the account's currency.")
    currency = serializers.CharField()
    value = ShownExact(help_text="`amount` at `rate`.")
    granted = ShownExact(help_text="All that was ever given, amendments included.")
    drawn = ShownExact(help_text="So far, today's use included.")
    settled = ShownExact(help_text="Left at the start of the account's day: what the ledger says.")
    ongoing = ShownExact(help_text="Left with today's use, which is booked when the day has ended.")
    expiring = ShownExact(help_text="What the next expiry takes if nothing more is used.")
    priority = serializers.IntegerField(help_text="The lower number is drawn first.")
    effective_on = serializers.DateField()
    expires_on = serializers.DateField(allow_null=True, help_text="The first day on which it no longer counts.")
    cancelled_on = serializers.DateField(allow_null=True)
    recurs_months = serializers.IntegerField(allow_null=True)
    rollover_least = ShownExact()
    rollover_most = ShownExact()
    rollover_months = serializers.IntegerField()
    rolled_from = serializers.UUIDField(allow_null=True)
    only_meters = serializers.ListField(child=serializers.CharField(), help_text="Keys; empty: all.")
    except_meters = serializers.ListField(child=serializers.CharField())
    changes = CommitChangeSerializer(many=True)


class CommitsSerializer(serializers.Serializer):
    """All commits: those in force first, in the order in which they are drawn, then what is to come and over."""

    currency = serializers.CharField()
    settled = ShownExact(help_text="Of all commits together.")
    ongoing = ShownExact()
    overage = ShownExact(help_text="Of the open billing period, at the contract rate.")
    data_through = serializers.DateTimeField()
    results = CommitSerializer(many=True)


def _meters(**options: Any) -> Rows:
    return Rows(child=serializers.CharField(max_length=200), max_length=MOST_METERS, **options)


class NewCommitSerializer(serializers.Serializer):
    """A commit to make. Days from its first on that are not closed are drawn again."""

    contract = serializers.UUIDField()
    name = serializers.CharField(max_length=100)
    kind = serializers.ChoiceField(Commit.Kind.choices, default=Commit.Kind.PREPAID)
    unit = serializers.CharField(max_length=10, required=False, help_text="By default the account's currency.")
    amount = Exact()
    rate = Exact(required=False, allow_null=True, default=None, help_text="Needed in another unit than the account's.")
    effective_on = Day()
    expires_on = Day(required=False, allow_null=True, default=None)
    priority = serializers.IntegerField(default=1, min_value=0, max_value=32_000)
    recurs_months = serializers.ChoiceField([1, 3, 6, 12], required=False, allow_null=True, default=None)
    rollover_least = Exact(default=Decimal(0))
    rollover_most = Exact(default=Decimal(0))
    rollover_months = serializers.IntegerField(default=0, min_value=0, max_value=24)
    only_meters = _meters(default=list, help_text="Keys of meters; none: it pays for all.")
    except_meters = _meters(default=list)


class _WithReason(serializers.Serializer):
    reason = serializers.CharField(max_length=500, help_text="Stands in the ledger, and the customer reads it.")


class NewAmendmentSerializer(_WithReason):
    """More or less of a commit from a day on."""

    value_change = Exact(help_text="In the account's currency; below zero takes some back.")
    effective_on = Day()


class NewExpirySerializer(_WithReason):
    """Another expiry, later or earlier."""

    expires_on = Day(allow_null=True, help_text="The first day on which it no longer counts; null: never.")


class NewDrawOrderSerializer(_WithReason):
    """When it is drawn and for what. What is left out stays."""

    priority = serializers.IntegerField(required=False, min_value=0, max_value=32_000)
    only_meters = _meters(required=False)
    except_meters = _meters(required=False)


class NewCancellationSerializer(_WithReason):
    """The end of a commit."""

    on = Day(help_text="What is left falls to zero at the start of this day.")


class NewRolloverSerializer(_WithReason):
    """What expired unused, given again as a new commit. Once only."""

    name = serializers.CharField(max_length=100)
    effective_on = Day()
    expires_on = Day(required=False, allow_null=True, default=None)
    least = Exact(default=Decimal(0))
    most = Exact(required=False, allow_null=True, default=None, help_text="Null: all that was left.")
