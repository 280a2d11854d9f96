"""Commits as the draw sees them: one grant each, or one for each recurrence, and the policies of the contracts."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from hashlib import blake2b
from uuid import UUID
from zoneinfo import ZoneInfo

from budgets.calc.drawn_days import DEFAULT_POLICY, Terms
from budgets.calc.grants import FAR_FUTURE, ZERO, Grant, Rollover
from budgets.models import Commit, CommitChange, Contract
from consumption_cs.lib.periods import add_months, day_start

Changes = Sequence[tuple[date, Decimal]]  # the first day of an amendment, and what it adds


def terms_of(
    organization_id: UUID, zones: dict[str, ZoneInfo], today: dict[str, date]
) -> tuple[dict[str, Terms], dict[str, list[Commit]]]:
    """Return the terms and the commits of the accounts that `zones` names, as far as they count until `today`."""
    commits: dict[str, list[Commit]] = {account: [] for account in zones}
    own = {"organization_id": organization_id, "account__in": list(zones)}
    for commit in Commit.objects.filter(**own).order_by("created_at", "id"):
        commits[str(commit.account_id)].append(commit)
    changes = _amendments(organization_id, [row.pk for rows in commits.values() for row in rows])
    contracts: dict[str, list[Contract]] = defaultdict(list)
    for contract in Contract.objects.filter(**own).order_by("starts_on") if zones else ():
        contracts[str(contract.account_id)].append(contract)
    terms = {
        account: Terms(
            tuple(
                grant
                for commit in commits[account]
                for grant in grants_of(commit, changes.get(commit.pk, ()), zone, today[account])
            ),
            policies_of(contracts[account]),
            _version(zone, commits[account], changes, contracts[account]),
        )
        for account, zone in zones.items()
    }
    return terms, commits


_DRAWN_BY = (
    "pk value priority kind effective_on expires_on cancelled_on recurs_months rollover_least rollover_most"
    " rollover_months only_meters except_meters"
).split()


def _version(
    zone: ZoneInfo, commits: Iterable[Commit], changes: dict[UUID, Changes], contracts: Iterable[Contract]
) -> str:
    """Return a fingerprint of all that the draw of an account goes by, so that no change of it goes unseen."""
    agreed: list[object] = [zone.key, *policies_of(contracts)]
    for commit in commits:
        agreed += [str(getattr(commit, name)) for name in _DRAWN_BY]
        agreed += [(day.isoformat(), f"{change:f}") for day, change in changes.get(commit.pk, ())]
    return blake2b(repr(agreed).encode(), digest_size=8).hexdigest()


def _amendments(organization_id: UUID, commits: Collection[UUID]) -> dict[UUID, Changes]:
    found: dict[UUID, list[tuple[date, Decimal]]] = defaultdict(list)
    if commits:
        rows = CommitChange.objects.filter(
            organization_id=organization_id, commit__in=commits, kind=CommitChange.Kind.AMENDED
        ).order_by("effective_on", "created_at", "id")
        for commit, day, change in rows.values_list("commit_id", "effective_on", "value_change"):
            found[commit].append((day, change))
    return dict(found)


def policies_of(contracts: Iterable[Contract]) -> tuple[tuple[date, str], ...]:
    """Return from which day on which draw policy holds; between two contracts the default does."""
    found: dict[date, str] = {}
    for contract in contracts:
        found[contract.starts_on] = contract.draw_policy
        if contract.ends_on:
            found[contract.ends_on] = DEFAULT_POLICY
    return tuple(sorted(found.items()))


def grants_of(commit: Commit, changes: Changes, zone: ZoneInfo, until: date) -> Iterator[Grant]:
    """Yield the grants of a commit that begin on the local day `until` or earlier."""
    if commit.recurs_months is None:
        if commit.effective_on <= until:
            yield _grant(commit, str(commit.pk), commit.name, commit.value, changes, zone, commit.effective_on, None)
        return
    for number, begin, end in recurrences(commit, until):
        # An amendment changes the recurrence that it falls into, and what all later ones give.
        earlier = [change for day, change in changes if number and day <= begin]
        inside = [(day, change) for day, change in changes if (not number or day > begin) and day < end]
        value = max(sum(earlier, commit.value), ZERO)
        name = f"{commit.name} of {begin:%B %Y}"
        yield _grant(commit, f"{commit.pk}#{number}", name, value, inside, zone, begin, end)


def recurrences(commit: Commit, until: date) -> Iterator[tuple[int, date, date]]:
    """Yield number, first day and first day after each recurrence that begins on `until` or earlier."""
    number = 0
    months = commit.recurs_months or 0
    while True:
        begin = add_months(commit.effective_on, number * months)
        if begin > until or (commit.expires_on and begin >= commit.expires_on):
            return
        end = add_months(commit.effective_on, (number + 1) * months)
        yield number, begin, min(end, commit.expires_on or end)
        number += 1


def _grant(
    commit: Commit,
    name_of_grant: str,
    label: str,
    value: Decimal,
    changes: Changes,
    zone: ZoneInfo,
    begin: date,
    end: date | None,
) -> Grant:
    end = end or commit.expires_on
    rolls_over = bool(end and commit.rollover_months and commit.rollover_most)
    last = add_months(end, commit.rollover_months) if end and rolls_over else end
    return Grant(
        name_of_grant,
        value,
        effective_at=day_start(begin, zone),
        priority=commit.priority,
        expires_at=day_start(last, zone) if last else None,
        voided_at=day_start(commit.cancelled_on, zone) if commit.cancelled_on else None,
        created_at=commit.created_at,
        rollover=Rollover(commit.rollover_least, commit.rollover_most),
        kind=commit.kind,
        only_meters=frozenset(map(str, commit.only_meters)),
        except_meters=frozenset(map(str, commit.except_meters)),
        rolls_over_at=day_start(end, zone) if end and rolls_over else FAR_FUTURE,
        changes=tuple((day_start(day, zone), change) for day, change in changes),
        name=label,
    )
