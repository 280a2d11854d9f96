"""What the API says of budgets, limits and replays, and what it takes. Amounts are texts, days the account's own."""

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from budgets.api.commit_serializers import Day
from budgets.forms.budgets import MOST_VALUES
from budgets.forms.limits import LIFTERS
from budgets.models import Budget, BudgetRule, Limit, LimitState
from budgets.reports.rule_words import SENTENCE_OF
from consumption_cs.lib.display import quantity_text
from usage.api.exact_fields import Exact, Rows, ShownExact

MOST_RULES, MOST_EXEMPT = 20, 100
MOST_AMOUNT = Decimal(10) ** 12


class RuleSerializer(serializers.Serializer):
    """When to tell. `value` is in the unit of its kind: percent, an amount in the account's currency, days, times."""

    kind = serializers.ChoiceField(BudgetRule.Kind.choices)
    value = ShownExact()


class LimitSerializer(serializers.Serializer):
    """What happens at the limit. The product decides and tells; the vendor's gateway enforces."""

    action = serializers.ChoiceField(Limit.Action.choices)
    percent = ShownExact(help_text="Of the budget.")
    amount = ShownExact(help_text="The same as an amount: where the limit is reached.")
    warn_percent = ShownExact(help_text="Of the limit.")
    grace_minutes = serializers.IntegerField()
    grace_percent = ShownExact(help_text="More than the limit, at which the grace is over whatever the time.")
    throttle_percent = ShownExact(help_text="To slow to, of the usual pace.")
    exempt_workflows = serializers.ListField(child=serializers.CharField(), help_text="Keys.")
    lift_roles = serializers.ListField(child=serializers.CharField(), help_text="Empty: all that may lift limits.")
    lift_hours = serializers.IntegerField()
    is_dry_run = serializers.BooleanField(help_text="It tells what it would have done.")
    version = serializers.IntegerField()


class BudgetSerializer(serializers.Serializer):
    """A budget, what is used of it in its period, and its limit. Money is in the account's currency."""

    id = serializers.UUIDField()
    account = serializers.CharField(help_text="Key of the account.")
    name = serializers.CharField()
    scope = serializers.ChoiceField(Budget.Scope.choices)
    workflow = serializers.CharField(allow_null=True, help_text="Key.")
    meter = serializers.CharField(allow_null=True, help_text="Key.")
    dimension = serializers.CharField(allow_blank=True)
    dimension_value = serializers.CharField(allow_blank=True)
    parent = serializers.UUIDField(  # type: ignore[assignment]  # the name of an attribute of serializers too
        allow_null=True, help_text="The budget that it lies within."
    )
    period = serializers.ChoiceField(Budget.Period.choices)
    starts_on = serializers.DateField(allow_null=True)
    ends_on = serializers.DateField(allow_null=True, help_text="The first day after a custom period.")
    by_customer = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    currency = serializers.CharField()
    amount = ShownExact()
    version = serializers.IntegerField(help_text="Counts the changes of its amount and rules.")
    rules = RuleSerializer(many=True)
    period_start = serializers.DateTimeField(allow_null=True, help_text="Null: outside of its days, or no contract.")
    period_end = serializers.DateTimeField(allow_null=True)
    used = ShownExact(allow_null=True, help_text="In the period so far.")
    remaining = ShownExact(allow_null=True, help_text="Below zero once it is overspent.")
    data_through = serializers.DateTimeField(allow_null=True, help_text="The newest event of the period.")
    limit = LimitSerializer(allow_null=True)
    limit_state = serializers.ChoiceField(LimitState.State.choices)


class BudgetsSerializer(serializers.Serializer):
    """The budgets in force, the oldest first."""

    results = BudgetSerializer(many=True)


class NewRuleSerializer(serializers.Serializer):
    """One threshold."""

    kind = serializers.ChoiceField(BudgetRule.Kind.choices)
    value = Exact(min_value=Decimal(0), max_value=MOST_AMOUNT)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The same numbers fit as in the form."""
        sentence = SENTENCE_OF[attrs["kind"]]
        if not sentence.least <= attrs["value"] <= sentence.most:
            least, most = quantity_text(sentence.least), quantity_text(sentence.most)
            words = f"{attrs['value'].normalize():f} does not fit: write a number from {least} to {most}."
            raise serializers.ValidationError({"value": [words]})
        return attrs


class Rules(Rows):
    """All thresholds of a budget."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=NewRuleSerializer(), max_length=MOST_RULES, **options)

    def to_internal_value(self, data: Any) -> list[Any]:
        """Return them. Refuses more of a kind than a person could edit on the page."""
        found = super().to_internal_value(data)
        for kind, sentence in SENTENCE_OF.items():
            most = MOST_VALUES if sentence.is_many else 1
            if len({rule["value"] for rule in found if rule["kind"] == kind}) > most:
                raise serializers.ValidationError([f"Name at most {most} of the kind {kind}."])
        return found


class _Known(serializers.Serializer):
    """Refuses what it does not know: a misspelt name must not pass for one that was left out."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(map(str, data)) - set(self.fields))):
            words = f"There is no such field, or it cannot be changed: take one of {', '.join(self.fields)}."
            raise serializers.ValidationError({name[:60]: [words] for name in unknown[:5]})
        return super().to_internal_value(data)


def _amount(**options: Any) -> Exact:
    return Exact(min_value=Decimal("0.01"), max_value=MOST_AMOUNT, **options)


class PartSerializer(_Known):
    """What a budget counts, and for which period."""

    scope = serializers.ChoiceField(Budget.Scope.choices, default=Budget.Scope.ACCOUNT)
    workflow = serializers.CharField(required=False, max_length=200, help_text="Key, of the scope workflow.")
    meter = serializers.CharField(required=False, max_length=200, help_text="Key, of the scope meter.")
    dimension = serializers.CharField(required=False, max_length=100, help_text="Of the scope key: team, say.")
    dimension_value = serializers.CharField(required=False, max_length=200)
    period = serializers.ChoiceField(Budget.Period.choices, default=Budget.Period.MONTH)
    starts_on = Day(required=False, help_text="Of a custom period.")
    ends_on = Day(required=False, help_text="The first day after it.")
    amount = _amount(help_text="Of each period, in the account's currency.")
    rules = Rules(default=[{"kind": "actual_percent", "value": Decimal(80)}])

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        names = {"workflow": ("workflow",), "meter": ("meter",), "key": ("dimension", "dimension_value")}
        needed = names.get(attrs["scope"], ())
        for name in ("workflow", "meter", "dimension", "dimension_value"):
            if name in needed and name not in attrs:
                raise serializers.ValidationError({name: [f"Choose the {attrs['scope']} that the budget is for."]})
            if name in attrs and name not in needed:
                raise serializers.ValidationError({name: [f"The scope {attrs['scope']} has no {name}: leave it out."]})
        return attrs


class NewBudgetSerializer(PartSerializer):
    """A budget to make. It counts what was used in its period before it was made."""

    name = serializers.CharField(max_length=100)
    parent = serializers.UUIDField(  # type: ignore[assignment]
        required=False, allow_null=True, help_text="The budget that it lies within."
    )


class BudgetChangeSerializer(_Known):
    """What to change. A new amount or new rules make a new version; what is crossed already is not told again."""

    name = serializers.CharField(required=False, max_length=100)
    amount = _amount(required=False)
    rules = Rules(required=False, help_text="All of them: they replace the ones in force.")


class LimitTermsSerializer(_Known):
    """What shall happen at a limit."""

    action = serializers.ChoiceField(Limit.Action.choices, default=Limit.Action.NOTIFY)
    percent = Exact(min_value=Decimal(1), max_value=Decimal(99_999), default=Decimal(100), help_text="Of the budget.")
    warn_percent = Exact(min_value=Decimal(1), max_value=Decimal(100), default=Decimal(85), help_text="Of the limit.")
    grace_minutes = serializers.IntegerField(min_value=0, max_value=10_080, default=30)
    grace_percent = Exact(min_value=Decimal(0), max_value=Decimal(900), default=Decimal(10))
    throttle_percent = Exact(min_value=Decimal(1), max_value=Decimal(99), default=Decimal(25))
    exempt_workflows = Rows(
        child=serializers.CharField(max_length=200), max_length=MOST_EXEMPT, default=list, help_text="Keys."
    )
    is_dry_run = serializers.BooleanField(default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A limit that slows or stops needs a grace."""
        if attrs["action"] != Limit.Action.NOTIFY and attrs["grace_minutes"] == attrs["grace_percent"] == 0:
            words = "Give a grace: minutes, or a percentage, so that nobody is cut off at once."
            raise serializers.ValidationError({"grace_minutes": [words]})
        return attrs


class NewLimitSerializer(LimitTermsSerializer):
    """The limit of a budget, whole: what is left out takes its default."""

    lift_roles = Rows(
        child=serializers.ChoiceField(LIFTERS),
        max_length=len(LIFTERS),
        default=list,
        help_text="Who may lift it; none: all that may lift limits.",
    )
    lift_hours = serializers.IntegerField(min_value=1, max_value=744, default=4)


class NewLiftSerializer(serializers.Serializer):
    """Why a limit is lifted."""

    reason = serializers.CharField(max_length=500, help_text="It is kept in the log.")


class RehearsalSerializer(serializers.Serializer):
    """What was sent as a rehearsal: webhooks get the topic limit.tested, people a mail that says so."""

    id = serializers.UUIDField(help_text="As `limit_event_id` in the webhook.")
    at = serializers.DateTimeField()
    used = ShownExact()
    amount = ShownExact(help_text="Where the limit is reached.")
