"""The days of a replay, read and made into hours and periods."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from accounts.models import Account
from budgets.calc.budget_periods import BudgetPeriod, budget_period
from budgets.calc.replay import Hour, Span, span_of
from budgets.calc.replay_hours import Clock, Counted, Part, Unwanted, Used, clock_of, hours_of
from budgets.models import Anomaly, Budget, Contract
from budgets.reports.budget_use import WINDOWS
from budgets.reports.hourly_series import WINDOW_HOURS
from budgets.reports.replay_inputs import Wanted, Work, anomalies, judged_alerts, plans, used_days, used_hours
from budgets.reports.replay_judged import Known
from budgets.reports.replayed import DAYS, Proposal
from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import DAY, HOUR, Period, day_of, day_start, zone_of
from consumption_cs.lib.tenancy import Viewer

ZERO, ONE = Decimal(0), Decimal(1)
_LONGEST = timedelta(hours=max(WINDOWS))  # that a pace looks back


@dataclass(slots=True)
class Days:
    """The last 90 closed local days [first, today) of what a proposal counts.

    `used` holds what each workflow that is looked at by itself (and all others, None) has on each day, also before
    them since the first period began; `in_hours` the same by hour, from `known_from` on.
    """

    account: Account
    zone: ZoneInfo
    today: date
    first: date
    known_from: date
    wanted: Wanted
    periods: Sequence[BudgetPeriod]
    clock: Clock
    used: dict[Work, dict[date, Used]]
    in_hours: dict[Work, dict[datetime, Used]]
    known: Known

    @property
    def start(self) -> datetime:
        return day_start(self.first, self.zone)

    @property
    def end(self) -> datetime:
        return day_start(self.today, self.zone)

    def hours(self, exempt: Sequence[UUID]) -> tuple[list[Hour], list[Counted], Decimal]:
        """Return the hours, what was counted in each, and what loops cost in all; see `hours_of`."""
        parts = [Part(days, self.in_hours.get(work, {}), is_exempt=work in exempt) for work, days in self.used.items()]
        unwanted = [
            [_unwanted(one, work) for one in self.known.unusual if one.workflow_id in (None, work)]
            for work in self.used
        ]
        return hours_of(self.clock, parts, unwanted, self.known_from)

    def spans(self, hours: Sequence[Hour]) -> list[Span]:
        """Return the periods that have some of the hours, oldest first."""
        index = {hour.start: number for number, hour in enumerate(hours)}
        found = []
        for period in self.periods:
            first = index.get(max(period.start, self.start), 0)
            last = index.get(min(period.end, self.end), len(hours))
            before = self.spent(period.first, min(self.first, period.after))
            found.append(span_of(period.first, period.after, period.start, period.end, before, hours[first:last]))
        return found

    @exactly
    def spent(self, first: date, after: date) -> Decimal:
        """Return what was spent on the local days [first, after)."""
        if first >= after:
            return ZERO
        days = (used.spent for part in self.used.values() for day, used in part.items() if first <= day < after)
        return sum(days, ZERO)


def _unwanted(anomaly: Anomaly, work: Work) -> Unwanted:
    actual = Decimal(anomaly.actual)
    hours = Decimal((anomaly.seen_until - anomaly.started_at) // HOUR)
    per_hour = actual / hours if hours and anomaly.workflow_id == work is not None else None
    return Unwanted(anomaly.started_at, anomaly.seen_until, min(Decimal(anomaly.impact) / actual, ONE), per_hour)


def read_days(viewer: Viewer, account: Account, proposal: Proposal, exempt: Sequence[UUID], now: datetime) -> Days:
    """Read what a replay needs. `exempt`: the workflows that some limit exempts."""
    zone = zone_of(account.timezone)
    today = day_of(now, zone)
    first = today - DAYS * DAY
    start, end = day_start(first, zone), day_start(today, zone)
    known_from = max(first, day_of(now - timedelta(hours=WINDOW_HOURS), zone) + DAY)
    part = (proposal.workflow_id, proposal.meter_id, proposal.dimension, proposal.dimension_value)
    unusual = anomalies(Wanted(viewer, account, *part), start, end)
    named = {*exempt, *(one.workflow_id for one in unusual if one.workflow_id)}
    wanted = Wanted(viewer, account, *part, named=tuple(named))
    periods = _periods(viewer, account, proposal, first, today, zone)
    used = used_days(wanted, min([first - _LONGEST, *(period.first for period in periods)]), today)
    if not any(first - _LONGEST <= day < known_from for part in used.values() for day in part):
        known_from = first  # nothing was used before: that is known
    return Days(
        account=account,
        zone=zone,
        today=today,
        first=first,
        known_from=known_from,
        wanted=wanted,
        periods=periods,
        clock=clock_of(Period(start, end).days(zone), zone),
        used=used,
        in_hours=used_hours(wanted, known_from, today, day_start(known_from, zone), end),
        known=Known(
            zone=zone,
            today=today,
            currency=account.currency,
            plans=plans(wanted, first, today),
            judged=judged_alerts(wanted, start, end),
            unusual=unusual,
        ),
    )


def _periods(
    viewer: Viewer, account: Account, proposal: Proposal, first: date, after: date, zone: ZoneInfo
) -> list[BudgetPeriod]:
    """Return the budget's periods that have days of [first, after), oldest first."""
    terms: list[tuple[date, date | None]] = []
    if proposal.period == Budget.Period.TERM:
        rows = Contract.objects.visible_to(viewer).filter(account=account).order_by("starts_on")
        terms = list(rows.values_list("starts_on", "ends_on"))
    custom = (proposal.starts_on, proposal.ends_on) if proposal.starts_on and proposal.ends_on else None
    found, day = [], first
    while day < after:
        term = next((one for one in terms if one[0] <= day and (one[1] is None or day < one[1])), None)
        period = budget_period(proposal.period, day_start(day, zone), zone, custom=custom, term=term)
        if period is not None:
            found.append(period)
        day = period.after if period else day + DAY
    return found
