"""What rating found to be different from the rows there are, gathered for many accounts and written together."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from usage.actions import rated_rows
from usage.actions.rated_rows import Booked
from usage.actions.rating_input import Owner
from usage.calc.day_rating import Outcome, Rated, Use


@dataclass(slots=True)
class Changes:
    """What is to be written for many accounts, in one statement each."""

    rated: list[Rated] = field(default_factory=list)
    gone: list[Rated] = field(default_factory=list)
    spends: dict[int, Decimal | None] = field(default_factory=dict)
    days: set[tuple[str, date]] = field(default_factory=set)  # whose totals may change
    first_days: dict[str, date] = field(default_factory=dict)  # from which on money changed

    def note(self, account: str, day: date) -> None:
        """Say that money changed on a day."""
        self.first_days[account] = min(day, self.first_days.get(account, day))


def compare(outcome: Outcome, uses: Iterable[Use], existing: Iterable[Rated], changes: Changes) -> None:
    """Note in `changes` in what the days' rating differs from the rows there are."""
    were = {row.key: row for row in existing}
    for row in outcome.days:
        was = were.pop(row.key, None)
        if was != row:
            changes.rated.append(row)
            changes.days.add((row.account, row.day))
            if (was.amount if was else None) != row.amount:
                changes.note(row.account, row.day)
    for row in were.values():
        changes.gone.append(row)
        changes.days.add((row.account, row.day))
        changes.note(row.account, row.day)
    for use in uses:
        if outcome.spends[use.id] != use.spend:
            changes.spends[use.id] = outcome.spends[use.id]
            changes.days.add((use.account, use.day))


def write(organization_id: UUID, owners: dict[str, Owner], changes: Changes, now: datetime) -> None:
    """Write what changed, and the totals of those days."""
    rated_rows.remove_rated(organization_id, changes.gone)
    rated_rows.write_rated(organization_id, changes.rated)
    rated_rows.write_spends(organization_id, changes.spends)
    days = [Booked(account, day, owners[account].currency) for account, day in changes.days]
    rated_rows.write_totals(organization_id, days, now)
