"""The draw: what was rated is taken from the commits, and booked in the ledger for each day that has ended."""

from collections.abc import Mapping
from datetime import date, datetime
from uuid import UUID


def draw_accounts(organization_id: UUID, now: datetime, first_days: Mapping[str, date]) -> None:
    """Redraw accounts from their first changed local day on; book ended days, keep today as ongoing.

    `first_days`: account id → the first day whose money or terms may have changed (today if just the day ended).
    Within `act_as`, after rating, with the accounts' Settlement rows locked and before their marks are cleared: the
    marks' reasons go on the entries that replace others. Drawing twice changes nothing.
    """
    raise NotImplementedError
