"""How sure a rate is that was seen on few runs."""

from math import sqrt

Z_95 = 1.959963984540054
ENOUGH_RUNS = 30


def wilson(successes: int, runs: int, z: float = Z_95) -> tuple[float, float]:
    """Return the Wilson score interval of a rate, as ratios; 95 % by default.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927). Raises
    ValueError unless 0 <= successes <= runs and runs > 0.
    """
    if not 0 <= successes <= runs or runs == 0:
        raise ValueError(f"{successes} successes of {runs} runs are no rate.")
    rate, spread = successes / runs, z * z / runs
    middle = (rate + spread / 2) / (1 + spread)
    half = z / (1 + spread) * sqrt(rate * (1 - rate) / runs + spread / runs / 4)
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == runs else min(1.0, middle + half)
    return low, high
