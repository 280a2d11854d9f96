"""Savings in words: what a suggestion proposes, what it costs in return, and the names of a bridge's parts."""

from dataclasses import dataclass
from decimal import Decimal

from consumption_cs.lib.display import counted, percent_text, quantity_text
from reviews.calc.savings import Suggestion

# Name and explanation of each part of the change of an outcome's cost, in the order in which they are told.
BRIDGE_NAMES = {
    "price": ("Price of a unit", "what a unit costs at the contract’s rates"),
    "efficiency": ("Units for each attempt", "how much one attempt uses"),
    "reliability": ("Attempts for each outcome", "how many attempts an outcome takes"),
    "mix": ("Mix", "dear and cheap work in other shares"),
    "started": ("New work", "work that there was none of before"),
    "stopped": ("Work that stopped", "work that there is none of any more"),
    "undelivered": ("Without outcomes", "spend that brought no outcome"),
}


@dataclass(frozen=True, slots=True)
class Proposed:
    """The words of a suggestion; a customer may read all of them."""

    title: str
    detail: str
    trade_off: str


def words_of(one: Suggestion) -> Proposed:
    """Return the title, the evidence and the trade-off of a suggestion, all from its own numbers."""
    return {
        "idle": _idle,
        "retries": _retries,
        "failures": _failures,
        "duplicates": _duplicates,
        "cheaper": _cheaper,
    }[one.kind](one)


def _idle(one: Suggestion) -> Proposed:
    error = f", mostly with “{one.facts['error']}”" if one.facts["error"] else ""
    return Proposed(
        f"Stop {one.name} until it works",
        f"All {int(one.facts['finished']):,} attempts of the last 28 days failed{error}.",
        "Nothing is lost: it delivers nothing now. It must be started again once it is mended.",
    )


def _retries(one: Suggestion) -> Proposed:
    lost, jobs, kept = int(one.facts["lost"]), int(one.facts["jobs"]), one.facts["kept"]
    share = f" ({percent_text(Decimal(lost) / jobs)} of its jobs)" if jobs and lost else ""
    back = (
        f"{counted(lost, 'job')} that succeeded later than that would fail{share}."
        if lost
        else f"Nothing: no job succeeded after its attempt number {kept}."
    )
    events = counted(int(one.facts["events"]), "attempt")
    return Proposed(
        f"Stop {one.name} after {kept} attempts",
        f"{events} of the last 28 days came after attempt number {kept}.",
        back,
    )


def _failures(one: Suggestion) -> Proposed:
    rate, target = Decimal(one.facts["rate"]), Decimal(one.facts["target"])
    error = f" Most frequent: “{one.facts['error']}”." if one.facts["error"] else ""
    return Proposed(
        f"Lift the success of {one.name} to {percent_text(target)}",
        f"{percent_text(rate)} of {int(one.facts['finished']):,} attempts succeeded in 28 days.{error}",
        "Somebody has to find and mend what fails; the outcomes stay the same or grow.",
    )


def _duplicates(one: Suggestion) -> Proposed:
    return Proposed(
        f"Keep the answers of {one.name} for inputs that come again",
        f"{counted(int(one.facts['events']), 'event')} of 28 days had an input that was worked on before.",
        "An answer may be as old as it is kept for, and keeping it needs a place.",
    )


def _cheaper(one: Suggestion) -> Proposed:
    facts = one.facts
    dear, cheap = facts["dear"], facts["cheap"]
    times = quantity_text(Decimal(facts["times"]), places=1)
    if facts["dear_success"] and facts["cheap_success"]:
        pair = [percent_text(Decimal(facts[name])) for name in ("cheap_success", "dear_success")]
        back = f"“{cheap}” succeeds in {pair[0]} of attempts, “{dear}” in {pair[1]}. Try it on a part first."
    else:
        back = f"How well “{cheap}” does this work is not known yet. Try it on a part first."
    return Proposed(
        f"Move half of {one.name} from “{dear}” to “{cheap}”",
        f"A unit with {facts['dimension']} “{dear}” cost {times} times one with “{cheap}” in the last 28 days.",
        back,
    )
