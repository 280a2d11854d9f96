"""Numbers, money and moments in the words and signs that people read. Pure: nothing here knows the request."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Context, Decimal

from consumption_cs.lib.money import exponent, round_to

MINUS = "\u2212"
NBSP = "\u00a0"
SYMBOLS = {
    "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩", "ILS": "₪", "VND": "₫",
    "AUD": "A$", "CAD": "CA$", "NZD": "NZ$", "SGD": "S$", "HKD": "HK$", "MXN": "MX$", "BRL": "R$", "CNY": "CN¥",
}  # fmt: skip
_SCALES = [(Decimal(10) ** 12, "T"), (Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"), (Decimal(10) ** 3, "k")]


def money_text(amount: Decimal, currency: str, *, places: int | None = None, signed: bool = False) -> str:
    """Return `amount` as "$1,234.50", "−€12.00" or "CHF 90.00"; `places` overrides the currency's own."""
    rounded = round_to(amount, exponent(currency) if places is None else places)
    return _sign(rounded, signed=signed) + _with_symbol(f"{abs(rounded):,f}", currency)


def money_short(amount: Decimal, currency: str) -> str:
    """Return about three digits: "$412k", "$4.86M"; below a thousand the whole amount, "$640"."""
    if abs(round_to(amount)) < 1000:
        return money_text(amount, currency, places=0)
    number = Context(prec=3, rounding=ROUND_HALF_UP).plus(amount)
    scale, letter = next((scale, letter) for scale, letter in _SCALES if abs(number) >= scale)
    return _sign(number) + _with_symbol(f"{(abs(number) / scale).normalize():f}{letter}", currency)


def unit_price_text(amount: Decimal, currency: str) -> str:
    """Return a price of one unit with all digits that matter: "$0.071", "$0.000125", never less than the cents."""
    places = exponent(currency)
    if amount and abs(amount) < 1:
        significant = Context(prec=3, rounding=ROUND_HALF_UP).plus(amount)
        places = max(places, -int(significant.normalize().as_tuple().exponent))
    return money_text(amount, currency, places=places)


def quantity_text(amount: Decimal | float, *, places: int | None = None) -> str:
    """Return "48,160", "1,204.5"; without `places`, up to six decimals and no trailing zeros."""
    number = round_to(Decimal(str(amount)), 6 if places is None else places)
    text = f"{abs(number):,f}"
    if places is None and "." in text:
        text = text.rstrip("0").rstrip(".")
    return _sign(number) + text


def percent_text(ratio: Decimal | float, *, places: int = 1, signed: bool = False) -> str:
    """Return a ratio (0.981) as "98.1%". A part that is neither none nor all is never shown as 0% or 100%."""
    value = Decimal(str(ratio)) * 100
    number = round_to(value, places)
    if number == 100 and value < 100:
        number -= Decimal(1).scaleb(-places)
    if number == 0 and value != 0:
        return f"{'<' if value > 0 else '>' + MINUS}{Decimal(1).scaleb(-places):f}%"
    digits = f"{abs(number):f}" if number not in (0, 100) else f"{number:.0f}"
    return f"{_sign(number, signed=signed)}{digits}%"


def ago_text(moment: datetime, now: datetime) -> str:
    """Return how long before `now` something happened, or how long after it will: "4 minutes ago", "in 2 days"."""
    seconds = (now - moment).total_seconds()
    words = _span(abs(seconds))
    if words == "":
        return "just now" if seconds >= 0 else "in a moment"
    return f"{words} ago" if seconds >= 0 else f"in {words}"


def moment_text(moment: datetime, zone: tzinfo = UTC, *, now: datetime | None = None) -> str:
    """Return "Nov 22, 14:10 UTC"; the year is added when it is not that of `now`."""
    local = moment.astimezone(zone)
    year = "" if now is not None and now.astimezone(zone).year == local.year else f", {local.year}"
    return f"{local:%b} {local.day}{year}, {local:%H:%M} {zone_name(local)}"


def zone_name(local: datetime) -> str:
    """Return "UTC", "CET" or, where a zone has no letters of its own, "UTC+3"."""
    name = local.tzname() or "UTC"
    if name.isalpha():
        return name
    minutes = int((local.utcoffset() or timedelta()).total_seconds() // 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02d}" if rest else "")


def plural_of(noun: str) -> str:
    """Return the plural of an English noun as units are named: "claims", "summaries", "batches"."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "z", "ch", "sh")) else f"{noun}s"


def counted(number: Decimal | int, noun: str) -> str:
    """Return "1 day" or "21 days"; the number is rounded to a whole one."""
    whole = round_to(Decimal(number), 0)
    return f"{quantity_text(whole)} {noun if whole == 1 else plural_of(noun)}"


def listed(words: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _sign(number: Decimal, *, signed: bool = False) -> str:
    if number < 0:
        return MINUS
    return "+" if signed and number > 0 else ""


def _with_symbol(digits: str, currency: str) -> str:
    symbol = SYMBOLS.get(currency)
    return f"{symbol}{digits}" if symbol else f"{currency}{NBSP}{digits}"


def _span(seconds: float) -> str:
    for size, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        count = int(seconds // size)
        if count:
            return f"{count:,} {word}{'' if count == 1 else 's'}"
    return ""
