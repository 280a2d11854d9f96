"""Opens, extends and closes early warnings by the metrics of the day, and keeps what people say of them."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from django.core.exceptions import ValidationError

from accounts.actions.audit import audit
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.measures_told import tell_signals
from reviews.calc.metrics import Values
from reviews.calc.signals import KINDS, Found, open_kinds
from reviews.models import Signal


def look(
    organization_id: UUID, now: datetime, rows: Sequence[tuple[UUID, date, Values]], *, is_told: bool = True
) -> None:
    """Open and close the signals of accounts by their metrics of a local day: (account, day, metrics).

    Within the caller's transaction; three statements for any number, and a few more when there is something to tell.
    Again changes nothing. `is_told` False: destinations do not hear of it, since it is long past.
    """
    ids = [account for account, _, _ in rows]
    known: dict[UUID, dict[str, Signal]] = defaultdict(dict)
    for signal in Signal.objects.filter(organization_id=organization_id, account__in=ids, closed_at=None):
        known[signal.account_id][signal.kind] = signal
    made: list[Signal] = []
    kept: list[Signal] = []
    for account, day, values in rows:
        numbers = {name: value.value for name, value in values.items()}
        names = {name: str((value.inputs or {}).get("name") or "") for name, value in values.items()}
        found = {one.kind: one for one in open_kinds(numbers, names, frozenset(known[account]))}
        made += [
            _new(organization_id, account, day, now, one) for key, one in found.items() if key not in known[account]
        ]
        for key, signal in known[account].items():
            _keep(signal, found.get(key), day, now)
            kept.append(signal)
    Signal.objects.bulk_create(made, ignore_conflicts=True)
    Signal.objects.bulk_update(kept, ["severity", "headline", "evidence", "seen_on", "closed_at"], batch_size=500)
    if is_told:
        # One that another worker opened at the same time is told by that one.
        ours = Signal.objects.filter(organization_id=organization_id, pk__in=[signal.pk for signal in made])
        opened = list(ours) if made else []
        tell_signals(organization_id, now, opened, [signal for signal in kept if signal.closed_at is not None])


def judge(viewer: Viewer, signal: Signal, feedback: str, now: datetime) -> None:
    """Say whether a signal was useful, expected or wrong; the last word counts. Raises ValidationError."""
    if feedback not in Signal.Feedback.values:
        raise ValidationError("Say whether it was useful, expected or wrong.")
    signal.feedback, signal.feedback_at = feedback, now
    signal.feedback_by_id = viewer.user_id
    signal.save(update_fields=["feedback", "feedback_by", "feedback_at"])
    audit(viewer, "signal.judged", signal, signal.headline, {"feedback": signal.get_feedback_display()})


def _new(organization_id: UUID, account: UUID, day: date, now: datetime, found: Found) -> Signal:
    return Signal(
        organization_id=organization_id,
        account_id=account,
        kind=found.kind,
        severity=found.severity,
        headline=found.headline,
        evidence=_evidence(found),
        opened_on=day,
        opened_at=now,
        seen_on=day,
    )


def _keep(signal: Signal, found: Found | None, day: date, now: datetime) -> None:
    if found is None:
        signal.closed_at = now
        return
    signal.seen_on = max(signal.seen_on, day)
    if found.headline != KINDS[found.kind].label:  # the metric is known today
        signal.severity, signal.headline, signal.evidence = found.severity, found.headline, _evidence(found)


def _evidence(found: Found) -> dict[str, str]:
    return {"metric": KINDS[found.kind].metric, "value": str(found.value)}
