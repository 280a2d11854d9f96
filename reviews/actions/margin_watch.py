"""Who may see margins is told when an account begins to cost more than it pays. Everybody else never reads of it.

The message names neither the account nor an amount: messages are kept in a log that more people read than the margin
board. The board, to which it leads, puts negative margins first.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from accounts.models import Account, Membership
from accounts.permissions import CAPABILITIES
from budgets.models import Alert
from consumption_cs.lib.display import counted
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.actions.telling import Mail, mail_people
from reviews.reports.measured import latest_metrics, metric_history

TOPIC = "margin.negative"
LOOK_BACK = 62  # days in which a margin was last known: months that begin without revenue leave gaps


def tell_negative_margins(organization_id: UUID, now: datetime) -> int:
    """Mail those who may see margins when accounts turned negative on their last measured day; return how many did.

    The same turn is told once, however often this runs. In a transaction of its own; three queries, and those of
    mails.
    """
    with act_as(Viewer(organization_id)):
        accounts = list(Account.objects.filter(organization_id=organization_id).values_list("pk", flat=True))
        newest = latest_metrics(organization_id, accounts, numbers_only=True)
        negative = [pk for pk, row in newest.items() if (row.number("margin_percent") or 0) < 0]
        if not negative:
            return 0
        since = now.date() - timedelta(days=LOOK_BACK)
        history = metric_history(organization_id, negative, since, ["margin_percent"])
        turned = sorted(
            (account, day)
            for account, days in history.items()
            if (day := turned_negative([(day, row["margin_percent"]) for day, row in days])) is not None
            and day >= now.date() - timedelta(days=2)
        )
        if turned:
            mail_people(
                organization_id, now, _mails(organization_id, [account for account, _ in turned], turned[0][1])
            )
        return len(turned)


def turned_negative(days: Sequence[tuple[date, Decimal | None]]) -> date | None:
    """Return the last known day when the margin is below zero on it and was not on the known day before; else None."""
    known = [(day, margin) for day, margin in days if margin is not None]
    if not known or known[-1][1] >= 0:
        return None
    return known[-1][0] if len(known) == 1 or known[-2][1] >= 0 else None


def _mails(organization_id: UUID, accounts: Sequence[UUID], day: date) -> list[Mail]:
    roles = [role for role, rights in CAPABILITIES.items() if "margin.view" in rights]
    people = Membership.objects.filter(
        organization_id=organization_id, account=None, role__in=roles, user__is_active=True
    )
    cost = "costs you more than it pays" if len(accounts) == 1 else "cost you more than they pay"
    which = blake2b("".join(account.hex for account in accounts).encode(), digest_size=8).hexdigest()
    return [
        Mail(
            user_id=person.user_id,
            key=f"{day}:{which}",
            topic=TOPIC,
            subject="A margin has turned negative",
            text=f"{counted(len(accounts), 'account')} {cost}, since {day:%b} {day.day}. The margin board says which.",
            url=settings.SITE_URL + reverse("budgets:margin") + "?show=negative",
            action="Open the margin board",
            severity=Alert.Severity.WARNING,
        )
        for person in people
    ]
