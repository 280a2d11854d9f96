"""The commits of an account as of now: what is left, what will expire, and what was changed."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.db.models import Sum

from accounts.models import Account
from budgets.calc.drawn_days import Calendar, Terms, commit_of, draw_days
from budgets.calc.grants import FAR_FUTURE, draw_order, why_before
from budgets.calc.snapshots import from_json
from budgets.models import Commit, CommitBalance, CommitChange, LedgerEntry, LedgerState
from budgets.reports.day_use import use_since
from budgets.reports.grants import terms_of
from consumption_cs.lib.periods import DAY, day_of, day_start, zone_of
from consumption_cs.lib.tenancy import Viewer

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class CommitState:
    """One commit. Money in the account's currency.

    `settled`: left at the start of today; `ongoing`: with today's use. `granted`: all that was ever given, amendments
    included; `drawn`: so far, today included; `share`: of what was granted, 0 to 1, None without any. `expiring`: what
    would be left at the next end if nothing more is used, and `expires_on` that day. `state`: upcoming, active,
    used_up, expired or cancelled; `state_name` in words. `why`: before the next one in force, empty for the last.
    """

    commit: Commit
    settled: Decimal
    ongoing: Decimal
    granted: Decimal
    drawn: Decimal
    share: Decimal | None
    expiring: Decimal
    expires_on: date | None
    state: str
    state_name: str
    changes: tuple[CommitChange, ...]
    settled_at: datetime | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """All commits of an account in their draw order, and their sums; `overage` of the open billing period."""

    commits: tuple[CommitState, ...]
    settled: Decimal
    ongoing: Decimal
    drawn: Decimal
    expiring: Decimal
    overage: Decimal
    currency: str
    settled_at: datetime | None


STATES = {
    "upcoming": "Not yet in force",
    "active": "In force",
    "used_up": "Used up",
    "expired": "Expired",
    "cancelled": "Cancelled",
}
_GIVEN = (LedgerEntry.Kind.GRANTED, LedgerEntry.Kind.REFILLED, LedgerEntry.Kind.AMENDED)


class _Expiry(NamedTuple):
    day: date | None
    amount: Decimal


@dataclass(frozen=True, slots=True)
class _Found:
    """What the rows say of an account's commits, by the text of their ids."""

    today: date
    terms: Terms
    ledger: Mapping[tuple[str, str], Decimal]  # (commit, kind)
    drawn_today: Mapping[str, Decimal]
    balances: Mapping[str, CommitBalance]
    expiries: Mapping[str, _Expiry]
    changes: Mapping[UUID, Sequence[CommitChange]]
    alive: frozenset[str]
    whys: Mapping[str, str]


def commits_of(viewer: Viewer, account: Account, now: datetime) -> AccountBalance:
    """Return the account's commits with what each has left."""
    calendar = Calendar(zone_of(account.timezone), account.billing_day)
    today = day_of(now, calendar.zone)
    name = str(account.pk)
    terms, commits = terms_of(viewer.organization_id, {name: calendar.zone}, {name: today})
    state = LedgerState.objects.visible_to(viewer).filter(account=account).first()
    found = _Found(
        today,
        terms[name],
        _ledger_sums(viewer, account),
        _drawn_today(state),
        {str(row.commit_id): row for row in CommitBalance.objects.visible_to(viewer).filter(account=account)},
        _expiries(viewer, account, terms[name], calendar, state, today),
        _changes(viewer, account),
        frozenset(commit_of(grant.id) for grant in terms[name].grants if grant.is_active(now)),
        _whys(terms[name], now, today),
    )
    rows = sorted((_state(commit, found) for commit in commits[name]), key=_in_order(found, today))
    return AccountBalance(
        tuple(rows),
        sum((row.settled for row in rows), ZERO),
        sum((row.ongoing for row in rows), ZERO),
        sum((row.drawn for row in rows), ZERO),
        sum((row.expiring for row in rows), ZERO),
        state.overage if state else ZERO,
        account.currency,
        state.settled_at if state else None,
    )


def _state(commit: Commit, found: _Found) -> CommitState:
    name = str(commit.pk)
    balance = found.balances.get(name)
    ongoing = balance.ongoing if balance else ZERO
    given = sum((found.ledger[name, kind] for kind in _GIVEN), ZERO)
    state = _state_of(commit, found, ongoing)
    given = given or (commit.value if state == "upcoming" else ZERO)
    drawn = found.drawn_today[name] - found.ledger[name, LedgerEntry.Kind.DRAWN]
    expiry = found.expiries.get(name, _Expiry(None, ZERO))
    return CommitState(
        commit=commit,
        settled=balance.settled if balance else ZERO,
        ongoing=ongoing,
        granted=given,
        drawn=drawn,
        share=drawn / given if given else None,
        expiring=expiry.amount,
        expires_on=expiry.day or commit.expires_on,
        state=state,
        state_name=STATES[state],
        changes=tuple(found.changes.get(commit.pk, ())),
        settled_at=balance.settled_at if balance else None,
        why=found.whys.get(name, ""),
    )


def _whys(terms: Terms, now: datetime, today: date) -> dict[str, str]:
    """Return commit → why it is drawn before the next one in force; nothing for the last."""
    policy = terms.policy_on(today)
    ordered = draw_order([grant for grant in terms.grants if grant.is_active(now)], policy)
    found: dict[str, str] = {}
    for place, grant in enumerate(ordered):
        later = [other for other in ordered[place + 1 :] if commit_of(other.id) != commit_of(grant.id)]
        if later:
            found.setdefault(commit_of(grant.id), why_before(grant, later, policy))
    return found


def _state_of(commit: Commit, found: _Found, ongoing: Decimal) -> str:
    if commit.cancelled_on is not None and commit.cancelled_on <= found.today:
        return "cancelled"
    if commit.effective_on > found.today:
        return "upcoming"
    if str(commit.pk) not in found.alive:
        return "expired"
    return "active" if ongoing else "used_up"


def _in_order(found: _Found, today: date) -> Callable[[CommitState], tuple[int, int, date]]:
    """In force first, in the order in which they are drawn; then what is to come, then what is over."""
    drawn = draw_order(found.terms.grants, found.terms.policy_on(today))
    places = {commit_of(grant.id): place for place, grant in reversed(list(enumerate(drawn)))}
    ranks = {"active": 0, "used_up": 0, "upcoming": 1}

    def key(row: CommitState) -> tuple[int, int, date]:
        return ranks.get(row.state, 2), places.get(str(row.commit.pk), 0), row.commit.effective_on

    return key


def _ledger_sums(viewer: Viewer, account: Account) -> dict[tuple[str, str], Decimal]:
    rows = LedgerEntry.objects.visible_to(viewer).filter(account=account, commit__isnull=False)
    found: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    for commit, kind, amount in rows.order_by().values_list("commit_id", "kind").annotate(sum=Sum("amount")):
        found[str(commit), kind] = amount
    return found


def _drawn_today(state: LedgerState | None) -> dict[str, Decimal]:
    found: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for row in state.ongoing if state else []:
        if row["commit"]:
            found[row["commit"]] -= Decimal(row["amount"])
    return found


def _changes(viewer: Viewer, account: Account) -> dict[UUID, list[CommitChange]]:
    found: dict[UUID, list[CommitChange]] = defaultdict(list)
    for change in CommitChange.objects.visible_to(viewer).filter(account=account):
        found[change.commit_id].append(change)
    return found


def _expiries(
    viewer: Viewer,
    account: Account,
    terms: Terms,
    calendar: Calendar,
    state: LedgerState | None,
    today: date,
) -> dict[str, _Expiry]:
    """Draw on with today's use alone until the next end of each commit, and see what is lost then."""
    ends: dict[str, date] = {}
    tomorrow = day_start(today + DAY, calendar.zone)
    for grant in terms.grants:
        for moment in (grant.rolls_over_at, grant.ends_at):
            if moment is not None and tomorrow <= moment < FAR_FUTURE and grant.effective_at < tomorrow:
                day = day_of(moment, calendar.zone)
                ends[commit_of(grant.id)] = min(day, ends.get(commit_of(grant.id), day))
    if not ends or state is None or state.latest.get("terms") is None:
        return {name: _Expiry(day, ZERO) for name, day in ends.items()}
    name = str(account.pk)
    use = [row for row in use_since(viewer.organization_id, {name: state.latest_on})[name] if row.day <= today]
    run = draw_days(
        terms,
        use,
        calendar,
        state=from_json(state.latest),
        first_day=state.latest_on,
        today=max(ends.values()),
    )
    lost = {
        commit: -sum(
            (
                booking.amount
                for key, booking in run.entries.items()
                if key.commit == commit and key.day == day and key.kind in ("expired", "rolled_over", "voided")
            ),
            ZERO,
        )
        for commit, day in ends.items()
    }
    return {commit: _Expiry(day, lost[commit]) for commit, day in ends.items()}
