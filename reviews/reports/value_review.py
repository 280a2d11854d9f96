"""All figures of a value review, found in the records and in nothing else: what a draft holds and a review freezes.

Amounts are text of exact decimals in the account's currency, days are ISO dates, null is not known and a sentence
beside it says why. The keys are the contract between this, the page and the files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from accounts.models import Account, Organization
from budgets.calc.bridge import BridgeError, Change, unit_cost_bridge
from consumption_cs.lib.display import plural_of
from consumption_cs.lib.money import exactly, exponent, round_to
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.unit_cost import Valued, cost_per_outcome, outcomes_per_thousand, return_on_spend
from reviews.reports import value_review_money as money
from reviews.reports import value_review_next as ahead
from reviews.reports.value_review_sums import Flow, Sums, meters_of, names_of, period_sums
from reviews.reports.value_review_terms import Terms, terms_of
from reviews.reports.value_review_words import PARTS, improvements, named, part_why
from usage.calc.intervals import ENOUGH_RUNS, wilson
from usage.models import Workflow
from usage.reports.freshness import data_through
from usage.reports.overview_words import short_date

SCHEMA = 1
ZERO, THOUSAND = Decimal(0), Decimal(1000)
_PLACES = 12  # of ratios, exact enough to be divided again


@dataclass(frozen=True, slots=True)
class Asked:
    """What a review is about: local days [start, end) against [before_start, before_end), as known at `now`."""

    viewer: Viewer
    account: Account
    start: date
    end: date
    before_start: date
    before_end: date
    now: datetime


def find_figures(asked: Asked) -> dict[str, Any]:
    """Return the figures of a review, ready to be frozen. About 25 queries, whatever the number of workflows."""
    viewer, account = asked.viewer, asked.account
    flows, terms = names_of(viewer, account), terms_of(viewer, account, asked.now)
    until = day_of(asked.now, zone_of(account.timezone))
    spans = [(asked.before_start, asked.before_end), (asked.start, asked.end)]
    lags = {name: one.lag_days for name, one in terms.items()}
    before, after = period_sums(viewer, account, spans, lags, until)
    commit, commit_missing = money.commit(viewer, account, asked.start, asked.now)
    if commit:
        commit["decision"] = money.decision_words(commit, account.currency)
    values = [_value(flows[name], after, terms) for name in _order(after, flows)]
    figures: dict[str, Any] = {
        "schema": SCHEMA,
        "account": _of_account(account),
        "organization": _of_organization(viewer),
        "period": _period(asked.start, asked.end),
        "before": _period(asked.before_start, asked.before_end),
        "as_of": asked.now.isoformat(),
        "data_through": data_through(viewer, asked.now).data_through.isoformat(),
        "days": (asked.end - asked.start).days,
        "days_with_data": after.days_with_data,
        "totals": _totals(before, after, values, flows, account),
        **_bridge(before, after, flows, meters_of(viewer), account),
        "success": [_success(flows[name], before, after) for name in _order(after, flows)],
        "spend": money.spend(viewer, account, asked.start, asked.end, asked.now),
        "commit": commit,
        "commit_missing": commit_missing,
        "incidents": money.incidents(viewer, account, asked.start, asked.end, asked.now),
        "values": values,
        "savings": money.savings(viewer, account, asked.now),
        "next": ahead.next_workflows(viewer, account),
        **ahead.objectives(viewer, account, asked.now),
        "trust": ahead.trust(viewer, account, after, asked),
    }
    _add_sums(figures, account)
    notes = improvements(viewer, account, asked.start, asked.end, asked.now)
    for one in figures["success"]:
        one["why"] = notes.get(one["id"], "")
    figures["named"] = named(figures)
    return figures


def _of_account(account: Account) -> dict[str, str]:
    return {
        "id": str(account.pk), "key": account.key, "name": account.name, "currency": account.currency,
        "timezone": account.timezone,
    }  # fmt: skip


def _of_organization(viewer: Viewer) -> dict[str, str]:
    organization = Organization.objects.get(pk=viewer.organization_id)
    return {"id": str(organization.pk), "name": organization.name}


def _period(start: date, end: date) -> dict[str, str]:
    last = end - timedelta(days=1)
    year = f", {start.year}" if start.year != last.year else ""
    months = [f"{day:%b}" + (f" {day.year}" if year else "") for day in (start, last)]
    return {
        "starts_on": start.isoformat(),
        "ends_on": end.isoformat(),
        "label": f"{short_date(start)}{year} to {short_date(last)}, {last.year}",
        "short": months[0] if months[0] == months[1] else " to ".join(months),
    }


def _order(sums: Sums, flows: Mapping[str, Workflow]) -> list[str]:
    """Return the workflows that were used, the dearest first."""
    used = [name for name in sums.flows if name in flows]
    return sorted(used, key=lambda name: (-sums.flows[name].spend, flows[name].name, name))


@exactly
def _totals(
    before: Sums, after: Sums, values: Sequence[dict[str, Any]], flows: Mapping[str, Workflow], account: Account
) -> dict[str, Any]:
    units = {flows[name].outcome_unit for name in after.flows if name in flows and after.flows[name].outcomes}
    rates = [outcomes_per_thousand(one.spend, one.outcomes) if one.outcomes else None for one in (before, after)]
    costs = [cost_per_outcome(one.spend * THOUSAND, one.outcomes) for one in (before, after)]
    valued = [
        Valued(Decimal(one["outcomes"]), Decimal(one["value_each"]) if one["value_each"] else None,
               one["state"] == "confirmed")
        for one in values
    ]  # fmt: skip
    worth = return_on_spend(valued, after.spend)
    rate_before, rate = rates
    return {
        "spend": _money(after.spend, account), "spend_before": _money(before.spend, account),
        "outcomes": _plain(after.outcomes), "outcomes_before": _plain(before.outcomes),
        "attempts": after.attempts, "attempts_before": before.attempts,
        "successes": after.successes, "successes_before": before.successes,
        "unit": plural_of(units.pop()) if len(units) == 1 else "outcomes",
        "per_thousand": _money(costs[1], account), "per_thousand_before": _money(costs[0], account),
        "per_money": _ratio(rate), "per_money_before": _ratio(rate_before),
        "change": _ratio(rate / rate_before - 1 if rate is not None and rate_before else None),
        "outcomes_change": _ratio(after.outcomes / before.outcomes - 1 if before.outcomes else None),
        "confirmed_value": _money(worth.value if worth.ratio is not None else None, account),
        "return": _ratio(worth.ratio), "unconfirmed": _plain(worth.unconfirmed),
        "missing": _missing(before, after),
    }  # fmt: skip


def _missing(before: Sums, after: Sums) -> str | None:
    if not after.outcomes:
        return "No outcome was counted in this period, so there is no cost of one."
    return None if before.outcomes else "No outcome was counted in the period before, so there is nothing to compare."


@exactly
def _bridge(
    before: Sums, after: Sums, flows: Mapping[str, Workflow], units: Mapping[str, str], account: Account
) -> dict[str, Any]:
    """Return the split of the change of the cost of 1,000 outcomes; its parts, shown in cents, add up."""
    scaled = [
        [replace(one, spend=one.spend * THOUSAND) for one in period] for period in (before.works(), after.works())
    ]
    try:
        bridge = unit_cost_bridge(*scaled, places=exponent(account.currency))
    except BridgeError:
        return {"bridge": None, "bridge_missing": _missing(before, after)}
    parts = dict(zip(PARTS, bridge.parts.amounts(), strict=True))
    shown = [
        {
            "key": key, "label": PARTS[key], "amount": _money(amount, account),
            "why": part_why(key, amount, before, after, flows, units, account, bridge.workflows),
        }
        for key, amount in parts.items()
        if amount or key in ("price", "efficiency", "reliability", "mix")
    ]  # fmt: skip
    return {
        "bridge": {
            "opening": _money(bridge.opening, account), "closing": _money(bridge.closing, account),
            "change": _money(bridge.closing - bridge.opening, account), "parts": shown,
            "workflows": _by_workflow(bridge.workflows, bridge.parts.amounts(), flows, account),
        },
        "bridge_missing": None,
    }  # fmt: skip


def _by_workflow(
    changes: Sequence[Change], totals: Sequence[Decimal], flows: Mapping[str, Workflow], account: Account
) -> list[dict[str, Any]]:
    """Return the parts of each workflow in cents; each column adds up to its part of the whole."""
    columns = zip(*(change.amounts() for change in changes), strict=True)
    rounded = [money.round_column(column, total, account) for column, total in zip(columns, totals, strict=True)]
    rows = []
    for change, amounts in zip(changes, zip(*rounded, strict=True), strict=True):
        flow = flows.get(change.workflow)
        if flow is None and not any(amounts):
            continue
        rows.append(
            {
                "id": change.workflow, "name": flow.name if flow else "Without a workflow",
                "parts": {key: _money(amount, account) for key, amount in zip(PARTS, amounts, strict=True)},
                "total": _money(sum(amounts, ZERO), account),
            }
        )  # fmt: skip
    return sorted(rows, key=lambda row: (-abs(Decimal(row["total"] or 0)), row["name"]))


def _success(flow: Workflow, before: Sums, after: Sums) -> dict[str, Any]:
    now, then = after.flows[str(flow.pk)], before.flows.get(str(flow.pk))
    found: dict[str, Any] = {
        "id": str(flow.pk), "name": flow.name, "attempts": now.finished,
        "attempts_before": then.finished if then else 0, "target": _ratio(flow.success_target),
        "rate": None, "rate_before": _rate(then), "low": None, "high": None, "missing": None,
    }  # fmt: skip
    if now.finished < ENOUGH_RUNS or not 0 <= now.successes <= now.finished:
        return found | {"missing": f"Needs {ENOUGH_RUNS} finished attempts, has {max(now.finished, 0)}."}
    low, high = wilson(now.successes, now.finished)
    return found | {"rate": _rate(now), "low": f"{low:.6f}", "high": f"{high:.6f}"}


def _rate(flow: Flow | None) -> str | None:
    if flow is None or flow.finished < ENOUGH_RUNS:
        return None
    return _ratio(Decimal(flow.successes) / flow.finished)


@exactly
def _value(flow: Workflow, after: Sums, terms: Mapping[str, Terms]) -> dict[str, Any]:
    done, one = after.flows[str(flow.pk)], terms.get(str(flow.pk))
    is_confirmed = one is not None and one.state == "confirmed" and one.value_each is not None
    each = one.value_each if one and is_confirmed else None
    return {
        "id": str(flow.pk), "name": flow.name, "unit": plural_of(flow.outcome_unit), "unit_one": flow.outcome_unit,
        "outcomes": _plain(done.outcomes), "value_each": f"{each.normalize():f}" if each is not None else None,
        "value": f"{round_to(done.outcomes * each, exponent(one.currency)):f}" if one and each is not None else None,
        "state": one.state if one else "none", "who": one.who if one else "", "on": one.on if one else None,
        "definition": one.definition if one else "", "lag_days": one.lag_days if one else 0,
    }  # fmt: skip


def _add_sums(figures: dict[str, Any], account: Account) -> None:
    """Add the sums that stand under the lists."""
    cost = sum((Decimal(one["cost"]) for one in figures["incidents"]), ZERO)
    credit = sum((Decimal(one["credited"]) for one in figures["incidents"]), ZERO)
    found = sum((Decimal(one["saving"]) for one in figures["savings"]), ZERO)
    spent = Decimal(figures["totals"]["spend"])
    a_month = spent / figures["days"] * Decimal("30.4375") if figures["days"] else ZERO
    figures |= {
        "incident_cost": _money(cost, account), "incident_credit": _money(credit, account),
        "incident_net": _money(cost - credit, account), "savings_total": _money(found, account),
        "savings_share": _ratio(found / a_month if a_month > 0 else None),
    }  # fmt: skip


def _money(amount: Decimal | None, account: Account) -> str | None:
    return None if amount is None else f"{round_to(amount, exponent(account.currency)):f}"


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _ratio(value: Decimal | None) -> str | None:
    return None if value is None else f"{round_to(value, _PLACES).normalize():f}"
