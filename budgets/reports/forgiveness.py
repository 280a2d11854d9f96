"""What a credit for a spike comes to, worked out through the tiers, and the credits that were asked for."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import F, QuerySet

from accounts.models import Account
from budgets.calc.forgiveness import not_eligible, spike_credit
from budgets.models import Alert, Anomaly, Forgiveness
from budgets.reports.cause import group_words
from budgets.reports.cause_sums import anomaly_window, median_window, same_hours_before, window_sums
from consumption_cs.lib.money import exponent
from consumption_cs.lib.periods import HOUR, billing_month, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.actions.rated_rows import read_prices
from usage.calc.price_book import InForce
from usage.calc.prices import Charge, Usage
from usage.models import Meter, RatedDay

SPIKES = (Anomaly.Kind.SPIKE, Anomaly.Kind.STEP, Anomaly.Kind.LEAK)
Cell = tuple[str, str]  # meter and cell of its price


@dataclass(frozen=True, slots=True)
class Working:
    """What a credit would be: `amount` in the account's currency, `lines` for each meter as JSON, or `problem`."""

    amount: Decimal
    lines: list[dict[str, Any]]
    problem: str = ""


def forgiveness_of(viewer: Viewer, alert: Alert) -> Forgiveness | None:
    """Return the credit that was asked for, if one was."""
    found: Forgiveness | None = (
        Forgiveness.objects.visible_to(viewer).filter(alert=alert).select_related("requested_by", "decided_by").first()
    )
    return found


def asked_credits(viewer: Viewer) -> QuerySet[Forgiveness]:
    """Return the credits of the organization: those that wait first, then the newest."""
    rows: QuerySet[Forgiveness] = Forgiveness.objects.visible_to(viewer).select_related(
        "alert", "account", "requested_by", "decided_by"
    )
    return rows.order_by(F("decided_at").desc(nulls_first=True), "-requested_at")


def working(viewer: Viewer, account: Account, alert: Alert, now: datetime) -> Working:
    """Return what a credit for the alert would be, or why there is none, in words."""
    anomaly = alert.anomaly
    problem = not_eligible(
        is_spike=anomaly is not None and alert.kind in SPIKES,
        verdict=((alert.cause or {}).get("verdict") or {}).get("kind", ""),
        by_staff=not viewer.is_portal,
        started_at=anomaly.started_at if anomaly else None,
        now=now,
        is_asked=forgiveness_of(viewer, alert) is not None,
    )
    if problem or anomaly is None:
        return Working(Decimal(0), [], problem)
    lines = _lines(viewer, account, anomaly)
    amount = sum((Decimal(line["credit"]) for line in lines), Decimal(0))
    if not amount:
        return Working(amount, lines, "Without it the period would have cost the same: there is nothing to credit.")
    return Working(amount, lines)


def _lines(viewer: Viewer, account: Account, anomaly: Anomaly) -> list[dict[str, Any]]:
    zone = zone_of(account.timezone)
    start, end = anomaly_window(anomaly.started_at, anomaly.seen_until)
    period = billing_month(start, zone, account.billing_day)
    end = min(end, period.end)
    last = day_of(end - HOUR, zone)
    book = read_prices(viewer.organization_id, [str(account.pk)])
    totals = _totals(viewer, account, day_of(period.start, zone), day_of(period.end, zone))
    names = dict(Meter.objects.filter(organization_id=viewer.organization_id).values_list("pk", "name"))
    prices: dict[str, InForce | None] = {}
    for meter, _cell in totals:
        prices[meter] = book.on(last, meter, str(account.pk), account.currency)
    found = []
    for (meter, cell), extra in _extra(viewer, account, anomaly, (start, end), prices).items():
        in_force = prices.get(meter)
        price = in_force.price_of(cell) if in_force and not in_force.needs_events else None
        actual = totals.get((meter, cell))
        if price is None or actual is None or extra.quantity <= 0:
            continue
        credit = spike_credit(price, actual, extra, places=exponent(account.currency))
        found.append(
            {
                "meter": next((name for pk, name in names.items() if str(pk) == meter), meter),
                "cell": cell,
                "cell_words": group_words(cell),
                "actual": f"{actual.quantity:f}",
                "baseline": f"{max(actual.quantity - extra.quantity, Decimal(0)):f}",
                "extra": f"{min(extra.quantity, actual.quantity):f}",
                "cost_actual": f"{credit.actual:f}",
                "cost_baseline": f"{credit.baseline:f}",
                "credit": f"{credit.amount:f}",
                "parts": _parts(credit.actual_parts, credit.baseline_parts),
            }
        )
    return found


def _parts(actual: tuple[Charge, ...], baseline: tuple[Charge, ...]) -> list[dict[str, str]]:
    """Each tier's quantity and amount, as it was and without the spike."""
    usual = {charge.what: charge for charge in baseline}
    return [
        {
            "what": charge.what,
            "unit": f"{charge.unit:f}",
            "actual": f"{charge.quantity:f}",
            "actual_amount": f"{charge.amount:f}",
            "baseline": f"{usual[charge.what].quantity:f}" if charge.what in usual else "0",
            "baseline_amount": f"{usual[charge.what].amount:f}" if charge.what in usual else "0",
        }
        for charge in actual
    ]


def _totals(viewer: Viewer, account: Account, first: Any, after: Any) -> dict[Cell, Usage]:
    """What the period came to so far, by meter and cell."""
    rows = (
        RatedDay.objects.filter(organization_id=viewer.organization_id, account=account, day__gte=first, day__lt=after)
        .order_by("meter_id", "cell", "-day")
        .distinct("meter_id", "cell")
    )
    return {(str(row.meter_id), row.cell): Usage(row.total_quantity, row.total_events) for row in rows}


def _extra(
    viewer: Viewer,
    account: Account,
    anomaly: Anomaly,
    span: tuple[datetime, datetime],
    prices: dict[str, InForce | None],
) -> dict[Cell, Usage]:
    """Usage of the spike beyond the median of the same hours of earlier weeks, by meter and cell."""
    spans = same_hours_before(account, *span)
    sums = window_sums(viewer, account, [span, *spans], anomaly.workflow_id)
    chosen = median_window(sums, len(spans))
    units: dict[Cell, Decimal] = defaultdict(Decimal)
    events: dict[Cell, int] = defaultdict(int)
    for number, sign in ((0, 1), (chosen, -1)) if chosen else ((0, 1),):
        for row in sums.get(number, []):
            in_force = prices.get(row.meter)
            key = (row.meter, in_force.cell_of(row.group) if in_force else "")
            units[key] += sign * row.units
            events[key] += sign * row.attempts
    return {key: Usage(quantity, max(events[key], 0)) for key, quantity in units.items()}
