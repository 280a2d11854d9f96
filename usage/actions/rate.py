"""Rating: the usage of marked days turned into money, to the end of their billing periods; late use adjusted."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from usage.actions import rated_rows
from usage.actions.late_use import adjust
from usage.actions.marks import Claim, Mark, claim_accounts, clear_marks, touch_days
from usage.actions.rated_rows import Stretch
from usage.actions.rating_input import Owner, owners_of, rating_of
from usage.actions.rating_output import Changes, compare, write
from usage.calc.billing_periods import Span
from usage.calc.day_rating import Line, rate_days
from usage.calc.price_book import PriceBook
from usage.calc.rated_days import Running

__all__ = ["Claim", "Mark", "claim_accounts", "clear_marks", "rate_accounts", "touch_days"]


def rate_accounts(organization_id: UUID, now: datetime, claim: Claim) -> dict[str, date]:
    """Rate the claimed marks; return account → first local day whose money changed, or today for those that are due.

    From each marked day to the end of its billing period, going on from the day before. Days of a closed period stay
    as they are: what they would be now, less what they are, is booked as an adjustment on the account's current day.
    Rating twice changes nothing. Within `act_as`, with the accounts' Settlement rows locked.
    """
    owners = owners_of(organization_id, claim.accounts)
    changes = Changes()
    book = rated_rows.read_prices(organization_id, owners) if claim.marks else PriceBook([])
    late = [mark for mark in claim.marks if owners[mark.account].is_frozen(mark.day)]
    open_days = [(mark.account, mark.day) for mark in claim.marks if not owners[mark.account].is_frozen(mark.day)]
    changes.days |= {(mark.account, mark.day) for mark in claim.marks}
    _rate_open(organization_id, owners, book, open_days, changes)
    for adjustment in adjust(organization_id, now, owners, book, late, changes):
        changes.days.add(adjustment)
        changes.note(*adjustment)
    write(organization_id, owners, changes, now)
    for account in claim.due:
        changes.first_days.setdefault(account, owners[account].today(now))
    return changes.first_days


def _rate_open(
    organization_id: UUID,
    owners: dict[str, Owner],
    book: PriceBook,
    days: Sequence[tuple[str, date]],
    changes: Changes,
) -> None:
    stretches = _stretches(owners, book, days)
    if not stretches:
        return
    uses = _by_stretch(stretches, rated_rows.read_uses(organization_id, stretches))
    existing = _by_stretch(stretches, rated_rows.read_rated(organization_id, stretches))
    before: dict[tuple[str, date], dict[Line, Running]] = defaultdict(dict)
    for start, row in rated_rows.read_before(organization_id, stretches):
        before[row.account, start][row.meter, row.cell] = row.running
    for stretch in stretches:
        owner = owners[stretch.account]
        span = Span(stretch.start, stretch.until)
        rating = rating_of(organization_id, owner, book, span)
        outcome = rate_days(rating, uses[stretch], before[stretch.account, stretch.start])
        compare(outcome, uses[stretch], existing[stretch], changes)


def _stretches(owners: dict[str, Owner], book: PriceBook, days: Iterable[tuple[str, date]]) -> list[Stretch]:
    """From the first marked day of each billing period to its end; the whole period where single events count."""
    first: dict[tuple[str, Span], date] = {}
    for account, day in days:
        owner = owners[account]
        span = owner.span(day)
        if book.events_needed(account, owner.currency):
            day = span.start
        first[account, span] = min(day, first.get((account, span), day))
    return [Stretch(account, span.start, day, span.end) for (account, span), day in sorted(first.items())]


def _by_stretch(stretches: Sequence[Stretch], rows: Sequence[Any]) -> dict[Stretch, list[Any]]:
    """Rows (of usage, or rated) of each stretch; an account's stretches do not overlap."""
    of_account: dict[str, list[Stretch]] = defaultdict(list)
    for stretch in stretches:
        of_account[stretch.account].append(stretch)
    found: dict[Stretch, list[Any]] = {stretch: [] for stretch in stretches}
    for row in rows:
        stretch = next(s for s in of_account[row.account] if s.first <= row.day < s.until)
        found[stretch].append(row)
    return found
