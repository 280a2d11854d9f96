"""When each account runs out, against the time its customer needs to approve a top-up."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

from accounts.models import Account
from budgets.models import ApprovalTerms, Commit, ForecastRun
from budgets.reports.allowance import lives_on_allowance
from budgets.reports.burndown import APPROVAL_DAYS
from budgets.reports.forecasts import latest_runs
from consumption_cs.lib.tenancy import Viewer

STATES = {
    "exhausted": "Used up",
    "late": "Approval is overdue",
    "soon": "Approval within 30 days",
    "later": "Runs out later",
    "lasts": "Lasts the term",
    "refills": "Allowance that refills",
    "unknown": "Not enough is known",
    "none": "No commit",
}
STATE_CHOICES = list(STATES.items())
SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class RunOutLine:
    """One account: its latest run, when approval must start, and how urgent that is (a key of STATES)."""

    account: Account
    run: ForecastRun | None
    approval_days: int
    decide_by: date | None
    state: str

    @property
    def state_name(self) -> str:
        return STATES[self.state]

    @property
    def tone(self) -> str:
        return {"exhausted": "bad", "late": "bad", "soon": "warn", "lasts": "good"}.get(self.state, "none")


def run_outs(viewer: Viewer, today: date, words: str = "", state: str = "") -> list[RunOutLine]:
    """Return the accounts, the most urgent first; `words` narrows by name or key, `state` to one of STATES."""
    runs = latest_runs(viewer)
    terms = dict(ApprovalTerms.objects.visible_to(viewer).values_list("account_id", "approval_days"))
    wanted = words.lower().split()
    commits = Commit.objects.visible_to(viewer).filter(recurs_months__isnull=False, cancelled_on=None)
    refilling = {str(pk) for pk in commits.values_list("pk", flat=True)}
    lines = [
        _line(account, runs.get(account.pk), terms.get(account.pk, APPROVAL_DAYS), today, refilling)
        for account in Account.objects.visible_to(viewer).order_by("name")
        if all(word in f"{account.name} {account.key}".lower() for word in wanted)
    ]
    order = list(STATES)
    shown = [line for line in lines if not state or line.state == state]
    return sorted(shown, key=lambda line: (order.index(line.state), line.decide_by or date.max, line.account.name))


def _line(
    account: Account, run: ForecastRun | None, approval_days: int, today: date, refilling: Collection[str]
) -> RunOutLine:
    if run is not None and run.remaining is not None and lives_on_allowance(run, refilling):
        return RunOutLine(account, run, approval_days, None, "refills")
    early = run.exhaust_p10 if run else None
    decide_by = early - timedelta(days=approval_days) if early else None
    return RunOutLine(account, run, approval_days, decide_by, _state(run, decide_by, today))


def _state(run: ForecastRun | None, decide_by: date | None, today: date) -> str:
    if run is None or run.basis == ForecastRun.Basis.NONE:
        return "unknown"
    if run.remaining is None:
        return "none"
    if run.exhausted_on:
        return "exhausted"
    if run.exhaust_p50 is None or decide_by is None:
        return "lasts"
    if decide_by <= today:
        return "late"
    return "soon" if decide_by <= today + SOON else "later"
