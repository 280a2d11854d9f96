"""When conditions would have held, for many accounts and days at once: what a preview counts. Pure."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]
Values = Mapping[str, npt.NDArray[np.float64]]  # metric → [accounts, days], NaN: not known

_COMPARE = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal, "=": np.equal}


def held(condition: Mapping[str, Any], values: Values, measured: Flags) -> Flags:
    """Return [accounts, days]: whether a checked condition held at each day's end. `measured`: days with a row."""
    for group, joined in (("all", np.logical_and), ("any", np.logical_or)):
        if group in condition:
            parts = [held(one, values, measured) for one in condition[group]]
            return np.asarray(joined.reduce(parts), dtype=np.bool_)
    numbers = values[condition["metric"]]
    if condition["op"] in ("known", "unknown"):
        known = ~np.isnan(numbers)
        return measured & (known if condition["op"] == "known" else ~known)
    now = np.asarray(_COMPARE[condition["op"]](numbers, float(condition["value"])), dtype=np.bool_)  # NaN: never
    return _for_days(now, int(condition.get("for_days", 1)))


def _for_days(now: Flags, days: int) -> Flags:
    """Whether it held on each of the last `days` days; days before the first do not count as held."""
    if days == 1:
        return now
    total = np.cumsum(now, axis=1)
    before = np.zeros_like(total)
    before[:, days:] = total[:, :-days]
    return np.asarray(total - before == days, dtype=np.bool_)


def begins(entry: Flags, leaves: Flags | None, since: int) -> npt.NDArray[np.int64]:
    """Return how often each account would have begun from day `since` on, ending as its exit holds.

    One that is in at `since` already has begun before. Without an exit a run lasts while its entry holds.
    """
    running = np.zeros(len(entry), dtype=np.bool_)
    count = np.zeros(len(entry), dtype=np.int64)
    for day in range(entry.shape[1]):
        out = ~entry[:, day] if leaves is None else leaves[:, day]
        starting = entry[:, day] & ~running & ~out
        if day >= since:
            count += starting
        running = (running | starting) & ~(out & ~starting)
    return count
