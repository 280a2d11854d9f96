"""Checking an import: its rows are read by the parser and the meters of the ingest, in slices that can be resumed."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import DataError, transaction

from usage.actions.accept import MISMATCH, Batch
from usage.actions.directory import Directory, rule_of
from usage.actions.imports import stage
from usage.actions.imports.files import StoredFile
from usage.actions.imports.parquet import ParquetSource
from usage.actions.staging import Staged, detail_of
from usage.calc.cloudevents import Event, EventReader, Window, canonical_json
from usage.calc.import_rows import (
    MOST_ROWS,
    CsvSource,
    FileProblem,
    Names,
    NdjsonSource,
    Row,
    RowSource,
    skip,
    unpacked,
)
from usage.calc.problems import Problem, excerpt_of
from usage.models import BadRow, Meter, UsageImport

SLICE = 5_000  # rows a transaction
SUMMED = 200_000  # lines a transaction
ERRORS_KEPT = 1_000
OLDEST = datetime(2000, 1, 1, tzinfo=UTC)  # the first partition there can be
_NO_TIME = Problem(0, "no_time", "Each row needs the time at which the event happened: imports fill in none.", "/time")
_NO_ID = "The same id and source came on line {} with other content. Give each event an id of its own."
_WAS_VOIDED = (
    "An event with this id and source was taken back or replaced before; its id cannot count again. Use another id, "
    "or another source for the whole file."
)
_DIFFERS = (
    "The event is there already with other content, and what was accepted is not edited. Give the row another id: the "
    "old event is taken back with the window."
)


class RowReader:
    """An open file between slices; the next slice goes on with it if it is where the last commit left it."""

    def __init__(self, one: UsageImport, now: datetime) -> None:
        self.file = StoredFile(one)
        self.directory = _directory(one)
        window = Window.around(now, OLDEST if one.may_backfill else None)
        self._readers = {clean: EventReader(window, clean=clean) for clean in (True, False)}
        self.source = self._open(one)
        self._rows = iter(self.source)

    @property
    def position(self) -> dict[str, Any]:
        return self.source.position

    def next_rows(self, count: int) -> list[Row]:
        """Up to `count` rows; none at the end."""
        rows: list[Row] = []
        for row in self._rows:
            rows.append(row)
            if len(rows) == count:
                break
        return rows

    def progress(self) -> tuple[int, int]:
        """How far the file was read, out of what."""
        if isinstance(self.source, ParquetSource):
            return int(self.position["row"]), max(self.source.rows, 1)
        is_plain = not self.file.is_gzip
        return (int(self.position.get("offset", 0)) if is_plain else self.file.consumed), max(self.file.size, 1)

    def event(self, row: Row, index: int) -> Event | Problem:
        """The event of a row, checked as one that is sent."""
        if isinstance(row.value, Problem):
            found: Event | Problem = row.value
            found.index = index
            return found
        found = self._readers[row.is_clean].read(row.value, index)
        if isinstance(found, Event) and found.time is None:
            excerpt = excerpt_of(canonical_json(found.data))
            return Problem(index, _NO_TIME.code, _NO_TIME.detail, _NO_TIME.pointer, excerpt)
        return found

    def _open(self, one: UsageImport) -> RowSource:
        types = {
            meter.key: meter.event_type
            for meter in Meter.objects.filter(organization=one.organization_id, is_active=True)
        }
        names = Names(self.directory.meters, types, one.default_source)
        if one.format == UsageImport.Format.PARQUET:
            return ParquetSource(self.file, one.columns, names, one.position)
        if one.format == UsageImport.Format.NDJSON:
            return NdjsonSource(self._open_at, one.default_source, one.position)
        return CsvSource(self._open_at, one.columns, names, one.position)

    def _open_at(self, offset: int) -> Iterator[bytes]:
        if self.file.is_gzip:
            return skip(unpacked(self.file.stream()), offset)
        return self.file.stream(offset)


def _directory(one: UsageImport) -> Directory:
    """What is true now, all meters known: the columns of a row are named by its meter."""
    directory = Directory(one.organization_id, 0.0, {}, {}, {}, {})
    meters = Meter.objects.filter(organization=one.organization_id, is_active=True)
    directory.meters.update((meter.event_type, rule_of(meter)) for meter in meters)
    return directory


def read_slice(one: UsageImport, reader: RowReader, now: datetime) -> bool:
    """Read and stage the next rows of an import that is locked; returns whether there are more.

    Raises FileProblem when the file as a whole cannot be imported.
    """
    rows = reader.next_rows(SLICE)
    if rows:
        slice_ = _Slice(one, reader, now)
        slice_.take(rows)
        slice_.write()
    one.rows += len(rows)
    if one.rows > MOST_ROWS:
        raise FileProblem(f"The file has more than {MOST_ROWS:,} rows. Split it and import the parts.")
    one.position = reader.position
    one.done, one.todo = reader.progress()
    return len(rows) == SLICE


def sum_slice(one: UsageImport) -> bool:
    """Add up the next rows that were kept; returns whether there are more."""
    low = int(one.position.get("line", 0))
    high = low + SUMMED
    stage.sum_lines(one, low, high)
    one.done, one.position = high, {"line": high}
    return high < one.todo


class _Slice:
    """Some rows on their way: kept, repeated, known or bad."""

    def __init__(self, one: UsageImport, reader: RowReader, now: datetime) -> None:
        self.one, self.reader, self.now = one, reader, now
        self.bad: dict[int, Problem] = {}  # by line

    def take(self, rows: list[Row]) -> None:
        """Stage the rows; if PostgreSQL refuses a value that every check let through, find it and refuse it alone."""
        try:
            with transaction.atomic():
                self._stage(rows)
        except DataError:
            if len(rows) == 1:
                problem = Problem(0, "unstorable", "The database cannot store this event.", "", "")
                self.bad[rows[0].line] = problem
                return
            middle = len(rows) // 2
            self.take(rows[:middle])
            self.take(rows[middle:])

    def _stage(self, rows: list[Row]) -> None:
        """All of these rows, or none: counters and problems are changed only once the database took them."""
        batch = Batch(self.reader.directory, self.now)
        batch.classify([self.reader.event(row, index) for index, row in enumerate(rows)])
        lines = [row.line for row in rows]
        bad = {lines[problem.index]: problem for problem in batch.problems if problem.code != MISMATCH}
        good, repeated = self._sort(batch, lines, bad)
        kept = stage.stage(self.one, good)
        repeated += self._refuse_known(kept, bad)
        new, known = stage.keep(self.one, kept, {*bad, *self._lines_of(kept)})
        differing = sum(differs for line, differs, _ in kept.known if line not in bad)
        self.bad |= bad
        self.one.rows_new += new
        self.one.rows_known += known
        self.one.rows_differing += differing
        self.one.rows_repeated += repeated

    def _sort(self, batch: Batch, lines: list[int], bad: dict[int, Problem]) -> tuple[list[tuple[int, Staged]], int]:
        """The rows that may be kept, and how many of the others merely repeat one of them."""
        good = []
        for one in batch.staged.values():
            problem = self._problem_of(one)
            if problem is None:
                good.append((lines[one.event.index], one))
            else:
                bad[lines[one.event.index]] = problem
        repeated = 0
        for index, result in batch.results.items():
            if result["status"] == "duplicate":
                if result[MISMATCH]:
                    bad[lines[index]] = Problem(index, "same_id", _NO_ID.format("a line before"), "/id")
                else:
                    repeated += 1
        return good, repeated

    def _problem_of(self, one: Staged) -> Problem | None:
        excerpt = excerpt_of(one.properties)
        if one.counted is None:
            pointer = "/type" if one.reason == "unknown_type" else "/subject"
            return Problem(0, one.reason, detail_of(one), pointer, excerpt)
        usage_import = self.one
        if usage_import.window_from is None or usage_import.window_to is None:
            return None
        at = one.counted.occurred_at
        inside = (
            usage_import.window_from <= at < usage_import.window_to
            and one.counted.meter == str(usage_import.window_meter_id)
            and (not usage_import.window_accounts or UUID(one.counted.account) in usage_import.window_accounts)
        )
        if inside:
            return None
        detail = "The event lies outside the window that this import replaces: another meter, account or time."
        return Problem(0, "outside_window", detail, "/time", excerpt)

    def _refuse_known(self, kept: stage.Kept, bad: dict[int, Problem]) -> int:
        """Refuse rows whose id was used otherwise before; returns how many repeat a row of an earlier slice."""
        repeated = 0
        for line, first, differs in kept.repeated:
            if differs:
                bad[line] = Problem(0, "same_id", _NO_ID.format(f"{first:,}"), "/id")
            else:
                repeated += 1
        for line, differs, was_corrected in kept.known:
            if was_corrected:
                bad[line] = Problem(0, "was_corrected", _WAS_VOIDED, "/id")
            elif differs and self.one.replaces_window:
                bad[line] = Problem(0, "differs", _DIFFERS, "/id")
        return repeated

    @staticmethod
    def _lines_of(kept: stage.Kept) -> list[int]:
        return [line for line, _, _ in kept.repeated]

    def write(self) -> None:
        """Count the bad rows by reason and keep the first of them."""
        one = self.one
        room = max(0, ERRORS_KEPT - one.rows_bad)
        one.rows_bad += len(self.bad)
        counts = Counter(one.reasons)
        counts.update(problem.code for problem in self.bad.values())
        one.reasons = dict(counts.most_common())
        BadRow.objects.bulk_create(
            BadRow(
                organization_id=one.organization_id,
                usage_import_id=one.pk,
                line=line,
                code=problem.code[:60],
                detail=excerpt_of(problem.detail),
                excerpt=excerpt_of(problem.excerpt),
            )
            for line, problem in sorted(self.bad.items())[:room]
        )
