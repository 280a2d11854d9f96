"""Commits in sentences: what is left, what will be lost, and on which terms."""

from collections.abc import Mapping
from datetime import date
from uuid import UUID

from budgets.models import Commit
from budgets.reports.balances import AccountBalance, CommitState
from consumption_cs.lib.display import counted, listed, money_text, quantity_text
from usage.reports.overview_words import Fact, Words


def day_text(day: date) -> str:
    return f"{day:%b} {day.day}, {day.year}"


def headline(balance: AccountBalance, today: date) -> list[Words]:
    """The one sentence on top."""
    if not balance.commits:
        return [Words("No commit: all use is paid as you go.")]
    active = [row for row in balance.commits if row.state in ("active", "used_up")]
    granted = sum((row.granted for row in active), start=type(balance.ongoing)(0))
    parts = [
        Words(money_text(balance.ongoing, balance.currency), strong=True),
        Words(f" of {money_text(granted, balance.currency)} is left on {counted(len(active), 'commit')}"),
    ]
    following = _next_expiry(balance, today)
    if following is None or following.expires_on is None:
        return [*parts, Words("; nothing expires.")]
    when = f"{following.commit.name} expires on {day_text(following.expires_on)}"
    if not following.expiring:
        return [*parts, Words(f"; {when} with nothing left.")]
    lost = money_text(following.expiring, balance.currency)
    return [*parts, Words(f"; {when}. At its end {lost} would be left if nothing more is used.")]


def _next_expiry(balance: AccountBalance, today: date) -> CommitState | None:
    ahead = [row for row in balance.commits if row.state == "active" and row.expires_on and row.expires_on > today]
    return min(ahead, key=lambda row: row.expires_on or today, default=None)


def facts(balance: AccountBalance, today: date) -> list[Fact]:
    """The facts under the headline."""
    if not balance.commits:
        return []
    currency = balance.currency
    following = _next_expiry(balance, today)
    expiry = Fact("Next expiry", "none", none=True)
    if following and following.expires_on:
        expiry = Fact("Next expiry", day_text(following.expires_on), following.commit.name)
    return [
        Fact("Left, with today's use", money_text(balance.ongoing, currency), "open until the day ends"),
        Fact("Settled at the start of today", money_text(balance.settled, currency), "in the ledger for good"),
        Fact("Drawn so far, over all commits", money_text(balance.drawn, currency), _overage(balance)),
        expiry,
    ]


def _overage(balance: AccountBalance) -> str:
    if not balance.overage:
        return "no overage in the open period"
    return f"and {money_text(balance.overage, balance.currency)} of overage in the open period"


def meters_text(commit: Commit, meters: Mapping[UUID, str]) -> str:
    """Say what it pays for."""
    only = [meters.get(one, "a meter that is gone") for one in commit.only_meters]
    without = [meters.get(one, "a meter that is gone") for one in commit.except_meters]
    if only:
        return f"Pays only for {listed(only)}."
    return f"Pays for every meter except {listed(without)}." if without else "Pays for every meter."


def terms_text(commit: Commit) -> str:
    """Say unit, rate, recurrence and rollover."""
    account = commit.account
    parts = []
    if commit.unit != account.currency:
        worth = money_text(commit.value, account.currency)
        parts.append(f"{quantity_text(commit.amount)} {commit.unit} at {commit.rate.normalize():f}, worth {worth}.")
    if commit.recurs_months:
        every = "month" if commit.recurs_months == 1 else counted(commit.recurs_months, "month")
        parts.append(f"Given anew every {every}.")
    if commit.rollover_most and commit.rollover_months:
        most = money_text(commit.rollover_most, account.currency)
        least = f"at least {money_text(commit.rollover_least, account.currency)} and " if commit.rollover_least else ""
        months = counted(commit.rollover_months, "month")
        parts.append(f"What is left stays {months} more, {least}at most {most}.")
    return " ".join(parts)
