"""Which days of the ledger carry money of closed periods."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from uuid import UUID

from django.db.models import Sum

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from usage.models import Adjustment


def adjusted_days(viewer: Viewer, account: Account, days: Iterable[date]) -> dict[tuple[date, UUID], Decimal]:
    """Return what each of the days, by meter, holds of adjustments of closed periods."""
    rows = Adjustment.objects.visible_to(viewer).filter(account=account, day__in=set(days))
    sums = rows.values("day", "meter_id").annotate(amount=Sum("amount"))
    return {(row["day"], row["meter_id"]): row["amount"] for row in sums if row["amount"]}
