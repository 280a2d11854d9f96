"""What the customer had confirmed by a moment: the definition, lag and value of one outcome of each workflow."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Prefetch

from accounts.models import Account
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.models import OutcomeAnswer, OutcomeTerms


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for a workflow. `state`: confirmed, declined or proposed; money counts only when confirmed."""

    definition: str
    lag_days: int
    value_each: Decimal | None
    currency: str
    state: str
    who: str
    on: str | None  # the local day of the answer, ISO


def terms_of(viewer: Viewer, account: Account, as_of: datetime) -> dict[str, Terms]:
    """Return the terms by workflow id as text: the last that were confirmed by `as_of`, else the last proposed.

    A confirmation that was withdrawn by a later answer to the same proposal no longer counts.
    """
    answers = OutcomeAnswer.objects.visible_to(viewer).filter(at__lte=as_of).select_related("by").order_by("at", "pk")
    rows = (
        OutcomeTerms.objects.visible_to(viewer)
        .filter(account=account, currency=account.currency, proposed_at__lte=as_of)
        .order_by("proposed_at", "pk")
        .prefetch_related(Prefetch("answers", answers, to_attr="said"))
    )
    found: dict[str, tuple[tuple[bool, datetime], Terms]] = {}
    for row in rows:
        last = row.said[-1] if row.said else None
        is_confirmed = last is not None and last.answer == OutcomeAnswer.Answer.CONFIRMED
        # What was confirmed later holds, and holds before any proposal that nobody has answered.
        rank = (is_confirmed, last.at if last and is_confirmed else row.proposed_at)
        name = str(row.workflow_id)
        if name not in found or rank >= found[name][0]:
            found[name] = (rank, _terms(row, last, account))
    return {name: terms for name, (_, terms) in found.items()}


def _terms(row: OutcomeTerms, last: OutcomeAnswer | None, account: Account) -> Terms:
    who = ", ".join(filter(None, [last.by.name or last.by.email, last.by_title])) if last else ""
    return Terms(
        definition=row.definition,
        lag_days=row.lag_days,
        value_each=row.value_each,
        currency=row.currency,
        state=last.answer if last else "proposed",
        who=who,
        on=day_of(last.at, zone_of(account.timezone)).isoformat() if last else None,
    )
