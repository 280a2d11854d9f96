"""Whether the ledger agrees with what was accepted, rolled up and rated, exactly; and what the last check said."""

from dataclasses import dataclass
from datetime import datetime

from django.urls import NoReverseMatch, reverse

from accounts.permissions import can
from budgets.models import LedgerCheck
from consumption_cs.lib.tenancy import Viewer


@dataclass(frozen=True, slots=True)
class Badge:
    """The latest check of the ledger for the head of a money page. `tone`: good, warn, bad or none (it never ran)."""

    tone: str
    words: str
    at: datetime | None
    url: str  # the reconciliation page, empty where the viewer has none


def badge(viewer: Viewer) -> Badge:
    """Return what the latest ledger check of the viewer's organization found. Within `act_as`."""
    check = LedgerCheck.objects.visible_to(viewer).order_by("-checked_at").first()
    url = _url() if viewer.is_staff and can(viewer, "reconciliation.view") else ""
    if check is None:
        return Badge("none", "The ledger has not been checked yet", None, url)
    if check.is_exact:
        return Badge("good", "The ledger agrees to the cent", check.checked_at, url)
    return Badge("bad", "The ledger differs", check.checked_at, url)


def _url() -> str:
    try:
        return reverse("budgets:reconciliation")
    except NoReverseMatch:  # the page is not there
        return ""
