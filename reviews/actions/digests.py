"""Monday's mail to who looks after accounts: the week of their book, above what waits there."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from accounts.models import Membership
from budgets.actions import digests
from budgets.actions.digests import Week
from budgets.actions.outbox import site_url
from consumption_cs.lib.tenancy import Viewer
from reviews.reports.book_digest import lines, seats_weeks, text_of


def write_digests(organization_id: UUID, now: datetime) -> int:
    """Put the digests that are due into the outbox, those of a Monday with the week; return how many."""
    return digests.write_digests(organization_id, now, week_of)


def week_of(viewer: Viewer, day: date, seats: Sequence[Membership]) -> dict[UUID, Week]:
    """Return what the seven days before `day` did to each seat's accounts; no entry without any accounts."""
    return {
        seat: Week(
            week.span,
            text_of(week),
            site_url("reviews:book"),
            [[line.label, f"{line.value} ({line.note})" if line.note else line.value] for line in lines(week)],
        )
        for seat, week in seats_weeks(viewer, day, seats).items()
    }
