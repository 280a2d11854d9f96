"""What the data says of a renewal: grow, flat or at risk, and why in words. Pure.

Every sign counts for or against; one that is grave decides alone. What is not known is no sign.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

Numbers = Mapping[str, Decimal | None]
GROW, FLAT, AT_RISK = "grow", "flat", "at_risk"


@dataclass(frozen=True, slots=True)
class Call:
    """`opinion` is grow, flat or at_risk; `because` its reasons, the gravest first; empty: no sign either way."""

    opinion: str
    because: tuple[str, ...] = ()


def automated_call(numbers: Numbers, score: Decimal | None = None) -> Call:
    """Return the opinion of the data on an account, from the metrics of the last closed day and its health.

    At risk: use fell by 20 % or more, drawing below 75 % of plan, health below 60, silent for a week, the champion
    gone, or they were negative. Grow: the commit runs out before its term, or use rose by 10 % or more, without any
    of these. Flat otherwise.
    """
    bad = _bad(numbers, score)
    if bad:
        return Call(AT_RISK, tuple(bad))
    good = _good(numbers)
    return Call(GROW, tuple(good)) if good else Call(FLAT, ())


def _bad(numbers: Numbers, score: Decimal | None) -> list[str]:
    get = numbers.get
    found = []
    silent, change, pacing = get("silent_days"), get("change_28"), get("pacing")
    if silent is not None and silent >= 7:
        found.append(f"no use for {silent:.0f} days")
    if change is not None and change <= -20:
        found.append(f"use down {-change:.0f}%")
    if pacing is not None and pacing < Decimal("0.75"):
        found.append(f"uses {pacing * 100:.0f}% of plan")
    if get("champion_gone") == 1:
        found.append("the champion left")
    if get("sentiment") == 0:
        found.append("they were negative")
    if score is not None and score < 60:
        found.append(f"health {score:.0f}")
    return found


def _good(numbers: Numbers) -> list[str]:
    chance, change = numbers.get("run_out_percent"), numbers.get("change_28")
    found = []
    if chance is not None and chance >= 50 and (numbers.get("commit_granted") or 0) > 0:
        found.append("the commit runs out before its term")
    if change is not None and change >= 10:
        found.append(f"use up {change:.0f}%")
    return found
