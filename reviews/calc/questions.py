"""What to ask a customer, by what the data says of them: the most pressing question first. Pure."""

from collections.abc import Iterable

MOST = 5

# By a reason of the queue (`reviews.calc.queue.REASONS`): what the data cannot know and the customer does.
_BY_REASON = {
    "exhausted": "The commit is used up: do you want to top it up, or to slow down until the next one?",
    "unpaid": "What happened to the payment, and when will it arrive?",
    "silent": "What has stopped the use, and when do you expect it back?",
    "spike": "Is the jump in spend yours and wanted, or shall we look for what caused it?",
    "stalled": "What keeps you from the first call that counts: keys, data, people or time?",
    "run_out": "Who decides on a top-up on your side, and how long does that take?",
    "champion_gone": "Who takes this over on your side, and what do they need from us in the first week?",
    "reliability": "Do your people notice the failures, and what would be good enough for them?",
    "underburn": "Which workflow comes next, and what would have to be true for it to start?",
    "overburn": "Is this growth planned for in your budget, and will it last?",
    "falling": "What do you use it less for than a month ago, and is that on purpose?",
    "renewal": "What has to be true for you to renew, and who has to agree?",
    "sentiment": "You were not happy when we last spoke: what has changed since, and what has not?",
    "no_visit": "Who on your side looks at the numbers, and what would make them worth a look?",
    "one_workflow": "If this one workflow ended, what else would you keep us for?",
    "review": "When shall we hold the value review, and who should be there?",
}
# By what waits in the value of the account (`reviews.reports.value_due.KINDS`).
_BY_WAITING = {
    "value": "Can you confirm what one outcome is worth to you, or correct it?",
    "step": "Is the date of the plan's next step still right?",
    "signature": "What is missing for you to sign the last value review?",
    "move": "Do you agree that this workflow has taken its next step?",
}
_NO_CHAMPION = "Who speaks for this inside your company, and would we be missed?"
_ALWAYS = (
    "What is the most useful thing it did for you this month?",
    "What would you change first?",
    "Which work of yours should run on it by the end of the quarter?",
)


def questions(
    reasons: Iterable[str], waiting: Iterable[str], *, has_champion: bool, most: int = MOST
) -> list[tuple[str, str]]:
    """Return up to `most` questions as (what it is about, question), at least three.

    `reasons` are keys of the queue's, the most urgent first; `waiting` kinds of what is due. What it is about is one
    of these, "champion", or "": always worth asking.
    """
    found = [(key, _BY_REASON[key]) for key in reasons if key in _BY_REASON]
    if not has_champion and "champion_gone" not in {key for key, _ in found}:
        found.append(("champion", _NO_CHAMPION))
    found += [(kind, _BY_WAITING[kind]) for kind in dict.fromkeys(waiting) if kind in _BY_WAITING]
    for text in _ALWAYS[: max(3 - len(found), 0)]:
        found.append(("", text))
    return found[:most]
