"""What an account waits for before its first billable event, in words that say what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from consumption_cs.lib.display import counted, listed


@dataclass(frozen=True, slots=True)
class Cause:
    """What is known of an account without billable use. Numbers are of events.

    `aside` is (subject, reason, type, events) set aside; `outside` came from other environments than production;
    `uncounted` from production, but kept out by a meter's filters.
    """

    key: str = ""
    keys: str = ""  # why the organization has no key that may send; "": it has one
    dead_key: str = ""  # what became of the key that it last sent with; "": it works
    aside: Sequence[tuple[str, str, str, int]] = ()
    came: int = 0
    outside: int = 0
    environments: tuple[str, ...] = ()
    uncounted: int = 0
    counted: int = 0
    finished: int = 0
    successes: int = 0
    unpriced: int = 0
    errors: Sequence[tuple[str, int]] = field(default_factory=tuple)
    rejected: tuple[int, str] = (0, "")  # of the whole organization in 7 days: how many, and why most of them


def words_of(cause: Cause) -> str:
    """Return one sentence: the first thing that stands between this account and a billable event."""
    if cause.dead_key:
        return _sentence(f"{cause.dead_key}; nothing came since")
    if not cause.came:
        return _sentence(_aside(cause) or cause.keys or f"no call yet: no event has named “{cause.key}”") + _rejected(
            cause
        )
    if not cause.counted:
        return _sentence(_outside(cause))
    if cause.finished and not cause.successes:
        return _sentence(_failed(cause))
    if cause.unpriced:
        came = f"{counted(cause.unpriced, 'event')} {'has' if cause.unpriced == 1 else 'have'}"
        return _sentence(f"it works, but {came} no price: nothing is billable until one is in force")
    return _sentence("it works, but nothing has cost anything yet: use is free or within what is included")


def _aside(cause: Cause) -> str:
    """Events that wait because no account or no meter takes them."""
    if not cause.aside:
        return ""
    subject, reason, kind, _ = max(cause.aside, key=lambda row: row[3])
    total = sum(row[3] for row in cause.aside)
    all_of = f"all {total:,} events are" if total > 1 else "its only event is"
    if reason == "unknown_subject":
        name = "they name" if total > 1 else "it names"
        return f"{all_of} set aside: {name} “{subject}”, the account’s key is “{cause.key}”"
    return f"{all_of} set aside: no meter reads “{kind}”"


def _rejected(cause: Cause) -> str:
    """What was rejected may have been its; a rejected request is kept without the account that it named."""
    times, why = cause.rejected
    if not times or cause.aside:
        return ""
    were = "item was" if times == 1 else "items were"
    return f" {times:,} {were} rejected in 7 days, whose is not kept: {why[:1].lower()}{why[1:]}."


def _outside(cause: Cause) -> str:
    if cause.outside:
        where = listed([f"“{name}”" for name in cause.environments[:3]])
        return f"only test use so far: {counted(cause.outside, 'event')} from {where}, none from production"
    return f"a meter’s filters leave out all of its {counted(cause.uncounted, 'event')}"


def _failed(cause: Cause) -> str:
    attempts = "its only attempt" if cause.finished == 1 else f"all {cause.finished:,} attempts"
    named = [(error, times) for error, times in cause.errors if error]
    if not named:
        return f"{attempts} failed; events do not name the error"
    error, times = named[0]
    return f"{attempts} failed, mostly “{error}” ({times:,}×)" if len(named) > 1 else f"{attempts} failed: “{error}”"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
