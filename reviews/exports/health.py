"""Health as a file: a line an account, with the points of each measure."""

from collections.abc import Sequence

from consumption_cs.lib.csv_files import write_rows
from reviews.reports.health_list import HealthLine


def health_csv(lines: Sequence[HealthLine]) -> bytes:
    """Return one line an account, in the order given; a measure that is not known is empty."""
    measures = {part.measure: part.label for line in lines for part in line.health.parts}
    columns = ("account", "name", "csm", "day", "health", "band", "why_not", "forced_red", "overridden_by",
               *(f"points_{name}" for name in measures))  # fmt: skip
    return write_rows(columns, [_row(line, list(measures)) for line in lines])


def _row(line: HealthLine, measures: Sequence[str]) -> list[object]:
    found, points = line.health, {part.measure: part.points for part in line.health.parts}
    return [
        line.account.key, line.account.name, str(line.account.csm or ""), found.day.isoformat() if found.day else "",
        "" if found.score is None else found.score, found.band, found.reason if found.score is None else "",
        "; ".join(found.forced_words), str(found.override.by) if found.override else "",
        *("" if points.get(name) is None else points[name] for name in measures),
    ]  # fmt: skip
