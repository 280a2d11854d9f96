"""The sentence on top of a page with its figures set apart, so that the eye finds them."""

import re

_FIGURE = re.compile(r"((?:[A-Z]{0,3}[$€£¥])?\d[\d,.]*\d(?:[%kM])?|(?:[A-Z]{0,3}[$€£¥])?\d[%kM]?)(?![\w])")


def pieces(text: str) -> list[tuple[str, bool]]:
    """Return the text in parts, with whether each is a figure."""
    return [(part, bool(number % 2)) for number, part in enumerate(_FIGURE.split(text)) if part]
