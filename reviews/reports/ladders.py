"""The ladder over all accounts: where workflows stand, and which of them need somebody."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import prefetch_related_objects

from accounts.models import Account
from consumption_cs.lib.display import counted
from consumption_cs.lib.periods import as_utc, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.ladder import next_rung
from reviews.calc.production import LADDER, LIVE
from reviews.models import LadderCard, RungMove
from reviews.reports import ladder_words as words
from reviews.reports.ladder import open_moves, owner_names
from usage.models import Workflow

Kind = RungMove.Kind
SHOWS = {
    "": "All",
    "up": "Ready to move up",
    "back": "Below their rung",
    "near": "One gate away",
    "late": "Gate is late",
}


@dataclass(frozen=True, slots=True)
class LadderLine:
    """One workflow of any account with what it waits for."""

    workflow: Workflow
    account: Account
    card: LadderCard | None
    move: RungMove | None
    tone: str
    why: str
    today: date

    @property
    def met(self) -> int:
        return sum(row["is_met"] for row in self.card.gates) if self.card else 0

    @property
    def gates(self) -> int:
        return len(self.card.gates) if self.card else 0

    @property
    def next_name(self) -> str:
        rung = next_rung(self.workflow.stage)
        return words.rung_name(rung) if rung else ""

    @property
    def missing(self) -> list[str]:
        return words.missing(self.card.gates) if self.card else []

    @property
    def open_labels(self) -> list[str]:
        """Return the gates that are not met, with how far they are."""
        rows = self.card.gates if self.card else []
        return [f"{row['label']} ({row['value']})" for row in rows if not row["is_met"]]

    @property
    def owners(self) -> list[str]:
        """Return the first names of who moves it: the customer's, then ours."""
        return owner_names(self.card, self.account)

    @property
    def is_late(self) -> bool:
        return bool(self.card and self.card.next_gate_on and self.card.next_gate_on < self.today)

    @property
    def shows(self) -> set[str]:
        """Return under which of SHOWS it is listed."""
        near = bool(self.next_name) and self.gates > 0 and self.gates - self.met == 1
        marks = {"up": self.tone == "up", "back": self.tone == "bad", "near": near, "late": self.is_late}
        return {"", *(name for name, holds in marks.items() if holds)}


def ladder_lines(
    viewer: Viewer, now: datetime, *, rung: str = "", text: str = "", mine: bool = False
) -> list[LadderLine]:
    """Return the workflows of all accounts, those that need somebody first. Four queries."""
    rows = Workflow.objects.visible_to(viewer).select_related("account", "card").order_by("pk")
    if rung:
        rows = rows.filter(stage=rung)
    if text:
        rows = rows.filter(name__icontains=text) | rows.filter(account__name__icontains=text)
    if mine:
        own = viewer.user_id
        rows = rows.filter(account__csm=own) | rows.filter(account__field_cto=own) | rows.filter(card__our_owner=own)
    proposals, overrides = open_moves(viewer, None, day_of(as_utc(now), zone_of("UTC")))
    found = []
    for workflow in rows:
        card, move = getattr(workflow, "card", None), proposals.get(workflow.pk)
        today = day_of(as_utc(now), zone_of(workflow.account.timezone))
        tone, why = words.status(card, move, overrides.get(workflow.pk), today)
        found.append(LadderLine(workflow, workflow.account, card, move, tone, why, today))
    return sorted(found, key=_order)


def fill_owners(lines: Sequence[LadderLine]) -> None:
    """Read who moves the workflows of the lines that are shown: two queries."""
    prefetch_related_objects([line.account for line in lines], "csm")
    prefetch_related_objects([line.card for line in lines if line.card], "our_owner")


def _order(line: LadderLine) -> tuple[Any, ...]:
    first = {"bad": 0, "up": 1, "warn": 2, "": 3}[line.tone]
    return (first, line.gates - line.met, -LADDER.index(line.workflow.stage), line.account.name, line.workflow.name)


def spread(lines: Sequence[LadderLine]) -> list[tuple[str, str, int]]:
    """Return each rung with its name and how many workflows stand on it."""
    counts = Counter(line.workflow.stage for line in lines)
    return [(rung, words.rung_name(rung), counts[rung]) for rung in LADDER]


def shares(lines: Sequence[LadderLine]) -> dict[str, int]:
    """Return how many lines each of SHOWS has."""
    counts = Counter(name for line in lines for name in line.shows)
    return {name: counts[name] for name in SHOWS}


def ladders_headline(lines: Sequence[LadderLine]) -> str:
    """Return the first sentence of the page over all accounts."""
    live = sum(line.workflow.stage in LIVE for line in lines)
    counts = shares(lines)
    said = f"{live} of {counted(len(lines), 'workflow')} {'is' if live == 1 else 'are'} in production"
    waiting = [
        f"{counts['up']} can move up" if counts["up"] else "",
        f"{counts['back']} fell below {'its' if counts['back'] == 1 else 'their'} rung" if counts["back"] else "",
    ]
    return f"{said}; {' and '.join(filter(None, waiting))}." if any(waiting) else f"{said}."
