"""Allowances that refill: what of this one is used, whether it will do, and how the last ones went."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db.models import Sum

from accounts.models import Account
from budgets.calc.allowance import Window, windows_of
from budgets.calc.run_out import fan
from budgets.models import Commit, ForecastRun
from budgets.reports.forecasts import quantiles_of
from consumption_cs.lib.periods import DAY
from consumption_cs.lib.tenancy import Viewer
from usage.models import AccountDay

NAMES = {1: "month", 3: "quarter", 6: "half-year", 12: "year"}


@dataclass(frozen=True, slots=True)
class Allowance:
    """The allowance in force on a forecast's first day. Money in the account's currency.

    `left` now, rests of earlier ones included; `low`, `middle` and `high` are what use will take until it ends, None
    without a forecast; `p_over` the chance that this is more than is left. `before` are the windows before, newest
    first, with the local day on which nothing was left of each, None when it was enough.
    """

    commit: Commit
    window: Window
    given: Decimal
    used: Decimal
    left: Decimal
    low: Decimal | None
    middle: Decimal | None
    high: Decimal | None
    p_over: float | None
    before: Sequence[tuple[Window, date | None]]

    @property
    def noun(self) -> str:
        return NAMES.get(self.commit.recurs_months or 1, "period")

    @property
    def times_over(self) -> int:
        return sum(day is not None for _, day in self.before)

    @property
    def beyond(self) -> Decimal | None:
        """What use most likely takes beyond what is left; below zero: what stays."""
        return None if self.middle is None else self.middle - self.left


def allowance_of(
    viewer: Viewer, account: Account, commits: Sequence[Commit], run: ForecastRun | None, left: Mapping[date, Decimal]
) -> Allowance | None:
    """Return the allowance that the account lives on; None when anything is left that does not refill.

    `left` is what was left at the end of each local day.
    """
    if run is None or run.remaining is None:
        return None
    today = run.as_of
    refills = [commit for commit in commits if commit.recurs_months and _in_force(commit, today)]
    if not refills or not lives_on_allowance(run, {str(commit.pk) for commit in refills}):
        return None
    commit = refills[0]
    windows = windows_of(commit.effective_on, commit.recurs_months or 1, today)
    low, middle, high, p_over = _ahead(run, windows[0])
    return Allowance(
        commit=commit,
        window=windows[0],
        given=commit.value,
        used=_used(viewer, account, windows[0], today),
        left=Decimal(run.remaining),
        low=low,
        middle=middle,
        high=high,
        p_over=p_over,
        before=[(window, _used_up(left, window)) for window in windows[1:]],
    )


def lives_on_allowance(run: ForecastRun, refilling: Collection[str]) -> bool:
    """Return whether what is in force on the run's first day refills, nothing else being left. `refilling`: ids."""
    rows = [row for row in run.commits if (row.get("starts_on") or "") <= run.as_of.isoformat()]
    ours = [str(row["id"]).partition(":")[0] in refilling for row in rows]
    return any(ours) and not any(row["left"] > 0 and not own for row, own in zip(rows, ours, strict=True))


def _in_force(commit: Commit, day: date) -> bool:
    ends = [end for end in (commit.expires_on, commit.cancelled_on) if end is not None]
    return commit.effective_on <= day and all(day < end for end in ends)


def _used(viewer: Viewer, account: Account, window: Window, today: date) -> Decimal:
    rows = AccountDay.objects.visible_to(viewer).filter(account=account, day__gte=window.starts_on, day__lt=today)
    return Decimal(rows.aggregate(spent=Sum("spend"))["spent"] or 0)


def _used_up(left: Mapping[date, Decimal], window: Window) -> date | None:
    days = range((window.ends_on - window.starts_on).days)
    return next((day for day in (window.starts_on + DAY * at for at in days) if left.get(day) == 0), None)


def _ahead(run: ForecastRun, window: Window) -> tuple[Decimal | None, Decimal | None, Decimal | None, float | None]:
    """Return P10, P50, P90 of the spend until the window ends, and the chance that it is more than is left."""
    quantiles = quantiles_of(run)
    days = (window.ends_on - run.as_of).days
    if not 0 < days <= quantiles.shape[1]:
        return None, None, None, None
    low, middle, high = (Decimal(repr(round(float(one), 2))) for one in quantiles[:, days - 1])
    paths = fan(quantiles[:, None, :days])[0, :, -1]
    return low, middle, high, float((paths > float(run.remaining or 0)).mean())
