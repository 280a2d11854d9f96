"""How long the forecast of many accounts takes, and how much memory, beside statsforecast's AutoETS if that is there.

    python -m benchmarks.forecast [--accounts 10000] [--days 400] [--horizon 120] [--nightly-accounts 10000] [--json]

Nothing in the forecast is threaded. `seconds` is the CPU time of the median of three rounds, `one_account_ms` that of
one account alone, `peak_memory_mb` the most that the process ever held, the made-up histories and the answer
included. `ratio` says how many times longer AutoETS takes for one account (100 of the same accounts, in the same run);
it is null when statsforecast is not installed, which the product does not need: `pip install statsforecast`, in an
environment of its own, and run this there with `--nightly-accounts 0`.

`nightly_s` is the whole job of a night on the clock, from database to database (benchmarks.nightly_forecast): reading
the spend, forecasting 400 days, drawing them from commits, pricing the open period, and writing one run an account.
It may take a minute for 10,000 accounts: the refresh of due forecasts runs every five, shares its two cores with
settlement, and has to be through with a midnight before the next run. `--nightly-accounts 0` leaves it out.
"""

import argparse
import importlib
import json
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np

from budgets.calc.forecast import forecast_cumulative
from budgets.calc.usage_windows import Floats

ROUNDS = 3
COMPARED = 100  # accounts that AutoETS gets: it is slow
LIMITS = {"seconds": 1.0, "peak_memory_mb": 600}
NIGHTLY_LIMITS = {"nightly_s": 60.0, "nightly_peak_memory_mb": 400}  # of 10,000 accounts; fewer get as much


def make_histories(accounts: int, days: int) -> Floats:
    """Made-up usage per day [accounts, days]: weekly profiles, drifting levels, some idle days and young accounts."""
    random = np.random.default_rng(7)
    drift = np.cumsum(random.normal(0, 0.03, (accounts, days)), axis=1)
    profile = random.gamma(4, 0.25, (accounts, 7))[:, np.arange(days) % 7]
    usage = np.exp(random.normal(6, 2, (accounts, 1)) + drift) * profile * random.gamma(20, 0.05, (accounts, days))
    usage[random.random((accounts, days)) < 0.02] = 0.0
    age = np.where(random.random(accounts) < 0.2, random.integers(1, days, accounts), days)
    usage[np.arange(days) < (days - age)[:, None]] = np.nan
    return np.asarray(usage)


def cpu_seconds(call: Callable[[], object]) -> float:
    """CPU time of this process that a call takes."""
    start = time.process_time()
    call()
    return time.process_time() - start


def auto_ets_seconds(history: Floats, horizon: int) -> float | None:
    """CPU time of one account with AutoETS, or None when statsforecast is not installed."""
    try:
        models = importlib.import_module("statsforecast.models")
    except ImportError:
        return None
    full = [np.ascontiguousarray(row) for row in history if not np.isnan(row).any()][:COMPARED]
    total = cpu_seconds(
        lambda: [models.AutoETS(season_length=7).forecast(y=row, h=horizon, level=[80]) for row in full]
    )
    return total / len(full)


def measure(accounts: int, days: int, horizon: int) -> dict[str, Any]:
    """All figures."""
    history = make_histories(accounts, days)
    forecast_cumulative(history[:10], horizon)
    seconds = statistics.median(cpu_seconds(lambda: forecast_cumulative(history, horizon)) for _ in range(ROUNDS))
    alone = statistics.median(cpu_seconds(lambda: forecast_cumulative(history[:1], horizon)) for _ in range(20))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    theirs = auto_ets_seconds(history, horizon)
    return {
        "accounts": accounts,
        "days": days,
        "horizon": horizon,
        "seconds": round(seconds, 3),
        "one_account_ms": round(alone * 1000, 2),
        "peak_memory_mb": round(peak),
        "ratio": None if theirs is None else round(theirs / (seconds / accounts), 1),
        "within_limits": seconds <= LIMITS["seconds"] and peak <= LIMITS["peak_memory_mb"],
    }


def measure_nightly(accounts: int) -> dict[str, Any]:
    """The figures of the nightly job, from a process of its own, so that its memory is told apart.

    To be called before anything large: on Linux a new process starts with the peak of the one that it comes from.
    """
    from benchmarks import nightly_forecast  # needs the product's environment, which the comparison does not have

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        figures = pool.submit(nightly_forecast.measure, accounts).result()
    within = all(figures[name] <= limit for name, limit in NIGHTLY_LIMITS.items())
    return {**figures, "nightly_within_limits": within}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=400)
    parser.add_argument("--horizon", type=int, default=120)
    parser.add_argument("--nightly-accounts", type=int, default=10_000, help="accounts of the nightly job, 0: none")
    parser.add_argument("--json", action="store_true", help="print only JSON on standard output")
    options = parser.parse_args()
    nightly = measure_nightly(options.nightly_accounts) if options.nightly_accounts else {}
    figures = measure(options.accounts, options.days, options.horizon) | nightly
    if options.json:
        print(json.dumps(figures))
        return
    print("{accounts:,} accounts x {days} days, {horizon} days ahead, one core".format(**figures))
    print("{seconds} s, {one_account_ms} ms for one account alone, peak memory {peak_memory_mb} MB".format(**figures))
    compared = figures["ratio"]
    print(
        "statsforecast is not installed: not compared" if compared is None else f"AutoETS takes {compared} x as long"
    )
    if options.nightly_accounts:
        print(
            "{nightly_accounts:,} accounts at night: {nightly_s} s on the clock, {nightly_cpu_s} s of ours and"
            " {nightly_database_cpu_s} s of the database's CPU, peak memory {nightly_peak_memory_mb} MB,"
            " {nightly_bytes_per_run:,} bytes a run".format(**figures)
        )


if __name__ == "__main__":
    main()
