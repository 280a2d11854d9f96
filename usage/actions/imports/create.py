"""Begin an import, and the acts of people on it: validate, close, revert, undo. A worker does the rest."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from accounts.actions.audit import audit
from accounts.models import Account, ApiKey
from consumption_cs.lib.tenancy import Viewer
from usage.calc.import_rows import NAMES
from usage.models import WORKING, Meter, UsageImport

State = UsageImport.State
UNDO_FOR = timedelta(days=30)  # after the close; then the rows are forgotten
REASON_CHARS = 500
MOST_WINDOW = timedelta(days=367)  # a year of days, some of them of 25 hours

_VALIDATES = (State.UPLOADED, State.READY, State.REFUSED)
_REVERTS = (State.CREATED, State.UPLOADING, State.UPLOADED, State.VALIDATING, State.READY, State.REFUSED, State.FAILED)


class ImportRefused(ValueError):
    """What was asked for cannot be done now; the message says why and what to do. `code` is for programs."""

    def __init__(self, code: str, detail: str, field: str = "") -> None:
        super().__init__(detail)
        self.code, self.field = code, field


@dataclass(frozen=True, slots=True)
class Window:
    """Events of the meter in [start, end) that a file replaces; of these accounts, or of all if none is named."""

    meter: Meter
    start: datetime
    end: datetime
    accounts: Sequence[Account] = ()


@dataclass(frozen=True, slots=True)
class NewImport:
    """What an import is to be. `columns`: our name of a column → its name in the file."""

    format: str
    file_name: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    default_source: str = "import"
    may_backfill: bool = True
    window: Window | None = None


def create_import(viewer: Viewer, new: NewImport, api_key: ApiKey | None = None) -> UsageImport:
    """Make an import that waits for its file. Raises ImportRefused."""
    for name in new.columns:
        if name not in NAMES:
            known = ", ".join(NAMES)
            raise ImportRefused("unknown_column", f"“{name[:60]}” is no column of ours: map {known}.", "columns")
    window = new.window
    if window is not None and window.start >= window.end:
        raise ImportRefused("empty_window", "The window must end after it starts.", "window")
    if window is not None and window.end - window.start > MOST_WINDOW:
        raise ImportRefused("window_too_long", "A window may be a year long: replace more in parts.", "window")
    row: UsageImport = UsageImport.objects.create(
        organization_id=viewer.organization_id,
        format=new.format,
        file_name=new.file_name[:200],
        columns=new.columns,
        default_source=new.default_source,
        may_backfill=new.may_backfill,
        window_meter=window.meter if window else None,
        window_accounts=sorted(account.pk for account in window.accounts) if window else [],
        window_from=window.start if window else None,
        window_to=window.end if window else None,
        created_by_id=viewer.user_id,
        api_key=api_key,
    )
    audit(viewer, "import.created", row, str(row), {"format": row.format})
    return row


def held(viewer: Viewer, import_id: UUID) -> UsageImport | None:
    """Return the import, locked until the transaction ends; None if there is none that the viewer may see."""
    rows = UsageImport.objects.visible_to(viewer).select_for_update(of=("self",), no_key=True)
    found: UsageImport | None = rows.filter(pk=import_id).first()
    return found


def start_validation(viewer: Viewer, one: UsageImport, now: datetime) -> None:
    """Let a worker read and check the file, anew if it was checked before. `one` is `held`. Raises ImportRefused."""
    if one.state not in _VALIDATES or not one.bytes:
        raise ImportRefused("not_uploaded", _WHY_NOT.get(one.state, "Upload the file first, then validate it."))
    one.leaves_bad_out = False
    _begin(one, State.VALIDATING, "clear", now)
    audit(viewer, "import.validated", one, str(one))


def start_closing(viewer: Viewer, one: UsageImport, now: datetime, *, leave_bad_out: bool = False) -> None:
    """Let a worker count the import's events. Asking again while it closes, or after, changes nothing.

    `one` is `held`. Raises ImportRefused unless it is ready; bad rows must be left out explicitly.
    """
    if one.state in (State.CLOSING, State.CLOSED):
        return
    if one.broke_off and one.closed_at is None and not one.reason:
        _take_up(viewer, one, now)
        return
    if one.state not in (State.READY, State.REFUSED):
        raise ImportRefused("not_ready", _WHY_NOT.get(one.state, "Validate the import first; then it can be closed."))
    if one.problem:
        raise ImportRefused("refused", f"{one.problem} Nothing of this file can be imported.")
    if one.rows_bad and not leave_bad_out:
        rows = "1 row is" if one.rows_bad == 1 else f"{one.rows_bad:,} rows are"
        detail = f"{rows} wrong. Correct the file and import it anew, or say that the bad rows are to be left out."
        raise ImportRefused("bad_rows", detail, "leave_bad_rows_out")
    if not one.rows_new and not one.events_voided:
        raise ImportRefused("nothing_new", "Every event of this file is there already: there is nothing to close.")
    one.leaves_bad_out = bool(one.rows_bad)
    one.closed_by_id = viewer.user_id
    one.todo = one.rows_new + one.events_voided
    _begin(one, State.CLOSING, "rows", now)
    audit(viewer, "import.closed", one, str(one), _figures(one))


def start_reverting(viewer: Viewer, one: UsageImport, now: datetime) -> None:
    """Drop the import: its file and rows go, and nothing of it ever counted. Also cancels one that is being checked.

    `one` is `held`. Raises ImportRefused once it is closing or closed.
    """
    if one.state in (State.REVERTING, State.REVERTED):
        return
    if one.state not in _REVERTS:
        raise ImportRefused("closed", _WHY_NOT.get(one.state, "It is closed: undo it instead."))
    if one.broke_off:
        raise ImportRefused("closed", "Part of its events is stored: close it again, or undo it.")
    one.todo = one.rows
    _begin(one, State.REVERTING, "rows", now)
    audit(viewer, "import.reverted", one, str(one))


def may_undo(one: UsageImport, now: datetime) -> bool:
    """Whether its events can be taken back in bulk."""
    is_late = one.closed_at is not None and one.closed_at < now - UNDO_FOR
    return (one.state == State.CLOSED or one.broke_off) and not is_late


def start_undoing(viewer: Viewer, one: UsageImport, reason: str, now: datetime) -> None:
    """Take back every event of a closed import: each is voided. `one` is `held`. Raises ImportRefused."""
    if one.state in (State.UNDOING, State.UNDONE):
        return
    if one.state != State.CLOSED and not one.broke_off:
        raise ImportRefused("not_closed", _WHY_NOT.get(one.state, "Only a closed import can be undone: revert it."))
    if one.closed_at is not None and one.closed_at < now - UNDO_FOR:
        raise ImportRefused("too_late", "It was closed more than 30 days ago: void its events one by one.")
    reason = " ".join(reason.split())[:REASON_CHARS]
    if not reason:
        raise ImportRefused("no_reason", "Say why: the reason stands beside the money that changes.", "reason")
    one.reason, one.problem = reason, ""
    one.todo = one.rows_new
    _begin(one, State.UNDOING, "rows", now)
    audit(viewer, "import.undone", one, str(one), {"reason": reason})


_WHY_NOT: dict[str, str] = {
    State.CREATED: "Upload the file first.",
    State.UPLOADING: "The upload is not complete yet.",
    State.VALIDATING: "It is being checked; wait until it is ready, or cancel it.",
    State.CLOSING: "It is closing; wait until it is closed. Then it can be undone.",
    State.CLOSED: "It is closed already.",
    State.REVERTING: "It is being reverted.",
    State.REVERTED: "It was reverted: make a new import.",
    State.UNDOING: "It is being undone.",
    State.UNDONE: "It was undone: make a new import.",
    State.FAILED: "It failed: revert it and make a new import.",
}


def _begin(one: UsageImport, state: str, step: str, now: datetime) -> None:
    one.state, one.step, one.position, one.done, one.failures = state, step, {}, 0, 0
    one.step_started_at, one.heartbeat_at = now, now
    one.save()


def _take_up(viewer: Viewer, one: UsageImport, now: datetime) -> None:
    """Go on with a close that broke off, from where its last transaction ended."""
    one.state, one.problem, one.failures, one.heartbeat_at = State.CLOSING, "", 0, now
    one.save()
    audit(viewer, "import.closed", one, str(one), _figures(one))


def _figures(one: UsageImport) -> dict[str, Any]:
    return {"new": one.rows_new, "voided": one.events_voided, "left_out": one.rows_bad}


def is_working(one: UsageImport) -> bool:
    """Whether a worker is to be woken."""
    return one.state in WORKING
