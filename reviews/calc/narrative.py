"""Text of a review in which figures stay bound: {name} stands for the figure of that name; none is typed by hand."""

import re
from collections.abc import Mapping

SECTIONS = (
    "headline", "lead", "goals", "bridge", "success", "spend", "incidents", "values", "savings", "next", "closing",
)  # fmt: skip
LONGEST = 2000  # characters of a section

_NAME = re.compile(r"\{([^{}]*)\}")
_DATE = re.compile(
    r"\b(?:\d{4}-\d\d-\d\d|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* \d{1,2}(?!\d)(?:, (?:19|20)\d\d)?"
    r"|(?:19|20)\d\d(?![\d,.]*\d)|Q[1-4])(?!\s?%)"
)
_TYPED = re.compile(r"\S*\d\S*")


def bind(text: str, named: Mapping[str, str]) -> str:
    """Return `text` with each {name} replaced by its figure as shown. Raises KeyError for a name that is none."""
    return _NAME.sub(lambda found: named[found[1].strip()], text)


def problems(text: str, named: Mapping[str, str]) -> list[str]:
    """Return what is wrong with a section, in words that say what to do; nothing when it may be published.

    Names that are no figure, figures that are typed (days, years and quarters may be), and too much of it.
    """
    found = []
    for name in dict.fromkeys(match.strip() for match in _NAME.findall(text)):
        if name not in named:
            found.append(f"There is no figure called “{name}”. Choose one from the list of figures.")
    rest = _NAME.sub(" ", text)
    if "{" in rest or "}" in rest:
        found.append("A brace is left open. A figure is written {name}, with one brace on each side.")
    for typed in dict.fromkeys(_TYPED.findall(_DATE.sub(" ", rest))):
        found.append(f"“{typed}” is typed by hand. Take the figure from the list, so that it stays what was measured.")
    if len(text) > LONGEST:
        found.append(f"This is {len(text):,} characters long. Keep a section under {LONGEST:,}.")
    return found


def used(text: str) -> list[str]:
    """Return the names of the figures that a text uses, each once."""
    return list(dict.fromkeys(match.strip() for match in _NAME.findall(text)))
