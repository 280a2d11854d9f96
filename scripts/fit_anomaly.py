"""Measure the detector, or find its thresholds, on a folder of hourly series with events put into them.

    python -m scripts.fit_anomaly FOLDER             what the scales of budgets/calc/deviations.py reach
    python -m scripts.fit_anomaly FOLDER --fit       thresholds and least impacts that reach more, to be copied there
    python -m scripts.fit_anomaly FOLDER --left-out  the same, fitted in turn without whole groups of sources and
                                                     measured on those: the honest score

FOLDER holds one hourly_*.parquet (unique_id, y: usage per hour, in order), one hourly_meta_*.csv (unique_id, source),
and one injections_*.csv.gz (unique_id, t0: hour within the 28 + 60 days `window` cuts out, kind, factor, dur: hours).
Needs numpy and pyarrow, and some minutes.

False alarms are per account-month of 720 hours: on whole series, and on stretches of 42 days of the long ones (young
accounts, whose limits are the least certain). Their mean may not exceed --budget.
"""

import argparse
import csv
import gzip
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from budgets.calc.anomaly import onsets
from budgets.calc.deviations import SCALES, Deviations
from budgets.calc.seasonal import DAY, WARM_UP, Flags, Floats

MONTH, TEST = 720, 60 * DAY
YOUNG, YOUNG_EVERY, LONG = 42 * DAY, 505, 4000  # hours of a young account, between two of them, of a long series
PENALTY = 60.0  # for every false alarm per account-month beyond the budget
STEPS = (1.2, 1.1, 1.05, 1.02)
GROUPS = 4


@dataclass(frozen=True, slots=True)
class Event:
    """Something put into the window of a series: usage times `factor` (spike, step), or growing by it every day."""

    name: str
    start: int
    kind: str
    factor: float
    hours: int


@dataclass(frozen=True, slots=True)
class Trial:
    """An event as the detector sees it: how unusual each hour is [2 * scales, hours], with it and without.

    The rows are the scores, of which no threshold has been taken yet, and the excess. `let_through` [hours]: usage
    above the series' own up to each hour, as a share of a month's; `total` that of the whole event.
    """

    event: Event
    source: str
    changed: Floats
    clean: Floats
    let_through: Floats
    total: float


@dataclass(frozen=True, slots=True)
class Material:
    """All trials, and the hours without any event: of whole series and of young accounts, with their sources."""

    trials: list[Trial]
    whole: list[tuple[str, Floats]]
    young: list[tuple[str, Floats]]

    def without(self, sources: list[str], *, instead: bool = False) -> "Material":
        """The part of other sources; or with `instead`, of just these."""
        return Material(
            [trial for trial in self.trials if (trial.source in sources) == instead],
            [pair for pair in self.whole if (pair[0] in sources) == instead],
            [pair for pair in self.young if (pair[0] in sources) == instead],
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """Threshold and least impact of each scale."""

    thresholds: Floats
    impacts: Floats

    def alarms(self, seen: Floats) -> Flags:
        """Boolean [hours] from [2 * scales, hours]."""
        scores, excess = seen[: len(SCALES)], seen[len(SCALES) :]
        return np.asarray(((scores > self.thresholds[:, None]) & (excess > self.impacts[:, None])).any(axis=0))


IN_USE = Limits(np.array([scale.threshold for scale in SCALES]), np.array([scale.impact for scale in SCALES]))


def seen_from(usage: Floats, first: int) -> Floats:
    """Score without threshold and excess on every scale, of the hours from `first` on, [2 * scales, hours]."""
    deviations, day = Deviations(usage[None]), first // DAY
    hours = slice(first - day * DAY, len(usage) - day * DAY)
    bare = [replace(scale, threshold=1.0, impact=-np.inf) for scale in SCALES]
    rows = [deviations.scores(scale, day)[0, hours] for scale in bare]
    rows += [deviations.excess(scale.hours, day)[0, hours] for scale in SCALES]
    return np.stack(rows)


def window(name: str, usage: Floats) -> Floats:
    """The 28 + 60 days that events are put into, chosen by the series' name."""
    length = min(len(usage), WARM_UP + TEST)
    number = int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:8], 16)
    first = number % (len(usage) - length) // DAY * DAY if len(usage) > length else 0
    return usage[first : first + length]


def with_event(usage: Floats, event: Event) -> Floats:
    """Usage with the event in it; one in a nearly idle hour is felt too."""
    out, end = usage.copy(), min(len(usage), event.start + event.hours)
    base = np.maximum(out[event.start : end], 0.25 * usage[max(0, event.start - 168) : event.start].mean())
    grown = event.factor * np.arange(end - event.start) / DAY if event.kind == "leak" else event.factor - 1
    out[event.start : end] += grown * base
    return out


def load(folder: Path) -> Material:
    """Read the folder and let the detector see all of it."""
    with next(folder.glob("hourly_meta_*.csv")).open() as lines:
        source = {row["unique_id"]: row["source"] for row in csv.DictReader(lines)}
    columns = parquet.read_table(next(folder.glob("hourly_*.parquet")), columns=["unique_id", "y"])
    names, usage = np.array(columns["unique_id"].to_pylist()), columns["y"].to_numpy().astype(np.float64)
    series = {name: usage[names == name] for name in dict.fromkeys(names.tolist())}
    with gzip.open(next(folder.glob("injections_*.csv.gz")), "rt") as lines:
        rows = [row for row in csv.DictReader(lines) if row["kind"] != "dead"]
    events = [Event(r["unique_id"], int(r["t0"]), r["kind"], float(r["factor"]), int(r["dur"])) for r in rows]
    windows = {name: window(name, values) for name, values in series.items()}
    clean = {name: seen_from(values, WARM_UP) for name, values in windows.items()}
    young = [
        (source[name], seen_from(values[first : first + YOUNG], WARM_UP))
        for name, values in series.items()
        if len(values) > LONG
        for first in range(0, len(values) - YOUNG, YOUNG_EVERY)
    ]
    trials = [trial_of(event, source[event.name], windows[event.name], clean[event.name]) for event in events]
    return Material(trials, [(source[name], seen_from(values, WARM_UP)) for name, values in series.items()], young)


def trial_of(event: Event, source: str, usage: Floats, clean: Floats) -> Trial:
    """Put the event into the window and let the detector see it; a spike may be told in the two hours after it."""
    end = min(len(usage), event.start + event.hours + (2 if event.kind == "spike" else 0))
    changed = with_event(usage, event)
    excess = np.cumsum(changed[event.start :] - usage[event.start :])
    excess /= usage[max(0, event.start - WARM_UP) : event.start].mean() * MONTH
    hours = slice(event.start - WARM_UP, end - WARM_UP)
    total = float(excess[min(event.hours, len(excess)) - 1])
    seen = seen_from(changed[:end], event.start)
    return Trial(event, source, seen, clean[:, hours], excess[: end - event.start], total)


def delay(trial: Trial, limits: Limits) -> int | None:
    """Hours from the start of the event to the end of the first hour with an alarm that is due to it."""
    new = np.nonzero(limits.alarms(trial.changed) & ~limits.alarms(trial.clean))[0]
    return int(new[0]) + 1 if len(new) else None


def false_alarms(stretches: list[tuple[str, Floats]], limits: Limits) -> float:
    """Alarms per account-month, every stretch with the same weight; zero if there are none."""
    rates = [len(onsets(limits.alarms(seen))) * MONTH / seen.shape[1] for _, seen in stretches]
    return float(np.mean(rates)) if rates else 0.0


@dataclass(frozen=True, slots=True)
class Group:
    """Events whose recall is one figure, what it weighs in the fit, and the delay within which it counts."""

    name: str
    kind: str
    factor: float
    weight: float
    within: int = 10**6


FOUND = (
    Group("x2 spike within 2 h", "spike", 2.0, 0.8, 2),
    Group("x3 spike within 2 h", "spike", 3.0, 1.3, 2),
    Group("x5 spike within 2 h", "spike", 5.0, 1.1, 2),
    Group("+50 % step", "step", 1.5, 1.2),
    Group("x2 step", "step", 2.0, 0.5),
    Group("+10 % a day leak", "leak", 0.10, 1.2),
    Group("+5 % a day leak", "leak", 0.05, 0.6),
)
EXCESS_WEIGHT = 2.5
FALSE, FALSE_YOUNG, EXCESS = "false alarms", "false alarms, young", "excess let through"


def measure(material: Material, limits: Limits) -> dict[str, float]:
    """False alarms, recalls of spikes of three hours and more, of steps and leaks, and excess let through."""
    delays = [delay(trial, limits) for trial in material.trials]
    out = {FALSE: false_alarms(material.whole, limits), FALSE_YOUNG: false_alarms(material.young, limits)}
    pairs = list(zip(material.trials, delays, strict=True))
    for group in FOUND:
        hits = [
            late is not None and late <= group.within
            for trial, late in pairs
            if (trial.event.kind, trial.event.factor) == (group.kind, group.factor) and trial.event.hours >= 3
        ]
        out[group.name] = float(np.mean(hits)) if hits else 0.0
    seen = sum(trial.let_through[(late or len(trial.let_through)) - 1] for trial, late in pairs)
    out[EXCESS] = float(seen / max(sum(trial.total for trial in material.trials), 1e-9))
    return out


def fit(material: Material, budget: float) -> Limits:
    """Change one figure after the other for as long as that gains, from the limits in use; steps get smaller."""

    def value(at: Floats) -> float:
        figures = measure(material, Limits(*np.split(at, 2)))
        alarms = (figures[FALSE] + figures[FALSE_YOUNG]) / 2
        gained = sum(group.weight * figures[group.name] for group in FOUND) - EXCESS_WEIGHT * figures[EXCESS]
        return gained - PENALTY * max(0.0, alarms - budget)

    found = np.concatenate([IN_USE.thresholds, IN_USE.impacts])
    best = value(found)
    for step in STEPS:
        for k in range(len(found)):
            for factor in (step, 1 / step):
                trial = found.copy()
                trial[k] *= factor if k < len(SCALES) else factor**2
                reached = value(trial)
                if reached > best:
                    found, best = trial, reached
    return Limits(*np.split(found, 2))


def source_groups(material: Material) -> list[list[str]]:
    """The sources in GROUPS groups of about equal numbers of series."""
    names, counts = np.unique([source for source, _ in material.whole], return_counts=True)
    groups: list[list[str]] = [[] for _ in range(GROUPS)]
    load: NDArray[np.float64] = np.zeros(GROUPS)
    for place in np.argsort(-counts, kind="stable"):
        smallest = int(load.argmin())
        groups[smallest].append(str(names[place]))
        load[smallest] += counts[place]
    return groups


def show(title: str, figures: dict[str, float], limits: Limits) -> None:
    print(title)
    print("    thresholds", np.round(limits.thresholds, 2), "impacts", np.round(limits.impacts, 3))
    for name, figure in figures.items():
        print(f"    {name:22} {figure:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--left-out", action="store_true")
    parser.add_argument("--budget", type=float, default=0.085, help="most false alarms per account-month")
    options = parser.parse_args()
    material = load(options.folder)
    show("In use", measure(material, IN_USE), IN_USE)
    if options.fit:
        limits = fit(material, options.budget)
        show("Fitted", measure(material, limits), limits)
    if options.left_out:
        for sources in source_groups(material):
            limits = fit(material.without(sources), options.budget)
            show("Left out: " + ", ".join(sources), measure(material.without(sources, instead=True), limits), limits)


if __name__ == "__main__":
    main()
