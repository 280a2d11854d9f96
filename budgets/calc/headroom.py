"""What the vendor's gateway is told when it asks whether work may run: allow, warn, throttle or stop. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

RANKS = ("allow", "warn", "throttle", "stop")


@dataclass(frozen=True, slots=True)
class LimitNow:
    """A budget's limit now: `state` as LimitState, `action` as Limit, `amount` in the account's currency."""

    name: str
    action: str
    state: str
    amount: Decimal
    used: Decimal
    is_dry_run: bool = False
    is_exempt: bool = False


def decide(limits: Sequence[LimitNow], cost: Decimal, *, rehearsal: bool = False) -> tuple[str, str]:
    """Return the strictest decision and its reason in words. `cost` is what the work asked about would add.

    Only a limit in force slows or stops, and never an exempt workflow or in a dry run; a rehearsal answers as if
    every limit were in force.
    """
    answers = [_decide(limit, cost, rehearsal) for limit in limits]
    return max(answers, key=lambda answer: RANKS.index(answer[0]), default=("allow", "No limit applies."))


def _decide(limit: LimitNow, cost: Decimal, rehearsal: bool) -> tuple[str, str]:
    if limit.action != "notify" and (rehearsal or (limit.state == "acting" and not limit.is_dry_run)):
        if limit.is_exempt:
            return "allow", f"The limit of “{limit.name}” is in force; this workflow is exempt."
        return limit.action, f"Limit reached: the limit of “{limit.name}” is in force."
    if limit.state == "lifted":
        return "allow", f"The limit of “{limit.name}” is lifted."
    if limit.state in ("warned", "grace", "acting"):
        return "warn", f"“{limit.name}” is close to its limit, or over it."
    if cost > 0 and limit.used + cost >= limit.amount:
        return "warn", f"This work would reach the limit of “{limit.name}”."
    return "allow", "Below every limit."
