"""What makes a commit, or a change of one, impossible: refused in words that say what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from budgets.calc.commit_terms import Problem, amount_problem, frozen, spelled, unit_problem, value_of
from budgets.models import Commit, Contract
from budgets.reports.drawn import drawn_of
from consumption_cs.lib.display import money_text
from usage.models import Meter


class CommitError(ValueError):
    """A commit or a change of one that cannot be stored; `field` names the term, the message says what to do."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class NewCommit:
    """A commit to make. `amount` in `unit` (a currency, or "credits"); `rate`: one unit in the account's currency.

    `expires_on` is the first day on which it no longer counts (None: never). With `recurs_months` (1, 3, 6, 12) the
    amount is given anew that often, from `effective_on` on. At its end (or each recurrence's) what is left, but at
    least `rollover_least` and at most `rollover_most` of the account's currency, stays for `rollover_months` more.
    """

    contract: Contract
    name: str
    kind: str  # Commit.Kind
    unit: str
    amount: Decimal
    effective_on: date
    expires_on: date | None = None
    rate: Decimal | None = None
    priority: int = 1
    recurs_months: int | None = None
    rollover_least: Decimal = Decimal(0)
    rollover_most: Decimal = Decimal(0)
    rollover_months: int = 0
    only_meters: tuple[UUID, ...] = ()
    except_meters: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class DrawOrder:
    """When a commit is drawn and for what; None leaves a term as it is."""

    priority: int | None = None
    only_meters: tuple[UUID, ...] | None = None
    except_meters: tuple[UUID, ...] | None = None


@dataclass(frozen=True, slots=True)
class Rollover:
    """The rest of an expired commit goes into a new one on [effective_on, expires_on), within least and most."""

    name: str
    effective_on: date
    expires_on: date | None
    least: Decimal = Decimal(0)
    most: Decimal | None = None
    contract: Contract | None = None  # default: that of the expired commit


def check_terms(new: NewCommit, currency: str) -> None:
    """Raise CommitError for terms that cannot be stored, or contradict each other."""
    problems = [unit_problem(new.unit, new.rate, currency)]
    if not problems[0]:
        problems.append(amount_problem(new.amount, new.unit))
        problems += [
            amount_problem(getattr(new, name), currency, name) for name in ("rollover_least", "rollover_most")
        ]
    refuse([problem for problem in problems if problem])
    if new.amount < 0:
        raise CommitError("A commit is zero or more: amend or cancel one to take something back.", "amount")
    if problem := amount_problem(value_of(new.amount, new.rate, currency), currency):
        refuse([problem])
    if not new.name.strip():
        raise CommitError("Give the commit a name, such as Prepaid 2026: the ledger shows it.", "name")
    if new.rollover_least > new.rollover_most:
        raise CommitError("The least that rolls over cannot be above the most.", "rollover_least")
    if new.rollover_months and not (new.expires_on or new.recurs_months):
        raise CommitError("It never ends, so nothing rolls over: give a day on which it expires.", "expires_on")


def check_order(
    organization_id: UUID, priority: int, only_meters: Iterable[UUID], except_meters: Iterable[UUID]
) -> None:
    """Raise CommitError for a priority beyond the column, or meters that are unknown or leave nothing to pay for."""
    if not 0 <= priority <= 32_000:
        raise CommitError("The priority is a whole number from 0 to 32,000; the lower is drawn first.", "priority")
    only, without = set(only_meters), set(except_meters)
    if only and not only - without:
        raise CommitError("It would pay for nothing: every meter that it is for is excepted.", "except_meters")
    wanted = only | without
    known = Meter.objects.filter(organization_id=organization_id, pk__in=wanted).count() if wanted else 0
    if known != len(wanted):
        raise CommitError("One of the meters is not known: choose from the list of meters.", "only_meters")


def check_day(commit: Commit, day: date, frozen_until: date | None, field: str = "effective_on") -> None:
    """Raise CommitError for a day on which the commit is not in force, or that is frozen."""
    if day < commit.effective_on:
        raise CommitError(f"It takes effect on {spelled(commit.effective_on)}: give that day or a later one.", field)
    if commit.expires_on is not None and day >= commit.expires_on:
        raise CommitError(f"It expires on {spelled(commit.expires_on)}: give an earlier day.", field)
    if frozen_until is not None and day < frozen_until:
        refuse([frozen(field, frozen_until)])


def check_not_below_drawn(commit: Commit, value_change: Decimal, effective_on: date) -> None:
    """Raise CommitError if less would be left of the commit than was drawn from it already."""
    drawn, given = drawn_of(commit, effective_on)
    if given + value_change >= drawn:
        return
    currency = commit.account.currency
    least = money_text(max(given - drawn, Decimal(0)), currency)
    words = f"{money_text(drawn, currency)} of it is drawn already: at most {least} can be taken back."
    raise CommitError(words, "value_change")


def refuse(problems: Iterable[Problem]) -> None:
    """Raise CommitError for the first problem, if there is one."""
    for problem in problems:
        raise CommitError(problem.words, problem.field)
