"""How full each person's week is, on whom money at risk rests, and on how few customers the organization rests."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from accounts.models import Account, Membership, Role, User
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.concentration import Concentration, capacity, concentration
from reviews.models import BookTerms, Cover, PlayRun, StaffHours
from reviews.reports.measured import Measured, latest_metrics
from reviews.reports.people import covers

ZERO = Decimal(0)
FULL = Decimal(100)  # percent of a week: above it somebody has more than they have hours for


@dataclass(slots=True)
class PersonLoad:
    """One person's week. `user` None: accounts that nobody has. Hours a week; money at risk by currency.

    `accounts` are their own and those they cover for; while they are away theirs count with who covers.
    """

    user: User | None
    accounts: list[Account] = field(default_factory=list)
    plays: int = 0
    tier_hours: Decimal = ZERO
    play_hours: Decimal = ZERO
    available: Decimal | None = None
    percent: Decimal | None = None
    at_risk: dict[str, Decimal] = field(default_factory=dict)
    away: Cover | None = None
    covers_for: list[Cover] = field(default_factory=list)

    @property
    def asked(self) -> Decimal:
        """The hours a week that their accounts and plays ask for."""
        return self.tier_hours + self.play_hours

    @property
    def why_not(self) -> str:
        """Why there is no percentage."""
        if self.percent is not None:
            return ""
        if self.user is None:
            return "nobody has them"
        if self.away is not None:
            return f"away until {self.away.ends_on:%b} {self.away.ends_on.day}"
        return "hours not entered" if self.available is None else "no hours for accounts"

    @property
    def share(self) -> float:
        """How much of the week is taken, at most all of it: the length of a bar."""
        return float(min(self.percent or ZERO, FULL) / FULL)

    @property
    def is_over(self) -> bool:
        return self.percent is not None and self.percent > FULL


@dataclass(frozen=True, slots=True)
class Spread:
    """How an organization's spend of 28 days in one currency spreads over its accounts."""

    currency: str
    total: Decimal
    accounts: int
    found: Concentration
    top: Account
    largest: list[tuple[Account, Decimal, Decimal]]  # account, spend, share of 0 to 1


@dataclass(frozen=True, slots=True)
class Team:
    """All that the page shows. `people`: the fullest first, then who has no percentage, then nobody's accounts."""

    people: list[PersonLoad]
    terms: BookTerms
    spreads: list[Spread]
    covers: list[Cover]
    accounts: int
    tiers_without_hours: list[str]

    @property
    def has_hours(self) -> bool:
        """Whether anybody's week can be told."""
        return any(one.percent is not None for one in self.people)

    @property
    def spread_over_several(self) -> list[Spread]:
        """Currencies with more than one account; the only one of a currency is all of it."""
        return [one for one in self.spreads if one.accounts > 1]

    @property
    def alone(self) -> list[Spread]:
        return [one for one in self.spreads if one.accounts == 1]

    @property
    def over(self) -> list[PersonLoad]:
        return [one for one in self.people if one.is_over]


def terms_of(viewer: Viewer) -> BookTerms:
    """Return what the organization asks of its team; the defaults where nobody said."""
    return BookTerms.objects.visible_to(viewer).first() or BookTerms(organization_id=viewer.organization_id)


def hours_of(terms: BookTerms, tier: str) -> Decimal:
    """Return the hours a week of an account of a tier; 0 where nobody said."""
    return Decimal(str(terms.tier_hours.get(tier) or 0))


def team(viewer: Viewer, now: datetime) -> Team:
    """Return the load of each person who looks after accounts. Seven queries for any number of accounts."""
    accounts = list(Account.objects.visible_to(viewer).select_related("csm").order_by("name", "pk"))
    found = latest_metrics(viewer.organization_id, [one.pk for one in accounts], numbers_only=True)
    terms = terms_of(viewer)
    ahead = covers(viewer, now.date())
    loads = _people(viewer, accounts, [one for one in ahead if one.starts_on <= now.date()])
    stand_in = {one.absent_id: one.covered_by_id for one in ahead if one.starts_on <= now.date()}
    for account in accounts:
        load = loads[_who(account.csm_id, stand_in)]
        load.accounts.append(account)
        load.tier_hours += hours_of(terms, account.tier)
        risk = found[account.pk].number("at_risk") or ZERO
        if risk > 0:
            load.at_risk[account.currency] = load.at_risk.get(account.currency, ZERO) + risk
    for who, plays in _plays(viewer, accounts, stand_in).items():
        if who in loads:
            loads[who].plays = plays
            loads[who].play_hours = terms.play_hours * plays
    for load in loads.values():
        _fill(load, terms)
    used = {account.tier for account in accounts}
    return Team(
        people=_ordered(loads),
        terms=terms,
        spreads=spreads(accounts, found),
        covers=ahead,
        accounts=len(accounts),
        tiers_without_hours=[tier.label for tier in Account.Tier if tier in used and not hours_of(terms, tier)],
    )


def _people(viewer: Viewer, accounts: list[Account], running: list[Cover]) -> dict[UUID | None, PersonLoad]:
    """Return everybody with accounts, CSMs without any, and who covers today, with the hours they have."""
    seats = Membership.objects.visible_to(viewer).filter(account=None, role=Role.CSM, user__is_active=True)
    people = {seat.user_id: seat.user for seat in seats.select_related("user")}
    people |= {one.csm_id: one.csm for one in accounts if one.csm_id}
    people |= {one.covered_by_id: one.covered_by for one in running}
    hours = dict(StaffHours.objects.visible_to(viewer).values_list("user_id", "hours_a_week"))
    loads: dict[UUID | None, PersonLoad] = {
        pk: PersonLoad(person, available=hours.get(pk)) for pk, person in people.items()
    }
    loads[None] = PersonLoad(None)
    for cover in running:
        if cover.absent_id in loads:
            loads[cover.absent_id].away = cover
        loads[cover.covered_by_id].covers_for.append(cover)
    return loads


def _who(user_id: UUID | None, stand_in: Mapping[UUID, UUID]) -> UUID | None:
    return None if user_id is None else stand_in.get(user_id, user_id)


def _plays(viewer: Viewer, accounts: list[Account], stand_in: Mapping[UUID, UUID]) -> Counter[UUID | None]:
    """Return how many plays run by whose they are; one without an owner is the account's CSM's."""
    csm = {one.pk: one.csm_id for one in accounts}
    rows = PlayRun.objects.visible_to(viewer).filter(ended_at=None).values_list("account_id", "owner_id")
    return Counter(_who(owner or csm.get(account), stand_in) for account, owner in rows)


def _fill(load: PersonLoad, terms: BookTerms) -> None:
    if load.user is None or load.away is not None or load.available is None:
        return
    asked = [(hours_of(terms, account.tier), 0) for account in load.accounts]
    # A play counts with whose it is, which is not always whose the account is.
    load.percent = capacity([*asked, (ZERO, load.plays)], terms.play_hours, load.available)


def _ordered(loads: dict[UUID | None, PersonLoad]) -> list[PersonLoad]:
    shown = [one for one in loads.values() if one.user is not None or one.accounts or one.plays]
    return sorted(
        shown, key=lambda one: (one.user is None, one.percent is None, -(one.percent or ZERO), str(one.user))
    )


def spreads(accounts: list[Account], found: Mapping[UUID, Measured]) -> list[Spread]:
    """Return for each currency how the spend of 28 days spreads over accounts, the most accounts first."""
    by_currency: dict[str, dict[str, Decimal]] = defaultdict(dict)
    by_id = {str(one.pk): one for one in accounts}
    for one in accounts:
        by_currency[one.currency][str(one.pk)] = found[one.pk].number("spend_28") or ZERO
    spread = []
    for currency, parts in by_currency.items():
        known = concentration(parts)
        if known is None:
            continue
        total = sum((amount for amount in parts.values() if amount > 0), ZERO)
        largest = sorted(parts, key=lambda pk: (-parts[pk], by_id[pk].name))[:5]
        spread.append(
            Spread(
                currency,
                total,
                sum(amount > 0 for amount in parts.values()),
                known,
                by_id[known.top],
                [(by_id[pk], parts[pk], parts[pk] / total) for pk in largest if parts[pk] > 0],
            )
        )
    return sorted(spread, key=lambda one: (-one.accounts, one.currency))
