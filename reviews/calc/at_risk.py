"""How much money hangs on an account, and on what: counted once, under its largest kind. Pure Decimal."""

from dataclasses import dataclass
from decimal import Decimal

ZERO, HUNDRED = Decimal(0), Decimal(100)
RENEWAL_DAYS = 180  # before the end of the term
TOP_SHARE = Decimal(70)  # percent of spend on one workflow
LIKELY = Decimal(50)  # percent: what is less likely is not expected
GREEN = ("grow", "flat")

KINDS = {
    "renewal": "renewal without a green opinion",
    "not_started": "commit not started",
    "unused": "commit that will likely lapse",
    "overage": "overage, not agreed",
    "one_workflow": "rests on one workflow",
}


@dataclass(frozen=True, slots=True)
class Stakes:
    """What is known of an account, in its currency, days and percent; None: not known.

    `opinion` is the last one on the renewal of the present term, "" without one. `overage_agreed`: there is a
    commit that follows, or a final call to grow.
    """

    granted: Decimal | None = None
    left: Decimal | None = None
    unused: Decimal | None = None
    unused_percent: Decimal | None = None
    overage: Decimal | None = None
    overage_percent: Decimal | None = None
    top_share: Decimal | None = None
    term_days_left: Decimal | None = None
    has_begun: bool = True
    opinion: str = ""
    overage_agreed: bool = False


@dataclass(frozen=True, slots=True)
class AtRisk:
    """`amount` in the account's currency, of `kind`, a key of KINDS; "" and 0 when nothing is at risk."""

    amount: Decimal = ZERO
    kind: str = ""


def at_risk(stakes: Stakes) -> AtRisk:
    """Return the largest of what is at risk; of two that are equal, the one that comes first in KINDS."""
    left, granted, share = stakes.left or ZERO, stakes.granted or ZERO, stakes.top_share or ZERO
    found = {
        "renewal": granted if _renews_soon(stakes) and stakes.opinion not in GREEN else ZERO,
        "not_started": left if not stakes.has_begun else ZERO,
        "unused": stakes.unused or ZERO if _likely(stakes.unused_percent) else ZERO,
        "overage": stakes.overage or ZERO if _likely(stakes.overage_percent) and not stakes.overage_agreed else ZERO,
        "one_workflow": left * share / HUNDRED if share > TOP_SHARE else ZERO,
    }
    kind = max(KINDS, key=lambda name: found[name])
    return AtRisk(found[kind], kind) if found[kind] > 0 else AtRisk()


def _renews_soon(stakes: Stakes) -> bool:
    return stakes.term_days_left is not None and ZERO <= stakes.term_days_left <= RENEWAL_DAYS


def _likely(percent: Decimal | None) -> bool:
    return percent is not None and percent >= LIKELY
