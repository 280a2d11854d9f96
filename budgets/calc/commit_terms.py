"""What makes the terms of a commit impossible, in words. Pure."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from consumption_cs.lib.money import MoneyError, checked_currency, exponent, round_to

CREDITS = "credits"
LIMIT = Decimal(10) ** 14  # what the column of an amount of money holds
RATE_LIMIT, RATE_PLACES = Decimal(10) ** 12, 12


class Problem(NamedTuple):
    """The term that is wrong, and what to do about it."""

    field: str
    words: str


def amount_problem(amount: Decimal, unit: str, field: str = "amount") -> Problem | None:
    """Say what is wrong with an amount in `unit`, a currency or credits (up to six decimals); it may be below zero."""
    places = 6 if unit == CREDITS else exponent(unit)
    if not amount.is_finite():
        return Problem(field, "Give an amount in plain digits, such as 1000.00.")
    if abs(amount) >= LIMIT:
        return Problem(field, "This is more than the ledger can hold: amounts are below 100,000,000,000,000.")
    if round_to(amount, places) != amount:
        has = "no decimals" if places == 0 else f"{places} decimals"
        return Problem(field, f"Amounts in {unit} have {has} at most: round {amount:f}.")
    return None


def unit_problem(unit: str, rate: Decimal | None, currency: str) -> Problem | None:
    """Say what is wrong with a commit in `unit`, worth `rate` each, for an account in `currency`."""
    if unit != CREDITS:
        try:
            checked_currency(unit)
        except MoneyError:
            return Problem("unit", "Give a currency by its three capital letters, such as USD, or credits.")
    return _no_rate_problem(unit, currency) if rate is None else _rate_problem(unit, rate, currency)


def _no_rate_problem(unit: str, currency: str) -> Problem | None:
    if unit == currency:
        return None
    if unit == CREDITS:
        words = f"The commit is in credits and the account in {currency}: give what one credit is worth in {currency}."
    else:
        words = f"The commit is in {unit} and the account in {currency}: give the rate of one {unit} in {currency}."
    return Problem("rate", words)


def _rate_problem(unit: str, rate: Decimal, currency: str) -> Problem | None:
    if not rate.is_finite() or rate <= 0:
        return Problem("rate", "The rate must be above zero.")
    if rate >= RATE_LIMIT or round_to(rate, RATE_PLACES) != rate:
        return Problem("rate", f"The rate can have 12 digits before and {RATE_PLACES} after the point.")
    if unit == currency and rate != 1:
        return Problem("rate", f"The commit and the account are both in {unit}: leave the rate empty.")
    return None


def value_of(amount: Decimal, rate: Decimal | None, currency: str) -> Decimal:
    """Return what an amount is worth in the account's currency, rounded to its decimals."""
    return round_to(amount * (Decimal(1) if rate is None else rate), exponent(currency))


def day_problems(effective_on: date, expires_on: date | None, frozen_until: date | None) -> Iterator[Problem]:
    """Yield what is wrong with the days of a commit; `frozen_until`: days before are closed."""
    if frozen_until is not None and effective_on < frozen_until:
        yield frozen("effective_on", frozen_until)
    if expires_on is not None and expires_on <= effective_on:
        yield Problem(
            "expires_on", f"A commit must expire after it takes effect: give a day after {spelled(effective_on)}."
        )


def frozen(field: str, frozen_until: date) -> Problem:
    return Problem(
        field,
        f"The ledger is frozen before {spelled(frozen_until)}, because those billing periods are closed:"
        f" give {spelled(frozen_until)} or a later day.",
    )


def spelled(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
