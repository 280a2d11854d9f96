"""What a worker does for an import: one slice after the other, each a transaction that another worker can follow."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import DataError, IntegrityError, connection, transaction

from consumption_cs.lib.tenancy import Viewer, act_as
from usage.actions.directory import Directory
from usage.actions.imports import close, preview, validate, void
from usage.calc.import_rows import FileProblem
from usage.models import UsageImport

logger = logging.getLogger(__name__)

SECONDS = 15.0  # one task; then the next is queued
SILENT = timedelta(seconds=45)  # without a heartbeat: its worker is gone
MAX_FAILURES = 3
_POISON = (DataError, IntegrityError, ValueError, ArithmeticError, LookupError)

State = UsageImport.State


def waiting(now: datetime) -> list[tuple[UUID, UUID]]:
    """Return the imports (with their organizations) that nobody works on any more. One query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT organization, import FROM usage_imports_waiting(%s)", [now - SILENT])
        return list(cursor.fetchall())


def work(organization_id: UUID, import_id: UUID, clock: Callable[[], datetime], seconds: float = SECONDS) -> bool:
    """Take an import as far as the time allows; return whether there is more to do.

    Any number of workers may try: the one that holds the row works, the others leave. Killed at any moment, it goes
    on where the last transaction ended. Raises OperationalError when the database goes away.
    """
    run = _Run(organization_id, import_id, clock)
    start = time.monotonic()
    while run.step():
        if time.monotonic() - start > seconds:
            return True
    return False


_FAILED = "The import could not go on. Nothing is lost: revert it, or ask whoever runs this server to look at its log."
_BROKE_OFF: dict[str, str] = {
    State.CLOSING: (
        "The import could not be closed; whoever runs this server finds the cause in its log. What was stored of it "
        "does not count. Close it again, which goes on from there, or undo it."
    ),
    State.UNDOING: (
        "The import could not be undone; whoever runs this server finds the cause in its log. Nothing was taken back "
        "yet. Undo it again, which goes on from there."
    ),
}


class _Run:
    """What one worker keeps between slices: the open file, the names, the prices."""

    def __init__(self, organization_id: UUID, import_id: UUID, clock: Callable[[], datetime]) -> None:
        self.organization_id, self.import_id, self.clock = organization_id, import_id, clock
        self.now = clock()
        self.reader: validate.RowReader | None = None
        self.preview: preview.PreviewRun | None = None
        self.directory = Directory(organization_id, 0.0, {}, {}, {}, {})

    def step(self) -> bool:
        """One slice, in a transaction of its own; False when there is nothing (more) to do for this worker."""
        with act_as(Viewer(self.organization_id)):
            rows = UsageImport.objects.filter(organization=self.organization_id, pk=self.import_id)
            one = rows.select_for_update(skip_locked=True, no_key=True).first()
            if one is None or not one.is_working:
                return False
            self.now = self.clock()
            before = _counters(one)
            try:
                with transaction.atomic():
                    _STEPS[one.state, one.step](self, one)
                one.failures = 0
            except FileProblem as problem:
                self._restore(one, before)
                self._refuse(one, str(problem))
            except _POISON as error:
                self._restore(one, before)
                self._note_failure(one, error)
            one.heartbeat_at = self.now
            one.save()
            return one.is_working and not one.failures

    def _restore(self, one: UsageImport, before: dict[str, object]) -> None:
        """What was counted in a slice that is undone does not count."""
        for name, value in before.items():
            setattr(one, name, value)
        self.reader = None
        self.directory = Directory(self.organization_id, 0.0, {}, {}, {}, {})

    def _refuse(self, one: UsageImport, words: str) -> None:
        one.problem = words
        self._end(one, State.REFUSED)

    def _note_failure(self, one: UsageImport, error: Exception) -> None:
        one.failures += 1
        logger.exception("import %s failed at %s", one.pk, one.step, exc_info=error)
        if one.failures >= MAX_FAILURES:
            one.problem = _BROKE_OFF.get(one.state, _FAILED)
            self._end(one, State.FAILED)

    def _end(self, one: UsageImport, state: str) -> None:
        if state != State.FAILED or one.state not in _BROKE_OFF:  # those can be taken up again
            one.step, one.position = "", {}
        one.state = state

    def clear(self, one: UsageImport) -> None:
        """Forget an earlier check."""
        if close.drop_rows(one):
            return
        for name in ("rows", "rows_new", "rows_known", "rows_differing", "rows_repeated", "rows_bad", "events_voided"):
            setattr(one, name, 0)
        one.reasons, one.preview, one.problem, one.validated_at = {}, {}, "", None
        one.step, one.position, one.done, one.todo = "rows", {}, 0, one.bytes

    def read(self, one: UsageImport) -> None:
        """Read the next rows."""
        if self.reader is None or self.reader.position != one.position:
            self.reader = validate.RowReader(one, self.now)
        if validate.read_slice(one, self.reader, self.now):
            return
        self.reader = None
        if not one.rows:
            raise FileProblem("The file has no rows: it names columns, but no event.")
        one.step, one.done, one.todo = "sum", 0, int(one.position.get("line", one.rows))
        one.position = {}

    def add_up(self, one: UsageImport) -> None:
        """Add up the next rows by local day."""
        if validate.sum_slice(one):
            return
        one.step, one.position = ("window" if one.replaces_window else "preview"), {}
        one.done, one.todo = 0, 0

    def find_window(self, one: UsageImport) -> None:
        """Add up what of the replaced window is not in the file."""
        if not void.find_window(one, self.directory):
            one.step, one.position = "preview", {}

    def compare(self, one: UsageImport) -> None:
        """Work out what changes for the next accounts."""
        if not one.todo:
            one.todo = preview.count_accounts(one)
        self.preview = self.preview or preview.PreviewRun(self.organization_id)
        if preview.preview_slice(one, self.preview, self.now):
            return
        one.preview = preview.totals(one)
        one.validated_at = self.now
        self._end(one, State.REFUSED if one.rows_bad else State.READY)

    def store(self, one: UsageImport) -> None:
        """Count the next events."""
        if not one.position:
            close.make_room(one)
        if not close.close_slice(one, self.directory):
            one.step, one.position = ("window" if one.replaces_window else "file"), {}

    def void_window(self, one: UsageImport) -> None:
        """Take back the next events of the window that are not in the file."""
        if not void.void_window_slice(one, self.directory, self.now):
            one.step, one.position = "file", {}

    def end_close(self, one: UsageImport) -> None:
        """Drop the file, and let all events count. The rows stay a while, so that the import can be undone."""
        if not close.drop_file(one):
            close.release(one)
            one.closed_at, one.done = self.now, one.todo
            self._end(one, State.CLOSED)

    def drop(self, one: UsageImport) -> None:
        """Drop the staged rows of an import that is reverted."""
        if not close.drop_rows(one):
            one.step = "file"

    def end_revert(self, one: UsageImport) -> None:
        """Drop its file, and it is reverted."""
        if not close.drop_file(one):
            one.ended_at = self.now
            self._end(one, State.REVERTED)

    def undo(self, one: UsageImport) -> None:
        """Take back the next events of a closed import."""
        if not void.undo_slice(one, self.directory, self.now):
            close.release(one)
            one.ended_at = self.now
            self._end(one, State.UNDONE)


_STEPS: dict[tuple[str, str], Callable[[_Run, UsageImport], None]] = {
    (State.VALIDATING, "clear"): _Run.clear,
    (State.VALIDATING, "rows"): _Run.read,
    (State.VALIDATING, "sum"): _Run.add_up,
    (State.VALIDATING, "window"): _Run.find_window,
    (State.VALIDATING, "preview"): _Run.compare,
    (State.CLOSING, "rows"): _Run.store,
    (State.CLOSING, "window"): _Run.void_window,
    (State.CLOSING, "file"): _Run.end_close,
    (State.REVERTING, "rows"): _Run.drop,
    (State.REVERTING, "file"): _Run.end_revert,
    (State.UNDOING, "rows"): _Run.undo,
}

_COUNTERS = (
    "step", "position", "rows", "rows_new", "rows_known", "rows_differing", "rows_repeated", "rows_bad",
    "events_voided", "done", "todo", "reasons", "preview",
)  # fmt: skip


def _counters(one: UsageImport) -> dict[str, object]:
    return {name: getattr(one, name) for name in _COUNTERS}
