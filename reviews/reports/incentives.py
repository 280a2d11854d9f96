"""What people are paid by: how steadily their accounts draw, how deep they go, and what was excused. Metric 27."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from accounts.models import Account
from budgets.reports.excused import excused_spans
from consumption_cs.lib.display import counted
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.concentration import WEEKS
from reviews.models import LossEvidence
from reviews.reports.measured import latest_metrics


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One account of one person: percent of weeks in band (None: `why_not`), depth, and what bears on it.

    `excused`: what was approved in the last 13 weeks. `disputed`: what somebody entered and nobody approved yet.
    """

    account: Account
    day: date | None
    in_band: Decimal | None
    why_not: str
    workflows: int | None
    ladder: Decimal | None
    top_share: Decimal | None
    excused: tuple[str, ...]
    disputed: int

    @property
    def share(self) -> float:
        """Weeks in band of 0 to 1: the length of a bar."""
        return float(self.in_band or 0) / 100

    @property
    def excused_words(self) -> str:
        return "; ".join(self.excused)


def incentive_ledger(viewer: Viewer, now: datetime) -> list[LedgerLine]:
    """Return a line an account with an owner, by owner and name. Four queries for any number of accounts.

    The CSM of the account has it, also while somebody covers for them.
    """
    rows = Account.objects.visible_to(viewer).filter(csm__isnull=False).select_related("csm")
    accounts = sorted(rows, key=lambda one: (str(one.csm).lower(), one.name.lower(), str(one.pk)))
    found = latest_metrics(viewer.organization_id, [one.pk for one in accounts])
    excused, disputed = _bearing(viewer, now)
    lines = []
    for account in accounts:
        one = found[account.pk]
        workflows = one.number("production_workflows")
        lines.append(
            LedgerLine(
                account=account,
                day=one.day,
                in_band=one.number("in_band_percent"),
                why_not=one.reason("in_band_percent"),
                workflows=None if workflows is None else int(workflows),
                ladder=one.number("ladder_percent"),
                top_share=one.number("top_share_percent"),
                excused=tuple(excused.get(account.pk, ())),
                disputed=disputed.get(account.pk, 0),
            )
        )
    return lines


def _bearing(viewer: Viewer, now: datetime) -> tuple[dict[UUID, list[str]], dict[UUID, int]]:
    """Return what was excused of each account in the last 13 weeks in words, and how much waits for approval."""
    since = now.date() - timedelta(weeks=WEEKS)
    said: dict[UUID, list[str]] = defaultdict(list)
    waits: dict[UUID, int] = defaultdict(int)
    for account, spans in excused_spans(viewer, now=now).items():
        late = [span for span in spans if span.last_day >= since]
        if late:
            said[account].append(counted(len(late), "credited spike"))
    rows = LossEvidence.objects.visible_to(viewer).filter(starts_on__lte=now.date()).order_by("starts_on", "pk")
    for row in rows:
        if row.ends_on is not None and row.ends_on <= since:
            continue
        if row.approved_at is None:
            waits[row.account_id] += 1
        else:
            said[row.account_id].append(row.get_kind_display().lower())
    return said, waits
