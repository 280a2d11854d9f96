"""What an organization's forecasts are corrected by: the newest calibration, as runs use it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from budgets.calc.holidays import NOTHING_USUAL, Usual
from budgets.models import ForecastCalibration


@dataclass(frozen=True, slots=True)
class Scale:
    """What the distance of P10 (`low`) and P90 (`high`) from P50 is multiplied by, in logs, and what holidays do.

    `accounts` holds the factors on top of both, by account id, of those accounts whose past forecasts told one.
    """

    low: float = 1.0
    high: float = 1.0
    accounts: Mapping[str, float] = field(default_factory=dict)
    usual: Usual = NOTHING_USUAL

    def of(self, account: object) -> tuple[float, float]:
        """Return the factors below and above for the account with this id."""
        own = self.accounts.get(str(account), 1.0)
        return self.low * own, self.high * own


def scale_of(organization_id: UUID, now: datetime) -> Scale:
    """Return the newest made until `now`; nothing is scaled before the first."""
    made = ForecastCalibration.objects.filter(organization_id=organization_id, made_at__lte=now)
    latest = made.order_by("-made_at").first()
    if latest is None:
        return Scale()
    usual = Usual(latest.holiday_effect, latest.holiday_worth)
    return Scale(latest.widen_low, latest.widen_high, latest.accounts, usual)
