"""Imports as pages and API tell them: how far they are, what was wrong, what they would change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.db.models import F, QuerySet
from django.db.models.functions import Abs, Coalesce

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from usage.calc.event_reasons import Reason
from usage.calc.import_reasons import row_reason
from usage.models import BadRow, ImportChange, ImportRow, UsageImport

State = UsageImport.State
ERRORS_A_PAGE = 50
_STEPS = {
    ("validating", "clear"): "Forgetting the last check",
    ("validating", "rows"): "Reading and checking rows",
    ("validating", "sum"): "Adding up the rows",
    ("validating", "window"): "Comparing with the window that is replaced",
    ("validating", "preview"): "Working out the difference",
    ("closing", "rows"): "Counting the events",
    ("closing", "window"): "Taking back what the file does not have",
    ("closing", "file"): "Cleaning up",
    ("reverting", "rows"): "Dropping the rows",
    ("reverting", "file"): "Dropping the file",
    ("undoing", "rows"): "Taking back the events",
}
_TONES = {
    State.READY: "info",
    State.CLOSED: "good",
    State.REFUSED: "bad",
    State.FAILED: "bad",
    State.UPLOADED: "info",
    State.VALIDATING: "info",
    State.CLOSING: "info",
    State.REVERTING: "warn",
    State.UNDOING: "warn",
}


class Progress(NamedTuple):
    """How far the step that runs is. `percent` None: nobody knows how long it takes."""

    words: str
    percent: int | None
    rows_per_second: int | None


class Step(NamedTuple):
    """One of the four steps on the page."""

    title: str
    detail: str
    is_done: bool
    is_current: bool


class Count(NamedTuple):
    """How many rows are wrong in one way."""

    code: str
    rows: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Money:
    """The difference in one currency."""

    currency: str
    before: Decimal
    after: Decimal
    late: Decimal

    @property
    def difference(self) -> Decimal:
        return self.after - self.before


def imports_of(viewer: Viewer) -> "QuerySet[UsageImport]":
    """The organization's imports, the newest first."""
    rows = UsageImport.objects.visible_to(viewer).select_related("created_by", "api_key", "window_meter", "closed_by")
    return cast("QuerySet[UsageImport]", rows.order_by("-pk"))


def find_import(viewer: Viewer, import_id: UUID) -> UsageImport | None:
    """The import, if it is one that the viewer may see."""
    return imports_of(viewer).filter(pk=import_id).first()


def tone_of(one: UsageImport) -> str:
    """The colour of its state."""
    return _TONES.get(State(one.state), "none")


def progress_of(one: UsageImport, now: datetime) -> Progress | None:
    """How far a worker is; None when there is nothing to do."""
    if not one.is_working:
        return None
    words = _STEPS.get((one.state, one.step), "Waiting for a worker")
    percent = min(99, int(one.done * 100 / one.todo)) if one.todo else None
    speed = None
    if one.step == "rows" and one.step_started_at:
        seconds = (now - one.step_started_at).total_seconds()
        count = one.rows if one.state == State.VALIDATING else one.done
        speed = int(count / seconds) if seconds >= 1 else None
    return Progress(words, percent, speed)


def counts_of(one: UsageImport) -> list[Count]:
    """The bad rows by reason, the most frequent first."""
    ordered = sorted(one.reasons.items(), key=lambda item: (-item[1], item[0]))
    return [Count(code, rows, row_reason(code)) for code, rows in ordered]


def bad_rows(viewer: Viewer, one: UsageImport, code: str = "") -> "QuerySet[BadRow]":
    """The bad rows that were kept, in the order of the file."""
    rows = BadRow.objects.visible_to(viewer).filter(usage_import=one.pk)
    return cast("QuerySet[BadRow]", (rows.filter(code=code) if code else rows).order_by("line"))


def changes_of(viewer: Viewer, one: UsageImport) -> "QuerySet[ImportChange]":
    """The preview, account by account and meter, what changes most first."""
    rows = ImportChange.objects.visible_to(viewer).filter(usage_import=one.pk).select_related("account", "meter")
    difference = Abs(Coalesce(F("spend_after"), Decimal(0)) - Coalesce(F("spend_before"), Decimal(0)))
    quantity = Abs(F("quantity_after") - F("quantity_before"))
    ordered = rows.annotate(
        difference=F("spend_after") - Coalesce(F("spend_before"), Decimal(0)), quantity=quantity
    ).order_by(difference.desc(), "-quantity", "account__name", "meter__name")
    return cast("QuerySet[ImportChange]", ordered)


def money_of(one: UsageImport) -> list[Money]:
    """The difference in each currency."""
    told: dict[str, dict[str, str]] = one.preview.get("money", {})
    return [
        Money(currency, Decimal(sums["before"]), Decimal(sums["after"]), Decimal(sums["late"]))
        for currency, sums in sorted(told.items())
    ]


def steps_of(one: UsageImport) -> list[Step]:
    """Upload, check, look, close: where the import is."""
    reached = _REACHED.get(State(one.state), 0)
    words = (
        ("Upload", "The file goes up in pieces; a broken connection goes on."),
        ("Check", "Every row is read as an event would be."),
        ("Look at the difference", "Quantity and money per account, before anything counts."),
        ("Close", "The events count and are settled. Until then you can revert."),
    )
    return [
        Step(title, detail, number < reached, number == reached) for number, (title, detail) in enumerate(words, 0)
    ]


_REACHED = {
    State.CREATED: 0,
    State.UPLOADING: 0,
    State.UPLOADED: 1,
    State.VALIDATING: 1,
    State.REFUSED: 1,
    State.READY: 2,
    State.CLOSING: 3,
    State.CLOSED: 4,
    State.UNDOING: 4,
    State.UNDONE: 4,
}


def window_accounts(viewer: Viewer, one: UsageImport) -> Sequence[Account]:
    """The accounts whose window is replaced; none: all."""
    return list(Account.objects.visible_to(viewer).filter(pk__in=one.window_accounts).order_by("name"))


def sample_rows(viewer: Viewer, one: UsageImport, count: int = 5) -> list[Any]:
    """Some rows as they were read, so that a wrong column shows before it counts."""
    rows = ImportRow.objects.visible_to(viewer).filter(usage_import=one.pk).select_related("account", "meter")
    return list(rows[:count])
