"""An invoice paid from several prepaid wallets, some of which may pay for certain fees only. Pure Decimal."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from consumption_cs.lib.money import exactly, round_to

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Wallet:
    """`balance` in minor units of `currency`. It pays for fees of one of `only_kinds` or of one of `only_meters`;
    with neither set, for all. A lower `priority` pays first."""

    id: str
    balance: Decimal
    currency: str
    priority: int = 50
    only_kinds: frozenset[str] = frozenset()
    only_meters: frozenset[str] = frozenset()

    def pays_for(self, fee: "Fee") -> bool:
        if not self.only_kinds and not self.only_meters:
            return True
        return fee.kind in self.only_kinds or fee.meter in self.only_meters


@dataclass(frozen=True, slots=True)
class Fee:
    """One line of an invoice: `amount` with tax, in minor units, before rounding; `meter` None for what is flat."""

    kind: str
    amount: Decimal
    meter: str | None = None


@exactly
def allocate_invoice(
    wallets: Sequence[Wallet], fees: Sequence[Fee], *, currency: str, total: Decimal
) -> dict[str, Decimal]:
    """Return how much of an invoice each wallet pays, in whole minor units; wallets that pay nothing are left out.

    `wallets` in order of creation. Wallets pay in order of priority, then creation; each up to its balance, and for
    each fee no more than is left of that fee. Together they pay no more than `total`. Only wallets of the invoice's
    `currency` take part.
    """
    open_amounts = [fee.amount for fee in fees]
    left, paid = total, {}
    usable = [wallet for wallet in wallets if wallet.currency == currency and wallet.balance > 0]
    for wallet in sorted(usable, key=lambda wallet: wallet.priority):  # stable: creation decides between equals
        amount = min(_taken(wallet, fees, open_amounts), left)
        if amount > 0:
            paid[wallet.id] = amount
            left -= amount
    return paid


def _taken(wallet: Wallet, fees: Sequence[Fee], open_amounts: list[Decimal]) -> Decimal:
    """Take from what is open of each fee what the wallet can pay; return the sum in whole minor units."""
    balance = wallet.balance
    for index, fee in enumerate(fees):
        if wallet.pays_for(fee):
            part = max(min(balance, open_amounts[index]), ZERO)
            open_amounts[index] -= part
            balance -= part
    return min(round_to(wallet.balance - balance), wallet.balance)
