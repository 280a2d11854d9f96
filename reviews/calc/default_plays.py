"""The ten plays every organization begins with, over the names of `reviews.calc.metrics.DEFINITIONS`. Pure.

Where a play begins and where it ends lie apart, so that an account near a threshold does not go in and out.
"""

from dataclasses import dataclass
from typing import Any

Condition = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do in a run, due so many days after its begin."""

    title: str
    detail: str
    within_days: int
    asks_customer: bool = False

    def as_data(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "detail": self.detail,
            "within_days": self.within_days,
            "asks_customer": self.asks_customer,
        }


@dataclass(frozen=True, slots=True)
class DefaultPlay:
    """A play as it is before anybody edits it; `owner` is one of PlayVersion.Owner."""

    key: str
    name: str
    summary: str
    entry: Condition
    exit: Condition
    owner: str
    answer_hours: int
    steps: tuple[Step, ...]
    per_workflow: bool = False


def _is(metric: str, op: str, value: float = 0, for_days: int = 1) -> Condition:
    if op in ("known", "unknown"):
        return {"metric": metric, "op": op}
    found: Condition = {"metric": metric, "op": op, "value": value}
    return found if for_days == 1 else found | {"for_days": for_days}


def _all(*conditions: Condition) -> Condition:
    return {"all": list(conditions)}


def _any(*conditions: Condition) -> Condition:
    return {"any": list(conditions)}


DEFAULT_PLAYS: tuple[DefaultPlay, ...] = (
    DefaultPlay(
        "stalled_onboarding", "Stalled onboarding",
        "No billable use 14 days after the contract began: find what is in the way and agree on a new date.",
        _is("waiting_days", ">=", 14), _is("first_value_days", "known"), "field_cto", 48,
        (
            Step("Check keys and errors", "Is there a key, has it sent anything, and what was refused?", 2),
            Step("Pair on the first call", "An hour with their engineer until an event arrives.", 5, True),
            Step("Agree on a new start date", "Write it into the timeline; tell who planned the launch.", 7, True),
        ),
    ),
    DefaultPlay(
        "overburn", "Overburn",
        "The commit burns faster than planned and will likely not last: tell growth from a loop, and offer a choice.",
        _all(_is("pacing", ">", 1.25), _is("run_out_percent", ">", 50)),
        _any(_is("pacing", "<", 1.15), _is("run_out_percent", "<", 20)), "csm", 72,
        (
            Step("Say what it is: growth, a loop or waste", "Look at the cause of the change and at waste.", 3),
            Step("Show the three ways", "Tune the workflow, top up, or commit anew, with the cost of each.", 7, True),
            Step("Give finance the date", "The likely run-out, and what is agreed until then.", 10),
        ),
    ),
    DefaultPlay(
        "underburn", "Underburn",
        "Two weeks far below plan after a quarter of the term: find the next workflow before the commit goes unused.",
        _all(_is("pacing", "<", 0.75, 14), _is("term_elapsed_percent", ">=", 25)),
        _is("pacing", ">", 0.85), "csm", 120,
        (
            Step("Rank the next workflow", "By what it is worth and what it takes.", 5),
            Step("Agree on a plan to ramp up", "Who builds what until when, and how much it will use.", 14, True),
            Step("Right-size early", "Show what next term's commit should be if nothing changes.", 30, True),
        ),
    ),
    DefaultPlay(
        "spike", "Spike",
        "Use far above what is usual, at a price that matters: explain it the same day.",
        _is("open_spikes", ">=", 1), _is("open_spikes", "<=", 0), "field_cto", 2,
        (
            Step("Find the cause", "Workflow, key or version: the alert's cause card names them.", 0),
            Step("Throttle if it is a loop", "A limit on the workflow's budget stops it after its grace.", 0),
            Step("Tell the customer", "What happened, what it cost and whether it goes on.", 1, True),
            Step("Work out a credit", "Through the tiers, if the spike was not theirs.", 3),
        ),
    ),
    DefaultPlay(
        "exhausted_commit", "Exhausted commit",
        "The commit is used up: say what use costs from now on, and bring the order form.",
        _is("commit_left", "<=", 0), _is("commit_left", ">", 0), "csm", 8,
        (
            Step("Tell the customer today", "That the commit is used up, and since when.", 0, True),
            Step("Show the overage rate", "What a month costs at it, beside a top-up.", 1, True),
            Step("Agree on the grace", "Until when use goes on, with finance.", 2),
            Step("Send the order form", "A top-up or a new commit.", 3, True),
        ),
    ),
    DefaultPlay(
        "run_out_soon", "Run-out soon",
        "The commit likely ends within 90 days: give notice in stages, with a top-up worked out.",
        _all(_is("run_out_p50", "<=", 90), _is("commit_left", ">", 0)),
        # Once it has run out, “Exhausted commit” goes on.
        _any(_is("run_out_p50", ">", 105), _is("run_out_percent", "<", 40), _is("commit_left", "<=", 0)), "csm", 72,
        (
            Step("Give the first notice", "The likely date with its range.", 3, True),
            Step("Send a top-up scenario", "From “What if”, as PDF.", 14, True),
            Step("Second notice", "60 days before: the decision and who makes it.", 30, True),
            Step("Last notice", "30 days before: the order form, or the overage rate in writing.", 60, True),
        ),
    ),
    DefaultPlay(
        "reliability", "Reliability",
        "A production workflow misses its success target three days in a row: mend it, and say whether to credit.",
        _is("failing_days", ">=", 3), _is("failing_days", "<=", 0), "field_cto", 24,
        (
            Step("Read the top errors", "By code and by version, from the reliability board.", 1),
            Step("Mend it", "With their engineer; a date for the fix.", 5, True),
            Step("Decide on a credit", "Failures of ours are candidates.", 7),
        ),
        per_workflow=True,
    ),
    DefaultPlay(
        "renewal", "Renewal",
        "180 days before the end of the term, or 90 before the commit runs out: two opinions, a review, a proposal.",
        # A monthly allowance, whose commit is not known as one sum, runs out every month: that is no renewal.
        _any(_is("term_days_left", "<=", 180), _all(_is("run_out_p50", "<=", 90), _is("commit_left", "known"))),
        _all(
            _is("term_days_left", ">", 180),
            _any(_is("run_out_p50", ">", 105), _is("run_out_percent", "<", 40), _is("commit_left", "unknown")),
        ),
        "csm", 120,
        (
            Step("Give your opinion of the risk", "Beside the computed one; a difference is discussed.", 5),
            Step("Hold the value review", "120 days before: what was achieved for what it cost.", 45, True),
            Step("Propose the next commit", "90 days before: low, base and high from right-sizing.", 75, True),
        ),
    ),
    DefaultPlay(
        "single_workflow_risk", "Single-workflow risk",
        "One workflow has carried more than 70% of spend for 60 days: a second one makes the commit safe.",
        _is("top_share_percent", ">", 70, 60), _is("top_share_percent", "<", 60, 14), "csm", 240,
        (
            Step("Choose the next workflow", "The one furthest up the ladder that is not in production.", 10),
            Step("Agree on who builds it", "And what success is.", 21, True),
            Step("Bring it into production", "20 good runs on 8 days of 28.", 60, True),
        ),
    ),
    DefaultPlay(
        "champion_lost", "Champion lost",
        "A champion has left, or no owner signed in for 30 days: find who cares for it now.",
        _any(_is("champion_gone", ">=", 1), _is("owner_seen_days", ">=", 30)),
        _all(_is("champion_gone", "<=", 0), _any(_is("owner_seen_days", "<", 30), _is("owner_seen_days", "unknown"))),
        "csm", 72,
        (
            Step("Ask who takes over", "The person who left, or their manager.", 3, True),
            Step("Meet two more people", "One who pays and one who builds.", 14, True),
            Step("Name a new champion", "Under people of the account; invite them to the portal.", 21),
        ),
    ),
)  # fmt: skip
