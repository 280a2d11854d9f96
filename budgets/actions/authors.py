"""Who is behind an entry: the person who changed a commit, where that is what the entry comes from."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from budgets.actions.booking import Change
from budgets.models import CommitChange

_OWN_KIND = {"amended": CommitChange.Kind.AMENDED, "voided": CommitChange.Kind.CANCELLED}
_DONE = {
    CommitChange.Kind.AMENDED: "was amended",
    CommitChange.Kind.EXTENDED: "expires on another day",
    CommitChange.Kind.REORDERED: "is drawn in another order",
    CommitChange.Kind.CANCELLED: "was cancelled",
}


def told(change: CommitChange, name: str) -> str:
    """Say in words what was changed about the commit called `name`: the reason on entries that replace others."""
    return f"{name} {_DONE[CommitChange.Kind(change.kind)]} by {change.actor_name}: {change.reason}"


def with_authors(organization_id: UUID, changes: Sequence[Change]) -> list[Change]:
    """Return the changes with the person behind each; amendments and cancellations also with their own reason."""
    asked = {change.account for change in changes if change.reason or change.key.kind in _OWN_KIND}
    if not asked:
        return list(changes)
    rows = CommitChange.objects.filter(organization_id=organization_id, account__in=list(asked)).select_related(
        "commit"
    )
    of_account: dict[str, list[CommitChange]] = {}
    for row in rows.order_by("-created_at", "-id"):
        of_account.setdefault(str(row.account_id), []).append(row)
    return [_with_author(change, of_account.get(change.account, [])) for change in changes]


def _with_author(change: Change, rows: Sequence[CommitChange]) -> Change:
    own = next((row for row in rows if _is_of(change, row)), None)
    if own is not None:
        return replace(change, reason=own.reason, actor=own.actor_id)
    behind = next((row for row in rows if change.reason and told(row, row.commit.name) in change.reason), None)
    return replace(change, actor=behind.actor_id) if behind else change


def _is_of(change: Change, row: CommitChange) -> bool:
    """Whether an entry is the amendment or the cancellation itself."""
    key = change.key
    return (
        not change.current
        and _OWN_KIND.get(key.kind) == row.kind
        and key.commit == str(row.commit_id)
        and key.day == row.effective_on
    )
