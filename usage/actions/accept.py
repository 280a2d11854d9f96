"""Accept events: the one function behind every dialect. What it answers for is committed when it returns."""

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import DataError, IntegrityError

from consumption_cs.lib.tenancy import Viewer, act_as
from usage.actions.corrections import correct, hold_corrections
from usage.actions.directory import Directory, WorkflowName, directory_of
from usage.actions.staging import (
    Staged,
    digest_of,
    forget_partitions,
    key_of,
    make_partitions_for,
    store_new,
    store_quarantined,
)
from usage.calc.cloudevents import Event, canonical_json
from usage.calc.corrections import CorrectionEvent
from usage.calc.metering import read_usage
from usage.calc.parsing import Item
from usage.calc.problems import Problem, excerpt_of
from usage.calc.quantities import BadQuantity
from usage.calc.sums import Counted
from usage.models import RejectedEvent

logger = logging.getLogger(__name__)

MISMATCH = "payload_mismatch"


class Sender(msgspec.Struct, frozen=True):
    """Whose events these are, and the key they came with (None: the organization itself, for example a seed)."""

    organization_id: UUID
    api_key_id: UUID | None = None


class Accepted(msgspec.Struct):
    """What became of each item. `remarkable` has the result of every item that was not simply accepted, by index."""

    items: int
    accepted: int
    duplicate: int
    quarantined: int
    rejected: int
    remarkable: dict[int, dict[str, Any]]


def accept_events(sender: Sender, items: list[Item], now: datetime) -> Accepted:
    """Store the events of one request, once each, and the sums of those that are new; then the caller may answer.

    Opens its own transaction. `now` stands for the time of events that give none. A problem or a duplicate does not
    stop the others; a full retry changes nothing. Raises django.db.OperationalError and the like when the database
    cannot take them: then nothing is stored.
    """
    moments = [item.time or now for item in items if not isinstance(item, Problem)]
    make_partitions_for(moments)
    try:
        return _accept(sender, items, now)
    except IntegrityError:
        # Retention dropped a partition that this process believed to be there.
        forget_partitions()
        make_partitions_for(moments)
        return _accept(sender, items, now)
    except DataError as error:
        return _accept_by_halves(sender, items, now, error)


def record_unreadable(sender: Sender, code: str, detail: str, excerpt: str) -> None:
    """Note a request of which no event could be read in the event log."""
    with act_as(_viewer(sender)):
        _store_problems(sender, [Problem(0, code, detail, "", excerpt)])


def _viewer(sender: Sender) -> Viewer:
    return Viewer(sender.organization_id, None, "key")


def _accept_by_halves(sender: Sender, items: list[Item], now: datetime, error: DataError) -> Accepted:
    """PostgreSQL refused a value that every check let through: find it, reject it alone, keep the rest."""
    if len(items) == 1:
        logger.error("event.unstorable organization=%s", sender.organization_id, exc_info=error)
        detail = "The database cannot store this event."
        return _accept(sender, [Problem(items[0].index, "unstorable", detail, "", excerpt_of(ascii(items[0])))], now)
    middle = len(items) // 2
    first, second = accept_events(sender, items[:middle], now), accept_events(sender, items[middle:], now)
    return Accepted(
        first.items + second.items,
        first.accepted + second.accepted,
        first.duplicate + second.duplicate,
        first.quarantined + second.quarantined,
        first.rejected + second.rejected,
        first.remarkable | second.remarkable,
    )


def _accept(sender: Sender, items: list[Item], now: datetime) -> Accepted:
    batch = Batch(directory_of(sender.organization_id), now)
    with act_as(_viewer(sender)):
        batch.classify(items)
        if batch.corrections:
            hold_corrections(sender.organization_id)
        made = batch.name_workflows()
        new = _store(sender, batch) if batch.staged else {}
        if batch.corrections:
            made |= _correct(sender, batch, new)
        if batch.problems:
            _store_problems(sender, batch.problems)
    batch.directory.workflows.update(made)  # not before the commit: they might not have come to be
    return batch.answer(len(items))


def _store(sender: Sender, batch: "Batch") -> dict[str, int]:
    """Store what is new; returns its keys and places when there are corrections, which must not come before it."""
    staged = list(batch.staged.values())
    seen = store_new(sender.organization_id, sender.api_key_id, staged, batch.directory.zone_of)
    for one in staged if seen else ():
        if one.key in seen:
            batch.note_duplicate(one.event, differs=seen[one.key])
    unknown = [one for one in staged if one.counted is None and one.key not in seen]
    if unknown:
        store_quarantined(sender.organization_id, sender.api_key_id, unknown)
        batch.note_quarantined(unknown)
    return {one.key: one.event.index for one in staged if one.key not in seen} if batch.corrections else {}


def _correct(sender: Sender, batch: "Batch", new: dict[str, int]) -> dict[WorkflowName, str]:
    outcome = correct(batch.directory, sender.api_key_id, batch.corrections, new)
    for problem in outcome.problems:
        batch.reject(problem)
    for item, differs in outcome.duplicates:
        batch.note_duplicate(item.event, differs=differs)
    return outcome.workflows


class Batch:
    """The items of one request on their way: sorted into events to store, problems, and results to tell."""

    def __init__(self, directory: Directory, now: datetime) -> None:
        self.directory = directory
        self.now = now
        self.staged: dict[str, Staged] = {}
        self.corrections: list[CorrectionEvent] = []
        self.problems: list[Problem] = []
        self.results: dict[int, dict[str, Any]] = {}
        self._counts = {"duplicate": 0, "quarantined": 0, "rejected": 0}

    def classify(self, items: list[Item]) -> None:
        """Stage each event once (the first wins); keep the problems, and the corrections for later."""
        events = [item for item in items if not isinstance(item, Problem)]
        self.directory.learn({event.type for event in events}, {event.subject for event in events})
        staged = self.staged
        for item in items:
            if not isinstance(item, Event):
                self._keep(item)
                continue
            one = self._stage(item)
            if one is not None:
                first = staged.setdefault(one.key, one)
                if first is not one:
                    self.note_duplicate(one.event, differs=first.digest != one.digest)

    def _keep(self, item: CorrectionEvent | Problem) -> None:
        if isinstance(item, Problem):
            self.reject(item)
        else:
            self.corrections.append(item)

    def _stage(self, event: Event) -> Staged | None:
        directory = self.directory
        properties = canonical_json(event.data)
        occurred_at = event.time or self.now
        stamp = occurred_at.isoformat()
        digest = digest_of(event, stamp if event.time else "", properties)
        if event.extensions:
            properties = canonical_json({f"ce:{name}": value for name, value in event.extensions.items()} | event.data)
        one = Staged(event, key_of(event.source, event.id), digest, stamp, properties)
        rule = directory.meters.get(event.type)
        if rule is None:
            one.reason = "unknown_type"
            return one
        try:
            reading = read_usage(rule, event.data)
        except BadQuantity as bad:
            pointer = f"/data/{rule.value_property}"
            self.reject(Problem(event.index, bad.code, f"{pointer} {bad}.", pointer, excerpt_of(properties)))
            return None
        account = directory.accounts.get(event.subject)
        if account is None:
            one.reason = "unknown_subject"
        else:
            workflow = directory.workflows.get((account, reading.workflow)) if reading.workflow else None
            one.counted = Counted(account, rule.id, rule.aggregation, workflow, occurred_at, reading)
        return one

    def name_workflows(self) -> dict[WorkflowName, str]:
        """Give each event the id of its workflow; those not known yet are found or made, and returned."""
        unnamed = [
            one.counted
            for one in self.staged.values()
            if one.counted is not None and one.counted.workflow is None and one.counted.reading.workflow
        ]
        if not unnamed:
            return {}
        found = self.directory.find_or_make((counted.account, counted.reading.workflow or "") for counted in unnamed)
        for counted in unnamed:
            counted.workflow = found[counted.account, counted.reading.workflow or ""]
        return found

    def note_duplicate(self, event: Event, *, differs: bool) -> None:
        """The id is known: the first event stands. One that says something else is noted in the event log."""
        self._tell(event.index, "duplicate", "duplicate", {MISMATCH: differs})
        if differs:
            detail = f"The event {event.id} from {event.source} came before with other content; the first one stands."
            self.problems.append(Problem(event.index, MISMATCH, detail, "", excerpt_of(canonical_json(event.data))))

    def note_quarantined(self, unknown: Iterable[Staged]) -> None:
        """These events are kept aside until their account or meter exists."""
        for one in unknown:
            self._tell(one.event.index, "quarantined", one.reason, {})

    def reject(self, problem: Problem) -> None:
        """This item is refused, in words; the others are not held up."""
        self._tell(problem.index, "rejected", problem.code, {"detail": problem.detail, "pointer": problem.pointer})
        self.problems.append(problem)

    def _tell(self, index: int, status: str, code: str, more: dict[str, Any]) -> None:
        self.results[index] = {"index": index, "status": status, "code": code, **more}
        self._counts[status] += 1

    def answer(self, items: int) -> Accepted:
        """The counts; what is not in them was accepted."""
        return Accepted(items, items - sum(self._counts.values()), **self._counts, remarkable=self.results)


def _store_problems(sender: Sender, problems: list[Problem]) -> None:
    RejectedEvent.objects.bulk_create(
        RejectedEvent(
            organization_id=sender.organization_id,
            api_key_id=sender.api_key_id,
            code=problem.code,
            detail=excerpt_of(problem.detail),
            pointer=excerpt_of(problem.pointer)[:200],
            excerpt=excerpt_of(problem.excerpt),
        )
        for problem in problems
    )
