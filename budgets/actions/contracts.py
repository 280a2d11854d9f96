"""Contracts: the term, the order in which commits are drawn, and what overage costs."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from accounts.models import Account
from budgets.models import Contract
from consumption_cs.lib.tenancy import Viewer


class ContractError(ValueError):
    """A contract that cannot be stored; `field` names the term, the message says what to do."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class NewContract:
    """A contract to make; `ends_on` is the first day after the term, None for no end."""

    name: str
    starts_on: date
    ends_on: date | None = None
    draw_policy: str = Contract.DrawPolicy.PRIORITY
    overage_factor: Decimal = Decimal(1)
    note: str = ""


def create_contract(viewer: Viewer, account: Account, new: NewContract, now: datetime) -> Contract:
    """Store a contract, and put the term in force (or the next) on the account. Raises ContractError."""
    raise NotImplementedError


def change_contract(viewer: Viewer, contract: Contract, new: NewContract, now: datetime) -> Contract:
    """Change name, end, draw policy, overage factor and note; the start stays. Raises ContractError.

    A new draw policy counts for all days that are not frozen yet, which are drawn again.
    """
    raise NotImplementedError
