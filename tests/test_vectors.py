"""What other metering and billing systems assert of themselves, held against our engines.

The vectors are read from the folder that VECTORS_DIR names (default: tests/vectors). Each carries its source.
"""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from budgets.calc.burndown import burn_down
from budgets.calc.grants import BurndownError, Grant, Recurrence, Rollover, debit_lots, draw_order
from budgets.calc.history import balance_history, even_borders
from budgets.calc.snapshots import Burndown, Reset, Snapshot, UsageItem, full_balances
from budgets.calc.thresholds import Threshold, ThresholdError, active_thresholds, crossed, passed_spend, progress
from budgets.calc.wallets import Fee, Wallet, allocate_invoice
from consumption_cs.lib.money import MoneyError, round_to
from consumption_cs.lib.periods import Period, PeriodError, parse_interval
from usage.calc.commitment import FeatureUse, bill_commitment
from usage.calc.conversion import ConversionError, run_rate_projection, time_weighted_sum
from usage.calc.price_terms import price_from
from usage.calc.prices import Price, PriceError, Usage
from usage.calc.rating import charges, delta, line

Vector = dict[str, Any]
FOLDER = Path(os.environ.get("VECTORS_DIR") or Path(__file__).parent / "vectors")
OUR_ERRORS = (BurndownError, ConversionError, MoneyError, PeriodError, PriceError, ThresholdError)

# id → why the product means to differ. Each is expected to fail, so that an entry cannot outlive its reason.
MEANT_TO_DIFFER: dict[str, str] = {}


def read(name: str) -> Vector:
    path = FOLDER / name
    return json.loads(path.read_text(), parse_float=Decimal) if path.exists() else {}


def cases(name: str, key: str = "vectors") -> list[Any]:
    return [case(vector) for vector in read(name).get(key, [])]


def case(vector: Vector) -> Any:
    differs = MEANT_TO_DIFFER.get(vector["id"])
    marks = [pytest.mark.xfail(reason=differs, strict=True)] if differs else []
    return pytest.param(vector, id=vector["id"], marks=marks)


def number(value: object, default: object = 0) -> Decimal:
    return Decimal(str(default if value is None else value))


def numbers(values: list[object] | None) -> list[Decimal]:
    return [number(value) for value in values or []]


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def same_to_the_digits_given(actual: Decimal, expected: object) -> bool:
    """Compare exactly, except that a source which rounds asserts only the decimals that it prints."""
    wanted = number(expected)
    places = max(-int(wanted.as_tuple().exponent), 0)
    return actual == wanted or (places >= 3 and round_to(actual, places) == wanted)


# ---- credit_burndown.json, balance_history.json


def grant(row: Vector) -> Grant:
    rollover, recurrence = row.get("rollover") or {}, row.get("recurrence")
    return Grant(
        row["id"],
        number(row.get("amount")),
        effective_at=at(row["effective_at"]),
        priority=row.get("priority", 0),
        expires_at=moment(row.get("expires_at")),
        voided_at=moment(row.get("voided_at")),
        deleted_at=moment(row.get("deleted_at")),
        created_at=moment(row.get("created_at")),
        rollover=Rollover(number(rollover.get("min")), number(rollover.get("max"))),
        recurrence=Recurrence(parse_interval(recurrence["every"]), at(recurrence["anchor"])) if recurrence else None,
    )


def opening(vector: Vector) -> Snapshot:
    overage, given = number(vector.get("start_overage")), vector.get("start_balances")
    full = full_balances([grant(row) for row in vector["grants"]], at(vector["start"]))
    return Snapshot(
        full if given is None else {name: number(balance) for name, balance in given.items()},
        {"": overage} if overage else {},
        number(vector.get("start_period_usage")),
        number(vector.get("start_grant_usage")),
        moment(vector.get("start_period_start") or vector.get("period_start")),
    )


def burn(vector: Vector, start: str, until: str, state: Snapshot) -> Burndown:
    begin, end, whole = at(start), at(until), (start, until) == (vector["start"], vector["until"])
    resets = [Reset(at(row["at"]), bool(row.get("preserve_overage"))) for row in vector.get("resets") or []]
    return burn_down(
        [grant(row) for row in vector["grants"]],
        [UsageItem(at(row["at"]), number(row["qty"])) for row in vector.get("usage") or []],
        start=begin,
        until=end,
        # Of a run in two pieces each gets its own resets; a run in one piece gets all, so that a wrong one is seen.
        resets=[reset for reset in resets if whole or begin < reset.at <= end],
        opening=state,
        aggregation=vector.get("aggregation", "sum"),
    )


def seen(run: Burndown) -> Vector:
    """Return what a run shows, under the names that the vectors use."""
    segments, closing = run.segments, run.closing
    return {
        "balances": closing.balances,
        "total_balance": closing.total_balance,
        "overage": closing.total_overage,
        "period_usage": closing.period_usage,
        "grant_usage": closing.grant_usage,
        "total_available": closing.total_available,
        "period_start": closing.period_start,
        "segments": len(segments),
        "segment_usage": [segment.usage for segment in segments],
        "segment_overage": [segment.overage_at_end for segment in segments],
        "segment_balance_at_start": [segment.balance_at_start for segment in segments],
        "segment_balance_at_end": [segment.balance_at_end for segment in segments],
        "segment_total_at_start": [sum(segment.balance_at_start.values()) for segment in segments],
        "segment_total_at_end": [sum(segment.balance_at_end.values()) for segment in segments],
    }


def assert_shows(actual: Any, expected: Any, name: str) -> None:
    if expected is None:
        return
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert_shows(actual[key], value, f"{name}.{key}")
    elif isinstance(expected, list):
        assert len(actual) == len(expected), name
        for index, value in enumerate(expected):
            assert_shows(actual[index], value, f"{name}[{index}]")
    elif isinstance(actual, datetime):
        assert actual == at(expected), name
    else:
        assert actual == number(expected), name


@pytest.mark.parametrize("vector", cases("credit_burndown.json"))
def test_credit_burndown(vector: Vector) -> None:
    expected = vector["expect"]
    if "error" in expected:
        with pytest.raises(OUR_ERRORS):
            burn(vector, vector["start"], vector["until"], opening(vector))
        return
    run = burn(vector, vector["start"], vector["until"], opening(vector))
    shown = seen(run)
    for name, value in expected.items():
        assert_shows(shown[name], value, name)
    assert_in_two_pieces_alike(vector, run)


def assert_in_two_pieces_alike(vector: Vector, whole: Burndown) -> None:
    """Cut each run where the vector asks and, a law of ours, in the middle; a gauge is not additive."""
    if vector.get("aggregation", "sum") != "sum":
        return
    start, until = at(vector["start"]), at(vector["until"])
    for split in filter(None, [vector.get("also_check_split_at"), (start + (until - start) / 2).isoformat()]):
        first = burn(vector, vector["start"], split, opening(vector))
        second = burn(vector, split, vector["until"], first.closing)
        assert second.closing == whole.closing, f"split at {split}"


@pytest.mark.parametrize("vector", cases("balance_history.json"))
def test_balance_history(vector: Vector) -> None:
    grants = [grant(row) for row in vector["grants"]]
    usage = [UsageItem(at(row["at"]), number(row["qty"])) for row in vector.get("usage") or []]
    resets = [Reset(at(row["at"]), bool(row.get("preserve_overage"))) for row in vector.get("resets") or []]
    borders = even_borders(at(vector["start"]), at(vector["until"]), parse_interval(vector["window"]))
    windows = balance_history(grants, usage, borders, resets=resets, opening=opening(vector))
    expected = vector["expect"]
    if "windows" in expected:
        assert len(windows) == expected["windows"]
    for row in expected.get("at", []):
        window = windows[row["i"]]
        shown = {
            "usage": window.usage,
            "balance_at_start": window.balance_at_start,
            "overage": window.overage_at_end,
            "overage_at_end": window.overage_at_end,
        }
        for name in row.keys() - {"i"}:
            assert_shows(shown[name], row[name], f"window {row['i']} {name}")
    shown_run = seen(burn(vector, vector["start"], vector["until"], opening(vector)))
    for name in expected.keys() - {"windows", "at"}:
        assert_shows(shown_run[name], expected[name], name)


# ---- drawdown_order.json


@pytest.mark.parametrize("vector", cases("drawdown_order.json", "grant_order"))
def test_grant_order(vector: Vector) -> None:
    grants = [grant({"effective_at": "2000-01-01T00:00:00Z", **row}) for row in vector["grants"]]
    assert [row.id for row in draw_order(grants)] == vector["expect"]["order"]
    assert [row.id for row in draw_order(reversed(grants))] == vector["expect"]["order"]


@pytest.mark.parametrize("vector", cases("drawdown_order.json", "debit_lots"))
def test_debit_of_lots(vector: Vector) -> None:
    today = datetime(2026, 1, 1, tzinfo=UTC)
    lots = [
        Grant(
            row["id"],
            number(row["remaining"]),
            priority=row.get("priority", 0),
            kind=row.get("kind", "purchased"),
            created_at=today - timedelta(days=float(row.get("created_days_ago", 0))),
            expires_at=moment(row.get("expires_at")),
        )
        for row in vector["lots"]
    ]
    expected = vector["expect"]
    if "error" in expected:
        with pytest.raises(OUR_ERRORS):
            debit_lots(lots, number(vector["debit"]))
        return
    debit = debit_lots(lots, number(vector["debit"]))
    assert_shows(debit.remaining, expected.get("remaining"), "remaining")
    for name, amount in (expected.get("drawn") or {}).items():
        assert debit.drawn.get(name, 0) == number(amount), name


@pytest.mark.parametrize("vector", cases("drawdown_order.json", "wallet_allocation"))
def test_wallet_allocation(vector: Vector) -> None:
    wallets = [
        Wallet(
            row["id"],
            number(row["balance"]),
            row["currency"],
            row.get("priority", 50),
            frozenset(row.get("only_fee_types") or ()),
            frozenset(row.get("only_metrics") or ()),
        )
        for row in vector["wallets_in_creation_order"]
    ]
    invoice = vector["invoice"]
    fees = [
        Fee(row["type"], number(row["amount"]) + number(row.get("tax")), row.get("metric")) for row in invoice["fees"]
    ]
    total = number(invoice.get("total"), sum(fee.amount for fee in fees))
    paid = allocate_invoice(wallets, fees, currency=invoice["currency"], total=total)
    assert paid == {name: number(amount) for name, amount in vector["expect"]["allocations"].items()}


# ---- pricing.json, pricing_phased.json


def price(vector: Vector) -> Price:
    discount = vector.get("percent_discount", vector.get("discount_percent"))
    return price_from({**vector, "percent_discount": discount})


def used(vector: Vector, quantity: object) -> Usage:
    params = vector["params"]
    values = tuple(numbers(params.get("event_values")))
    return Usage(
        number(quantity),
        int(params.get("events", len(values))),
        tuple(numbers(params.get("running_total_first_events"))),
        values,
        number(params.get("amount_minor_units")),
    )


def assert_commitment(vector: Vector) -> None:
    params, expected = vector["params"], vector["expect"]
    features = [FeatureUse(row["id"], number(row["unit"]), number(row["qty"])) for row in params["features_in_order"]]
    bill = bill_commitment(
        number(params["commit"]),
        number(params["overage_factor"], 1),
        features,
        true_up=bool(params.get("true_up")),
    )
    assert bill.amount == number(expected["amount"])
    shown = [
        {
            "normal_qty": row.normal_quantity,
            "normal": row.normal,
            "overage_qty": row.overage_quantity,
            "overage": row.overage,
        }
        for row in bill.lines
    ]
    for ours, row, wanted in zip(bill.lines, shown, expected.get("lines") or [], strict=bool(expected.get("lines"))):
        assert ours.id == wanted["id"]
        assert_shows(row, {name: value for name, value in wanted.items() if name != "id"}, ours.id)


@pytest.mark.parametrize("vector", cases("pricing.json"))
def test_pricing(vector: Vector) -> None:
    expected = vector["expect"]
    if "error" in expected:
        with pytest.raises(OUR_ERRORS):
            line(price(vector), used(vector, vector["qty"]))
        return
    if vector["model"] == "commit_overage":
        assert_commitment(vector)
        return
    usage = used(vector, vector["qty"])
    prior_quantity, prior_billed = number(vector.get("prior_qty")), number(vector.get("prior_billed"))
    prior = Usage(prior_quantity) if prior_quantity or prior_billed else None
    amount = line(
        price(vector),
        usage,
        prior=prior,
        prior_billed=prior_billed if vector.get("prior_billed") is not None else None,
        final=bool(vector.get("final")),
    )
    assert amount == number(expected["amount"])
    if "per_tier" in expected:
        assert [part.amount for part in charges(price(vector), usage)] == numbers(expected["per_tier"])
    if "unit_amount" in expected:
        unit_amount = amount / usage.quantity if usage.quantity else Decimal(0)
        assert same_to_the_digits_given(unit_amount, expected["unit_amount"])


@pytest.mark.parametrize("vector", cases("pricing_phased.json"))
def test_phased_pricing(vector: Vector) -> None:
    rated, booked = price(vector), Decimal(0)
    for phase in vector["phases"]:
        now = delta(rated, used(vector, phase["cumulative_qty"]), booked, final=bool(phase.get("final")))
        assert now == number(phase["expect_delta"]), phase
        booked += now


# ---- alert_crossings.json, cumulative_thresholds.json, alert_active_selection.json


def step(vector: Vector) -> Decimal | None:
    return None if vector.get("recurring_step") is None else number(vector["recurring_step"])


@pytest.mark.parametrize("vector", cases("alert_crossings.json"))
def test_alert_crossings(vector: Vector) -> None:
    found = crossed(
        numbers(vector.get("thresholds")),
        step(vector),
        previous=number(vector.get("previous")),
        current=number(vector["current"]),
        direction=vector.get("direction", "up"),
    )
    assert found == numbers(vector["expect_crossed"])


@pytest.mark.parametrize("vector", cases("cumulative_thresholds.json"))
def test_cumulative_thresholds(vector: Vector) -> None:
    found = passed_spend(
        numbers(vector.get("fixed")),
        step(vector),
        historical=number(vector.get("historical")),
        already_invoiced=number(vector.get("already_invoiced")),
        already_billed=number(vector.get("already_billed_by_threshold")),
        current=number(vector["current"]),
    )
    assert found == numbers(vector["expect_passed"])


@pytest.mark.parametrize("vector", cases("alert_active_selection.json"))
def test_active_threshold(vector: Vector) -> None:
    def threshold(row: Vector | None) -> Threshold | None:
        return Threshold(row["kind"], number(row["value"])) if row else None

    total = vector.get("total_available")
    active = active_thresholds(
        [found for row in vector["thresholds"] if (found := threshold(row))],
        usage=number(vector.get("usage")),
        balance=number(vector.get("balance")),
        total_available=None if total is None else number(total),
    )
    assert active.usage == threshold(vector["expect"].get("usage"))
    assert active.balance == threshold(vector["expect"].get("balance"))


# ---- aggregation.json


def assert_rounding(vector: Vector) -> None:
    mode: Any = {"round": "half_up"}.get(vector["function"], vector["function"])
    assert round_to(number(vector["input"]), int(vector.get("precision") or 0), mode) == number(vector["expect"])


def assert_time_weighted_sum(vector: Vector) -> None:
    start, end = vector["period"]
    changes = [(at(row["at"]), number(row["by"])) for row in vector.get("changes") or []]
    result = time_weighted_sum(Period(at(start), at(end)), number(vector.get("initial")), changes)
    for name in (name for name in vector if name.startswith("expect")):
        places = int(name.rpartition("_")[2]) if "rounded" in name else None
        assert (result if places is None else round_to(result, places)) == number(vector[name])


def assert_threshold_progress(vector: Vector) -> None:
    found = progress(numbers(vector.get("fixed")), step(vector), number(vector["current"]))
    assert [threshold for threshold, _ in found] == [number(threshold) for threshold, _ in vector["expect"]]
    for (threshold, share), (_, expected) in zip(found, vector["expect"], strict=True):
        assert same_to_the_digits_given(share, expected), threshold


def first_of(vector: Vector, *names: str) -> Any:
    return next((vector[name] for name in names if vector.get(name) is not None), None)


def days_of(vector: Vector) -> tuple[int, int]:
    """Return the days passed, today included, and all days, as numbers or from the dates of the period."""
    passed = first_of(vector, "days_passed", "days_elapsed", "elapsed_days", "day")
    total = first_of(vector, "days_total", "total_days", "days_in_period", "days")
    if passed is not None and total is not None:
        return int(passed), int(total)
    start, end = (at(text) for text in vector.get("period") or (first_of(vector, "start", "from"), vector["to"]))
    now = at(first_of(vector, "now", "at", "as_of", "today", "current_date"))
    last = end - timedelta(microseconds=1) if (end.hour, end.minute, end.second) == (0, 0, 0) else end
    return (now.date() - start.date()).days + 1, (last.date() - start.date()).days + 1


def assert_projection(vector: Vector) -> None:
    amount = number(first_of(vector, "current", "amount", "value", "input", "units", "usage", "to_date"))
    projected = run_rate_projection(amount, *days_of(vector))
    for name in (name for name in vector if name.startswith("expect")):
        if "rounded" in name:
            assert round_to(projected, int(name.rpartition("_")[2])) == number(vector[name])
        else:
            assert same_to_the_digits_given(projected, vector[name])


AGGREGATIONS: dict[str, Callable[[Vector], None]] = {
    "rounding": assert_rounding,
    "time_weighted_sum": assert_time_weighted_sum,
    "threshold_progress": assert_threshold_progress,
}


@pytest.mark.parametrize("vector", cases("aggregation.json"))
def test_aggregation(vector: Vector) -> None:
    AGGREGATIONS.get(vector["type"], assert_projection)(vector)
