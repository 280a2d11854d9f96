"""Whether the ledger agrees with what was accepted, rolled up and rated, exactly; and what the last check said."""

from dataclasses import dataclass
from datetime import datetime

from consumption_cs.lib.tenancy import Viewer


@dataclass(frozen=True, slots=True)
class Badge:
    """The latest check of the ledger for the head of a money page. `tone`: good, warn, bad or none (it never ran)."""

    tone: str
    words: str
    at: datetime | None
    url: str  # the reconciliation page, empty where the viewer has none


def badge(viewer: Viewer) -> Badge:
    """Return what the latest ledger check of the viewer's organization found."""
    raise NotImplementedError
