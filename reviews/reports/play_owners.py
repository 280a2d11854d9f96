"""Whose a play is: the account's CSM, its field CTO or somebody of finance, or who covers for them."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from django.db.models import Count, Q

from accounts.models import Account, Membership, Role, User
from consumption_cs.lib.tenancy import Viewer
from reviews.models import Cover, PlayRun, PlayVersion


@dataclass(slots=True)
class Owners:
    """What decides whose a run is, read once for many accounts."""

    covers: dict[UUID, UUID] = field(default_factory=dict)  # absent → who covers today
    finance: list[UUID] = field(default_factory=list)  # who has the fewest running plays first

    def of(self, account: Account, owner: str) -> UUID | None:
        """Return who owns a run of a play of this role's; None: the account has nobody."""
        if owner == PlayVersion.Owner.FINANCE:
            found = self.finance[0] if self.finance else account.csm_id
        elif owner == PlayVersion.Owner.FIELD_CTO:
            found = account.field_cto_id or account.csm_id
        else:
            found = account.csm_id or account.field_cto_id
        return None if found is None else self.covers.get(found, found)


def owners(organization_id: UUID, today: date) -> Owners:
    """Read covers and finance people of an organization. Two queries.

    Of several people of finance the one with the fewest running plays is meant.
    """
    covers = Cover.objects.filter(organization_id=organization_id, starts_on__lte=today, ends_on__gt=today)
    found = Owners(dict(covers.order_by("created_at").values_list("absent_id", "covered_by_id")))
    seats = Membership.objects.filter(
        organization_id=organization_id, account=None, role=Role.FINANCE, user__is_active=True
    )
    people = list(seats.order_by("created_at", "pk").values_list("user_id", flat=True))
    if len(people) > 1:
        rows = PlayRun.objects.filter(organization_id=organization_id, owner__in=people, ended_at=None)
        running = dict(rows.values_list("owner").annotate(runs=Count("pk")))
        people.sort(key=lambda pk: running.get(pk, 0))
    found.finance = people
    return found


def colleagues(viewer: Viewer, among: Collection[UUID] | None = None) -> list[User]:
    """Return the vendor's people who may be given a run, by name."""
    seats = Membership.objects.filter(
        Q(organization_id=viewer.organization_id, account=None, user__is_active=True) & ~Q(role=Role.ANALYST)
    )
    if among is not None:
        seats = seats.filter(user__in=among)
    return [seat.user for seat in seats.select_related("user").order_by("user__name", "user__email")]
