"""Renewals and run-outs ahead: what the data says, what people say, and where they disagree."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from accounts.models import Account
from consumption_cs.lib.periods import as_utc, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.renewal_call import Call, automated_call
from reviews.models import RenewalCall
from reviews.reports.health import scores
from reviews.reports.measured import Measured, latest_metrics

AHEAD_DAYS = 180
DECIDE_DAYS = 5  # a disagreement is settled within
KINDS = {"renewal": "Renewal", "run_out": "Run-out"}


@dataclass(frozen=True, slots=True)
class RenewalLine:
    """One date of one account: when, what is at stake in its currency, what the data and people say of it."""

    account: Account
    kind: str
    on: date
    early: date | None
    late: date | None
    days: int
    stake: Decimal
    call: Call
    opinion: RenewalCall | None
    term_ends_on: date

    @property
    def kind_name(self) -> str:
        return KINDS[self.kind]

    @property
    def human(self) -> str:
        return self.opinion.opinion if self.opinion else ""

    @property
    def disagrees(self) -> bool:
        """Whether a person said something else than the data does, and nobody settled it."""
        return bool(self.opinion) and not self.is_final and self.human != self.call.opinion

    @property
    def is_final(self) -> bool:
        return self.opinion is not None and self.opinion.is_final

    @property
    def flag(self) -> str:
        if self.is_final:
            return "Final"
        if self.opinion is None:
            return "No opinion yet"
        return "Disagree" if self.disagrees else "Agree"


def renewals(viewer: Viewer, now: datetime, days: int = AHEAD_DAYS) -> list[RenewalLine]:
    """Return the renewals and run-outs of the next days, the earliest first; four queries for any number.

    A commit that runs out before its term is one date: its run-out. What is at stake is what the contract grants.
    """
    accounts = list(Account.objects.visible_to(viewer).select_related("csm").order_by("name"))
    ids = [account.pk for account in accounts]
    found = latest_metrics(viewer.organization_id, ids, numbers_only=True)
    health = scores(viewer.organization_id, ids, now)
    opinions = _opinions(viewer, now)
    lines = []
    for account in accounts:
        today = day_of(as_utc(now), zone_of(account.timezone))
        line = _line(account, found[account.pk], today, health.get(account.pk), opinions, days)
        if line is not None:
            lines.append(line)
    return sorted(lines, key=lambda line: (line.on, line.account.name.lower()))


def _line(
    account: Account,
    found: Measured,
    today: date,
    score: Decimal | None,
    opinions: dict[tuple[UUID, date], RenewalCall],
    most: int,
) -> RenewalLine | None:
    left, granted = found.number("term_days_left"), found.number("commit_granted")
    if left is None or left < 0:
        return None
    ends_on = today + timedelta(days=int(left))
    outs = {name: found.number(f"run_out_{name}") for name in ("p10", "p50", "p90")}
    chance = found.number("run_out_percent")
    runs_out = granted is not None and outs["p50"] is not None and outs["p50"] < left and (chance or 0) >= 50
    days = int(outs["p50"] or 0) if runs_out else int(left)
    if days > most:
        return None
    numbers = {name: Decimal(text) for name, text in found.numbers.items()}

    def on(name: str) -> date | None:
        return today + timedelta(days=int(outs[name] or 0)) if runs_out and outs[name] is not None else None

    return RenewalLine(
        account=account,
        kind="run_out" if runs_out else "renewal",
        on=today + timedelta(days=days),
        early=on("p10"),
        late=on("p90"),
        days=days,
        stake=granted if granted is not None else (found.number("spend_28") or Decimal(0)) * 13,
        call=automated_call(numbers, score),
        opinion=opinions.get((account.pk, ends_on)),
        term_ends_on=ends_on,
    )


def _opinions(viewer: Viewer, now: datetime) -> dict[tuple[UUID, date], RenewalCall]:
    """Return the last word on each term of each account."""
    rows = RenewalCall.objects.visible_to(viewer).filter(at__lte=now).select_related("by").order_by("at", "pk")
    found: dict[tuple[UUID, date], RenewalCall] = {}
    for row in rows:
        kept = found.get((row.account_id, row.term_ends_on))
        if kept is None or not kept.is_final or row.is_final:
            found[(row.account_id, row.term_ends_on)] = row
    return found
