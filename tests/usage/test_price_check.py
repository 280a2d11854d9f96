"""What can stand on a rate card: every price that settlement can rate."""

from typing import Any

import pytest

from usage.calc.price_check import faults


@pytest.mark.parametrize(
    "terms",
    [
        {"model": "percentage_per_event", "params": {"percent": "10", "min_per_event": "1", "max_per_event": "5"}},
        {"model": "percentage", "params": {"percent": "10", "fixed_per_event": "1", "free_events": "2"}},
        {"model": "supplied_amount", "params": {}},
        {"model": "supplied_amount", "params": {"exponent": 3}},
    ],
)
def test_prices_of_single_events_and_supplied_amounts_are_allowed(terms: dict[str, Any]) -> None:
    assert faults(terms, []) == []
    cell = {"values": ["eu"], "terms": terms}
    assert faults({"matrix": {"dimensions": ["region"], "cells": [cell]}}, ["region"]) == []
