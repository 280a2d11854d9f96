"""Corrections of one batch: events that count against others, and for them. What was accepted is never edited."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Context, Decimal
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.db import IntegrityError, connection

from usage.actions.directory import Directory, WorkflowName, rule_of
from usage.actions.staging import Staged, digest_of, key_of, reversal_key_of, store_new
from usage.calc.cloudevents import canonical_json
from usage.calc.corrections import DONE, CorrectionEvent, against, sums_against, sums_instead, too_old
from usage.calc.json_strict import load
from usage.calc.metering import MeterRule, Reading, json_text, read_usage
from usage.calc.problems import Problem, excerpt_of
from usage.calc.quantities import BadQuantity
from usage.calc.sums import Counted
from usage.models import Correction, EventKey, Meter, QuarantinedEvent

_EXACT = Context(prec=100)
UNKNOWN = (
    "No event with this id from this source was accepted for this account, so there is nothing to correct. "
    "Check data.id, data.source and subject."
)
QUARANTINED = (
    "This event waits in quarantine: it was not counted and costs nothing, so there is nothing to correct. "
    "To correct it, replay it first and send the correction again."
)
A_REVERSAL = (
    "This is itself a correction that took an event back; it cannot be corrected. To count the event again, send it "
    "under a new id."
)

# The group that an event fell into is not stored: it is read again from the properties that its meter tells apart.
GROUP = (
    "(SELECT jsonb_object_agg(name, properties -> name) FROM unnest(meter.dimensions) AS name"
    " WHERE properties ? name)::text"
)
_ORIGINALS = f"""
SELECT replace(event.key::text, '-', ''), event.occurred_at, event.account_id::text, event.meter_id::text,
    event.workflow_id::text, meter.aggregation, quantity, outcomes, succeeded, attempt, environment, counted, value,
    cardinality(meter.dimensions) > 0, {GROUP}
FROM usage_event AS event
JOIN usage_meter AS meter ON meter.organization_id = event.organization_id AND meter.id = event.meter_id
WHERE event.organization_id = %s AND event.account_id = ANY(%s::uuid[])
    AND event.occurred_at = ANY(%s) AND event.key = ANY(%s::uuid[])
"""  # noqa: S608 - names of columns
_CORRECTED_BY = """
SELECT source, event_id FROM usage_event
WHERE organization_id = %s AND account_id = %s AND occurred_at = %s AND key = %s
"""


class Outcome(NamedTuple):
    """What became of the corrections of a batch, beside those that were accepted."""

    problems: list[Problem]
    duplicates: list[tuple[CorrectionEvent, bool]]  # and whether they say something else than before
    workflows: dict[WorkflowName, str]  # made or found


class _Done(msgspec.Struct):
    """How an event was corrected. `name` is the id and source of what did it, None until somebody asks."""

    kind: str
    by: str
    at: datetime
    name: tuple[str, str] | None = None


def hold_corrections(organization_id: UUID) -> None:
    """Until the transaction ends, let no other batch with corrections of this organization start.

    Corrections are few. So two that take back the same event never see it untouched both, nor wait in a circle.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('correct ' || %s, 0))", [str(organization_id)])


def correct(
    directory: Directory, api_key_id: UUID | None, items: list[CorrectionEvent], new: dict[str, int]
) -> Outcome:
    """Store the corrections of one batch in their order, each once. Inside `act_as`, after `hold_corrections`.

    `new` has the keys of the batch's own new events and their places, so that nothing is corrected before it came.
    Corrections that cannot be done are told and change nothing.
    """
    batch = _Corrections(directory, items, new)
    batch.read()
    for item in items:
        batch.take(item)
    batch.store(api_key_id)
    return Outcome(batch.problems, batch.duplicates, batch.workflows)


class _Refused(Exception):
    def __init__(self, code: str, detail: str, pointer: str = "/data/id") -> None:
        super().__init__(detail)
        self.code, self.detail, self.pointer = code, detail, pointer


class _Accepted(NamedTuple):
    item: CorrectionEvent
    key: str
    digest: int
    original: Counted
    original_key: str
    replacement: Counted | None

    @property
    def reversal_key(self) -> str:
        """A void is its reversal; a replacement has its own key, so that it can be corrected in turn."""
        return self.key if self.replacement is None else reversal_key_of(self.item.event.source, self.item.event.id)


class _Corrections:
    """The corrections of one batch, and what is known of the events that they name."""

    def __init__(self, directory: Directory, items: list[CorrectionEvent], new: dict[str, int]) -> None:
        self.directory = directory
        self.organization_id = directory.organization_id
        self.items = items
        self.new = new
        self.problems: list[Problem] = []
        self.duplicates: list[tuple[CorrectionEvent, bool]] = []
        self.workflows: dict[WorkflowName, str] = {}
        self.accepted: list[_Accepted] = []
        self.digests: dict[str, int] = {}
        self.originals: dict[str, Counted] = {}
        self.corrected: dict[str, _Done] = {}
        self.reversals: set[str] = set()
        self.waiting: set[tuple[str, str]] = set()
        self.rules: dict[str, MeterRule] = {}

    def read(self) -> None:
        """Look up everything that the corrections name, with a few statements for all."""
        named = {key_of(item.original_source, item.original_id) for item in self.items}
        own = {key_of(item.event.source, item.event.id) for item in self.items}
        times = set()
        keys = EventKey.objects.filter(organization_id=self.organization_id, key__in=named | own)
        for key, digest, occurred_at in keys.values_list("key", "digest", "occurred_at"):
            self.digests[key.hex] = digest
            if key.hex in named:
                times.add(occurred_at)
        self._read_originals(named, times)
        self._read_corrections(named)
        quarantined = QuarantinedEvent.objects.filter(
            organization_id=self.organization_id, key__in=named, replayed_at=None
        )
        self.waiting = {(key.hex, subject) for key, subject in quarantined.values_list("key", "payload__subject")}
        meters = {original.meter for original in self.originals.values()}
        for meter in Meter.objects.filter(organization=self.organization_id, pk__in=meters):
            self.rules[str(meter.pk)] = rule_of(meter)

    def _read_originals(self, named: set[str], times: set[datetime]) -> None:
        accounts = self.directory.accounts
        own = [accounts[item.subject] for item in self.items if item.subject in accounts]
        if not own or not times:
            return
        with connection.cursor() as cursor:
            cursor.execute(_ORIGINALS, [self.organization_id, own, list(times), list(named)])
            for key, *row in cursor.fetchall():
                self.originals[key] = _counted(row)

    def _read_corrections(self, named: set[str]) -> None:
        rows = Correction.objects.filter(organization_id=self.organization_id)
        for row in rows.filter(original_key__in=named):
            self.corrected[row.original_key.hex] = _Done(row.kind, row.reversal_key.hex, row.original_at)
        accounts = {original.account for original in self.originals.values()}
        reversals = rows.filter(account__in=accounts, reversal_key__in=named).values_list("reversal_key", flat=True)
        self.reversals = {key.hex for key in reversals}

    def take(self, item: CorrectionEvent) -> None:
        """Decide about one correction; those before it are known."""
        event = item.event
        key = key_of(event.source, event.id)
        digest = digest_of(event, event.time.isoformat() if event.time else "", canonical_json(event.data))
        if key in self.digests:
            self.duplicates.append((item, self.digests[key] != digest))
            return
        try:
            original_key = key_of(item.original_source, item.original_id)
            original = self._original(item, original_key)
            replacement = self._replacement(item, original) if item.data is not None else None
        except _Refused as refused:
            excerpt = excerpt_of(canonical_json(event.data))
            self.problems.append(Problem(item.index, refused.code, refused.detail, refused.pointer, excerpt))
            return
        accepted = _Accepted(item, key, digest, original, original_key, replacement)
        self.accepted.append(accepted)
        self.digests[key] = digest
        name = (event.id, event.source)
        self.corrected[original_key] = _Done(item.kind, accepted.reversal_key, original.occurred_at, name)
        self.reversals.add(accepted.reversal_key)
        self.originals[key] = replacement or original

    def _original(self, item: CorrectionEvent, key: str) -> Counted:
        subject = item.subject
        if (key, subject) in self.waiting:
            raise _Refused("original_quarantined", QUARANTINED)
        original = self.originals.get(key)
        is_later = self.new.get(key, -1) > item.index
        if original is None or is_later or original.account != self.directory.accounts.get(subject):
            raise _Refused("unknown_original", UNKNOWN)
        if key in self.reversals:
            raise _Refused("is_a_correction", A_REVERSAL)
        if key in self.corrected:
            raise _Refused("already_corrected", self._already(original, self.corrected[key]))
        if original.occurred_at < item.earliest:
            raise _Refused("time_too_old", f"The event’s time {too_old(item.earliest)}")
        return original

    def _already(self, original: Counted, done: _Done) -> str:
        if done.name is None:
            with connection.cursor() as cursor:
                cursor.execute(_CORRECTED_BY, [self.organization_id, original.account, done.at, done.by])
                source, event_id = cursor.fetchone()
            done.name = (event_id, source)
        event_id, source = done.name
        again = "To count it again, send it under a new id."
        advice = "Correct that one instead." if done.kind == "replace" else again
        return f"This event was {DONE[done.kind]} already by the event {event_id} from {source}. {advice}"

    def _replacement(self, item: CorrectionEvent, original: Counted) -> Counted:
        """The event as it should have been, read by the meter that read the original."""
        rule = self.rules[original.meter]
        try:
            reading = read_usage(rule, item.data or {})
        except BadQuantity as bad:
            pointer = f"/data/data/{rule.value_property}"
            raise _Refused(bad.code, f"{pointer} {bad}.", pointer) from bad
        workflow = None
        if reading.workflow:
            workflow = self.directory.workflows.get((original.account, reading.workflow))
        occurred_at = item.time or original.occurred_at
        return Counted(original.account, original.meter, rule.aggregation, workflow, occurred_at, reading)

    def store(self, api_key_id: UUID | None) -> None:
        """Write the new events, the batch with their sums, and who corrected whom."""
        if not self.accepted:
            return
        self._name_workflows()
        staged = [one for accepted in self.accepted for one in _staged(accepted)]
        zone_of = self.directory.zone_of
        sums = []
        for one in self.accepted:
            sums += sums_against(one.original, zone_of, one.item.words)
            if one.replacement:
                sums += sums_instead(one.replacement, zone_of, one.item.words)
        if store_new(self.organization_id, api_key_id, staged, zone_of, msgspec.json.encode(sums).decode()):
            raise IntegrityError("an event with the id of a correction came at the same moment")
        Correction.objects.bulk_create(map(self._row, self.accepted))

    def _name_workflows(self) -> None:
        unnamed = [
            one.replacement
            for one in self.accepted
            if one.replacement and one.replacement.workflow is None and one.replacement.reading.workflow
        ]
        if unnamed:
            made = self.directory.find_or_make((one.account, one.reading.workflow or "") for one in unnamed)
            for one in unnamed:
                one.workflow = made[one.account, one.reading.workflow or ""]
            self.workflows.update(made)

    def _row(self, one: _Accepted) -> Correction:
        return Correction(
            organization_id=self.organization_id,
            account_id=one.original.account,
            kind=one.item.kind,
            original_key=one.original_key,
            original_at=one.original.occurred_at,
            reversal_key=one.reversal_key,
            replacement_key=one.key if one.replacement else None,
            replacement_at=one.replacement.occurred_at if one.replacement else None,
            reason=one.item.reason,
        )


def _staged(one: _Accepted) -> Iterable[Staged]:
    """The events of a correction as they are stored: the one against the original, and the one for it."""
    item = one.item
    told = canonical_json({"id": item.original_id, "source": item.original_source, "reason": item.reason})
    at = one.original.occurred_at.isoformat()
    yield Staged(item.event, one.reversal_key, one.digest, at, told, against(one.original))
    if one.replacement:
        at = one.replacement.occurred_at.isoformat()
        yield Staged(item.event, one.key, one.digest, at, canonical_json(item.data), one.replacement)


def _counted(row: list[Any]) -> Counted:
    occurred_at, account, meter, workflow, aggregation, *read, has_groups, group = row
    quantity, outcomes, succeeded, attempt, environment, counted, value = read
    reading = Reading(
        _short(quantity),
        None if outcomes is None else _short(outcomes),
        succeeded,
        attempt,
        None,
        environment,
        counted,
        value,
        group_text(group) if has_groups else "",
    )
    return Counted(account, meter, aggregation, workflow, occurred_at, reading)


def group_text(stored: str | None) -> str:
    """A group in the canonical text that the roll-ups have, from the JSON that the database wrote."""
    return json_text(load(stored.encode())[0]) if stored else "{}"


def _short(number: Decimal) -> Decimal:
    """Without the zeros that a column adds; no other digit changes."""
    return number.normalize(_EXACT)
