"""What must be true afterwards, worked out from the clients' own log alone: plain Python, without the product."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

STEPS = range(1, 101)  # percent of it that are told
GRACE_PERCENT = Decimal(10)


@dataclass(slots=True)
class Found:
    """What the product has in the end. Quantities and money by account; alerts as (account, kind, percent)."""

    quantities: Mapping[str, Decimal]
    money: Mapping[str, Decimal]
    events: int
    distinct_events: int
    alerts: Sequence[tuple[str, str, Decimal]]
    limit_events: Sequence[tuple[str, str]]  # (account, kind)
    told: set[str] = field(default_factory=set)  # webhook ids of the told alerts and of the limit's steps
    untold: int = 0  # alerts or steps that should be told and have no webhook of their own, or more than one


@dataclass(slots=True)
class Verdict:
    """How far the product is from what the log says; all zero is right. Quantities in units."""

    lost: Decimal = Decimal(0)
    double: Decimal = Decimal(0)
    money_wrong: int = 0  # accounts whose money is not their quantity, at one for one
    alerts_missing: int = 0
    alerts_duplicate: int = 0
    limits_wrong: int = 0
    webhooks_missing: int = 0
    webhooks_extra: int = 0

    @property
    def is_right(self) -> bool:
        return all(getattr(self, name) == 0 for name in self.__slots__)


Amounts = Mapping[str, Decimal]  # account → amount of its budget


def judge(
    accepted: Mapping[str, int], events: int, found: Found, received: Mapping[str, int], amounts: Amounts
) -> Verdict:
    """Compare what clients know to be accepted (all of it answered) with what the product has."""
    verdict = Verdict()
    for account in {*accepted, *found.quantities}:
        wanted, stored = Decimal(accepted.get(account, 0)), found.quantities.get(account, Decimal(0))
        verdict.lost += max(wanted - stored, Decimal(0))
        verdict.double += max(stored - wanted, Decimal(0))
        verdict.money_wrong += found.money.get(account, Decimal(0)) != stored
    verdict.lost += max(events - found.distinct_events, 0)
    verdict.double += max(found.events - events, 0)
    wanted_alerts = expected_alerts(accepted, amounts)
    told = Counter(found.alerts)
    verdict.alerts_missing = sum((wanted_alerts - told).values())
    verdict.alerts_duplicate = sum((told - wanted_alerts).values())
    verdict.limits_wrong = _limits_wrong(accepted, found.limit_events, amounts)
    verdict.webhooks_missing = len(found.told - set(received)) + found.untold
    verdict.webhooks_extra = len(set(received) - found.told)
    return verdict


def expected_alerts(accepted: Mapping[str, int], amounts: Amounts) -> Counter[tuple[str, str, Decimal]]:
    """Each percent that was reached once, and the limit's two alerts; use only ever grows here."""
    wanted: Counter[tuple[str, str, Decimal]] = Counter()
    for account, units in accepted.items():
        percent = Decimal(units) * 100 / amounts[account]
        wanted.update((account, "actual_percent", Decimal(step)) for step in STEPS if percent >= step)
        if percent >= 100:
            wanted[account, "limit_reached", Decimal(100)] += 1
        if percent >= 100 + GRACE_PERCENT:
            wanted[account, "limit_acting", Decimal(100)] += 1
    return wanted


def _limits_wrong(accepted: Mapping[str, int], events: Sequence[tuple[str, str]], amounts: Amounts) -> int:
    """Steps of limits that are missing or there more than once. A warning is skipped where use jumps over it."""
    seen, wrong = Counter(events), 0
    for account, units in accepted.items():
        percent = Decimal(units) * 100 / amounts[account]
        wrong += seen[account, "reached"] != (percent >= 100)
        wrong += seen[account, "acting"] != (percent >= 100 + GRACE_PERCENT)
        wrong += seen[account, "warned"] > (percent >= 85)
    return wrong
