"""The money of a value review: spend against budget, the commit with its date and decision, incidents and savings."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Sum
from django.db.models.functions import TruncMonth

from accounts.models import Account
from budgets.models import Alert, Anomaly, ApprovalTerms, Budget, BudgetVersion, Forgiveness
from budgets.reports.burndown import Burndown, burndown
from budgets.reports.cause_shown import finding
from budgets.reports.scenarios import compared
from consumption_cs.lib.display import money_text
from consumption_cs.lib.money import exponent, round_lines, round_to
from consumption_cs.lib.periods import add_months, day_of, day_start, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.models import CostProposal
from reviews.reports.commits_then import commits_then
from reviews.reports.incident_sides import Side, sides_of
from usage.models import AccountDay
from usage.reports.overview_words import short_date

ZERO = Decimal(0)
MOST_INCIDENTS = 6
MOST_POINTS = 60
_APPROVAL_DAYS = ApprovalTerms._meta.get_field("approval_days").default
_COSTLY = (Anomaly.Kind.SPIKE, Anomaly.Kind.STEP, Anomaly.Kind.LEAK)


def spend(viewer: Viewer, account: Account, start: date, end: date, now: datetime) -> dict[str, Any]:
    """Return the spend of each calendar month of [start, end), the budget of the account, and what was credited."""
    days = AccountDay.objects.visible_to(viewer).filter(account=account, day__gte=start, day__lt=end)
    sums = dict(days.annotate(month=TruncMonth("day")).values_list("month").annotate(total=Sum("spend")))
    months, budgets = [], _budgets(viewer, account, end)
    first = start.replace(day=1)
    while first < end:
        after = add_months(first, 1)
        is_whole = start <= first and after <= end
        budget = budgets.get("month") if is_whole else None
        months.append(
            {
                "month": first.isoformat(), "label": f"{first:%b}", "is_whole": is_whole,
                "spend": _text(sums.get(first, ZERO), account), "budget": _text(budget, account),
            }
        )  # fmt: skip
        first = after
    budget = _period_budget(budgets, start, end, len(months), all(month["is_whole"] for month in months))
    total = sum(sums.values(), ZERO)
    credited = _credits(viewer, account, start, end, now)
    return {
        "months": months,
        "total": _text(total, account),
        "budget": _text(budget, account),
        "budget_missing": None if budget is not None else "No budget of the account covers just these days.",
        "left": _text(budget - total if budget is not None else None, account),
        "credits": _text(credited, account),
    }


def _budgets(viewer: Viewer, account: Account, end: date) -> dict[str, Decimal]:
    """Return the amounts for the whole account that were in force on the last day, by the kind of their period."""
    moment = day_start(end, zone_of(account.timezone))
    rows = Budget.objects.visible_to(viewer).filter(
        account=account, scope=Budget.Scope.ACCOUNT, parent=None, archived_at=None, created_at__lt=moment
    )
    found: dict[str, Decimal] = {}
    for budget in rows.order_by("created_at"):
        version = (
            BudgetVersion.objects.visible_to(viewer)
            .filter(budget=budget, created_at__lt=moment)
            .order_by("-number")
            .first()
        )
        if version is not None and version.currency == account.currency:
            found.setdefault(budget.period, version.amount)
    return found


def _period_budget(
    budgets: dict[str, Decimal], start: date, end: date, months: int, are_whole: bool
) -> Decimal | None:
    if not are_whole:
        return None
    if "quarter" in budgets and months % 3 == 0 and (start.month - 1) % 3 == 0:
        return budgets["quarter"] * (months // 3)
    if "month" in budgets:
        return budgets["month"] * months
    return budgets.get("year") if months == 12 and end == add_months(start, 12) and start.month == 1 else None


def _credits(viewer: Viewer, account: Account, start: date, end: date, now: datetime) -> Decimal:
    zone = zone_of(account.timezone)
    rows = Forgiveness.objects.visible_to(viewer).filter(
        account=account, state=Forgiveness.State.APPROVED,
        decided_at__gte=day_start(start, zone), decided_at__lt=min(day_start(end, zone), now),
    )  # fmt: skip
    total: Decimal = rows.aggregate(total=Sum("amount", default=ZERO))["total"]
    return total


def commit(viewer: Viewer, account: Account, start: date, now: datetime) -> tuple[dict[str, Any] | None, str | None]:
    """Return the commits in force as of now with the date they run out and what to decide; or why there are none."""
    today = day_of(now, zone_of(account.timezone))
    rows = [
        row for row in commits_then(viewer.organization_id, {str(account.pk): today}).get(str(account.pk), [])
        if row.granted > 0
    ]  # fmt: skip
    if not rows:
        return None, "No commit was in force: use is billed as it happens."
    granted, drawn = sum((row.granted for row in rows), ZERO), sum((row.drawn for row in rows), ZERO)
    first, ends = min(row.starts_on for row in rows), [row.ends_on for row in rows if row.ends_on]
    ends_on = max(ends, default=None)
    shown = burndown(viewer, account, now, today)
    run = shown.run
    middle = run.exhaust_p50 if run else None
    found = {
        "name": ", ".join(sorted({layer.commit.name for layer in shown.layers if _is_of(layer, rows)})) or "Commit",
        "amount": _text(granted, account), "used": _text(drawn, account),
        "left": _text(sum((row.left for row in rows), ZERO), account),
        "used_share": _ratio(drawn / granted),
        "term_share": _ratio(Decimal((today - first).days) / Decimal((ends_on - first).days)) if ends_on else None,
        "starts_on": first.isoformat(), "ends_on": _iso(ends_on),
        "p10": _iso(run.exhaust_p10 if run else None), "p50": _iso(middle),
        "p90": _iso(run.exhaust_p90 if run else None),
        "runs_out_before_end": bool(middle and (ends_on is None or middle < ends_on)),
        "points": _points(shown), "ahead": _ahead(shown, ends_on),
    }  # fmt: skip
    return found | _decision(shown, account, bool(found["runs_out_before_end"])), None


def _is_of(layer: Any, rows: Sequence[Any]) -> bool:
    return any(layer.commit.effective_on == row.starts_on for row in rows)


def _points(shown: Burndown) -> list[dict[str, str]]:
    left = [sum((layer.left[at] for layer in shown.layers), ZERO) for at in range(len(shown.days))]
    step = max(len(left) // MOST_POINTS, 1)
    kept = [at for at in range(len(left)) if at % step == 0 or at == len(left) - 1]
    return [{"on": shown.days[at].isoformat(), "left": _text(left[at], shown.account) or "0"} for at in kept]


def _ahead(shown: Burndown, ends_on: date | None) -> list[dict[str, str]]:
    ahead = shown.ahead
    if ahead is None:
        return []
    days = [at for at, day in enumerate(ahead.days) if ends_on is None or day <= ends_on]
    step = max(len(days) // MOST_POINTS, 1)
    return [
        {
            "on": ahead.days[at].isoformat(),
            **{
                name: _text(Decimal(repr(float(row[at]))), shown.account) or "0"
                for name, row in (("p10", ahead.low), ("p50", ahead.middle), ("p90", ahead.high))
            },
        }
        for at in days
        if at % step == 0 or at == days[-1]
    ]


def _decision(shown: Burndown, account: Account, is_short: bool) -> dict[str, Any]:
    """Say by when to decide on a top-up, how much covers the gap, and what going on as now would cost instead."""
    none = {"decide_by": None, "top_up": None, "overage_cost": None, "saved": None, "approval_days": None}
    if shown.run is None or not is_short or shown.is_used_up or shown.allowance:
        return none
    terms, top_up, goes_on = shown.approval_days or _APPROVAL_DAYS, None, None
    played = compared(shown.run, [], terms)
    if played and played[0].outcome:
        goes_on = Decimal(repr(round(played[0].outcome.to_pay, 2)))
    if len(played) > 1 and played[1].outcome:
        top_up = Decimal(repr(round(played[1].outcome.bought, 2)))
    pays = Decimal(repr(round(played[1].outcome.to_pay, 2))) if top_up and played[1].outcome else None
    return {
        "decide_by": _iso(shown.decide_by),
        "top_up": _text(top_up, account),
        "overage_cost": _text(goes_on, account),
        "saved": _text(goes_on - pays if goes_on is not None and pays is not None else None, account),
        "approval_days": terms,
    }


def incidents(viewer: Viewer, account: Account, start: date, end: date, now: datetime) -> list[dict[str, Any]]:
    """Return what went wrong in the period and was told, the dearest first, and budgets that were passed.

    What an anomaly of a workflow cost is not counted again for the whole account.
    """
    zone = zone_of(account.timezone)
    first, after = day_start(start, zone), min(day_start(end, zone), now)
    alerts = Alert.objects.visible_to(viewer).filter(account=account, is_silent=False, raised_at__lte=now)
    rows = alerts.filter(
        anomaly__kind__in=_COSTLY, anomaly__impact__gt=0, anomaly__started_at__gte=first,
        anomaly__started_at__lt=after, anomaly__muted_by=None,
    )  # fmt: skip
    seen = list(rows.select_related("anomaly", "anomaly__workflow"))
    once = _once(seen)
    sides = sides_of(account, once)
    found = [_incident(alert, account, now, sides[alert.pk]) for alert in once]
    passed = alerts.filter(kind__in=("actual_percent", "limit_stopped"), raised_at__gte=first, raised_at__lt=after)
    found += [
        _passed(alert, account)
        for alert in passed.filter(budget__scope=Budget.Scope.ACCOUNT).order_by("raised_at")
        if alert.kind != "actual_percent" or (alert.threshold or ZERO) >= 100
    ]
    return sorted(found, key=lambda one: (-Decimal(one["cost"]), one["on"]))[:MOST_INCIDENTS]


def _once(alerts: Sequence[Alert]) -> list[Alert]:
    """Leave out anomalies of the whole account during which one of its workflows had its own."""
    own = [alert.anomaly for alert in alerts if alert.anomaly and alert.anomaly.workflow_id]
    return [
        alert
        for alert in alerts
        if alert.anomaly
        and (
            alert.anomaly.workflow_id
            or not any(
                one.started_at < alert.anomaly.seen_until and alert.anomaly.started_at < one.seen_until for one in own
            )
        )
    ]


def _incident(alert: Alert, account: Account, now: datetime, side: Side) -> dict[str, Any]:
    anomaly = alert.anomaly
    assert anomaly is not None  # noqa: S101  the caller chose alerts of anomalies
    day = day_of(anomaly.started_at, zone_of(account.timezone))
    credit = Forgiveness.objects.filter(
        organization_id=alert.organization_id, alert=alert, state=Forgiveness.State.APPROVED, decided_at__lte=now
    ).first()
    return {
        "on": day.isoformat(), "day": short_date(day), "alert": str(alert.pk), "title": alert.headline,
        "detail": _found(alert.cause),
        "cost": _text(anomaly.impact, account), "credited": _text(credit.amount if credit else ZERO, account),
        "side": side.side, "side_why": side.why,
    }  # fmt: skip


def _found(card: dict[str, Any] | None) -> str:
    """The card is of the moment of the alert, and may be of less than the whole cost: that is said."""
    return f"When it was told: {finding(card)}." if card and card.get("parts") else ""


def _passed(alert: Alert, account: Account) -> dict[str, Any]:
    day = day_of(alert.raised_at, zone_of(account.timezone))
    told = "" if alert.acknowledged_at is None else _answered(alert.acknowledged_at - alert.raised_at)
    return {
        "on": day.isoformat(), "day": short_date(day), "alert": str(alert.pk), "title": alert.headline,
        "detail": told or "Nobody has acknowledged the alert.", "cost": _text(ZERO, account),
        "credited": _text(ZERO, account), "side": "unknown",
    }  # fmt: skip


def _answered(after: timedelta) -> str:
    minutes = int(after.total_seconds() // 60)
    return f"Acknowledged after {minutes} minutes." if minutes < 120 else f"Acknowledged after {minutes // 60} hours."


def savings(viewer: Viewer, account: Account, now: datetime) -> list[dict[str, Any]]:
    """Return the proposals that the customer may read and that are still open, the largest first."""
    open_ones = (CostProposal.State.PROPOSED, CostProposal.State.ACCEPTED)
    rows = CostProposal.objects.visible_to(viewer).filter(
        account=account, is_shared=True, state__in=open_ones, created_at__lte=now
    )
    return [
        {
            "id": str(row.pk), "title": row.title, "workflow": row.workflow.name if row.workflow else "",
            "workflow_id": str(row.workflow_id) if row.workflow_id else None,
            "saving": _text(row.saving_a_month, account), "effort": row.get_effort_display(),
            "trade_off": row.trade_off, "state": row.state, "state_name": row.get_state_display(),
        }
        for row in rows.select_related("workflow").order_by("-saving_a_month", "pk")
    ]  # fmt: skip


def decision_words(found: dict[str, Any], currency: str) -> str | None:
    """Return what to decide by when, in one or two sentences; None when nothing is to be decided."""
    if not found.get("decide_by"):
        return None
    said = f"{found['approval_days']} days of your approval time before {long_date(found['p10'])}."
    if found["top_up"]:
        said += f" A {_money(found['top_up'], currency)} top-up covers what is likely to be missing."
    if found["overage_cost"] and found["saved"] and Decimal(found["saved"]) > 0:
        said += (
            f" The same use at the overage rate would cost {_money(found['overage_cost'], currency)},"
            f" {_money(found['saved'], currency)} more."
        )
    return said


def long_date(day: str) -> str:
    """Return an ISO date as "Mar 19, 2027"."""
    on = date.fromisoformat(day)
    return f"{short_date(on)}, {on.year}"


def _money(amount: str, currency: str) -> str:
    return money_text(Decimal(amount), currency, places=0)


def _text(amount: Decimal | None, account: Account) -> str | None:
    """Return money as text with the decimals of the account's currency."""
    return None if amount is None else f"{round_to(amount, exponent(account.currency)):f}"


def _ratio(value: Decimal) -> str:
    return f"{round_to(value, 6):f}"


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def round_column(amounts: Sequence[Decimal], total: Decimal, account: Account) -> list[Decimal]:
    """Return the amounts in the currency's decimals, such that they add up to `total`."""
    return round_lines(list(amounts), exponent(account.currency), total=total)
