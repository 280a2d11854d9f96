"""Why an account needs somebody, in one sentence with its figures; and what its money at risk hangs on."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from consumption_cs.lib.display import counted, money_short, percent_text, quantity_text
from reviews.calc.queue import REASONS, Reason
from reviews.reports.measured import Measured
from usage.reports.overview_words import short_date

ZERO = Decimal(0)


# The reason that a play answers: told first while it runs.
ANSWERED = {
    "exhausted_commit": "exhausted", "spike": "spike", "stalled_onboarding": "stalled", "run_out_soon": "run_out",
    "champion_lost": "champion_gone", "reliability": "reliability", "underburn": "underburn", "overburn": "overburn",
    "renewal": "renewal", "single_workflow_risk": "one_workflow", "value_review": "review",
}  # fmt: skip


def sentence(reasons: tuple[Reason, ...], found: Measured, today: date, play: str = "") -> str:
    """Return the first two reasons as one sentence; "" without any.

    That which the running `play` answers comes first, a review that is due last.
    """
    answered = ANSWERED.get(play)
    told = sorted(reasons, key=lambda one: (one.key != answered, one.key == "review"))
    said = [words for reason in told[:2] if (words := words_of(reason.key, found, today))]
    if not said:
        return ""
    joined = "; ".join([said[0], *(_lower(words) for words in said[1:])])
    return f"{joined}."


def words_of(key: str, found: Measured, today: date) -> str:
    """Return one reason with its figures, without a full stop."""
    number = found.number

    def days(name: str) -> int:
        return int(number(name) or 0)

    def points(name: str) -> str:
        return percent_text((number(name) or ZERO) / 100, places=0)

    workflow = found.inputs("reliability_gap").get("name") or "A workflow"
    largest = found.inputs("top_share_percent").get("name") or "One workflow"
    written = {
        "exhausted": lambda: "The commit is used up: overage is charged",
        "unpaid": lambda: f"A payment failed{_since(found)}",
        "silent": lambda: f"No use for {counted(days('silent_days'), 'day')}",
        "spike": lambda: f"{counted(days('open_spikes'), 'spike')} without an explanation",
        "stalled": lambda: f"No billable use on day {days('waiting_days')}",
        "run_out": lambda: _run_out(found),
        "champion_gone": lambda: "The champion has left",
        "reliability": lambda: (
            f"{workflow} at {_success(found)} for {counted(days('failing_days'), 'day')}{_target(found)}"
        ),
        "underburn": lambda: f"Drawing at {points_of(number('pacing'))} of plan",
        "overburn": lambda: f"Drawing at {points_of(number('pacing'))} of plan",
        "falling": lambda: f"Use down {percent_text(-(number('change_28') or ZERO) / 100, places=0)} in 28 days",
        "renewal": lambda: f"Renews {short_date(today + timedelta(days=days('term_days_left')))}",
        "sentiment": lambda: "They were negative when last asked",
        "no_visit": lambda: f"Nobody signed in for {counted(days('seen_days'), 'day')}",
        "one_workflow": lambda: f"{largest} is {points('top_share_percent')} of spend",
        "review": lambda: "A value review is due",
    }
    return written[key]() if key in written else REASONS.get(key, "")


def points_of(ratio: Decimal | None) -> str:
    """A ratio as a percentage without decimals."""
    return percent_text(ratio or ZERO, places=0)


def at_risk_words(found: Measured, today: date) -> str:
    """What the money hangs on, with its date where there is one."""
    kind = found.inputs("at_risk").get("kind", "")
    left = found.number("term_days_left")
    ends = short_date(today + timedelta(days=int(left))) if left is not None else ""
    words = {
        "renewal": f"{ends} renewal",
        "not_started": "commit not started",
        "unused": f"unused by {ends}" if ends else "likely unused",
        "overage": "overage, not agreed",
        "one_workflow": "rests on one workflow",
        "": "on plan",
    }
    return words.get(kind, "")


@dataclass(frozen=True, slots=True)
class RunOutShown:
    """When a commit runs out: the likely day or why there is none, its range, and the bar of what is drawn.

    `drawn` and `planned` are ratios; None: no commit, so no bar.
    """

    main: str
    note: str = ""
    drawn: Decimal | None = None
    planned: Decimal | None = None
    under: str = ""

    @property
    def bar(self) -> str:
        """What a screen reader says of the bar."""
        plan = "" if self.planned is None else f", {points_of(self.planned)} of the term gone"
        return f"{points_of(self.drawn)} of the commit drawn{plan}"


def run_out_shown(found: Measured, today: date, currency: str) -> RunOutShown:
    """Return when the account's commit runs out."""
    granted, left = found.number("commit_granted"), found.number("commit_left")
    if granted is None or granted <= 0:
        out = found.number("run_out_p50")  # of an allowance that refills: it has no term to draw it over
        if out is not None:
            day = short_date(today + timedelta(days=int(out)))
            return RunOutShown("Allowance", f"to {day}", under="refills with each period")
        return RunOutShown("No commit", under="pay as you go")
    drawn = (found.number("commit_used_percent") or ZERO) / 100
    gone = found.number("term_elapsed_percent")
    planned = None if gone is None else gone / 100
    under = f"{points_of(drawn)} drawn" + (f", plan {points_of(planned)}" if planned is not None else "")
    main, note = _when(found, today, money_short(left or ZERO, currency))
    return RunOutShown(main, note, drawn, planned, under)


def _when(found: Measured, today: date, left: str) -> tuple[str, str]:
    days = {name: found.number(f"run_out_{name}") for name in ("p10", "p50", "p90")}
    out, term = days["p50"], found.number("term_days_left")
    if out is not None and out <= 0:
        return "Used up", "overage"
    if out is None:
        short = found.number("spend_28") is None
        return ("Too early to say", "") if short else ("Not this term", f"{left} left")
    if term is not None and out > term:
        return "Not this term", f"{left} left"
    ends = [short_date(today + timedelta(days=int(end))) for end in (days["p10"], days["p90"]) if end is not None]
    return short_date(today + timedelta(days=int(out))), " – ".join(ends)


def _since(found: Measured) -> str:
    since = found.inputs("payment_failed").get("since")
    return f" on {short_date(date.fromisoformat(since))}" if since else ""


def _run_out(found: Measured) -> str:
    left, out = found.number("term_days_left"), found.number("run_out_p50")
    if left is None or out is None:
        return "The commit likely runs out before its term ends"
    early = int(left - out)
    return f"Commit ends {counted(early, 'day')} before the term" if early > 0 else "Commit ends with the term"


def _success(found: Measured) -> str:
    rate = found.inputs("reliability_gap").get("success")
    return percent_text(Decimal(str(rate)) / 100) if rate is not None else "low success"


def _target(found: Measured) -> str:
    target = found.inputs("reliability_gap").get("target")
    return f", target {quantity_text(Decimal(target) * 100, places=1)}%" if target else ""


def _lower(words: str) -> str:
    """Its first letter small, unless it begins with a name."""
    first = words.split(" ", 1)[0]
    return words[0].lower() + words[1:] if first in _PLAIN else words


_PLAIN = {"The", "No", "Nobody", "Use", "Drawing", "Commit", "Renews", "They", "A", "One"}
