"""Money: an exact amount in one currency, the one rounding function, and allocation that loses no cent."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    localcontext,
)
from fractions import Fraction
from functools import wraps
from typing import Literal, ParamSpec, Self, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# The default context of 28 digits silently rounds a 20-digit quantity times a 12-digit price; 80 does not.
EXACT = Context(prec=80, rounding=ROUND_HALF_UP, traps=[InvalidOperation, DivisionByZero, Overflow])

# ISO 4217: every currency that is not listed has two decimals.
_EXPONENTS = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}

RoundingMode = Literal["half_up", "ceil", "floor"]
_MODES = {"half_up": ROUND_HALF_UP, "ceil": ROUND_CEILING, "floor": ROUND_FLOOR}


class MoneyError(ValueError):
    """An amount, a currency or a share that cannot be reckoned with; the message says what to do."""


class CurrencyMismatch(MoneyError):
    """Two currencies met in one sum without an exchange rate."""


def exactly(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` in the EXACT context, whatever the caller's decimal context is."""

    @wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        with localcontext(EXACT):
            return function(*args, **kwargs)

    return inner


def checked_currency(code: str) -> str:
    """Return `code` if it has the shape of an ISO 4217 code (three capital letters A-Z), else raise MoneyError."""
    if len(code) == 3 and code.isascii() and code.isalpha() and code.isupper():
        return code
    raise MoneyError(f"{code!r} is not a currency: use the three capital letters of ISO 4217, such as EUR.")


def exponent(currency: str) -> int:
    """Return the number of decimals of a currency (0 for JPY, 2 for EUR, 3 for KWD), after ISO 4217."""
    return _EXPONENTS.get(checked_currency(currency), 2)


def round_to(value: Decimal, places: int = 0, mode: RoundingMode = "half_up") -> Decimal:
    """Return `value` with `places` decimals; a negative `places` rounds to tens, hundreds and so on.

    The only rounding function of the product. `half_up` takes a half away from zero (2.5 → 3, -2.5 → -3), as
    invoices do; `ceil` and `floor` go towards plus and minus infinity. Raises MoneyError for NaN and infinity.
    """
    if not value.is_finite():
        raise MoneyError(f"{value} cannot be rounded: it is not a finite number.")
    if mode not in _MODES:
        raise MoneyError(f"{mode!r} is not a way to round: use half_up, ceil or floor.")
    result = value.quantize(Decimal(1).scaleb(-places), rounding=_MODES[mode], context=EXACT)
    # Without an exponent, so that 1E+2 and 100 are also written alike; and no negative zero on a statement.
    return (result if places >= 0 else result.quantize(Decimal(1), context=EXACT)) + 0


def round_lines(amounts: Sequence[Decimal], places: int = 2, *, total: Decimal | None = None) -> list[Decimal]:
    """Round each line so that the rounded lines add up to the rounded total (largest remainder, ties to the first).

    Each line is at most one unit of the last place from its exact amount. `total` is for lines between two rounded
    amounts, whose difference may be one unit off. Raises MoneyError for NaN, infinity and a total that is further
    off than that.
    """
    with localcontext(EXACT):
        exact = sum(amounts, Decimal(0))
        total = round_to(exact if total is None else total, places)
        if abs(total - exact) > Decimal(1).scaleb(-places):
            raise MoneyError(f"{total} is not what the lines add up to.")
        floors = [round_to(amount, places, "floor") for amount in amounts]
        remainders = [Fraction(amount) - Fraction(floor) for amount, floor in zip(amounts, floors, strict=True)]
        return _hand_out(total, floors, remainders, places)


def allocate(total: Decimal, weights: Sequence[Decimal], places: int = 2) -> list[Decimal]:
    """Divide `total`, rounded to `places`, in proportion to `weights`; the parts add up to it exactly.

    Largest remainder, ties to the first. Raises MoneyError for a negative weight, and when every weight is zero
    (or there is none) while the total is not.
    """
    if any(not weight.is_finite() or weight < 0 for weight in weights):
        raise MoneyError("A share cannot be negative, infinite or NaN: give weights of zero or more.")
    total = round_to(total, places)
    whole = sum((Fraction(weight) for weight in weights), Fraction(0))
    if whole == 0:
        if total:
            raise MoneyError(f"{total} cannot be divided: all weights are zero.")
        return [total for _ in weights]
    unit = Fraction(10) ** -places
    shares = [Fraction(total) * Fraction(weight) / whole / unit for weight in weights]
    with localcontext(EXACT):
        floors = [Decimal(share.__floor__()).scaleb(-places) for share in shares]
        return _hand_out(total, floors, [share - share.__floor__() for share in shares], places)


def _hand_out(total: Decimal, floors: list[Decimal], remainders: list[Fraction], places: int) -> list[Decimal]:
    """Add one unit to the lines with the largest remainders until they make up `total`."""
    unit = Decimal(1).scaleb(-places)
    missing = int((total - sum(floors, Decimal(0))) / unit)
    for index in sorted(range(len(floors)), key=lambda i: (-remainders[i], i))[:missing]:
        floors[index] += unit
    return floors


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount of one currency. It is rounded only when asked (`rounded`), once, at the edge.

    `amount` is a finite Decimal in whole currency units (euros, not cents). Raises MoneyError for a float, NaN,
    infinity or a malformed currency, CurrencyMismatch when two currencies meet.
    """

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal) or not self.amount.is_finite():
            raise MoneyError(f"{self.amount!r} is not an amount: use a finite Decimal.")
        checked_currency(self.currency)

    @classmethod
    def zero(cls, currency: str) -> Self:
        """Return nothing, in `currency`."""
        return cls(Decimal(0), currency)

    def __add__(self, other: "Money") -> "Money":
        return Money(EXACT.add(self.amount, self._same(other)), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(EXACT.subtract(self.amount, self._same(other)), self.currency)

    def __mul__(self, factor: Decimal | int) -> "Money":
        return Money(EXACT.multiply(self.amount, Decimal(factor)), self.currency)

    __rmul__ = __mul__

    def __neg__(self) -> "Money":
        return Money(EXACT.minus(self.amount), self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.amount <= self._same(other)

    def __gt__(self, other: "Money") -> bool:
        return self.amount > self._same(other)

    def __ge__(self, other: "Money") -> bool:
        return self.amount >= self._same(other)

    def __bool__(self) -> bool:
        return self.amount != 0

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"

    def rounded(self) -> "Money":
        """Return the amount with the currency's own number of decimals."""
        return Money(round_to(self.amount, exponent(self.currency)), self.currency)

    def converted(self, rate: Decimal, currency: str) -> "Money":
        """Return this amount in `currency` at `rate` (units of `currency` for one of ours), not rounded.

        Raises MoneyError if the rate is not above zero.
        """
        if not rate.is_finite() or rate <= 0:
            raise MoneyError(f"{rate} is not an exchange rate: it must be above zero.")
        return Money(EXACT.multiply(self.amount, rate), currency)

    def allocated(self, weights: Sequence[Decimal]) -> "list[Money]":
        """Divide the rounded amount in proportion to `weights`; the parts add up to it exactly (see `allocate`)."""
        return [Money(part, self.currency) for part in allocate(self.amount, weights, exponent(self.currency))]

    def _same(self, other: object) -> Decimal:
        if not isinstance(other, Money):
            raise TypeError(f"Money does not mix with {type(other).__name__}.")
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} do not mix: convert one of them first.")
        return other.amount


def total_of(amounts: Iterable[Money], currency: str) -> Money:
    """Add up `amounts`, all in `currency`; none gives zero. Raises CurrencyMismatch."""
    return sum(amounts, Money.zero(currency))
