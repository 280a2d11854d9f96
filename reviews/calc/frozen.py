"""What makes a published review checkable: one way to write its content down, and the hash of that."""

import json
from hashlib import sha256
from typing import Any


def canonical(content: Any) -> bytes:
    """Return JSON with sorted keys, no spaces and no escapes, in UTF-8: the same content gives the same bytes.

    Numbers are whole; amounts are text, since a float has no one way to be written. Raises TypeError for a float and
    for anything that JSON does not know.
    """
    _refuse_floats(content)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest(content: Any) -> str:
    """Return the SHA-256 of the canonical form, 64 hexadecimal digits."""
    return sha256(canonical(content)).hexdigest()


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError(f"{value!r} is a float: a frozen figure is a decimal as text.")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for one in inner:
        _refuse_floats(one)
