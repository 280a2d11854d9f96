"""What a replay of a proposed budget or limit takes and gives."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from accounts.models import Account

ZERO = Decimal(0)
DAYS = 90
ENOUGH_DAYS = 7


@dataclass(frozen=True, slots=True)
class ProposedLimit:
    """What shall happen at `percent` of the budget; see Limit for the fields."""

    action: str = "notify"
    percent: Decimal = Decimal(100)
    warn_percent: Decimal = Decimal(85)
    grace_minutes: int = 30
    grace_percent: Decimal = Decimal(10)
    throttle_percent: Decimal = Decimal(25)
    exempt_workflows: tuple[UUID, ...] = ()
    is_dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Proposal:
    """A budget as it would be: `amount` of each period in the account's currency; `rules` are (kind, value).

    `budget_id` is the budget that it would change, if there is one: what that has in force is compared.
    """

    amount: Decimal
    period: str = "month"
    rules: tuple[tuple[str, Decimal], ...] = ()
    limit: ProposedLimit | None = None
    scope: str = "account"
    workflow_id: UUID | None = None
    meter_id: UUID | None = None
    dimension: str = ""
    dimension_value: str = ""
    starts_on: date | None = None  # of a custom period, local days [starts_on, ends_on)
    ends_on: date | None = None
    budget_id: UUID | None = None

    @property
    def blocks(self) -> bool:
        """Whether its limit does more than tell."""
        return self.limit is not None and self.limit.action != "notify"

    @property
    def limit_amount(self) -> Decimal | None:
        """The amount at which the limit is reached; None without one."""
        return None if self.limit is None else self.amount * self.limit.percent / 100


@dataclass(frozen=True, slots=True)
class Fire:
    """A moment at which a rule would have told. `verdict`: useful, false, or open (its period is not over).

    `is_told` is False for a crossing that a higher one at the same moment covers. `why` is a sentence.
    """

    at: datetime
    day: date
    kind: str
    value: Decimal
    is_told: bool
    verdict: str
    why: str


@dataclass(frozen=True, slots=True)
class ReplayedDay:
    """A local day: what was spent, and what of it the limit would have blocked or held back."""

    day: date
    spent: Decimal
    blocked: Decimal = ZERO

    @property
    def through(self) -> Decimal:
        return self.spent - self.blocked


@dataclass(frozen=True, slots=True)
class Acted:
    """One period in which the limit is reached: when it would have acted, what it blocked, and whether rightly.

    `day` is the local day on which it is reached, `last_day` the last one of the period that is replayed.

    `acts_at` None: reached, but the period ended within the grace, or the limit only tells. `verdict`: right, false,
    mixed, or "" if nothing was blocked. `loop`: what loops cost in the period; `waiting`: outcomes that would have
    waited. `about`: what happened, in words.
    """

    day: date
    last_day: date
    spent: Decimal
    reached_at: datetime
    acts_at: datetime | None
    loop: Decimal
    loop_stopped: Decimal
    held_back: Decimal
    waiting: int
    verdict: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class SweepRow:
    """The same replay with another limit amount."""

    amount: Decimal
    acts: int
    loop_stopped: Decimal
    held_back: Decimal
    is_tried: bool = False
    is_in_force: bool = False
    is_best: bool = False


@dataclass(frozen=True, slots=True)
class Replay:
    """What a proposal would have done on the local days [first, after). Money in the account's currency.

    `used_days` have usage; `is_ready` is False when these are fewer than 7. Hours are known from `hours_from` on;
    before, a day's money is spread as days usually are. `loop_cost`: what loops cost in all. `fullest`: the first day
    of the period with the most spend, and that. `not_replayed`: sentences about rules that could not be, or not on all
    days. `in_force`: the same for the budget's limit now.
    """

    account: Account
    proposal: Proposal
    first: date
    after: date
    days: tuple[ReplayedDay, ...] = ()
    fires: tuple[Fire, ...] = ()
    acted: tuple[Acted, ...] = ()
    sweep: tuple[SweepRow, ...] = ()
    used_days: int = 0
    is_ready: bool = False
    hours_from: date | None = None
    loop_cost: Decimal = ZERO
    fullest: tuple[date, Decimal] | None = None
    not_replayed: tuple[str, ...] = ()
    in_force: "Replay | None" = None

    @property
    def spent(self) -> Decimal:
        """What was spent in all."""
        return sum((one.spent for one in self.days), ZERO)

    @property
    def acting(self) -> list[Acted]:
        """The periods in which the limit acts."""
        return [one for one in self.acted if one.acts_at is not None]

    @property
    def loop_stopped(self) -> Decimal:
        return sum((one.loop_stopped for one in self.acted), ZERO)

    @property
    def held_back(self) -> Decimal:
        """Real work that was blocked."""
        return sum((one.held_back for one in self.acted), ZERO)

    @property
    def waiting(self) -> int:
        return sum(one.waiting for one in self.acted)

    @property
    def told(self) -> list[Fire]:
        """The alerts that somebody would have got."""
        return [one for one in self.fires if one.is_told]

    @property
    def false_alarms(self) -> list[Fire]:
        return [one for one in self.told if one.verdict == "false"]

    @property
    def best(self) -> SweepRow | None:
        return next((one for one in self.sweep if one.is_best), None)
