"""Contracts: the term, the order in which commits are drawn, and what overage costs."""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, transaction

from accounts.actions.audit import audit
from accounts.models import Account
from budgets.actions.redraw import first_open_day, hold_account, redraw
from budgets.calc.commit_terms import spelled
from budgets.models import Contract
from consumption_cs.lib.periods import day_of, zone_of
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
    with transaction.atomic():
        closed_until = hold_account(viewer, account, now)
        _check_surcharges(None, new, closed_until)
        contract = Contract(
            organization_id=viewer.organization_id, account=account, created_by_id=viewer.user_id, **asdict(new)
        )
        _save(contract, new)
        audit(viewer, "contract.created", contract, contract.name, _details(contract))
        _put_on_account(account, now)
        from_day = max(new.starts_on, closed_until or new.starts_on)
        redraw(viewer, account, from_day, f"The contract {contract.name} was made", now)
    return contract


def change_contract(viewer: Viewer, contract: Contract, new: NewContract, now: datetime) -> Contract:
    """Change name, end, draw policy, overage factor and note; the start stays. Raises ContractError.

    A new draw policy counts for all days that are not frozen yet, which are drawn again.
    """
    if new.starts_on != contract.starts_on:
        raise ContractError("The start of a contract cannot be moved: make another contract.", "starts_on")
    account: Account = contract.account
    with transaction.atomic():
        closed_until = hold_account(viewer, account, now)
        changed = Contract.objects.get(organization_id=viewer.organization_id, pk=contract.pk)
        before = _details(changed)
        _check_surcharges(changed, new, closed_until)
        for name, value in asdict(new).items():
            setattr(changed, name, value)
        _save(changed, new)
        audit(viewer, "contract.changed", changed, changed.name, {"before": before, "after": _details(changed)})
        _put_on_account(account, now)
        from_day = first_open_day(viewer, account, new.starts_on)
        redraw(viewer, account, from_day, f"The contract {changed.name} was changed", now)
    return changed


def _check_surcharges(old: Contract | None, new: NewContract, closed_until: date | None) -> None:
    """Raise ContractError if overage of a closed period, which is invoiced, would cost something else."""
    if closed_until is None or new.starts_on >= closed_until:
        return
    was = (Decimal(1), None) if old is None else (old.overage_factor, old.ends_on)
    until = [closed_until if ends_on is None else min(ends_on, closed_until) for ends_on in (was[1], new.ends_on)]
    is_same_factor = was[0] == new.overage_factor
    if is_same_factor and (new.overage_factor == 1 or until[0] == until[1]):
        return
    day = spelled(closed_until)
    raise ContractError(
        f"Billing periods before {day} are closed, with what overage cost in them: leave this term as it was until"
        f" then, and make another contract from {day} on.",
        "overage_factor" if not is_same_factor else "ends_on",
    )


def _save(contract: Contract, new: NewContract) -> None:
    """Raises ContractError for terms that do not fit their columns, or each other."""
    if not contract.name.strip():
        raise ContractError("Give the contract a name, such as Order form 2026.", "name")
    if new.ends_on is not None and new.ends_on <= new.starts_on:
        raise ContractError(
            f"The contract must end after it starts: give a first day after the term later than"
            f" {new.starts_on:%-d %B %Y}.",
            "ends_on",
        )
    if not new.overage_factor.is_finite() or new.overage_factor < 0:
        raise ContractError("The overage factor must be zero or more: 1 is the contract rate.", "overage_factor")
    try:
        # The constraints too: the database would answer them with an error of its own.
        contract.full_clean(exclude=["organization", "account", "created_by"])
        with transaction.atomic():
            contract.save()
    except ValidationError as error:
        name, messages = next(iter(error.message_dict.items()))
        raise ContractError(str(messages[0]), "" if name == NON_FIELD_ERRORS else name) from error
    except IntegrityError as error:
        raise ContractError("Another contract covers a part of this term: end it first.", "starts_on") from error


def _put_on_account(account: Account, now: datetime) -> None:
    """Show the term in force on the account, else the next, else the last."""
    today = day_of(now, zone_of(account.timezone))
    contracts = list(
        Contract.objects.filter(organization_id=account.organization_id, account=account).order_by("starts_on")
    )
    current = next((row for row in contracts if row.ends_on is None or row.ends_on > today), contracts[-1])
    account.contract_starts_on, account.contract_ends_on = current.starts_on, current.ends_on
    account.save(update_fields=["contract_starts_on", "contract_ends_on"])


def _details(contract: Contract) -> dict[str, str]:
    """What the audit log keeps of a contract; not the note, for the account's own people read that log too."""
    return {
        "name": contract.name,
        "starts_on": contract.starts_on.isoformat(),
        "ends_on": contract.ends_on.isoformat() if contract.ends_on else "",
        "draw_policy": contract.draw_policy,
        "overage_factor": f"{contract.overage_factor:f}",
    }
