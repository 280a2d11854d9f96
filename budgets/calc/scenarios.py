"""What if: steps that change the forecast or the commits, and what comes of them. Pure numpy.

A step is a mapping with a `kind` and, by kind: grow (percent, from, to), workflow (per_day, from, ramp_days), one_off
(amount, on, days), top_up (amount, on, expires), commit_size (amount). Days count from 0, the first of the forecast;
amounts are in the account's currency.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from budgets.calc.run_out import Ints, Layers, RunOut, at_level, chance, mean, run_out
from budgets.calc.usage_windows import Floats

KINDS = ("grow", "workflow", "one_off", "top_up", "commit_size")
Step = Mapping[str, Any]


class ScenarioError(ValueError):
    """A step that cannot be worked out; `field` names what is wrong, the message says what to do."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scenario comes to for one account.

    Days from the start, None for not before the term ends; `early` is the P10 of the date. Overage is at its own rate;
    `to_pay` is overage and what was bought; `unused` at the end of the term, `lapses` of it what no right keeps.
    """

    early: int | None
    middle: int | None
    late: int | None
    p_exhausted: float
    overage: float
    bought: float
    to_pay: float
    unused: float
    lapses: float
    balance_p10: Floats
    balance_p50: Floats
    balance_p90: Floats


@dataclass(frozen=True, slots=True)
class Situation:
    """One account as it is: daily spend [levels, days], its commits in order, the term and what overage costs.

    `main` is the layer that another commit size would replace, `keeps` how much may roll over at the end of the term.
    """

    spend: Floats
    left: Floats
    starts: Ints
    ends: Ints
    term: int
    overage_factor: float = 1.0
    main: int = 0
    keeps: float = 0.0


def play(situation: Situation, steps: Sequence[Step] = ()) -> Outcome:
    """Return what comes of the situation with the steps taken. Raises ScenarioError."""
    spend = situation.spend.copy()
    left, starts, ends = situation.left.copy(), situation.starts.copy(), situation.ends.copy()
    bought = 0.0
    for step in steps:
        kind = step.get("kind")
        if kind in _SPEND:
            spend = _SPEND[kind](spend, step)
        elif kind == "top_up":
            amount = _number(step, "amount", least=0)
            bought += amount
            left = np.append(left, amount)
            starts = np.append(starts, int(step.get("on", 0)))
            ends = np.append(ends, int(step["expires"]) if step.get("expires") is not None else situation.term)
        elif kind == "commit_size":
            change = _number(step, "amount", least=0) - _number(step, "was", least=0)
            if not len(left):
                raise ScenarioError("amount", "There is no commit whose size could be another: add a top-up instead.")
            left[situation.main] = max(left[situation.main] + change, 0.0)
            bought += change
        else:
            raise ScenarioError("kind", f"{kind!r} is not a step: use one of {', '.join(KINDS)}.")
    layers = Layers(left[None, :], starts[None, :], ends[None, :])
    found = run_out(spend[None], layers, np.array([situation.term]))
    return _outcome(situation, found, bought)


def _outcome(situation: Situation, found: RunOut, bought: float) -> Outcome:
    overage = float(mean(found.overage)[0]) * situation.overage_factor
    unused = float(mean(found.unused)[0])
    day = [at_level(found.day, level)[0] for level in (0.9, 0.5, 0.1)]
    early, middle, late = (int(one) if one < situation.term else None for one in day)
    balance = [at_level(found.balance, level)[0] for level in (0.9, 0.5, 0.1)]
    return Outcome(
        early,
        middle,
        late,
        float(chance(found.day < situation.term)[0]),
        overage,
        bought,
        overage + max(bought, 0.0),
        unused,
        float(mean(np.maximum(found.unused - situation.keeps, 0.0))[0]),
        *balance,
    )


def _grow(spend: Floats, step: Step) -> Floats:
    percent = _number(step, "percent", least=-100)
    first, last = int(step.get("from", 0)), int(step.get("to") or spend.shape[1])
    spend[:, max(first, 0) : last] *= 1 + percent / 100
    return spend


def _workflow(spend: Floats, step: Step) -> Floats:
    per_day, ramp = _number(step, "per_day", least=0), int(step.get("ramp_days", 0))
    since = np.arange(spend.shape[1]) - int(step.get("from", 0))
    share = np.clip((since + 1) / (ramp + 1), 0.0, 1.0) * (since >= 0)
    return np.asarray(spend + per_day * share)


def _one_off(spend: Floats, step: Step) -> Floats:
    amount, first, days = _number(step, "amount"), int(step.get("on", 0)), max(int(step.get("days", 1)), 1)
    if first >= 0:
        spend[:, first : first + days] += amount / days
    return np.maximum(spend, 0.0)


_SPEND = {"grow": _grow, "workflow": _workflow, "one_off": _one_off}


def _number(step: Step, name: str, least: float | None = None) -> float:
    try:
        value = float(step[name])
    except (KeyError, TypeError, ValueError) as error:
        raise ScenarioError(name, f"{name.replace('_', ' ').capitalize()}: give a number.") from error
    if not np.isfinite(value) or (least is not None and value < least):
        raise ScenarioError(name, f"{name.replace('_', ' ').capitalize()}: give a number of {least:g} or more.")
    return value
