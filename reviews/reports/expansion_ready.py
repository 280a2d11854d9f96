"""How ready a candidate is: whether its events came, who answers for it, and how similar accounts do."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.db.models import Sum

from accounts.models import Account
from consumption_cs.lib.display import counted, percent_text
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.expansion import ENOUGH_NEIGHBOURS, Ready, evidence_of
from reviews.calc.production import LIVE
from reviews.models import Candidate, LadderCard
from usage.models import UsageDay, Workflow

ENOUGH_ATTEMPTS = 30


@dataclass(frozen=True, slots=True)
class Readiness:
    """What is known and not hoped. `peers` is how many similar accounts run it in production; none is named."""

    is_wired: bool
    owner: str
    peers: int
    success: Decimal | None

    @property
    def evidence(self) -> Decimal:
        return evidence_of(Ready(self.is_wired, bool(self.owner), self.success))

    @property
    def words(self) -> str:
        """As one line: what is there and what is missing."""
        said = ["Events came" if self.is_wired else "No events yet"]
        said.append(f"{self.owner} answers for it" if self.owner else "nobody answers for it")
        if self.peers >= ENOUGH_NEIGHBOURS:
            how = f", {percent_text(self.success, places=0)} succeed" if self.success is not None else ""
            said.append(f"{counted(self.peers, 'similar account')} run it{how}")
        return "; ".join(said)


def readiness(viewer: Viewer, account: Account, rows: Sequence[Candidate]) -> Mapping[UUID, Readiness]:
    """Return the readiness of candidates of an account."""
    flows = [row.workflow_id for row in rows if row.workflow_id]
    days = UsageDay.objects.visible_to(viewer)
    wired = set(days.filter(account=account, workflow__in=flows).values_list("workflow", flat=True).distinct())
    cards = LadderCard.objects.visible_to(viewer).filter(workflow__in=flows).select_related("our_owner")
    owners = {card.workflow_id: card.their_owner or _name(card.our_owner) for card in cards}
    peers = _peers(viewer, account, {_key(row) for row in rows} - {""})
    return {
        row.pk: Readiness(
            row.workflow_id in wired, owners.get(row.workflow_id, "") or _name(row.owner),
            *peers.get(_key(row), (0, None)),
        )
        for row in rows
    }  # fmt: skip


def _peers(viewer: Viewer, account: Account, keys: set[str]) -> dict[str, tuple[int, Decimal | None]]:
    """Return how many accounts of the segment run each key in production, and the share of attempts that succeed."""
    near = Account.objects.visible_to(viewer).filter(segment=account.segment).exclude(pk=account.pk)
    flows = Workflow.objects.visible_to(viewer).filter(account__in=near, stage__in=LIVE, key__in=keys)
    by_key: dict[str, list[tuple[UUID, UUID]]] = defaultdict(list)
    for key, flow, owner in flows.values_list("key", "pk", "account_id"):
        by_key[key].append((flow, owner))
    every = [flow for pairs in by_key.values() for flow, _ in pairs]
    sums = UsageDay.objects.visible_to(viewer).filter(workflow__in=every).values_list("workflow_id")
    counts = {
        flow: (done or 0, good or 0)
        for flow, done, good in sums.annotate(Sum("finished"), Sum("successes")).order_by("workflow_id")
    }
    found: dict[str, tuple[int, Decimal | None]] = {}
    for key, pairs in by_key.items():
        done = sum(counts.get(flow, (0, 0))[0] for flow, _ in pairs)
        good = sum(counts.get(flow, (0, 0))[1] for flow, _ in pairs)
        peers = len({owner for _, owner in pairs})
        is_known = peers >= ENOUGH_NEIGHBOURS and done >= ENOUGH_ATTEMPTS and 0 <= good <= done
        found[key] = (peers, Decimal(good) / done if is_known else None)
    return found


def _key(row: Candidate) -> str:
    return row.key or (row.workflow.key if row.workflow else "")


def _name(user: object) -> str:
    return str(getattr(user, "name", "") or getattr(user, "email", "")).split(" ")[0] if user else ""
