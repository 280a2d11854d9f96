"""A workflow's page in sentences and rows."""

from dataclasses import dataclass

from accounts.models import Account
from consumption_cs.lib.display import counted, money_text, percent_text, quantity_text, unit_price_text
from usage.reports.overview import Figures
from usage.reports.overview_words import Fact, Words, month_name, whole
from usage.reports.workflows import WorkflowSeen


def workflow_headline(seen: WorkflowSeen, account: Account) -> list[Words]:
    """What the workflow cost this month and what one of its outcomes cost."""
    total, name, month = seen.total, seen.workflow.name, month_name(seen.month)
    so_far = f" so far in {month}" if seen.month.is_running else f" in {month}"
    if not total.events:
        return [Words(f"{name} was not used{so_far}.")]
    cost = Words(whole(total.spend, account.currency), strong=True)
    if total.spend is None:
        return [
            Words(f"{name} sent "),
            Words(counted(total.events, "event"), strong=True),
            Words(f"{so_far}; not priced yet."),
        ]
    if total.unit_cost is None:
        return [Words(f"{name} cost "), cost, Words(f"{so_far} and reported no outcome.")]
    outcomes = counted(total.outcomes, seen.workflow.outcome_unit)
    each = Words(unit_price_text(total.unit_cost, account.currency), strong=True)
    return [Words(f"{name} cost "), cost, Words(f"{so_far}: {outcomes} at "), each, Words(" each.")]


def workflow_facts(seen: WorkflowSeen, account: Account) -> list[Fact]:
    """Spend against the same days before, cost per outcome, success rate, events."""
    return [_against(seen, account), _unit_cost(seen, account), _success(seen), _events(seen)]


def _against(seen: WorkflowSeen, account: Account) -> Fact:
    label = f"Spend against {month_name(seen.month.before)}"
    if seen.month.is_running:
        label = f"Against the same {counted(seen.month.compared, 'day')} of {month_name(seen.month.before)}"
    if seen.change is None:
        return Fact(label, "nothing to compare with", none=True)
    return Fact(label, percent_text(seen.change, signed=True), whole(seen.before.spend, account.currency))


def _unit_cost(seen: WorkflowSeen, account: Account) -> Fact:
    label = f"Cost per {seen.workflow.outcome_unit}"
    if seen.total.unit_cost is None:
        return Fact(label, "no outcomes", none=True)
    moved = seen.unit_cost_change
    note = "" if moved is None else f"{percent_text(moved, places=0, signed=True)} on {month_name(seen.month.before)}"
    tone = "" if moved is None or abs(moved) < 0.005 else "bad" if moved > 0 else "good"
    return Fact(label, unit_price_text(seen.total.unit_cost, account.currency), note, tone)


def _success(seen: WorkflowSeen) -> Fact:
    total = seen.total
    if total.success_rate is None or total.interval is None:
        return Fact("Success rate", "no run said how it ended", none=True)
    if not total.is_sure:
        return Fact("Success rate", f"needs 30 finished runs, has {total.finished}", none=True)
    low, high = total.interval
    tone = "bad" if seen.workflow.success_target and total.success_rate < seen.workflow.success_target else ""
    return Fact("Success rate", percent_text(total.success_rate), f"{percent_text(low)} to {percent_text(high)}", tone)


def _events(seen: WorkflowSeen) -> Fact:
    failed = seen.total.finished - seen.total.successes
    note = f"{quantity_text(failed)} of them failed" if failed else ""
    return Fact("Events", quantity_text(seen.total.events) if seen.total.events else "none", note)


@dataclass(frozen=True, slots=True)
class MonthRow:
    """One month of the table, as text."""

    month: str
    is_running: bool
    spend: str
    outcomes: str
    success: str
    unit_cost: str


def workflow_months(seen: WorkflowSeen, account: Account) -> list[MonthRow]:
    """The last twelve months, the latest first."""
    return [
        MonthRow(
            month=f"{first:%B %Y}",
            is_running=first == seen.month.today.replace(day=1),
            spend=money_text(row.spend, account.currency) if row.spend is not None else "no price yet",
            outcomes=quantity_text(row.outcomes, places=0) if row.outcomes else "none",
            success=_rate(row),
            unit_cost=unit_price_text(row.unit_cost, account.currency) if row.unit_cost is not None else "no outcomes",
        )
        for first, row in reversed(seen.months)
    ]


def _rate(row: Figures) -> str:
    if row.success_rate is None:
        return "not reported"
    return percent_text(row.success_rate) if row.is_sure else f"needs 30 runs, has {row.finished}"
