"""How the amount of one local day came to be: what was used before and on it, which price, tiers and cents."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from accounts.models import Account
from consumption_cs.lib.display import quantity_text
from consumption_cs.lib.money import exactly, exponent, round_to
from consumption_cs.lib.tenancy import Viewer
from usage.calc.billing_periods import Span
from usage.calc.price_book import InForce, cell_of, needs_events, read_terms
from usage.calc.price_text import price_words
from usage.calc.prices import HUNDRED, Charge, Graduated, PriceError, Usage, Volume
from usage.calc.prices import Price as Terms
from usage.calc.rate_card import Matrix
from usage.calc.rating import charges
from usage.models import Adjustment, Price, RatedDay, UsageDay
from usage.reports.periods import period_of_day

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the sum that is a day’s amount; `quantity` and `unit` only where there is something to multiply."""

    name: str
    amount: Decimal
    quantity: Decimal | None = None
    unit: Decimal | None = None
    flat: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Share:
    """What one workflow has of the day's amount; None is unpriced."""

    workflow_id: UUID | None
    name: str
    quantity: Decimal
    events: int
    spend: Decimal | None


@dataclass(frozen=True, slots=True)
class RatedLine:
    """One meter and cell of a day, rated. `cell_name`: the dimensions that a matrix price counts apart, in words."""

    row: RatedDay
    cell_name: str


@dataclass(frozen=True, slots=True)
class Explained:
    """A rated line with all that made it. `steps` add up to its amount; without any, `words` say why.

    `before`: the quantity of the billing period until this day; `amount_before` what that came to, rounded.
    """

    line: RatedLine
    span: Span
    price: Price | None
    price_words: str
    before: Decimal
    amount_before: Decimal
    steps: list[Step]
    words: str
    shares: list[Share]


def rated_lines(viewer: Viewer, account: Account, day: date) -> list[RatedLine]:
    """Return what was rated on a local day, the greatest amount first."""
    rows = RatedDay.objects.visible_to(viewer).filter(account=account, day=day).select_related("meter")
    found = [RatedLine(row, cell_words(row.cell)) for row in rows]
    return sorted(found, key=lambda line: (-(line.row.amount or ZERO), line.row.meter.name.lower(), line.cell_name))


def adjustments_on(viewer: Viewer, account: Account, day: date) -> list[Adjustment]:
    """Return the money of closed periods that is booked on a local day, in order."""
    rows = Adjustment.objects.visible_to(viewer).filter(account=account, day=day)
    return list(rows.select_related("meter", "period").order_by("created_at", "id"))


@exactly
def explain(viewer: Viewer, account: Account, line: RatedLine) -> Explained:
    """Return how a line's amount came to be."""
    row = line.row
    span = period_of_day(viewer, account, row.day)
    same = RatedDay.objects.visible_to(viewer).filter(account=account, meter=row.meter, cell=row.cell)
    last = same.filter(day__gte=span.start, day__lt=row.day).order_by("-day").first()
    price = None
    if row.price_id:
        # Everybody's prices belong to no account, so `visible_to` leaves them out; row-level security does not.
        known = Price.objects.filter(organization_id=viewer.organization_id)
        price = known.filter(pk=row.price_id).select_related("version__card").first()
    terms = _terms_of(price, row.cell)
    steps, words = _steps(row, last, terms, exponent(account.currency))
    return Explained(
        line,
        span,
        price,
        price_words(price.terms, price.currency, row.meter.unit) if price else "",
        last.total_quantity if last else ZERO,
        last.total_amount if last else ZERO,
        steps,
        words,
        _shares(viewer, account, row, price),
    )


def cell_words(cell: str) -> str:
    """Return the canonical text of a cell as people say it: “region eu, model large”."""
    values = json.loads(cell) if cell else {}
    return ", ".join(f"{name} {value}" for name, value in values.items()) if isinstance(values, dict) else ""


def _terms_of(price: Price | None, cell: str) -> Terms | None:
    if price is None:
        return None
    try:
        return InForce(str(price.pk), read_terms(price.terms)).price_of(cell)
    except PriceError:
        return None


def _steps(row: RatedDay, last: RatedDay | None, terms: Terms | None, places: int) -> tuple[list[Step], str]:
    """Return the sum, and why there is none."""
    if row.amount is None or terms is None:
        return [], "No price was in force for this use. It is rated as soon as there is one."
    before, due_before, booked = _standing(last)
    after = row.total_due
    parts = _parts(terms, before, row, last)
    if parts is None:
        parts = [Step("What its events cost, each by itself", after - due_before)]
    else:
        gross = sum((part.amount for part in parts), ZERO)
        if terms.percent_discount:
            off = gross * terms.percent_discount / HUNDRED
            parts.append(Step(f"Discount of {quantity_text(terms.percent_discount)}%", -off))
            gross -= off
        if gross != after - due_before:
            parts.append(Step("Carried from another price in this period", after - due_before - gross))
    return [*parts, *_limits(row, terms, due_before, booked, places)], ""


def _standing(last: RatedDay | None) -> tuple[Usage | None, Decimal, Decimal]:
    if last is None:
        return None, ZERO, ZERO
    usage = Usage(last.total_quantity, last.total_events, supplied=last.total_quantity)
    return usage, last.total_due, last.total_amount


def _parts(terms: Terms, before: Usage | None, row: RatedDay, last: RatedDay | None) -> list[Step] | None:
    """Return what the price asks for the usage until this day, less what it asks for that before it."""
    if needs_events(terms):
        return None
    total = Usage(row.total_quantity, row.total_events, supplied=row.total_quantity)
    try:
        now = charges(terms, total)
        then = charges(terms, before) if before is not None else []
    except PriceError:
        return None
    known = {charge.what: charge for charge in then}
    names = [charge.what for charge in now] + [name for name in known if name not in {one.what for one in now}]
    by_name = {charge.what: charge for charge in now}
    steps = [_difference(terms, name, by_name.get(name), known.get(name)) for name in names]
    return [step for step in steps if step.amount or step.quantity or len(steps) == 1]


def _difference(terms: Terms, name: str, now: Charge | None, then: Charge | None) -> Step:
    one = now or then
    assert one is not None  # noqa: S101 - the name comes from one of them
    quantity = (now.quantity if now else ZERO) - (then.quantity if then else ZERO)
    flat = (now.flat if now else ZERO) - (then.flat if then else ZERO)
    return Step(_name_of(terms, name), quantity * one.unit + flat, quantity, one.unit, flat)


def _name_of(terms: Terms, name: str) -> str:
    """Return the part of a price in words; tiers with their borders."""
    kind, _, number = name.partition(" ")
    if kind != "tier" or not isinstance(terms.model, Graduated | Volume):
        return {"units": "Use", "packages": "Packages", "percent": "Share of the value", "events": "Events",
                "supplied": "As reported with the events"}.get(name, name.capitalize())  # fmt: skip
    tiers = terms.model.tiers
    at = int(number) - 1
    lower = tiers[at - 1].up_to if at else ZERO
    upper = tiers[at].up_to
    until = f"up to {quantity_text(upper)}" if upper is not None else "and more"
    return f"Tier {number}, {f'from {quantity_text(lower or ZERO)} ' if at else ''}{until}"


def _limits(row: RatedDay, terms: Terms, due_before: Decimal, booked: Decimal, places: int) -> list[Step]:
    """Return what spend limits and rounding make of the exact amount; with the parts they add up to the day's."""
    most = terms.max_spend
    capped = [amount if most is None else min(amount, most) for amount in (due_before, row.total_due)]
    limit = (capped[1] - capped[0]) - (row.total_due - due_before)
    rounding = (round_to(capped[1], places) - capped[1]) - (round_to(capped[0], places) - capped[0])
    rest = (row.amount or ZERO) - (row.total_due - due_before) - limit - rounding
    steps = [Step("Maximum spend of the period is reached", limit)] if limit else []
    if rest:
        name = "Minimum spend of the period" if terms.min_spend is not None else "Carried from before"
        steps.append(Step(name, rest))
    return [*steps, Step("Rounding of the total since the period began", rounding)] if rounding else steps


def _shares(viewer: Viewer, account: Account, row: RatedDay, price: Price | None) -> list[Share]:
    used = UsageDay.objects.visible_to(viewer).filter(account=account, day=row.day, meter=row.meter)
    dimensions = _dimensions(price)
    found: dict[UUID | None, Share] = {}
    for part in used.select_related("workflow").order_by("pk"):
        if dimensions and cell_of(dimensions, part.group) != row.cell:
            continue
        name = part.workflow.name if part.workflow else "No workflow named"
        mine = found.get(part.workflow_id, Share(part.workflow_id, name, ZERO, 0, None))
        spend = mine.spend if part.spend is None else part.spend + (mine.spend or ZERO)
        found[part.workflow_id] = Share(
            part.workflow_id, name, mine.quantity + part.quantity, mine.events + part.events, spend
        )
    return sorted(found.values(), key=lambda share: (-(share.spend or ZERO), share.name.lower()))


def _dimensions(price: Price | None) -> tuple[str, ...]:
    try:
        read = read_terms(price.terms) if price else None
    except PriceError:
        return ()
    return read.dimensions if isinstance(read, Matrix) else ()


def total_of(lines: Sequence[RatedLine], adjustments: Sequence[Adjustment]) -> Decimal:
    """Return what a day comes to: rated, and booked for closed periods."""
    rated = sum((line.row.amount or ZERO for line in lines), ZERO)
    return rated + sum((row.amount for row in adjustments), ZERO)
