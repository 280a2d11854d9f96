"""Adoption plans to begin with. Days count from the plan's start; two or three workflows a quarter are the guide."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from reviews.calc.objectives import MEASURES

A_YEAR = 364
A_QUARTER = 3  # workflows that one quarter can bring into production


@dataclass(frozen=True, slots=True)
class ObjectiveOutline:
    """An objective of a template: `due` in days from the start."""

    title: str
    metric: str
    target: Decimal | None
    due: int


@dataclass(frozen=True, slots=True)
class MilestoneOutline:
    """A milestone of a template: `due` in days from the start; `side` us, customer or both."""

    title: str
    due: int
    side: str = "both"
    is_shared: bool = True


@dataclass(frozen=True, slots=True)
class Outline:
    """A plan to begin with: for which segment, how many days, and what is in it."""

    key: str
    name: str
    about: str
    segments: tuple[str, ...]
    days: int
    objectives: tuple[ObjectiveOutline, ...]
    milestones: tuple[MilestoneOutline, ...]


_D = Decimal
TEMPLATES: tuple[Outline, ...] = (
    Outline(
        "first_value", "First value in a quarter", "One workflow from key to production, then a second.",
        ("startup", "small"), 91,
        (
            ObjectiveOutline("Two workflows in production", "production_workflows", _D(2), 91),
            ObjectiveOutline("Every production workflow at 95% success", "lowest_success_percent", _D(95), 91),
        ),
        (
            MilestoneOutline("First key made and first call sent", 7, "customer"),
            MilestoneOutline("First billable event", 14),
            MilestoneOutline("Budget set, with who hears of it", 21, "customer"),
            MilestoneOutline("What one outcome is worth is confirmed", 45, "customer"),
            MilestoneOutline("First value review", 91, "us"),
        ),
    ),
    Outline(
        "breadth", "Three workflows a half-year", "From one workflow to several: value rests on more than one.",
        ("mid_market",), 182,
        (
            ObjectiveOutline("Three workflows in production", "production_workflows", _D(3), 182),
            ObjectiveOutline("Every production workflow at 95% success", "lowest_success_percent", _D(95), 120),
            ObjectiveOutline("Two thirds of the ladder reached", "ladder_percent", _D(66), 182),
        ),
        (
            MilestoneOutline("Candidates ranked together", 14),
            MilestoneOutline("Second workflow: data access granted", 30, "customer"),
            MilestoneOutline("Second workflow in production", 75),
            MilestoneOutline("Quarterly value review", 91, "us"),
            MilestoneOutline("Third workflow in production", 150),
            MilestoneOutline("Size the next commit before the top-up talk", 160, "us", False),
            MilestoneOutline("Half-year value review", 182, "us"),
        ),
    ),
    Outline(
        "enterprise", "A year, two or three workflows a quarter",
        "Executives on both sides, a review each quarter, and a decision on the commit in good time.",
        ("enterprise",), 364,
        (
            ObjectiveOutline("Five workflows in production", "production_workflows", _D(5), 364),
            ObjectiveOutline("Every production workflow at 95% success", "lowest_success_percent", _D(95), 182),
            ObjectiveOutline("Four fifths of the ladder reached", "ladder_percent", _D(80), 364),
            ObjectiveOutline("The commit is used", "commit_used_percent", _D(95), 364),
        ),
        (
            MilestoneOutline("Executive sponsor named on both sides", 14),
            MilestoneOutline("Candidates ranked together", 30),
            MilestoneOutline("First quarter: value review", 91, "us"),
            MilestoneOutline("Second quarter: value review", 182, "us"),
            MilestoneOutline("Size the next commit before the top-up talk", 240, "us", False),
            MilestoneOutline("Decision on the commit", 270, "customer"),
            MilestoneOutline("Third quarter: value review", 273, "us"),
        ),
    ),
)  # fmt: skip


def template_for(segment: str) -> Outline:
    """Return the template that fits a segment; the middle one where none is made for it."""
    return next((one for one in TEMPLATES if segment in one.segments), TEMPLATES[1])


def outline_from(key: str, name: str, segment: str, body: Mapping[str, Any]) -> Outline:
    """Return the outline that an organization keeps as {days, objectives, milestones}; targets are decimal strings."""
    objectives = tuple(
        ObjectiveOutline(
            one["title"],
            one["metric"] if one["metric"] in MEASURES else "",
            None if one["target"] is None else _D(one["target"]),
            one["due"],
        )
        for one in body.get("objectives", ())
    )
    milestones = tuple(
        MilestoneOutline(one["title"], one["due"], one["side"], one["is_shared"]) for one in body.get("milestones", ())
    )
    about = f"{len(objectives)} objectives and {len(milestones)} milestones."
    segments = (segment,) if segment else ()
    return Outline(key, name, about, segments, body.get("days", A_YEAR), objectives, milestones)


def body_of(outline: Outline) -> dict[str, Any]:
    """Return how an outline is kept; `outline_from` reads it back."""
    return {
        "days": outline.days,
        "objectives": [
            {
                "title": one.title,
                "metric": one.metric,
                "target": None if one.target is None else f"{one.target.normalize():f}",
                "due": one.due,
            }
            for one in outline.objectives
        ],
        "milestones": [
            {"title": one.title, "due": one.due, "side": one.side, "is_shared": one.is_shared}
            for one in outline.milestones
        ],
    }
