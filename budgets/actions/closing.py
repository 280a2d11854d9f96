"""Billing periods are closed by the calendar or by hand: rated for the last time, drawn, then frozen."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from usage.models import BillingPeriod


class ClosingError(ValueError):
    """A period that cannot be closed; the message says what to do."""


def close_due_periods(organization_id: UUID, now: datetime, account_ids: Sequence[str]) -> int:
    """Close each period that ended `close_after_days` ago or earlier, oldest first; return how many.

    Within `act_as`, after the draw, with the accounts' Settlement rows locked.
    """
    raise NotImplementedError


def close_by_hand(viewer: Viewer, account: Account, starts_on: date, now: datetime) -> BillingPeriod:
    """Close the period of `account` that starts on `starts_on` now. Raises ClosingError, in words.

    It must be the oldest open one, have ended, and have nothing waiting to be settled.
    """
    raise NotImplementedError
