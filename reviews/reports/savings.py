"""What an account could spend less on, found in its last 28 closed days, and what was proposed and proved."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Sum

from accounts.models import Account
from budgets.calc.bridge import BridgeError, Parts, Work, unit_cost_bridge
from budgets.reports.cause_shown import bridge_rows
from consumption_cs.lib.display import counted, money_text, percent_text, plural_of
from consumption_cs.lib.money import exactly, exponent
from consumption_cs.lib.periods import day_of, day_start, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.savings import Attempts, ClassUse, FlowUse, Suggestion, suggestions
from reviews.calc.waste import waste
from reviews.models import CostProposal
from reviews.reports.reliability import USUAL_TARGET, Line, add_errors
from reviews.reports.savings_words import BRIDGE_NAMES
from reviews.reports.waste_then import DAYS, Used, windows
from usage.models import UsageDay, Workflow

ZERO, THOUSAND = Decimal(0), Decimal(1000)
LEAST_DAYS, MOST_DAYS = 7, 28

# Attempts that events number, from the second on, and the first ones as jobs; money is shared by quantity.
_ATTEMPTS = """
WITH tries AS (
    SELECT workflow_id, meter_id, (occurred_at AT TIME ZONE %(zone)s)::date AS day, least(attempt, 9) AS number,
        succeeded IS FALSE AS failed, count(*) AS events, count(*) FILTER (WHERE succeeded) AS successes,
        sum(quantity) AS quantity
    FROM usage_event WHERE organization_id = %(organization)s AND account_id = %(account)s AND counted
        AND occurred_at >= %(start)s AND occurred_at < %(end)s AND attempt IS NOT NULL AND workflow_id IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5
), priced AS (
    SELECT tries.*, CASE WHEN days.quantity <> 0 THEN days.spend * tries.quantity / days.quantity
        WHEN days.events <> 0 THEN days.spend * tries.events / days.events ELSE 0 END AS money
    FROM tries JOIN (
        SELECT workflow_id, meter_id, day, sum(coalesce(spend, 0)) AS spend, sum(quantity) AS quantity,
            sum(events) AS events
        FROM usage_day WHERE organization_id = %(organization)s AND account_id = %(account)s
            AND day >= %(since)s AND day < %(today)s GROUP BY 1, 2, 3
    ) AS days USING (workflow_id, meter_id, day)
)
SELECT workflow_id, number, sum(events)::bigint, sum(successes)::bigint, sum(money), sum(money) FILTER (WHERE failed)
FROM priced GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Proof:
    """A done proposal before against after: the cost of `per` outcomes, and its bridge; `problem` says why not.

    `rows` are drawn as bars; their amounts add up to the last cent. `saved` is what the outcomes since then would
    have cost more at the old cost; below zero they became dearer.
    """

    before: tuple[date, date]
    after: tuple[date, date]
    per: str = ""
    opening: Decimal = ZERO
    closing: Decimal = ZERO
    rows: tuple[dict[str, Any], ...] = ()
    saved: Decimal = ZERO
    change: Decimal | None = None
    problem: str = ""

    @property
    def days(self) -> int:
        return (self.after[1] - self.after[0]).days


def account_suggestions(viewer: Viewer, account: Account, now: datetime) -> list[Suggestion]:
    """Return two or three ways to save that nobody has proposed yet; none when nothing is worth it."""
    taken = {
        (row.evidence.get("kind"), str(row.workflow_id or ""))
        for row in CostProposal.objects.visible_to(viewer).filter(account=account)
        if row.state in (CostProposal.State.PROPOSED, CostProposal.State.ACCEPTED) or _is_recent(row, now)
    }
    found = suggestions(_flows(viewer, account, now))
    return [one for one in found if (one.kind, one.workflow) not in taken]


def _is_recent(row: CostProposal, now: datetime) -> bool:
    """Done or declined within 90 days: it is not suggested again."""
    return row.created_at >= now - timedelta(days=90)


def proof_of(viewer: Viewer, account: Account, proposal: CostProposal, now: datetime) -> Proof | None:
    """Return before against after of a done proposal: at most 28 days, whole weeks; None while it is not done."""
    if proposal.done_on is None:
        return None
    today = day_of(now, zone_of(account.timezone))
    days = min((today - proposal.done_on).days, MOST_DAYS) // 7 * 7
    after = (proposal.done_on, proposal.done_on + timedelta(days=days))
    before = (proposal.done_on - timedelta(days=days), proposal.done_on)
    if days < LEAST_DAYS:
        gone = max((today - proposal.done_on).days, 0)
        return Proof(before, after, problem=f"Too early to say: needs {LEAST_DAYS} closed days, has {gone}.")
    then, now_ = (_work(viewer, account, proposal, *span) for span in (before, after))
    unit = proposal.workflow.outcome_unit if proposal.workflow else "outcome"
    return _proof(then, now_, (before, after), account.currency, unit)


@exactly
def _proof(
    then: Sequence[Work], now: Sequence[Work], spans: tuple[tuple[date, date], tuple[date, date]], currency: str,
    unit: str,
) -> Proof:  # fmt: skip
    """The bridge of one outcome, or of 1,000 where one costs too little to be told in cents."""
    outcomes, spend = sum((work.outcomes for work in now), ZERO), sum((work.spend for work in now), ZERO)
    by_one = outcomes > 0 and spend / outcomes >= 10
    scale = Decimal(1) if by_one else THOUSAND
    scaled = [
        [Work(one.workflow, one.units, one.attempts, one.outcomes, one.spend * scale) for one in period]
        for period in (then, now)
    ]
    try:
        bridge = unit_cost_bridge(*scaled, places=exponent(currency))
    except BridgeError:
        return Proof(*spans, problem="No outcomes in one of the two periods, so there is no cost of an outcome.")
    rows = bridge_rows(_as_card(bridge.opening, bridge.closing, bridge.parts), "Before", "After")
    for row in rows:
        if row["is_total"]:
            row["words"] = ""
    old = sum((work.spend for work in then), ZERO) / sum((work.outcomes for work in then), ZERO)
    return Proof(
        *spans,
        per=f"one {unit}" if by_one else f"1,000 {plural_of(unit)}",
        opening=bridge.opening,
        closing=bridge.closing,
        rows=tuple(rows),
        saved=old * outcomes - spend,
        change=bridge.closing / bridge.opening - 1 if bridge.opening else None,
    )


def _as_card(opening: Decimal, closing: Decimal, parts: Parts) -> dict[str, Any]:
    named = [
        {"name": name, "label": label, "words": words, "amount": str(getattr(parts, name))}
        for name, (label, words) in BRIDGE_NAMES.items()
        if getattr(parts, name)
    ]
    return {"opening": str(opening), "closing": str(closing), "parts": named}


def _work(viewer: Viewer, account: Account, proposal: CostProposal, start: date, end: date) -> list[Work]:
    rows = UsageDay.objects.visible_to(viewer).filter(account=account, day__gte=start, day__lt=end)
    if proposal.workflow_id is not None:
        rows = rows.filter(workflow_id=proposal.workflow_id)
    sums = rows.values("workflow_id", "meter_id").annotate(
        units=Sum("quantity"), attempts=Sum("events"), done=Sum("outcomes"), money=Sum("spend")
    )
    return [
        Work(
            f"{row['workflow_id']}/{row['meter_id']}",
            row["units"],
            Decimal(row["attempts"]),
            row["done"],
            row["money"] or ZERO,
        )
        for row in sums.order_by("workflow_id", "meter_id")
    ]


def _flows(viewer: Viewer, account: Account, now: datetime) -> list[FlowUse]:
    zone = zone_of(account.timezone)
    today = day_of(now, zone)
    since = today - timedelta(days=DAYS)
    window = windows(viewer.organization_id, {account.pk: today}, before=False)[0]
    flows = {flow.pk: flow for flow in Workflow.objects.visible_to(viewer).filter(account=account)}
    with connection.cursor() as cursor:
        cursor.execute(
            _ATTEMPTS,
            {
                "organization": viewer.organization_id, "account": account.pk, "zone": account.timezone,
                "since": since, "today": today, "start": day_start(since, zone), "end": day_start(today, zone),
            },
        )  # fmt: skip
        attempts: dict[Any, list[Attempts]] = defaultdict(list)
        for workflow, number, events, successes, spend, failed in cursor.fetchall():
            attempts[workflow].append(Attempts(number, max(spend, ZERO), events, successes, max(failed or ZERO, ZERO)))
    classes = _classes(viewer, account, since, today)
    used = [row for row in window.used.get(account.pk, ()) if row.workflow_id in flows]
    errors = _top_errors(viewer, account, now, used, flows)
    return [
        _flow(row, flows[row.workflow_id], attempts[row.workflow_id], classes[row.workflow_id], errors)
        for row in used
        if row.workflow_id is not None
    ]


def _flow(
    row: Used, flow: Workflow, attempts: Sequence[Attempts], classes: dict[str, list[ClassUse]], errors: dict[Any, str]
) -> FlowUse:
    return FlowUse(
        workflow=str(flow.pk),
        name=flow.name,
        spend=row.spend,
        finished=row.finished,
        successes=row.successes,
        target=flow.success_target or USUAL_TARGET,
        failed=row.failed + row.vendor,
        duplicates=row.duplicates,
        repeated=row.repeated,
        attempts=attempts,
        jobs=sum(one.events for one in attempts if one.number <= 1),
        classes=classes,
        top_error=errors.get(flow.pk, ""),
    )


def _classes(viewer: Viewer, account: Account, since: date, today: date) -> dict[Any, dict[str, list[ClassUse]]]:
    """Return {workflow: {dimension: what its values were used for}}; of the meter with the most spend in each."""
    rows = (
        UsageDay.objects.visible_to(viewer).filter(account=account, day__gte=since, day__lt=today).exclude(group="")
        .values("workflow_id", "meter_id", "group")
        .annotate(units=Sum("quantity"), money=Sum("spend"), done=Sum("finished"), good=Sum("successes"))
    )  # fmt: skip
    by_meter: dict[Any, dict[Any, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_meter[row["workflow_id"]][row["meter_id"]].append(row)
    found: dict[Any, dict[str, list[ClassUse]]] = defaultdict(dict)
    for workflow, meters in by_meter.items():
        largest = max(meters.values(), key=lambda own: sum((row["money"] or ZERO for row in own), ZERO))
        found[workflow] = _by_dimension(largest)
    return found


def _by_dimension(rows: Iterable[dict[str, Any]]) -> dict[str, list[ClassUse]]:
    sums: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(lambda: [ZERO, ZERO, 0, 0]))
    for row in rows:
        values = json.loads(row["group"])
        for dimension, value in values.items() if isinstance(values, dict) else ():
            total = sums[dimension][str(value)]
            for at, name in enumerate(("units", "money", "done", "good")):
                total[at] += row[name] or 0
    return {
        dimension: [ClassUse(value, *total) for value, total in sorted(values.items()) if value]
        for dimension, values in sums.items()
    }


def _top_errors(
    viewer: Viewer, account: Account, now: datetime, used: Sequence[Used], flows: dict[Any, Workflow]
) -> dict[Any, str]:
    none = waste([])
    lines = [
        Line(account, row.workflow_id, flows[row.workflow_id].name, "", None, row, None, none, none)
        for row in used
        if row.workflow_id is not None
    ]
    add_errors(lines, viewer, now)
    return {line.workflow_id: next((error for error, _ in line.errors if error), "") for line in lines}


def saved_words(proof: Proof, currency: str) -> str:
    """Return what a done proposal brought: "The cost of 1,000 answers fell by 36%, from $71.00 to $45.20."."""
    if proof.problem:
        return proof.problem
    opening, closing = (money_text(amount, currency) for amount in (proof.opening, proof.closing))
    if proof.change is None or not proof.change:
        return f"The cost of {proof.per} is what it was: {closing}."
    verb = "fell" if proof.change < 0 else "rose"
    share = percent_text(abs(proof.change), places=0)
    told = f"The cost of {proof.per} {verb} by {share}, from {opening} to {closing}."
    amount = money_text(abs(proof.saved), currency, places=0)
    less = "less" if proof.saved >= 0 else "more"
    return f"{told} What {counted(proof.days, 'day')} brought cost {amount} {less} than before."
