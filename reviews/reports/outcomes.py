"""What the work of an account achieved: outcomes of each workflow, what one costs, and its worth once confirmed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import OuterRef, Prefetch, Subquery

from accounts.models import Account
from consumption_cs.lib.display import plural_of
from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import add_months, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.unit_cost import Return, Valued, cost_per_outcome, outcomes_per_thousand, return_on_spend
from reviews.calc.waste import Waste, waste
from reviews.models import OutcomeAnswer, OutcomeTerms
from reviews.reports.value_review_sums import Days, Sums, names_of, period_sums
from reviews.reports.value_review_terms import Terms, terms_of
from reviews.reports.waste_then import Used, Window, windows
from usage.models import Workflow

ZERO, THOUSAND = Decimal(0), Decimal(1000)
CONFIRMED = OutcomeAnswer.Answer.CONFIRMED


@dataclass(frozen=True, slots=True)
class OutcomeLine:
    """One workflow in a period. Money in the account's currency.

    `per_thousand` is the cost of 1,000 outcomes and `value` what they were worth by the confirmed value of one; None
    is not known. `open_from`: outcomes of the work from this day on are not all known yet. `asked` is the proposal
    that waits for the customer; `history` all proposals with what was said to them, the newest first. `waste` is None
    where nothing was spent, or where the events tell nothing of failures, retries or repeated work.
    """

    workflow: Workflow
    terms: Terms | None
    outcomes: Decimal
    spend: Decimal
    per_thousand: Decimal | None
    per_thousand_before: Decimal | None
    value: Decimal | None
    open_from: date | None
    asked: OutcomeTerms | None
    history: tuple[OutcomeTerms, ...]
    waste: Waste | None = None

    @property
    def unit(self) -> str:
        return plural_of(self.workflow.outcome_unit)

    @property
    def state(self) -> str:
        """confirmed, proposed, declined, or none: nobody has said what an outcome is worth."""
        return self.terms.state if self.terms else "none"

    @property
    def waste_share(self) -> Decimal | None:
        """The part of spend that bought nothing, 0 to 1."""
        return self.waste.percent / 100 if self.waste and self.waste.percent is not None else None

    @property
    def waste_mostly(self) -> str:
        """What most of the waste is; empty where there is none."""
        return mostly(self.waste)

    @property
    def value_each(self) -> Decimal | None:
        return self.terms.value_each if self.terms and self.state == CONFIRMED else None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The workflows of an account in [start, end), the dearest first, and what all of them came to.

    `waste` is the account's, minimums that were not used up included; None where nothing is told of any.
    """

    start: date
    end: date
    lines: tuple[OutcomeLine, ...]
    outcomes: Decimal
    spend: Decimal
    per_money: Decimal | None
    per_money_before: Decimal | None
    worth: Return
    waste: Waste | None

    @property
    def confirmed(self) -> int:
        return sum(line.value_each is not None for line in self.lines)

    @property
    def asked(self) -> list[OutcomeLine]:
        return [line for line in self.lines if line.asked]


def outcomes_of(viewer: Viewer, account: Account, start: date, end: date, now: datetime) -> Outcomes:
    """Return what was achieved in the local days [start, end), against as long just before. About ten queries."""
    flows, terms = names_of(viewer, account), terms_of(viewer, account, now)
    today = day_of(now, zone_of(account.timezone))
    lags = {name: one.lag_days for name, one in terms.items()}
    spans: list[Days] = [(_before(start, end), start), (start, end)]
    before, after = period_sums(viewer, account, spans, lags, today)
    history = _history(viewer, account)
    wasted = _wasted(viewer, account, start, min(end, today))
    used = {row.workflow_id: row for row in wasted.used.get(account.pk, ())}
    lines = [
        _line(flow, before, after, terms.get(name), history.get(flow.pk, ()), (end, today), used.get(flow.pk))
        for name, flow in flows.items()
    ]
    lines.sort(key=lambda line: (-line.spend, line.workflow.name))
    return Outcomes(
        start,
        end,
        tuple(lines),
        after.outcomes,
        after.spend,
        outcomes_per_thousand(after.spend, after.outcomes) if after.outcomes else None,
        outcomes_per_thousand(before.spend, before.outcomes) if before.outcomes else None,
        return_on_spend(
            (Valued(line.outcomes, line.value_each, line.state == CONFIRMED) for line in lines), after.spend
        ),
        _waste_of_all(wasted, account),
    )


def mostly(wasted: Waste | None) -> str:
    """Return in words what most of the waste is; empty where there is none."""
    if wasted is None or not wasted.total:
        return ""
    kinds = {
        "failed": wasted.failed,
        "retried": wasted.retries,
        "repeated": wasted.duplicates,
        "minimum not used up": wasted.idle_minimum,
    }
    most = max(kinds, key=lambda kind: kinds[kind])
    return most if kinds[most] == wasted.total else f"mostly {most}"


def _wasted(viewer: Viewer, account: Account, start: date, end: date) -> Window:
    """What was wasted in the closed days [start, end); the first of a month has none yet."""
    if end <= start:
        return Window({}, {})
    return windows(viewer.organization_id, {account.pk: end}, before=False, days=(end - start).days)[0]


def _waste_of_all(wasted: Window, account: Account) -> Waste | None:
    found = wasted.waste_of(account.pk)
    is_told = account.pk in wasted.minimums or any(map(_tells, wasted.used.get(account.pk, ())))
    return found if is_told and found.percent is not None else None


def _tells(used: Used) -> bool:
    """Without an end, an attempt's number or an input's hash, events do not say what of them was wasted."""
    return bool(used.finished or used.retried or used.hashed)


def _waste_of(used: Used | None) -> Waste | None:
    found = waste(used.uses()) if used is not None and _tells(used) else None
    return found if found is not None and found.percent is not None else None


def _before(start: date, end: date) -> date:
    """A month is compared with the month before, other days with as many before them."""
    return add_months(start, -1) if start.day == 1 and end == add_months(start, 1) else start - (end - start)


@exactly
def _line(
    flow: Workflow,
    before: Sums,
    after: Sums,
    terms: Terms | None,
    history: tuple[OutcomeTerms, ...],
    days: tuple[date, date],
    used: Used | None,
) -> OutcomeLine:
    then, done = before.flows.get(str(flow.pk)), after.flows.get(str(flow.pk))
    end, today = days
    outcomes, spend = (done.outcomes, done.spend) if done else (ZERO, ZERO)
    each = terms.value_each if terms and terms.state == CONFIRMED else None
    known_to = today - timedelta(days=terms.lag_days if terms else 0)
    newest = history[0] if history else None
    return OutcomeLine(
        workflow=flow,
        terms=terms,
        outcomes=outcomes,
        spend=spend,
        per_thousand=cost_per_outcome(spend * THOUSAND, outcomes),
        per_thousand_before=cost_per_outcome(then.spend * THOUSAND, then.outcomes) if then else None,
        value=outcomes * each if each is not None else None,
        open_from=known_to if known_to < end else None,
        asked=newest if newest is not None and not _said(newest) else None,
        history=history,
        waste=_waste_of(used),
    )


def _said(terms: OutcomeTerms) -> list[OutcomeAnswer]:
    return list(terms.answers.all())


def _history(viewer: Viewer, account: Account) -> Mapping[UUID, tuple[OutcomeTerms, ...]]:
    said = OutcomeAnswer.objects.visible_to(viewer).select_related("by").order_by("-at", "-pk")
    rows = (
        OutcomeTerms.objects.visible_to(viewer)
        .filter(account=account)
        .select_related("proposed_by")
        .prefetch_related(Prefetch("answers", said))
        .order_by("-proposed_at", "-pk")
    )
    found: dict[UUID, list[OutcomeTerms]] = {}
    for row in rows:
        found.setdefault(row.workflow_id, []).append(row)
    return {name: tuple(own) for name, own in found.items()}


def waiting(viewer: Viewer, account_ids: Iterable[UUID]) -> list[OutcomeTerms]:
    """Return the proposals of the accounts that nobody has answered, the longest waiting first. One query."""
    newest = OutcomeTerms.objects.filter(
        organization_id=OuterRef("organization_id"), workflow_id=OuterRef("workflow_id")
    ).order_by("-proposed_at", "-pk")
    rows = OutcomeTerms.objects.visible_to(viewer).filter(
        account__in=list(account_ids), answers=None, pk=Subquery(newest.values("pk")[:1])
    )
    return list(rows.select_related("workflow", "account").order_by("proposed_at", "pk"))
