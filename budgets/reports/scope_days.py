"""The daily money of what a budget covers."""

import json
from datetime import date, datetime
from decimal import Decimal

from django.db.models import JSONField, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from accounts.models import Account
from budgets.models import Budget
from consumption_cs.lib.periods import add_months, day_of, zone_of
from consumption_cs.lib.tenancy import TenantQuerySet, Viewer
from usage.models import AccountDay, UsageDay

ROOM = Decimal("1.15")


def scope_days(viewer: Viewer, budget: Budget, first: date, after: date) -> dict[date, Decimal]:
    """Return the spend of each local day of [first, after) that has any, in the account's currency."""
    found = scope_rows(viewer, budget).filter(day__gte=first, day__lt=after).values_list("day").annotate(Sum("spend"))
    return {day: spent or Decimal(0) for day, spent in found.order_by("day")}


def scope_rows(viewer: Viewer, budget: Budget) -> TenantQuerySet:
    """Return the rows of days that the budget counts: of the account's total, or of usage that fits its scope."""
    if budget.scope == Budget.Scope.ACCOUNT:
        return AccountDay.objects.visible_to(viewer).filter(account_id=budget.account_id)
    rows = UsageDay.objects.visible_to(viewer).filter(account_id=budget.account_id)
    if budget.workflow_id:
        rows = rows.filter(workflow_id=budget.workflow_id)
    if budget.meter_id:
        rows = rows.filter(meter_id=budget.meter_id)
    if budget.dimension:
        value = KeyTextTransform(budget.dimension, Cast("group", JSONField()))
        rows = rows.exclude(group="").annotate(part=value).filter(part=budget.dimension_value)
    return rows


def suggested_amount(viewer: Viewer, account: Account, now: datetime) -> Decimal | None:
    """Return last calendar month's spend with 15 % of room, on two figures; None when nothing was spent."""
    this_month = day_of(now, zone_of(account.timezone)).replace(day=1)
    rows = AccountDay.objects.visible_to(viewer).filter(
        account=account, day__gte=add_months(this_month, -1), day__lt=this_month
    )
    spent = rows.aggregate(sum=Sum("spend"))["sum"]
    if not spent or spent < 1:
        return None
    wanted = Decimal(spent) * ROOM
    step = Decimal(10) ** (wanted.adjusted() - 1)
    return (wanted / step).quantize(Decimal(1)) * step


def keys_seen(viewer: Viewer, account: Account, most: int = 200) -> list[tuple[str, str]]:
    """Return the values of the meters' dimensions (keys, teams, releases) that the account used, as (name, value)."""
    groups = UsageDay.objects.visible_to(viewer).filter(account=account).exclude(group="")
    found = {
        (name, str(value))
        for group in groups.order_by().values_list("group", flat=True).distinct()[: most * 5]
        for name, value in json.loads(group).items()
        if value not in (None, "")
    }
    return sorted(found)[:most]
