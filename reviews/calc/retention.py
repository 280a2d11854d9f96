"""Retention: how much of the revenue of a year ago is still there, and why the rest is not. Metrics 22 to 24. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from consumption_cs.lib.money import exactly

ZERO, HUNDRED = Decimal(0), Decimal(100)
LOOK_BACK = 12  # months on either side
# In this order a loss is explained; what is left is unexplained.
EXPLAINED = ("excused", "assisted", "price")


@dataclass(frozen=True, slots=True)
class Retention:
    """Percent of `base`; None when there is no base. `loss` by reason adds up to `base` − what was kept, exactly.

    `losers`: how many accounts lost something for each reason; one may be counted for several.
    `gross_without_explained`: gross retention if assisted hygiene, excused spikes and price cuts were no loss.
    """

    base: Decimal
    current: Decimal
    net_percent: Decimal | None
    gross_percent: Decimal | None
    gross_without_explained: Decimal | None
    loss: Mapping[str, Decimal]
    accounts: int
    losers: Mapping[str, int] = field(default_factory=dict)


@exactly
def retention(
    base: Mapping[str, Decimal],
    current: Mapping[str, Decimal],
    explained: Mapping[str, Mapping[str, Decimal]] | None = None,
) -> Retention:
    """Return net (Σ current ÷ Σ base) and gross (Σ min(current, base) ÷ Σ base) of the accounts in `base`.

    All in one currency. Accounts that are not in `base` do not count; one that is missing from `current` is churn.
    `explained`: account → reason → how much of its loss has evidence; more than was lost counts up to the loss.
    """
    total = sum(base.values(), ZERO)
    loss = dict.fromkeys(("churn", "unexplained", *EXPLAINED), ZERO)
    losers = dict.fromkeys(loss, 0)
    kept = ZERO
    for account, before in base.items():
        now = current.get(account, ZERO)
        kept += min(now, before)
        for reason, amount in _reasons(before, now, (explained or {}).get(account, {})).items():
            loss[reason] += amount
            losers[reason] += 1
    still = sum((current.get(account, ZERO) for account in base), ZERO)
    excused = sum((loss[reason] for reason in EXPLAINED), ZERO)
    return Retention(
        total, still, _percent(still, total), _percent(kept, total), _percent(kept + excused, total), loss, len(base),
        losers,
    )  # fmt: skip


def _reasons(before: Decimal, now: Decimal, evidence: Mapping[str, Decimal]) -> dict[str, Decimal]:
    left = max(before - now, ZERO)
    if not left:
        return {}
    found: dict[str, Decimal] = {}
    for reason in EXPLAINED:
        part = min(max(evidence.get(reason, ZERO), ZERO), left)
        if part:
            found[reason], left = part, left - part
    if left:
        found["churn" if now <= 0 else "unexplained"] = left
    return found


@exactly
def net_and_gross(
    base: Mapping[str, Decimal], current: Mapping[str, Decimal]
) -> tuple[Decimal | None, Decimal | None]:
    """Return net and gross retention in percent of the accounts in `base`, as `retention` does, without reasons."""
    total = still = kept = ZERO
    for account, before in base.items():
        now = current.get(account, ZERO)
        total, still, kept = total + before, still + now, kept + min(now, before)
    return _percent(still, total), _percent(kept, total)


@exactly
def look_back(months: Mapping[str, list[Decimal]]) -> Retention | None:
    """Return the retention of metric 22: accounts with use in month 1 of 24, months 13 to 24 against 1 to 12.

    `months`: account → 24 amounts, oldest first. None when fewer than 24 months are known of any account.
    """
    if not months or any(len(amounts) != 2 * LOOK_BACK for amounts in months.values()):
        return None
    cohort = {account: amounts for account, amounts in months.items() if amounts[0] > 0}
    return retention(
        {account: sum(amounts[:LOOK_BACK], ZERO) for account, amounts in cohort.items()},
        {account: sum(amounts[LOOK_BACK:], ZERO) for account, amounts in cohort.items()},
    )


@exactly
def run_rate(
    quarter: Mapping[str, Decimal], before: Mapping[str, Decimal], noticed: frozenset[str] = frozenset()
) -> Decimal | None:
    """Return metric 23 in percent: Σ quarter × 4 ÷ Σ of the quarter before × 4, of the same accounts.

    `noticed`: accounts that gave notice count as zero. For seasonal accounts pass the quarter of the year before.
    """
    same = [account for account in before if before[account] > 0]
    now = sum((quarter.get(account, ZERO) for account in same if account not in noticed), ZERO)
    return _percent(now * 4, sum((before[account] for account in same), ZERO) * 4)


@exactly
def committed_gross(expiring: Mapping[str, Decimal], renewed: Mapping[str, Decimal]) -> Decimal | None:
    """Return Σ min(renewed, expiring) ÷ Σ expiring of the contracts that ended, in percent; None without any."""
    kept = sum((min(renewed.get(name, ZERO), amount) for name, amount in expiring.items()), ZERO)
    return _percent(kept, sum(expiring.values(), ZERO))


def _percent(part: Decimal, whole: Decimal) -> Decimal | None:
    return part * HUNDRED / whole if whole > 0 else None
