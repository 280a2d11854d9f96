"""Expansion of an account and of all: candidates by their path to value, whitespace, the quarter, funnel, win rate."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Sum

from accounts.models import Account
from budgets.models import ForecastRun
from budgets.reports.forecasts import latest_run
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.expansion import (
    MONTH,
    SAME_RUNG_DAYS,
    STALLED_DAYS,
    Funnel,
    Range,
    Ready,
    days_earlier,
    evidence_of,
    expected,
    funnel,
    path_to_value,
)
from reviews.calc.production import LIVE
from reviews.models import Candidate, CandidateStep, LadderCard, RungMove
from reviews.reports.expansion_plan import Quarter, quarter_plans
from reviews.reports.expansion_ready import Readiness, readiness
from usage.calc.intervals import wilson
from usage.models import UsageDay, Workflow

ZERO = Decimal(0)
DAYS = 28
State = Candidate.State
OPEN = (State.FOUND, State.PROPOSED, State.AGREED, State.BUILDING)
SMALL_SAMPLE = 30


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What similar accounts run in production and this one has not. No account is named."""

    key: str
    title: str
    accounts: int
    spend: Range | None
    outcomes: Range | None
    evidence: Decimal
    why: str


@dataclass(frozen=True, slots=True)
class CandidateLine:
    """A candidate with its path to value (None: not estimated) and what it does to the commit's date."""

    row: Candidate
    path: Decimal | None
    width: str
    days_earlier: int | None
    ready: Readiness | None = None

    @property
    def rung(self) -> str:
        return self.row.workflow.get_stage_display() if self.row.workflow else "Not begun"

    @property
    def quarter(self) -> str:
        return f"Q{(self.row.quarter.month - 1) // 3 + 1} {self.row.quarter.year}" if self.row.quarter else ""

    @property
    def in_the_way(self) -> Sequence[str]:
        return list(self.row.obstacles)


@dataclass(frozen=True, slots=True)
class Stalled:
    """A pilot, or a workflow being built, that does not move, and how that is known."""

    workflow: Workflow
    why: str


@dataclass(frozen=True, slots=True)
class Closed:
    """A candidate that was decided, when and why."""

    row: Candidate
    on: date | None
    reason: str


@dataclass(frozen=True, slots=True)
class Expansion:
    """An account's candidates, the cleanest path first; what is suggested; pilots that stand still."""

    lines: Sequence[CandidateLine]
    closed: Sequence[Closed]
    suggestions: Sequence[Suggestion]
    stalled: Sequence[Stalled]

    @property
    def best(self) -> CandidateLine | None:
        return next((line for line in self.lines if line.path is not None), None)


def expansion_of(viewer: Viewer, account: Account, now: datetime) -> Expansion:
    """Return what an account could do next."""
    rows = list(_rows(viewer).filter(account=account))
    going = [row for row in rows if row.state in OPEN]
    lines = _lines(going, latest_run(viewer, account), readiness(viewer, account, going))
    taken = {row.workflow_id for row in rows if row.workflow_id}
    return Expansion(
        lines,
        _closed(viewer, account, [row for row in rows if row.state not in OPEN]),
        suggestions(viewer, account, now),
        [one for one in _stalled(viewer, account, now) if one.workflow.pk not in taken],
    )


def _closed(viewer: Viewer, account: Account, rows: Sequence[Candidate]) -> list[Closed]:
    steps = CandidateStep.objects.visible_to(viewer).filter(candidate__in=[row.pk for row in rows])
    last = {step.candidate_id: step for step in steps.order_by("at", "pk")}
    zone = zone_of(account.timezone)

    def told(row: Candidate) -> Closed:
        step = last.get(row.pk)
        return Closed(row, day_of(step.at, zone) if step else None, step.reason if step else "")

    return sorted(map(told, rows), key=lambda one: (one.on or date.min, one.row.title), reverse=True)


def candidate_lines(viewer: Viewer, account: Account, limit: int = 4) -> list[CandidateLine]:
    """Return the open candidates with the cleanest path to value."""
    rows = list(_rows(viewer).filter(account=account, state__in=OPEN))
    return _lines(rows, None)[:limit]


def _rows(viewer: Viewer) -> Any:
    rows = Candidate.objects.visible_to(viewer).select_related("workflow", "owner", "account")
    return rows.order_by("-created_at", "pk")


def _lines(
    rows: Sequence[Candidate], run: ForecastRun | None, ready: Mapping[UUID, Readiness] | None = None
) -> list[CandidateLine]:
    paths = {
        row.pk: path_to_value(row.value_a_month, row.evidence, row.effort_weeks, len(row.obstacles)) for row in rows
    }
    most = max((path for path in paths.values() if path is not None), default=ZERO)
    lines = [
        CandidateLine(
            row, paths[row.pk],
            f"{(paths[row.pk] or ZERO) / most * 100:.1f}%" if most else "0%", _days_earlier(row, run),
            (ready or {}).get(row.pk),
        )
        for row in rows
    ]  # fmt: skip
    return sorted(lines, key=lambda line: (line.path is None, -(line.path or ZERO), line.row.title))


def _days_earlier(row: Candidate, run: ForecastRun | None) -> int | None:
    """Return by how many days the likely spend would bring the run-out forward; None without a commit or estimate."""
    if run is None or run.exhaust_p50 is None or run.remaining is None or not row.spend_likely:
        return None
    return days_earlier(run.remaining, (run.exhaust_p50 - run.as_of).days, row.spend_likely)


def suggestions(viewer: Viewer, account: Account, now: datetime) -> list[Suggestion]:
    """Return workflows that at least two accounts of the same segment run in production and this one has not.

    Spend and outcomes are ranges of what they come to there, as a share of the account's whole spend, times this
    one's.
    """
    today = day_of(now, zone_of(account.timezone))
    peers = Account.objects.visible_to(viewer).filter(segment=account.segment, currency=account.currency)
    peers = peers.exclude(pk=account.pk)
    flows = list(
        Workflow.objects.visible_to(viewer)
        .filter(account__in=peers, stage__in=LIVE)
        .values("pk", "key", "name", "account")
    )
    own = set(Workflow.objects.visible_to(viewer).filter(account=account).values_list("key", flat=True))
    own |= set(Candidate.objects.visible_to(viewer).filter(account=account).values_list("key", flat=True))
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for flow in flows:
        if flow["key"] not in own:
            found[flow["key"]].append(flow)
    wanted = {key: rows for key, rows in found.items() if len({row["account"] for row in rows}) >= 2}
    if not wanted:
        return []
    used = _used(viewer, [account.pk, *{row["account"] for rows in wanted.values() for row in rows}], today)
    made = [_suggestion(key, rows, used, account) for key, rows in wanted.items()]
    return sorted(made, key=lambda one: (-(one.spend.likely if one.spend else ZERO), one.title))


def _used(viewer: Viewer, accounts: Sequence[UUID], today: date) -> Mapping[Any, tuple[Decimal, Decimal, int, int]]:
    """Return spend, outcomes, finished and successes of 28 days by workflow and, as whole, by account."""
    rows = UsageDay.objects.visible_to(viewer).filter(
        account__in=accounts, day__gte=today - timedelta(days=DAYS), day__lt=today
    )
    found: dict[Any, tuple[Decimal, Decimal, int, int]] = {}
    for name in ("workflow_id", "account_id"):
        sums = rows.values_list(name).annotate(Sum("spend"), Sum("outcomes"), Sum("finished"), Sum("successes"))
        found |= {key: (spend or ZERO, outcomes or ZERO, done or 0, good or 0)
                  for key, spend, outcomes, done, good in sums.order_by(name)}  # fmt: skip
    return found


def _suggestion(
    key: str, rows: Sequence[dict[str, Any]], used: Mapping[Any, tuple[Decimal, Decimal, int, int]], account: Account
) -> Suggestion:
    none = (ZERO, ZERO, 0, 0)
    size = used.get(account.pk, none)[0] / DAYS * MONTH
    spends, outcomes, done, good = [], [], 0, 0
    for row in rows:
        whole, own = used.get(row["account"], none)[0], used.get(row["pk"], none)
        if whole > 0:
            spends.append(own[0] / whole)
            outcomes.append(own[1] / whole)
        done, good = done + own[2], good + own[3]
    success = Decimal(good) / done if done >= SMALL_SAMPLE and 0 <= good <= done else None
    accounts = len({row["account"] for row in rows})
    said = f"{accounts} similar accounts run it in production"
    return Suggestion(
        key=key,
        title=rows[0]["name"],
        accounts=accounts,
        spend=expected(spends, size),
        outcomes=expected(outcomes, size),
        evidence=evidence_of(Ready(False, False, success)).quantize(Decimal("0.01")),
        why=f"{said}, {success * 100:.0f}% of attempts succeed there" if success is not None else said,
    )


def _stalled(viewer: Viewer, account: Account, now: datetime) -> list[Stalled]:
    """Return pilots and workflows being built without use in 28 days, or that took no step up in 90."""
    today = day_of(now, zone_of(account.timezone))
    rows = Workflow.objects.visible_to(viewer).filter(
        account=account, stage__in=(Workflow.Stage.BUILDING, Workflow.Stage.PILOT),
        created_at__lt=now - timedelta(days=STALLED_DAYS),
    )  # fmt: skip
    flows = {flow.pk: flow for flow in rows.order_by("name")}
    used = dict(
        UsageDay.objects.visible_to(viewer).filter(account=account, workflow__in=list(flows))
        .values_list("workflow_id").annotate(last=Max("day")).order_by("workflow_id")
    )  # fmt: skip
    moves = RungMove.objects.visible_to(viewer).filter(workflow__in=list(flows), state=RungMove.State.CONFIRMED)
    moved = dict(moves.values_list("workflow_id").annotate(last=Max("happened_on")).order_by("workflow_id"))
    told = []
    for key, flow in flows.items():
        since = moved.get(key) or flow.created_at.date()
        why = _stands_still(used.get(key), since, today)
        if why:
            told.append(Stalled(flow, why))
    return told


def _stands_still(used: date | None, since: date, today: date) -> str:
    if used is None:
        return "never used"
    if (today - used).days > STALLED_DAYS:
        return f"not used since {used:%b} {used.day}, {used.year}"
    if (today - since).days > SAME_RUNG_DAYS:
        return f"used, but no step up since {since:%b} {since.day}, {since.year}"
    return ""


def next_candidates(viewer: Viewer, account: Account, limit: int = 3) -> list[dict[str, Any]]:
    """Return the shared candidates with the cleanest path to value, as a value review tells them.

    The customer reads a review, so a candidate that is internal stays out, whoever makes it.
    """
    rows = _rows(viewer).filter(account=account, state__in=OPEN, is_shared=True)
    lines = _lines(list(rows), None)[:limit]
    flows = [line.row.workflow_id for line in lines if line.row.workflow_id]
    cards = {
        card.workflow_id: card
        for card in LadderCard.objects.visible_to(viewer).filter(workflow__in=flows).select_related("our_owner")
    }
    return [_next(line, cards.get(line.row.workflow_id)) for line in lines]


def _next(line: CandidateLine, card: LadderCard | None) -> dict[str, Any]:
    row = line.row
    ours = card.our_owner if card else row.owner
    owners = [card.their_owner if card else "", (ours.name or ours.email).split(" ")[0] if ours else ""]
    gate = next((one for one in (card.gates if card else []) if not one.get("is_met")), None)
    on = f", {card.next_gate_on:%b} {card.next_gate_on.day}" if card and card.next_gate_on else ""
    return {
        "id": str(row.pk),
        "workflow_id": str(row.workflow_id) if row.workflow_id else None,
        "title": row.title,
        "rung": row.workflow.stage if row.workflow else "idea",
        "owners": " · ".join(filter(None, owners)),
        "value": f"{row.value_a_month:f}" if row.value_a_month is not None else None,
        "effort_weeks": f"{row.effort_weeks.normalize():f}" if row.effort_weeks is not None else None,
        "spend": f"{row.spend_likely:f}" if row.spend_likely is not None else None,
        "next_gate": f"{gate['label']}{on}" if gate else on.strip(", "),
        "why": row.known or "; ".join(row.obstacles),
    }


# ---- all accounts


@dataclass(frozen=True, slots=True)
class Portfolio:
    """The candidates of all accounts of one currency, the plan by quarter, the funnel and the win rate."""

    currency: str
    currencies: Sequence[str]
    lines: Sequence[CandidateLine]
    quarters: Sequence[Quarter]
    funnel: Sequence[Funnel]
    won: int
    decided: int
    range: tuple[float, float] | None

    @property
    def value(self) -> Decimal:
        """A month, weighted by evidence."""
        return sum((line.row.value_a_month * line.row.evidence for line in self.lines if line.row.value_a_month), ZERO)

    @property
    def is_small(self) -> bool:
        return self.decided < SMALL_SAMPLE


def portfolio(viewer: Viewer, currency: str = "", words: str = "", state: str = "", source: str = "") -> Portfolio:
    """Return the expansion of all accounts, in one currency: the one most used unless told."""
    everything = _rows(viewer)
    used = list(
        everything.order_by().values_list("currency").annotate(count=Count("pk")).order_by("-count", "currency")
    )
    currencies = [name for name, _ in used]
    chosen = currency if currency in currencies else (currencies[0] if currencies else "")
    # How far candidates come is asked of all states, and weeks of work are one stock whatever the filter or currency.
    rows = [row for row in everything.filter(currency=chosen) if _fits(row, words, "", source)]
    lines = _lines([row for row in rows if row.state in OPEN and (not state or row.state == state)], None)
    history: dict[UUID, list[tuple[str, int]]] = defaultdict(list)
    steps = CandidateStep.objects.visible_to(viewer).filter(candidate__in=[row.pk for row in rows])
    for name, to_state, at in steps.order_by("at", "pk").values_list("candidate_id", "to_state", "at"):
        history[name].append((to_state, at.toordinal()))
    won = sum(row.state == State.WON for row in rows)
    decided = won + sum(row.state == State.LOST for row in rows)
    return Portfolio(
        currency=chosen,
        currencies=currencies,
        lines=lines,
        quarters=quarter_plans(viewer, [row for row in everything if row.state in OPEN and row.quarter]),
        funnel=funnel([(history[row.pk], row.value_a_month) for row in rows if row.pk in history]),
        won=won,
        decided=decided,
        range=wilson(won, decided) if decided else None,
    )


def _fits(row: Candidate, words: str, state: str, source: str) -> bool:
    text = f"{row.title} {row.account.name}".lower()
    return words.lower() in text and (not state or row.state == state) and (not source or row.source == source)
