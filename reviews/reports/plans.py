"""The adoption plan of an account as both sides see it: objectives measured, milestones in order, who sees what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from accounts.models import Account
from consumption_cs.lib.display import money_text, percent_text, quantity_text
from consumption_cs.lib.money import round_to
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.milestones import condition_words, timeliness
from reviews.calc.objectives import MEASURES, Progress, progress
from reviews.models import AdoptionPlan, Candidate, Milestone, MilestoneNeed, Objective, PlanComment
from reviews.reports.plan_measures import Measured
from usage.reports.overview_words import short_date

ZERO, ONE, HUNDRED = Decimal(0), Decimal(1), Decimal(100)
SOON = timedelta(days=120)


@dataclass(frozen=True, slots=True)
class ObjectiveShown:
    """An objective with its measure in words; `width` and `mark` are percent of the meter."""

    row: Objective
    progress: Progress
    value: str
    target: str
    start: str
    width: str
    mark: str

    @property
    def share(self) -> str:
        return percent_text(self.progress.share, places=0) if self.progress.share is not None else ""

    @property
    def state(self) -> str:
        return self.progress.state


@dataclass(frozen=True, slots=True)
class MilestoneShown:
    """A milestone with its state: done, late, waits (for another), or next; `when` and `who` in words."""

    row: Milestone
    state: str
    when: str
    who: str
    waits_for: Sequence[str]
    comments: Sequence[PlanComment]
    may_finish: bool


@dataclass(frozen=True, slots=True)
class Sharing:
    """How many items of a kind the customer sees, how many are internal, and why."""

    name: str
    shared: int
    internal: int
    because: str


@dataclass(frozen=True, slots=True)
class PlanShown:
    """All that a plan's page shows to this viewer."""

    plan: AdoptionPlan
    objectives: Sequence[ObjectiveShown]
    milestones: Sequence[MilestoneShown]
    comments: Sequence[PlanComment]
    sharing: Sequence[Sharing]

    @property
    def done(self) -> int:
        return sum(one.state == "done" for one in self.milestones)

    @property
    def by_data(self) -> int:
        return sum(one.state == "done" and one.row.done_by_id is None for one in self.milestones)

    @property
    def late(self) -> list[MilestoneShown]:
        return [one for one in self.milestones if one.state == "late"]

    @property
    def on_plan(self) -> int:
        return sum(one.state in ("reached", "on_track") for one in self.objectives)

    @property
    def measured(self) -> int:
        return sum(one.state != "unknown" for one in self.objectives)

    @property
    def next(self) -> MilestoneShown | None:
        return next((one for one in self.milestones if one.state != "done"), None)

    @property
    def shared_items(self) -> tuple[int, int]:
        """How many of all plan items the customer sees, and how many there are."""
        rows = [one for one in self.sharing if one.name in ("Objectives", "Milestones")]
        shared = sum(one.shared for one in rows)
        return shared, shared + sum(one.internal for one in rows)


def active_plan(viewer: Viewer, account: Account, now: datetime) -> PlanShown | None:
    """Return the account's active plan, for staff else its draft; None without one."""
    rows = AdoptionPlan.objects.visible_to(viewer).filter(account=account).exclude(state=AdoptionPlan.State.CLOSED)
    plan = rows.select_related("owner", "changed_by").order_by("state", "-created_at").first()
    return plan_shown(viewer, account, plan, now) if plan else None


def plan_shown(viewer: Viewer, account: Account, plan: AdoptionPlan, now: datetime) -> PlanShown:
    """Return a plan with its objectives measured as of `now`."""
    today = day_of(now, zone_of(account.timezone))
    objectives = _visible(Objective.objects.visible_to(viewer).filter(plan=plan, removed_at=None), viewer)
    milestones = _visible(Milestone.objects.visible_to(viewer).filter(plan=plan, removed_at=None), viewer)
    said = _visible(PlanComment.objects.visible_to(viewer).filter(plan=plan, removed_at=None), viewer)
    comments = list(said.select_related("by").order_by("at", "pk"))
    measured = Measured(viewer, account, now)
    rows = list(milestones.select_related("our_owner", "done_by", "workflow").order_by("due_on", "pk"))
    return PlanShown(
        plan=plan,
        objectives=[
            _objective(row, measured, account, today)
            for row in objectives.select_related("our_owner", "workflow").order_by("position", "due_on", "pk")
        ],
        milestones=_milestones(rows, _needs(viewer, plan), comments, viewer, today),
        comments=[one for one in comments if one.milestone_id is None],
        sharing=_sharing(viewer, account, plan) if viewer.is_staff else (),
    )


def _visible(rows, viewer: Viewer):  # type: ignore[no-untyped-def]
    """Row-level security hides internal rows from the customer; the query says so too."""
    return rows.filter(is_shared=True) if viewer.is_portal else rows


def _objective(row: Objective, measured: Measured, account: Account, today: date) -> ObjectiveShown:
    if not row.metric:
        share = ONE if row.done_at else ZERO
        days = max((row.due_on - row.starts_on).days, 1)
        expected = min(max(Decimal((today - row.starts_on).days) / days, ZERO), ONE)
        state = "reached" if row.done_at else "on_track" if today <= row.due_on else "behind"
        found, value = Progress(share, expected, state), "1 of 1" if row.done_at else "0 of 1"
        return ObjectiveShown(row, found, value, "", "", _width(share), _width(expected))
    known = measured.value(row.metric, row.workflow_id)
    down = row.metric in MEASURES and MEASURES[row.metric].comes_down
    found = progress(row.start_value, row.target or ZERO, known, row.starts_on, row.due_on, today, comes_down=down)
    return ObjectiveShown(
        row,
        found,
        measure_text(row.metric, known, account.currency) if known is not None else "not measured yet",
        measure_text(row.metric, row.target or ZERO, account.currency),
        _start(row, account.currency, comes_down=down),
        _width(found.share or ZERO),
        _width(found.expected),
    )


def _start(row: Objective, currency: str, *, comes_down: bool) -> str:
    """Where the way began; nothing where that is not known or was at the target already."""
    start, target = row.start_value, row.target or ZERO
    if start is None or (start <= target if comes_down else start >= target):
        return ""
    return measure_text(row.metric, start, currency)


def measure_text(metric: str, value: Decimal, currency: str) -> str:
    """Return a measure as it is shown: "4", "91.2%", "$0.348"."""
    unit = MEASURES[metric].unit if metric in MEASURES else "count"
    if unit == "percent":
        return percent_text(value / HUNDRED)
    if unit == "money":
        return money_text(value, currency, places=0 if abs(value) >= HUNDRED else None)
    return quantity_text(round_to(value, 0 if abs(value) >= HUNDRED else 1))


def _width(share: Decimal) -> str:
    return f"{min(max(share, ZERO), ONE) * HUNDRED:.1f}%"


def _needs(viewer: Viewer, plan: AdoptionPlan) -> Mapping[UUID, list[UUID]]:
    found: dict[UUID, list[UUID]] = {}
    rows = MilestoneNeed.objects.visible_to(viewer).filter(milestone__plan=plan)
    for one, other in rows.values_list("milestone_id", "needs_id"):
        found.setdefault(one, []).append(other)
    return found


def _milestones(
    rows: Sequence[Milestone],
    needs: Mapping[UUID, list[UUID]],
    comments: Sequence[PlanComment],
    viewer: Viewer,
    today: date,
) -> list[MilestoneShown]:
    by_id = {row.pk: row for row in rows}
    shown = []
    for row in rows:
        waits = [
            by_id[one].title for one in needs.get(row.pk, ()) if one in by_id and by_id[one].done_at is None
        ]  # fmt: skip
        state = "done" if row.done_at else "late" if row.due_on < today else "waits" if waits else "next"
        own = [one for one in comments if one.milestone_id == row.pk]
        theirs = row.side in (Milestone.Side.CUSTOMER, Milestone.Side.BOTH)
        may = row.done_at is None and not row.condition and (viewer.is_staff or theirs)
        shown.append(MilestoneShown(row, state, _when(row, today), _who(row), waits, own, may))
    done = [one for one in shown if one.state == "done"]
    return [*sorted(done, key=lambda one: one.row.done_on or today), *(one for one in shown if one.state != "done")]


def _when(row: Milestone, today: date) -> str:
    if row.done_on:
        by = f"by {row.done_by.name or row.done_by.email}" if row.done_by else "by data"
        return f"Done {short_date(row.done_on)} {by}, {timeliness(row.done_on, row.first_due_on)}"
    moved = f", moved from {short_date(row.first_due_on)}" if row.first_due_on != row.due_on else ""
    why = f": {row.moved_because}" if moved and row.moved_because else ""
    late = f", {timeliness(today, row.due_on)}" if row.due_on < today else ""
    data = condition_words(row.condition)
    return f"Due {row.due_on:%a}, {short_date(row.due_on)}{late}{moved}{why}" + (f", {data}" if data else "")


def _who(row: Milestone) -> str:
    ours = (row.our_owner.name or row.our_owner.email).split(" ")[0] if row.our_owner else ""
    return " and ".join(filter(None, [row.their_owner, ours]))


def _sharing(viewer: Viewer, account: Account, plan: AdoptionPlan) -> list[Sharing]:
    objectives = list(
        Objective.objects.visible_to(viewer).filter(plan=plan, removed_at=None).values_list("is_shared", flat=True)
    )
    milestones = list(
        Milestone.objects.visible_to(viewer)
        .filter(plan=plan, removed_at=None)
        .values_list("is_shared", "internal_because")
    )
    candidates = list(Candidate.objects.visible_to(viewer).filter(account=account).values_list("is_shared", flat=True))
    why = "; ".join(dict.fromkeys(because for is_shared, because in milestones if not is_shared and because))
    return [
        Sharing("Objectives", sum(objectives), len(objectives) - sum(objectives), ""),
        Sharing(
            "Milestones", sum(one for one, _ in milestones), sum(not one for one, _ in milestones), why
        ),
        Sharing(
            "Expansion candidates", sum(candidates), len(candidates) - sum(candidates),
            "Shared one by one, in a value review",
        ),
    ]  # fmt: skip
