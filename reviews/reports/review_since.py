"""What the review before said of the way ahead, beside what this one shows of it.

From two frozen contents alone, so that it never changes. A section that either review leaves out is not compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from consumption_cs.lib.display import counted, percent_text
from reviews.reports.review_format import money

_STATES = {
    "reached": ("Reached", "good"),
    "on_track": ("On track", "info"),
    "behind": ("Behind", "warn"),
    "unknown": ("Not measured", "none"),
}


@dataclass(frozen=True, slots=True)
class Since:
    """One thing the review before named: what it said, what came of it, and a word with a tone for its state."""

    title: str
    said: str
    came: str
    state: str
    tone: str


def since(before: Mapping[str, Any], content: Mapping[str, Any]) -> list[Since]:
    """Return the next workflows, objectives and savings of the review before with what this review shows of them."""
    hidden = {*before.get("hidden", []), *content.get("hidden", [])}
    then, now = before["figures"], content["figures"]
    found: list[Since] = []
    if "next" not in hidden:
        in_use = {} if "success" in hidden else {_key(row["name"]): row for row in now["success"]}
        ahead = {_key(row["title"]) for row in now["next"]}
        found += [_workflow(row, in_use.get(_key(row["title"])), _key(row["title"]) in ahead) for row in then["next"]]
    if "goals" not in hidden:
        found += _objectives(then["objectives"], now["objectives"])
    if "savings" not in hidden:
        found += _savings(then, now)
    return found


def _key(name: str) -> str:
    return name.strip().casefold()


def _workflow(row: Mapping[str, Any], used: Mapping[str, Any] | None, is_ahead: bool) -> Since:
    said = f"Next gate: {row['next_gate']}" if row["next_gate"] else "Named as a next workflow"
    if used is not None and used["attempts"]:
        rate = f", {percent_text(Decimal(used['rate']))} successful" if used["rate"] else ""
        return Since(row["title"], said, f"{counted(used['attempts'], 'attempt')}{rate}", "In use", "good")
    if is_ahead:
        return Since(row["title"], said, "Still among the next workflows", "Ahead", "info")
    return Since(row["title"], said, "No use in this period, and not among the next workflows", "No use", "none")


def _objectives(then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[Since]:
    today = {_key(row["title"]): row for row in now}
    found = []
    for row in then:
        later = today.get(_key(row["title"]))
        if later is None:
            found.append(Since(row["title"], _objective(row), "Not an objective of this review", "Left out", "none"))
        else:
            found.append(Since(row["title"], _objective(row), _objective(later), *_STATES[later["state"]]))
    return found


def _objective(row: Mapping[str, Any]) -> str:
    share = f", {percent_text(Decimal(row['share']), places=0)} of the way" if row["share"] is not None else ""
    return f"{_STATES[row['state']][0]}: {row['value']}{share}" if row["value"] else _STATES[row["state"]][0]


def _savings(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Since]:
    currency = now["account"]["currency"]
    still = {(_key(row["title"]), row["workflow"]): row for row in now["savings"]}
    found = []
    for row in then["savings"]:
        said = f"{money(row['saving'], currency)} a month to save"
        later = still.get((_key(row["title"]), row["workflow"]))
        if later is None:
            found.append(Since(row["title"], said, "No longer among the open savings", "Closed", "info"))
        else:
            found.append(
                Since(row["title"], said, f"{money(later['saving'], currency)} a month at this volume", "Open", "warn")
            )
    return found
