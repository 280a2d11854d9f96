"""What the review before said of the way ahead, beside what this one shows of it.

From two frozen contents alone, so that it never changes. A section that either review leaves out is not compared.
What has an id in both is compared by it, so that a new name changes nothing; older reviews, and things that were made
anew under the same title, are compared by their titles.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
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
        used = [] if "success" in hidden else now["success"]
        found += [_workflow(row, used, later) for row, later in _pairs(then["next"], now["next"], _titled)]
    if "goals" not in hidden:
        found += _objectives(then["objectives"], now["objectives"])
    if "savings" not in hidden:
        found += _savings(then, now)
    return found


Row = Mapping[str, Any]


def _key(name: str) -> str:
    return name.strip().casefold()


def _titled(row: Row) -> Hashable:
    return _key(row["title"])


def _pairs(
    then: Sequence[Row], now: Sequence[Row], named: Callable[[Row], Hashable]
) -> Iterator[tuple[Row, Row | None]]:
    """Yield each row of then with its own of now: by id, else by name what no other row has by id; None without."""
    by_id = {row["id"]: row for row in now if row.get("id")}
    taken = {row["id"] for row in then if row.get("id") in by_id}
    by_name = {named(row): row for row in now if row.get("id") not in taken}
    for row in then:
        own = by_id.get(row["id"]) if row.get("id") else None
        yield row, own if own is not None else by_name.get(named(row))


def _renamed(row: Row, later: Row) -> str:
    """The title, and the later one where it is another."""
    return row["title"] if _titled(row) == _titled(later) else f"{row['title']}, now {later['title']}"


def _flow_of(row: Row, used: Sequence[Row], later: Row | None) -> Row | None:
    """The workflow of a candidate among those in use: by its id as soon as it stands on the ladder, else by name."""
    flow = row.get("workflow_id") or (later.get("workflow_id") if later else None)
    if flow:
        return next((one for one in used if one.get("id") == flow), None)
    return next((one for one in used if _key(one["name"]) == _titled(row)), None)


def _workflow(row: Row, used: Sequence[Row], later: Row | None) -> Since:
    said = f"Next gate: {row['next_gate']}" if row["next_gate"] else "Named as a next workflow"
    flow = _flow_of(row, used, later)
    if flow is not None and flow["attempts"]:
        rate = f", {percent_text(Decimal(flow['rate']))} successful" if flow["rate"] else ""
        name = "" if _key(flow["name"]) == _titled(row) else f"As {flow['name']}: "
        return Since(row["title"], said, f"{name}{counted(flow['attempts'], 'attempt')}{rate}", "In use", "good")
    if later is not None:
        return Since(_renamed(row, later), said, "Still among the next workflows", "Ahead", "info")
    return Since(row["title"], said, "No use in this period, and not among the next workflows", "No use", "none")


def _objectives(then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[Since]:
    found = []
    for row, later in _pairs(then, now, _titled):
        if later is None:
            found.append(Since(row["title"], _objective(row), "Not an objective of this review", "Left out", "none"))
        else:
            title = _renamed(row, later)
            found.append(Since(title, _objective(row), _objective(later), *_STATES[later["state"]]))
    return found


def _objective(row: Mapping[str, Any]) -> str:
    share = f", {percent_text(Decimal(row['share']), places=0)} of the way" if row["share"] is not None else ""
    return f"{_STATES[row['state']][0]}: {row['value']}{share}" if row["value"] else _STATES[row["state"]][0]


def _savings(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Since]:
    currency = now["account"]["currency"]
    found = []
    for row, later in _pairs(then["savings"], now["savings"], lambda one: (_titled(one), one["workflow"])):
        said = f"{money(row['saving'], currency)} a month to save"
        if later is None:
            found.append(Since(row["title"], said, "No longer among the open savings", "Closed", "info"))
        else:
            came = f"{money(later['saving'], currency)} a month at this volume"
            found.append(Since(_renamed(row, later), said, came, "Open", "warn"))
    return found
