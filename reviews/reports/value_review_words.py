"""The words of a value review: what each step of the bridge was, what improved, the figures by name, a first text."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from accounts.models import Account
from budgets.calc.bridge import Change
from consumption_cs.lib.display import listed, money_text, percent_text, plural_of, quantity_text, unit_price_text
from consumption_cs.lib.money import round_to
from consumption_cs.lib.tenancy import Viewer
from reviews.models import CostProposal, Milestone
from reviews.reports.value_review_money import long_date
from reviews.reports.value_review_sums import Flow, Line, Sums
from usage.models import Workflow
from usage.reports.overview_words import short_date

ZERO = Decimal(0)
PARTS = {
    "price": "Price",
    "efficiency": "Efficiency",
    "reliability": "Reliability",
    "mix": "Mix",
    "started": "Started",
    "stopped": "Stopped",
    "undelivered": "Without outcomes",
}
_UNCHANGED = {
    "price": "Each unit cost what it did before",
    "efficiency": "As many units for each attempt as before",
    "reliability": "As many attempts for each outcome as before",
    "mix": "The same blend of workflows as before",
}
_DONE = {
    "price": ("Each unit cost more", "Each unit cost less"),
    "efficiency": ("More units for the same work", "Fewer units for the same work"),
    "reliability": ("More paid attempts that fail", "Fewer paid attempts that fail"),
    "mix": ("More of the outcomes come from dearer workflows", "More of the outcomes come from cheaper workflows"),
    "started": ("Work that was not there before", "Work that was not there before"),
    "stopped": ("Work that is not there any more", "Work that is not there any more"),
    "undelivered": (
        "More was spent where no outcome is counted, corrections included",
        "Less was spent where no outcome is counted, corrections included",
    ),
}


def part_why(
    key: str, amount: Decimal, before: Sums, after: Sums, flows: Mapping[str, Workflow], units: Mapping[str, str],
    account: Account, changes: Sequence[Change],
) -> str:  # fmt: skip
    """Return what stands behind one step: which workflow carried most of it, with its figures then and now."""
    if not amount:
        return _UNCHANGED.get(key, "")
    first = _DONE[key][amount < 0]
    same_way = [one for one in changes if (getattr(one, key) > 0) == (amount > 0) and getattr(one, key)]
    main = max(same_way, key=lambda one: abs(getattr(one, key)), default=None)
    if main is None or main.workflow not in flows:
        return first
    said = _then_now(key, main.workflow, before, after, units, account)
    return f"{first}: mostly {flows[main.workflow].name}{said}"


def _then_now(
    key: str, name: str, before: Sums, after: Sums, units: Mapping[str, str], account: Account
) -> str:  # fmt: skip
    then, now = before.flows.get(name), after.flows.get(name)
    if then is None or now is None or not (then.attempts and now.attempts):
        return ""
    if key == "reliability" and then.finished and now.finished:
        rates = [percent_text(Decimal(one.successes) / one.finished) for one in (then, now)]
        return f", success from {rates[0]} to {rates[1]}"
    if key == "mix" and before.outcomes and after.outcomes:
        shares = [
            percent_text(one.outcomes / total) for one, total in ((then, before.outcomes), (now, after.outcomes))
        ]
        return f", {shares[1]} of outcomes, before {shares[0]}" if shares[0] != shares[1] else ""
    own = [[line for line in sums.lines if line.workflow == name] for sums in (before, after)]
    if len(own[0]) != 1 or len(own[1]) != 1 or not (own[0][0].units > 0 and own[1][0].units > 0):
        return ""
    unit = units.get(own[1][0].meter, "unit")
    if key == "efficiency":
        used = [_units_tried(line, flow) for (line,), flow in zip(own, (then, now), strict=True)]
        return f", from {used[0]} to {used[1]} {plural_of(unit)} for each outcome tried" if all(used) else ""
    if key == "price":
        paid = [line.spend / line.units for (line,) in own]
        many = next((many for many in (1, 1_000, 1_000_000) if min(paid) * many >= Decimal("0.01")), 1_000_000)
        prices = [unit_price_text(round_to(price * many, 4), account.currency) for price in paid]
        per = f"a {unit}" if many == 1 else f"for {many:,} {plural_of(unit)}"
        return f", from {prices[0]} to {prices[1]} {per}"
    return ""


def _units_tried(line: Line, flow: Flow) -> str:
    """Units for an outcome if every attempt had delivered; empty when that is not known."""
    if not flow.outcomes:
        return ""
    rate = Decimal(flow.successes) / flow.finished if flow.finished and flow.successes else Decimal(1)
    units = line.units * rate / flow.outcomes
    return quantity_text(units, places=0 if units >= 100 else 2)


def improvements(viewer: Viewer, account: Account, start: date, end: date, now: datetime) -> dict[str, str]:
    """Return by workflow id what was done in [start, end) that may have improved it: shared steps and savings only."""
    steps = Milestone.objects.visible_to(viewer).filter(
        account=account, is_shared=True, removed_at=None, workflow__isnull=False,
        done_on__gte=start, done_on__lt=end, done_at__lte=now,
    )  # fmt: skip
    done = CostProposal.objects.visible_to(viewer).filter(
        account=account, is_shared=True, workflow__isnull=False, state=CostProposal.State.DONE,
        done_on__gte=start, done_on__lt=end,
    )  # fmt: skip
    rows = [(row.done_on, row.workflow_id, row.title) for row in (*steps, *done)]
    found: dict[str, list[str]] = {}
    for day, workflow, title in sorted(rows):
        found.setdefault(str(workflow), []).append(f"{title}, {short_date(day)}")
    return {name: "; ".join(titles[-2:]) for name, titles in found.items()}


def named(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return the figures that a text may use, by name, as they are shown. What is not known has no name."""
    totals, currency = figures["totals"], figures["account"]["currency"]
    found: dict[str, str | None] = {
        "account": figures["account"]["name"],
        "organization": figures["organization"]["name"],
        "period": figures["period"]["label"],
        "period_short": figures["period"]["short"],
        "before": figures["before"]["short"],
        "unit": totals["unit"],
        "spend": _money(totals["spend"], currency),
        "spend_before": _money(totals["spend_before"], currency),
        "outcomes": _count(totals["outcomes"]),
        "outcomes_before": _count(totals["outcomes_before"]),
        "outcomes_change": _percent(totals["outcomes_change"]),
        "attempts": quantity_text(Decimal(totals["attempts"]), places=0),
        "cost_per_thousand": _money(totals["per_thousand"], currency, cents=True),
        "cost_per_thousand_before": _money(totals["per_thousand_before"], currency, cents=True),
        "per_money": _count(totals["per_money"]),
        "per_money_before": _count(totals["per_money_before"]),
        "change": _percent(totals["change"]),
        "confirmed_value": _money(totals["confirmed_value"], currency),
        "return": _money(totals["return"], currency, cents=True),
        "budget": _money(figures["spend"]["budget"], currency),
        **_left(figures["spend"]["left"], currency),
        "credits": _money(figures["spend"]["credits"], currency),
        "incident_cost": _money(figures["incident_cost"], currency),
        "incident_net": _money(figures["incident_net"], currency),
        "incidents": str(len(figures["incidents"])),
        "savings": _money(figures["savings_total"], currency),
        "thousand": money_text(Decimal(1000), currency, places=0),
        "one": money_text(Decimal(1), currency, places=0),
    }
    return {name: text for name, text in (found | _of_parts(figures) | _of_commit(figures)).items() if text}


def _left(left: str | None, currency: str) -> dict[str, str | None]:
    """What was left of the budget or what went over it: only the one that is so has a name."""
    name = "over_budget" if left and Decimal(left) < 0 else "under_budget"
    return {name: _money(left, currency)}


def _of_parts(figures: Mapping[str, Any]) -> dict[str, str | None]:
    currency, bridge = figures["account"]["currency"], figures["bridge"]
    parts = {f"{part['key']}_part": part["amount"] for part in bridge["parts"]} if bridge else {}
    found = {name: _money(amount, currency, cents=True) for name, amount in parts.items()}
    if bridge:
        found["bridge_change"] = _money(bridge["change"], currency, cents=True)
    for at, row in enumerate(figures["success"], 1):
        found[f"workflow_{at}"] = row["name"]
        found[f"success_{at}"] = percent_text(Decimal(row["rate"])) if row["rate"] else None
    return found | {f"next_{at}": row["title"] for at, row in enumerate(figures["next"], 1)}


def _of_commit(figures: Mapping[str, Any]) -> dict[str, str | None]:
    commit, currency = figures["commit"], figures["account"]["currency"]
    if commit is None:
        return {}
    return {
        "commit": _money(commit["amount"], currency),
        "commit_used": _money(commit["used"], currency),
        "commit_left": _money(commit["left"], currency),
        "commit_share": percent_text(Decimal(commit["used_share"])),
        "term_share": percent_text(Decimal(commit["term_share"])) if commit["term_share"] else None,
        "run_out": long_date(commit["p50"]) if commit["p50"] else None,
        "run_out_early": long_date(commit["p10"]) if commit["p10"] else None,
        "run_out_late": long_date(commit["p90"]) if commit["p90"] else None,
        "decide_by": long_date(commit["decide_by"]) if commit["decide_by"] else None,
        "top_up": _money(commit["top_up"], currency),
    }


def first_text(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return a first text of the sections that can be written from the figures; a person makes it theirs."""
    found = {
        "headline": _headline(figures),
        "lead": " ".join(filter(None, [_lead_bridge(figures), _lead_budget(figures), _lead_decision(figures)])),
        "bridge": _bridge_text(figures),
        "success": _success_text(figures),
        "spend": _spend_text(figures),
        "incidents": "{incidents} incidents cost you {incident_net}" if figures["incidents"] else "Nothing went wrong",
        "values": "You have confirmed {confirmed_value} of value, {return} for each {one} spent"
        if figures["totals"]["confirmed_value"]
        else "No value of an outcome has been confirmed yet",
        "savings": "{savings} a month more can be saved" if figures["savings"] else "No further savings were found",
        "next": _next_text(figures),
    }
    if len(figures["incidents"]) == 1:
        found["incidents"] = "One incident cost you {incident_net}"
    return {name: text for name, text in found.items() if text}


def _headline(figures: Mapping[str, Any]) -> str:
    totals = figures["totals"]
    if totals["per_money"] is None:
        return "You spent {spend}; no outcome was counted yet"
    if totals["change"] is None:
        return "You got {per_money} {unit} for each {thousand}"
    change = Decimal(totals["change"])
    if abs(change) < Decimal("0.005"):
        return "You got as many {unit} per {one} as before: {per_money} for each {thousand}"
    more = "more" if change > 0 else "fewer"
    said = f"You got {{change}} {more} {{unit}} per {{one}}"
    return said + ": {per_money} for each {thousand}, before {per_money_before}"


def _lead_bridge(figures: Mapping[str, Any]) -> str:
    bridge = figures["bridge"]
    if bridge is None:
        return figures["bridge_missing"] or ""
    downs = sorted(
        (part for part in bridge["parts"] if Decimal(part["amount"]) < 0), key=lambda part: Decimal(part["amount"])
    )
    ups = sorted(
        (part for part in bridge["parts"] if Decimal(part["amount"]) > 0), key=lambda part: -Decimal(part["amount"])
    )
    said = []
    if downs:
        said.append(f"{listed([part['label'].lower() for part in downs[:2]])} made it cheaper")
    if ups:
        said.append(f"{listed([part['label'].lower() for part in ups[:2]])} made it dearer")
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _lead_budget(figures: Mapping[str, Any]) -> str:
    left = figures["spend"]["left"]
    if left is None:
        return ""
    return "Spend stayed inside budget." if Decimal(left) >= 0 else "Spend went over budget."


def _lead_decision(figures: Mapping[str, Any]) -> str:
    commit = figures["commit"]
    if not commit or not commit["decide_by"]:
        return ""
    if commit["decide_by"] < figures["as_of"][:10]:
        return "A decision on topping up the commit was due by {decide_by}."
    return "One decision is needed by {decide_by}: whether to top up the commit."


def _bridge_text(figures: Mapping[str, Any]) -> str:
    bridge = figures["bridge"]
    if bridge is None:
        return ""
    parts = sorted(bridge["parts"], key=lambda part: -abs(Decimal(part["amount"])))
    main = parts[0]
    if not Decimal(main["amount"]):
        return "The cost of an outcome did not change"
    verb = "cut" if Decimal(main["amount"]) < 0 else "added"
    text = f"{main['label']} {verb} {{{main['key']}_part}} {'from' if verb == 'cut' else 'to'} each thousand {{unit}}"
    other = next((part for part in parts[1:] if Decimal(part["amount"]) * Decimal(main["amount"]) < 0), None)
    if other is not None:
        text += f"; {other['label'].lower()} {'gave back' if verb == 'cut' else 'took off'} {{{other['key']}_part}}"
    return text


def _success_text(figures: Mapping[str, Any]) -> str:
    numbered = enumerate(figures["success"], 1)
    both = [
        (Decimal(row["rate"]) - Decimal(row["rate_before"]), at)
        for at, row in numbered
        if row["rate"] and row["rate_before"]
    ]
    if not both:
        return "Success of each workflow" if figures["success"] else ""
    (worst, fell), (best, rose) = min(both), max(both)
    if worst > 0 and len(both) > 1:
        return f"All workflows succeed more often; {{workflow_{rose}}} improved most"
    if best > 0:
        return f"{{workflow_{rose}}} improved most"
    if worst == 0:
        return "Workflows succeed as often as before"
    return f"No workflow succeeds more often than before; {{workflow_{fell}}} fell most"


def _spend_text(figures: Mapping[str, Any]) -> str:
    left, commit = figures["spend"]["left"], figures["commit"]
    said = ["Inside budget" if left and Decimal(left) >= 0 else "Over budget"] if left else []
    if commit and commit["p50"]:
        said.append("the commit most likely ends {run_out}")
    elif commit:
        said.append("the commit lasts beyond its term")
    text = "; ".join(said) or "What was spent"
    return text[0].upper() + text[1:]


def _next_text(figures: Mapping[str, Any]) -> str:
    return "Next: {next_1}" if figures["next"] else ""


def _money(amount: str | None, currency: str, *, cents: bool = False) -> str | None:
    if amount is None:
        return None
    return money_text(abs(Decimal(amount)), currency, places=None if cents else 0)


def _count(amount: str | None) -> str | None:
    return None if amount is None else quantity_text(Decimal(amount), places=0)


def _percent(ratio: str | None) -> str | None:
    return None if ratio is None else percent_text(abs(Decimal(ratio)), places=0)


def quarter_before(day: date) -> tuple[date, date]:
    """Return the calendar quarter [start, end) that ended before `day`."""
    start = date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
    last = start - timedelta(days=1)
    return date(last.year, (last.month - 1) // 3 * 3 + 1, 1), start
