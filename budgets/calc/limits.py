"""Where a limit stands: clear, close, reached and in grace, in force, lifted. Pure.

The limit amount is a percentage of the budget. Once it is reached, it acts after its minutes of grace, or as soon as
its percentage more is spent, whichever comes first; zero minutes or zero percent mean that this one does not count. A
limit that only notifies never acts. In a new period, and when what was spent goes back below, it begins anew.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from consumption_cs.lib.money import exactly

HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class LimitTerms:
    """What was decided: `amount` to reach and `warn_amount`, in the account's currency, and the grace."""

    amount: Decimal
    warn_amount: Decimal
    acts: bool
    is_dry_run: bool
    grace_minutes: int
    grace_percent: Decimal

    @property
    def end_of_grace(self) -> Decimal | None:
        """The amount at which the grace is over whatever the time; None when only minutes count."""
        return self.amount * (HUNDRED + self.grace_percent) / HUNDRED if self.grace_percent > 0 else None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where it stands: `state` is clear, warned, grace, acting or lifted, `since` when."""

    state: str
    since: datetime
    period_start: datetime
    reached_at: datetime | None = None
    acts_at: datetime | None = None
    lifted_until: datetime | None = None


@exactly
def terms_of(
    budget: Decimal,
    percent: Decimal,
    warn_percent: Decimal,
    *,
    acts: bool,
    is_dry_run: bool,
    grace_minutes: int,
    grace_percent: Decimal,
) -> LimitTerms:
    """Return the terms of a limit of a budget: `warn_percent` is of the limit amount."""
    amount = budget * percent / HUNDRED
    return LimitTerms(amount, amount * warn_percent / HUNDRED, acts, is_dry_run, grace_minutes, grace_percent)


@exactly
def step(
    standing: Standing, terms: LimitTerms, used: Decimal, now: datetime, period_start: datetime
) -> tuple[Standing, list[str]]:
    """Return where the limit stands now and what happened: warned, reached, acting, would_act, cleared, in order.

    Doing it twice at the same time changes nothing the second time.
    """
    happened: list[str] = []
    if standing.period_start != period_start:
        if standing.state != "clear":
            happened.append("cleared")
        standing = Standing("clear", now, period_start)
    if used < terms.amount:
        return _below(standing, terms, used, now, happened)
    if standing.state in ("clear", "warned"):
        happened.append("reached")
        acts_at = now + timedelta(minutes=terms.grace_minutes) if terms.acts and terms.grace_minutes > 0 else None
        standing = replace(standing, state="grace", since=now, reached_at=now, acts_at=acts_at)
    if terms.acts and _is_due(standing, terms, used, now):
        happened.append("would_act" if terms.is_dry_run else "acting")
        standing = replace(standing, state="acting", since=now, acts_at=None, lifted_until=None)
    return standing, happened


def _below(
    standing: Standing, terms: LimitTerms, used: Decimal, now: datetime, happened: list[str]
) -> tuple[Standing, list[str]]:
    state = "warned" if used >= terms.warn_amount else "clear"
    if standing.state == state:
        return standing, happened
    if standing.state != "clear":
        happened.append("cleared")
    elif state == "warned":
        happened.append("warned")
    return Standing(state, now, standing.period_start), happened


def _is_due(standing: Standing, terms: LimitTerms, used: Decimal, now: datetime) -> bool:
    if standing.state == "grace":
        end = terms.end_of_grace
        return (standing.acts_at is not None and now >= standing.acts_at) or (end is not None and used >= end)
    return standing.state == "lifted" and standing.lifted_until is not None and now >= standing.lifted_until


def lifted(standing: Standing, hours: int, now: datetime, period_end: datetime) -> Standing:
    """Return the standing of a limit that somebody lifts: for some hours, at most until the period ends."""
    until = min(now + timedelta(hours=hours), period_end)
    return replace(standing, state="lifted", since=now, acts_at=None, lifted_until=until)
