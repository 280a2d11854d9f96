"""An anomaly in one sentence."""

from decimal import Decimal

from accounts.models import Account
from budgets.models import Anomaly
from consumption_cs.lib.display import counted, money_text, quantity_text
from consumption_cs.lib.periods import zone_of

TWICE = Decimal(2)


def anomaly_headline(anomaly: Anomaly, account: Account, workflow: str) -> str:
    """ "Claims triage has spent 4.2 times the usual since 14:00 on Nov 22". `workflow`: its name, if it is one's."""
    local = anomaly.started_at.astimezone(zone_of(account.timezone))
    since = f"since {local:%H:%M} on {local:%b} {local.day}"
    who = workflow or account.name
    expected, actual = Decimal(anomaly.expected), Decimal(anomaly.actual)
    if anomaly.kind == Anomaly.Kind.SILENCE:
        return f"{who} has been silent {since}, where about {_money(expected, account)} is usual"
    if expected > 0 and actual >= TWICE * expected:
        return f"{who} has spent {quantity_text(actual / expected, places=1)} times the usual {since}"
    over = _money(actual - expected, account)
    if anomaly.kind == Anomaly.Kind.LEAK:
        days = counted(max(anomaly.window_hours // 24, 1), "day")
        return f"{who} has crept up: {over} above the usual in {days}"
    return f"{who} has spent {over} more than usual {since}"


def _money(amount: Decimal, account: Account) -> str:
    return money_text(amount, account.currency, places=0)
