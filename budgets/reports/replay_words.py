"""A replay in sentences. A sentence is a list of (text, is a figure): the figures are shown strongly."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from budgets.calc.budget_rules import FORECAST, PACES
from budgets.reports.replayed import DAYS, ENOUGH_DAYS, Acted, Proposal, Replay
from consumption_cs.lib.display import counted, money_text, percent_text, plural_of, quantity_text
from usage.reports.overview_words import Fact, short_date

Sentence = list[tuple[str, bool]]
PERIODS = {"day": "daily", "month": "monthly", "quarter": "quarterly", "year": "yearly"}
NOUNS = {"day": "day", "month": "month", "quarter": "quarter", "year": "year"}
KINDS = {
    **dict.fromkeys(("actual_percent", "actual_amount"), "Spend so far"),
    **dict.fromkeys(FORECAST, "Forecast"),
    **dict.fromkeys(PACES, "Pace"),
    "new_source": "New workflow",
    "under_use": "Under-use",
    "unit_cost": "Unit cost",
    "success_below": "Success rate",
}
VERDICTS = {"right": ("Right", "good"), "false": ("False alarm", "warn"), "mixed": ("Mixed", "info"), "": ("", "none")}
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ENOUGH_STOPPED = Decimal("0.25")  # of what runaways cost, to say that they were stopped
SMALL = Decimal(10)  # below, cents are shown


def whole_money(amount: Decimal, currency: str) -> str:
    """Return an amount without cents, unless they matter."""
    return money_text(amount, currency, places=None if 0 < abs(amount) < SMALL else 0)


def some(number: int, noun: str) -> str:
    """Return "one day", "two days", "12 days"."""
    word = _NUMBERS[number] if number < len(_NUMBERS) else f"{number:,}"
    return f"{word} {noun if number == 1 else plural_of(noun)}"


def headline(replay: Replay) -> Sentence:
    """Judge the edit in one sentence."""
    if not replay.is_ready:
        return [(f"The replay needs {ENOUGH_DAYS} days of usage; there are {replay.used_days} so far.", False)]
    if not replay.proposal.blocks:
        return _alerts_headline(replay)
    start, currency = _limit_name(replay.proposal, replay.account.currency), replay.account.currency
    if not replay.acting:
        return [*start, (_never(replay), False)]
    loops = [one for one in replay.acting if one.loop_stopped > 0]
    if not loops and not replay.held_back:
        return [*start, (f" would have acted {_times(len(replay.acting))} and blocked nothing.", False)]
    stopped = f" would have {_stopped(replay, loops)} and held back "
    if not replay.held_back:
        return [*start, (f"{stopped}nothing.", False)]
    held = (whole_money(replay.held_back, currency), True)
    return [*start, (stopped, False), held, (f" of real work{_where(replay)}.", False)]


def plain(sentence: Sentence) -> str:
    """Return a sentence without its marks."""
    return "".join(text for text, _ in sentence)


def lead(replay: Replay) -> str:
    """Compare with what is in force, and with how soon an alert tells."""
    if not replay.is_ready:
        return "Rules and limits work from the first event on; only the replay waits."
    said = [*_compared(replay), *_told_before(replay)]
    if not replay.acted:
        said += _closest(replay)
    if replay.waiting:
        said.append(f"{counted(replay.waiting, 'outcome')} would have waited.")
    return " ".join(said)


def facts(replay: Replay) -> list[Fact]:
    """Return what a replay comes to in four figures."""
    if not replay.is_ready:
        return []
    currency, told, false = replay.account.currency, len(replay.told), len(replay.false_alarms)
    found = [
        Fact(f"Alerts in {DAYS} days", str(told), f"{quantity_text(Decimal(told) * 7 / DAYS, places=1)} a week"),
        Fact("False alarms", str(false), _why_false(replay), "warn" if false else ""),
    ]
    if not replay.proposal.blocks:
        return [*found, Fact(f"Spent in {DAYS} days", whole_money(replay.spent, currency))]
    loop = f"of {whole_money(replay.loop_cost, currency)}" if replay.loop_cost else "there was none"
    share = replay.held_back / replay.spent if replay.spent > 0 else Decimal(0)
    of = f"{percent_text(share)} of {whole_money(replay.spent, currency)}"
    return [
        *found,
        Fact("Loop spend stopped", whole_money(replay.loop_stopped, currency), loop),
        Fact("Real work held back", whole_money(replay.held_back, currency), of, "warn" if replay.held_back else ""),
    ]


def chart_headline(replay: Replay) -> str:
    """Return what the chart shows, as a finding."""
    start = f"Replayed on the last {DAYS} days: "
    if not replay.proposal.blocks:
        false = len(replay.false_alarms)
        wrong = f", {some_of(false) if false else 'none'} of them false" if replay.told else ""
        return f"{start}{some(len(replay.told), 'alert')}{wrong}"
    acts = len(replay.acting)
    if not acts:
        return f"{start}the limit never acts"
    right = sum(one.verdict == "right" for one in replay.acting)
    rightly = "never rightly" if not right else f"{_times(right)} rightly" if right < acts else "rightly"
    return f"{start}the limit acts {_times(acts)}, {rightly}"


def some_of(number: int) -> str:
    """Return "one", "two", "12"."""
    return _NUMBERS[number] if number < len(_NUMBERS) else f"{number:,}"


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{some_of(number)} times")


def _alerts_headline(replay: Replay) -> Sentence:
    told, false = len(replay.told), len(replay.false_alarms)
    if not told:
        return [(f"These rules would have told you nothing in the last {DAYS} days.", False)]
    wrong = "none of them a false alarm" if not false else f"{counted(false, 'false alarm')} among them"
    return [("These rules would have told you ", False), (_times(told), True), (f" in {DAYS} days, {wrong}.", False)]


def _limit_name(proposal: Proposal, currency: str) -> Sentence:
    amount = whole_money(proposal.limit_amount or Decimal(0), currency)
    digits = "".join(sign for sign in amount if sign.isdigit() or sign == ",")
    article = "An" if digits.startswith("8") or digits.split(",")[0] in ("11", "18") else "A"
    often = PERIODS.get(proposal.period)
    return [(f"{article} ", False), (amount, True), (f" {often} limit" if often else " limit", False)]


def _stopped(replay: Replay, loops: Sequence[Acted]) -> str:
    """Return "stopped one runaway", with how much of it if that is little."""
    stopped, cost = sum(one.loop_stopped for one in loops), sum(one.loop for one in loops)
    runaways = some(len(loops), "runaway") if loops else "no runaway"
    amount = whole_money(Decimal(stopped), replay.account.currency)
    is_slowed = replay.proposal.limit is not None and replay.proposal.limit.action == "throttle"
    if stopped >= cost * ENOUGH_STOPPED:
        return f"{'slowed' if is_slowed else 'stopped'} {runaways}"
    return f"slowed {runaways} by {amount}" if is_slowed else f"stopped {amount} of {runaways}"


def _never(replay: Replay) -> str:
    if not replay.acted:
        return f" would never have acted in the last {DAYS} days."
    often = _times(len(replay.acted))
    return f" would have been reached {often} and never acted: the period ended within the grace."


def _where(replay: Replay) -> str:
    """Where real work is held back: on good days, or beside the runaways."""
    good = [one for one in replay.acting if one.held_back > 0 and one.verdict != "right"]
    if not good:
        return " beside it"
    noun = NOUNS.get(replay.proposal.period)
    if noun is None:
        return ""
    return f" {'on' if noun == 'day' else 'in'} {some(len(good), f'good {noun}')}"


def _closest(replay: Replay) -> list[str]:
    """How close the fullest period came to the limit, or to the budget."""
    if replay.fullest is None:
        return []
    day, spent = replay.fullest
    mark = replay.proposal.limit_amount or replay.proposal.amount
    amount, share = whole_money(spent, replay.account.currency), percent_text(spent / mark, places=0)
    named = {
        "day": f"in one day was {amount}, on {short_date(day)}",
        "month": f"in one month was {amount}, in {day:%B}",
    }
    said = named.get(replay.proposal.period, f"in one period was {amount}")
    return [f"The most that was spent {said}: {share} of it."]


def _compared(replay: Replay) -> list[str]:
    now = replay.in_force
    if now is None or now.proposal.limit is None or now.proposal.limit_amount is None:
        return []
    if (now.proposal.limit, now.proposal.amount) == (replay.proposal.limit, replay.proposal.amount):
        return []
    currency = replay.account.currency
    amount = whole_money(now.proposal.limit_amount, currency)
    if not now.acting:
        return [f"The {amount} limit you have now would never have acted."]
    stopped = whole_money(now.loop_stopped, currency) if now.loop_stopped else "nothing"
    held = whole_money(now.held_back, currency) if now.held_back else "nothing"
    return [f"The {amount} limit you have now would have stopped {stopped} of loops and held back {held}."]


def _told_before(replay: Replay) -> list[str]:
    """How long before the limit acts on a runaway its alert tells."""
    for acted in replay.acting:
        alert = next((one for one in replay.told if one.kind in PACES and _is_of(one.at, acted)), None)
        if acted.loop_stopped > 0 and acted.acts_at is not None and alert is not None:
            ahead = lasting(acted.acts_at - alert.at)
            return [f"The pace alert would have told you {ahead} before the limit acted on {short_date(acted.day)}."]
    return []


def _is_of(at: object, acted: Acted) -> bool:
    return acted.acts_at is not None and acted.acts_at - timedelta(days=1) <= at < acted.acts_at  # type: ignore[operator]


def lasting(span: timedelta) -> str:
    """Return "3 hours 55 minutes"."""
    minutes = max(int(span.total_seconds() // 60), 1)
    hours, rest = divmod(minutes, 60)
    return " ".join(counted(number, noun) for number, noun in ((hours, "hour"), (rest, "minute")) if number)


def _why_false(replay: Replay) -> str:
    reasons: Sequence[str] = [one.why for one in replay.false_alarms]
    planned = sum(why.startswith("planned") for why in reasons)
    if not reasons or not planned:
        return ""
    return "all planned work" if planned == len(reasons) else f"{planned} planned work"
