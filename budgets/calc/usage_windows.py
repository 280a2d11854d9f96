"""Sums over the last days of many accounts' daily usage, and how much these usually change. Pure numpy."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

COLUMNS = 455  # days looked at: the year-ago windows reach back 392 days, the dispersion ones 420
PRIOR_SWING, PRIOR_COUNT = 0.15, 2.0  # what volatility is shrunk to, and how many observations that is worth
LOG_LIMIT = 1.5  # a log ratio beyond this says "started" or "stopped", not how much


class UsageWindows:
    """Running sums over histories [accounts, days], right-aligned, NaN before an account's first day.

    `unit` [n] is the account's usual usage per day; `values` [n, days] and all that is computed from them are in that
    unit, so that forecasts do not depend on what a quantity is counted in. `length` [n] counts the days since the
    first one with data; a later gap is a day without usage, and a negative day is one too.
    """

    def __init__(self, history: Floats) -> None:
        known = ~np.isnan(history)
        days = history.shape[1]
        first = known.argmax(axis=1) if days else np.zeros(len(history), dtype=np.intp)
        self.length = np.where(known.any(axis=1), days - first, 0)
        values = np.maximum(np.where(known, history, 0.0), 0.0)[:, -COLUMNS:]
        if days < COLUMNS:
            values = np.concatenate([np.zeros((len(history), COLUMNS - days)), values], axis=1)
        self.n, self.days = values.shape
        self.unit = _usual(values, self.length)
        self.values = values / self.unit[:, None]
        self.total: Floats = np.zeros((self.n, self.days + 1))
        np.cumsum(self.values, axis=1, out=self.total[:, 1:])

    def sum(self, width: int, ago: int = 0) -> Floats:
        """Usage of the `width` days that end `ago` days before now, [n]."""
        end = self.days - ago
        return self.total[:, end] - self.total[:, end - width]

    def mean(self, width: int, ago: int = 0) -> Floats:
        """Usage per day of that window [n], NaN where the account is younger."""
        return np.where(self.length >= width + ago, self.sum(width, ago) / width, np.nan)

    def recent_mean(self, width: int) -> Floats:
        """Usage per day of the last `width` days, or of the whole of a shorter history, [n]."""
        return np.asarray(self.sum(width) / np.clip(self.length, 1, width))

    def decayed_mean(self, half_life: int) -> Floats:
        """Exponentially weighted usage per day [n]; `half_life` in days."""
        span = min(self.days, half_life * 14)
        weight = 0.5 ** (np.arange(span)[::-1] / half_life)
        # What the weights of an account's own days sum to: the sum of a geometric series, by age.
        of_age = np.concatenate([[0.0], np.cumsum(weight[::-1])])
        top = np.einsum("nd,d->n", self.values[:, -span:], weight)
        return np.asarray(top / np.maximum(of_age[np.minimum(self.length, span)], 1e-12))

    def changes(self, width: int, limit: int, small: Floats | float) -> Floats:
        """Log ratios of neighbouring `width`-day sums, a week apart, back to `limit` days, [n, k].

        NaN where the account is too young. `small` [n] is added to both sums, so that an idle window is finite.
        """
        ago = np.arange(0, min(limit, self.days) - 2 * width + 1, 7)
        ends = self.days - ago
        sums = [self.total[:, ends - back] - self.total[:, ends - back - width] for back in (0, width)]
        floor = np.broadcast_to(np.asarray(small, dtype=np.float64), (self.n,))[:, None] + 1e-9
        ratio = np.log((np.maximum(sums[0], 0.0) + floor) / (np.maximum(sums[1], 0.0) + floor))
        return np.where(self.length[:, None] >= ago + 2 * width, ratio, np.nan)

    def volatility(self) -> Floats:
        """Typical log change from one 28-day sum to the next (14-day ones for a young account), [n]."""
        long = shrunk_rms(self.changes(28, 365, 0.0), 28)
        short = shrunk_rms(self.changes(14, 120, 0.0), 14)
        return np.where(self.length >= 120, long, short)


def _usual(values: Floats, length: NDArray[np.intp]) -> Floats:
    """Usage per day of the last 91 days, or a hundredth of the long-run rate when that is more; one if none, [n]."""
    recent = values[:, -91:].sum(axis=1) / np.clip(length, 1, 91)
    ever = values.sum(axis=1) / np.clip(length, 1, COLUMNS)
    usual = np.maximum(recent, ever / 100)
    return np.where(usual > 0, usual, 1.0)


def shrunk_rms(changes: Floats, width: int) -> Floats:
    """RMS of the log ratios [n, k] of `width`-day windows a week apart, shrunk to PRIOR_SWING, [n].

    Only every `width` / 7th of them is independent, and is counted as one observation.
    """
    known = ~np.isnan(changes)
    count = known.sum(axis=1)
    clipped = np.where(known, np.clip(changes, -LOG_LIMIT, LOG_LIMIT), 0.0)
    square = np.where(count > 0, (clipped**2).sum(axis=1) / np.maximum(count, 1), PRIOR_SWING**2)
    weight = np.maximum(1.0, count * 7 / width)
    return np.asarray(np.sqrt((PRIOR_COUNT * PRIOR_SWING**2 + weight * square) / (PRIOR_COUNT + weight)))
