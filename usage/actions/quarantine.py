"""Replay of what could not be counted: events of unknown accounts or meters, and batches that failed the tick."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import TextField
from django.db.models.functions import Cast

from consumption_cs.lib.tenancy import Viewer
from usage.actions.accept import Batch
from usage.actions.directory import Directory
from usage.actions.staging import Staged, detail_of, make_partitions_for, store_new
from usage.calc.cloudevents import Event, Window
from usage.calc.json_strict import load
from usage.calc.parsing import Item, parse_items
from usage.calc.problems import Problem
from usage.models import EventKey, IngestBatch, QuarantinedEvent

MAX_AT_ONCE = 1000
_EVER = Window(datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))


class Replayed(NamedTuple):
    """How many events were counted now, and how many wait on because their cause is still there."""

    replayed: int
    waiting: int


def replay(viewer: Viewer, ids: Collection[UUID] | None, now: datetime) -> Replayed:
    """Count quarantined events (`ids`, or the oldest 1,000) whose account and meter exist by now, each once.

    Within `act_as(viewer)`, whose transaction it shares; the tick does the rest after the commit. Events whose cause
    is still there stay, with the cause as it is now. Two replays at once never count an event twice.
    """
    rows = _claim(viewer, ids)
    if not rows:
        return Replayed(0, 0)
    items = _events_of(rows)
    directory = Directory(viewer.organization_id, 0.0, {}, {}, {}, {})  # what is true now, not seconds ago
    batch = Batch(directory, now)
    batch.classify(items)
    problems = {problem.index: problem for problem in batch.problems}
    ready = []
    for index, row in enumerate(rows):
        staged = batch.staged.get(row.key.hex)
        if staged is not None and staged.counted is not None:
            staged.digest = row.digest  # a time that we filled in is not part of what the sender said
            ready.append(staged)
        else:
            _note_cause(row, staged, problems.get(index))
    batch.name_workflows()
    if ready:
        _store(viewer, ready, directory)
        replayed = [staged.key for staged in ready]
        QuarantinedEvent.objects.visible_to(viewer).filter(key__in=replayed).update(replayed_at=now)
    return Replayed(len(ready), len(rows) - len(ready))


def retry_failed_batches(viewer: Viewer) -> int:
    """Let the tick try the batches again that it had set aside; return how many."""
    return IngestBatch.objects.visible_to(viewer).filter(rolled_at=None, failures__gt=0).update(failures=0)


def _claim(viewer: Viewer, ids: Collection[UUID] | None) -> list[QuarantinedEvent]:
    rows = QuarantinedEvent.objects.visible_to(viewer).filter(replayed_at=None)
    if ids is not None:
        rows = rows.filter(pk__in=ids)
    rows = rows.annotate(text=Cast("payload", TextField())).defer("payload")
    return list(rows.order_by("received_at", "pk").select_for_update(skip_locked=True)[:MAX_AT_ONCE])


def _events_of(rows: list[QuarantinedEvent]) -> list[Item]:
    """The events as they were sent, every number with all its digits; one without a time happened when it came."""
    payloads = [load(row.text.encode())[0] for row in rows]  # type: ignore[attr-defined]  # annotated by _claim
    items = parse_items(payloads, _EVER)
    for item, row in zip(items, rows, strict=True):
        if isinstance(item, Event):
            item.time = item.time or row.occurred_at
    return items


def _note_cause(row: QuarantinedEvent, staged: Staged | None, problem: Problem | None) -> None:
    if staged is not None:
        row.reason, row.detail = staged.reason, detail_of(staged)
    elif problem is not None:
        row.reason, row.detail = problem.code[:60], problem.detail
    row.save(update_fields=["reason", "detail"])


def _store(viewer: Viewer, ready: list[Staged], directory: Directory) -> None:
    """Move the events to where they had gone if they had been known; their keys are written anew on the way."""
    make_partitions_for([staged.counted.occurred_at for staged in ready if staged.counted is not None])
    EventKey.objects.visible_to(viewer).filter(key__in=[staged.key for staged in ready]).delete()
    store_new(viewer.organization_id, None, ready, directory.zone_of)
