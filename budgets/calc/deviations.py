"""How unusual an hour's usage is, for an account's own standards, on several time scales. Pure numpy.

The deviation is the log ratio of actual to expected usage over the last hours (seasonal.py). A ridge regression per
account foretells it from deviations that were there before the window began: weather, campaigns and levels last for
days, and only what is new should alarm. What is left is measured against how far it usually swings: by hour of the day
on the short scales (nights are noisier than days), and by a high quantile and the greatest of the last weeks, so that
a bursty account has wide limits of its own. All of it is learned once a day of the series, from hours that had ended
a day before, so that what is under judgement does not define what is usual.
"""

from dataclasses import dataclass

import numpy as np

from budgets.calc.seasonal import DAY, WARM_UP, WEEK, Floats, running_sum, usual_hours

LEARNING_DAYS, HISTORY_DAYS = 14, 56  # days before deviations mean anything; days that are looked back on
FLOOR = 0.25  # of usual usage, added to both sides of a ratio: idle hours are not infinitely far from each other
LIMIT = 1.0  # a log ratio beyond it counts as this much when something is learned from it
BY_HOUR = 0.5  # how far limits follow the hour of the day: 0 not at all, 1 wholly
LEAST_NOISE, LEAST_SWING = 0.02, 0.06
OF_GREATEST = 0.2  # weight of the greatest swing, against the quantile
YOUNG = 0.3  # how much wider the limits of the long scales are for an account without any history
NEEDED = (HISTORY_DAYS + 54) * DAY  # hours; earlier ones have no bearing on the last day


@dataclass(frozen=True, slots=True)
class Scale:
    """A time scale: `hours` of the window, `before`: hours back to what it is foretold from.

    `threshold` in usual swings, which are the `quantile` of what is left; `impact`: least excess, in days of usual
    usage; `ridge`: how many hours' worth of doubt the regression has.
    """

    hours: int
    before: int
    threshold: float
    impact: float
    quantile: float
    ridge: float
    kind: str


# Thresholds and impacts are rounded from what scripts/fit_anomaly.py finds on 63 public hourly series (electricity
# load, pedestrians, trips, messages) that were supplied for development and are not shipped, and raised a little,
# since kinds of series that were left out of the fit have up to a third more false alarms.
SCALES = (
    Scale(1, 2, 3.35, 0.025, 0.98, 2.0, "spike"),
    Scale(2, 2, 3.35, 0.025, 0.98, 2.0, "spike"),
    Scale(6, 6, 4.5, 0.05, 0.98, 5.0, "spike"),
    Scale(24, 24, 2.55, 0.25, 0.995, 50.0, "step"),
    Scale(168, 168, 1.7, 1.5, 0.995, 50.0, "leak"),
)
SHORT = 6  # hours: up to here, a scale knows the hour of the day


class Deviations:
    """Deviations of many series of one length, [series, hours], from their first hour on; no NaN.

    `expected` is the usage that was to be expected of each hour; `totals` and `plans` are running sums of usage and
    expectation. Everything is in whole days from the first hour of the series; the last one may be unfinished.
    """

    def __init__(self, usage: Floats) -> None:
        self.series, self.hours = usage.shape
        self.days = -(-self.hours // DAY)
        whole = np.zeros((self.series, self.days * DAY))
        whole[:, : self.hours] = usage
        self.expected = usual_hours(whole)
        self.totals, self.plans = running_sum(whole), running_sum(self.expected)
        t = np.arange(self.days * DAY)
        span = np.clip(t, 1, WARM_UP)
        self.mean = (self.totals[:, t] - self.totals[:, t - np.minimum(t, span)]) / span
        self.ratios = {hours: self._ratio(hours) for hours in (1, 2, 6, 24, 168)}
        self.limited = {hours: np.clip(ratio, -LIMIT, LIMIT) for hours, ratio in self.ratios.items()}

    def excess(self, hours: int, first_day: int) -> Floats:
        """Usage of the last `hours` above expectation, in days of usual usage, [series, hours from `first_day` on]."""
        actual, plan, mean = self._sums(hours, first_day * DAY)
        return np.asarray((actual - plan) / (DAY * mean + 1e-12))

    def _sums(self, hours: int, first: int) -> tuple[Floats, Floats, Floats]:
        """Usage and expectation of the last `hours`, and usage per hour before them, [series, hours from `first`]."""
        end = slice(first + 1, None)
        start = slice(first + 1 - hours, self.days * DAY + 1 - hours)
        mean = self.mean[:, start.start : start.stop]
        return self.totals[:, end] - self.totals[:, start], self.plans[:, end] - self.plans[:, start], mean

    def _ratio(self, hours: int) -> Floats:
        out = np.zeros_like(self.expected)
        actual, plan, mean = self._sums(hours, WEEK + hours)
        # The tiny term keeps an account that has never used anything at a ratio of one.
        floor = FLOOR * hours * mean + 1e-12
        out[:, WEEK + hours :] = np.log((actual + floor) / (plan + floor))
        return out

    def foretold_from(self, scale: Scale, first_day: int) -> Floats:
        """What deviations from `first_day` on are foretold from, [series, features, hours from there]."""
        lags = [(WEEK, scale.before), (DAY, scale.before)]
        if scale.hours <= DAY:
            lags += [(6, scale.before)]
        if scale.hours <= SHORT:
            lags += [(1, scale.before), (1, scale.before + 1)]
            lags += [(scale.hours, lag) for lag in (23, 24, 25, 48, 167, 168, 169, 336)]
        first, last = first_day * DAY, self.days * DAY
        out = np.ones((self.series, len(lags) + 1, last - first))
        for j, (hours, lag) in enumerate(lags, start=1):
            out[:, j] = self.limited[hours][:, first - lag : last - lag]
        return out

    def scores(self, scale: Scale, first_day: int) -> Floats:
        """How many times its threshold each hour from `first_day` on reaches, [series, hours from there].

        At most zero where the excess is too small to matter.
        """
        origin = max(LEARNING_DAYS, first_day - 1 - HISTORY_DAYS)
        features = self.foretold_from(scale, origin)
        ratio, target = (of[scale.hours][:, origin * DAY :] for of in (self.ratios, self.limited))
        days = [(max(0, day - 1 - HISTORY_DAYS), day - 1) for day in range(first_day - origin, self.days - origin)]
        weights = _regressions(features, target, days, scale.ridge)
        out = np.empty((self.series, len(days), DAY))
        for i, (begin, end) in enumerate(days):
            hours = slice(begin * DAY, (end + 2) * DAY)
            left = ratio[:, hours] - (weights[:, i, None] @ features[:, :, hours])[:, 0]
            past, now = left[:, : (end - begin) * DAY], left[:, -DAY:]
            if scale.hours <= SHORT:
                noise = noise_by_hour(past)
                past, now = (past.reshape(self.series, -1, DAY) / noise[:, None]).reshape(past.shape), now / noise
            out[:, i] = now / usual_swing(past, scale)[:, None]
        score = out.reshape(self.series, -1) / scale.threshold
        return np.where(self.excess(scale.hours, first_day) <= scale.impact, np.minimum(score, 0.0), score)


def _regressions(features: Floats, target: Floats, days: list[tuple[int, int]], ridge: float) -> Floats:
    """Weights of the features in each of the stretches of days, [series, stretches, features]."""
    series, count, hours = features.shape
    daily = features.reshape(series, count, hours // DAY, DAY).swapaxes(1, 2)
    grams, moments = daily @ daily.swapaxes(2, 3), daily @ target.reshape(series, -1, DAY, 1)
    gram = np.stack([grams[:, begin:end].sum(axis=1) for begin, end in days], axis=1)
    moment = np.stack([moments[:, begin:end].sum(axis=1) for begin, end in days], axis=1)
    return np.linalg.solve(gram + ridge * np.eye(count), moment)[..., 0]


# The mean of each hour of the day, the one before and the one after.
NEAR = (np.eye(DAY) + np.roll(np.eye(DAY), 1, axis=0) + np.roll(np.eye(DAY), -1, axis=0)) / 3


def noise_by_hour(left: Floats) -> Floats:
    """How much noisier each hour of the day is than the average one, [series, 24], from [series, days * 24]."""
    limited = np.clip(left, -LIMIT, LIMIT).reshape(len(left), -1, DAY)
    square = np.einsum("sdh,sdh->sh", limited, limited) / limited.shape[1]
    noise = np.maximum(np.sqrt(square @ NEAR), LEAST_NOISE) ** BY_HOUR
    return np.asarray(noise / np.sqrt(np.einsum("sh,sh->s", noise, noise) / DAY)[:, None])


def usual_swing(left: Floats, scale: Scale) -> Floats:
    """How far what is left, [series, hours], usually swings upwards, [series]."""
    count = left.shape[1]
    low, high = int(count * (1 - scale.quantile)), int(count * scale.quantile)
    ordered = np.partition(left, (low, high), axis=1)
    swing = np.maximum(ordered[:, high], -0.5 * ordered[:, low])
    swing = (1 - OF_GREATEST) * swing + OF_GREATEST * ordered[:, high:].max(axis=1)
    if scale.hours > SHORT:
        swing = swing * (1 + YOUNG * (1 - count / (HISTORY_DAYS * DAY)))
    return np.asarray(np.maximum(swing, LEAST_SWING))
